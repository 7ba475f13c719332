//! What a command takes from the machine it runs on.

use std::path::PathBuf;

use platform::Core;

use crate::doorbell::{BytePort, Doorbell};
use crate::error::Error;
use crate::shared_memory::Window;
use crate::ta::Transport;

/// The secure world, the shared memory and the doorbell of a machine.
pub trait Machine {
    /// A way to the TA, without a session yet.
    ///
    /// # Errors
    /// [`Error::NoTa`] or [`Error::NoTeeClient`] where there is none.
    fn transport(&mut self) -> Result<Box<dyn Transport>, Error>;

    /// The window that a core shares with Linux.
    ///
    /// # Errors
    /// [`Error::Window`] where it cannot be mapped.
    fn window(&mut self, core: &Core) -> Result<Window, Error>;

    /// The doorbell of a core.
    ///
    /// # Errors
    /// [`Error::Doorbell`] or [`Error::DoorbellMissing`] where it cannot be opened.
    fn doorbell(&mut self, core: &Core) -> Result<Box<dyn Doorbell>, Error>;
}

/// This very machine: libteec, /dev/mem, and a virtio-serial port.
#[derive(Debug, Default)]
pub struct ThisMachine {
    /// A device to ring through, in place of the port that the platform file names.
    pub doorbell: Option<PathBuf>,
}

impl Machine for ThisMachine {
    #[cfg(target_arch = "aarch64")]
    fn transport(&mut self) -> Result<Box<dyn Transport>, Error> {
        match crate::ta::Teec::new() {
            Ok(teec) => Ok(Box::new(teec)),
            Err(failure) => Err(Error::NoTa {
                code: failure.code,
                origin: failure.origin,
            }),
        }
    }

    #[cfg(not(target_arch = "aarch64"))]
    fn transport(&mut self) -> Result<Box<dyn Transport>, Error> {
        Err(Error::NoTeeClient)
    }

    fn window(&mut self, core: &Core) -> Result<Window, Error> {
        let shared = core.shared();
        let size = usize::try_from(shared.size()).map_err(|_| Error::WindowSize {
            found: 0,
            needed: shared.size(),
        })?;
        Window::dev_mem(shared.physical(), size)
    }

    fn doorbell(&mut self, core: &Core) -> Result<Box<dyn Doorbell>, Error> {
        let port = match &self.doorbell {
            Some(device) => BytePort::open(device)?,
            None => BytePort::by_name(core.doorbell())?,
        };
        Ok(Box::new(port))
    }
}
