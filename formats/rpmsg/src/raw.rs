//! Numbers and offsets of the wire, as VirtIO 1.3 chapter 2.7 and Linux' virtio_rpmsg_bus have them.

/// The virtio device id of an RPMsg device.
pub const VIRTIO_ID_RPMSG: u32 = 7;
/// Bytes of the header in front of each message.
pub const HEADER_SIZE: u32 = 16;
/// The address at which announcements are received.
pub const NAME_SERVICE_ADDRESS: u32 = 53;
/// The first dynamic address; those below are for services with a fixed one.
pub const DYNAMIC_ADDRESSES: u32 = 1024;
/// "Any address", never the address of an endpoint.
pub const ANY_ADDRESS: u32 = u32::MAX;
/// Where in the table page the driver's generation line stands.
pub const DRIVER_LINE: u32 = 0xE00;
/// Where in the table page the device's generation line stands.
pub const DEVICE_LINE: u32 = 0xE40;

// A descriptor: address u64, length u32, flags u16, next u16.
pub(crate) const DESCRIPTOR_SIZE: u32 = 16;
pub(crate) const DESCRIPTOR_NEXT: u16 = 1;
pub(crate) const DESCRIPTOR_WRITE: u16 = 2;
pub(crate) const DESCRIPTOR_INDIRECT: u16 = 4;

// A descriptor of a packed ring: address u64, length u32, id u16, flags u16; its last word is written last.
pub(crate) const PACKED_LENGTH: u32 = 8;
pub(crate) const PACKED_LAST: u32 = 12;
pub(crate) const PACKED_AVAILABLE: u16 = 1 << 7;
pub(crate) const PACKED_USED: u16 = 1 << 15;
/// Behind the descriptors: what the driver wants to be kicked for, then what the device does; place u16, flags u16 each.
pub(crate) const PACKED_EVENTS_SIZE: u32 = 4;

// Both the available and the used ring: flags u16, idx u16, then entries.
pub(crate) const RING_FLAGS: u32 = 0;
pub(crate) const RING_INDEX: u32 = 2;
pub(crate) const RING_ENTRIES: u32 = 4;
/// NO_INTERRUPT in the available ring, NO_NOTIFY in the used one: "do not kick me".
pub(crate) const RING_NO_KICK: u16 = 1;
/// A used entry: id u32, length u32.
pub(crate) const USED_ENTRY_SIZE: u32 = 8;

/// What a descriptor says; `next` is for chains, which are refused.
#[derive(Clone, Copy, Debug)]
pub struct Descriptor {
    pub(crate) address: u64,
    pub(crate) len: u32,
    pub(crate) flags: u16,
}

impl Descriptor {
    #[inline]
    pub(crate) fn from_words(words: [u32; 4]) -> Self {
        let [low, high, len, flags_next] = words;
        Self {
            address: address(low, high),
            len,
            flags: lower(flags_next),
        }
    }

    #[inline]
    pub(crate) fn to_words(self) -> [u32; 4] {
        let [low, high] = address_words(self.address);
        [low, high, self.len, u32::from(self.flags)]
    }
}

/// What stands in front of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The sender's address.
    pub source: u32,
    /// The receiver's address.
    pub destination: u32,
    /// Bytes of payload.
    pub len: u16,
    /// Not used by any known peer.
    pub flags: u16,
}

impl Header {
    /// source, destination, reserved, length u16 and flags u16.
    #[inline]
    pub(crate) fn to_words(self) -> [u32; 4] {
        let len_flags = u32::from(self.flags) << 16 | u32::from(self.len);
        [self.source, self.destination, 0, len_flags]
    }

    /// Whatever the peer keeps in the reserved word is its own.
    #[inline]
    pub(crate) fn from_words(words: [u32; 4]) -> Self {
        let [source, destination, _, len_flags] = words;
        Self {
            source,
            destination,
            len: lower(len_flags),
            flags: upper(len_flags),
        }
    }
}

/// An address from its two words.
#[inline]
pub(crate) fn address(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// The two words of an address, the lower one first.
#[inline]
pub(crate) fn address_words(address: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = address.to_le_bytes();
    [
        u32::from_le_bytes([a, b, c, d]),
        u32::from_le_bytes([e, f, g, h]),
    ]
}

/// The upper half of a word.
#[inline]
pub(crate) const fn upper(word: u32) -> u16 {
    lower(word >> 16)
}

/// The lower half of a word.
#[inline]
pub(crate) const fn lower(word: u32) -> u16 {
    let [a, b, _, _] = word.to_le_bytes();
    u16::from_le_bytes([a, b])
}

// A name-service message: name [u8; 32], address u32, flags u32.
pub(crate) const NAME_SIZE: usize = 32;
pub(crate) const ANNOUNCEMENT_SIZE: usize = 40;
pub(crate) const ANNOUNCEMENT_CREATE: u32 = 0;
pub(crate) const ANNOUNCEMENT_DESTROY: u32 = 1;

// A generation line of 64 bytes, written by its owner only (rpmsg-lifecycle.md 3).
pub(crate) const LINE_MAGIC: u32 = 0;
pub(crate) const LINE_GENERATION: u32 = 4;
pub(crate) const LINE_ECHO: u32 = 8;
/// In the device's line, written by the secure world before the core starts.
pub(crate) const LINE_SEED: u32 = 12;
pub(crate) const LINE_SIZE: u32 = 64;
/// "CWGN", little-endian.
pub(crate) const GENERATION_MAGIC: u32 = 0x4e47_5743;

// The line that says what the driver accepts beyond the features of a table's word (rpmsg-features.md, F10 and F11).
pub(crate) const ACCEPTED_LINE: u32 = 0xEC0;
pub(crate) const ACCEPTED_MAGIC: u32 = 0;
pub(crate) const ACCEPTED_LOWER: u32 = 4;
pub(crate) const ACCEPTED_UPPER: u32 = 8;
/// "CWFT", little-endian.
pub(crate) const FEATURES_MAGIC: u32 = 0x5446_5743;
