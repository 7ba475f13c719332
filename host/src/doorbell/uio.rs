//! A doorbell behind a UIO device: its interrupt rings us, a register of it rings the core.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::Ordering;

use rpmsg::SharedMemory as _;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::{Doorbell, Rung, failed};
use crate::error::{DoorbellOperation, Error};
use crate::shared_memory::{SharedMemory as _, Window};

/// A mailbox that the kernel gives to user space as /dev/uioN.
///
/// The kernel's side of it (`uio_pdrv_genirq` and the like) masks the interrupt when it comes; taking the rings enables
/// it again.
#[derive(Debug)]
pub struct UioDoorbell {
    fd: OwnedFd,
    registers: Window,
    at: u32,
}

impl UioDoorbell {
    /// Opens a UIO device; a ring stores the notify id into the 32-bit register at `at` bytes into `registers`, which is
    /// usually [`Window::uio`] of the same device.
    ///
    /// # Errors
    /// [`Error::Doorbell`] where it cannot be opened, or the register is outside of its window or not aligned.
    pub fn open(device: &Path, registers: Window, at: u32) -> Result<Self, Error> {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = rustix::fs::open(device, flags, Mode::empty());
        let fd = fd.map_err(|errno| failed(DoorbellOperation::Open, errno))?;
        Self::from_parts(fd, registers, at)
    }

    fn from_parts(fd: OwnedFd, registers: Window, at: u32) -> Result<Self, Error> {
        let inside = at
            .checked_add(4)
            .is_some_and(|end| end <= registers.size() && at.is_multiple_of(4));
        if !inside {
            return Err(failed(DoorbellOperation::Open, Errno::INVAL));
        }
        let bell = UioDoorbell { fd, registers, at };
        bell.enable()?;
        Ok(bell)
    }

    /// Devices whose interrupt cannot be masked refuse this, and need it not.
    fn enable(&self) -> Result<(), Error> {
        match rustix::io::write(&self.fd, &1_u32.to_ne_bytes()) {
            Ok(_) | Err(Errno::NOSYS) => Ok(()),
            Err(errno) => Err(failed(DoorbellOperation::Wait, errno)),
        }
    }
}

impl AsFd for UioDoorbell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Doorbell for UioDoorbell {
    fn ring(&self, notify_id: u8) -> Result<(), Error> {
        self.registers
            .store_u32(self.at, notify_id.into(), Ordering::Release);
        Ok(())
    }

    fn drain(&self) -> Result<Rung, Error> {
        // The number of interrupts since the device was opened.
        let mut count = [0_u8; 4];
        match rustix::io::read(&self.fd, &mut count) {
            Ok(4) => self.enable().map(|()| Rung::Yes),
            Ok(_) => Err(failed(DoorbellOperation::Wait, Errno::PIPE)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(Rung::No),
            Err(errno) => Err(failed(DoorbellOperation::Wait, errno)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    /// What the kernel does, over a socket: interrupts come as 4 bytes, enabling them goes as 4 bytes.
    fn device() -> (UioDoorbell, OwnedFd, Window) {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let (ours, kernel) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
        let (registers, _fd) = Window::memfd(0x1000).unwrap();
        let bell = UioDoorbell::from_parts(ours, registers.clone(), 0x10).unwrap();
        (bell, kernel, registers)
    }

    fn enabled(kernel: &OwnedFd) -> Option<[u8; 4]> {
        let mut word = [0; 4];
        let length = rustix::io::read(kernel, &mut word).ok()?;
        (length == 4).then_some(word)
    }

    #[test]
    fn a_uio_interrupt_rings_and_is_enabled_again_once_taken() {
        let (bell, kernel, _registers) = device();
        assert_eq!(enabled(&kernel), Some(1_u32.to_ne_bytes()));
        assert_eq!(bell.wait(Duration::ZERO), Ok(Rung::No));
        rustix::io::write(&kernel, &7_u32.to_ne_bytes()).unwrap();
        assert_eq!(bell.wait(Duration::from_secs(5)), Ok(Rung::Yes));
        assert_eq!(enabled(&kernel), Some(1_u32.to_ne_bytes()));
        assert_eq!(enabled(&kernel), None);
    }

    #[test]
    fn a_uio_doorbell_rings_by_its_register() {
        let (bell, _kernel, registers) = device();
        bell.ring(3).unwrap();
        assert_eq!(registers.load_u32(0x10, Ordering::Acquire), 3);
    }

    #[test]
    fn a_register_outside_of_the_device_is_refused() {
        for at in [0x1000, 0xffe, 2, u32::MAX] {
            let (registers, fd) = Window::memfd(0x1000).unwrap();
            let refused = UioDoorbell::from_parts(fd, registers, at).err();
            assert_eq!(
                refused,
                Some(failed(DoorbellOperation::Open, Errno::INVAL)),
                "{at:#x}"
            );
        }
    }
}
