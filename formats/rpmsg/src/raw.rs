//! Numbers and offsets of the wire, as VirtIO 1.3 chapter 2.7 and Linux' virtio_rpmsg_bus have them.

/// The virtio device id of an RPMsg device.
pub const VIRTIO_ID_RPMSG: u32 = 7;
/// Feature bit 0 of the device: it announces its services.
pub const FEATURE_NAME_SERVICE: u32 = 1;
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
pub(crate) const DESCRIPTOR_ADDRESS_HIGH: u32 = 4;
pub(crate) const DESCRIPTOR_LENGTH: u32 = 8;
pub(crate) const DESCRIPTOR_FLAGS_NEXT: u32 = 12;
pub(crate) const DESCRIPTOR_NEXT: u16 = 1;
pub(crate) const DESCRIPTOR_WRITE: u16 = 2;
pub(crate) const DESCRIPTOR_INDIRECT: u16 = 4;

// Both the available and the used ring: flags u16, idx u16, then entries.
pub(crate) const RING_FLAGS: u32 = 0;
pub(crate) const RING_INDEX: u32 = 2;
pub(crate) const RING_ENTRIES: u32 = 4;
/// NO_INTERRUPT in the available ring, NO_NOTIFY in the used one: "do not kick me".
pub(crate) const RING_NO_KICK: u16 = 1;
/// A used entry: id u32, length u32.
pub(crate) const USED_LENGTH: u32 = 4;

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
    /// source u32, destination u32, reserved u32, length u16, flags u16.
    pub(crate) fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let [a, b, c, d] = self.source.to_le_bytes();
        let [e, f, g, h] = self.destination.to_le_bytes();
        let [i, j] = self.len.to_le_bytes();
        let [k, l] = self.flags.to_le_bytes();
        [a, b, c, d, e, f, g, h, 0, 0, 0, 0, i, j, k, l]
    }

    /// Whatever the peer keeps in the reserved word is its own.
    pub(crate) fn from_bytes(bytes: [u8; HEADER_BYTES]) -> Self {
        let [a, b, c, d, e, f, g, h, _, _, _, _, i, j, k, l] = bytes;
        Self {
            source: u32::from_le_bytes([a, b, c, d]),
            destination: u32::from_le_bytes([e, f, g, h]),
            len: u16::from_le_bytes([i, j]),
            flags: u16::from_le_bytes([k, l]),
        }
    }
}

pub(crate) const HEADER_BYTES: usize = 16;

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
