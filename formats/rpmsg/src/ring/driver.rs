//! The driver's side of a ring: it owns the buffers, offers them, and takes them back used.

use core::sync::atomic::Ordering;

use super::engine::{Engine, Slot};
use super::side::{Side, Start};
use super::{Kick, Quirks};
use crate::error::Error;
use crate::layout::{Aligned, Area, BufferSizes, LinkLayout, Ring};
use crate::memory::SharedMemory;
use crate::raw;

/// The driver's side of a ring of at most `N` descriptors.
///
/// Buffer `i` is descriptor `i` and lies at a fixed place, so descriptors are written once, at the start, and never read.
#[derive(Debug)]
pub struct DriverQueue<const N: usize> {
    side: Side,
    buffers: Aligned<2>,
    stride: Aligned<2>,
    /// Bytes of a buffer behind its header.
    room: u32,
    /// Who has each buffer: [`STOCK`], [`HELD`], or the peer, since the epoch that stands here.
    owners: [u16; N],
    /// What is given now is shown at the end of this epoch. Buffers of earlier ones, and those alone, are the peer's to return.
    epoch: u16,
    /// What stands in the available ring, so that an entry is only stored where it changes.
    entries: [u16; N],
    /// Buffers that nobody has; the one put aside last is used first, as it is still in the cache.
    stock: [u16; N],
    stocked: u16,
    /// Our next index when the used ring was last looked at.
    looked: u16,
}

impl<const N: usize> DriverQueue<N> {
    /// Writes an empty ring for its buffers: those of ring 0 are first in the area, then those of ring 1.
    pub(crate) fn start<M: SharedMemory>(
        memory: &M,
        ring: Ring,
        link: &LinkLayout,
        sizes: BufferSizes,
        quirks: Quirks,
    ) -> Result<Self, Error> {
        let layout = link.ring(ring);
        Side::fits::<N>(&layout)?;
        let size = sizes.of(ring);
        let skipped = match ring {
            Ring::ToDriver => 0,
            Ring::ToDevice => {
                u32::from(link.ring(Ring::ToDriver).count()).wrapping_mul(sizes.to_driver)
            }
        };
        let buffers = link.buffers.wrapping_add(skipped);
        let count = layout.count();
        let mut stock = [0; N];
        let flags = match ring {
            Ring::ToDriver => raw::DESCRIPTOR_WRITE,
            Ring::ToDevice => 0,
        };
        // Lowest buffer on top of the stock.
        for (id, place) in (0..count).rev().zip(stock.iter_mut()) {
            *place = id;
        }
        let mut at = layout.start();
        while at < layout.end() & !3 {
            memory.store_u32(at, 0, Ordering::Relaxed);
            at = at.wrapping_add(4);
        }
        if at < layout.end() {
            memory.store_u16(at, 0, Ordering::Relaxed);
        }
        for id in 0..count {
            let descriptor = layout.descriptor(id);
            let offset = buffers.wrapping_add(u32::from(id).wrapping_mul(size));
            let address = link.window.address(offset);
            let written = raw::Descriptor {
                address,
                len: size,
                flags,
            };
            memory.store_words(descriptor, written.to_words());
        }
        memory.clean(layout.start(), layout.end().wrapping_sub(layout.start()));
        memory.fence();
        let start = Start {
            ours: layout.available(),
            theirs: layout.used(),
            taken: 0,
            limit: 0,
            published: 0,
        };
        Ok(Self {
            side: Side::new(ring, link, quirks, &start),
            buffers: Aligned::new(buffers),
            stride: Aligned::new(size),
            room: size.wrapping_sub(raw::HEADER_SIZE),
            owners: [STOCK; N],
            epoch: 0,
            entries: [0; N],
            stock,
            stocked: count,
            looked: 0,
        })
    }

    /// Offers the whole stock, for a ring the peer fills.
    pub(crate) fn offer_all<M: SharedMemory>(&mut self, memory: &M) -> Result<(), Error> {
        while let Some(slot) = self.pop() {
            self.give(memory, slot.id, 0)?;
        }
        Ok(())
    }

    #[inline]
    fn pop(&mut self) -> Option<Slot> {
        let top = self.stocked.checked_sub(1)?;
        let id = *self.stock.get(usize::from(top))?;
        *self.owners.get_mut(usize::from(id))? = HELD;
        self.stocked = top;
        Some(self.slot(id, 0))
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

    /// Which rule a returned id breaks.
    #[cold]
    fn misreturned(&mut self, returned: u32) {
        let (ring, count) = (self.side.ring, self.side.layout.count());
        let error = match u16::try_from(returned) {
            Ok(id) if id < count => Error::UsedNotOffered { ring, id },
            _ => Error::UsedId {
                ring,
                id: returned,
                count,
            },
        };
        self.side.breaks(error);
        self.forget();
    }

    /// Epochs begin anew: all that is given is published by now, and keeps its order before the next one.
    #[cold]
    fn first_epoch(&mut self) -> u16 {
        for owner in &mut self.owners {
            if *owner < LAST_EPOCH {
                *owner = 0;
            }
        }
        1
    }

    /// The ring is broken: there is nothing to take and nobody holds anything.
    #[cold]
    fn forget(&mut self) {
        self.owners = [STOCK; N];
        self.stocked = 0;
    }
}

impl<const N: usize> Engine for DriverQueue<N> {
    #[inline]
    fn ring(&self) -> Ring {
        self.side.ring
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn take<M: SharedMemory>(&mut self, memory: &M, _area: &Area) -> Option<Slot> {
        // Returned buffers first: they are in the cache, and few of them go round. But whether there are any is asked only
        // once in a while, as long as there is stock: asking costs the peer its cache line.
        if !self.side.has_more() {
            let next = self.side.next;
            if self.stocked != 0 && next.wrapping_sub(self.looked) < PATIENCE {
                return self.pop();
            }
            self.looked = next;
            if !self.side.look(memory) {
                if self.side.is_broken() {
                    self.forget();
                }
                return self.pop();
            }
        }
        let entry = self.side.layout.used_entry(self.side.taken);
        memory.invalidate(entry, raw::USED_ENTRY_SIZE);
        let [returned, filled] = memory.load_words(entry);
        let place = usize::try_from(returned).unwrap_or(usize::MAX);
        // One question for three rules: the ring has this buffer, it was given, and what it was given with is published.
        let given = self.owners.get(place);
        let (true, Ok(id)) = (
            given.is_some_and(|owner| *owner < self.epoch),
            u16::try_from(returned),
        ) else {
            self.misreturned(returned);
            return None;
        };
        self.side.taken = self.side.taken.wrapping_add(1);
        Some(self.slot(id, filled))
    }

    #[inline]
    fn refusal(&mut self) -> Option<Error> {
        self.side.refusal()
    }

    #[inline]
    fn hold(&mut self, id: u16) {
        if let Some(owner) = self.owners.get_mut(usize::from(id)) {
            *owner = HELD;
        }
    }

    #[inline]
    fn keep(&mut self, id: u16) -> Result<(), Error> {
        let owner = self.owners.get_mut(usize::from(id));
        let place = self.stock.get_mut(usize::from(self.stocked));
        match (owner, place) {
            (Some(owner @ &mut HELD), Some(place)) => {
                *owner = STOCK;
                *place = id;
                self.stocked = self.stocked.wrapping_add(1);
                Ok(())
            }
            _ => Err(self.side.not_held(id)),
        }
    }

    #[inline]
    fn give<M: SharedMemory>(&mut self, memory: &M, id: u16, len: u32) -> Result<(), Error> {
        match self.owners.get(usize::from(id)) {
            Some(&HELD) => {
                self.pass(memory, id, len);
                Ok(())
            }
            _ => Err(self.side.not_held(id)),
        }
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn pass<M: SharedMemory>(&mut self, memory: &M, id: u16, _len: u32) {
        let index = self.side.next;
        if let Some(owner) = self.owners.get_mut(usize::from(id)) {
            *owner = self.epoch;
        }
        self.side.next = self.side.next.wrapping_add(1);
        let place = usize::from(index & self.side.layout.mask());
        if let Some(known) = self.entries.get_mut(place).filter(|known| **known != id) {
            *known = id;
            let entry = self.side.layout.available_entry(index);
            memory.store_u16(entry, id, Ordering::Relaxed);
            memory.clean(entry, 2);
        }
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn show<M: SharedMemory>(&mut self, memory: &M) -> u16 {
        let shown = self.side.show(memory);
        if shown != 0 {
            self.epoch = match self.epoch.wrapping_add(1) {
                LAST_EPOCH => self.first_epoch(),
                next => next,
            };
        }
        shown
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn kick<M: SharedMemory>(&self, memory: &M, shown: u16) -> Kick {
        self.side.kick(memory, shown)
    }

    fn wake<M: SharedMemory>(&mut self, memory: &M, wanted: bool) -> Result<bool, Error> {
        let returned = self.side.wake(memory, wanted);
        if self.side.is_broken() {
            self.forget();
        }
        Ok(returned? || self.stocked != 0)
    }
}

/// In our stock.
const STOCK: u16 = 0xffff;
/// In the hands of our caller.
const HELD: u16 = 0xfffe;
/// No owner is this or more but those two.
const LAST_EPOCH: u16 = 0xfffd;
/// How many buffers are given before the used ring is looked at while there is stock.
const PATIENCE: u16 = 32;
