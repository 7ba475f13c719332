//! Every way in which a caller, a layout or the peer can be wrong.

use crate::layout::Ring;
use crate::lifecycle::RestartSign;
use crate::raw::{PACKED_AVAILABLE, PACKED_USED};

/// A broken rule, with the numbers that broke it.
///
/// Errors about the ring's own words ([`Error::breaks_link`]) stick: every later call on that ring fails alike until the link is
/// attached anew. Errors about one message leave the ring working, and its buffer has gone back to the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The address cannot be given to an endpoint.
    #[error("address {address} is reserved or in use")]
    AddressTaken {
        /// The address asked for.
        address: u32,
    },
    /// An announcement is neither a creation nor a destruction.
    #[error("announcement flags {flags:#x} are unknown")]
    AnnouncementFlags {
        /// The flags received.
        flags: u32,
    },
    /// An announcement has a fixed size.
    #[error("an announcement has {len} bytes instead of 40")]
    AnnouncementLength {
        /// Bytes received.
        len: u32,
    },
    /// The driver offers a buffer number the ring does not have.
    #[error("{ring}: buffer {id} offered, the ring has {count}")]
    AvailableId {
        /// Where.
        ring: Ring,
        /// The number offered.
        id: u16,
        /// Descriptors in the ring.
        count: u16,
    },
    /// The driver offers a buffer which it gave before and did not get back.
    #[error("{ring}: buffer {id} offered twice")]
    AvailableRepeated {
        /// Where.
        ring: Ring,
        /// The number offered.
        id: u16,
    },
    /// A descriptor's buffer does not start at a word.
    #[error("{ring}: buffer {id} at {address:#x} is not aligned to 4 bytes")]
    BufferMisaligned {
        /// Where.
        ring: Ring,
        /// Descriptor.
        id: u16,
        /// Its address.
        address: u64,
    },
    /// A descriptor's buffer leaves the part of the window where buffers may be.
    #[error("{ring}: buffer {id} at {address:#x}, {len} bytes, lies outside the buffer area")]
    BufferOutside {
        /// Where.
        ring: Ring,
        /// Descriptor.
        id: u16,
        /// Its address.
        address: u64,
        /// Its length.
        len: u32,
    },
    /// A buffer cannot have this size.
    #[error("{ring}: buffers of {size} bytes; they are multiples of 4 from 20 on")]
    BufferSize {
        /// Where.
        ring: Ring,
        /// Bytes of one buffer.
        size: u32,
    },
    /// A descriptor's buffer has no room for a header.
    #[error("{ring}: buffer {id} has {len} bytes, a header needs 16")]
    BufferTooSmall {
        /// Where.
        ring: Ring,
        /// Descriptor.
        id: u16,
        /// Its length.
        len: u32,
    },
    /// The buffer area does not hold the buffers of both rings, or does not begin at a word.
    #[error("{buffers} bytes of buffers do not fit into {area} bytes")]
    BuffersDoNotFit {
        /// Bytes of all buffers of both rings together.
        buffers: u64,
        /// Bytes of the area.
        area: u32,
    },
    /// Two forms of the configuration differ in which size comes first, and nothing says which one it is (rpmsg-features.md, F6).
    #[error(
        "sizes {first} and {second} in a configuration that is NuttX' or Linux' first proposal"
    )]
    ConfigAmbiguous {
        /// The first size.
        first: u32,
        /// The second one.
        second: u32,
    },
    /// A device asks for buffers by a configuration of no known form (rpmsg-features.md, F4).
    #[error("features {features:#x} with a configuration of {len} bytes: no known form")]
    ConfigForm {
        /// Features 0 to 31 of the offer.
        features: u32,
        /// Bytes of the configuration.
        len: usize,
    },
    /// The head of Linux' configuration says something else than its first version (rpmsg-features.md, F5).
    #[error("a configuration of version {version} and {size} bytes; version 1 has 11")]
    ConfigHead {
        /// The version.
        version: u8,
        /// The length that it says it has.
        size: u16,
    },
    /// A descriptor is chained to another or refers to a table; a message is always one buffer.
    #[error("{ring}: buffer {id} is chained or indirect (flags {flags:#x})")]
    DescriptorChained {
        /// Where.
        ring: Ring,
        /// Descriptor.
        id: u16,
        /// Its flags.
        flags: u16,
    },
    /// The driver offers a buffer to be filled which it says may not be written.
    #[error("{ring}: buffer {id} is not writable (flags {flags:#x})")]
    DescriptorReadOnly {
        /// Where.
        ring: Ring,
        /// Descriptor.
        id: u16,
        /// Its flags.
        flags: u16,
    },
    /// No room for another endpoint.
    #[error("all {limit} endpoints are in use")]
    EndpointsExhausted {
        /// Endpoints there can be.
        limit: usize,
    },
    /// The driver accepted features above 31 and not VIRTIO_F_VERSION_1 (rpmsg-features.md, F3).
    #[error("features {features:#x} accepted without VIRTIO_F_VERSION_1")]
    FeaturesNotModern {
        /// All that were accepted.
        features: u64,
    },
    /// The driver accepted what the device did not offer (rpmsg-features.md, F3).
    #[error("features {features:#x} accepted but not offered")]
    FeaturesNotOffered {
        /// Those too many.
        features: u64,
    },
    /// One side does what is offered on a symmetric link, and the other one does not (rpmsg-features.md, F13).
    #[error(
        "features {features:#x} are one side's alone; on a symmetric link both have them or neither"
    )]
    FeaturesSymmetric {
        /// Those.
        features: u64,
    },
    /// The header says that the message is longer than what was delivered.
    #[error("{ring}: message of {len} bytes in a buffer of {room}")]
    MessageLength {
        /// Where.
        ring: Ring,
        /// The header's length.
        len: u16,
        /// Bytes delivered behind the header.
        room: u32,
    },
    /// Fewer bytes were delivered than a header has.
    #[error("{ring}: {len} bytes delivered, a header needs 16")]
    MessageWithoutHeader {
        /// Where.
        ring: Ring,
        /// Bytes delivered.
        len: u32,
    },
    /// A payload is read and written from a word on.
    #[error("payload offset {offset} is not a multiple of 4")]
    Misaligned {
        /// The offset asked for.
        offset: u32,
    },
    /// A service name is empty, unterminated, or has other than printable characters.
    #[error("service name is wrong at byte {at}")]
    NameCharacter {
        /// The first wrong byte; 32 if the terminating zero is missing.
        at: usize,
    },
    /// No free buffer to send in; the peer has to return one first.
    #[error("{ring}: no free buffer")]
    NoBuffer {
        /// Where.
        ring: Ring,
    },
    /// The ring takes back only what it gave out, once.
    #[error("{ring}: buffer {id} is not held")]
    NotHeld {
        /// Where.
        ring: Ring,
        /// The buffer's number.
        id: u16,
    },
    /// A message came for an address at which no endpoint is open.
    #[error("no endpoint at {address}")]
    NoSuchEndpoint {
        /// The message's destination.
        address: u32,
    },
    /// A descriptor of a packed ring is chained to the next one; only the last of a chain says which buffer it is.
    #[error("{ring}: descriptor of buffer {id} is chained in a packed ring (flags {flags:#x})")]
    PackedChain {
        /// Where.
        ring: Ring,
        /// The number that stands in it.
        id: u16,
        /// Its flags.
        flags: u16,
    },
    /// The payload does not fit into the peer's buffer.
    #[error("payload up to byte {end} in a buffer of {room}")]
    PayloadTooLong {
        /// Where the payload would end.
        end: u32,
        /// Bytes there are behind the header.
        room: u32,
    },
    /// The peer's index runs ahead of what it can have used, or went backwards.
    #[error("{ring}: index {index} after {last}, at most {outstanding} can follow")]
    PeerIndex {
        /// Where.
        ring: Ring,
        /// The index read.
        index: u16,
        /// The index up to which we have read.
        last: u16,
        /// Buffers the peer may have advanced by.
        outstanding: u16,
    },
    /// The handle belongs to a generation of the link which is gone; open anew (rpmsg-lifecycle.md, L8).
    #[error("the peer restarted: handle of generation {handle}, link has {link}")]
    PeerRestarted {
        /// The handle's generation.
        handle: u32,
        /// The link's.
        link: u32,
    },
    /// A descriptor of a packed ring is marked as it can be in no turn of the ring.
    #[error(
        "{ring}: descriptor at place {place} has flags {flags:#x} in a turn that cannot give it these"
    )]
    PeerWrap {
        /// Where.
        ring: Ring,
        /// Its place in the ring.
        place: u16,
        /// Its flags.
        flags: u16,
    },
    /// The ring is laid out as a packed one where the link has split ones, or the other way round; or event indices were agreed
    /// on where the link leaves them out (rpmsg-rings.md, R1).
    #[error("{ring} is laid out as another kind of ring")]
    RingKind {
        /// Which.
        ring: Ring,
    },
    /// The ring's address or its alignment is not one a ring can have.
    #[error("ring at {address:#x} with alignment {align:#x} is misaligned")]
    RingMisaligned {
        /// Device address.
        address: u64,
        /// Alignment from the resource table.
        align: u32,
    },
    /// The rings and the buffer area must be disjoint.
    #[error("parts at {first:#x} and {second:#x} of the window overlap")]
    RingOverlap {
        /// Offset of one part.
        first: u32,
        /// Offset of the other.
        second: u32,
    },
    /// The ring, or the area, leaves the window.
    #[error("{len} bytes at {address:#x} leave the window")]
    RingOutside {
        /// Device address.
        address: u64,
        /// Bytes.
        len: u32,
    },
    /// The number of descriptors is no power of two, or more than this engine's capacity.
    #[error("a ring of {count} descriptors; powers of two up to {limit}")]
    RingSize {
        /// Descriptors asked for.
        count: u32,
        /// The largest possible.
        limit: u32,
    },
    /// The peer announces a service at an address which has one already.
    #[error("service announced twice at address {address}")]
    ServiceRepeated {
        /// Its address.
        address: u32,
    },
    /// The peer announces more services than there is room for.
    #[error("all {limit} services are in use")]
    ServicesExhausted {
        /// Services there can be.
        limit: usize,
    },
    /// The peer withdraws a service which it never announced.
    #[error("no service at address {address} to withdraw")]
    ServiceUnknown {
        /// The address.
        address: u32,
    },
    /// The device returns a buffer number the ring does not have.
    #[error("{ring}: buffer {id} returned, the ring has {count}")]
    UsedId {
        /// Where.
        ring: Ring,
        /// The number returned.
        id: u32,
        /// Descriptors in the ring.
        count: u16,
    },
    /// The device claims to have written more than the buffer holds.
    #[error("{ring}: {len} bytes claimed in buffer {id} of {size}")]
    UsedLength {
        /// Where.
        ring: Ring,
        /// The buffer's number.
        id: u16,
        /// Bytes claimed.
        len: u32,
        /// Bytes there are.
        size: u32,
    },
    /// The device returns a buffer which it does not have.
    #[error("{ring}: buffer {id} returned but not offered")]
    UsedNotOffered {
        /// Where.
        ring: Ring,
        /// The buffer's number.
        id: u16,
    },
    /// The window wraps around, or does not begin on a multiple of 4096.
    #[error("no window: {len} bytes at {address:#x}")]
    WindowUnusable {
        /// Device address.
        address: u64,
        /// Bytes.
        len: u32,
    },
}

impl Error {
    /// Whether the ring stays unusable until the link is attached anew.
    pub const fn breaks_link(&self) -> bool {
        matches!(
            self,
            Self::AvailableId { .. }
                | Self::AvailableRepeated { .. }
                | Self::PackedChain { .. }
                | Self::PeerIndex { .. }
                | Self::PeerWrap { .. }
                | Self::UsedId { .. }
                | Self::UsedNotOffered { .. }
        )
    }

    /// What a broken index says about the peer: one that starts again writes its rings anew (rpmsg-lifecycle.md, L11).
    pub const fn restart_sign(&self) -> Option<RestartSign> {
        match self {
            Self::PeerIndex { index: 0, .. } => Some(RestartSign::RingZeroed),
            Self::PeerIndex { index, last, .. } if *index < *last => {
                Some(RestartSign::IndexBackwards)
            }
            Self::PeerWrap { flags, .. } => match *flags & (PACKED_AVAILABLE | PACKED_USED) {
                0 => Some(RestartSign::RingZeroed),
                // Of another turn, whichever (rpmsg-rings.md, R12).
                _ => Some(RestartSign::IndexBackwards),
            },
            _ => None,
        }
    }
}
