//! The trailer: from bytes to slots, from slots to "every signature holds".

use zerocopy::FromBytes;

use crate::raw;
use crate::{
    Error, FOOTER_SIZE, File, Footer, MAX_CERTIFICATES, MAX_CHAIN, MAX_SLOTS, MESSAGE_SIZE,
    Manifest, Part,
};

/// Signature algorithms that have a number (bundle-format.md 3.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// 1
    EcdsaP256Sha256,
    /// 2
    EcdsaP384Sha384,
    /// 3
    Ed25519,
    /// 0x100, not supported yet
    MlDsa65,
}

impl Algorithm {
    /// The algorithm's number in the format.
    #[must_use]
    pub fn id(self) -> u16 {
        match self {
            Algorithm::EcdsaP256Sha256 => 1,
            Algorithm::EcdsaP384Sha384 => 2,
            Algorithm::Ed25519 => 3,
            Algorithm::MlDsa65 => 0x100,
        }
    }

    /// Bytes of one raw signature (bundle-format.md 4.1).
    #[must_use]
    pub fn signature_size(self) -> usize {
        match self {
            Algorithm::EcdsaP256Sha256 | Algorithm::Ed25519 => 64,
            Algorithm::EcdsaP384Sha384 => 96,
            Algorithm::MlDsa65 => 3309,
        }
    }

    fn from_id(id: u16) -> Result<Algorithm, Error> {
        match id {
            1 => Ok(Algorithm::EcdsaP256Sha256),
            2 => Ok(Algorithm::EcdsaP384Sha384),
            3 => Ok(Algorithm::Ed25519),
            0x100 => Ok(Algorithm::MlDsa65),
            _ => Err(Error::UnknownAlgorithm { id }), // bundle-format.md 3.6
        }
    }
}

impl core::fmt::Display for Algorithm {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Algorithm::EcdsaP256Sha256 => "ECDSA P-256",
            Algorithm::EcdsaP384Sha384 => "ECDSA P-384",
            Algorithm::Ed25519 => "Ed25519",
            Algorithm::MlDsa65 => "ML-DSA-65",
        })
    }
}

/// One signature with what is needed to judge it.
#[derive(Clone, Copy, Debug)]
pub struct Slot<'a> {
    number: u8,
    algorithm: Algorithm,
    chain: [&'a [u8]; MAX_CERTIFICATES],
    signature: &'a [u8],
}

impl<'a> Slot<'a> {
    /// The slot's number: 0, or 1 for the second signature (bundle-format.md 3.5).
    #[must_use]
    pub fn number(&self) -> u8 {
        self.number
    }

    /// The algorithm of its signature.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its certificates as DER, the signer's first.
    pub fn chain(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.chain
            .into_iter()
            .filter(|certificate| !certificate.is_empty())
    }

    /// The raw signature, as long as the algorithm says.
    #[must_use]
    pub fn signature(&self) -> &'a [u8] {
        self.signature
    }
}

/// What the bundle asks of cryptography.
pub trait SignatureCheck {
    /// What is known about a signer whose signature holds.
    type Signer;
    /// Why a signature or its chain was refused.
    type Error;

    /// SHA-384 over the parts, one after the other.
    fn sha384(&self, parts: [&[u8]; 3]) -> [u8; 48];

    /// Judges the chain of `slot`, then its signature over `message`.
    ///
    /// # Errors
    /// The first rule that is broken.
    fn check(
        &self,
        slot: &Slot<'_>,
        message: &[u8; MESSAGE_SIZE],
    ) -> Result<Self::Signer, Self::Error>;
}

/// A slot whose chain or signature was refused (bundle-format.md 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotRefused<E> {
    /// Slot number.
    pub slot: u8,
    /// Why.
    pub error: E,
}

/// Holding a `Trailer` tells you that the parts fill the file and that every slot is understood (bundle-format.md 1 to 4).
/// Nothing is authentic yet.
#[derive(Clone, Copy, Debug)]
pub struct Trailer<'a> {
    footer: Footer,
    footer_bytes: &'a [u8],
    manifest: &'a [u8],
    certificates: &'a [u8],
    slots: [Option<Slot<'a>>; MAX_SLOTS],
}

impl<'a> Trailer<'a> {
    /// Reads the trailer at the end of `file`.
    ///
    /// # Errors
    /// The rule of bundle-format.md 1 to 4 which the file breaks.
    pub fn of(file: &File<'a>) -> Result<Trailer<'a>, Error> {
        let footer = Footer::of(file)?;
        // bundle-format.md 1.11
        let tail_short = Error::TailShort {
            needed: u64::try_from(footer.trailer_size).unwrap_or(u64::MAX),
            given: u64::try_from(file.tail.len()).unwrap_or(u64::MAX),
        };
        let skipped = file
            .tail
            .len()
            .checked_sub(footer.trailer_size)
            .ok_or(tail_short)?;
        let mut parts = file.tail.get(skipped..).ok_or(tail_short)?;
        let mut take = |size: usize| {
            let (part, rest) = parts.split_at_checked(size).ok_or(tail_short)?;
            parts = rest;
            Ok(part)
        };
        let padding = take(footer.padding)?;
        let manifest = take(footer.manifest_size)?;
        let certificates = take(footer.certificates_size)?;
        let signatures = take(footer.signatures_size)?;
        let footer_bytes = take(FOOTER_SIZE)?;

        zero(Part::Padding, padding)?;
        Ok(Trailer {
            footer,
            footer_bytes,
            manifest,
            certificates,
            slots: slots(certificates, signatures)?,
        })
    }

    /// The footer it was found by.
    #[must_use]
    pub fn footer(&self) -> &Footer {
        &self.footer
    }

    /// The slots in order.
    pub fn slots(&self) -> impl Iterator<Item = &Slot<'a>> {
        self.slots.iter().flatten()
    }

    /// What every signature covers, in this order: footer, manifest, certificates (bundle-format.md 4.2).
    #[must_use]
    pub fn signed_parts(&self) -> [&'a [u8]; 3] {
        [self.footer_bytes, self.manifest, self.certificates]
    }

    /// Checks every slot and only then lets the manifest be used (bundle-format.md 4.3).
    ///
    /// # Errors
    /// The first slot that is refused, and why.
    pub fn verify<C: SignatureCheck>(
        &self,
        check: &C,
    ) -> Result<Verified<'a, C::Signer>, SlotRefused<C::Error>> {
        let digest = check.sha384(self.signed_parts());
        let message = message(&digest);
        let mut signers = [const { None }; MAX_SLOTS];
        for (slot, signer) in self.slots().zip(signers.iter_mut()) {
            let found = check.check(slot, &message).map_err(|error| SlotRefused {
                slot: slot.number,
                error,
            })?;
            *signer = Some((slot.number, found));
        }
        Ok(Verified {
            digest,
            elf_size: self.footer.elf_size,
            manifest: self.manifest,
            signers,
        })
    }

    /// Parses the manifest of a trailer nobody vouched for: for tools that show a file, never for one that acts upon it.
    ///
    /// # Errors
    /// The rule of bundle-format.md 5 to 9 which the manifest breaks.
    pub fn unverified_manifest(&self) -> Result<Manifest<'a>, Error> {
        Manifest::parse(self.manifest, self.footer.elf_size)
    }
}

/// Holding a `Verified` tells you that every signature of the bundle holds over footer, manifest and certificates.
#[derive(Clone, Copy, Debug)]
pub struct Verified<'a, S> {
    digest: [u8; 48],
    elf_size: u64,
    manifest: &'a [u8],
    signers: [Option<(u8, S)>; MAX_SLOTS],
}

impl<'a, S> Verified<'a, S> {
    /// The bundle digest: it names the signed content, whoever signed it.
    #[must_use]
    pub fn digest(&self) -> &[u8; 48] {
        &self.digest
    }

    /// Slot number and signer of every signature.
    pub fn signers(&self) -> impl Iterator<Item = (u8, &S)> {
        self.signers
            .iter()
            .flatten()
            .map(|(slot, signer)| (*slot, signer))
    }

    /// Parses the manifest.
    ///
    /// # Errors
    /// The rule of bundle-format.md 5 to 9 which the manifest breaks.
    pub fn manifest(&self) -> Result<Manifest<'a>, Error> {
        Manifest::parse(self.manifest, self.elf_size)
    }
}

/// bundle-format.md 4.2
pub(crate) fn message(digest: &[u8; 48]) -> [u8; MESSAGE_SIZE] {
    let mut message = [0; MESSAGE_SIZE];
    for (to, from) in message.iter_mut().zip(PREFIX.iter().chain(digest)) {
        *to = *from;
    }
    message
}

/// bundle-format.md 1.10
pub(crate) fn zero(part: Part, padding: &[u8]) -> Result<(), Error> {
    if padding.iter().any(|byte| *byte != 0) {
        return Err(Error::Padding { part });
    }
    Ok(())
}

fn slots<'a>(
    certificates: &'a [u8],
    signatures: &'a [u8],
) -> Result<[Option<Slot<'a>>; MAX_SLOTS], Error> {
    let mut reader = PartReader::new(Part::Certificates, certificates);
    let head: raw::CertificatesHead = reader.record()?;
    if head.reserved.iter().any(|byte| *byte != 0) {
        return Err(Error::CertificatesReserved); // bundle-format.md 3.3
    }
    let count = head.slots.get();
    if count == 0 || usize::from(count) > MAX_SLOTS {
        return Err(Error::SlotCount { count }); // bundle-format.md 3.2
    }

    let mut slots = [None; MAX_SLOTS];
    let mut previous = None;
    let mut expected = 0usize;
    for place in slots.iter_mut().take(usize::from(count)) {
        let mut slot = slot(&mut reader, previous)?;
        previous = Some(slot.number);
        // Reached only with a supported algorithm, so a size too large for the part is an error below, not an overflow.
        let size = slot.algorithm.signature_size();
        slot.signature = signatures
            .get(expected..)
            .and_then(|rest| rest.get(..size))
            .unwrap_or_default();
        expected = expected.saturating_add(size);
        *place = Some(slot);
    }
    reader.end()?;
    if signatures.len() != expected {
        // bundle-format.md 4.1
        return Err(Error::SignaturesSize {
            expected: u64::try_from(expected).unwrap_or(u64::MAX),
            found: u64::try_from(signatures.len()).unwrap_or(u64::MAX),
        });
    }
    Ok(slots)
}

fn slot<'a>(reader: &mut PartReader<'a>, previous: Option<u8>) -> Result<Slot<'a>, Error> {
    let head: raw::SlotHead = reader.record()?;
    let number = head.number;
    if head.reserved != 0 {
        return Err(Error::CertificatesReserved); // bundle-format.md 3.3
    }
    if usize::from(number) >= MAX_SLOTS {
        return Err(Error::UnknownSlot { slot: number }); // bundle-format.md 3.4
    }
    if previous.is_some_and(|previous| number <= previous) {
        return Err(Error::SlotOrder { slot: number }); // bundle-format.md 3.4
    }
    let algorithm = Algorithm::from_id(head.algorithm.get())?;
    if algorithm == Algorithm::MlDsa65 {
        return Err(Error::AlgorithmNotSupported { algorithm }); // bundle-format.md 3.7
    }

    let lengths = head.lengths.map(|length| length.get());
    let [first, second, third] = lengths;
    if first == 0 {
        return Err(Error::NoCertificate { slot: number }); // bundle-format.md 3.8
    }
    if second == 0 && third != 0 {
        return Err(Error::CertificateGap { slot: number }); // bundle-format.md 3.8
    }
    let size = lengths
        .iter()
        .fold(0u64, |sum, length| sum.saturating_add(u64::from(*length)));
    if usize::try_from(size).map_or(true, |size| size > MAX_CHAIN) {
        // bundle-format.md 3.9
        return Err(Error::ChainSize {
            slot: number,
            size,
            limit: 0x4000,
        });
    }
    let mut chain: [&[u8]; MAX_CERTIFICATES] = [&[]; MAX_CERTIFICATES];
    for (certificate, length) in chain.iter_mut().zip(lengths) {
        *certificate = reader.padded(length)?;
    }
    Ok(Slot {
        number,
        algorithm,
        chain,
        signature: &[],
    })
}

/// Reads a part from front to back; what it announces must be there, and nothing more (bundle-format.md 1.9).
pub(crate) struct PartReader<'a> {
    part: Part,
    size: u64,
    rest: &'a [u8],
}

impl<'a> PartReader<'a> {
    pub(crate) fn new(part: Part, bytes: &'a [u8]) -> PartReader<'a> {
        PartReader {
            part,
            size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            rest: bytes,
        }
    }

    pub(crate) fn take(&mut self, size: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(size).ok_or(self.short())?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn record<T: FromBytes>(&mut self) -> Result<T, Error> {
        let taken = self.take(size_of::<T>())?;
        T::read_from_bytes(taken).map_err(|_| self.short())
    }

    /// `length` bytes and the zeros up to the next multiple of 16 (bundle-format.md 1.10).
    pub(crate) fn padded(&mut self, length: u32) -> Result<&'a [u8], Error> {
        let taken = self.take(usize::try_from(length).map_err(|_| self.short())?)?;
        let padding = self.take(usize::try_from(length.wrapping_neg() & 15).unwrap_or_default())?;
        zero(self.part, padding)?;
        Ok(taken)
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn end(&self) -> Result<(), Error> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(Error::PartTail {
            part: self.part,
            excess: u64::try_from(self.rest.len()).unwrap_or(u64::MAX),
        })
    }

    fn short(&self) -> Error {
        Error::PartShort {
            part: self.part,
            size: self.size,
        }
    }
}

const PREFIX: [u8; 16] = *b"corewarden.cwfw1";
