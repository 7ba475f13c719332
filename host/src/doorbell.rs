//! Ringing the other side, and being rung by it.
//!
//! A ring is one byte, the notify id of the queue it is about. Rings may be merged and may come for nothing; whoever is
//! rung looks at the rings itself. A virtio-serial port and a UIO device are the ways to a core; a socket pair leads to another
//! process, and event counters to one that is trusted.

mod uio;

use std::fs;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::{FileType, Mode, OFlags, fstat};
use rustix::io::{Errno, ReadWriteFlags, preadv2, read, write};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair,
};

pub use self::uio::UioDoorbell;
use crate::error::{DoorbellOperation, Error};

/// One side of a pair of doorbells. Its descriptor is readable once the other side has rung.
pub trait Doorbell: AsFd + Send + Sync {
    /// Tells the other side about a queue. A bell nobody drains is not an error: it has been rung already.
    ///
    /// # Errors
    /// [`Error::Doorbell`] where the other end is gone.
    fn ring(&self, notify_id: u8) -> Result<(), Error>;

    /// Takes all the rings there are, without waiting.
    ///
    /// # Errors
    /// [`Error::Doorbell`] where the other end is gone.
    fn drain(&self) -> Result<Rung, Error>;

    /// Waits until the other side rings, at most this long, and takes all the rings there are. A signal may end the wait
    /// early.
    ///
    /// # Errors
    /// [`Error::Doorbell`] where the other end is gone.
    fn wait(&self, patience: Duration) -> Result<Rung, Error> {
        if readable(&[self.as_fd()], patience)? {
            self.drain()
        } else {
            Ok(Rung::No)
        }
    }
}

impl<D: Doorbell + ?Sized> Doorbell for Box<D> {
    fn ring(&self, notify_id: u8) -> Result<(), Error> {
        (**self).ring(notify_id)
    }

    fn drain(&self) -> Result<Rung, Error> {
        (**self).drain()
    }
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rung {
    /// The time is over, or a signal came.
    No,
    /// The bell rang at least once.
    Yes,
}

/// A doorbell of bytes: a virtio-serial port, or one end of a socket pair.
///
/// At a socket no call waits, whatever the other side does to it.
#[derive(Debug)]
pub struct BytePort {
    fd: OwnedFd,
    socket: bool,
}

impl BytePort {
    /// Opens the virtio-serial port of this name, as the platform file gives it.
    ///
    /// # Errors
    /// [`Error::DoorbellMissing`] where there is no such port, [`Error::Doorbell`] where it cannot be opened.
    pub fn by_name(name: &str) -> Result<Self, Error> {
        let device = port_of(Path::new(VIRTIO_PORTS), name).ok_or(Error::DoorbellMissing)?;
        Self::open(&Path::new("/dev").join(device))
    }

    /// Opens a character device or a pipe as a doorbell.
    ///
    /// # Errors
    /// [`Error::Doorbell`] where it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let fd = rustix::fs::open(path, flags, Mode::empty());
        Ok(BytePort {
            fd: fd.map_err(|errno| failed(DoorbellOperation::Open, errno))?,
            socket: false,
        })
    }

    /// The doorbell that is one end of a pair of connected sockets; `None` where it is no socket.
    #[must_use]
    pub fn socket(fd: OwnedFd) -> Option<Self> {
        let kind = FileType::from_raw_mode(fstat(&fd).ok()?.st_mode);
        (kind == FileType::Socket).then_some(BytePort { fd, socket: true })
    }

    /// Another handle to the same doorbell.
    ///
    /// # Errors
    /// [`Error::Doorbell`] where the system has no descriptor left.
    pub fn try_clone(&self) -> Result<Self, Error> {
        let fd = self.fd.try_clone();
        Ok(BytePort {
            fd: fd.map_err(|error| failed(DoorbellOperation::Open, errno_of(&error)))?,
            socket: self.socket,
        })
    }

    /// Two doorbells that ring each other.
    ///
    /// # Errors
    /// [`Error::Doorbell`] where the system has no socket left.
    pub fn pair() -> Result<(Self, Self), Error> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let ends = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None);
        let (one, other) = ends.map_err(|errno| failed(DoorbellOperation::Open, errno))?;
        let end = |fd| BytePort { fd, socket: true };
        Ok((end(one), end(other)))
    }
}

impl AsFd for BytePort {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Doorbell for BytePort {
    fn ring(&self, notify_id: u8) -> Result<(), Error> {
        let rung = if self.socket {
            send(
                &self.fd,
                &[notify_id],
                SendFlags::DONTWAIT | SendFlags::NOSIGNAL,
            )
        } else {
            write(&self.fd, &[notify_id])
        };
        match rung {
            // A full port holds bytes enough to wake the other side.
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Err(errno) => Err(failed(DoorbellOperation::Ring, errno)),
        }
    }

    fn drain(&self) -> Result<Rung, Error> {
        let mut rings = [0_u8; 256];
        let mut rung = Rung::No;
        // A side that never stops ringing must not keep us here; what is left rings once more.
        for _ in 0..READS {
            let taken = if self.socket {
                recv(&self.fd, &mut rings, RecvFlags::DONTWAIT).map(|(length, _)| length)
            } else {
                read(&self.fd, &mut rings)
            };
            match taken {
                Ok(0) => return Err(failed(DoorbellOperation::Wait, Errno::PIPE)),
                Ok(length) if length < rings.len() => return Ok(Rung::Yes),
                Ok(_) => rung = Rung::Yes,
                Err(Errno::AGAIN | Errno::INTR) => break,
                Err(errno) => return Err(failed(DoorbellOperation::Wait, errno)),
            }
        }
        Ok(rung)
    }
}

/// A doorbell of two event counters; which queue is meant is not said.
///
/// A counter belongs to both sides, and so does its flag that no call is to wait. We read without waiting whatever the flag says
/// (since Linux 5.8), and write only where there is room. One case is left, as Linux has no write to a counter that never waits: a
/// peer that takes the flag away and fills the counter to its last value between our look and our write has us wait, and with us
/// everybody who uses the hub, until somebody reads that counter. To a peer that is not trusted, use a [`BytePort`].
#[derive(Debug)]
pub struct EventCounters {
    ours: OwnedFd,
    theirs: OwnedFd,
}

impl EventCounters {
    /// Two doorbells that ring each other.
    ///
    /// # Errors
    /// [`Error::Doorbell`] where the system has no descriptor left.
    pub fn pair() -> Result<(Self, Self), Error> {
        let counter = || {
            eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)
                .map_err(|errno| failed(DoorbellOperation::Open, errno))
        };
        let again = |fd: &OwnedFd| {
            fd.try_clone()
                .map_err(|error| failed(DoorbellOperation::Open, errno_of(&error)))
        };
        let (one, other) = (counter()?, counter()?);
        let far = EventCounters {
            ours: again(&other)?,
            theirs: again(&one)?,
        };
        let near = EventCounters {
            ours: one,
            theirs: other,
        };
        Ok((near, far))
    }

    /// The doorbell whose counter `ours` is rung by the other side, and `theirs` by us; both must not block.
    #[must_use]
    pub fn from_parts(ours: OwnedFd, theirs: OwnedFd) -> Self {
        EventCounters { ours, theirs }
    }

    /// Our counter and theirs, to hand to another process.
    #[must_use]
    pub fn parts(&self) -> (BorrowedFd<'_>, BorrowedFd<'_>) {
        (self.ours.as_fd(), self.theirs.as_fd())
    }
}

impl AsFd for EventCounters {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ours.as_fd()
    }
}

impl Doorbell for EventCounters {
    fn ring(&self, _notify_id: u8) -> Result<(), Error> {
        // Full, it has been rung.
        if !ready(&[self.theirs.as_fd()], PollFlags::OUT, Duration::ZERO)? {
            return Ok(());
        }
        match write(&self.theirs, &1_u64.to_ne_bytes()) {
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Err(errno) => Err(failed(DoorbellOperation::Ring, errno)),
        }
    }

    fn drain(&self) -> Result<Rung, Error> {
        let mut count = [0_u8; 8];
        // Not at a place, but where the next bytes come from.
        let (here, flags) = (u64::MAX, ReadWriteFlags::NOWAIT);
        let taken = match preadv2(&self.ours, &mut [IoSliceMut::new(&mut count)], here, flags) {
            // Linux before 5.8.
            Err(Errno::OPNOTSUPP) if readable(&[self.as_fd()], Duration::ZERO)? => {
                read(&self.ours, &mut count)
            }
            Err(Errno::OPNOTSUPP) => Err(Errno::AGAIN),
            taken => taken,
        };
        match taken {
            Ok(8) => Ok(Rung::Yes),
            Ok(_) => Err(failed(DoorbellOperation::Wait, Errno::PIPE)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(Rung::No),
            Err(errno) => Err(failed(DoorbellOperation::Wait, errno)),
        }
    }
}

/// Waits until one of the descriptors is readable, or its other end gone; `false` where the time is over first.
pub(crate) fn readable(fds: &[BorrowedFd<'_>], patience: Duration) -> Result<bool, Error> {
    ready(fds, PollFlags::IN, patience)
}

fn ready(fds: &[BorrowedFd<'_>], what: PollFlags, patience: Duration) -> Result<bool, Error> {
    let timeout = Timespec::try_from(patience).unwrap_or(Timespec {
        tv_sec: i32::MAX.into(),
        tv_nsec: 0,
    });
    let mut fds: Vec<_> = fds
        .iter()
        .map(|fd| PollFd::from_borrowed_fd(*fd, what))
        .collect();
    match poll(&mut fds, Some(&timeout)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(errno) => Err(failed(DoorbellOperation::Wait, errno)),
    }
}

/// The device name of the port called `name`, below a folder like /sys/class/virtio-ports.
fn port_of(folder: &Path, name: &str) -> Option<PathBuf> {
    fs::read_dir(folder).ok()?.flatten().find_map(|entry| {
        let found = fs::read_to_string(entry.path().join("name")).ok()?;
        (found.trim_end() == name).then(|| PathBuf::from(entry.file_name()))
    })
}

pub(crate) fn failed(operation: DoorbellOperation, errno: Errno) -> Error {
    Error::Doorbell {
        operation,
        errno: errno.raw_os_error(),
    }
}

fn errno_of(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

/// Reads that empty the largest pipe or socket there is by default.
const READS: usize = 1024;
const VIRTIO_PORTS: &str = "/sys/class/virtio-ports";

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    #[test]
    fn a_ring_is_heard_at_the_other_end_only() {
        let (near, far) = BytePort::pair().unwrap();
        near.ring(1).unwrap();
        assert_eq!(far.wait(SOON), Ok(Rung::Yes));
        assert_eq!(far.wait(Duration::ZERO), Ok(Rung::No));
        assert_eq!(near.wait(Duration::ZERO), Ok(Rung::No));
    }

    #[test]
    fn a_bell_nobody_drains_can_be_rung_for_ever() {
        let (near, far) = BytePort::pair().unwrap();
        for _ in 0..1_000_000 {
            near.ring(0).unwrap();
        }
        assert_eq!(far.wait(SOON), Ok(Rung::Yes));
    }

    #[test]
    fn a_bell_whose_other_end_is_gone_says_so() {
        let (near, far) = BytePort::pair().unwrap();
        drop(far);
        let gone = |operation| Error::Doorbell {
            operation,
            errno: Errno::PIPE.raw_os_error(),
        };
        assert_eq!(near.ring(0), Err(gone(DoorbellOperation::Ring)));
        assert_eq!(near.wait(SOON), Err(gone(DoorbellOperation::Wait)));
    }

    #[test]
    fn event_counters_ring_both_ways() {
        let (near, far) = EventCounters::pair().unwrap();
        near.ring(0).unwrap();
        near.ring(1).unwrap();
        assert_eq!(far.wait(SOON), Ok(Rung::Yes));
        assert_eq!(far.wait(Duration::ZERO), Ok(Rung::No));
        far.ring(0).unwrap();
        assert_eq!(near.wait(SOON), Ok(Rung::Yes));
    }

    /// What a peer can do with a description that it shares with us.
    fn have_it_block(fd: impl AsFd) {
        let flags = rustix::fs::fcntl_getfl(&fd).unwrap();
        rustix::fs::fcntl_setfl(&fd, flags - OFlags::NONBLOCK).unwrap();
    }

    fn ends_soon(work: impl FnOnce() + Send + 'static) {
        let (done, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            work();
            done.send(())
        });
        ended.recv_timeout(SOON).expect("it waits");
    }

    #[test]
    fn a_peer_that_fills_a_counter_and_changes_its_flags_has_nobody_wait() {
        let (near, far) = EventCounters::pair().unwrap();
        have_it_block(&far.ours);
        have_it_block(&far.theirs);
        write(&far.ours, &(u64::MAX - 1).to_ne_bytes()).unwrap();
        ends_soon(move || {
            near.ring(0).unwrap();
            assert_eq!(near.drain(), Ok(Rung::No));
        });
        assert_eq!(far.drain(), Ok(Rung::Yes));
    }

    #[test]
    fn no_call_waits_at_a_socket_whatever_its_flags_are() {
        let (near, far) = BytePort::pair().unwrap();
        have_it_block(&near);
        have_it_block(&far);
        ends_soon(move || {
            assert_eq!(near.drain(), Ok(Rung::No));
            for _ in 0..1_000_000 {
                near.ring(0).unwrap();
            }
        });
        assert_eq!(far.wait(SOON), Ok(Rung::Yes));
    }

    #[test]
    fn a_counter_that_is_none_fails_instead_of_ringing_for_ever() {
        let (here, there) = std::io::pipe().unwrap();
        drop(there);
        let theirs = here.try_clone().unwrap();
        let bell = EventCounters::from_parts(here.into(), theirs.into());
        let gone = failed(DoorbellOperation::Wait, Errno::PIPE);
        assert_eq!(bell.wait(SOON), Err(gone));
    }

    #[test]
    fn a_port_is_found_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        for (port, name) in [("vport0p0", "org.example\n"), ("vport0p1", "coproc.db\n")] {
            fs::create_dir(folder.path().join(port)).unwrap();
            fs::write(folder.path().join(port).join("name"), name).unwrap();
        }
        let found = port_of(folder.path(), "coproc.db");
        assert_eq!(found, Some(PathBuf::from("vport0p1")));
        assert_eq!(port_of(folder.path(), "coproc"), None);
    }
}
