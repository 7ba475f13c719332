//! The table byte by byte, little-endian, as `include/linux/rsc_table.h` and OpenAMP's `remoteproc.h` lay it out.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, little_endian::U32};

/// Begins the table; `entries` offsets follow, each counted from the table's start.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Header {
    pub(crate) version: U32,       // 0: 1
    pub(crate) entries: U32,       // 4: how many offsets follow
    pub(crate) reserved: [U32; 2], // 8: 0
}

/// Entry type 0 (carveout) and 1 (devmem).
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Memory {
    pub(crate) kind: U32,      // 0
    pub(crate) da: U32,        // 4: device address
    pub(crate) pa: U32,        // 8: physical address
    pub(crate) len: U32,       // 12
    pub(crate) flags: U32,     // 16: IOMMU flags
    pub(crate) reserved: U32,  // 20: 0
    pub(crate) name: [u8; 32], // 24
}

/// Entry type 2.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Trace {
    pub(crate) kind: U32,      // 0: 2
    pub(crate) da: U32,        // 4: device address
    pub(crate) len: U32,       // 8
    pub(crate) reserved: U32,  // 12: 0
    pub(crate) name: [u8; 32], // 16
}

/// Entry type 3; vrings and configuration space follow.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Vdev {
    pub(crate) kind: U32,            // 0: 3
    pub(crate) id: U32,              // 4: virtio device id
    pub(crate) notify_id: U32,       // 8
    pub(crate) device_features: U32, // 12: what the device offers
    pub(crate) driver_features: U32, // 16: what the driver accepted
    pub(crate) config_len: U32,      // 20
    pub(crate) status: u8,           // 24: virtio device status, written by the driver
    pub(crate) vrings: u8,           // 25
    pub(crate) reserved: [u8; 2],    // 26: 0
}

/// One vring of a vdev.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Vring {
    pub(crate) da: U32,        // 0: device address
    pub(crate) align: U32,     // 4
    pub(crate) num: U32,       // 8: descriptors
    pub(crate) notify_id: U32, // 12
    pub(crate) reserved: U32,  // 16: 0; Linux calls it pa and reads it for no vring
}

pub(crate) const CARVEOUT: u32 = 0;
pub(crate) const DEVMEM: u32 = 1;
pub(crate) const TRACE: u32 = 2;
pub(crate) const VDEV: u32 = 3;
pub(crate) const VENDOR: core::ops::RangeInclusive<u32> = 128..=512;
