//! The tables of docs/bundle-format.md, byte for byte.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// bundle-format.md 2.1: the last 64 bytes of the file.
#[derive(Clone, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Footer {
    /// 0: bytes of the ELF part.
    pub(crate) elf_size: U64,
    /// 8: bytes of the manifest.
    pub(crate) manifest_size: U32,
    /// 12: bytes of the certificates part.
    pub(crate) certificates_size: U32,
    /// 16: bytes of the signatures part.
    pub(crate) signatures_size: U32,
    /// 20: zero.
    pub(crate) reserved: [u8; 36],
    /// 56: format version.
    pub(crate) version: U16,
    /// 58: zero.
    pub(crate) flags: U16,
    /// 60: `CWFW`.
    pub(crate) magic: [u8; 4],
}

/// bundle-format.md 3.1: the head of the certificates part.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct CertificatesHead {
    /// 0: slots that follow.
    pub(crate) slots: U16,
    /// 2: zero.
    pub(crate) reserved: [u8; 14],
}

/// bundle-format.md 3.1: one slot, followed by its certificates.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct SlotHead {
    /// 0: slot number.
    pub(crate) number: u8,
    /// 1: zero.
    pub(crate) reserved: u8,
    /// 2: algorithm of the slot's signature.
    pub(crate) algorithm: U16,
    /// 4: bytes of each certificate, leaf first, zero where there is none.
    pub(crate) lengths: [U32; 3],
}

/// bundle-format.md 5.1: the fixed part of the manifest.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct ManifestHead {
    /// 0: manifest version.
    pub(crate) version: U16,
    /// 2: bit 0, a vector table address is given.
    pub(crate) flags: U16,
    /// 4: core ids that follow.
    pub(crate) cores: U16,
    /// 6: segments that follow.
    pub(crate) segments: U16,
    /// 8: extensions that follow.
    pub(crate) extensions: U16,
    /// 10: bytes of the display version.
    pub(crate) display_version_length: u8,
    /// 11: bytes of the build id.
    pub(crate) build_id_length: u8,
    /// 12: security version.
    pub(crate) security_version: U32,
    /// 16: device class, bytes in the order of the text form.
    pub(crate) device_class: [u8; 16],
    /// 32: entry point.
    pub(crate) entry: U64,
    /// 40: vector table, zero where there is none.
    pub(crate) vector_table: U64,
    /// 48: device address at which the resource table is published.
    pub(crate) table_address: U64,
    /// 56: bytes of the inline resource table, zero where there is none.
    pub(crate) table_size: U32,
    /// 60: zero.
    pub(crate) reserved: U32,
    /// 64: SHA-256 of what lies before the manifest and in no segment.
    pub(crate) rest_digest: [u8; 32],
    /// 96: display version, UTF-8, zero padded.
    pub(crate) display_version: [u8; 32],
    /// 128: build id, zero padded.
    pub(crate) build_id: [u8; 64],
}

/// bundle-format.md 7.1: one segment.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Segment {
    /// 0: device address.
    pub(crate) address: U64,
    /// 8: bytes in memory.
    pub(crate) memory_size: U64,
    /// 16: where its bytes begin in the file.
    pub(crate) file_offset: U64,
    /// 24: bytes in the file.
    pub(crate) file_size: U64,
    /// 32: 1 execute, 2 write, 4 read.
    pub(crate) flags: U32,
    /// 36: zero.
    pub(crate) reserved: [u8; 12],
}

/// bundle-format.md 9.1: one extension, followed by its value.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct ExtensionHead {
    /// 0: type.
    pub(crate) kind: U32,
    /// 4: bit 0, critical.
    pub(crate) flags: U32,
    /// 8: bytes of the value.
    pub(crate) length: U32,
    /// 12: zero.
    pub(crate) reserved: U32,
}

/// bundle-format.md 9.6: the value of the SBOM extension, followed by the digest.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct SbomHead {
    /// 0: 1 SHA-256, 2 SHA-384.
    pub(crate) algorithm: U16,
    /// 2: zero.
    pub(crate) reserved: [u8; 14],
}

const _: () = {
    assert!(size_of::<Footer>() == 64);
    assert!(size_of::<CertificatesHead>() == 16);
    assert!(size_of::<SlotHead>() == 16);
    assert!(size_of::<ManifestHead>() == 192);
    assert!(size_of::<Segment>() == 48);
    assert!(size_of::<ExtensionHead>() == 16);
    assert!(size_of::<SbomHead>() == 16);
};
