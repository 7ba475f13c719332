//! An endpoint as a stream of bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use corewarden::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::AsyncEndpoint;

/// The bytes of a service for which the bounds of messages mean nothing, such as a console.
///
/// Reading ends where the peer withdraws the service; a restart of the peer is `ConnectionReset`.
pub struct ByteStream {
    endpoint: AsyncEndpoint,
    /// A message that was not read to its end.
    rest: Vec<u8>,
    read: usize,
    /// The longest message that is known to fit.
    piece: usize,
}

impl ByteStream {
    pub(crate) fn new(endpoint: AsyncEndpoint) -> Self {
        ByteStream {
            endpoint,
            rest: Vec::new(),
            read: 0,
            piece: usize::from(u16::MAX),
        }
    }

    /// The endpoint itself.
    #[must_use]
    pub fn endpoint(&self) -> &AsyncEndpoint {
        &self.endpoint
    }

    /// The endpoint; what was received and not read is gone.
    #[must_use]
    pub fn into_endpoint(self) -> AsyncEndpoint {
        self.endpoint
    }
}

impl AsyncRead for ByteStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if into.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        // An empty message is no end.
        while self.read >= self.rest.len() {
            match ready!(self.endpoint.poll_recv(context)) {
                Ok(message) => {
                    self.rest = message.payload;
                    self.read = 0;
                }
                Err(Error::ServiceWithdrawn { .. }) => return Poll::Ready(Ok(())),
                Err(error) => return Poll::Ready(Err(io_error(error))),
            }
        }
        let rest = self.rest.get(self.read..).unwrap_or_default();
        let piece = rest.get(..into.remaining()).unwrap_or(rest);
        into.put_slice(piece);
        self.read += piece.len();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ByteStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        loop {
            let piece = bytes.get(..self.piece).unwrap_or(bytes);
            match ready!(self.endpoint.poll_send(piece, context)) {
                Ok(()) => return Poll::Ready(Ok(piece.len())),
                Err(error @ Error::Rpmsg(rpmsg::Error::PayloadTooLong { room, .. })) => {
                    let room = usize::try_from(room).unwrap_or(usize::MAX);
                    if room == 0 || room >= piece.len() {
                        return Poll::Ready(Err(io_error(error)));
                    }
                    self.piece = room;
                }
                Err(error) => return Poll::Ready(Err(io_error(error))),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn io_error(error: Error) -> io::Error {
    let kind = match error {
        Error::PeerRestarted { .. } | Error::LinkBroken(_) | Error::Displaced { .. } => {
            io::ErrorKind::ConnectionReset
        }
        Error::ServiceWithdrawn { .. } => io::ErrorKind::BrokenPipe,
        Error::NoPeer { .. } => io::ErrorKind::NotConnected,
        Error::MessagesLost { .. } => io::ErrorKind::InvalidData,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
