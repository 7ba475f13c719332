//! An endpoint as a stream and a sink.

use std::pin::Pin;
use std::task::{Context, Poll};

use corewarden::Error;
use corewarden::hub::{Endpoint, Message};
use futures_core::Stream;
use futures_sink::Sink;

use crate::call::{Call, Wait};
use crate::{AsyncHub, ByteStream};

/// An address of ours, in one generation of a link, for tasks.
///
/// As a stream it never ends by itself: it yields what has gone wrong, for ever where nothing can come any more. As a sink
/// it sends to its peer, and keeps at most one message that found no free buffer.
pub struct AsyncEndpoint {
    endpoint: Endpoint,
    hub: AsyncHub,
    messages: Call,
    reading: Wait,
    writing: Wait,
    unsent: Option<Vec<u8>>,
}

impl AsyncEndpoint {
    pub(crate) fn new(endpoint: Endpoint, hub: AsyncHub) -> Self {
        AsyncEndpoint {
            endpoint,
            hub,
            messages: Call::new(),
            reading: None,
            writing: None,
            unsent: None,
        }
    }

    /// The endpoint itself.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The next message.
    ///
    /// # Errors
    /// As [`Endpoint::recv`], without its time limit.
    pub async fn recv(&self) -> Result<Message, Error> {
        let messages = &self.messages;
        messages
            .until(|context| self.endpoint.poll_recv(context))
            .await
    }

    /// Sends to the peer, and waits for a free buffer if need be. It does not wait for what the sink keeps.
    ///
    /// # Errors
    /// As [`Endpoint::send`], without its time limit.
    pub async fn send_now(&self, payload: &[u8]) -> Result<(), Error> {
        self.send(None, payload).await
    }

    /// Sends to an address, and waits for a free buffer if need be.
    ///
    /// # Errors
    /// As [`Endpoint::send_to`], without its time limit.
    pub async fn send_to(&self, to: u32, payload: &[u8]) -> Result<(), Error> {
        self.send(Some(to), payload).await
    }

    async fn send(&self, to: Option<u32>, payload: &[u8]) -> Result<(), Error> {
        let AsyncEndpoint { endpoint, hub, .. } = self;
        hub.news
            .until(|context| try_send(endpoint, hub, to, payload, context))
            .await
    }

    /// The same endpoint on the link that there is now, or the next one; what was unsent is gone.
    ///
    /// # Errors
    /// As [`Endpoint::reopen`], without its time limit.
    pub async fn reopen(&mut self) -> Result<(), Error> {
        self.unsent = None;
        let endpoint = &mut self.endpoint;
        self.hub.until(|_| endpoint.try_reopen()).await
    }

    /// The endpoint of a service that speaks bytes, of which messages are pieces of any length.
    #[must_use]
    pub fn into_bytes(self) -> ByteStream {
        ByteStream::new(self)
    }

    pub(crate) fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Result<Message, Error>> {
        let AsyncEndpoint {
            endpoint,
            messages,
            reading,
            ..
        } = self;
        messages.poll(reading, context, |context| endpoint.poll_recv(context))
    }

    pub(crate) fn poll_send(
        &mut self,
        payload: &[u8],
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        let AsyncEndpoint {
            endpoint,
            hub,
            writing,
            ..
        } = self;
        hub.news.poll(writing, context, |context| {
            try_send(endpoint, hub, None, payload, context)
        })
    }
}

fn try_send(
    endpoint: &Endpoint,
    hub: &AsyncHub,
    to: Option<u32>,
    payload: &[u8],
    context: &mut Context<'_>,
) -> Poll<Result<(), Error>> {
    let sent = endpoint.poll_send(to, payload, context);
    if sent.is_pending() {
        // The kick for a returned buffer has to be asked for by whoever sleeps.
        hub.attendant.call();
    }
    sent
}

impl Stream for AsyncEndpoint {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_recv(context).map(Some)
    }
}

impl Sink<Vec<u8>> for AsyncEndpoint {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_flush(context)
    }

    fn start_send(mut self: Pin<&mut Self>, payload: Vec<u8>) -> Result<(), Error> {
        self.unsent = Some(payload);
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let Some(payload) = self.unsent.take() else {
            return Poll::Ready(Ok(()));
        };
        let sent = self.poll_send(&payload, context);
        // Sent, or never to be: either way it is not tried again.
        if sent.is_pending() {
            self.unsent = Some(payload);
        }
        sent
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_flush(context)
    }
}
