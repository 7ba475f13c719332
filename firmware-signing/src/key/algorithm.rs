//! The algorithms: their names, their numbers in certificates and bundles, and the check of a signature.

use der::asn1::AnyRef;
use der::oid::ObjectIdentifier;
use der::{Decode, Encode};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519 as ED25519_CHECK, UnparsedPublicKey,
    VerificationAlgorithm,
};
use x509_cert::spki::{AlgorithmIdentifier, AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

use super::key_id;
use crate::Error;

/// The algorithms this tool can sign with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    #[default]
    EcdsaP256,
    /// ECDSA on P-384 with SHA-384.
    EcdsaP384,
    /// Ed25519 as RFC 8032 has it, over the message itself.
    Ed25519,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::EcdsaP256, Self::EcdsaP384, Self::Ed25519];

    /// The name used in options, reports and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "ecdsa-p256-sha256",
            Self::EcdsaP384 => "ecdsa-p384-sha384",
            Self::Ed25519 => "ed25519",
        }
    }

    /// What a bundle calls it (bundle-format.md 3.6).
    pub const fn in_bundle(self) -> firmware_bundle::Algorithm {
        match self {
            Self::EcdsaP256 => firmware_bundle::Algorithm::EcdsaP256Sha256,
            Self::EcdsaP384 => firmware_bundle::Algorithm::EcdsaP384Sha384,
            Self::Ed25519 => firmware_bundle::Algorithm::Ed25519,
        }
    }

    /// What a certificate calls a signature of it.
    pub const fn signature_oid(self) -> ObjectIdentifier {
        match self {
            Self::EcdsaP256 => ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2"),
            Self::EcdsaP384 => ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3"),
            Self::Ed25519 => ED25519,
        }
    }

    /// What a SubjectPublicKeyInfo or a PKCS#8 file calls a key of it.
    pub(crate) fn of_identifier(identifier: AlgorithmIdentifierRef<'_>) -> Result<Self, Error> {
        let curve = identifier.parameters.map(AnyRef::decode_as);
        match (identifier.oid, curve) {
            (EC_PUBLIC_KEY, Some(Ok(P256))) => Ok(Self::EcdsaP256),
            (EC_PUBLIC_KEY, Some(Ok(P384))) => Ok(Self::EcdsaP384),
            (ED25519, None) => Ok(Self::Ed25519),
            _ => Err(Error::KeyAlgorithm),
        }
    }

    /// The algorithm of a public key: DER-encoded SubjectPublicKeyInfo.
    pub fn of_public_key(public_key: &[u8]) -> Result<Self, Error> {
        let info =
            SubjectPublicKeyInfoRef::from_der(public_key).map_err(|_| Error::KeyMalformed)?;
        Self::of_identifier(info.algorithm)
    }

    /// Wraps the bytes of a public key as SubjectPublicKeyInfo: an uncompressed point, or the 32 bytes of Ed25519.
    pub(crate) fn public_key(self, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        let curve = match self {
            Self::EcdsaP256 => Some(P256),
            Self::EcdsaP384 => Some(P384),
            Self::Ed25519 => None,
        };
        let info = x509_cert::spki::SubjectPublicKeyInfo {
            algorithm: AlgorithmIdentifier {
                oid: curve.map_or(ED25519, |_| EC_PUBLIC_KEY),
                parameters: curve,
            },
            subject_public_key: der::asn1::BitStringRef::from_bytes(bytes)
                .map_err(|_| Error::KeyMalformed)?,
        };
        info.to_der().map_err(|_| Error::KeyMalformed)
    }

    /// Whether `signature`, in the raw form that [`Signer::sign`](super::Signer::sign) gives, is one over `message` by the holder of `public_key`.
    pub fn check(self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), Error> {
        let wrong = Error::SignatureNotOfKey {
            key: key_id(public_key),
        };
        if Self::of_public_key(public_key)? != self {
            return Err(wrong);
        }
        let info =
            SubjectPublicKeyInfoRef::from_der(public_key).map_err(|_| Error::KeyMalformed)?;
        let key = info
            .subject_public_key
            .as_bytes()
            .ok_or(Error::KeyMalformed)?;
        let algorithm: &dyn VerificationAlgorithm = match self {
            Self::EcdsaP256 => &ECDSA_P256_SHA256_FIXED,
            Self::EcdsaP384 => &ECDSA_P384_SHA384_FIXED,
            Self::Ed25519 => &ED25519_CHECK,
        };
        UnparsedPublicKey::new(algorithm, key)
            .verify(message, signature)
            .map_err(|ring::error::Unspecified| wrong)
    }

    /// Brings the s of an ECDSA signature down: tokens and services give either of the two that verify.
    pub fn normalise(self, raw: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(match self {
            Self::EcdsaP256 => p256::ecdsa::Signature::from_slice(raw)
                .map_err(|_| Error::SignerFailed)?
                .normalize_s()
                .to_bytes()
                .to_vec(),
            Self::EcdsaP384 => p384::ecdsa::Signature::from_slice(raw)
                .map_err(|_| Error::SignerFailed)?
                .normalize_s()
                .to_bytes()
                .to_vec(),
            Self::Ed25519 => raw.to_vec(),
        })
    }

    /// The opposite of [`Self::signature_in_certificate`].
    pub fn signature_from_certificate(self, der: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(match self {
            Self::EcdsaP256 => p256::ecdsa::Signature::from_der(der)
                .map_err(|_| Error::SignerFailed)?
                .to_bytes()
                .to_vec(),
            Self::EcdsaP384 => p384::ecdsa::Signature::from_der(der)
                .map_err(|_| Error::SignerFailed)?
                .to_bytes()
                .to_vec(),
            Self::Ed25519 => der.to_vec(),
        })
    }

    /// A raw signature as certificates carry it: ECDSA's r and s become DER.
    pub fn signature_in_certificate(self, raw: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(match self {
            Self::EcdsaP256 => p256::ecdsa::Signature::from_slice(raw)
                .map_err(|_| Error::SignerFailed)?
                .to_der()
                .as_bytes()
                .to_vec(),
            Self::EcdsaP384 => p384::ecdsa::Signature::from_slice(raw)
                .map_err(|_| Error::SignerFailed)?
                .to_der()
                .as_bytes()
                .to_vec(),
            Self::Ed25519 => raw.to_vec(),
        })
    }
}

pub(super) const EC_PUBLIC_KEY: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
pub(super) const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
pub(super) const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
pub(super) const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
