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
//! The trust update: whom and what devices of one class no longer trust, and which roots they pin from now on.
//!
//! The format is `docs/trust-update.md`, whose rules are cited by number here. A [`TrustUpdate`] is read from one buffer,
//! without allocation and with every list bounded; it becomes [`Verified`] only when each of its signatures holds. Writing
//! ([`write`](mod@write)) allocates, and proves what it made with the reader.

extern crate alloc;

mod error;
mod raw;
mod read;
pub mod write;

pub use error::{Error, List};
pub use read::{
    Floor, Generation, Root, Signature, SignatureCheck, SignatureRefused, TrustUpdate, Verified,
};

/// The whole object (trust-update.md 1.1).
pub const MAX_SIZE: usize = 0x1_0000;
/// Product CAs with a minimum generation (trust-update.md 2.2).
pub const MAX_GENERATIONS: u16 = 16;
/// Revoked signers (trust-update.md 2.3).
pub const MAX_REVOKED: u16 = 64;
/// Cores with a floor (trust-update.md 2.4).
pub const MAX_FLOORS: u16 = 32;
/// Roots of a device (trust-update.md 2.5).
pub const MAX_ROOTS: u16 = 8;
/// One root certificate (trust-update.md 2.5).
pub const MAX_ROOT: u32 = 0x1000;
/// Signatures (trust-update.md 3.1).
pub const MAX_SIGNATURES: u16 = 2;
/// What every signature covers: 16 bytes of text and a SHA-384 (trust-update.md 3.3).
pub const MESSAGE_SIZE: usize = 64;
