//! A link between two processes of Linux: who hands out the window, and who joins.
//!
//! A [`Meeting`] is a socket at which a process asks for its half of a link: it gets the window and its doorbell, an end
//! of a pair of sockets, as descriptors, after which nobody stands between the two. Whoever holds the meeting may be one of
//! the two, or a third that outlives both. A side that died, and comes again, gets the same window and the same doorbell,
//! and the link begins anew as rpmsg-lifecycle.md says. The window is sealed: neither side can cut it under the other.
//! Where the geometry says so the link is *symmetric*: each side owns the buffers that it sends in (rpmsg-rings.md 4).
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//!
//! use corewarden::hub::Options;
//! use corewarden::peer::{Meeting, Role, join};
//! use corewarden::place::Geometry;
//! use corewarden::Limit;
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("motor.link");
//! # let path = path.as_path();
//! let meeting = Meeting::at(path, Geometry::default(), Default::default())?;
//! let device = std::thread::spawn({
//!     let path = path.to_owned();
//!     move || {
//!         let soon = Limit::after(Duration::from_secs(20));
//!         let hub = join(&path, Role::Device, Options::default(), soon)?;
//!         let echo = hub.serve("echo", soon)?;
//!         let message = echo.recv(soon)?;
//!         echo.send(&message.payload, soon)
//!     }
//! });
//! let driver = std::thread::spawn({
//!     let path = path.to_owned();
//!     move || {
//!         let soon = Limit::after(Duration::from_secs(20));
//!         let hub = join(&path, Role::Driver, Options::default(), soon)?;
//!         let echo = hub.connect("echo", soon)?;
//!         echo.send(b"hello", soon)?;
//!         echo.recv(soon)
//!     }
//! });
//! while !driver.is_finished() {
//!     meeting.attend(Duration::from_millis(10))?;
//! }
//! assert_eq!(driver.join().unwrap()?.payload, b"hello");
//! # device.join().unwrap()?;
//! # Ok::<(), corewarden::Error>(())
//! ```

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use crate::doorbell::{BytePort, readable};
use crate::error::{Error, Waiting};
use crate::hub::{Hub, Options};
use crate::limit::Limit;
use crate::place::{Geometry, Place};
use crate::shared_memory::Window;
use crate::socket::{Access, Listener, Packet, connect, receive, send};

/// Which side of a link a process takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The side that serves.
    Device,
    /// The side that owns the buffers; on a symmetric link, that waits for the other one's.
    Driver,
}

impl Role {
    fn word(self) -> &'static [u8] {
        match self {
            Role::Device => b"device",
            Role::Driver => b"driver",
        }
    }
}

/// A window and its doorbells, for the two processes that come and ask.
#[derive(Debug)]
pub struct Meeting {
    listener: Listener,
    geometry: Geometry,
    window: OwnedFd,
    bells: (BytePort, BytePort),
}

impl Meeting {
    /// Makes a window and waits for both sides at a path.
    ///
    /// # Errors
    /// [`Error::Socket`] where it cannot be listened at the path, [`Error::Rpmsg`] where the geometry is not possible.
    pub fn at(path: &Path, geometry: Geometry, access: Access) -> Result<Self, Error> {
        let (window, file) = Window::memfd(geometry.window_size())?;
        Place::between_processes(&geometry, &window)?;
        Ok(Meeting {
            listener: Listener::bind(path, access)?,
            geometry,
            window: file,
            bells: BytePort::pair()?,
        })
    }

    /// Waits so long for somebody to come, and hands out what there is to whoever does.
    ///
    /// # Errors
    /// [`Error::Socket`] where the meeting's own socket fails; a guest that misbehaves goes without.
    pub fn attend(&self, patience: Duration) -> Result<(), Error> {
        if !readable(&[self.listener.as_fd()], patience)? {
            return Ok(());
        }
        let mut guests = Vec::new();
        while guests.len() < GUESTS
            && let Some(guest) = self.listener.accept()?
        {
            guests.push(guest);
        }
        // One that says nothing holds up those behind it no longer than all of these together.
        let limit = Limit::after(GUEST);
        while !guests.is_empty()
            && let Ok(left) = limit.slice(GUEST, Waiting::Invitation)
        {
            let fds: Vec<_> = guests.iter().map(AsFd::as_fd).collect();
            readable(&fds, left)?;
            guests.retain(|guest| !self.answer(guest));
        }
        Ok(())
    }

    /// Whether a guest needs nothing any more.
    fn answer(&self, guest: &OwnedFd) -> bool {
        let mut word = [0; 8];
        let role = match receive(guest, &mut word) {
            Ok(None) => return false,
            Ok(Some(Packet {
                length, cut: false, ..
            })) => word.get(..length),
            _ => None,
        };
        let (driver, device) = &self.bells;
        let bell = match role {
            Some(word) if word == Role::Driver.word() => driver,
            Some(word) if word == Role::Device.word() => device,
            _ => return true,
        };
        let descriptors = [self.window.as_fd(), bell.as_fd()];
        // One that left in the meantime needs nothing any more.
        let _ = send(guest, &invitation(self.geometry), &descriptors);
        true
    }
}

impl AsFd for Meeting {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

/// Takes one side of the link that is handed out at a path.
///
/// # Errors
/// [`Error::Socket`] where nobody is there, [`Error::TimeLimit`] where nobody answers, [`Error::Invitation`] where the answer
/// is none, [`Error::InvitationVersion`] where it is that of another version.
pub fn join(path: &Path, role: Role, options: Options, limit: Limit<'_>) -> Result<Hub, Error> {
    let host = connect(path)?;
    send(&host, role.word(), &[])?;
    let mut room = [0; 32];
    let packet = loop {
        let slice = limit.slice(Duration::from_millis(50), Waiting::Invitation)?;
        if readable(&[host.as_fd()], slice)?
            && let Some(packet) = receive(&host, &mut room)?
        {
            break packet;
        }
    };
    let geometry = geometry_of(room.get(..packet.length).unwrap_or_default())?;
    let descriptors = <[OwnedFd; 2]>::try_from(packet.descriptors);
    let [window, bell] = descriptors.map_err(|_| Error::Invitation)?;
    let bell = BytePort::socket(bell).ok_or(Error::Invitation)?;
    let window = Window::sealed(&window, geometry.window_size())?;
    let place = Place::between_processes(&geometry, &window)?;
    let options = Options {
        buffer_size: geometry.buffer_size,
        ..options
    };
    match role {
        Role::Device => Hub::device(place, window, bell, options),
        Role::Driver => Hub::driver(move |_| Ok(place), window, bell, options),
    }
}

/// Magic, descriptors, bytes of a buffer, slots each way, bytes of a slot, and 1 where each side owns what it sends in.
fn invitation(geometry: Geometry) -> Vec<u8> {
    let (descriptors, slots) = (geometry.descriptors.into(), geometry.slots.into());
    let words = [
        MAGIC,
        descriptors,
        geometry.buffer_size,
        slots,
        geometry.slot_size,
        geometry.symmetric.into(),
    ];
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

fn geometry_of(invitation: &[u8]) -> Result<Geometry, Error> {
    let unlike = Error::Invitation;
    let (words, []) = invitation.as_chunks::<4>() else {
        return Err(unlike);
    };
    let words: Vec<_> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
    let [magic, ..] = *words else {
        return Err(unlike);
    };
    if magic != MAGIC {
        return Err(match magic.to_le_bytes() {
            [b'C', b'W', b'L', version] => Error::InvitationVersion { version },
            _ => unlike,
        });
    }
    let [_, descriptors, buffer_size, slots, slot_size, symmetric] = *words else {
        return Err(unlike);
    };
    Ok(Geometry {
        descriptors: descriptors.try_into().map_err(|_| unlike)?,
        buffer_size,
        slots: slots.try_into().map_err(|_| unlike)?,
        slot_size,
        symmetric: match symmetric {
            0 => false,
            1 => true,
            _ => return Err(unlike),
        },
    })
}

/// "CWL3": the third version of what a meeting hands out. The first knew no slots, and its doorbells were event counters; the
/// second no symmetric links.
const MAGIC: u32 = 0x334c_5743;
/// How many are attended to at once.
const GUESTS: usize = 16;
/// How long they may take to say which side they are.
const GUEST: Duration = Duration::from_millis(200);
