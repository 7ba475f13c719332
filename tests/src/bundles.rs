//! Bundles for the tests: signed by the development signer, by others, and mutants that break one rule and are signed
//! anew, so that the rule itself is met and not the signature in front of it.

use std::{fs, ops::Range, path::Path};

use anyhow::{Context, Result, ensure};
use certificate_chain::{Kind, Role, Scope};
use firmware_bundle::{FOOTER_SIZE, File, Trailer, write::Draft};
use firmware_signing::{
    key::{Algorithm, PrivateKey, Signer},
    pki::{self, Certificate, Date, Subject},
};
use platform::Platform;

/// A key and the certificates that vouch for it, leaf first.
pub struct Identity {
    /// The leaf's key.
    pub key: PrivateKey,
    /// Leaf and product CA.
    pub chain: Vec<Certificate>,
}

impl Identity {
    /// The public development signer of `keys/`.
    pub fn development(keys: &Path) -> Result<Self> {
        let mut chain = certificates(&keys.join("dev-signer.pem"))?;
        chain.extend(certificates(&keys.join("dev-product-ca.pem"))?);
        Ok(Self {
            key: private_key(&keys.join("dev-signer.key.pem"))?,
            chain,
        })
    }

    /// A signer under the development root with the scope given.
    pub fn under_development_root(keys: &Path, scope: &Scope) -> Result<Self> {
        let product_ca = certificates(&keys.join("dev-product-ca.pem"))?.remove(0);
        let authority = private_key(&keys.join("dev-product-ca.key.pem"))?;
        let key = PrivateKey::generate(Algorithm::EcdsaP256)?;
        let leaf = pki::issue_leaf(
            &subject("leaf")?,
            key.public_key(),
            scope,
            (&product_ca, &authority),
        )?;
        Ok(Self {
            key,
            chain: vec![leaf, product_ca],
        })
    }

    /// A signer under one of the roots of `keys/`, with keys of these algorithms for product CA and leaf.
    pub fn under_root(
        keys: &Path,
        root: &str,
        algorithms: [Algorithm; 2],
        scope: &Scope,
    ) -> Result<Self> {
        let key = private_key(&keys.join(format!("{root}.key.pem")))?;
        let root = certificates(&keys.join(format!("{root}.pem")))?.remove(0);
        Self::below((&root, &key), algorithms, scope)
    }

    /// A whole chain of its own, under a root that no device trusts.
    pub fn foreign(scope: &Scope) -> Result<Self> {
        let key = PrivateKey::generate(Algorithm::EcdsaP256)?;
        let root = pki::issue_root(&subject("root")?, None, &key)?;
        Self::below((&root, &key), [Algorithm::EcdsaP256; 2], scope)
    }

    fn below(
        root: (&Certificate, &PrivateKey),
        [ca, leaf]: [Algorithm; 2],
        scope: &Scope,
    ) -> Result<Self> {
        let (root, root_key) = root;
        let ca_key = PrivateKey::generate(ca)?;
        let ca = pki::issue_product_ca(
            &subject("product CA")?,
            ca_key.public_key(),
            scope,
            (root, root_key),
        )?;
        let key = PrivateKey::generate(leaf)?;
        let leaf = pki::issue_leaf(&subject("leaf")?, key.public_key(), scope, (&ca, &ca_key))?;
        Ok(Self {
            key,
            chain: vec![leaf, ca],
        })
    }
}

/// A development scope for all cores of the test platforms, up to this security version.
pub fn scope(platform: &Platform, ceiling: u32) -> Result<Scope> {
    let class = platform.device_class().bytes();
    Ok(Scope::new(
        Kind::Leaf,
        &[0, 1, 2],
        &[class],
        ceiling,
        1,
        Role::Development,
    )?)
}

/// A signed bundle whose parts can be changed, to be signed anew.
#[derive(Clone)]
pub struct Mutant {
    bytes: Vec<u8>,
    manifest: Range<usize>,
    signatures: Range<usize>,
}

impl Mutant {
    /// Takes a valid bundle apart.
    pub fn of(bundle: &[u8]) -> Result<Self> {
        let footer = bundle
            .last_chunk::<FOOTER_SIZE>()
            .context("shorter than a footer")?;
        let word = |at: usize| -> Result<usize> {
            let field = footer.get(at..at + 4).context("footer")?;
            Ok(usize::try_from(u32::from_le_bytes(field.try_into()?))?)
        };
        // bundle-format.md 2.1: the sizes of manifest, certificates and signatures.
        let (manifest, certificates, signatures) = (word(8)?, word(12)?, word(16)?);
        let end = bundle.len() - FOOTER_SIZE;
        let signatures = end - signatures..end;
        let start = signatures.start - certificates - manifest;
        Ok(Self {
            bytes: bundle.to_vec(),
            manifest: start..start + manifest,
            signatures,
        })
    }

    /// Overwrites bytes of the manifest, at an offset from its beginning.
    pub fn set(mut self, at: usize, bytes: &[u8]) -> Result<Self> {
        let manifest = self.manifest.clone();
        let place = self.bytes[manifest].get_mut(at..at + bytes.len());
        place
            .context("outside the manifest")?
            .copy_from_slice(bytes);
        Ok(self)
    }

    /// Overwrites a field of one segment's record.
    pub fn set_segment(self, segment: usize, at: usize, value: u64) -> Result<Self> {
        let record = self.segment(segment);
        self.set(record + at, &value.to_le_bytes())
    }

    /// A field of one segment's record.
    pub fn segment_field(&self, segment: usize, at: usize) -> Result<u64> {
        let at = self.manifest.start + self.segment(segment) + at;
        let field = self.bytes.get(at..at + 8).context("outside the manifest")?;
        Ok(u64::from_le_bytes(field.try_into()?))
    }

    /// How many segments there are.
    pub fn segments(&self) -> usize {
        usize::from(self.half(6))
    }

    /// Overwrites bytes of the inline resource table.
    pub fn set_table(self, at: usize, bytes: &[u8]) -> Result<Self> {
        let table = self.table_offset()?;
        self.set(table + at, bytes)
    }

    /// Appends an extension to the manifest.
    pub fn add_extension(mut self, kind: u32, critical: bool, value: &[u8; 16]) -> Result<Self> {
        let mut extension = Vec::new();
        extension.extend(kind.to_le_bytes());
        extension.extend(u32::from(critical).to_le_bytes());
        extension.extend(16u32.to_le_bytes());
        extension.extend(0u32.to_le_bytes());
        extension.extend(value);
        let count = self.half(8) + 1;
        let at = self.manifest.end;
        self.bytes.splice(at..at, extension.iter().copied());
        self.manifest.end += extension.len();
        self.signatures =
            self.signatures.start + extension.len()..self.signatures.end + extension.len();
        let size = u32::try_from(self.manifest.len())?;
        let footer = self.bytes.len() - FOOTER_SIZE;
        self.bytes[footer + 8..footer + 12].copy_from_slice(&size.to_le_bytes());
        self.set(8, &count.to_le_bytes())
    }

    /// Signs what it is now.
    pub fn sign(mut self, key: &dyn Signer) -> Result<Vec<u8>> {
        let signed = [
            &self.bytes[self.bytes.len() - FOOTER_SIZE..],
            &self.bytes[self.manifest.clone()],
            &self.bytes[self.manifest.end..self.signatures.start],
        ]
        .concat();
        let digest = ring::digest::digest(&ring::digest::SHA384, &signed);
        let message = Draft::message(digest.as_ref().try_into()?);
        let signature = key.sign(&message)?;
        ensure!(
            signature.len() == self.signatures.len(),
            "one slot, 64 bytes"
        );
        self.bytes[self.signatures].copy_from_slice(&signature);
        Ok(self.bytes)
    }

    fn table_offset(&self) -> Result<usize> {
        let mut chunks = 0;
        for segment in 0..self.segments() {
            chunks += self
                .segment_field(segment, FILE_SIZE)?
                .div_ceil(firmware_bundle::CHUNK);
        }
        Ok(self.segment(self.segments()) + usize::try_from(chunks)? * 32)
    }

    fn segment(&self, index: usize) -> usize {
        let cores = usize::from(self.half(4));
        HEAD + (cores * 4).next_multiple_of(16) + index * RECORD
    }

    fn half(&self, at: usize) -> u16 {
        let at = self.manifest.start + at;
        u16::from_le_bytes([self.bytes[at], self.bytes[at + 1]])
    }
}

/// A bundle's trailer, by the product's own reader.
pub fn trailer(bundle: &[u8]) -> Result<Trailer<'_>> {
    let tail = bundle.len().saturating_sub(firmware_bundle::MAX_TRAILER);
    Ok(Trailer::of(&File {
        length: u64::try_from(bundle.len())?,
        head: &[],
        tail: &bundle[tail..],
    })?)
}

/// What private memory must hold after a load: the signed segments and zeros.
pub fn expected_memory(bundle: &[u8], base: u64, size: usize) -> Result<Vec<u8>> {
    let mut memory = vec![0; size];
    for segment in trailer(bundle)?.unverified_manifest()?.segments() {
        let to = usize::try_from(segment.address - base)?;
        let from = usize::try_from(segment.file_offset)?;
        let length = usize::try_from(segment.file_size)?;
        memory[to..to + length].copy_from_slice(&bundle[from..from + length]);
    }
    Ok(memory)
}

/// How many bytes of the bundle are loaded into segments.
pub fn loaded_bytes(bundle: &[u8]) -> Result<u64> {
    let mutant = Mutant::of(bundle)?;
    (0..mutant.segments()).try_fold(0, |sum, segment| {
        Ok(sum + mutant.segment_field(segment, FILE_SIZE)?)
    })
}

/// The inline resource table.
pub fn table(bundle: &[u8]) -> Result<Vec<u8>> {
    let mutant = Mutant::of(bundle)?;
    let at = mutant.manifest.start + mutant.table_offset()?;
    let size = mutant.manifest.start + TABLE_SIZE;
    let size = u32::from_le_bytes(bundle[size..size + 4].try_into()?);
    Ok(bundle[at..at + usize::try_from(size)?].to_vec())
}

/// Where fields of a segment's record lie (bundle-format.md 7.1).
pub const ADDRESS: usize = 0;
/// Bytes in memory.
pub const MEMORY_SIZE: usize = 8;
/// Bytes in the file.
pub const FILE_SIZE: usize = 24;
/// The entry point in the manifest (bundle-format.md 5.1).
pub const ENTRY: usize = 32;

/// The table's size in the manifest (bundle-format.md 5.1).
const TABLE_SIZE: usize = 56;
const HEAD: usize = 192;
const RECORD: usize = 48;

fn subject(name: &str) -> Result<Subject> {
    Ok(Subject {
        name: format!("CN=test {name}"),
        not_before: "2026-01-01".parse()?,
        not_after: Date::NEVER,
    })
}

fn certificates(path: &Path) -> Result<Vec<Certificate>> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    Ok(Certificate::read_all(&bytes)?)
}

fn private_key(path: &Path) -> Result<PrivateKey> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    Ok(PrivateKey::read(&bytes, || {
        Err(firmware_signing::Error::KeyMalformed)
    })?)
}
