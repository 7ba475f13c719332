//! What is loaded on a core, and its form in the record that outlives this instance of the TA.
//!
//! The record travels through the PTA only, so it is as trusted as the PTA. It is judged all the same: a
//! record of another layout is no record.

use ta_protocol::{Digest, Text};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// What is known of a loaded bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) digest: Digest,
    pub(crate) signer: [u8; 32],
    pub(crate) display_version: Text<32>,
    pub(crate) build_id: Text<64>,
    pub(crate) security_version: u32,
    /// The isolation it was loaded under.
    pub(crate) generation: u32,
    /// The core's start counter when it was loaded: another one says that it has run since.
    pub(crate) starts: u32,
    /// Where the resource table is published: device address and size; both 0 if there is none.
    pub(crate) table: (u64, u32),
}

/// The record's size.
pub(crate) const LENGTH: usize = size_of::<Raw>();

impl Image {
    /// The record.
    pub(crate) fn to_record(self) -> [u8; LENGTH] {
        let (display_version, display_version_length) = field(self.display_version.as_bytes());
        let (build_id, build_id_length) = field(self.build_id.as_bytes());
        zerocopy::transmute!(Raw {
            layout: LAYOUT.into(),
            security_version: self.security_version.into(),
            generation: self.generation.into(),
            starts: self.starts.into(),
            table_address: self.table.0.into(),
            table_size: self.table.1.into(),
            display_version_length,
            build_id_length,
            reserved: [0; 2],
            digest: self.digest.0,
            signer: self.signer,
            display_version,
            build_id,
        })
    }

    /// The image of a record, if it is one of this layout.
    pub(crate) fn from_record(bytes: &[u8]) -> Option<Self> {
        let raw = Raw::read_from_bytes(bytes).ok()?;
        if raw.layout.get() != LAYOUT || raw.reserved != [0; 2] {
            return None;
        }
        Some(Self {
            digest: Digest(raw.digest),
            signer: raw.signer,
            display_version: Text::new(used(&raw.display_version, raw.display_version_length)?)?,
            build_id: Text::new(used(&raw.build_id, raw.build_id_length)?)?,
            security_version: raw.security_version.get(),
            generation: raw.generation.get(),
            starts: raw.starts.get(),
            table: (raw.table_address.get(), raw.table_size.get()),
        })
    }
}

/// The bytes of a field that are in use.
fn used(field: &[u8], length: u8) -> Option<&[u8]> {
    field.get(..usize::from(length))
}

/// A text in its field, with its length.
fn field<const N: usize>(text: &[u8]) -> ([u8; N], u8) {
    let mut field = [0; N];
    for (to, from) in field.iter_mut().zip(text) {
        *to = *from;
    }
    (field, u8::try_from(text.len()).unwrap_or(0))
}

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Raw {
    layout: U32,                // 0: 1
    security_version: U32,      // 4
    generation: U32,            // 8: isolation generation at LOAD
    starts: U32,                // 12: start counter at LOAD
    table_address: U64,         // 16: device address of the published table
    table_size: U32,            // 24: 0 = no table
    display_version_length: u8, // 28
    build_id_length: u8,        // 29
    reserved: [u8; 2],          // 30: 0
    digest: [u8; 48],           // 32: bundle digest
    signer: [u8; 32],           // 80: SHA-256 of the leaf's SubjectPublicKeyInfo
    display_version: [u8; 32],  // 112
    build_id: [u8; 64],         // 144
}

const LAYOUT: u32 = 1;
const _: () = assert!(LENGTH <= ta_protocol::pta::MAX_RECORD);

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Image {
        Image {
            digest: Digest([7; 48]),
            signer: [8; 32],
            display_version: Text::new("1.2.3-ß".as_bytes()).unwrap(),
            build_id: Text::new(&[9; 64]).unwrap(),
            security_version: 3,
            generation: 4,
            starts: 5,
            table: (0x2120_0000, 0x58),
        }
    }

    #[test]
    fn an_image_survives_its_record() {
        assert_eq!(Image::from_record(&image().to_record()), Some(image()));
    }

    #[test]
    fn a_record_of_another_layout_is_no_record() {
        let good = image().to_record();
        assert_eq!(Image::from_record(&[]), None);
        assert_eq!(Image::from_record(&good[1..]), None);
        for (offset, value) in [(0, 2), (28, 33), (29, 65), (30, 1), (31, 1)] {
            let mut bad = good;
            bad[offset] = value;
            assert_eq!(Image::from_record(&bad), None, "{offset}");
        }
    }
}
