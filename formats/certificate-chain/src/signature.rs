//! Keys and signatures of the three algorithms, by ring.
//!
//! A signature has one form only, so that nobody can make a second valid one out of the first: s is low in ECDSA, and ring
//! refuses an Ed25519 signature whose S is not below the group's order or whose R is not the bytes that it computes itself
//! (RFC 8032, 5.1.7, without the cofactor). What ring takes and we do not are Ed25519 keys for which everybody can sign.

use firmware_bundle::Algorithm;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_ASN1,
    ECDSA_P384_SHA384_FIXED, ED25519, UnparsedPublicKey, VerificationAlgorithm,
};

use crate::Error;

/// Judges a signature as it stands in a bundle: r then s, or Ed25519's 64 bytes. `public_key` is what a
/// SubjectPublicKeyInfo holds: an uncompressed point, or Ed25519's 32 bytes.
///
/// # Errors
/// `HighS` or `Signature`.
pub fn verify(
    algorithm: Algorithm,
    public_key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), Error> {
    let (by, half_order): (&dyn VerificationAlgorithm, &[u8]) = match algorithm {
        Algorithm::EcdsaP256Sha256 => (&ECDSA_P256_SHA256_FIXED, &HALF_ORDER_P256),
        Algorithm::EcdsaP384Sha384 => (&ECDSA_P384_SHA384_FIXED, &HALF_ORDER_P384),
        Algorithm::Ed25519 => (&ED25519, &[]),
        Algorithm::MlDsa65 => return Err(Error::Signature),
    };
    // bundle-format.md 4.4: s is the second half, and as long as the order.
    if !half_order.is_empty()
        && signature
            .get(half_order.len()..)
            .is_none_or(|s| s > half_order)
    {
        return Err(Error::HighS);
    }
    holds(by, public_key, message, signature)
        .then_some(())
        .ok_or(Error::Signature)
}

/// Whether a signature holds as it stands in a certificate: ECDSA's in DER.
pub(crate) fn holds_on_certificate(
    algorithm: Algorithm,
    public_key: &[u8],
    signed: &[u8],
    signature: &[u8],
) -> bool {
    let by: &dyn VerificationAlgorithm = match algorithm {
        Algorithm::EcdsaP256Sha256 => &ECDSA_P256_SHA256_ASN1,
        Algorithm::EcdsaP384Sha384 => &ECDSA_P384_SHA384_ASN1,
        Algorithm::Ed25519 => &ED25519,
        Algorithm::MlDsa65 => return false,
    };
    holds(by, public_key, signed, signature)
}

/// How many bits of work a key withstands, as far as it counts for who may issue whom (bundle-format.md 11.18).
pub(crate) fn strength(algorithm: Algorithm) -> u16 {
    match algorithm {
        Algorithm::EcdsaP256Sha256 | Algorithm::Ed25519 => 128,
        Algorithm::EcdsaP384Sha384 | Algorithm::MlDsa65 => 192,
    }
}

/// Whether a key has its algorithm's one form (bundle-format.md 11.5). Whether a point lies on its curve is seen when
/// a signature is checked with it.
pub(crate) fn is_key(algorithm: Algorithm, key: &[u8]) -> bool {
    match algorithm {
        Algorithm::EcdsaP256Sha256 => key.len() == 65 && key.first() == Some(&UNCOMPRESSED),
        Algorithm::EcdsaP384Sha384 => key.len() == 97 && key.first() == Some(&UNCOMPRESSED),
        Algorithm::Ed25519 => is_ed25519(key),
        Algorithm::MlDsa65 => false,
    }
}

/// A y below the field's prime, and none of the eight points of small order: with one of those as key, a signature
/// can be made for any message by anybody.
fn is_ed25519(key: &[u8]) -> bool {
    let Ok(mut y) = <[u8; 32]>::try_from(key) else {
        return false;
    };
    y.reverse();
    y[0] &= 0x7f; // the sign of x
    y < ED25519_PRIME && !ED25519_SMALL_ORDER.contains(&y)
}

fn holds(
    by: &'static dyn VerificationAlgorithm,
    key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> bool {
    let checked = UnparsedPublicKey::new(by, key).verify(message, signature);
    checked.is_ok()
}

/// SEC 1, 2.3.3.
const UNCOMPRESSED: u8 = 4;
/// Half the order of P-256's group, rounded down.
const HALF_ORDER_P256: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xde, 0x73, 0x7d, 0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8,
];
/// Half the order of P-384's group, rounded down.
const HALF_ORDER_P384: [u8; 48] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xe3, 0xb1, 0xa6, 0xc0, 0xfa, 0x1b, 0x96, 0xef,
    0xac, 0x0d, 0x06, 0xd9, 0x24, 0x58, 0x53, 0xbd, 0x76, 0x76, 0x0c, 0xb5, 0x66, 0x62, 0x94, 0xb9,
];
/// 2^255 - 19, the prime of Ed25519's field.
const ED25519_PRIME: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xed,
];
/// The y of every point whose order divides the cofactor 8: of order 4, 1, 2, and twice 8.
const ED25519_SMALL_ORDER: [[u8; 32]; 5] = [
    [
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00,
    ],
    [
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x01,
    ],
    [
        0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xec,
    ],
    [
        0x05, 0xfc, 0x53, 0x6d, 0x88, 0x02, 0x38, 0xb1, 0x39, 0x33, 0xc6, 0xd3, 0x05, 0xac, 0xdf,
        0xd5, 0xf0, 0x98, 0xef, 0xf2, 0x89, 0xf4, 0xc3, 0x45, 0xb0, 0x27, 0xb2, 0xc2, 0x8f, 0x95,
        0xe8, 0x26,
    ],
    [
        0x7a, 0x03, 0xac, 0x92, 0x77, 0xfd, 0xc7, 0x4e, 0xc6, 0xcc, 0x39, 0x2c, 0xfa, 0x53, 0x20,
        0x2a, 0x0f, 0x67, 0x10, 0x0d, 0x76, 0x0b, 0x3c, 0xba, 0x4f, 0xd8, 0x4d, 0x3d, 0x70, 0x6a,
        0x17, 0xc7,
    ],
];
