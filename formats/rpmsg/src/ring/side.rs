//! What one side of a ring keeps whichever kind of ring it is: how far it has come, and what the peer did wrong.

use super::engine::Nothing;
use super::wire::Plan;
use crate::error::Error;
use crate::layout::{Ring, VringLayout};
use crate::raw::{self, Descriptor};

/// One side's view of how far both have come.
///
/// Each side's index only ever counts up; where in the ring that is, is its remainder. What we showed ourselves is remembered
/// here and never read back (rpmsg-rings.md, R4).
#[derive(Debug)]
pub struct Side {
    pub(super) ring: Ring,
    pub(super) layout: VringLayout,
    /// Whether we want to be kicked.
    pub(super) wanted: bool,
    /// The peer's index up to which we have taken.
    pub(super) taken: u16,
    /// Our index as published.
    pub(super) published: u16,
    /// The index our next entry has.
    pub(super) next: u16,
    /// What the peer did wrong last; for ever what broke the ring, once it is broken.
    refused: Option<Refused>,
    broken: bool,
}

/// What the peer did wrong, as it was read: which rule that breaks is said to who asks, and costs nothing where nobody does.
#[derive(Clone, Copy, Debug)]
pub enum Refused {
    /// This descriptor of a buffer.
    Described { id: u16, descriptor: Descriptor },
    /// This index of its own, where no more than so many can follow.
    Index { index: u16, outstanding: u16 },
    /// A buffer number that it offers.
    Offered { id: u16 },
    /// The flags at a place.
    Place { place: u16, flags: u16 },
    /// A buffer number that it returns.
    Returned { id: u32 },
}

impl Side {
    /// One that begins with these indices.
    pub(super) fn new(plan: &Plan<'_>, taken: u16, published: u16) -> Self {
        let ring = plan.ring;
        Self {
            ring,
            layout: *plan.layout(),
            wanted: plan.wanted,
            taken,
            published,
            next: published,
            refused: None,
            broken: false,
        }
    }

    /// Keeps what the peer did wrong for whoever asks why there is nothing to take.
    #[cold]
    pub(super) fn refuse(&mut self, refused: Refused) {
        self.refused = Some(refused);
    }

    /// From now on every look and every gift fails with this error, and there is nothing to show.
    #[cold]
    pub(super) fn breaks(&mut self, refused: Refused) {
        self.refused = Some(refused);
        self.broken = true;
        self.next = self.published;
    }

    #[inline]
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Why nothing is found where the peer gave nothing more, or will never again.
    #[inline]
    pub(super) fn nothing(&self) -> Nothing {
        match self.broken {
            true => Nothing::Refused,
            false => Nothing::Left,
        }
    }

    /// What the peer did wrong, if that is why there is nothing.
    #[inline(always)]
    pub(super) fn refusal(&self, why: Nothing, write: u16) -> Option<Error> {
        match (why, self.refused) {
            (Nothing::Refused, Some(refused)) => Some(self.rule(refused, write)),
            _ => None,
        }
    }

    /// What is wrong with a buffer that comes back: nobody holds any of a broken ring's.
    #[inline(always)]
    pub(super) fn not_held(&self, id: u16, write: u16) -> Error {
        let ring = self.ring;
        match self.refusal(self.nothing(), write) {
            Some(error) => error,
            None => Error::NotHeld { ring, id },
        }
    }

    /// Which rule that breaks (rpmsg-rings.md, R5, R7, R12). `write`: as the write flag of this ring's descriptors has to be.
    // Inlined, or the compiler would keep it for callers who do not look at the error.
    #[inline(always)]
    fn rule(&self, refused: Refused, write: u16) -> Error {
        let (ring, count) = (self.ring, self.layout.count());
        match refused {
            Refused::Described { id, descriptor } => self.misdescribed(id, descriptor, write),
            Refused::Index { index, outstanding } => Error::PeerIndex {
                ring,
                index,
                last: self.taken,
                outstanding,
            },
            Refused::Offered { id } if id < count => Error::AvailableRepeated { ring, id },
            Refused::Offered { id } => Error::AvailableId { ring, id, count },
            Refused::Place { place, flags } => Error::PeerWrap { ring, place, flags },
            Refused::Returned { id } => match u16::try_from(id) {
                Ok(id) if id < count => Error::UsedNotOffered { ring, id },
                _ => Error::UsedId { ring, id, count },
            },
        }
    }

    /// rpmsg-rings.md, R3 and R6.
    #[inline(always)]
    fn misdescribed(&self, id: u16, descriptor: Descriptor, write: u16) -> Error {
        let ring = self.ring;
        let Descriptor {
            address,
            len,
            flags,
        } = descriptor;
        if self.layout.is_packed() && flags & raw::DESCRIPTOR_NEXT != 0 {
            return Error::PackedChain { ring, id, flags };
        }
        if flags & (raw::DESCRIPTOR_NEXT | raw::DESCRIPTOR_INDIRECT) != 0 {
            return Error::DescriptorChained { ring, id, flags };
        }
        if flags & write != write {
            return Error::DescriptorReadOnly { ring, id, flags };
        }
        if len < raw::HEADER_SIZE {
            return Error::BufferTooSmall { ring, id, len };
        }
        if address & 3 != 0 {
            return Error::BufferMisaligned { ring, id, address };
        }
        Error::BufferOutside {
            ring,
            id,
            address,
            len,
        }
    }
}
