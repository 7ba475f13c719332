//! An application's way to a service that `corewarden serve` holds: a Unix socket, and no right but to that.
//!
//! Each packet is one message, in any language. Where the server ends a client, it sends the reason along with the end, as a
//! file whose first line is the [`Reason`]'s word; whoever does not look for it sees the end alone.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::FileType;
use rustix::io::Errno;

use crate::error::{Error, SocketOperation, Waiting};
use crate::limit::Limit;
use crate::socket::{connect, receive, send};

/// A connection to a service.
#[derive(Debug)]
pub struct Client {
    fd: OwnedFd,
    left: Mutex<Left>,
}

/// What a connection that is over left behind.
#[derive(Debug, Default)]
struct Left {
    messages: VecDeque<Vec<u8>>,
    reason: Option<Reason>,
}

impl Client {
    /// Connects to the socket of a service.
    ///
    /// # Errors
    /// [`Error::Socket`] where nobody serves there, or this user may not.
    pub fn connect(path: &Path) -> Result<Self, Error> {
        Ok(Client {
            fd: connect(path)?,
            left: Mutex::default(),
        })
    }

    /// Sends one message, which has at least one byte.
    ///
    /// # Errors
    /// [`Error::TimeLimit`] where the server takes none, [`Error::ServerClosed`] where it has ended the connection.
    pub fn send(&self, message: &[u8], limit: Limit<'_>) -> Result<(), Error> {
        loop {
            match send(&self.fd, message, &[]) {
                Ok(true) => return Ok(()),
                Ok(false) => self.wait(PollFlags::OUT, limit, Waiting::SendBuffer)?,
                Err(error) => return Err(self.farewell(error)),
            }
        }
    }

    /// Waits for the next message.
    ///
    /// # Errors
    /// [`Error::TimeLimit`] where none comes, [`Error::ServerClosed`] where none can come any more.
    pub fn recv(&self, limit: Limit<'_>) -> Result<Vec<u8>, Error> {
        loop {
            {
                let mut left = self.left();
                if let Some(message) = left.messages.pop_front() {
                    return Ok(message);
                }
                if let Some(message) = self.take(&mut left)? {
                    return Ok(message);
                }
                if let Some(reason) = left.reason {
                    return Err(Error::ServerClosed { reason });
                }
            }
            self.wait(PollFlags::IN, limit, Waiting::Message)?;
        }
    }

    /// The next message in the socket; at the end the reason is noted.
    fn take(&self, left: &mut Left) -> Result<Option<Vec<u8>>, Error> {
        if left.reason.is_some() {
            return Ok(None);
        }
        let mut room = vec![0; LONGEST];
        let Some(packet) = receive(&self.fd, &mut room)? else {
            return Ok(None);
        };
        if packet.length > 0 {
            // Many may be kept, by us or by whoever asked.
            room.truncate(packet.length);
            room.shrink_to_fit();
            return Ok(Some(room));
        }
        let note = packet.descriptors.into_iter().next();
        left.reason = Some(note.map_or(Reason::Unknown, reason_in));
        Ok(None)
    }

    /// The reason for what cannot be sent any more, which lies behind the messages that nobody read; they are kept.
    fn farewell(&self, error: Error) -> Error {
        let mut left = self.left();
        while let Ok(Some(message)) = self.take(&mut left) {
            left.messages.push_back(message);
        }
        match left.reason {
            Some(reason) => Error::ServerClosed { reason },
            None => error,
        }
    }

    fn left(&self) -> MutexGuard<'_, Left> {
        // Nothing in here can panic half way.
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, flags: PollFlags, limit: Limit<'_>, waiting: Waiting) -> Result<(), Error> {
        let slice = limit.slice(SLICE, waiting)?;
        let slice = Timespec::try_from(slice).unwrap_or_default();
        let mut fds = [PollFd::new(&self.fd, flags)];
        match poll(&mut fds, Some(&slice)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(Error::Socket {
                operation: SocketOperation::Receive,
                errno: errno.raw_os_error(),
            }),
        }
    }
}

macro_rules! reasons {
    ( $( #[$inner:meta] $Reason:ident = $word:literal => $text:literal, )+ ) => {
        /// Why a server ended a client.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Reason { $( #[$inner] $Reason, )+ }

        impl Reason {
            /// The word that stands for it between server and client.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $( Reason::$Reason => $word, )+ }
            }

            fn of_word(word: &str) -> Self {
                match word { $( $word => Reason::$Reason, )+ _ => Reason::Unknown }
            }
        }

        impl std::fmt::Display for Reason {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self { $( Reason::$Reason => $text, )+ })
            }
        }
    };
}

reasons! {
    /// The peer's rings broke a rule, or another driver took the link.
    LinkBroken = "link-broken" => "the link was broken",
    /// A packet has more bytes than a message can have.
    MessageTooLong = "message-too-long" => "a message was too long",
    /// Messages came faster than the client took them.
    MessagesLost = "messages-lost" => "messages were lost: the client was too slow",
    /// The service is not announced, or cannot be opened once more.
    NoService = "no-service" => "the service cannot be opened",
    /// The peer restarted: what was under way is lost.
    PeerRestarted = "peer-restarted" => "the peer restarted",
    /// The server ends, or has lost the link for good.
    ServerEnded = "server-ended" => "the server ended",
    /// The peer withdrew the service.
    ServiceWithdrawn = "service-withdrawn" => "the service was withdrawn",
    /// As many clients as the service can have are there already.
    TooManyClients = "too-many-clients" => "the service has as many clients as it can have",
    /// None was given.
    Unknown = "unknown" => "no reason was given",
}

impl Reason {
    pub(crate) fn of(error: Error) -> Self {
        match error {
            Error::MessagesLost { .. } => Reason::MessagesLost,
            Error::PeerRestarted { .. } => Reason::PeerRestarted,
            Error::Rpmsg(rpmsg::Error::PayloadTooLong { .. }) => Reason::MessageTooLong,
            Error::Displaced { .. } | Error::LinkBroken(_) => Reason::LinkBroken,
            Error::ServiceWithdrawn { .. } => Reason::ServiceWithdrawn,
            _ => Reason::ServerEnded,
        }
    }
}

fn reason_in(note: OwnedFd) -> Reason {
    // Reading what is no file may take for ever.
    let kind = rustix::fs::fstat(&note).map(|note| FileType::from_raw_mode(note.st_mode));
    if kind != Ok(FileType::RegularFile) {
        return Reason::Unknown;
    }
    let mut text = String::new();
    let read = File::from(note).take(200).read_to_string(&mut text);
    match read {
        Ok(_) => Reason::of_word(text.lines().next().unwrap_or_default()),
        Err(_) => Reason::Unknown,
    }
}

const SLICE: Duration = Duration::from_millis(50);
const LONGEST: usize = 0x1_0000;
