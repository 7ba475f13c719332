//! What can go wrong, with its numbers, its exit code and what to do about it.

use thiserror::Error;

use crate::pki::Date;

/// Why the tool refused or failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// A certificate's validity has ended.
    #[error("the certificate expired on {not_after} (judged at {at})")]
    CertificateExpired {
        /// Its last moment.
        not_after: Date,
        /// The moment asked about.
        at: Date,
    },
    /// A certificate is not PEM or DER, or not X.509 version 3.
    #[error("not a readable certificate")]
    CertificateMalformed,
    /// A name, date or number cannot be put into a certificate.
    #[error("the certificate cannot be encoded")]
    CertificateNotEncodable,
    /// A certificate's validity has not begun.
    #[error("the certificate is valid only from {not_before} (judged at {at})")]
    CertificateNotYetValid {
        /// Its first moment.
        not_before: Date,
        /// The moment asked about.
        at: Date,
    },
    /// A date is not written as `2026-11-20`, `2026-11-20T12:00:00Z` or `never`.
    #[error("not a date")]
    DateMalformed,
    /// "Proc-Type: 4,ENCRYPTED": OpenSSL's old encryption, with a weak key derivation.
    #[error("the key is encrypted in OpenSSL's old way")]
    KeyLegacyEncryption,
    /// No key could be read.
    #[error("not a readable private key")]
    KeyMalformed,
    /// Key and certificate do not belong together.
    #[error(
        "the key ({}) is not the certificate's ({})",
        crate::hex(key),
        crate::hex(certificate)
    )]
    KeyNotOfCertificate {
        /// SHA-256 of the key's public half.
        key: [u8; 32],
        /// SHA-256 of the certificate's public key.
        certificate: [u8; 32],
    },
    /// A key of another algorithm or curve.
    #[error("not a P-256 key")]
    KeyNotP256,
    /// A public key or a certificate where a private key is needed.
    #[error("this is the public half; a private key is needed")]
    KeyNotPrivate,
    /// The passphrase does not open the key.
    #[error("the passphrase does not open the key")]
    KeyPassphraseWrong,
    /// A distinguished name is not written as RFC 4514 has it.
    #[error("not a distinguished name")]
    NameMalformed,
    /// The operating system gave no random numbers.
    #[error("the operating system gave no random numbers")]
    NoRandomness,
    /// A device class which the issuer may not speak for.
    #[error("device class {} is outside the issuer's scope", crate::uuid(class))]
    ScopeClassOutsideIssuer {
        /// The device class.
        class: [u8; 16],
    },
    /// A core which the issuer may not speak for.
    #[error("core {core} is outside the issuer's scope")]
    ScopeCoreOutsideIssuer {
        /// The core id.
        core: u32,
    },
    /// Development below release, or the other way round.
    #[error("the role differs from the issuer's")]
    ScopeRoleOutsideIssuer,
    /// A ceiling above the issuer's.
    #[error("the version ceiling {asked} is above the issuer's {issuer}")]
    ScopeVersionOutsideIssuer {
        /// The ceiling asked for.
        asked: u32,
        /// The issuer's ceiling.
        issuer: u32,
    },
    /// The signer answered with an error.
    #[error("the key could not sign")]
    SignerFailed,
}
