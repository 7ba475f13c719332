//! The tables of trust-update.md, field by field.

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// trust-update.md 1.2: the head.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Head {
    /// 0: `corewarden.trust`.
    pub(crate) magic: [u8; 16],
    /// 16: 1.
    pub(crate) version: U16,
    /// 18: number of generations.
    pub(crate) generations: U16,
    /// 20: number of revoked signers.
    pub(crate) revoked: U16,
    /// 22: number of floors.
    pub(crate) floors: U16,
    /// 24: number of roots.
    pub(crate) roots: U16,
    /// 26: number of signatures.
    pub(crate) signatures: U16,
    /// 28: list version.
    pub(crate) list_version: U32,
    /// 32: UUID of the machines it is for.
    pub(crate) device_class: [u8; 16],
    /// 48: zero.
    pub(crate) reserved: [u8; 16],
}

/// trust-update.md 2.2: a product CA's minimum.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Generation {
    /// 0: SHA-256 of its SubjectPublicKeyInfo.
    pub(crate) key_id: [u8; 32],
    /// 32: the lowest signer generation that counts.
    pub(crate) minimum: U32,
    /// 36: zero.
    pub(crate) reserved: [u8; 12],
}

/// trust-update.md 2.4: a core's minimum.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Floor {
    /// 0: the core's id.
    pub(crate) core: U32,
    /// 4: the lowest security version that it takes.
    pub(crate) minimum: U32,
    /// 8: zero.
    pub(crate) reserved: [u8; 8],
}

/// trust-update.md 2.5: a root, followed by its certificate.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RootHead {
    /// 0: the signature slot it is pinned for.
    pub(crate) slot: u8,
    /// 1: zero.
    pub(crate) reserved: [u8; 3],
    /// 4: bytes of the certificate.
    pub(crate) length: U32,
    /// 8: zero.
    pub(crate) reserved_too: [u8; 8],
}

/// trust-update.md 3.1: a signature's head, followed by the signature.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct SignatureHead {
    /// 0: the slot that the root is pinned for.
    pub(crate) slot: u8,
    /// 1: zero.
    pub(crate) reserved: u8,
    /// 2: the algorithm, as in bundle-format.md 3.6.
    pub(crate) algorithm: U16,
    /// 4: zero.
    pub(crate) reserved_too: [u8; 12],
    /// 16: SHA-256 of the root's SubjectPublicKeyInfo.
    pub(crate) key_id: [u8; 32],
}

const _: () = {
    assert!(size_of::<Head>() == 64);
    assert!(size_of::<Generation>() == 48);
    assert!(size_of::<Floor>() == 16);
    assert!(size_of::<RootHead>() == 16);
    assert!(size_of::<SignatureHead>() == 48);
};
