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
//! The firmware bundle: read and write a signed ELF image.
//!
//! The format is `docs/bundle-format.md`, whose rules are cited by number here. Reading goes one way only: a [`File`] becomes
//! a [`Trailer`] (parts found, slots understood), a trailer becomes [`Verified`] (every signature holds), and only that gives
//! the [`Manifest`] to act upon. A [`Plan`] then walks the file in order, byte by byte accounted for. The reader allocates
//! nothing; [`write`](mod@write) does, and proves what it made with the reader.

extern crate alloc;

mod error;
mod extension;
mod footer;
mod manifest;
mod plan;
mod raw;
mod segment;
mod trailer;
pub mod write;

pub use error::{Error, Part};
pub use extension::{Extension, Reserved, SbomDigest};
pub use footer::{File, Footer};
pub use manifest::Manifest;
pub use plan::{Gaps, Plan, Step};
pub use segment::{Access, Segment};
pub use trailer::{Algorithm, SignatureCheck, Slot, SlotRefused, Trailer, Verified};

/// The footer's size, and so the least a bundle can have at its end.
pub const FOOTER_SIZE: usize = 64;
/// Padding, manifest, certificates, signatures and footer together (bundle-format.md 1.7).
pub const MAX_TRAILER: usize = 0x1_0000;
/// The ELF part, what is not loaded included (bundle-format.md 1.6).
pub const MAX_ELF: u64 = 0x0800_0000;
/// All bytes that segments take from the file (bundle-format.md 7.10).
pub const MAX_IMAGE: u64 = 0x0400_0000;
/// Segments of one manifest (bundle-format.md 7.1).
pub const MAX_SEGMENTS: usize = 32;
/// A chunk: the unit of digests and of the platform's copy command (bundle-format.md 7.11).
pub const CHUNK: u64 = 0x10_0000;
/// Chunk digests of one manifest: a full image, and one part chunk for each segment.
pub const MAX_CHUNKS: usize = 96;
/// Core ids of one manifest (bundle-format.md 6.1).
pub const MAX_CORES: usize = 16;
/// Extensions of one manifest (bundle-format.md 9.1).
pub const MAX_EXTENSIONS: usize = 32;
/// Signature slots that exist (bundle-format.md 3.2).
pub const MAX_SLOTS: usize = 2;
/// Certificates of one chain (bundle-format.md 3.8).
pub const MAX_CERTIFICATES: usize = 3;
/// The certificates of one chain together (bundle-format.md 3.9).
pub const MAX_CHAIN: usize = 0x4000;
/// The inline resource table (bundle-format.md 8.1).
pub const MAX_TABLE: usize = 0xe00;
/// The display version (bundle-format.md 5.5).
pub const MAX_DISPLAY_VERSION: usize = 32;
/// The build id (bundle-format.md 5.6).
pub const MAX_BUILD_ID: usize = 64;
/// What every signature covers: 16 bytes of prefix and a SHA-384 (bundle-format.md 4.2).
pub const MESSAGE_SIZE: usize = 64;
