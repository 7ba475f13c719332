//! One certificate, judged by the profile of its place in the chain.

use alloc::vec::Vec;

use firmware_bundle::Algorithm;
use x509_cert::Version;
use x509_cert::certificate::Certificate as X509;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::{Decode, Encode, flagset::FlagSet};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages,
    SubjectKeyIdentifier,
};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::time::Time;

use crate::der::{authority_key, signed_part, subject_key, value_within_limits, within_limits};
use crate::signature::{holds_on_certificate, is_key, strength};
use crate::{Error, Field, KEY_PURPOSE, SCOPE, Scope, sha256};

/// A certificate's place in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Signs bundles.
    Leaf,
    /// Signs leaves.
    ProductCa,
    /// Pinned; signs product CAs.
    Root,
}

impl Kind {
    /// Its place counted from the leaf: 0, 1, 2.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Kind::Leaf => 0,
            Kind::ProductCa => 1,
            Kind::Root => 2,
        }
    }
}

impl core::fmt::Display for Kind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Kind::Leaf => "leaf",
            Kind::ProductCa => "product CA",
            Kind::Root => "root",
        })
    }
}

/// From when to when, in seconds since 1970. The TA has no clock to compare it with; tools have (bundle-format.md 11.17).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// First second.
    pub not_before: u64,
    /// Last second.
    pub not_after: u64,
}

/// Holding a `Certificate` tells you that it keeps the profile of its [`Kind`] (bundle-format.md 11.4 to 11.14).
/// Who issued it is not judged yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    kind: Kind,
    signed: Vec<u8>,
    signed_by: Algorithm,
    signature: Vec<u8>,
    issuer: Vec<u8>,
    subject: Vec<u8>,
    serial: Vec<u8>,
    algorithm: Algorithm,
    public_key: Vec<u8>,
    key_id: [u8; 32],
    subject_key: Option<Vec<u8>>,
    authority_key: Option<Vec<u8>>,
    validity: Validity,
    scope: Option<Scope>,
}

impl Certificate {
    /// Reads a certificate for a place in the chain.
    ///
    /// # Errors
    /// The rule of bundle-format.md 11.2 or 11.4 to 11.14 which it breaks.
    pub fn parse(kind: Kind, der: &[u8]) -> Result<Certificate, Error> {
        let certificate = kind;
        within_limits(certificate, der)?;
        let parsed = X509::from_der(der).map_err(|error| Error::Der { certificate, error })?;
        // bundle-format.md 11.6: what the parser forgives is refused here.
        if !is_encoding_of(&parsed, der) {
            return Err(Error::NotCanonical { certificate });
        }
        let tbs = parsed.tbs_certificate();
        if tbs.version() != Version::V3 {
            return Err(Error::Version { certificate }); // bundle-format.md 11.4
        }
        let serial = tbs.serial_number().as_bytes();
        if !is_serial(serial) {
            return Err(Error::Serial { certificate }); // bundle-format.md 11.4
        }
        if tbs.signature() != parsed.signature_algorithm() {
            return Err(Error::AlgorithmMismatch { certificate }); // bundle-format.md 11.4
        }
        if tbs.issuer_unique_id().is_some() || tbs.subject_unique_id().is_some() {
            return Err(Error::UniqueIdentifier { certificate }); // bundle-format.md 11.4
        }
        let signed_by = signature_algorithm(certificate, parsed.signature_algorithm())?;
        let spki = tbs.subject_public_key_info();
        let (algorithm, public_key) = public_key(certificate, spki)?;
        let extensions = Extensions::judge(
            certificate,
            tbs.extensions().map(Vec::as_slice).unwrap_or_default(),
        )?;

        let encoded = |error| Error::Der { certificate, error };
        let not_canonical = Error::NotCanonical { certificate };
        let mut judged = Certificate {
            kind,
            signed: Vec::new(),
            signed_by,
            signature: parsed.signature().as_bytes().ok_or(not_canonical)?.to_vec(),
            issuer: tbs.issuer().to_der().map_err(encoded)?,
            subject: tbs.subject().to_der().map_err(encoded)?,
            serial: serial.to_vec(),
            algorithm,
            public_key,
            key_id: sha256(&[&spki.to_der().map_err(encoded)?]),
            subject_key: extensions.subject_key,
            authority_key: extensions.authority_key,
            validity: Validity {
                not_before: seconds(tbs.validity().not_before),
                not_after: seconds(tbs.validity().not_after),
            },
            scope: extensions.scope,
        };
        // The TA's heap is small: the parser's copy goes before ours is made.
        drop(parsed);
        judged.signed = signed_part(der).ok_or(not_canonical)?.to_vec();
        Ok(judged)
    }

    /// The place it was judged for.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// SHA-256 of the SubjectPublicKeyInfo: how keys are named everywhere.
    #[must_use]
    pub fn key_id(&self) -> &[u8; 32] {
        &self.key_id
    }

    /// The key as its SubjectPublicKeyInfo holds it: an uncompressed point of 65 or 97 bytes, or Ed25519's 32 bytes.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// The algorithm of the key.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// From when to when.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// What its holder may sign. Only a root may have none, and then is one for development.
    #[must_use]
    pub fn scope(&self) -> Option<&Scope> {
        self.scope.as_ref()
    }

    /// The serial number, big-endian.
    #[must_use]
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// The subject's name as DER.
    #[must_use]
    pub fn subject(&self) -> &[u8] {
        &self.subject
    }

    /// The issuer's name as DER.
    #[must_use]
    pub fn issuer(&self) -> &[u8] {
        &self.issuer
    }

    /// Judges that `issuer` issued this certificate and may do so with its key (bundle-format.md 11.3, 11.5 and 11.18).
    ///
    /// # Errors
    /// `Issuer`, `KeyStronger`, `IssuerAlgorithm` or `CertificateSignature`.
    pub fn issued_by(&self, issuer: &Certificate) -> Result<(), Error> {
        let certificate = self.kind;
        if self.issuer != issuer.subject {
            return Err(Error::Issuer { certificate });
        }
        if strength(self.algorithm) > strength(issuer.algorithm) {
            // bundle-format.md 11.18
            return Err(Error::KeyStronger {
                certificate,
                key: self.algorithm,
                issuer: issuer.algorithm,
            });
        }
        if self.signed_by != issuer.algorithm {
            // bundle-format.md 11.5
            return Err(Error::IssuerAlgorithm {
                certificate,
                named: self.signed_by,
                key: issuer.algorithm,
            });
        }
        holds_on_certificate(
            issuer.algorithm,
            &issuer.public_key,
            &self.signed,
            &self.signature,
        )
        .then_some(())
        .ok_or(Error::CertificateSignature { certificate })
    }

    /// Whether `issuer` is the one to look at: same name, and the same key identifier where both give one.
    pub(crate) fn points_to(&self, issuer: &Certificate) -> bool {
        let keys = (&self.authority_key, &issuer.subject_key);
        self.issuer == issuer.subject && !matches!(keys, (Some(a), Some(b)) if a != b)
    }
}

#[derive(Default)]
struct Extensions {
    subject_key: Option<Vec<u8>>,
    authority_key: Option<Vec<u8>>,
    scope: Option<Scope>,
}

impl Extensions {
    fn judge(certificate: Kind, all: &[Extension]) -> Result<Extensions, Error> {
        // bundle-format.md 11.8; at most as many as the limit on elements lets through.
        for (index, extension) in all.iter().enumerate() {
            if all
                .iter()
                .take(index)
                .any(|other| other.extn_id == extension.extn_id)
            {
                return Err(Error::ExtensionTwice { certificate });
            }
            if extension.critical && !CRITICAL.contains(&extension.extn_id) {
                return Err(Error::ExtensionUnknown { certificate });
            }
        }
        let find = |id: ObjectIdentifier| all.iter().find(|extension| extension.extn_id == id);
        let critical = |id, field| {
            let found = find(id).ok_or(Error::Missing { certificate, field })?;
            if !found.critical {
                return Err(Error::NotCritical { certificate, field }); // bundle-format.md 11.7
            }
            value_within_limits(certificate, found.extn_value.as_bytes())?; // bundle-format.md 11.2
            Ok(found)
        };

        let constraints = critical(BasicConstraints::OID, Field::BasicConstraints)?;
        basic_constraints(certificate, decode(certificate, constraints)?)?;
        let usage = critical(KeyUsage::OID, Field::KeyUsage)?;
        key_usage(certificate, decode(certificate, usage)?)?;

        // bundle-format.md 11.11: a CA need not have one.
        if certificate == Kind::Leaf || find(ExtendedKeyUsage::OID).is_some() {
            let purposes = critical(ExtendedKeyUsage::OID, Field::ExtendedKeyUsage)?;
            purpose(certificate, decode(certificate, purposes)?)?;
        }
        // bundle-format.md 11.12: a root need not have one.
        let scope = if certificate != Kind::Root || find(SCOPE).is_some() {
            let scope = critical(SCOPE, Field::Scope)?;
            Some(Scope::decode(certificate, scope.extn_value.as_bytes())?)
        } else {
            None
        };

        let mut keys = Extensions {
            scope,
            ..Extensions::default()
        };
        // bundle-format.md 11.3: hints, so only their form is judged.
        let unreadable = Error::NotCanonical { certificate };
        if let Some(found) = find(SubjectKeyIdentifier::OID) {
            let key = subject_key(found.extn_value.as_bytes()).ok_or(unreadable)?;
            keys.subject_key = Some(key.to_vec());
        }
        if let Some(found) = find(AuthorityKeyIdentifier::OID) {
            let key = authority_key(found.extn_value.as_bytes()).ok_or(unreadable)?;
            keys.authority_key = key.map(Vec::from);
        }
        Ok(keys)
    }
}

/// bundle-format.md 11.9
fn basic_constraints(certificate: Kind, found: BasicConstraints) -> Result<(), Error> {
    let length = found.path_len_constraint;
    let fits = match certificate {
        Kind::Leaf => !found.ca && length.is_none(),
        Kind::ProductCa => found.ca && length == Some(0),
        Kind::Root => found.ca && length != Some(0),
    };
    fits.then_some(())
        .ok_or(Error::BasicConstraints { certificate })
}

/// bundle-format.md 11.10
fn key_usage(certificate: Kind, KeyUsage(found): KeyUsage) -> Result<(), Error> {
    let sign: FlagSet<KeyUsages> = KeyUsages::KeyCertSign.into();
    let fits = match certificate {
        Kind::Leaf => found == KeyUsages::DigitalSignature,
        Kind::ProductCa | Kind::Root => {
            found == sign || found == (KeyUsages::KeyCertSign | KeyUsages::CRLSign)
        }
    };
    fits.then_some(()).ok_or(Error::KeyUsage { certificate })
}

/// bundle-format.md 11.11
fn purpose(certificate: Kind, ExtendedKeyUsage(found): ExtendedKeyUsage) -> Result<(), Error> {
    if found.contains(&ANY_PURPOSE) {
        return Err(Error::AnyPurpose { certificate });
    }
    let ours = found.contains(&KEY_PURPOSE);
    if !ours || (certificate == Kind::Leaf && !found.contains(&crate::CODE_SIGNING)) {
        return Err(Error::Purpose { certificate });
    }
    Ok(())
}

/// bundle-format.md 11.5
fn signature_algorithm(
    certificate: Kind,
    found: &AlgorithmIdentifierOwned,
) -> Result<Algorithm, Error> {
    let algorithm = match (found.oid, &found.parameters) {
        (ECDSA_WITH_SHA256, None) => Algorithm::EcdsaP256Sha256,
        (ECDSA_WITH_SHA384, None) => Algorithm::EcdsaP384Sha384,
        (ED25519, None) => Algorithm::Ed25519,
        (ML_DSA_65, None) => Algorithm::MlDsa65,
        _ => return Err(Error::AlgorithmUnknown { certificate }),
    };
    supported(certificate, algorithm)
}

/// bundle-format.md 11.5
fn public_key(
    certificate: Kind,
    spki: &SubjectPublicKeyInfoOwned,
) -> Result<(Algorithm, Vec<u8>), Error> {
    let parameters = spki.algorithm.parameters.as_ref();
    let curve = parameters.and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
    let algorithm = match (spki.algorithm.oid, parameters, curve) {
        (EC_PUBLIC_KEY, _, Some(P256)) => Algorithm::EcdsaP256Sha256,
        (EC_PUBLIC_KEY, _, Some(P384)) => Algorithm::EcdsaP384Sha384,
        (ED25519, None, _) => Algorithm::Ed25519,
        (ML_DSA_65, None, _) => Algorithm::MlDsa65,
        _ => return Err(Error::AlgorithmUnknown { certificate }),
    };
    let algorithm = supported(certificate, algorithm)?;
    spki.subject_public_key
        .as_bytes()
        .filter(|key| is_key(algorithm, key))
        .map(|key| (algorithm, key.to_vec()))
        .ok_or(Error::KeyForm { certificate })
}

/// bundle-format.md 11.5
fn supported(certificate: Kind, algorithm: Algorithm) -> Result<Algorithm, Error> {
    if algorithm == Algorithm::MlDsa65 {
        return Err(Error::AlgorithmNotSupported {
            certificate,
            algorithm,
        });
    }
    Ok(algorithm)
}

fn decode<T>(certificate: Kind, extension: &Extension) -> Result<T, Error>
where
    T: for<'a> Decode<'a, Error = x509_cert::der::Error> + Encode,
{
    let der = extension.extn_value.as_bytes();
    let value = T::from_der(der).map_err(|error| Error::Der { certificate, error })?;
    if !is_encoding_of(&value, der) {
        return Err(Error::NotCanonical { certificate });
    }
    Ok(value)
}

fn is_encoding_of(value: &impl Encode, der: &[u8]) -> bool {
    value.to_der().is_ok_and(|encoded| encoded == der)
}

/// One to twenty octets of a positive number (bundle-format.md 11.4).
fn is_serial(serial: &[u8]) -> bool {
    (1..=20).contains(&serial.len())
        && serial.first().is_some_and(|first| *first < 0x80)
        && serial.iter().any(|byte| *byte != 0)
}

fn seconds(time: Time) -> u64 {
    time.to_unix_duration().as_secs()
}

/// What may be critical: everything else that is so is not understood.
const CRITICAL: [ObjectIdentifier; 4] = [
    BasicConstraints::OID,
    KeyUsage::OID,
    ExtendedKeyUsage::OID,
    SCOPE,
];
const ANY_PURPOSE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_WITH_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const ML_DSA_65: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.18");
