//! The golden bundle taken apart, to be changed and signed anew by a stand-in for cryptography.

#![allow(dead_code, reason = "each test binary uses another part of it")]

use std::ops::Range;

use firmware_bundle::{Error, File, Manifest, SignatureCheck, Slot, Trailer};

/// The bytes of a golden file: hexadecimal, with comments.
pub(crate) fn golden(text: &str) -> Vec<u8> {
    text.lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .flat_map(str::split_whitespace)
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

pub(crate) const V1: &str = include_str!("../golden/v1.hex");
pub(crate) const V1_P384: &str = include_str!("../golden/v1-p384.hex");
pub(crate) const V1_ED25519: &str = include_str!("../golden/v1-ed25519.hex");
pub(crate) const V1_TWO_SLOTS: &str = include_str!("../golden/v1-two-slots.hex");

/// The parts of a bundle. Sizes in the footer follow the parts, and the signatures are made anew, when they are put together.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) elf: Vec<u8>,
    pub(crate) padding: Vec<u8>,
    pub(crate) manifest: Vec<u8>,
    pub(crate) certificates: Vec<u8>,
    pub(crate) signatures: Vec<u8>,
    pub(crate) footer: Vec<u8>,
}

impl Parts {
    pub(crate) fn golden() -> Parts {
        Parts::of(golden(V1))
    }

    pub(crate) fn of(mut rest: Vec<u8>) -> Parts {
        let footer = rest.split_off(rest.len() - 64);
        let size = |at: usize| u32::from_le_bytes(footer[at..at + 4].try_into().unwrap()) as usize;
        let signatures = rest.split_off(rest.len() - size(16));
        let certificates = rest.split_off(rest.len() - size(12));
        let manifest = rest.split_off(rest.len() - size(8));
        let padding = rest.split_off(size(0));
        Parts {
            elf: rest,
            padding,
            manifest,
            certificates,
            signatures,
            footer,
        }
    }

    /// The golden bundle with another manifest, after `change`.
    pub(crate) fn manifest(change: impl FnOnce(&mut Vec<u8>)) -> Parts {
        let mut parts = Parts::golden();
        change(&mut parts.manifest);
        parts
    }

    /// The golden bundle with another certificates part, after `change`.
    pub(crate) fn certificates(change: impl FnOnce(&mut Vec<u8>)) -> Parts {
        let mut parts = Parts::golden();
        change(&mut parts.certificates);
        parts
    }

    /// The golden bundle with another footer, after `change`; its sizes stay as they were changed.
    pub(crate) fn footer(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut parts = Parts::golden();
        change(&mut parts.footer);
        parts.join()
    }

    /// The file, its sizes and its signature made anew.
    pub(crate) fn file(mut self) -> Vec<u8> {
        let size = |part: &[u8]| u32::try_from(part.len()).unwrap().to_le_bytes();
        put(&mut self.footer, 0, &(self.elf.len() as u64).to_le_bytes());
        put(&mut self.footer, 8, &size(&self.manifest));
        put(&mut self.footer, 12, &size(&self.certificates));
        put(&mut self.footer, 16, &size(&self.signatures));
        let digest = Toy.sha384([&self.footer, &self.manifest, &self.certificates]);
        let signature = sign(&firmware_bundle::write::Draft::message(&digest));
        for part in self.signatures.chunks_mut(16) {
            part.copy_from_slice(&signature[..part.len()]);
        }
        self.join()
    }

    fn join(self) -> Vec<u8> {
        [
            self.elf,
            self.padding,
            self.manifest,
            self.certificates,
            self.signatures,
            self.footer,
        ]
        .concat()
    }
}

pub(crate) fn put(bytes: &mut [u8], at: usize, new: &[u8]) {
    bytes[at..at + new.len()].copy_from_slice(new);
}

/// Adds zeros up to a multiple of 16.
pub(crate) fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(16), 0);
}

/// Reads a file as far as the manifest, with every signature checked.
pub(crate) fn read(bytes: &[u8]) -> Result<(), Error> {
    with_manifest(bytes, |_| ())
}

pub(crate) fn with_manifest<T>(
    bytes: &[u8],
    then: impl FnOnce(Manifest<'_>) -> T,
) -> Result<T, Error> {
    let trailer = Trailer::of(&present(bytes))?;
    let verified = trailer.verify(&Toy).expect("the file was signed anew");
    verified.manifest().map(then)
}

pub(crate) fn present(bytes: &[u8]) -> File<'_> {
    File {
        length: bytes.len() as u64,
        head: &bytes[..bytes.len().min(16)],
        tail: &bytes[bytes.len().saturating_sub(0x1_0000)..],
    }
}

/// Stands in for cryptography: one signature is right for each message, and everybody can make it.
pub(crate) struct Toy;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forged;

impl SignatureCheck for Toy {
    type Signer = u8;
    type Error = Forged;

    fn sha384(&self, parts: [&[u8]; 3]) -> [u8; 48] {
        let mut context = ring::digest::Context::new(&ring::digest::SHA384);
        for part in parts {
            context.update(part);
        }
        context.finish().as_ref().try_into().unwrap()
    }

    fn check(&self, slot: &Slot<'_>, message: &[u8; 64]) -> Result<u8, Forged> {
        if slot
            .signature()
            .chunks(16)
            .all(|part| part == sign(message))
        {
            Ok(slot.number())
        } else {
            Err(Forged)
        }
    }
}

/// What a toy signature is made of, however long it is.
pub(crate) fn sign(message: &[u8; 64]) -> [u8; 16] {
    core::array::from_fn(|at| !message[48 + at])
}

pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for part in parts {
        context.update(part);
    }
    context.finish().as_ref().try_into().unwrap()
}

// Where things stand in the golden manifest.
pub(crate) const CORES: Range<usize> = 192..208;
pub(crate) const SEGMENTS: usize = 208;
pub(crate) const SEGMENT: usize = 48;
pub(crate) const DIGESTS: Range<usize> = 352..416;
pub(crate) const TABLE: Range<usize> = 416..512;
pub(crate) const EXTENSION: usize = 512;

pub(crate) type SignatureBytes = [u8; 64];

pub(crate) fn digest(trailer: &Trailer<'_>) -> [u8; 48] {
    Toy.sha384(trailer.signed_parts())
}
