#![no_std]
#![forbid(unsafe_code)]
//! Our X.509 profile and the signature checks behind a bundle.
//!
//! The profile is `docs/bundle-format.md` section 11: pinned roots, a product CA, a leaf, each with the one scope extension
//! that says what its holder may sign. Names mean nothing and dates are not judged; both are there for people and tools.
//! [`Checker`] is what the bundle's reader asks; [`Certificate`] is one certificate that keeps the profile. Foreign parsing
//! happens here and nowhere else, behind limits of our own.

extern crate alloc;

mod certificate;
mod checker;
mod der;
mod error;
mod scope;
mod signature;

pub use certificate::{Certificate, Kind, Validity};
pub use checker::{Checker, MAX_ROOTS, Root, Signer, sha256, sha384};
pub use error::{Error, Field};
pub use scope::{MAX_CLASSES, MAX_CORES, Role, Scope};
pub use signature::verify;
pub use x509_cert::spki::ObjectIdentifier;

/// The scope extension (bundle-format.md 11.12); provisional: RFC 5612 keeps this arc for examples.
pub const SCOPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.32473.1.1");
/// The key purpose of a signer of firmware (bundle-format.md 11.11); provisional likewise.
pub const KEY_PURPOSE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.32473.1.2");
/// The key purpose `codeSigning`, which a leaf has beside ours.
pub const CODE_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3");
/// The longest certificate (bundle-format.md 11.2). One in use has less than 1 KiB.
pub const MAX_CERTIFICATE: usize = 0x1000;
