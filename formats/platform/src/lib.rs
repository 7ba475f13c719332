//! The types of a platform file: cores, regions, windows, policy.
//!
//! One TOML file describes one machine. The TA's build checks it and embeds it, the TA checks it again when it
//! starts, and signer, host and test bed read the same file, so that all of them judge by the same map.
//! [`File`] is what serde reads, and means nothing yet; [`Platform`] is what passed every rule below. The checked
//! form is the read one, wrapped: checking allocates nothing.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::panic
    )
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod check;
mod core;
mod error;
mod file;
mod span;

pub use self::core::{
    Architecture, Area, Control, Core, Isolation, OtherEntries, Place, Policy, Region, Window,
};
pub use error::{AreaName, Error, Owner};
pub use file::{File, Numbering, Role, Root};
pub use span::Span;

use ta_protocol::Uuid;

/// The longest name of a platform, core, region or doorbell.
pub const MAX_NAME: usize = 32;
/// The most cores a platform has.
pub const MAX_CORES: usize = 16;
/// The most private regions a core has.
pub const MAX_REGIONS: usize = 16;
/// The signature slots that a bundle can have.
pub const MAX_SLOTS: u8 = 2;
/// What every region and window is aligned to and a multiple of.
pub const PAGE: u64 = 0x1000;
/// How much of the table page the table may take; behind it lie the two generation lines.
pub const MAX_TABLE: u64 = 0xE00;
/// Where the driver's generation line lies in the table page.
pub const DRIVER_LINE: u64 = 0xE00;
/// Where the device's generation line lies in the table page.
pub const DEVICE_LINE: u64 = 0xE40;
/// The largest region or window.
pub const MAX_SIZE: u64 = 1 << 32;

/// A platform: holding one tells you that its file keeps every rule of [`Error`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform(File);

impl Platform {
    /// The file it was made from.
    pub fn file(&self) -> &File {
        &self.0
    }

    /// The platform's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The class of devices that bundles are made for.
    pub fn device_class(&self) -> Uuid {
        self.0.device_class
    }

    /// Whether development keys are trusted.
    pub fn role(&self) -> Role {
        self.0.role
    }

    /// How the platform's PTA numbers its commands.
    pub fn numbering(&self) -> Numbering {
        self.0.pta_numbering
    }

    /// The roots to pin, each for one slot.
    pub fn roots(&self) -> &[Root] {
        &self.0.roots
    }

    /// Bit n is set where a bundle must have a signature in slot n.
    pub fn required_slots(&self) -> u32 {
        self.0
            .required_slots
            .iter()
            .fold(0, |bits, slot| bits | check::slot_bit(*slot))
    }

    /// All cores, sorted by id.
    pub fn cores(&self) -> &[Core] {
        &self.0.cores
    }

    /// The core with this id.
    pub fn core(&self, id: u32) -> Option<&Core> {
        self.0.cores.iter().find(|core| core.id() == id)
    }
}

impl TryFrom<File> for Platform {
    type Error = Error;

    fn try_from(file: File) -> Result<Self, Error> {
        check::file(&file)?;
        Ok(Self(file))
    }
}
