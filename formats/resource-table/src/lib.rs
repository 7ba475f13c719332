//! The remoteproc resource table: read, sanitise, write.
//!
//! The firmware's linker places a table of 32-bit records that says which virtio devices and trace buffers it
//! offers; Linux and OpenAMP agree on its layout. [`Table`] is a table whose form is proven; [`Sanitised`] is one that
//! also keeps a platform's rules and may be published: every field that Linux or the core would act on is inside the
//! shared window. What is kept stays at the offset it had, for firmware reaches its entries by the offsets of a C
//! struct, not through the offset array. [`SharedView`] is the other direction: of the published copy, which the core
//! can rewrite at any time, only what must be taken from there.
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

#[cfg(test)]
extern crate std;

mod error;
mod raw;
mod sanitise;
mod shared;
mod table;

pub use error::Error;
pub use sanitise::Sanitised;
pub use shared::{SharedVdev, SharedView, SharedVring};
pub use table::{Entry, Table, Trace, Vdev, Vring, vring_size};

/// The longest table: behind it lie the generation lines of the table page.
pub const MAX_LENGTH: usize = 0xE00;
/// The most entries of a table.
pub const MAX_ENTRIES: u32 = 32;
/// The most virtio devices of a table.
pub const MAX_VDEVS: usize = 8;
/// The most vrings of one virtio device: Linux has two places per device (`RVDEV_NUM_VRINGS`) and refuses a third.
pub const MAX_VRINGS: u8 = 2;
/// The longest configuration space of a virtio device.
pub const MAX_CONFIG: u32 = 256;
/// The most descriptors of a vring: 32 KiB of descriptors and rings, four times what Linux has buffers for.
pub const MAX_DESCRIPTORS: u32 = 1024;
/// The least alignment of a vring: that of a descriptor (VirtIO 1.3, 2.7).
pub const MIN_ALIGN: u32 = 16;
/// The greatest alignment of a vring: a page, so that an address aligned for the core is aligned for Linux too.
pub const MAX_ALIGN: u32 = 0x1000;
/// The greatest notify id: a doorbell rings with one byte.
pub const MAX_NOTIFY_ID: u32 = 0xFF;
/// "Any address", "any id": whoever publishes the table chooses.
pub const ANY: u32 = 0xFFFF_FFFF;
