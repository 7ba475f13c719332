//! The driver's side of a ring: it owns the buffers, offers them, and takes them back used.

use core::sync::atomic::Ordering;

use super::book::Book;
use super::engine::{Engine, Nothing, Slot};
use super::side::Refused;
use super::wire::{Plan, Wire};
use super::{Kick, Split};
use crate::error::Error;
use crate::layout::{Aligned, Area, BufferSizes, LinkLayout, Ring};
use crate::memory::SharedMemory;
use crate::raw::{self, Descriptor};

/// The driver's side of a ring of at most `N` descriptors.
///
/// Each buffer lies at a fixed place, which is never read from the ring.
#[derive(Debug)]
pub struct DriverQueue<const N: usize, W: Wire = Split> {
    wire: W,
    buffers: Aligned<2>,
    stride: Aligned<2>,
    /// Bytes of a buffer behind its header.
    room: u32,
    book: Book<N>,
    /// Whose offer stood last at each place, so that only what changes is stored.
    offers: [u16; N],
    /// Our next index when it was last looked for returned buffers.
    looked: u16,
}

impl<const N: usize, W: Wire> DriverQueue<N, W> {
    /// Writes an empty ring for its buffers, which only one may do who knows that the device is off it.
    pub(crate) fn lay<M: SharedMemory>(
        memory: &M,
        link: &LinkLayout,
        plan: &Plan<'_>,
        sizes: BufferSizes,
    ) {
        let layout = plan.layout();
        let flags = match plan.device_fills {
            true => raw::DESCRIPTOR_WRITE,
            false => 0,
        };
        let mut at = layout.start();
        while at < layout.end() & !3 {
            memory.store_u32(at, 0, Ordering::Relaxed);
            at = at.wrapping_add(4);
        }
        if at < layout.end() {
            memory.store_u16(at, 0, Ordering::Relaxed);
        }
        let (buffers, size) = buffers(link, plan.ring, sizes);
        for id in 0..layout.count() {
            let offset = buffers.wrapping_add(u32::from(id).wrapping_mul(size));
            let written = Descriptor {
                address: link.window.address(offset),
                len: size,
                flags,
            };
            W::lay(memory, layout, id, written);
        }
        memory.clean(layout.start(), layout.end().wrapping_sub(layout.start()));
        memory.fence();
    }

    /// Takes a ring into use that [`DriverQueue::lay`] wrote, and nobody since.
    pub(crate) fn start<M: SharedMemory>(
        memory: &M,
        link: &LinkLayout,
        plan: &Plan<'_>,
        sizes: BufferSizes,
    ) -> Self {
        let (buffers, size) = buffers(link, plan.ring, sizes);
        Self {
            wire: W::driver(memory, plan),
            buffers: Aligned::new(buffers),
            stride: Aligned::new(size),
            room: size.wrapping_sub(raw::HEADER_SIZE),
            book: Book::new(plan.layout().count()),
            offers: [u16::MAX; N],
            looked: 0,
        }
    }

    /// Offers the whole stock, for a ring the peer fills.
    pub(crate) fn offer_all<M: SharedMemory>(&mut self, memory: &M) {
        let size = self.room.wrapping_add(raw::HEADER_SIZE);
        while let Some(id) = self.book.pop() {
            self.pass(memory, id, size);
        }
    }

    /// Whether the device returned anything that we have not taken.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn look<M: SharedMemory>(&mut self, memory: &M) -> bool {
        let found = self.wire.look(memory);
        if !found && self.wire.side().is_broken() {
            self.book.forget();
        }
        found
    }

    #[inline]
    fn slot(&self, id: u16, filled: u32) -> Slot {
        Slot {
            id,
            at: self.buffers.step(self.stride, id),
            room: self.room,
            filled,
        }
    }

    #[inline]
    fn pop(&mut self) -> Option<Slot> {
        let id = self.book.pop()?;
        Some(self.slot(id, 0))
    }

    /// No device may return this id.
    #[cold]
    fn misreturned(&mut self, id: u32) {
        self.wire.breaks(Refused::Returned { id });
        self.book.forget();
    }
}

impl<const N: usize, W: Wire> Engine for DriverQueue<N, W> {
    #[inline]
    fn ring(&self) -> Ring {
        self.wire.side().ring
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn take<M: SharedMemory>(&mut self, memory: &M, _area: &Area) -> Result<Slot, Nothing> {
        // Returned buffers first: they are in the cache, and few of them go round. But whether there are any is asked only
        // once in a while, as long as there is stock: asking costs the peer its cache line.
        if !self.wire.has_more() {
            let next = self.wire.side().next;
            if self.book.has_stock() && next.wrapping_sub(self.looked) < PATIENCE {
                return self.pop().ok_or(Nothing::Left);
            }
            self.looked = next;
            if !self.look(memory) {
                return self.pop().ok_or_else(|| self.nothing());
            }
        }
        let [returned, filled] = self.wire.returned(memory);
        let Some(id) = self.book.lent(returned) else {
            self.misreturned(returned);
            return Err(Nothing::Refused);
        };
        self.wire.advance();
        Ok(self.slot(id, filled))
    }

    #[inline]
    fn nothing(&self) -> Nothing {
        self.wire.side().nothing()
    }

    #[inline(always)]
    fn refusal(&self, why: Nothing) -> Option<Error> {
        self.wire.side().refusal(why, 0)
    }

    #[inline]
    fn hold(&mut self, id: u16) {
        self.book.hold(id);
    }

    #[inline]
    fn keep(&mut self, slot: Slot) -> Result<(), Error> {
        if self.book.keep(slot.id) {
            return Ok(());
        }
        Err(self.wire.side().not_held(slot.id, 0))
    }

    #[inline]
    fn give<M: SharedMemory>(&mut self, memory: &M, id: u16, len: u32) -> Result<(), Error> {
        if self.book.is_held(id) {
            self.pass(memory, id, len);
            return Ok(());
        }
        Err(self.wire.side().not_held(id, 0))
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn pass<M: SharedMemory>(&mut self, memory: &M, id: u16, len: u32) {
        self.book.lend(id);
        let side = self.wire.side();
        let place = usize::from(side.next & side.layout.mask());
        let offer = self.offers.get_mut(place).filter(|offer| **offer != id);
        let moved = offer.is_some();
        if let Some(offer) = offer {
            *offer = id;
        }
        let at = self.buffers.step(self.stride, id);
        self.wire.offer(memory, id, at, len, moved);
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn show<M: SharedMemory>(&mut self, memory: &M) -> u16 {
        let shown = self.wire.show(memory);
        if shown != 0 {
            self.book.end_epoch();
        }
        shown
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn kick<M: SharedMemory>(&self, memory: &M, shown: u16) -> Kick {
        self.wire.kick(memory, shown)
    }

    #[inline]
    fn is_broken(&self) -> bool {
        self.wire.side().is_broken()
    }

    fn wish<M: SharedMemory>(&mut self, memory: &M, wanted: bool) {
        self.wire.wish(memory, wanted);
    }

    fn is_ready<M: SharedMemory>(&mut self, memory: &M) -> bool {
        self.look(memory) || self.book.has_stock()
    }
}

/// Where the ring's buffers begin, and the size of one: those of ring 0 are first in the area, then those of ring 1.
fn buffers(link: &LinkLayout, ring: Ring, sizes: BufferSizes) -> (u32, u32) {
    let skipped = match ring {
        Ring::ToDriver => 0,
        Ring::ToDevice => {
            u32::from(link.ring(Ring::ToDriver).count()).wrapping_mul(sizes.to_driver)
        }
    };
    (link.buffers.wrapping_add(skipped), sizes.of(ring))
}

/// How many buffers are given before it is looked for returned ones while there is stock.
const PATIENCE: u16 = 32;
