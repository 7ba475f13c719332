//! Why a bundle may not run here.

/// One variant for each rule of bundle-format.md 12, and the errors of the formats below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// bundle-format.md 12.10
    #[error("no executable segment begins at the core's boot address {boot:#x}")]
    BootAddress {
        /// The platform's.
        boot: u64,
    },
    /// bundle-format.md 1 to 9
    #[error(transparent)]
    Bundle(#[from] firmware_bundle::Error),
    /// bundle-format.md 4 and 11
    #[error("signature slot {slot}: {error}")]
    Chain {
        /// Slot number.
        slot: u8,
        /// Why.
        error: certificate_chain::Error,
    },
    /// bundle-format.md 12.3
    #[error("the signer may not sign for core {core}")]
    CoreNotInScope {
        /// The first that the scope does not name.
        core: u32,
    },
    /// bundle-format.md 12.2
    #[error("a development key signed, the device is for release")]
    DevelopmentSigner,
    /// bundle-format.md 12.4
    #[error("the signer may not sign for the bundle's device class")]
    DeviceClassNotInScope,
    /// bundle-format.md 12.11
    #[error("the entry point {entry:#x} lies in no signed executable private segment")]
    EntryOutside {
        /// The manifest's.
        entry: u64,
    },
    /// bundle-format.md 12.6
    #[error("the bundle is for other cores than {core}")]
    OtherCore {
        /// The device's.
        core: u32,
    },
    /// bundle-format.md 12.5
    #[error("the bundle is for another device class")]
    OtherDeviceClass,
    /// bundle-format.md 12.9
    #[error("segment {segment} at {address:#x} lies in the shared window")]
    SegmentInShared {
        /// Its index.
        segment: u8,
        /// Where it begins.
        address: u64,
    },
    /// bundle-format.md 12.9
    #[error("segment {segment} at {address:#x} does not lie in one private region")]
    SegmentOutside {
        /// Its index.
        segment: u8,
        /// Where it begins.
        address: u64,
    },
    /// bundle-format.md 12.8
    #[error("segment {segment} at {address:#x} is writable and executable")]
    SegmentWritableExecutable {
        /// Its index.
        segment: u8,
        /// Where it begins.
        address: u64,
    },
    /// bundle-format.md 12.1
    #[error("the device asks for a signature in slot {slot}")]
    SlotMissing {
        /// The lowest that is missing.
        slot: u8,
    },
    /// bundle-format.md 12.15
    #[error("slot {slot} is signed by the key that signed another slot")]
    SlotsShareKey {
        /// The higher of the two.
        slot: u8,
    },
    /// bundle-format.md 12.14
    #[error(transparent)]
    Table(#[from] resource_table::Error),
    /// bundle-format.md 12.13
    #[error("the resource table at {address:#x} is not on its own page at {page:#x}")]
    TableNotOnItsPage {
        /// The manifest's.
        address: u64,
        /// The platform's.
        page: u64,
    },
    /// bundle-format.md 12.12
    #[error("the vector table {address:#x} is not at the boot address {boot:#x}")]
    VectorTableElsewhere {
        /// The manifest's.
        address: u64,
        /// The platform's.
        boot: u64,
    },
    /// bundle-format.md 12.12
    #[error("the core begins with a vector table, the bundle names none")]
    VectorTableMissing,
    /// bundle-format.md 12.12
    #[error("the vector table {address:#x} lies in no signed executable private segment")]
    VectorTableOutside {
        /// The manifest's.
        address: u64,
    },
    /// bundle-format.md 12.7
    #[error("security version {version} is above {ceiling}, the highest the signer may sign")]
    VersionAboveCeiling {
        /// The manifest's.
        version: u32,
        /// The scope's.
        ceiling: u32,
    },
    /// bundle-format.md 12.7
    #[error("security version {version} is below {floor}, the lowest the device takes")]
    VersionBelowFloor {
        /// The manifest's.
        version: u32,
        /// The device's.
        floor: u32,
    },
}
