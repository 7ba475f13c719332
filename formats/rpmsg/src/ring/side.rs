//! What one side of a ring keeps whichever kind of ring it is: how far it has come, and what the peer did wrong.

use super::Kick;
use crate::error::Error;
use crate::layout::{Ring, VringLayout};

/// One side's view of how far both have come.
///
/// Each side's index only ever counts up; where in the ring that is, is its remainder. What we showed ourselves is remembered
/// here and never read back (rpmsg-rings.md, R4).
#[derive(Debug)]
pub struct Side {
    pub(super) ring: Ring,
    /// The ring's kick.
    pub(super) kick: Kick,
    pub(super) layout: VringLayout,
    /// Whether we want to be kicked.
    pub(super) wanted: bool,
    /// The peer's index up to which we have taken.
    pub(super) taken: u16,
    /// Our index as published.
    pub(super) published: u16,
    /// The index our next entry has.
    pub(super) next: u16,
    /// What the peer did wrong last, until it is told; kept for ever once the ring is broken.
    refused: Option<Error>,
    broken: bool,
}

impl Side {
    /// One that begins with these indices.
    pub(super) fn new(ring: Ring, layout: VringLayout, taken: u16, published: u16) -> Self {
        Self {
            ring,
            kick: Kick::of(ring),
            layout,
            wanted: true,
            taken,
            published,
            next: published,
            refused: None,
            broken: false,
        }
    }

    /// Keeps what the peer did wrong for whoever asks why there is nothing to take.
    #[cold]
    pub(super) fn refuse(&mut self, error: Error) {
        self.refused = Some(error);
    }

    /// From now on every look and every gift fails with this error, and there is nothing to show.
    #[cold]
    pub(super) fn breaks(&mut self, error: Error) {
        self.refused = Some(error);
        self.broken = true;
        self.next = self.published;
    }

    #[inline]
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// What the peer did wrong, if anything; said once, or again and again where it broke the ring.
    #[inline]
    pub(super) fn refusal(&mut self) -> Option<Error> {
        if self.broken {
            return self.refused;
        }
        self.refused.take()
    }

    /// What is wrong with a buffer that comes back: nobody holds any of a broken ring's.
    #[cold]
    pub(super) fn not_held(&self, id: u16) -> Error {
        self.refused.unwrap_or(Error::NotHeld {
            ring: self.ring,
            id,
        })
    }
}
