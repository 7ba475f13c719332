//! Which rule a trust update breaks, with its numbers.

use thiserror::Error;

/// A rule of trust-update.md that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// trust-update.md 3.2
    #[error("signature of slot {slot}: algorithm {id:#x} is unknown or not supported")]
    Algorithm {
        /// Its slot.
        slot: u8,
        /// As the object says.
        id: u16,
    },
    /// trust-update.md 2.2 to 2.5, 3.1
    #[error("{count} {list}, not {least} to {limit}")]
    Count {
        /// Of what.
        list: List,
        /// As the object says.
        count: u16,
        /// The fewest there may be.
        least: u16,
        /// The most there may be.
        limit: u16,
    },
    /// trust-update.md 2.1
    #[error("list version 0")]
    ListVersion,
    /// trust-update.md 2.2, 2.4
    #[error("entry {index} of the {list} asks for at least 0, which says nothing")]
    Nothing {
        /// Of what.
        list: List,
        /// Which one.
        index: u16,
    },
    /// trust-update.md 1.2
    #[error("not a trust update")]
    NotATrustUpdate,
    /// trust-update.md 2.2 to 2.5, 3.1
    #[error("entry {index} of the {list} is not above the one before it")]
    Order {
        /// Of what.
        list: List,
        /// Which one.
        index: u16,
    },
    /// trust-update.md 1.5
    #[error("padding of the {list} is not zero")]
    Padding {
        /// Of what.
        list: List,
    },
    /// trust-update.md 1.4
    #[error("reserved bytes of the {list} are not zero")]
    Reserved {
        /// Of what.
        list: List,
    },
    /// trust-update.md 2.5
    #[error("root {index} has {size} bytes, not 1 to {limit}")]
    RootSize {
        /// Which one.
        index: u16,
        /// As the object says.
        size: u32,
        /// The most there may be.
        limit: u32,
    },
    /// trust-update.md 2.6
    #[error("no root for slot {slot} would be left")]
    RootsMissing {
        /// The slot.
        slot: u8,
    },
    /// trust-update.md 1.6
    #[error("the object ends in its {list} (cut off?)")]
    Short {
        /// Where.
        list: List,
    },
    /// trust-update.md 2.5, 3.1
    #[error("entry {index} of the {list} is for slot {slot}, which does not exist")]
    Slot {
        /// Of what.
        list: List,
        /// Which one.
        index: u16,
        /// As the object says.
        slot: u8,
    },
    /// trust-update.md 1.6
    #[error("{excess} bytes behind the last signature")]
    Tail {
        /// How many.
        excess: u64,
    },
    /// trust-update.md 1.1
    #[error("{size} bytes, more than {limit}")]
    TooLarge {
        /// How many there are.
        size: u64,
        /// The most there may be.
        limit: u64,
    },
    /// trust-update.md 1.3
    #[error("trust update of version {found}; this reader knows version 1")]
    Version {
        /// As the object says.
        found: u16,
    },
}

/// A part of the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// The lowest security versions of cores.
    Floors,
    /// The lowest signer generations of product CAs.
    Generations,
    /// The first 64 bytes.
    Head,
    /// Signers that count no more.
    Revoked,
    /// The roots from now on.
    Roots,
    /// What roots signed.
    Signatures,
}

impl core::fmt::Display for List {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            List::Floors => "floors",
            List::Generations => "generations",
            List::Head => "head",
            List::Revoked => "revoked signers",
            List::Roots => "roots",
            List::Signatures => "signatures",
        })
    }
}
