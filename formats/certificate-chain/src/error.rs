//! Why a chain or a signature is refused.

use firmware_bundle::Algorithm;

use crate::Kind;

/// Parts of a certificate that have one rule each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// bundle-format.md 11.9
    BasicConstraints,
    /// bundle-format.md 11.11
    ExtendedKeyUsage,
    /// bundle-format.md 11.10
    KeyUsage,
    /// bundle-format.md 11.12
    Scope,
}

impl core::fmt::Display for Field {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Field::BasicConstraints => "basic constraints",
            Field::ExtendedKeyUsage => "extended key usage",
            Field::KeyUsage => "key usage",
            Field::Scope => "firmware scope",
        })
    }
}

/// One variant for each rule of docs/bundle-format.md, section 11, and 4.4 and 4.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// bundle-format.md 11.4
    #[error("the {certificate} names two signature algorithms")]
    AlgorithmMismatch {
        /// Whose.
        certificate: Kind,
    },
    /// bundle-format.md 11.5
    #[error("{algorithm}, used by the {certificate}, is not supported yet")]
    AlgorithmNotSupported {
        /// Whose.
        certificate: Kind,
        /// Which.
        algorithm: Algorithm,
    },
    /// bundle-format.md 11.5
    #[error("the {certificate} uses an unknown algorithm")]
    AlgorithmUnknown {
        /// Whose.
        certificate: Kind,
    },
    /// bundle-format.md 11.11
    #[error("the {certificate} is for any purpose")]
    AnyPurpose {
        /// Whose.
        certificate: Kind,
    },
    /// bundle-format.md 11.9
    #[error("the {certificate}'s basic constraints are not those of its place")]
    BasicConstraints {
        /// Whose.
        certificate: Kind,
    },
    /// bundle-format.md 11.15
    #[error("the {certificate} may sign up to version {ceiling}, its issuer only up to {parent}")]
    CeilingAboveParent {
        /// Whose.
        certificate: Kind,
        /// Its own.
        ceiling: u32,
        /// Its issuer's.
        parent: u32,
    },
    /// bundle-format.md 11.3
    #[error("the signature on the {certificate} does not hold")]
    CertificateSignature {
        /// Whose.
        certificate: Kind,
    },
    /// bundle-format.md 11.1
    #[error("a chain of length {found}, not a leaf and its product CA")]
    ChainLength {
        /// In the bundle.
        found: u64,
    },
    /// bundle-format.md 11.15
    #[error("device class {index} of the {certificate} is not its issuer's")]
    ClassOutsideParent {
        /// Whose.
        certificate: Kind,
        /// Place in its list.
        index: u8,
    },
    /// bundle-format.md 11.15
    #[error("core {core} of the {certificate} is not its issuer's")]
    CoreOutsideParent {
        /// Whose.
        certificate: Kind,
        /// The core id.
        core: u32,
    },
    /// bundle-format.md 11.6
    #[error("the {certificate} cannot be read: {error}")]
    Der {
        /// Whose.
        certificate: Kind,
        /// From the parser.
        error: x509_cert::der::Error,
    },
    /// bundle-format.md 11.8
    #[error("the {certificate} has an extension twice")]
    ExtensionTwice {
        /// Whose.
        certificate: Kind,
    },
    /// bundle-format.md 11.8
    #[error("the {certificate} has a critical extension that is not known")]
    ExtensionUnknown {
        /// Whose.
        certificate: Kind,
    },
    /// bundle-format.md 4.4
    #[error("the signature has a high s")]
    HighS,
    /// bundle-format.md 11.3
    #[error("the issuer of the {certificate} is not the subject above it")]
    Issuer {
        /// Whose.
        certificate: Kind,
    },
    /// bundle-format.md 11.5
    #[error("the {certificate} is signed by {named}, but the key above it is one of {key}")]
    IssuerAlgorithm {
        /// Whose.
        certificate: Kind,
        /// As it says.
        named: Algorithm,
        /// Its issuer's.
        key: Algorithm,
    },
    /// bundle-format.md 11.5
    #[error(
        "the key of the {certificate} is neither an uncompressed point nor a sound key of Ed25519"
    )]
    KeyForm {
        /// Whose.
        certificate: Kind,
    },
    /// bundle-format.md 11.18
    #[error("the {certificate} has a key of {key}, which is stronger than the {issuer} above it")]
    KeyStronger {
        /// Whose.
        certificate: Kind,
        /// Its own.
        key: Algorithm,
        /// Its issuer's.
        issuer: Algorithm,
    },
    /// bundle-format.md 11.10
    #[error("the {certificate}'s key usage is not that of its place")]
    KeyUsage {
        /// Whose.
        certificate: Kind,
    },
    /// bundle-format.md 11.7
    #[error("the {certificate} has no {field}")]
    Missing {
        /// Whose.
        certificate: Kind,
        /// What.
        field: Field,
    },
    /// bundle-format.md 11.6
    #[error("the {certificate} is not in the one form that DER allows")]
    NotCanonical {
        /// Whose.
        certificate: Kind,
    },
    /// bundle-format.md 11.7
    #[error("the {certificate}'s {field} is not critical")]
    NotCritical {
        /// Whose.
        certificate: Kind,
        /// What.
        field: Field,
    },
    /// bundle-format.md 11.11
    #[error("the {certificate} is not for signing firmware")]
    Purpose {
        /// Whose.
        certificate: Kind,
    },
    /// bundle-format.md 11.15
    #[error("the {certificate} and its issuer differ in being for development or release")]
    RoleDiffers {
        /// Whose.
        certificate: Kind,
    },
    /// bundle-format.md 11.16
    #[error("{found} roots, not 1 to 8")]
    RootCount {
        /// As pinned.
        found: u64,
    },
    /// bundle-format.md 11.16
    #[error("a root is pinned for slot {slot}, which does not exist")]
    RootSlot {
        /// As pinned.
        slot: u8,
    },
    /// bundle-format.md 11.13
    #[error("the scope of the {certificate} names no core or no device class")]
    ScopeEmpty {
        /// Whose.
        certificate: Kind,
    },
    /// bundle-format.md 11.12
    #[error("the scope of the {certificate} cannot be read")]
    ScopeForm {
        /// Whose.
        certificate: Kind,
    },
    /// bundle-format.md 11.14
    #[error("the scope of the {certificate} has more cores or device classes than allowed")]
    ScopeLimit {
        /// Whose.
        certificate: Kind,
    },
    /// bundle-format.md 11.14
    #[error("the scope of the {certificate} is not in ascending order")]
    ScopeOrder {
        /// Whose.
        certificate: Kind,
    },
    /// bundle-format.md 11.12
    #[error("the scope of the {certificate} has version {found}, not 1")]
    ScopeVersion {
        /// Whose.
        certificate: Kind,
        /// As it says.
        found: u32,
    },
    /// bundle-format.md 11.4
    #[error("the serial number of the {certificate} is not 1 to 20 octets of a positive number")]
    Serial {
        /// Whose.
        certificate: Kind,
    },
    /// bundle-format.md 4.5
    #[error("the signature does not hold")]
    Signature,
    /// bundle-format.md 4.5
    #[error("the slot is for {named}, but the leaf's key is one of {key}")]
    SlotAlgorithm {
        /// As the slot says.
        named: Algorithm,
        /// The leaf's.
        key: Algorithm,
    },
    /// bundle-format.md 11.2
    #[error("the {certificate} has {size} bytes, more than {limit}")]
    TooLong {
        /// Whose.
        certificate: Kind,
        /// Its size.
        size: u64,
        /// [`crate::MAX_CERTIFICATE`].
        limit: u64,
    },
    /// bundle-format.md 11.2
    #[error("the {certificate} is nested too deep or has too many elements")]
    TooManyElements {
        /// Whose.
        certificate: Kind,
    },
    /// bundle-format.md 11.4
    #[error("the {certificate} has a unique identifier")]
    UniqueIdentifier {
        /// Whose.
        certificate: Kind,
    },
    /// bundle-format.md 11.3
    #[error("the chain leads to no pinned root")]
    UnknownRoot,
    /// bundle-format.md 11.4
    #[error("the {certificate} is not of X.509 version 3")]
    Version {
        /// Whose.
        certificate: Kind,
    },
}

impl Error {
    /// The rule that is broken, as a number: 706 is bundle-format.md 7.6.
    #[must_use]
    pub fn rule(&self) -> u16 {
        match self {
            Error::HighS => 404,
            Error::Signature | Error::SlotAlgorithm { .. } => 405,
            Error::ChainLength { .. } => 1101,
            Error::TooLong { .. } | Error::TooManyElements { .. } => 1102,
            Error::CertificateSignature { .. } | Error::Issuer { .. } | Error::UnknownRoot => 1103,
            Error::AlgorithmMismatch { .. }
            | Error::Serial { .. }
            | Error::UniqueIdentifier { .. }
            | Error::Version { .. } => 1104,
            Error::AlgorithmNotSupported { .. }
            | Error::AlgorithmUnknown { .. }
            | Error::IssuerAlgorithm { .. }
            | Error::KeyForm { .. } => 1105,
            Error::Der { .. } | Error::NotCanonical { .. } => 1106,
            Error::Missing { .. } | Error::NotCritical { .. } => 1107,
            Error::ExtensionTwice { .. } | Error::ExtensionUnknown { .. } => 1108,
            Error::BasicConstraints { .. } => 1109,
            Error::KeyUsage { .. } => 1110,
            Error::AnyPurpose { .. } | Error::Purpose { .. } => 1111,
            Error::ScopeForm { .. } | Error::ScopeVersion { .. } => 1112,
            Error::ScopeEmpty { .. } => 1113,
            Error::ScopeLimit { .. } | Error::ScopeOrder { .. } => 1114,
            Error::CeilingAboveParent { .. }
            | Error::ClassOutsideParent { .. }
            | Error::CoreOutsideParent { .. }
            | Error::RoleDiffers { .. } => 1115,
            Error::RootCount { .. } | Error::RootSlot { .. } => 1116,
            Error::KeyStronger { .. } => 1118,
        }
    }
}
