//! A service as a pseudo-terminal: what is written to it goes to the core, byte for byte, and what the core says is read
//! from it.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rpmsg::ServiceName;
use rustix::event::PollFlags;
use rustix::fs::{Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use rustix::pty::OpenptFlags;
use rustix::termios::OptionalActions;

use super::Step;
use super::config::Service;
use crate::error::{Error, TerminalOperation};
use crate::hub::{Endpoint, Hub};

/// A terminal and the endpoint behind it, which comes anew with each link.
pub(super) struct Tty {
    master: OwnedFd,
    /// Kept open, so that a program that closes it ends nothing.
    _slave: OwnedFd,
    link: PathBuf,
    target: PathBuf,
    service: ServiceName,
    announce: bool,
    endpoint: Option<Endpoint>,
    /// Bytes for the core that wait for a buffer.
    held: Vec<u8>,
    /// Bytes for the terminal that wait for somebody to read.
    pending: Vec<u8>,
    /// The longest message that is known to fit.
    piece: usize,
}

impl Tty {
    /// Makes a terminal whose bytes nobody changes, and a link to it in the folder.
    pub(super) fn open(service: &Service, folder: &Path) -> Result<Self, Error> {
        let open = |errno| failed(TerminalOperation::Open, errno);
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = rustix::pty::openpt(flags).map_err(open)?;
        rustix::pty::grantpt(&master).map_err(open)?;
        rustix::pty::unlockpt(&master).map_err(open)?;
        rustix::fs::fcntl_setfl(&master, OFlags::NONBLOCK).map_err(open)?;
        let name = rustix::pty::ptsname(&master, Vec::new()).map_err(open)?;
        let target = PathBuf::from(name.to_string_lossy().into_owned());
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = rustix::fs::open(&target, flags, Mode::empty()).map_err(open)?;
        let mut modes = rustix::termios::tcgetattr(&slave).map_err(open)?;
        modes.make_raw();
        rustix::termios::tcsetattr(&slave, OptionalActions::Now, &modes).map_err(open)?;
        let access = service.access;
        let (user, group) = (
            access.user.map(Uid::from_raw),
            access.group.map(Gid::from_raw),
        );
        if user.is_some() || group.is_some() {
            rustix::fs::fchown(&slave, user, group).map_err(open)?;
        }
        rustix::fs::fchmod(&slave, Mode::from_raw_mode(access.mode)).map_err(open)?;
        let link = folder.join(&service.file);
        place(&target, &link)?;
        Ok(Tty {
            master,
            _slave: slave,
            link,
            target,
            service: service.name,
            announce: service.announce,
            endpoint: None,
            held: Vec::new(),
            pending: Vec::new(),
            piece: ANY,
        })
    }

    pub(super) fn interest(&self) -> PollFlags {
        let mut interest = PollFlags::empty();
        // Without anybody to talk to nothing is taken: whoever writes waits, as at a line without a clear to send.
        let endpoint = self.endpoint.as_ref();
        let heard = endpoint.is_some_and(|endpoint| endpoint.peer().is_some());
        interest.set(PollFlags::IN, self.held.is_empty() && heard);
        interest.set(PollFlags::OUT, !self.pending.is_empty());
        interest
    }

    /// Moves what can be moved, without waiting.
    pub(super) fn step(&mut self, hub: &Hub) -> Result<Step, Error> {
        let Some(endpoint) = &self.endpoint else {
            // What the core said before is read without one, too.
            write_out(&self.master, &mut self.pending)?;
            let opened = match self.announce {
                true => hub.try_serve(self.service.as_str()),
                false => hub.try_connect(self.service.as_str()),
            };
            self.endpoint = match opened {
                // There is no link or none left, or no buffer has room for its name: it may be otherwise soon.
                Err(Error::Displaced { .. } | Error::Rpmsg(_)) => None,
                opened => opened?,
            };
            return Ok(match self.endpoint {
                Some(_) => Step::Busy,
                None => Step::Idle,
            });
        };
        let moved = carry_in(endpoint, &self.master, &mut self.pending).and_then(|inward| {
            let outward = carry_out(endpoint, &self.master, &mut self.held, &mut self.piece)?;
            Ok(inward || outward)
        });
        match moved {
            Ok(true) => Ok(Step::Busy),
            Ok(false) => Ok(Step::Idle),
            // As on a serial line: what nobody took in time is gone, and the line goes on.
            Err(Error::MessagesLost { .. }) => Ok(Step::Busy),
            // No buffer of the peer's has room for a byte: there may be one some day, or another peer.
            Err(Error::Rpmsg(rpmsg::Error::PayloadTooLong { .. })) => Ok(Step::Idle),
            Err(
                Error::Displaced { .. }
                | Error::PeerRestarted { .. }
                | Error::LinkBroken(_)
                | Error::ServiceWithdrawn { .. },
            ) => {
                keep_the_last(endpoint, &mut self.pending);
                // What found no buffer goes to whoever comes next, as does what was not read from the terminal yet.
                self.endpoint = None;
                self.piece = ANY;
                Ok(Step::Busy)
            }
            Err(error) => Err(error),
        }
    }
}

impl AsFd for Tty {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.master.as_fd()
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        // Only what is still ours.
        if fs::read_link(&self.link).is_ok_and(|target| target == self.target) {
            let _ = fs::remove_file(&self.link);
        }
    }
}

/// From the endpoint to the terminal; whether anything moved.
fn carry_in(endpoint: &Endpoint, master: &OwnedFd, pending: &mut Vec<u8>) -> Result<bool, Error> {
    if pending.is_empty() {
        for _ in 0..TURN {
            let Some(message) = endpoint.try_recv()? else {
                break;
            };
            pending.extend(message.payload);
        }
    }
    write_out(master, pending)
}

/// What came over a link that is over, however much of it nobody has read yet.
fn keep_the_last(endpoint: &Endpoint, pending: &mut Vec<u8>) {
    while pending.len() < LONGEST {
        match endpoint.try_recv() {
            Ok(Some(message)) => pending.extend(message.payload),
            // A gap, as on a serial line.
            Err(Error::MessagesLost { .. }) => {}
            Ok(None) | Err(_) => break,
        }
    }
}

/// Writes to the terminal what it takes; whether that was anything.
fn write_out(master: &OwnedFd, pending: &mut Vec<u8>) -> Result<bool, Error> {
    let mut moved = false;
    while !pending.is_empty() {
        match rustix::io::write(master, pending) {
            Ok(written) => {
                pending.drain(..written);
                moved = true;
            }
            Err(Errno::AGAIN | Errno::INTR) => break,
            Err(errno) => return Err(failed(TerminalOperation::Write, errno)),
        }
    }
    Ok(moved)
}

/// From the terminal to the endpoint; whether anything moved.
fn carry_out(
    endpoint: &Endpoint,
    master: &OwnedFd,
    held: &mut Vec<u8>,
    piece: &mut usize,
) -> Result<bool, Error> {
    // Who announced the service has nobody to talk to before somebody talked to it.
    if endpoint.peer().is_none() {
        return Ok(false);
    }
    if held.is_empty() {
        let mut room = [0; 4096];
        match rustix::io::read(master, &mut room) {
            Ok(length) => held.extend(room.get(..length).unwrap_or_default()),
            Err(Errno::AGAIN | Errno::INTR | Errno::IO) => {}
            Err(errno) => return Err(failed(TerminalOperation::Read, errno)),
        }
    }
    let mut moved = false;
    while !held.is_empty() {
        let next = held.get(..*piece).unwrap_or(held);
        match endpoint.try_send(None, next) {
            Ok(true) => {
                let sent = next.len();
                held.drain(..sent);
                moved = true;
            }
            Ok(false) => break,
            Err(Error::Rpmsg(rpmsg::Error::PayloadTooLong { room, .. })) if room > 0 => {
                *piece = usize::try_from(room).unwrap_or(usize::MAX);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(moved)
}

/// Puts the link in its place: over a stale one, but over nothing else.
fn place(target: &Path, link: &Path) -> Result<(), Error> {
    let name = |errno| failed(TerminalOperation::Name, errno);
    match fs::symlink_metadata(link) {
        Ok(there) if !there.file_type().is_symlink() => return Err(name(Errno::EXIST)),
        _ => {}
    }
    let mut hidden = link.as_os_str().to_owned();
    hidden.push(".new");
    match rustix::fs::unlink(&hidden) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(name(errno)),
    }
    rustix::fs::symlink(target, &hidden).map_err(name)?;
    rustix::fs::rename(&hidden, link).map_err(name)
}

fn failed(operation: TerminalOperation, errno: Errno) -> Error {
    Error::Terminal {
        operation,
        errno: errno.raw_os_error(),
    }
}

const TURN: u32 = 16;
/// The longest message where nothing is known of the buffers yet.
const ANY: usize = 0xffff;
/// Bytes of links that are over which wait for whoever reads a terminal: what comes beyond is gone, or a core that restarts
/// again and again would fill the memory.
const LONGEST: usize = 0x10_0000;
