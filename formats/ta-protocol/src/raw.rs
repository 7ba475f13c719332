//! The reports byte by byte (ta-api.md 4.2 and 4.4), little-endian.

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32},
};

/// What `STATE` writes.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct State {
    pub(crate) layout_version: U32,        // 0: 1
    pub(crate) state: U32,                 // 4: number of the core state
    pub(crate) flags: U32, // 8: bit 0 insecure isolation, 1 attach-only, 2 development role
    pub(crate) core: U32,  // 12: core id
    pub(crate) start_counter: U32, // 16: starts since the platform's own start
    pub(crate) isolation_generation: U32, // 20: 0 = never isolated
    pub(crate) security_version: U32, // 24: of the loaded bundle
    pub(crate) display_version_length: u8, // 28: bytes used of the field
    pub(crate) build_id_length: u8, // 29: bytes used of the field
    pub(crate) reserved: U16, // 30: 0
    pub(crate) bundle_digest: [u8; 48], // 32: zeros where nothing is loaded
    pub(crate) signer_key_id: [u8; 32], // 80: SHA-256 of the leaf's SubjectPublicKeyInfo
    pub(crate) display_version: [u8; 32], // 112: UTF-8, zero padded
    pub(crate) build_id: [u8; 64], // 144: zero padded
}

/// What `TRUSTED_ROOTS` writes first.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct RootsHeader {
    pub(crate) count: U32,          // 0: entries that follow
    pub(crate) required_slots: U32, // 4: bit n = slot n is required
}

/// What `TRUSTED_ROOTS` writes for each root.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Root {
    pub(crate) key_id: [u8; 32], // 0: SHA-256 of the root's SubjectPublicKeyInfo
    pub(crate) algorithm: U16,   // 32: as in bundle-format.md
    pub(crate) slot: u8,         // 34: signature slot it stands for
    pub(crate) role: u8,         // 35: 0 development, 1 release
}
