//! Unix sockets of packets: listening at a path that is ours alone, and passing descriptors.

use std::fs;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};

use crate::error::{Error, SocketOperation};

/// Who may connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// The socket's owner, if another than ourselves.
    pub user: Option<u32>,
    /// Its group, if another than ours.
    pub group: Option<u32>,
    /// Its mode: who can write to it can connect.
    pub mode: u32,
}

impl Default for Access {
    fn default() -> Self {
        Access {
            user: None,
            group: None,
            mode: 0o600,
        }
    }
}

/// A socket at a path, which is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    fd: OwnedFd,
    path: PathBuf,
    _lock: Lock,
}

impl Listener {
    /// Listens at a path. A socket that a dead process left there is replaced; one of a living process is not, nor is anything
    /// that is no socket.
    pub(crate) fn bind(path: &Path, access: Access) -> Result<Self, Error> {
        let lock = Lock::take(&beside(path, ".lock"))?;
        if fs::symlink_metadata(path).is_ok_and(|there| !there.file_type().is_socket()) {
            return Err(failed(SocketOperation::Bind, Errno::EXIST));
        }
        let fd = socket()?;
        // It appears under its name only once it is what it is to be, and replaces what is stale in one step.
        let hidden = beside(path, ".new");
        let listening = listen(&fd, &hidden, access).and_then(|()| {
            rustix::fs::rename(&hidden, path).map_err(|errno| failed(SocketOperation::Bind, errno))
        });
        if let Err(error) = listening {
            // What was not made cannot be removed.
            let _ = fs::remove_file(&hidden);
            return Err(error);
        }
        Ok(Listener {
            fd,
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// The next client, if one waits; it does not block.
    pub(crate) fn accept(&self) -> Result<Option<OwnedFd>, Error> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        match rustix::net::accept_with(&self.fd, flags) {
            Ok(client) => Ok(Some(client)),
            // Whoever is gone again, and whoever does not fit, has to come once more.
            Err(
                Errno::AGAIN
                | Errno::INTR
                | Errno::CONNABORTED
                | Errno::MFILE
                | Errno::NFILE
                | Errno::NOBUFS
                | Errno::NOMEM,
            ) => Ok(None),
            Err(errno) => Err(failed(SocketOperation::Accept, errno)),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Whoever removed it already has spared us that.
        let _ = fs::remove_file(&self.path);
    }
}

/// A file that only one living process can hold.
#[derive(Debug)]
struct Lock {
    _fd: OwnedFd,
    path: PathBuf,
}

impl Lock {
    fn take(path: &Path) -> Result<Self, Error> {
        let lock = |errno| failed(SocketOperation::Lock, errno);
        loop {
            let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            let fd = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR).map_err(lock)?;
            rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive).map_err(lock)?;
            let ours = rustix::fs::fstat(&fd).map_err(lock)?;
            // The holder before us removes the file; a lock on a removed file keeps nobody out.
            if fs::metadata(path).is_ok_and(|there| there.ino() == ours.st_ino) {
                return Ok(Lock {
                    _fd: fd,
                    path: path.to_owned(),
                });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // It is still locked here, so nobody else's is removed.
        let _ = fs::remove_file(&self.path);
    }
}

/// Connects to a socket of packets; the connection does not block.
pub(crate) fn connect(path: &Path) -> Result<OwnedFd, Error> {
    let fd = socket()?;
    let connected = SocketAddrUnix::new(path).and_then(|at| rustix::net::connect(&fd, &at));
    connected.map_err(|errno| failed(SocketOperation::Connect, errno))?;
    Ok(fd)
}

/// Sends one packet, with descriptors for the receiver to have; `false` where the receiver is too slow to take it.
pub(crate) fn send(
    to: impl AsFd,
    packet: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> Result<bool, Error> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(failed(SocketOperation::Send, Errno::MSGSIZE));
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    match rustix::net::sendmsg(to, &[IoSlice::new(packet)], &mut ancillary, flags) {
        Ok(_) => Ok(true),
        Err(Errno::AGAIN | Errno::INTR | Errno::NOBUFS) => Ok(false),
        Err(errno) => Err(failed(SocketOperation::Send, errno)),
    }
}

/// What came over a socket.
#[derive(Debug)]
pub(crate) struct Packet {
    /// Bytes in the caller's room.
    pub(crate) length: usize,
    /// The packet was longer than the room.
    pub(crate) cut: bool,
    /// Descriptors that came along.
    pub(crate) descriptors: Vec<OwnedFd>,
}

/// Takes one packet, if there is one; a packet of no length without descriptors is the end.
pub(crate) fn receive(from: impl AsFd, room: &mut [u8]) -> Result<Option<Packet>, Error> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let mut rooms = [IoSliceMut::new(room)];
    match rustix::net::recvmsg(from, &mut rooms, &mut ancillary, flags) {
        Ok(received) => {
            let descriptors = ancillary.drain().flat_map(|message| match message {
                RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect::<Vec<_>>(),
                _ => Vec::new(),
            });
            Ok(Some(Packet {
                length: received.bytes,
                cut: received.flags.contains(rustix::net::ReturnFlags::TRUNC),
                descriptors: descriptors.collect(),
            }))
        }
        Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        Err(errno) => Err(failed(SocketOperation::Receive, errno)),
    }
}

fn listen(fd: &OwnedFd, path: &Path, access: Access) -> Result<(), Error> {
    let bind = |errno| failed(SocketOperation::Bind, errno);
    // The lock is ours, so this is the rest of a process that died in the middle of this.
    match rustix::fs::unlink(path) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(bind(errno)),
    }
    let at = SocketAddrUnix::new(path).map_err(bind)?;
    rustix::net::bind(fd, &at).map_err(bind)?;
    let user = access.user.map(Uid::from_raw);
    let group = access.group.map(Gid::from_raw);
    if user.is_some() || group.is_some() {
        rustix::fs::chown(path, user, group).map_err(bind)?;
    }
    rustix::fs::chmod(path, Mode::from_raw_mode(access.mode)).map_err(bind)?;
    rustix::net::listen(fd, BACKLOG).map_err(bind)
}

fn socket() -> Result<OwnedFd, Error> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
        .map_err(|errno| failed(SocketOperation::Connect, errno))
}

/// The path with an ending that the name itself does not have.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn failed(operation: SocketOperation, errno: Errno) -> Error {
    Error::Socket {
        operation,
        errno: errno.raw_os_error(),
    }
}

/// The most descriptors that go with one packet.
const DESCRIPTORS: usize = 3;
const BACKLOG: i32 = 16;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_stale_socket_is_replaced_and_a_living_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "what a process that dies leaves behind");
        let first = Listener::bind(&path, Access::default()).unwrap();
        let second = Listener::bind(&path, Access::default()).err();
        let busy = failed(SocketOperation::Lock, Errno::WOULDBLOCK);
        assert_eq!(second, Some(busy));
        connect(&path).unwrap();
        drop(first);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let refused = connect(&path).err();
        let expected = failed(SocketOperation::Connect, Errno::NOENT);
        assert_eq!(refused, Some(expected));
    }

    #[test]
    fn a_socket_has_the_mode_that_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let access = Access {
            mode: 0o620,
            ..Access::default()
        };
        let _listener = Listener::bind(&path, access).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o620);
    }

    #[test]
    fn descriptors_go_with_a_packet_even_with_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = Listener::bind(&path, Access::default()).unwrap();
        let near = connect(&path).unwrap();
        let far = listener.accept().unwrap().unwrap();
        assert!(send(&far, b"", &[listener.as_fd()]).unwrap());
        assert!(send(&far, b"longer", &[]).unwrap());
        let mut room = [0; 4];
        let packet = receive(&near, &mut room).unwrap().unwrap();
        assert_eq!((packet.length, packet.descriptors.len()), (0, 1));
        let packet = receive(&near, &mut room).unwrap().unwrap();
        assert_eq!((&room, packet.cut), (b"long", true));
        assert!(receive(&near, &mut room).unwrap().is_none());
        drop(far);
        let end = receive(&near, &mut room).unwrap().unwrap();
        assert_eq!((end.length, end.descriptors.len()), (0, 0));
    }
}
