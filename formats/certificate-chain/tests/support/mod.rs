//! A tiny public-key infrastructure for tests: certificates written byte by byte, so that every rule can be broken.
//!
//! Keys are fixed numbers and signatures follow RFC 6979: the same certificate always has the same bytes.

#![allow(dead_code, reason = "each test binary uses another part of it")]

use certificate_chain::{Checker, Kind, Role, Root, SCOPE, Scope};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};

/// A P-256 key made of one repeated byte.
pub(crate) struct Key(SigningKey);

impl Key {
    pub(crate) fn new(seed: u8) -> Key {
        Key(SigningKey::from_slice(&[seed; 32]).unwrap())
    }

    /// The uncompressed point.
    pub(crate) fn point(&self) -> Vec<u8> {
        let point = self.0.verifying_key().to_sec1_point(false);
        point.as_bytes().to_vec()
    }

    /// The SubjectPublicKeyInfo.
    pub(crate) fn spki(&self) -> Vec<u8> {
        let algorithm = sequence(&[&oid("1.2.840.10045.2.1"), &oid("1.2.840.10045.3.1.7")]);
        sequence(&[&algorithm, &bit_string(0, &self.point())])
    }

    /// r and s, each 32 bytes, with a low s.
    pub(crate) fn sign_raw(&self, message: &[u8]) -> [u8; 64] {
        let signature: Signature = self.0.sign(message);
        signature.normalize_s().to_bytes().into()
    }

    /// The same signature's mirror image.
    pub(crate) fn sign_raw_high(&self, message: &[u8]) -> [u8; 64] {
        let low = Signature::from_slice(&self.sign_raw(message)).unwrap();
        let (r, s) = low.split_scalars();
        Signature::from_scalars(r.to_bytes(), (-s).to_bytes())
            .unwrap()
            .to_bytes()
            .into()
    }

    fn sign_der(&self, message: &[u8]) -> Vec<u8> {
        let signature: Signature = self.0.sign(message);
        signature.normalize_s().to_der().as_bytes().to_vec()
    }
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

    /// The certificate, signed by `issuer`.
    pub(crate) fn sign(&self, issuer: &Key) -> Vec<u8> {
        let signed = self.to_be_signed();
        let signature = bit_string(0, &issuer.sign_der(&signed));
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
}

impl Pki {
    /// Root without scope; product CA and leaf with these.
    pub(crate) fn new(product_ca: Scope, leaf: Scope) -> Pki {
        Pki {
            root: root_template().sign(&Key::new(ROOT)),
            product_ca: Template::new(Kind::ProductCa, &Key::new(PRODUCT_CA), Some(product_ca))
                .sign(&Key::new(ROOT)),
            leaf: Template::new(Kind::Leaf, &Key::new(LEAF), Some(leaf))
                .sign(&Key::new(PRODUCT_CA)),
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
    let signature = bit_string(0, &issuer.sign_der(signed));
    sequence(&[signed, &sequence(&[&oid(ECDSA_WITH_SHA256)]), &signature])
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
const TRUE: [u8; 3] = [0x01, 0x01, 0xff];
