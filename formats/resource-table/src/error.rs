//! Which rule a resource table breaks.

use ta_protocol::Status;

/// Which rule a resource table breaks. Entries are named by their place in the offset array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A vring's address does not keep its alignment.
    #[error("entry {entry}: vring at {address:#x} is not aligned to {align:#x}")]
    AddressAlignment {
        /// The entry.
        entry: u32,
        /// The vring's device address.
        address: u32,
        /// Its alignment.
        align: u32,
    },
    /// A vring's alignment is no power of two, or out of bounds.
    #[error("entry {entry}: vring alignment {align:#x} is no power of two from 0x10 to 0x1000")]
    Alignment {
        /// The entry.
        entry: u32,
        /// The alignment.
        align: u32,
    },
    /// A configuration space is too long.
    #[error("entry {entry}: configuration space of {length} bytes, at most 256 are allowed")]
    Config {
        /// The entry.
        entry: u32,
        /// Its length.
        length: u32,
    },
    /// A vring's size is no power of two, or out of bounds.
    #[error("entry {entry}: {descriptors} descriptors are no power of two from 1 to 1024")]
    Descriptors {
        /// The entry.
        entry: u32,
        /// The size.
        descriptors: u32,
    },
    /// There are more entries than supported.
    #[error("{count} entries, at most {limit} are allowed")]
    Entries {
        /// Entries claimed.
        count: u32,
        /// The most there can be.
        limit: u32,
    },
    /// An entry type that nobody knows, or that the platform refuses.
    #[error("entry {entry}: type {kind} is not allowed")]
    EntryType {
        /// The entry.
        entry: u32,
        /// Its type.
        kind: u32,
    },
    /// The driver accepted a feature that the device does not offer.
    #[error(
        "the shared table accepts features {features:#x} that are not offered (at {offset:#x})"
    )]
    Features {
        /// Where in the table.
        offset: u32,
        /// The features too many.
        features: u32,
    },
    /// A name has no end, is empty, or holds something else than printable ASCII before and zeros behind its end.
    #[error("entry {entry}: malformed name")]
    Name {
        /// The entry.
        entry: u32,
    },
    /// A notify id is out of range or taken.
    #[error("entry {entry}: notify id {id} is out of range or taken")]
    NotifyId {
        /// The entry.
        entry: u32,
        /// The id.
        id: u32,
    },
    /// Entries overlap, are unsorted, or not aligned to a word.
    #[error("entry {entry}: offset {offset:#x} overlaps, is unsorted or unaligned")]
    Order {
        /// The entry.
        entry: u32,
        /// Its offset.
        offset: u32,
    },
    /// Something else than zeros lies between or behind the entries.
    #[error("byte {value:#x} at {offset:#x}, between or behind the entries")]
    Padding {
        /// Where in the table.
        offset: u32,
        /// The byte.
        value: u8,
    },
    /// A reserved field is set.
    #[error("reserved field at {offset:#x} holds {value:#x}")]
    Reserved {
        /// Where in the table.
        offset: u32,
        /// What it holds.
        value: u32,
    },
    /// The shared table holds a device status that no driver writes.
    #[error("the shared table holds device status {status:#x} (at {offset:#x})")]
    SharedStatus {
        /// Where in the table.
        offset: u32,
        /// The status.
        status: u8,
    },
    /// The window's addresses do not fit the table's 32 bits.
    #[error("device address {address:#x} does not fit 32 bits")]
    TooHigh {
        /// The address.
        address: u64,
    },
    /// The table is too long.
    #[error("{length} bytes, at most {limit} are allowed")]
    TooLong {
        /// Its length.
        length: usize,
        /// The most there can be.
        limit: usize,
    },
    /// There is no space left in the trace area.
    #[error("entry {entry}: no space for {length:#x} bytes of trace")]
    TraceNoSpace {
        /// The entry.
        entry: u32,
        /// Bytes asked for.
        length: u32,
    },
    /// A trace buffer is empty or lies outside the trace area.
    #[error(
        "entry {entry}: trace of {length:#x} bytes at {address:#x} is empty or outside the trace area"
    )]
    TraceOutside {
        /// The entry.
        entry: u32,
        /// Its device address.
        address: u32,
        /// Its length.
        length: u32,
    },
    /// Two trace buffers overlap.
    #[error("entry {entry}: trace at {address:#x} overlaps another one")]
    TraceOverlap {
        /// The entry.
        entry: u32,
        /// Its device address.
        address: u32,
    },
    /// The table ends inside of its header, its offset array or an entry.
    #[error("{part}: {needed} bytes are needed, {found} are there", part = Part(*entry))]
    Truncated {
        /// The entry, or `None` for header and offset array.
        entry: Option<u32>,
        /// Up to where bytes are needed.
        needed: u64,
        /// Up to where there are any.
        found: u64,
    },
    /// The platform does not allow virtio devices with this id.
    #[error("entry {entry}: virtio device id {id} is not allowed")]
    VdevId {
        /// The entry.
        entry: u32,
        /// The device id.
        id: u32,
    },
    /// There are more virtio devices than supported.
    #[error("{count} virtio devices, at most {limit} are allowed")]
    Vdevs {
        /// Devices found.
        count: u32,
        /// The most there can be.
        limit: u32,
    },
    /// The table has another version.
    #[error("table version {version}, only 1 is known")]
    Version {
        /// The version.
        version: u32,
    },
    /// There is no space left in the vrings area.
    #[error("entry {entry}: no space for a vring of {length:#x} bytes")]
    VringNoSpace {
        /// The entry.
        entry: u32,
        /// Bytes needed.
        length: u32,
    },
    /// A vring lies outside the vrings area.
    #[error("entry {entry}: vring of {length:#x} bytes at {address:#x} is outside the vrings area")]
    VringOutside {
        /// The entry.
        entry: u32,
        /// Its device address.
        address: u32,
        /// Its length.
        length: u32,
    },
    /// Two vrings overlap.
    #[error("entry {entry}: vring at {address:#x} overlaps another one")]
    VringOverlap {
        /// The entry.
        entry: u32,
        /// Its device address.
        address: u32,
    },
    /// A virtio device has more vrings than Linux takes.
    #[error("entry {entry}: {count} vrings, Linux takes at most 2 per device")]
    Vrings {
        /// The entry.
        entry: u32,
        /// Vrings claimed.
        count: u8,
    },
}

impl Error {
    /// What crosses the world boundary: the status and its two numbers.
    pub fn status(&self) -> (Status, u64, u64) {
        let pair = |status, one: u32, two: u32| (status, u64::from(one), u64::from(two));
        match *self {
            Self::AddressAlignment { entry, address, .. } => {
                pair(Status::VringAlignment, entry, address)
            }
            Self::Alignment { entry, align } => pair(Status::VringAlignment, entry, align),
            Self::Config { entry, length } => pair(Status::TableConfig, entry, length),
            Self::Descriptors { entry, descriptors } => {
                pair(Status::VringGeometry, entry, descriptors)
            }
            Self::Entries { count, limit } | Self::Vdevs { count, limit } => {
                pair(Status::TableEntries, count, limit)
            }
            Self::EntryType { entry, kind } => pair(Status::TableEntryType, entry, kind),
            Self::Features { offset, features } => pair(Status::TableShared, offset, features),
            Self::Name { entry } => pair(Status::TableName, entry, 0),
            Self::NotifyId { entry, id } => pair(Status::NotifyId, entry, id),
            Self::Order { entry, offset } => pair(Status::TableOrder, entry, offset),
            Self::Padding { offset, value } => pair(Status::TableReserved, offset, value.into()),
            Self::Reserved { offset, value } => pair(Status::TableReserved, offset, value),
            Self::SharedStatus { offset, status } => {
                pair(Status::TableShared, offset, status.into())
            }
            Self::TooHigh { address } => (Status::PlatformInvalid, address, 0),
            Self::TooLong { length, limit } => (Status::TableTooLarge, wide(length), wide(limit)),
            Self::TraceNoSpace { entry, length } => pair(Status::TraceOverlap, entry, length),
            Self::TraceOutside { entry, address, .. } => pair(Status::TraceOutside, entry, address),
            Self::TraceOverlap { entry, address } => pair(Status::TraceOverlap, entry, address),
            Self::Truncated {
                entry,
                needed,
                found,
            } => (
                Status::TableTruncated,
                entry.unwrap_or(0).into(),
                needed.saturating_sub(found),
            ),
            Self::VdevId { entry, id } => pair(Status::TableVdev, entry, id),
            Self::Version { version } => pair(Status::TableVersion, version, 0),
            Self::VringNoSpace { entry, length } => pair(Status::VringNoSpace, entry, length),
            Self::VringOutside { entry, address, .. } => pair(Status::VringOutside, entry, address),
            Self::VringOverlap { entry, address } => pair(Status::VringOverlap, entry, address),
            Self::Vrings { entry, count } => pair(Status::TableVrings, entry, count.into()),
        }
    }
}

struct Part(Option<u32>);

impl core::fmt::Display for Part {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            Some(entry) => write!(f, "entry {entry}"),
            None => f.write_str("header"),
        }
    }
}

fn wide(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}
