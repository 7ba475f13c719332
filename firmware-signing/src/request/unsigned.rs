//! A bundle that waits for its signatures, in a form that nobody takes for a bundle (docs/two-step-signing.md 2).
//!
//! It neither begins like an ELF nor ends like a bundle, so no loader touches it and no tool signs it a second time.

use std::borrow::Cow;

use certificate_chain::sha384;
use firmware_bundle::write::Draft;
use firmware_bundle::{File, Footer, MAX_TRAILER, Manifest, Trailer};

use crate::Error;
use crate::sign::{Options, Signed, SlotChain, Unsigned, for_each_device};
use crate::verify::{self, check_digests};

/// Whether `bytes` are a prepared bundle, right or wrong.
pub fn is_unsigned(bytes: &[u8]) -> bool {
    bytes.starts_with(&HEAD)
}

/// The parts of the file for a bundle that was laid out.
#[derive(Clone, Debug)]
pub struct Wrapped<'a> {
    elf: Cow<'a, [u8]>,
    trailer: Vec<u8>,
}

impl<'a> Wrapped<'a> {
    /// Puts zeros where the signatures go.
    pub fn new(unsigned: Unsigned<'a>) -> Result<Self, Error> {
        let (elf, mut trailer) = unsigned.with_zeros()?;
        if let Some(end) = trailer.last_chunk_mut() {
            *end = TAIL;
        }
        Ok(Self { elf, trailer })
    }

    /// Judges everything but the signatures to come.
    pub fn judge(&self, options: &Options<'_>) -> Result<(), Error> {
        let mut trailer = self.trailer.clone();
        if let Some(end) = trailer.last_chunk_mut() {
            *end = *b"CWFW";
        }
        for_each_device(options, |trust, device| {
            verify::admit_unsigned(&self.elf, &trailer, trust, device)
        })
    }

    /// What to write, one part after the other.
    pub fn parts(&self) -> [&[u8]; 3] {
        [&HEAD, &self.elf, &self.trailer]
    }
}

/// Holding a `Prepared` tells you that its parts fill the file, that its manifest keeps the format, and that every byte of the image is
/// what the manifest says. Nobody has signed it.
#[derive(Clone, Debug)]
pub struct Prepared<'a> {
    elf: &'a [u8],
    trailer: Vec<u8>,
    signatures: usize,
    slots: Vec<SlotChain>,
    digest: [u8; 48],
}

impl<'a> Prepared<'a> {
    /// Reads a prepared bundle.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        let body = bytes.strip_prefix(&HEAD).ok_or(Error::NotPrepared)?;
        if !body.ends_with(&TAIL) {
            return Err(Error::PreparedCut {
                size: bytes.len() as u64,
            });
        }
        let mut tail = body[body.len().saturating_sub(MAX_TRAILER)..].to_vec();
        if let Some(end) = tail.last_chunk_mut() {
            *end = *b"CWFW";
        }
        let file = File {
            length: body.len() as u64,
            head: &[],
            tail: &tail,
        };
        let size = Footer::of(&file)?.trailer_size();
        let trailer = tail.split_off(tail.len() - size);
        let elf = &body[..body.len() - size];

        let read = read(elf, &trailer)?;
        check_digests(&[elf, &trailer], &read.unverified_manifest()?)?;
        let digest = sha384(&read.signed_parts());
        let signatures = read
            .slots()
            .map(|slot| slot.signature().len())
            .sum::<usize>()
            .next_multiple_of(16);
        if read
            .slots()
            .any(|slot| slot.signature().iter().any(|byte| *byte != 0))
        {
            return Err(Error::NotPrepared);
        }
        let slots = read.slots().map(SlotChain::of).collect::<Result<_, _>>()?;
        Ok(Self {
            elf,
            signatures,
            slots,
            digest,
            trailer,
        })
    }

    /// What every slot's key signs.
    pub fn message(&self) -> [u8; 64] {
        Draft::message(&self.digest)
    }

    /// The bundle digest, which no signature changes.
    pub fn digest(&self) -> &[u8; 48] {
        &self.digest
    }

    /// The slots in order.
    pub fn slots(&self) -> &[SlotChain] {
        &self.slots
    }

    /// What will be signed.
    pub fn manifest(&self) -> Result<Manifest<'_>, Error> {
        Ok(read(self.elf, &self.trailer)?.unverified_manifest()?)
    }

    /// The bundle, with one raw signature for each slot; each has to hold.
    pub fn finish(mut self, signatures: &[Vec<u8>]) -> Result<Signed<'a>, Error> {
        let message = self.message();
        let mut all = Vec::with_capacity(self.signatures);
        for (index, slot) in self.slots.iter().enumerate() {
            let signature = signatures.get(index).map_or(&[][..], Vec::as_slice);
            let held = slot
                .algorithm
                .check(&slot.public_key()?, &message, signature);
            held.map_err(|_| Error::SignatureWrong { slot: slot.number })?;
            all.extend(signature);
        }
        all.resize(self.signatures, 0);
        let end = self.trailer.len() - firmware_bundle::FOOTER_SIZE;
        self.trailer.splice(end - self.signatures..end, all);
        if let Some(end) = self.trailer.last_chunk_mut() {
            *end = *b"CWFW";
        }
        Ok(Signed {
            elf: Cow::Borrowed(self.elf),
            trailer: self.trailer,
            digest: self.digest,
        })
    }
}

fn read<'t>(elf: &[u8], trailer: &'t [u8]) -> Result<Trailer<'t>, Error> {
    Ok(Trailer::of(&File {
        length: elf.len() as u64 + trailer.len() as u64,
        head: &[],
        tail: trailer,
    })?)
}

const HEAD: [u8; 16] = *b"corewarden.draft";
const TAIL: [u8; 4] = *b"CWFU";
