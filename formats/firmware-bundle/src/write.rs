//! Writing a bundle: padding, manifest, certificates, signatures and footer for an ELF that stays as it is.
//!
//! What is described is laid out, then read back by the reader. So a [`Draft`] obeys the format, and an error is the rule it
//! would have broken.

use alloc::vec;
use alloc::vec::Vec;

use zerocopy::IntoBytes;

use crate::extension::CRITICAL;
use crate::footer::{MAGIC, VERSION, padding_after};
use crate::manifest::{self, HAS_VECTOR_TABLE};
use crate::trailer::message;
use crate::{
    Algorithm, CHUNK, Error, Extension, File, MESSAGE_SIZE, Part, SbomDigest, Segment, Trailer, raw,
};

/// What the manifest will say.
#[derive(Clone, Copy, Debug)]
pub struct Description<'a> {
    /// UUID of the machines it is made for, bytes in the order of the text form.
    pub device_class: [u8; 16],
    /// Cores it may run on, ascending.
    pub core_ids: &'a [u32],
    /// The version that may never go down on a device.
    pub security_version: u32,
    /// The version people read.
    pub display_version: &'a str,
    /// The build id of the ELF, or nothing.
    pub build_id: &'a [u8],
    /// The ELF's entry point.
    pub entry: u64,
    /// The vector table's address, for cores that have one.
    pub vector_table: Option<u64>,
    /// Segments by ascending device address.
    pub segments: &'a [Segment],
    /// The resource table and the device address at which it is published.
    pub resource_table: Option<(u64, &'a [u8])>,
    /// Extensions by ascending type.
    pub extensions: &'a [Extension<'a>],
}

impl SbomDigest<'_> {
    /// The value of an extension of type [`SbomDigest::KIND`].
    #[must_use]
    pub fn to_value(self) -> Vec<u8> {
        let head = raw::SbomHead {
            algorithm: self.id().into(),
            reserved: [0; 14],
        };
        let mut value = Vec::from(head.as_bytes());
        value.extend(self.bytes());
        value
    }
}

/// Who will sign.
#[derive(Clone, Copy, Debug)]
pub struct SlotDescription<'a> {
    /// The slot's number.
    pub number: u8,
    /// The algorithm of its signature.
    pub algorithm: Algorithm,
    /// Certificates as DER, the signer's first.
    pub chain: &'a [&'a [u8]],
}

/// Holding a `Draft` tells you that all of a bundle but its signatures is made and obeys the format.
#[derive(Clone, Debug)]
pub struct Draft {
    elf_size: u64,
    /// Everything behind the ELF part; zeros where the signatures go.
    bytes: Vec<u8>,
    signatures: core::ops::Range<usize>,
    sizes: Vec<usize>,
}

impl Draft {
    /// Lays out the bundle of `elf`. `sha256` hashes parts one after the other.
    ///
    /// # Errors
    /// The rule of bundle-format.md 1 to 9 which the description would break.
    pub fn new(
        elf: &[u8],
        description: &Description<'_>,
        slots: &[SlotDescription<'_>],
        sha256: impl Fn(&[&[u8]]) -> [u8; 32],
    ) -> Result<Draft, Error> {
        let elf_size = u64::try_from(elf.len()).unwrap_or(u64::MAX);
        let padding = vec![0; usize::try_from(padding_after(elf_size)).unwrap_or_default()];
        let manifest = manifest(elf, &padding, description, sha256)?;
        let certificates = certificates(slots)?;
        let sizes: Vec<usize> = slots
            .iter()
            .map(|slot| slot.algorithm.signature_size())
            .collect();
        let signed = sizes
            .iter()
            .fold(0usize, |sum, size| sum.saturating_add(*size));
        let signed = signed.checked_next_multiple_of(16).unwrap_or(usize::MAX);
        let part = |part, size: usize| {
            u32::try_from(size).map_err(|_| Error::PartSize {
                part,
                size: u32::MAX,
            })
        };
        let footer = raw::Footer {
            elf_size: elf_size.into(),
            manifest_size: part(Part::Manifest, manifest.len())?.into(),
            certificates_size: part(Part::Certificates, certificates.len())?.into(),
            signatures_size: part(Part::Signatures, signed)?.into(),
            reserved: [0; 36],
            version: VERSION.into(),
            flags: 0.into(),
            magic: MAGIC,
        };

        let mut bytes = padding;
        bytes.extend(manifest);
        bytes.extend(certificates);
        let start = bytes.len();
        bytes.resize(start.saturating_add(signed), 0);
        let end = bytes.len();
        bytes.extend(footer.as_bytes());

        let draft = Draft {
            elf_size,
            bytes,
            signatures: start..end,
            sizes,
        };
        draft.trailer()?.unverified_manifest()?;
        Ok(draft)
    }

    /// What every signature covers, in this order: footer, manifest, certificates.
    ///
    /// # Errors
    /// None for a draft that exists; the type is the reader's.
    pub fn signed_parts(&self) -> Result<[&[u8]; 3], Error> {
        Ok(self.trailer()?.signed_parts())
    }

    /// The 64 bytes to sign, from the SHA-384 of [`Draft::signed_parts`] (which is the bundle digest).
    #[must_use]
    pub fn message(digest: &[u8; 48]) -> [u8; MESSAGE_SIZE] {
        message(digest)
    }

    /// Puts in the raw signatures, in the order of the slots, and gives what is to be appended to the ELF.
    ///
    /// # Errors
    /// `SignaturesSize` where they are not as long as the algorithms say.
    pub fn finish(self, signatures: &[&[u8]]) -> Result<Vec<u8>, Error> {
        let fits = signatures.len() == self.sizes.len()
            && signatures
                .iter()
                .zip(&self.sizes)
                .all(|(signature, size)| signature.len() == *size);
        if !fits {
            let sum = |sizes: &mut dyn Iterator<Item = usize>| {
                sizes.fold(0u64, |sum, size| {
                    sum.saturating_add(u64::try_from(size).unwrap_or(u64::MAX))
                })
            };
            return Err(Error::SignaturesSize {
                expected: sum(&mut self.sizes.iter().copied()),
                found: sum(&mut signatures.iter().map(|signature| signature.len())),
            });
        }
        let mut bytes = self.bytes;
        let places = bytes.get_mut(self.signatures).unwrap_or_default();
        for (to, from) in places.iter_mut().zip(signatures.iter().copied().flatten()) {
            *to = *from;
        }
        Ok(bytes)
    }

    /// As the reader sees it.
    ///
    /// # Errors
    /// None for a draft that exists; the type is the reader's.
    pub fn trailer(&self) -> Result<Trailer<'_>, Error> {
        let trailer_size = u64::try_from(self.bytes.len()).unwrap_or(u64::MAX);
        Trailer::of(&File {
            length: self.elf_size.saturating_add(trailer_size),
            head: &[],
            tail: &self.bytes,
        })
    }
}

fn manifest(
    elf: &[u8],
    padding: &[u8],
    description: &Description<'_>,
    sha256: impl Fn(&[&[u8]]) -> [u8; 32],
) -> Result<Vec<u8>, Error> {
    let (table_address, table) = description.resource_table.unwrap_or_default();
    let mut display_version = [0; 32];
    for (to, from) in display_version
        .iter_mut()
        .zip(description.display_version.as_bytes())
    {
        *to = *from;
    }
    let mut build_id = [0; 64];
    for (to, from) in build_id.iter_mut().zip(description.build_id) {
        *to = *from;
    }
    // A count or length that does not fit its field is far above its limit, and u16::MAX or u8::MAX is so too.
    let count = |length: usize| u16::try_from(length).unwrap_or(u16::MAX);
    let length = |length: usize| u8::try_from(length).unwrap_or(u8::MAX);
    let head = raw::ManifestHead {
        version: manifest::VERSION.into(),
        flags: match description.vector_table {
            Some(_) => HAS_VECTOR_TABLE.into(),
            None => 0.into(),
        },
        cores: count(description.core_ids.len()).into(),
        segments: count(description.segments.len()).into(),
        extensions: count(description.extensions.len()).into(),
        display_version_length: length(description.display_version.len()),
        build_id_length: length(description.build_id.len()),
        security_version: description.security_version.into(),
        device_class: description.device_class,
        entry: description.entry.into(),
        vector_table: description.vector_table.unwrap_or(0).into(),
        table_address: table_address.into(),
        table_size: u32::try_from(table.len()).unwrap_or(u32::MAX).into(),
        reserved: 0.into(),
        rest_digest: sha256(&rest(elf, padding, description.segments)),
        display_version,
        build_id,
    };

    let mut bytes = Vec::from(head.as_bytes());
    for id in description.core_ids {
        bytes.extend(id.to_le_bytes());
    }
    pad(&mut bytes);
    for segment in description.segments {
        let record = raw::Segment {
            address: segment.address.into(),
            memory_size: segment.memory_size.into(),
            file_offset: segment.file_offset.into(),
            file_size: segment.file_size.into(),
            flags: segment.access.bits().into(),
            reserved: [0; 12],
        };
        bytes.extend(record.as_bytes());
    }
    for (index, segment) in (0..=u8::MAX).zip(description.segments) {
        let loaded = loaded(elf, segment).ok_or(Error::FileRange {
            segment: index,
            end: segment.file_end(),
            elf: u64::try_from(elf.len()).unwrap_or(u64::MAX),
        })?;
        for chunk in loaded.chunks(usize::try_from(CHUNK).unwrap_or(usize::MAX)) {
            bytes.extend(sha256(&[chunk]));
        }
    }
    bytes.extend(table);
    pad(&mut bytes);
    for extension in description.extensions {
        let head = raw::ExtensionHead {
            kind: extension.kind.into(),
            flags: if extension.critical { CRITICAL } else { 0 }.into(),
            length: u32::try_from(extension.value.len())
                .unwrap_or(u32::MAX)
                .into(),
            reserved: 0.into(),
        };
        bytes.extend(head.as_bytes());
        bytes.extend(extension.value);
        pad(&mut bytes);
    }
    Ok(bytes)
}

fn certificates(slots: &[SlotDescription<'_>]) -> Result<Vec<u8>, Error> {
    let head = raw::CertificatesHead {
        slots: u16::try_from(slots.len()).unwrap_or(u16::MAX).into(),
        reserved: [0; 14],
    };
    let mut bytes = Vec::from(head.as_bytes());
    for slot in slots {
        let mut lengths = [0.into(); 3];
        for (to, certificate) in lengths.iter_mut().zip(slot.chain) {
            *to = u32::try_from(certificate.len()).unwrap_or(u32::MAX).into();
        }
        let head = raw::SlotHead {
            number: slot.number,
            reserved: 0,
            algorithm: slot.algorithm.id().into(),
            lengths,
        };
        bytes.extend(head.as_bytes());
        if slot.chain.len() > lengths.len() {
            return Err(Error::CertificateCount {
                slot: slot.number,
                count: u64::try_from(slot.chain.len()).unwrap_or(u64::MAX),
            });
        }
        for certificate in slot.chain {
            bytes.extend(*certificate);
            pad(&mut bytes);
        }
    }
    Ok(bytes)
}

/// Every byte before the manifest that is in no segment, as the pieces between them (bundle-format.md 10.2).
fn rest<'a>(elf: &'a [u8], padding: &'a [u8], segments: &[Segment]) -> Vec<&'a [u8]> {
    let mut ranges: Vec<(usize, usize)> = segments
        .iter()
        .filter(|segment| segment.file_size != 0)
        .filter_map(|segment| {
            Some((
                usize::try_from(segment.file_offset).ok()?,
                usize::try_from(segment.file_end()).ok()?,
            ))
        })
        .collect();
    ranges.sort_unstable();
    let mut pieces = Vec::new();
    let mut at = 0;
    for (start, end) in ranges {
        pieces.extend(elf.get(at..start));
        at = end.max(at);
    }
    pieces.extend(elf.get(at..));
    pieces.push(padding);
    pieces
}

fn loaded<'a>(elf: &'a [u8], segment: &Segment) -> Option<&'a [u8]> {
    let start = usize::try_from(segment.file_offset).ok()?;
    let size = usize::try_from(segment.file_size).ok()?;
    elf.get(start..start.checked_add(size)?)
}

fn pad(bytes: &mut Vec<u8>) {
    let length = bytes.len().checked_next_multiple_of(16);
    bytes.resize(length.unwrap_or(bytes.len()), 0);
}
