//! Writing a trust update: lists that stay to be signed, then the whole.
//!
//! What is described is laid out, then read back by the reader: an error is the rule it would have broken.

use alloc::vec::Vec;

use firmware_bundle::Algorithm;
use zerocopy::IntoBytes;

use crate::read::{MAGIC, VERSION, message};
use crate::{Error, Floor, Generation, MESSAGE_SIZE, Root, TrustUpdate, raw};

/// What the update will say; each list in its order.
#[derive(Clone, Copy, Debug)]
pub struct Description<'a> {
    /// The version of the list.
    pub list_version: u32,
    /// UUID of the machines it is for.
    pub device_class: [u8; 16],
    /// By ascending key id.
    pub generations: &'a [Generation],
    /// Ascending.
    pub revoked: &'a [[u8; 32]],
    /// By ascending core.
    pub floors: &'a [Floor],
    /// By ascending slot and certificate; empty where the set stays as it is.
    pub roots: &'a [Root<'a>],
    /// Who will sign, by ascending slot.
    pub signers: &'a [Signer],
}

/// A root that will sign.
#[derive(Clone, Copy, Debug)]
pub struct Signer {
    /// The slot it is pinned for.
    pub slot: u8,
    /// The algorithm of its key.
    pub algorithm: Algorithm,
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub key_id: [u8; 32],
}

/// Holding a `Draft` tells you that all but the signatures is made and keeps the format.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    signed: Vec<u8>,
    signers: &'a [Signer],
}

impl<'a> Draft<'a> {
    /// Lays out an update.
    ///
    /// # Errors
    /// The rule of trust-update.md which the description would break.
    pub fn new(description: &Description<'a>) -> Result<Draft<'a>, Error> {
        // A count that does not fit its field is far above its limit, and u16::MAX is so too.
        let count = |length: usize| u16::try_from(length).unwrap_or(u16::MAX).into();
        let head = raw::Head {
            magic: MAGIC,
            version: VERSION.into(),
            generations: count(description.generations.len()),
            revoked: count(description.revoked.len()),
            floors: count(description.floors.len()),
            roots: count(description.roots.len()),
            signatures: count(description.signers.len()),
            list_version: description.list_version.into(),
            device_class: description.device_class,
            reserved: [0; 16],
        };
        let mut signed = Vec::from(head.as_bytes());
        for generation in description.generations {
            let record = raw::Generation {
                key_id: generation.key_id,
                minimum: generation.minimum.into(),
                reserved: [0; 12],
            };
            signed.extend(record.as_bytes());
        }
        signed.extend(description.revoked.as_flattened());
        for floor in description.floors {
            let record = raw::Floor {
                core: floor.core.into(),
                minimum: floor.minimum.into(),
                reserved: [0; 8],
            };
            signed.extend(record.as_bytes());
        }
        for root in description.roots {
            let head = raw::RootHead {
                slot: root.slot,
                reserved: [0; 3],
                length: u32::try_from(root.certificate.len())
                    .unwrap_or(u32::MAX)
                    .into(),
                reserved_too: [0; 8],
            };
            signed.extend(head.as_bytes());
            signed.extend(root.certificate);
            pad(&mut signed);
        }
        let draft = Draft {
            signed,
            signers: description.signers,
        };
        let sizes = description
            .signers
            .iter()
            .map(|signer| signer.algorithm.signature_size());
        let zeros: Vec<Vec<u8>> = sizes.map(|size| alloc::vec![0; size]).collect();
        TrustUpdate::parse(&draft.join(&zeros))?;
        Ok(draft)
    }

    /// What is hashed for the message.
    #[must_use]
    pub fn signed(&self) -> &[u8] {
        &self.signed
    }

    /// The 64 bytes to sign, from the SHA-384 of [`Draft::signed`].
    #[must_use]
    pub fn message(digest: &[u8; 48]) -> [u8; MESSAGE_SIZE] {
        message(digest)
    }

    /// Puts in the raw signatures, in the order of the signers.
    ///
    /// # Errors
    /// `Short` or `Tail` where they are not as long as the algorithms say.
    pub fn finish(self, signatures: &[Vec<u8>]) -> Result<Vec<u8>, Error> {
        let bytes = self.join(signatures);
        TrustUpdate::parse(&bytes)?;
        Ok(bytes)
    }

    fn join(&self, signatures: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = self.signed.clone();
        for (signer, signature) in self.signers.iter().zip(signatures) {
            let head = raw::SignatureHead {
                slot: signer.slot,
                reserved: 0,
                algorithm: signer.algorithm.id().into(),
                reserved_too: [0; 12],
                key_id: signer.key_id,
            };
            bytes.extend(head.as_bytes());
            bytes.extend(signature);
            pad(&mut bytes);
        }
        bytes
    }
}

fn pad(bytes: &mut Vec<u8>) {
    let padding = bytes.len().wrapping_neg() & 15;
    bytes.extend(core::iter::repeat_n(0, padding));
}
