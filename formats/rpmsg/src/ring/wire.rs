//! How the two sides of a ring tell each other what they give: what is different between kinds of rings, and nothing else.

use core::fmt::Debug;

use super::engine::Slot;
use super::side::{Refused, Side};
use super::{Kick, Quirks};
use crate::error::Error;
use crate::layout::{LinkLayout, Ring, VringLayout};
use crate::memory::SharedMemory;
use crate::raw::Descriptor;

/// What a queue is for.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    pub(crate) link: &'a LinkLayout,
    pub(crate) ring: Ring,
    /// Whether the ring's device writes into the buffers, or its driver does.
    pub(crate) device_fills: bool,
    /// Whether we want to be kicked at first.
    pub(crate) wanted: bool,
    pub(crate) quirks: Quirks,
}

impl<'a> Plan<'a> {
    /// A plan for a ring of this kind with no more than `N` descriptors (rpmsg-rings.md, R1, R2).
    // Where the layout is a constant, the plan is one too.
    #[inline(always)]
    pub(crate) fn new<const N: usize, W: Wire>(
        link: &'a LinkLayout,
        ring: Ring,
        device_fills: bool,
        wanted: bool,
        quirks: Quirks,
    ) -> Result<Self, Error> {
        let layout = link.ring(ring);
        if layout.is_packed() != W::PACKED || link.event_index && !W::EVENTS {
            return Err(Error::RingKind { ring });
        }
        let count = layout.count();
        if usize::from(count) > N {
            return Err(Error::RingSize {
                count: u32::from(count),
                limit: u32::try_from(N).unwrap_or(u32::MAX),
            });
        }
        Ok(Self {
            link,
            ring,
            device_fills,
            wanted,
            quirks,
        })
    }

    pub(crate) const fn layout(&self) -> &VringLayout {
        self.link.ring(self.ring)
    }
}

/// One side's way to tell and to be told, in a kind of ring.
///
/// A driver writes offers and reads returns, a device reads offers and writes returns. What is read is judged by the caller,
/// but for where it stands, which is the kind's own affair.
pub trait Wire: Debug + Sized {
    /// Which kind of layout it needs.
    const PACKED: bool;

    /// Whether kicks can be asked for by an index.
    const EVENTS: bool;

    /// What a device remembers of a buffer that it puts aside.
    type Aside: Copy + Debug;

    /// Where nothing was put aside yet.
    const NOTHING: Self::Aside;

    /// The driver's side of a ring that was written empty.
    fn driver<M: SharedMemory>(memory: &M, plan: &Plan<'_>) -> Self;

    /// The device's side of a ring as it is found.
    fn device<M: SharedMemory>(memory: &M, plan: &Plan<'_>) -> Self;

    /// Writes what has to stand in an empty ring about buffer `id`.
    fn lay<M: SharedMemory>(memory: &M, layout: &VringLayout, id: u16, buffer: Descriptor);

    fn side(&self) -> &Side;

    fn side_mut(&mut self) -> &mut Side;

    /// Whether the peer is known to have given anything that we have not taken.
    fn has_more(&self) -> bool;

    /// Whether it has, looked up where it is not known. A place that cannot be breaks the ring.
    fn look<M: SharedMemory>(&mut self, memory: &M) -> bool;

    /// From here on, nothing is known to be there before the next look.
    fn unlearn(&mut self);

    /// The buffer number and the length at the place that was looked at.
    fn returned<M: SharedMemory>(&self, memory: &M) -> [u32; 2];

    /// The buffer number offered there. It is taken at the latest with its descriptor.
    fn offered<M: SharedMemory>(&mut self, memory: &M) -> u16;

    /// Where the buffer lies that is offered there, as its descriptor says now.
    fn descriptor<M: SharedMemory>(&mut self, memory: &M, id: u16) -> Descriptor;

    /// What to remember of a buffer put aside.
    fn aside(slot: &Slot) -> Self::Aside;

    /// Its number.
    fn aside_id(aside: Self::Aside) -> u16;

    /// Its number where its descriptor still stands, or where it lies.
    fn recall(aside: Self::Aside) -> Result<u16, Slot>;

    /// What was looked at is taken.
    fn advance(&mut self);

    /// Writes an offer, to be shown. `moved`: another buffer's stood at this place before.
    fn offer<M: SharedMemory>(&mut self, memory: &M, id: u16, at: u32, len: u32, moved: bool);

    /// Writes a return, to be shown.
    fn put_back<M: SharedMemory>(&mut self, memory: &M, id: u16, len: u32);

    /// Shows the peer everything written; how many entries those are.
    fn show<M: SharedMemory>(&mut self, memory: &M) -> u16;

    /// Our kick, if the peer wants to be kicked for what was shown; after a full fence.
    fn kick<M: SharedMemory>(&self, memory: &M, shown: u16) -> Kick;

    /// Tells the peer whether we want to be kicked.
    fn ask<M: SharedMemory>(&mut self, memory: &M);

    /// Asks the peer to kick us, or not to.
    fn wish<M: SharedMemory>(&mut self, memory: &M, wanted: bool) {
        self.side_mut().wanted = wanted;
        self.ask(memory);
    }

    /// From now on every look and every gift fails with this error.
    fn breaks(&mut self, refused: Refused);
}
