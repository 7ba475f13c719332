//! Every way in which a caller, a layout or the peer can be wrong.

/// A broken rule of `docs/rpmsg-pool.md`, with the numbers that broke it.
///
/// [`Error::Sequence`] of a loan means that a notice was lost, doubled or made up: there is no going on with that pool until both
/// sides make it anew. After any other error it works as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// This side has room for fewer slots than the pool has.
    #[error("the pool has {count} slots, there is room for {limit}")]
    Capacity {
        /// Slots of the pool.
        count: u16,
        /// Slots that this side can keep.
        limit: usize,
    },
    /// A pool has 1 to 256 slots (P1).
    #[error("a pool of {count} slots, not 1 to 256")]
    Count {
        /// The number asked for.
        count: u16,
    },
    /// A loan has at least one byte and at most a slot's (P6).
    #[error("slot {slot}: {length} bytes, not 1 to {limit}")]
    Length {
        /// The slot.
        slot: u16,
        /// The length said.
        length: u32,
        /// Bytes of a slot.
        limit: u32,
    },
    /// A slot has a multiple of 64 bytes, at least 64, and the pool starts at one (P1).
    #[error("slots of {size} bytes at {address:#x} are not whole lines of 64 bytes")]
    Lines {
        /// Device address of the pool.
        address: u64,
        /// Bytes of a slot.
        size: u32,
    },
    /// A payload is read and written from a word on.
    #[error("offset {offset} is not a multiple of 4")]
    Misaligned {
        /// The offset asked for.
        offset: u32,
    },
    /// No slot is free: the borrower has to give one back first.
    #[error("all {count} slots are in use")]
    NoSlot {
        /// Slots of the pool.
        count: u16,
    },
    /// The handle or the notice is of a slot which is not reserved or lent now, or was lent since (P9).
    #[error("slot {slot} is not held")]
    NotHeld {
        /// The slot.
        slot: u16,
    },
    /// The notice is none that there is (P4).
    #[error("notice of kind {kind}")]
    NoticeKind {
        /// The kind received.
        kind: u16,
    },
    /// A notice has a fixed size (P3).
    #[error("a notice has {len} bytes instead of 12")]
    NoticeLength {
        /// Bytes received.
        len: usize,
    },
    /// The handle belongs to a pool which is gone (P10).
    #[error("a handle of generation {handle}, the pool has {current}")]
    OtherGeneration {
        /// The handle's.
        handle: u32,
        /// The pool's.
        current: u32,
    },
    /// The pool leaves the window (P1).
    #[error("the pool at {address:#x}, {len} bytes, lies outside the window")]
    Outside {
        /// Device address.
        address: u64,
        /// Bytes of all slots.
        len: u64,
    },
    /// Two pools have bytes in common (P2).
    #[error("the pools at offsets {first:#x} and {second:#x} of the window overlap")]
    Overlap {
        /// Offset of the one.
        first: u32,
        /// Offset of the other.
        second: u32,
    },
    /// More than the slot holds.
    #[error("slot {slot}: up to byte {end} of {limit}")]
    PastEnd {
        /// The slot.
        slot: u16,
        /// Where the bytes would end.
        end: u32,
        /// Bytes of a slot.
        limit: u32,
    },
    /// A slot is lent which was not given back (P8).
    #[error("slot {slot} is lent twice")]
    Repeated {
        /// The slot.
        slot: u16,
    },
    /// A notice that gives back says nothing about a length (P6).
    #[error("slot {slot}: given back with a length of {length}")]
    ReturnedLength {
        /// The slot.
        slot: u16,
        /// The length said.
        length: u32,
    },
    /// Loans are numbered without gaps (P7).
    #[error("loan {sequence} after {last}")]
    Sequence {
        /// The number received.
        sequence: u32,
        /// The last one before.
        last: u32,
    },
    /// The pool has no such slot (P5).
    #[error("slot {slot} of {count}")]
    Slot {
        /// The number received.
        slot: u16,
        /// Slots of the pool.
        count: u16,
    },
}

/// A call that took a handle and did nothing: here it is again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct Refused<H> {
    /// Why.
    pub error: Error,
    /// What was handed in.
    pub handle: H,
}

impl<H> Refused<H> {
    pub(crate) const fn new(error: Error, handle: H) -> Self {
        Self { error, handle }
    }
}

impl<H> From<Refused<H>> for Error {
    fn from(refused: Refused<H>) -> Self {
        refused.error
    }
}
