//! Signatures as other tools write them.

use crate::Error;
use crate::key::Algorithm;

/// Turns what `openssl` or `pkcs11-tool` wrote into the raw form with a low s, and judges it.
///
/// ECDSA signatures may be DER, as `openssl dgst -sign` and `openssl pkeyutl -sign` write them, or r and s, as tokens give them.
pub fn accept(
    slot: u8,
    algorithm: Algorithm,
    public_key: &[u8],
    message: &[u8],
    bytes: &[u8],
) -> Result<Vec<u8>, Error> {
    let size = algorithm.in_bundle().signature_size();
    let raw = (bytes.len() == size).then(|| bytes.to_vec());
    // A raw signature may begin like DER, so each form is tried for what it is worth.
    let forms: Vec<Vec<u8>> = raw.into_iter().chain(from_der(algorithm, bytes)).collect();
    if forms.is_empty() {
        return Err(Error::SignatureMalformed {
            slot,
            length: bytes.len() as u64,
            raw: size as u64,
        });
    }
    forms
        .iter()
        .filter_map(|form| algorithm.normalise(form).ok())
        .find(|form| algorithm.check(public_key, message, form).is_ok())
        .ok_or(Error::SignatureWrong { slot })
}

fn from_der(algorithm: Algorithm, bytes: &[u8]) -> Option<Vec<u8>> {
    match algorithm {
        Algorithm::EcdsaP256 => {
            let signature = p256::ecdsa::Signature::from_der(bytes).ok()?;
            Some(signature.to_bytes().to_vec())
        }
        Algorithm::EcdsaP384 => {
            let signature = p384::ecdsa::Signature::from_der(bytes).ok()?;
            Some(signature.to_bytes().to_vec())
        }
        Algorithm::Ed25519 => None,
    }
}
