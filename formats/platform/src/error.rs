//! Which rule a platform file breaks.

/// Which rule a platform file breaks. Cores are named by their place in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The areas of a shared window overlap.
    #[error("core {core}: the {one} and {two} areas of the shared window overlap")]
    AreaOverlap {
        /// The core.
        core: usize,
        /// One area.
        one: AreaName,
        /// The other.
        two: AreaName,
    },
    /// An area is not inside its shared window, or not aligned, or too small for its use.
    #[error("core {core}: the {area} area ({offset:#x}, {size:#x}) does not fit the shared window")]
    AreaRange {
        /// The core.
        core: usize,
        /// Which area.
        area: AreaName,
        /// Its offset.
        offset: u64,
        /// Its size.
        size: u64,
    },
    /// The boot address is in none of the core's private regions.
    #[error("core {core}: the boot address {address:#x} is in none of its private regions")]
    BootAddress {
        /// The core.
        core: usize,
        /// The address.
        address: u64,
    },
    /// A core has no private region or more than are supported.
    #[error("core {core}: {count} private regions, 1 to {limit} are supported")]
    CountOfRegions {
        /// The core.
        core: usize,
        /// Regions found.
        count: usize,
        /// The most there can be.
        limit: usize,
    },
    /// There is no core or more than are supported.
    #[error("{count} cores, 1 to {limit} are supported")]
    CountOfCores {
        /// Cores found.
        count: usize,
        /// The most there can be.
        limit: usize,
    },
    /// There is no root or more than are supported.
    #[error("{count} roots, 1 to {limit} are supported")]
    CountOfRoots {
        /// Roots found.
        count: usize,
        /// The most there can be.
        limit: usize,
    },
    /// The cores are not sorted by id, or two have the same.
    #[error("core {core}: its id {id} does not follow the one before")]
    CoreIds {
        /// The core.
        core: usize,
        /// Its id.
        id: u32,
    },
    /// A core's allowance is not isolated although its file does not admit it by name.
    #[error("core {core}: a core without isolation needs \"insecure\" in its name")]
    InsecureName {
        /// The core.
        core: usize,
    },
    /// No login is allowed, or one twice.
    #[error("core {core}: the list of logins is empty or repeats one")]
    Logins {
        /// The core.
        core: usize,
    },
    /// A name is empty, too long, has other characters than a-z, 0-9, dash and dot, or is used twice.
    #[error("{owner}: a name is malformed or used twice")]
    Name {
        /// Whose name.
        owner: Owner,
    },
    /// Two memories of the platform overlap, seen from the core or from the secure world.
    #[error("core {core} and core {other}: memory overlaps at {address:#x}")]
    Overlap {
        /// The core whose memory comes first in the file.
        core: usize,
        /// The core whose memory comes second; may be the same.
        other: usize,
        /// Where the second one starts.
        address: u64,
    },
    /// A region or window is not aligned, empty, too large, or wraps.
    #[error(
        "core {core}: memory of {size:#x} bytes at {address:#x} is unaligned, empty, too large or wraps"
    )]
    Range {
        /// The core.
        core: usize,
        /// Where it starts.
        address: u64,
        /// Its size.
        size: u64,
    },
    /// A root's file name is empty, absolute or leaves the source tree.
    #[error("root {root}: its file must be a path below the source tree")]
    RootFile {
        /// Which root.
        root: usize,
    },
    /// A slot is required twice, out of range, or no root stands for it.
    #[error("slot {slot} is out of range, repeated, or has no root")]
    Slot {
        /// The slot.
        slot: u8,
    },
    /// A list of further virtio device ids is unsorted, repeats one, or names 0 or 7.
    #[error(
        "core {core}: the list of further virtio devices must be sorted and name neither 0 nor 7"
    )]
    VirtioIds {
        /// The core.
        core: usize,
    },
}

/// Whose name is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Owner {
    /// That of a core.
    #[error("core {0}")]
    Core(usize),
    /// That of a core's doorbell.
    #[error("core {0}'s doorbell")]
    Doorbell(usize),
    /// That of the platform.
    #[error("the platform")]
    Platform,
    /// That of a core's private region.
    #[error("core {0}, region {1}")]
    Region(usize, usize),
}

/// An area of a shared window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AreaName {
    /// Where RPMsg buffers lie.
    #[error("buffers")]
    Buffers,
    /// The page of the resource table and the generation lines.
    #[error("table")]
    Table,
    /// Where the core's trace lies.
    #[error("trace")]
    Trace,
    /// Where vrings lie.
    #[error("vrings")]
    Vrings,
}
