//! One client of a service: a socket of packets on one side, an endpoint on the other.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rpmsg::ServiceName;
use rustix::event::PollFlags;
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::net::Shutdown;

use super::Step;
use crate::client::Reason;
use crate::error::Error;
use crate::hub::{Endpoint, Hub};
use crate::socket::{receive, send};

/// A client, from its coming to its end.
pub(super) struct Client {
    fd: OwnedFd,
    service: ServiceName,
    announce: bool,
    stage: Stage,
    /// A packet of the client that waits for a buffer.
    held: Option<Vec<u8>>,
    /// A message for the client that waits for room in its socket.
    pending: Option<Vec<u8>>,
    /// The client sends no more, or what it sends goes nowhere any more.
    done: bool,
    /// The client is gone; what it sent before may still lie in its socket.
    gone: bool,
}

enum Stage {
    /// The service is not announced yet.
    Waiting(Instant),
    Live(Endpoint),
    /// The client has still to be told why it ends.
    Ending(Reason, Instant),
}

impl Client {
    pub(super) fn new(
        fd: OwnedFd,
        service: ServiceName,
        announce: bool,
        patience: Duration,
    ) -> Self {
        let now = Instant::now();
        Client {
            fd,
            service,
            announce,
            stage: Stage::Waiting(now.checked_add(patience).unwrap_or(now)),
            held: None,
            pending: None,
            done: false,
            gone: false,
        }
    }

    /// What to wait for at the client's socket; nothing at all where it is gone.
    pub(super) fn interest(&self) -> Option<PollFlags> {
        let mut interest = PollFlags::empty();
        let listened_to = match &self.stage {
            // Who announced the service has nobody to talk to before somebody talked to it.
            Stage::Live(endpoint) => self.held.is_none() && endpoint.peer().is_some(),
            _ => false,
        };
        interest.set(PollFlags::IN, listened_to && !self.done);
        let ending = matches!(self.stage, Stage::Ending(..));
        interest.set(PollFlags::OUT, self.pending.is_some() || ending);
        (!self.gone).then_some(interest)
    }

    /// Notes that the client's other end is closed.
    pub(super) fn leave(&mut self) {
        self.gone = true;
    }

    pub(super) fn service(&self) -> &ServiceName {
        &self.service
    }

    /// Moves what can be moved, without waiting.
    pub(super) fn step(&mut self, hub: &Hub) -> Step {
        match &self.stage {
            Stage::Waiting(until) => {
                let opened = match self.announce {
                    true => hub.try_serve(self.service.as_str()),
                    false => hub.try_connect(self.service.as_str()),
                };
                match opened {
                    Ok(Some(endpoint)) => {
                        self.stage = Stage::Live(endpoint);
                        Step::Busy
                    }
                    Ok(None) | Err(Error::Displaced { .. }) if Instant::now() < *until => {
                        Step::Idle
                    }
                    Ok(None) | Err(Error::Displaced { .. }) => self.end(Reason::NoService),
                    Err(Error::Rpmsg(rpmsg::Error::EndpointsExhausted { .. })) => {
                        self.end(Reason::NoService)
                    }
                    Err(error) => self.end(Reason::of(error)),
                }
            }
            Stage::Live(_) => self.carry(),
            Stage::Ending(..) if self.gone => Step::Closed,
            Stage::Ending(reason, until) => {
                let told = tell(&self.fd, *reason);
                match told {
                    // Whoever does not even read that does without.
                    Ok(false) if Instant::now() < *until => Step::Idle,
                    _ => {
                        close(&self.fd);
                        Step::Closed
                    }
                }
            }
        }
    }

    /// Ends the client, and lets it know why.
    pub(super) fn end(&mut self, reason: Reason) -> Step {
        let now = Instant::now();
        let until = now.checked_add(FAREWELL).unwrap_or(now);
        self.stage = Stage::Ending(reason, until);
        Step::Busy
    }

    fn carry(&mut self) -> Step {
        let mut moved = 0;
        if self.gone && self.done && self.held.is_none() {
            return Step::Closed;
        }
        for direction in [Self::inward, Self::outward] {
            for _ in 0..TURN {
                match direction(self) {
                    Ok(true) => moved += 1,
                    Ok(false) => break,
                    Err(End::Gone) => return Step::Closed,
                    Err(End::Told(reason)) => return self.end(reason),
                }
            }
        }
        // After a full turn the others come first, but nobody sleeps.
        if moved >= TURN {
            Step::Busy
        } else {
            Step::Idle
        }
    }

    /// One message from the endpoint to the client.
    fn inward(&mut self) -> Result<bool, End> {
        let Stage::Live(endpoint) = &self.stage else {
            return Ok(false);
        };
        if self.gone {
            // Left where they are, answers that nobody reads hold up the core, which takes nothing more then.
            return match endpoint.try_recv() {
                Ok(None) => Ok(false),
                Ok(Some(_)) | Err(Error::MessagesLost { .. }) => Ok(true),
                Err(error) => Err(End::of(error)),
            };
        }
        let message = match self.pending.take() {
            Some(message) => message,
            None => match endpoint.try_recv().map_err(End::of)? {
                Some(message) => message.payload,
                None => return Ok(false),
            },
        };
        // An empty packet would look like the end.
        if message.is_empty() || send(&self.fd, &message, &[]).map_err(|_| End::Gone)? {
            return Ok(true);
        }
        self.pending = Some(message);
        Ok(false)
    }

    /// One packet from the client to the endpoint.
    fn outward(&mut self) -> Result<bool, End> {
        let Stage::Live(endpoint) = &self.stage else {
            return Ok(false);
        };
        if endpoint.peer().is_none() {
            return if self.gone { Err(End::Gone) } else { Ok(false) };
        }
        let packet = match self.held.take() {
            Some(packet) => packet,
            None if self.done => return Ok(false),
            None => match take(&self.fd)? {
                Some(packet) if packet.is_empty() => {
                    // It may go on listening; whoever has left altogether is seen to be gone.
                    self.done = true;
                    return Ok(true);
                }
                Some(packet) => packet,
                None => return Ok(false),
            },
        };
        match endpoint.try_send(None, &packet) {
            Ok(true) => Ok(true),
            Ok(false) => {
                self.held = Some(packet);
                Ok(false)
            }
            // What came before the end of the link is passed on first, and then the end is met there.
            Err(
                Error::Displaced { .. }
                | Error::PeerRestarted { .. }
                | Error::LinkBroken(_)
                | Error::ServiceWithdrawn { .. },
            ) if !self.gone => {
                self.done = true;
                Ok(true)
            }
            Err(error) => Err(End::of(error)),
        }
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Why a client ends: by itself, or by us.
enum End {
    Gone,
    Told(Reason),
}

impl End {
    fn of(error: Error) -> Self {
        End::Told(Reason::of(error))
    }
}

/// The client's next packet, if there is one; an empty one is the end of what it sends.
fn take(fd: &OwnedFd) -> Result<Option<Vec<u8>>, End> {
    let mut room = vec![0; LONGEST];
    let Some(packet) = receive(fd, &mut room).map_err(|_| End::Gone)? else {
        return Ok(None);
    };
    if packet.cut {
        return Err(End::Told(Reason::MessageTooLong));
    }
    room.truncate(packet.length);
    Ok(Some(room))
}

/// Ends a client that there is no room for.
pub(super) fn turn_away(fd: &OwnedFd) {
    // Its socket is new and empty, and whoever is gone again needs no reason.
    let _ = tell(fd, Reason::TooManyClients);
    close(fd);
}

/// Takes nothing more, and drops what was not taken: what is left in a socket at its end costs the other side the reason.
fn close(fd: &OwnedFd) {
    // Where that fails the other side is gone.
    let _ = rustix::net::shutdown(fd, Shutdown::Read);
    while let Ok(Some(packet)) = receive(fd, &mut [0]) {
        if packet.length == 0 {
            break;
        }
    }
}

/// Sends the reason as a file with an empty packet: to whoever does not look for it, it is the end, and nothing but the end.
fn tell(fd: &OwnedFd, reason: Reason) -> Result<bool, Error> {
    let Ok(file) = note(reason) else {
        return Ok(true);
    };
    send(fd, b"", &[file.as_fd()])
}

fn note(reason: Reason) -> rustix::io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = rustix::fs::memfd_create("corewarden-reason", flags)?;
    let text = format!("{}\n{reason}\n", reason.word());
    rustix::io::pwrite(&file, text.as_bytes(), 0)?;
    rustix::fs::fcntl_add_seals(
        &file,
        SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW,
    )?;
    Ok(file)
}

/// Messages moved for one client and direction before the others get their turn.
const TURN: u32 = 32;
/// How long a client has to take its reason.
const FAREWELL: Duration = Duration::from_secs(1);
/// The longest payload there can be, and one byte to see that a packet is longer.
const LONGEST: usize = 0x1_0000;
