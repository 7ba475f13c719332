//! A small public-key infrastructure: root, product CA, signer leaf with its scope.
//!
//! Certificates follow the profile which the TA judges (docs/bundle-format.md); each is signed by any
//! [`Signer`]. No passwords, files or clocks here: a test makes a whole chain in memory.

use std::str::FromStr;
use std::time::SystemTime;

use certificate_chain::{CODE_SIGNING, KEY_PURPOSE, SCOPE};
use der::asn1::{BitString, OctetString};
use der::oid::{AssociatedOid, ObjectIdentifier};
use der::{DateTime, Decode, Encode, EncodePem};
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{Builder, CertificateBuilder};
use x509_cert::certificate::TbsCertificate;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages,
    SubjectKeyIdentifier,
};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{
    self, AlgorithmIdentifierOwned, DynSignatureAlgorithmIdentifier, EncodePublicKey,
    SubjectPublicKeyInfoOwned, SubjectPublicKeyInfoRef,
};
use x509_cert::time::{Time, Validity};

pub use certificate_chain::{Kind, Role, Scope};

use crate::Error;
use crate::key::{Algorithm, Signer, key_id};

/// What a certificate says about its holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Distinguished name as RFC 4514 writes it, for people only: `CN=...,O=...`.
    pub name: String,
    /// First moment of validity.
    pub not_before: Date,
    /// Last moment of validity.
    pub not_after: Date,
}

/// A second in time, from year 1970 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(DateTime);

impl Date {
    /// 1 January 1970.
    pub const EPOCH: Self = match DateTime::new(1970, 1, 1, 0, 0, 0) {
        Ok(date) => Self(date),
        Err(_) => Self::NEVER,
    };

    /// The end of the year 9999: "no expiry" in RFC 5280.
    pub const NEVER: Self = Self(DateTime::INFINITY);

    /// The machine's clock.
    pub fn now() -> Result<Self, Error> {
        DateTime::from_system_time(SystemTime::now())
            .map(Self)
            .map_err(|_| Error::DateMalformed)
    }

    /// The same time of day, `days` later; never past [`Date::NEVER`].
    pub fn plus_days(self, days: u32) -> Self {
        let span = core::time::Duration::from_secs(u64::from(days) * 86_400);
        DateTime::from_unix_duration(self.0.unix_duration() + span).map_or(Self::NEVER, Self)
    }
}

impl FromStr for Date {
    type Err = Error;

    /// `2026-11-20`, `2026-11-20T12:00:00Z` or `never`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let full = match text {
            "never" => return Ok(Self::NEVER),
            day if day.len() == 10 => format!("{day}T00:00:00Z"),
            other => other.to_owned(),
        };
        DateTime::from_str(&full)
            .map(Self)
            .map_err(|_| Error::DateMalformed)
    }
}

impl From<Time> for Date {
    fn from(time: Time) -> Self {
        Self(time.to_date_time())
    }
}

impl core::fmt::Display for Date {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if *self == Self::NEVER {
            return f.write_str("never");
        }
        self.0.fmt(f)
    }
}

/// Holding a `Certificate` tells you that it is well-formed X.509; nothing about who signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    parsed: x509_cert::Certificate,
}

impl Certificate {
    /// Reads every certificate of a PEM text, or a single one in DER.
    pub fn read_all(bytes: &[u8]) -> Result<Vec<Self>, Error> {
        if bytes.first() == Some(&0x30) {
            return Ok(vec![Self::from_der(bytes)?]);
        }
        let text = core::str::from_utf8(bytes).map_err(|_| Error::CertificateMalformed)?;
        let mut certificates = Vec::new();
        for block in crate::key::pem_blocks(text) {
            let (label, der) =
                der::pem::decode_vec(block.as_bytes()).map_err(|_| Error::CertificateMalformed)?;
            if label != "CERTIFICATE" {
                return Err(Error::CertificateMalformed);
            }
            certificates.push(Self::from_der(&der)?);
        }
        if certificates.is_empty() {
            return Err(Error::CertificateMalformed);
        }
        Ok(certificates)
    }

    /// Reads DER without anything behind it.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        Ok(Self {
            parsed: x509_cert::Certificate::from_der(der)
                .map_err(|_| Error::CertificateMalformed)?,
            der: der.to_vec(),
        })
    }

    /// The bytes as they stand in a bundle.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// PEM with a line of text for people in front.
    pub fn to_pem(&self) -> Result<String, Error> {
        self.parsed
            .to_pem(der::pem::LineEnding::LF)
            .map_err(|_| Error::CertificateNotEncodable)
    }

    /// The subject as RFC 4514 writes it.
    pub fn subject(&self) -> String {
        self.parsed.tbs_certificate().subject().to_string()
    }

    /// The issuer as RFC 4514 writes it.
    pub fn issuer(&self) -> String {
        self.parsed.tbs_certificate().issuer().to_string()
    }

    /// The serial number in hexadecimal.
    pub fn serial(&self) -> String {
        crate::hex(self.parsed.tbs_certificate().serial_number().as_bytes())
    }

    /// First moment of validity.
    pub fn not_before(&self) -> Date {
        self.parsed.tbs_certificate().validity().not_before.into()
    }

    /// Last moment of validity.
    pub fn not_after(&self) -> Date {
        self.parsed.tbs_certificate().validity().not_after.into()
    }

    /// Whether `issuer` is named as this one's issuer and signed it; nothing of the profile is judged.
    pub fn is_issued_by(&self, issuer: &Self) -> bool {
        let tbs = self.parsed.tbs_certificate();
        if tbs.issuer() != issuer.parsed.tbs_certificate().subject() {
            return false;
        }
        let check = || {
            let public_key = issuer.public_key()?;
            let algorithm = Algorithm::of_public_key(&public_key)?;
            let signature = self.parsed.signature().raw_bytes();
            let signature = algorithm.signature_from_certificate(signature)?;
            let signed = tbs.to_der().map_err(|_| Error::CertificateMalformed)?;
            algorithm.check(&public_key, &signed, &signature)
        };
        check().is_ok()
    }

    /// Judges the dates, which the TA cannot.
    pub fn check_dates(&self, at: Date) -> Result<(), Error> {
        if at < self.not_before() {
            return Err(Error::CertificateNotYetValid {
                not_before: self.not_before(),
                at,
            });
        }
        if at > self.not_after() {
            return Err(Error::CertificateExpired {
                not_after: self.not_after(),
                at,
            });
        }
        Ok(())
    }

    /// The holder's public key as SubjectPublicKeyInfo.
    pub fn public_key(&self) -> Result<Vec<u8>, Error> {
        self.parsed
            .tbs_certificate()
            .subject_public_key_info()
            .to_der()
            .map_err(|_| Error::CertificateMalformed)
    }

    /// Its place in a chain, by its extensions: what it would have to be, not that it keeps the profile.
    pub fn kind(&self) -> Kind {
        let tbs = self.parsed.tbs_certificate();
        match tbs.get_extension::<BasicConstraints>() {
            Ok(Some((_, constraints))) if constraints.ca => {
                if tbs.issuer() == tbs.subject() {
                    Kind::Root
                } else {
                    Kind::ProductCa
                }
            }
            _ => Kind::Leaf,
        }
    }

    /// Judges the certificate by the profile, as the TA does.
    pub fn profile(&self) -> Result<certificate_chain::Certificate, Error> {
        Ok(certificate_chain::Certificate::parse(
            self.kind(),
            &self.der,
        )?)
    }
}

/// A root: signs itself, pinned by the TA, never sent in a bundle. Without a scope it is one for development.
pub fn issue_root(
    subject: &Subject,
    scope: Option<&Scope>,
    key: &dyn Signer,
) -> Result<Certificate, Error> {
    issue(subject, key.public_key(), Kind::Root, scope, None, key)
}

/// A product CA below `issuer`, whose leaves cannot leave `scope`.
pub fn issue_product_ca(
    subject: &Subject,
    public_key: &[u8],
    scope: &Scope,
    issuer: (&Certificate, &dyn Signer),
) -> Result<Certificate, Error> {
    let (issuer, key) = issuer;
    issue(
        subject,
        public_key,
        Kind::ProductCa,
        Some(scope),
        Some(issuer),
        key,
    )
}

/// A leaf below `issuer`: the key which signs firmware within `scope`.
pub fn issue_leaf(
    subject: &Subject,
    public_key: &[u8],
    scope: &Scope,
    issuer: (&Certificate, &dyn Signer),
) -> Result<Certificate, Error> {
    let (issuer, key) = issuer;
    issue(
        subject,
        public_key,
        Kind::Leaf,
        Some(scope),
        Some(issuer),
        key,
    )
}

/// The public key of the one signer among `certificates`, where no key says whose it is.
pub fn signer_among(certificates: &[Certificate]) -> Result<Vec<u8>, Error> {
    let mut leaves = certificates.iter().filter(|one| one.kind() == Kind::Leaf);
    match (leaves.next(), leaves.next()) {
        (Some(leaf), None) => leaf.public_key(),
        (Some(_), Some(_)) => Err(Error::CertificateOfTwoSigners),
        (None, _) => Err(Error::CertificateMissing),
    }
}

/// Puts the signer's certificate first, then its issuer, as a bundle carries them; a root among them is left out.
pub fn order_chain(
    public_key: &[u8],
    certificates: &[Certificate],
) -> Result<Vec<Certificate>, Error> {
    let mut leaf = None;
    for certificate in certificates {
        if certificate.public_key()? == public_key {
            leaf = Some(certificate);
            break;
        }
    }
    let Some(leaf) = leaf else {
        let first = certificates.first().ok_or(Error::CertificateMissing)?;
        return Err(Error::KeyNotOfCertificate {
            key: key_id(public_key),
            certificate: key_id(&first.public_key()?),
        });
    };
    let mut chain = vec![leaf.clone()];
    let issuer = leaf.parsed.tbs_certificate().issuer();
    let found = certificates.iter().find(|certificate| {
        certificate.kind() == Kind::ProductCa
            && certificate.parsed.tbs_certificate().subject() == issuer
    });
    chain.extend(found.cloned());
    Ok(chain)
}

fn issue(
    subject: &Subject,
    public_key: &[u8],
    kind: Kind,
    scope: Option<&Scope>,
    issuer: Option<&Certificate>,
    signer: &dyn Signer,
) -> Result<Certificate, Error> {
    if let Some(issuer) = issuer {
        if issuer.public_key()? != signer.public_key() {
            return Err(Error::KeyNotOfCertificate {
                key: key_id(signer.public_key()),
                certificate: key_id(&issuer.public_key()?),
            });
        }
        // What the TA would refuse later is refused here.
        if let (Some(scope), Some(parent)) = (scope, issuer.profile()?.scope()) {
            scope.within(kind, parent)?;
        }
    }
    let unencodable = |_| Error::CertificateNotEncodable;
    let name = Name::from_str(&subject.name).map_err(|_| Error::NameMalformed)?;
    let profile = Profile {
        kind,
        scope,
        issuer: issuer.map_or_else(
            || name.clone(),
            |issuer| issuer.parsed.tbs_certificate().subject().clone(),
        ),
        subject: name,
    };
    let validity = Validity::new(
        Time::from(subject.not_before.0),
        Time::from(subject.not_after.0),
    );
    let mut serial = [0; 16];
    getrandom::fill(&mut serial).map_err(|_| Error::NoRandomness)?;
    // Positive and of one length, whatever the random numbers.
    serial[0] = serial[0] & 0x3f | 0x40;
    let mut builder = CertificateBuilder::new(
        profile,
        SerialNumber::new(&serial).map_err(unencodable)?,
        validity,
        SubjectPublicKeyInfoOwned::from_der(public_key).map_err(unencodable)?,
    )
    .map_err(|_| Error::CertificateNotEncodable)?;

    let issuer_half = Shim(signer);
    let message = builder
        .finalize(&issuer_half)
        .map_err(|_| Error::CertificateNotEncodable)?;
    let signature = signer.sign(&message)?;
    let algorithm = signer.algorithm();
    algorithm.check(signer.public_key(), &message, &signature)?;
    let signature = algorithm.signature_in_certificate(&signature)?;
    let parsed = builder
        .assemble(
            BitString::from_bytes(&signature).map_err(unencodable)?,
            &issuer_half,
        )
        .map_err(|_| Error::CertificateNotEncodable)?;
    let certificate = Certificate {
        der: parsed.to_der().map_err(unencodable)?,
        parsed,
    };
    // Who issued it, and by which kind of key, is judged as the TA will.
    let judged = certificate.profile()?;
    match issuer {
        Some(issuer) => judged.issued_by(&issuer.profile()?)?,
        None => judged.issued_by(&judged)?,
    }
    Ok(certificate)
}

struct Profile<'a> {
    kind: Kind,
    scope: Option<&'a Scope>,
    issuer: Name,
    subject: Name,
}

impl BuilderProfile for Profile<'_> {
    fn get_issuer(&self, _subject: &Name) -> Name {
        self.issuer.clone()
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self,
        key: SubjectPublicKeyInfoRef<'_>,
        issuer_key: SubjectPublicKeyInfoRef<'_>,
        tbs: &TbsCertificate,
    ) -> x509_cert::builder::Result<Vec<Extension>> {
        let mut list = Vec::new();
        let (path_length, usages) = match self.kind {
            Kind::Root => (Some(1), KeyUsages::KeyCertSign | KeyUsages::CRLSign),
            Kind::ProductCa => (Some(0), KeyUsages::KeyCertSign | KeyUsages::CRLSign),
            Kind::Leaf => (None, KeyUsages::DigitalSignature.into()),
        };
        let constraints = BasicConstraints {
            ca: path_length.is_some(),
            path_len_constraint: path_length,
        };
        // RFC 5280 leaves it open for a leaf; the profile wants it critical everywhere.
        list.push(extension(BasicConstraints::OID, true, &constraints)?);
        list.push(KeyUsage(usages).to_extension(tbs.subject(), &list)?);
        list.push(SubjectKeyIdentifier(short_id(key)?).to_extension(tbs.subject(), &list)?);
        if !matches!(self.kind, Kind::Root) {
            let authority = AuthorityKeyIdentifier {
                key_identifier: Some(short_id(issuer_key)?),
                ..Default::default()
            };
            list.push(authority.to_extension(tbs.subject(), &list)?);
        }
        if let Kind::Leaf = self.kind {
            let purposes = ExtendedKeyUsage(vec![KEY_PURPOSE, CODE_SIGNING]);
            list.push(extension(ExtendedKeyUsage::OID, true, &purposes)?);
        }
        if let Some(scope) = self.scope {
            list.push(Extension {
                extn_id: SCOPE,
                critical: true,
                extn_value: OctetString::new(scope.encode())?,
            });
        }
        Ok(list)
    }
}

fn extension(
    extn_id: ObjectIdentifier,
    critical: bool,
    value: &impl Encode,
) -> Result<Extension, der::Error> {
    Ok(Extension {
        extn_id,
        critical,
        extn_value: OctetString::new(value.to_der()?)?,
    })
}

/// A key identifier as RFC 7093 has it: the first 160 bits of a SHA-256.
fn short_id(key: SubjectPublicKeyInfoRef<'_>) -> Result<OctetString, der::Error> {
    OctetString::new(&key_id(&key.to_der()?)[..20])
}

/// Lets x509-cert's builder ask a [`Signer`] for its algorithm and public key.
pub(crate) struct Shim<'a>(pub(crate) &'a dyn Signer);

#[derive(Clone)]
pub(crate) struct ShimKey(Vec<u8>);

impl p256::ecdsa::signature::Keypair for Shim<'_> {
    type VerifyingKey = ShimKey;

    fn verifying_key(&self) -> ShimKey {
        ShimKey(self.0.public_key().to_vec())
    }
}

impl DynSignatureAlgorithmIdentifier for Shim<'_> {
    fn signature_algorithm_identifier(&self) -> spki::Result<AlgorithmIdentifierOwned> {
        Ok(AlgorithmIdentifierOwned {
            oid: self.0.algorithm().signature_oid(),
            parameters: None,
        })
    }
}

impl EncodePublicKey for ShimKey {
    fn to_public_key_der(&self) -> spki::Result<der::Document> {
        Ok(der::Document::try_from(self.0.as_slice())?)
    }
}
