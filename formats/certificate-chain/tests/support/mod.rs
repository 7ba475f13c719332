//! A tiny public-key infrastructure for tests: certificates written byte by byte, so that every rule can be broken.
//!
//! Keys are fixed numbers and signatures follow RFC 6979: the same certificate always has the same bytes.

#![allow(dead_code, reason = "each test binary uses another part of it")]

use certificate_chain::{Checker, Kind, Role, Root, SCOPE, Scope};
use firmware_bundle::Algorithm;
use p256::ecdsa::signature::Signer as _;
use ring::signature::KeyPair as _;

/// A key made of one repeated byte.
pub(crate) enum Key {
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    Ed25519(ring::signature::Ed25519KeyPair),
}

impl Key {
    pub(crate) fn new(seed: u8) -> Key {
        Key::of(Algorithm::EcdsaP256Sha256, seed)
    }

    pub(crate) fn of(algorithm: Algorithm, seed: u8) -> Key {
        match algorithm {
            Algorithm::EcdsaP256Sha256 => {
                Key::P256(p256::ecdsa::SigningKey::from_slice(&[seed; 32]).unwrap())
            }
            Algorithm::EcdsaP384Sha384 => {
                Key::P384(p384::ecdsa::SigningKey::from_slice(&[seed; 48]).unwrap())
            }
            Algorithm::Ed25519 => Key::Ed25519(
                ring::signature::Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap(),
            ),
            Algorithm::MlDsa65 => panic!("nobody signs with it yet"),
        }
    }

    /// What the SubjectPublicKeyInfo holds: the uncompressed point, or Ed25519's 32 bytes.
    pub(crate) fn point(&self) -> Vec<u8> {
        match self {
            Key::P256(key) => key.verifying_key().to_sec1_point(false).as_bytes().to_vec(),
            Key::P384(key) => key.verifying_key().to_sec1_point(false).as_bytes().to_vec(),
            Key::Ed25519(key) => key.public_key().as_ref().to_vec(),
        }
    }

    /// The SubjectPublicKeyInfo.
    pub(crate) fn spki(&self) -> Vec<u8> {
        let algorithm = match self {
            Key::P256(_) => sequence(&[&oid(EC_PUBLIC_KEY), &oid("1.2.840.10045.3.1.7")]),
            Key::P384(_) => sequence(&[&oid(EC_PUBLIC_KEY), &oid("1.3.132.0.34")]),
            Key::Ed25519(_) => sequence(&[&oid(ED25519)]),
        };
        sequence(&[&algorithm, &bit_string(0, &self.point())])
    }

    /// What its signatures are called in a certificate.
    pub(crate) fn signs_by(&self) -> &'static str {
        match self {
            Key::P256(_) => ECDSA_WITH_SHA256,
            Key::P384(_) => ECDSA_WITH_SHA384,
            Key::Ed25519(_) => ED25519,
        }
    }

    /// As a bundle has it: r and s with a low s, or Ed25519's 64 bytes.
    pub(crate) fn sign_raw(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Key::P256(key) => low_p256(key, message).to_bytes().to_vec(),
            Key::P384(key) => low_p384(key, message).to_bytes().to_vec(),
            Key::Ed25519(key) => key.sign(message).as_ref().to_vec(),
        }
    }

    /// The same signature's mirror image: in ECDSA with the other s, in Ed25519 with the group's order added to S.
    pub(crate) fn sign_raw_high(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Key::P256(key) => {
                let (r, s) = low_p256(key, message).split_scalars();
                let high = p256::ecdsa::Signature::from_scalars(r.to_bytes(), (-s).to_bytes());
                high.unwrap().to_bytes().to_vec()
            }
            Key::P384(key) => {
                let (r, s) = low_p384(key, message).split_scalars();
                let high = p384::ecdsa::Signature::from_scalars(r.to_bytes(), (-s).to_bytes());
                high.unwrap().to_bytes().to_vec()
            }
            Key::Ed25519(key) => {
                let mut signature = key.sign(message).as_ref().to_vec();
                let mut carry = 0;
                for (byte, order) in signature[32..].iter_mut().zip(ED25519_ORDER) {
                    let sum = u16::from(*byte) + u16::from(order) + carry;
                    (*byte, carry) = (sum as u8, sum >> 8);
                }
                assert_eq!(carry, 0, "below 2^256");
                signature
            }
        }
    }

    fn sign_certificate(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Key::P256(key) => low_p256(key, message).to_der().as_bytes().to_vec(),
            Key::P384(key) => low_p384(key, message).to_der().as_bytes().to_vec(),
            Key::Ed25519(key) => key.sign(message).as_ref().to_vec(),
        }
    }
}

fn low_p256(key: &p256::ecdsa::SigningKey, message: &[u8]) -> p256::ecdsa::Signature {
    let signature: p256::ecdsa::Signature = key.sign(message);
    signature.normalize_s()
}

fn low_p384(key: &p384::ecdsa::SigningKey, message: &[u8]) -> p384::ecdsa::Signature {
    let signature: p384::ecdsa::Signature = key.sign(message);
    signature.normalize_s()
}

/// Everything that stands in a certificate, as encoded pieces.
#[derive(Clone)]
pub(crate) struct Template {
    pub(crate) version: Vec<u8>,
    pub(crate) serial: Vec<u8>,
    pub(crate) inner_algorithm: Vec<u8>,
    pub(crate) outer_algorithm: Vec<u8>,
    pub(crate) issuer: Vec<u8>,
    pub(crate) validity: Vec<u8>,
    pub(crate) subject: Vec<u8>,
    pub(crate) spki: Vec<u8>,
    pub(crate) unique_ids: Vec<u8>,
    pub(crate) extensions: Vec<Vec<u8>>,
}

impl Template {
    /// A certificate that keeps the profile of its place.
    pub(crate) fn new(kind: Kind, key: &Key, scope: Option<Scope>) -> Template {
        let (issuer, subject, serial) = match kind {
            Kind::Root => ("test root", "test root", 1),
            Kind::ProductCa => ("test root", "test product CA", 2),
            Kind::Leaf => ("test product CA", "test signer", 3),
        };
        let mut extensions = vec![
            extension(BASIC_CONSTRAINTS, true, &basic_constraints(kind)),
            extension(KEY_USAGE, true, &key_usage(kind)),
        ];
        if kind == Kind::Leaf {
            extensions.push(extension(
                EXTENDED_KEY_USAGE,
                true,
                &purposes(&[OURS, CODE]),
            ));
        }
        if let Some(scope) = scope {
            extensions.push(extension(&SCOPE.to_string(), true, &scope.encode()));
        }
        Template {
            version: tlv(0xa0, &tlv(0x02, &[2])),
            serial: tlv(0x02, &[0x40, serial]),
            inner_algorithm: sequence(&[&oid(ECDSA_WITH_SHA256)]),
            outer_algorithm: sequence(&[&oid(ECDSA_WITH_SHA256)]),
            issuer: name(issuer),
            validity: validity("260101000000Z", "99991231235959Z"),
            subject: name(subject),
            spki: key.spki(),
            unique_ids: Vec::new(),
            extensions,
        }
    }

    /// Puts `new` in the place of the extension with this id, or leaves it out.
    pub(crate) fn replace(mut self, id: &str, new: Option<Vec<u8>>) -> Template {
        let old = oid(id);
        let at = self
            .extensions
            .iter()
            .position(|extension| extension.windows(old.len()).any(|bytes| bytes == old))
            .expect("the certificate has this extension");
        match new {
            Some(new) => self.extensions[at] = new,
            None => drop(self.extensions.remove(at)),
        }
        self
    }

    pub(crate) fn with(mut self, extension: Vec<u8>) -> Template {
        self.extensions.push(extension);
        self
    }

    /// Names the algorithm by which `issuer` signs.
    pub(crate) fn under(mut self, issuer: &Key) -> Template {
        self.inner_algorithm = sequence(&[&oid(issuer.signs_by())]);
        self.outer_algorithm = self.inner_algorithm.clone();
        self
    }

    /// The certificate, signed by `issuer`.
    pub(crate) fn sign(&self, issuer: &Key) -> Vec<u8> {
        let signed = self.to_be_signed();
        let signature = bit_string(0, &issuer.sign_certificate(&signed));
        sequence(&[&signed, &self.outer_algorithm, &signature])
    }

    fn to_be_signed(&self) -> Vec<u8> {
        let extensions: Vec<&[u8]> = self.extensions.iter().map(Vec::as_slice).collect();
        let extensions = match extensions.is_empty() {
            true => Vec::new(),
            false => tlv(0xa3, &sequence(&extensions)),
        };
        sequence(&[
            &self.version,
            &self.serial,
            &self.inner_algorithm,
            &self.issuer,
            &self.validity,
            &self.subject,
            &self.spki,
            &self.unique_ids,
            &extensions,
        ])
    }
}

/// A whole infrastructure: what a device pins, what a bundle carries, and the key that signs.
pub(crate) struct Pki {
    pub(crate) root: Vec<u8>,
    pub(crate) product_ca: Vec<u8>,
    pub(crate) leaf: Vec<u8>,
    pub(crate) signer: Key,
    pub(crate) algorithm: Algorithm,
}

impl Pki {
    /// Root without scope; product CA and leaf with these.
    pub(crate) fn new(product_ca: Scope, leaf: Scope) -> Pki {
        Pki::of(product_ca, leaf, [Algorithm::EcdsaP256Sha256; 3], 0)
    }

    /// The same with the algorithms of root, product CA and leaf, and other keys for each owner.
    pub(crate) fn of(product_ca: Scope, leaf: Scope, algorithms: [Algorithm; 3], owner: u8) -> Pki {
        let [root, ca, algorithm] = algorithms;
        let root = Key::of(root, ROOT + owner);
        let ca = Key::of(ca, PRODUCT_CA + owner);
        let signer = Key::of(algorithm, LEAF + owner);
        Pki {
            root: Template::new(Kind::Root, &root, None)
                .under(&root)
                .sign(&root),
            product_ca: Template::new(Kind::ProductCa, &ca, Some(product_ca))
                .under(&root)
                .sign(&root),
            leaf: Template::new(Kind::Leaf, &signer, Some(leaf))
                .under(&ca)
                .sign(&ca),
            signer,
            algorithm,
        }
    }

    /// For development, for `cores` and `classes`, up to version `ceiling`.
    pub(crate) fn development(cores: &[u32], classes: &[[u8; 16]], ceiling: u32) -> Pki {
        let scope = |kind| Scope::new(kind, cores, classes, ceiling, 1, Role::Development).unwrap();
        Pki::new(scope(Kind::ProductCa), scope(Kind::Leaf))
    }

    pub(crate) fn checker(&self) -> Checker {
        Checker::new(vec![Root::parse(0, &self.root).unwrap()]).unwrap()
    }

    pub(crate) fn chain(&self) -> [&[u8]; 2] {
        [&self.leaf, &self.product_ca]
    }
}

/// The part of a certificate that is signed. Its head and the certificate's have four bytes each.
pub(crate) fn signed_part(der: &[u8]) -> &[u8] {
    let size = usize::from(u16::from_be_bytes([der[6], der[7]]));
    &der[4..8 + size]
}

/// A certificate around a signed part.
pub(crate) fn sign(signed: &[u8], issuer: &Key) -> Vec<u8> {
    let signature = bit_string(0, &issuer.sign_certificate(signed));
    let algorithm = sequence(&[&oid(issuer.signs_by())]);
    sequence(&[signed, &algorithm, &signature])
}

pub(crate) fn root_template() -> Template {
    Template::new(Kind::Root, &Key::new(ROOT), None)
}

pub(crate) fn basic_constraints(kind: Kind) -> Vec<u8> {
    match kind {
        Kind::Leaf => sequence(&[]),
        Kind::ProductCa => sequence(&[&TRUE, &tlv(0x02, &[0])]),
        Kind::Root => sequence(&[&TRUE, &tlv(0x02, &[1])]),
    }
}

fn key_usage(kind: Kind) -> Vec<u8> {
    match kind {
        Kind::Leaf => bit_string(7, &[0x80]),
        Kind::ProductCa | Kind::Root => bit_string(1, &[0x06]),
    }
}

pub(crate) fn purposes(ids: &[&str]) -> Vec<u8> {
    let ids: Vec<Vec<u8>> = ids.iter().map(|id| oid(id)).collect();
    sequence(&ids.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

pub(crate) fn extension(id: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &TRUE } else { &[] };
    sequence(&[&oid(id), critical, &tlv(0x04, value)])
}

/// Two times, as UTCTime where there are 13 characters, else as GeneralizedTime.
pub(crate) fn validity(from: &str, to: &str) -> Vec<u8> {
    let time = |text: &str| match text.len() {
        13 => tlv(0x17, text.as_bytes()),
        _ => tlv(0x18, text.as_bytes()),
    };
    sequence(&[&time(from), &time(to)])
}

pub(crate) fn name(common_name: &str) -> Vec<u8> {
    let attribute = sequence(&[&oid("2.5.4.3"), &tlv(0x0c, common_name.as_bytes())]);
    sequence(&[&tlv(0x31, &attribute)])
}

pub(crate) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

pub(crate) fn bit_string(unused: u8, bits: &[u8]) -> Vec<u8> {
    tlv(0x03, &[&[unused], bits].concat())
}

pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    match content.len() {
        length @ 0..=0x7f => bytes.push(length as u8),
        length @ 0x80..=0xff => bytes.extend([0x81, length as u8]),
        length => bytes.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    bytes.extend(content);
    bytes
}

pub(crate) fn oid(text: &str) -> Vec<u8> {
    let arcs: Vec<u32> = text.split('.').map(|arc| arc.parse().unwrap()).collect();
    let mut bytes = vec![(arcs[0] * 40 + arcs[1]) as u8];
    for arc in &arcs[2..] {
        let mut groups = vec![(arc & 0x7f) as u8];
        let mut rest = arc >> 7;
        while rest != 0 {
            groups.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        bytes.extend(groups.iter().rev());
    }
    tlv(0x06, &bytes)
}

pub(crate) const ROOT: u8 = 0x11;
pub(crate) const PRODUCT_CA: u8 = 0x22;
pub(crate) const LEAF: u8 = 0x33;
pub(crate) const OURS: &str = "1.3.6.1.4.1.32473.1.2";
pub(crate) const CODE: &str = "1.3.6.1.5.5.7.3.3";
pub(crate) const BASIC_CONSTRAINTS: &str = "2.5.29.19";
pub(crate) const KEY_USAGE: &str = "2.5.29.15";
pub(crate) const EXTENDED_KEY_USAGE: &str = "2.5.29.37";
pub(crate) const ECDSA_WITH_SHA256: &str = "1.2.840.10045.4.3.2";
pub(crate) const ECDSA_WITH_SHA384: &str = "1.2.840.10045.4.3.3";
pub(crate) const ED25519: &str = "1.3.101.112";
pub(crate) const EC_PUBLIC_KEY: &str = "1.2.840.10045.2.1";
/// The order of Ed25519's group, little-endian (RFC 8032, 5.1).
pub(crate) const ED25519_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];
const TRUE: [u8; 3] = [0x01, 0x01, 0xff];
