//! What the TA and a platform's PTA agree on (`docs/pta-api.md`).

use crate::{Uuid, codes::codes};

/// The upstream remoteproc PTA's UUID (pta-api.md 1.1).
pub const UUID: Uuid = Uuid::from_fields(
    0x54af_4a68,
    0x19be,
    0x40d7,
    [0xbb, 0xe6, 0x89, 0x50, 0x35, 0x0a, 0x87, 0x44],
);

/// The UUID of our extension (pta-api.md 1.2).
pub const EXTENSION_UUID: Uuid = Uuid::from_fields(
    0xc8a1_b0de,
    0x6f0e,
    0x4d1c,
    [0x9a, 0x52, 0x7b, 0x1f, 0x3e, 0x0a, 0x5c, 0x21],
);

/// The version that the extension answers (pta-api.md 3.1).
pub const EXTENSION_VERSION: u32 = 0x0001_0000;

/// Extension capability bit: the byte counters of a test variant exist (pta-api.md 3.6).
pub const EXTENSION_COUNTERS: u32 = 1;

/// The longest record that the platform keeps for a core (pta-api.md 3.5).
pub const MAX_RECORD: usize = 256;

/// How many regions the platform lists for a core at most (pta-api.md 3.2).
pub const MAX_REGIONS: usize = 16;

/// Bytes of one region in the isolation list (pta-api.md 3.2).
pub const REGION_LENGTH: usize = 32;

codes! {
    /// A command of the upstream PTA.
    pub enum Command {
        /// Which formats and protections the platform has.
        HwCapabilities = 1, "HW_CAPABILITIES";
        /// Load a proprietary format; never called.
        FirmwareLoad = 2, "FIRMWARE_LOAD";
        /// Copy, then compare the SHA-256 of the destination.
        LoadSegmentSha256 = 3, "LOAD_SEGMENT_SHA256";
        /// Fill memory with one byte.
        SetMemory = 4, "SET_MEMORY";
        /// Release the core from reset.
        FirmwareStart = 5, "FIRMWARE_START";
        /// Put the core into reset.
        FirmwareStop = 6, "FIRMWARE_STOP";
        /// Translate a device address.
        DaToPa = 7, "FIRMWARE_DA_TO_PA";
        /// Verify a signature with a key compiled in; never called.
        VerifyDigest = 8, "VERIFY_DIGEST";
        /// Zero every region.
        Release = 9, "RELEASE";
    }
}

codes! {
    /// A command of our extension.
    pub enum Extension {
        /// Version and capability bits.
        Version = 1, "VERSION";
        /// Shut everybody else out, and say who may reach what.
        Isolate = 2, "ISOLATE";
        /// What the core does, and what was recorded about it.
        State = 3, "STATE";
        /// Zero every private region of a halted core.
        Wipe = 4, "WIPE";
        /// Keep a record for the next instance of the TA.
        Record = 5, "RECORD";
        /// Bytes copied and hashed; test variants only.
        Counters = 0xF000, "COUNTERS";
    }
}

codes! {
    /// What the platform sees a core do.
    pub enum LineState {
        /// In reset.
        Halted = 0, "HALTED";
        /// Released, not yet running.
        Starting = 1, "STARTING";
        /// Running.
        Running = 2, "RUNNING";
        /// Stopped by a fault.
        Crashed = 3, "CRASHED";
        /// Halt asked for, not yet halted.
        Stopping = 4, "STOPPING";
    }
}

/// Who may reach a region (pta-api.md 3.2).
pub mod access {
    /// The secure world.
    pub const SECURE_WORLD: u32 = 1;
    /// The core that the list is about.
    pub const THIS_CORE: u32 = 1 << 1;
    /// The normal world's processors.
    pub const NORMAL_WORLD: u32 = 1 << 2;
    /// Any other bus master.
    pub const OTHER_MASTERS: u32 = 1 << 3;
    /// Every bit that has a meaning.
    pub const ALL: u32 = SECURE_WORLD | THIS_CORE | NORMAL_WORLD | OTHER_MASTERS;
}

/// One region of the isolation list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Where the secure world reaches it.
    pub physical: u64,
    /// Where the core reaches it.
    pub device: u64,
    /// Its length in bytes.
    pub size: u64,
    /// Who may reach it: bits of [`access`].
    pub access: u32,
}

impl Region {
    /// The region as it travels.
    pub fn to_bytes(&self) -> [u8; REGION_LENGTH] {
        zerocopy::transmute!(RawRegion {
            physical: self.physical.into(),
            device: self.device.into(),
            size: self.size.into(),
            access: self.access.into(),
            reserved: 0.into(),
        })
    }

    /// Reads a region; `None` where reserved bits are set.
    pub fn from_bytes(bytes: &[u8; REGION_LENGTH]) -> Option<Self> {
        let raw: RawRegion = zerocopy::transmute!(*bytes);
        let access = raw.access.get();
        (raw.reserved.get() == 0 && access & !access::ALL == 0).then_some(Self {
            physical: raw.physical.get(),
            device: raw.device.get(),
            size: raw.size.get(),
            access,
        })
    }
}

#[derive(Clone, Copy, zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable)]
#[repr(C)]
struct RawRegion {
    physical: zerocopy::little_endian::U64, // 0
    device: zerocopy::little_endian::U64,   // 8
    size: zerocopy::little_endian::U64,     // 16
    access: zerocopy::little_endian::U32,   // 24
    reserved: zerocopy::little_endian::U32, // 28: 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_survives_its_bytes() {
        let region = Region {
            physical: 0x0ee0_0000,
            device: 0x2100_0000,
            size: 0x20_0000,
            access: access::SECURE_WORLD | access::THIS_CORE,
        };
        assert_eq!(Region::from_bytes(&region.to_bytes()), Some(region));
    }

    #[test]
    fn a_region_with_reserved_bits_is_refused() {
        let mut bytes = [0; REGION_LENGTH];
        assert!(Region::from_bytes(&bytes).is_some());
        bytes[24] = 0x10;
        assert_eq!(Region::from_bytes(&bytes), None);
        bytes[24] = 0;
        bytes[31] = 1;
        assert_eq!(Region::from_bytes(&bytes), None);
    }
}
