//! What goes over the endpoint: that a slot is lent, and that it is given back.

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::error::Error;

/// A notice as it was received, its form judged and nothing more (P3 to P6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// For the borrower.
    Lent(Lent),
    /// For the lender.
    Returned(Returned),
}

/// A slot is lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lent {
    pub(crate) slot: u16,
    pub(crate) length: u32,
    pub(crate) sequence: u32,
}

/// A slot is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Returned {
    pub(crate) slot: u16,
    pub(crate) sequence: u32,
}

impl Notice {
    /// Reads a message.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let raw =
            Raw::read_from_bytes(bytes).map_err(|_| Error::NoticeLength { len: bytes.len() })?;
        let (slot, length, sequence) = (raw.slot.get(), raw.length.get(), raw.sequence.get());
        match raw.kind.get() {
            LENT => Ok(Self::Lent(Lent {
                slot,
                length,
                sequence,
            })),
            RETURNED if length == 0 => Ok(Self::Returned(Returned { slot, sequence })),
            RETURNED => Err(Error::ReturnedLength { slot, length }),
            kind => Err(Error::NoticeKind { kind }),
        }
    }

    /// The message to send.
    pub fn to_bytes(self) -> [u8; 12] {
        let (kind, slot, length, sequence) = match self {
            Self::Lent(lent) => (LENT, lent.slot, lent.length, lent.sequence),
            Self::Returned(returned) => (RETURNED, returned.slot, 0, returned.sequence),
        };
        let raw = Raw {
            kind: U16::new(kind),
            slot: U16::new(slot),
            length: U32::new(length),
            sequence: U32::new(sequence),
        };
        zerocopy::transmute!(raw)
    }
}

impl Lent {
    /// What a borrower answers that refused this loan: it is over (P7).
    pub const fn refused(self) -> Returned {
        Returned {
            slot: self.slot,
            sequence: self.sequence,
        }
    }
}

impl From<Lent> for Notice {
    fn from(lent: Lent) -> Self {
        Self::Lent(lent)
    }
}

impl From<Returned> for Notice {
    fn from(returned: Returned) -> Self {
        Self::Returned(returned)
    }
}

#[derive(FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct Raw {
    kind: U16,
    slot: U16,
    length: U32,
    sequence: U32,
}

const LENT: u16 = 1;
const RETURNED: u16 = 2;
