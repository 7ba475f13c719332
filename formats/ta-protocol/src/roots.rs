//! The report that `TRUSTED_ROOTS` writes: whom this device trusts.

use zerocopy::{FromBytes, IntoBytes};

use crate::{Error, MAX_ROOTS, raw};

/// One pinned root (ta-api.md 4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root {
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub key_id: [u8; 32],
    /// Its signature algorithm, numbered as in the bundle format.
    pub algorithm: u16,
    /// The signature slot it stands for.
    pub slot: u8,
    /// 0 development, 1 release.
    pub role: u8,
}

/// A report of pinned roots: holding one tells you that its length fits its count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootsReport<'a> {
    required_slots: u32,
    entries: &'a [u8],
}

impl<'a> RootsReport<'a> {
    /// How many bytes a report of `count` roots has.
    pub fn length(count: usize) -> Option<usize> {
        ENTRY.checked_mul(count)?.checked_add(HEADER)
    }

    /// Writes a report and returns its length, or `None` if `into` is too short or there are too many roots.
    pub fn write(
        required_slots: u32,
        roots: impl ExactSizeIterator<Item = Root>,
        into: &mut [u8],
    ) -> Option<usize> {
        let count = roots.len();
        let length = Self::length(count).filter(|_| count <= MAX_ROOTS)?;
        let header = raw::RootsHeader {
            count: u32::try_from(count).ok()?.into(),
            required_slots: required_slots.into(),
        };
        let (head, tail) = into.get_mut(..length)?.split_at_mut_checked(HEADER)?;
        header.write_to(head).ok()?;
        for (place, root) in tail.chunks_exact_mut(ENTRY).zip(roots) {
            let entry = raw::Root {
                key_id: root.key_id,
                algorithm: root.algorithm.into(),
                slot: root.slot,
                role: root.role,
            };
            entry.write_to(place).ok()?;
        }
        Some(length)
    }

    /// Reads a report.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let Ok((header, entries)) = raw::RootsHeader::read_from_prefix(bytes) else {
            return Err(Error::Length {
                found: bytes.len(),
                expected: HEADER,
            });
        };
        let count = header.count.get();
        let limit = u32::try_from(MAX_ROOTS).unwrap_or(u32::MAX);
        let Some(expected) = usize::try_from(count)
            .ok()
            .filter(|count| *count <= MAX_ROOTS)
            .and_then(Self::length)
        else {
            return Err(Error::Count { count, limit });
        };
        if expected != bytes.len() {
            return Err(Error::Length {
                found: bytes.len(),
                expected,
            });
        }
        Ok(Self {
            required_slots: header.required_slots.get(),
            entries,
        })
    }

    /// Bit n is set where a bundle must have a signature in slot n.
    pub fn required_slots(&self) -> u32 {
        self.required_slots
    }

    /// The pinned roots.
    pub fn roots(&self) -> impl Iterator<Item = Root> + 'a {
        self.entries.chunks_exact(ENTRY).filter_map(|bytes| {
            let entry = raw::Root::read_from_bytes(bytes).ok()?;
            Some(Root {
                key_id: entry.key_id,
                algorithm: entry.algorithm.get(),
                slot: entry.slot,
                role: entry.role,
            })
        })
    }
}

const HEADER: usize = size_of::<raw::RootsHeader>();
const ENTRY: usize = size_of::<raw::Root>();
