//! Private keys: made, read as OpenSSL writes them, and used to sign.
//!
//! Whatever signs is a [`Signer`]; a [`PrivateKey`] is the one which lies in a file. Signatures of
//! file keys are deterministic (RFC 6979, Ed25519) and have a low s, so the same input gives the same bytes.

mod algorithm;
mod file;

pub use algorithm::Algorithm;
pub(crate) use file::pem_blocks;
pub use file::{PrivateKey, read_public};

use crate::Error;

/// Whoever can sign: a key file now, a token or a signing service by the same three questions.
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
