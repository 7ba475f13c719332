//! Private keys: in files, on tokens, behind programs.
//!
//! Whatever signs is a [`Signer`]. A [`Reference`] names one and opens it as a [`Key`], whose signatures are verified before anybody
//! sees them. A [`PrivateKey`] is the one which lies in a file: its signatures are deterministic (RFC 6979, Ed25519) and have a low s,
//! so the same input gives the same bytes.

mod algorithm;
mod beside;
mod file;
mod known;
mod modules;
mod program;
mod reference;
mod token;
mod uri;

pub use algorithm::Algorithm;
pub(crate) use file::pem_blocks;
pub use file::{PrivateKey, read_public};
pub use known::published;
pub use program::Program;
pub use reference::{Custody, Key, Reference, Secrets};
pub(crate) use token::{modules_for, survey};
pub use uri::TokenUri;

use crate::Error;

/// Whoever can sign: a key file, a token or a program, by the same three questions.
pub trait Signer {
    /// The algorithm of the signatures.
    fn algorithm(&self) -> Algorithm;

    /// The public half as DER-encoded SubjectPublicKeyInfo.
    fn public_key(&self) -> &[u8];

    /// The signature over `message`: raw r||s with a low s, or the 64 bytes of Ed25519.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error>;
}

/// SHA-256 of a SubjectPublicKeyInfo: what names a key everywhere in this project.
pub fn key_id(public_key: &[u8]) -> [u8; 32] {
    let mut id = [0; 32];
    let digest = ring::digest::digest(&ring::digest::SHA256, public_key);
    id.copy_from_slice(digest.as_ref());
    id
}
