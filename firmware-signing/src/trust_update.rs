//! Trust updates: made by roots, judged by roots (docs/trust-update.md).

use ::trust_update::write::{Description, Draft, Signer as Place};
use ::trust_update::{Signature, SignatureCheck, TrustUpdate, Verified};
use certificate_chain::{Kind, Root as PinnedRoot, sha384};

use crate::Error;
use crate::key::{Signer, key_id};
use crate::pki::Certificate;

/// A root that signs: the slot it is pinned for, its key, its certificate.
pub struct RootSigner<'a> {
    /// The slot.
    pub slot: u8,
    /// Its key.
    pub key: &'a dyn Signer,
    /// Its certificate.
    pub certificate: &'a Certificate,
}

/// Makes an update; `description` says all but who signs.
pub fn make(description: &Description<'_>, signers: &[RootSigner<'_>]) -> Result<Vec<u8>, Error> {
    let mut places = Vec::new();
    for signer in signers {
        let certificate = signer.certificate;
        PinnedRoot::parse(signer.slot, certificate.der())?;
        let public_key = certificate.public_key()?;
        if public_key != signer.key.public_key() {
            return Err(Error::KeyNotOfCertificate {
                key: key_id(signer.key.public_key()),
                certificate: key_id(&public_key),
            });
        }
        places.push(Place {
            slot: signer.slot,
            algorithm: signer.key.algorithm().in_bundle(),
            key_id: key_id(&public_key),
        });
    }
    // A root that no device could pin would leave it without one.
    for root in description.roots {
        PinnedRoot::parse(root.slot, root.certificate)?;
    }
    let draft = Draft::new(&Description {
        signers: &places,
        ..*description
    })?;
    let message = Draft::message(&sha384(&[draft.signed()]));
    let mut signatures = Vec::new();
    for signer in signers {
        signatures.push(signer.key.sign(&message)?);
    }
    let bytes = draft.finish(&signatures)?;
    // A signature is believed when it holds, wherever it came from.
    let roots: Vec<(u8, Certificate)> = signers
        .iter()
        .map(|signer| (signer.slot, signer.certificate.clone()))
        .collect();
    verify(&bytes, &roots)?;
    Ok(bytes)
}

/// Reads an update and judges its signatures by the roots that are pinned now, each for a slot.
pub fn verify<'a>(bytes: &'a [u8], roots: &[(u8, Certificate)]) -> Result<Verified<'a>, Error> {
    let mut pinned = Vec::new();
    for (slot, root) in roots {
        pinned.push(PinnedRoot::parse(*slot, root.der())?);
    }
    let update = TrustUpdate::parse(bytes)?;
    update
        .verify(&Roots(&pinned))
        .map_err(|refused| Error::Slot {
            slot: refused.slot,
            error: refused.error,
        })
}

/// The key id of a certificate of the wanted kind, for lists.
pub fn key_id_of(certificate: &Certificate, kind: Kind) -> Result<[u8; 32], Error> {
    if certificate.kind() != kind {
        return Err(Error::CertificateOfOtherKind { wanted: kind });
    }
    Ok(key_id(&certificate.public_key()?))
}

struct Roots<'a>(&'a [PinnedRoot]);

impl SignatureCheck for Roots<'_> {
    type Error = certificate_chain::Error;

    fn sha384(&self, bytes: &[u8]) -> [u8; 48] {
        sha384(&[bytes])
    }

    fn check(&self, signature: &Signature<'_>, message: &[u8; 64]) -> Result<(), Self::Error> {
        let root = self.0.iter().find(|root| {
            root.slot() == signature.slot && *root.certificate().key_id() == signature.key_id
        });
        let certificate = root
            .ok_or(certificate_chain::Error::UnknownRoot)?
            .certificate();
        if certificate.algorithm() != signature.algorithm {
            return Err(certificate_chain::Error::Signature);
        }
        certificate_chain::verify(
            certificate.algorithm(),
            certificate.public_key(),
            message,
            signature.bytes,
        )
    }
}
