//! Sign firmware for coprocessors: library and the CLI corewarden-sign.
#![forbid(unsafe_code)]

mod advice;
pub mod against;
pub mod cli;
pub mod csr;
pub mod diff;
pub mod elf;
mod error;
mod failure;
pub mod files;
pub mod inspect;
pub mod key;
pub mod lint;
pub mod picture;
pub mod pki;
pub mod place;
pub mod provenance;
pub mod release;
pub mod request;
pub mod resign;
pub mod sample;
pub mod sign;
pub mod sign_rproc_fw;
mod signals;
pub mod strip;
pub mod trust_update;
pub mod verify;

pub use error::Error;
pub use failure::Failure;
pub use sign::{Options, Signed, sign, sign_description};

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A UUID in its usual five groups.
pub(crate) fn uuid(bytes: &[u8; 16]) -> String {
    let digits = hex(bytes);
    format!(
        "{}-{}-{}-{}-{}",
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..]
    )
}
