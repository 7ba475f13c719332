//! The split ring (VirtIO 1.3, 2.7): one half written by the driver, the other by the device (rpmsg-rings.md, R7).

use core::sync::atomic::Ordering;

use super::Kick;
use super::engine::Slot;
use super::side::{Refused, Side};
use super::wire::{Plan, Wire};
use crate::layout::{Aligned, VringLayout};
use crate::memory::SharedMemory;
use crate::raw::{self, Descriptor};

/// One side of a split ring.
///
/// The driver writes the available ring and reads the used one, the device the other way round. `Split<false>` leaves event indices
/// out, for a side that never agrees to them and counts its bytes; a layout with them is refused.
#[derive(Debug)]
pub struct Split<const EVENTS: bool = true> {
    side: Side,
    /// The peer's flag by which it asks not to be kicked, or none where it is not believed.
    heeded: u16,
    /// Where the half ring begins that we write, with its flags and its index.
    ours: Aligned<1>,
    /// And the one that the peer writes.
    theirs: Aligned<1>,
    /// Whether it was agreed on that either side says at which index it wants to be kicked.
    events: bool,
    /// Neither broken nor with event indices: then there is less to ask each time.
    plain: bool,
    /// The peer's index when last read.
    peer: u16,
    /// How far the peer's index can be at most.
    limit: u16,
}

impl<const EVENTS: bool> Split<EVENTS> {
    fn new(side: Side, plan: &Plan<'_>, ours_is_available: bool) -> Self {
        let (available, used) = (side.layout.available(), side.layout.used());
        let (ours, theirs) = match ours_is_available {
            true => (available, used),
            false => (used, available),
        };
        Self {
            events: EVENTS && plan.link.event_index,
            plain: !(EVENTS && plan.link.event_index),
            heeded: match plan.quirks.kick_always {
                true => 0,
                false => raw::RING_NO_KICK,
            },
            ours: Aligned::new(ours),
            theirs: Aligned::new(theirs),
            peer: side.taken,
            limit: side.taken,
            side,
        }
    }

    /// The peer kicks once for what we asked by an index; for the next one we ask again, and look again (L14).
    #[cold]
    fn asked_index<M: SharedMemory>(&mut self, memory: &M) -> Option<u16> {
        if !EVENTS || self.side.is_broken() {
            return None;
        }
        let index = self.index(memory);
        if index != self.side.taken || !self.side.wanted {
            return Some(index);
        }
        self.ask(memory);
        Some(self.index(memory))
    }

    /// The peer's index as it stands now.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn index<M: SharedMemory>(&self, memory: &M) -> u16 {
        let at = head(self.theirs, raw::RING_INDEX);
        memory.invalidate(at, 2);
        memory.load_u16(at, Ordering::Acquire)
    }

    /// Where the owner of a half ring says at which index it wants to be kicked: behind that half.
    fn event(&self, half: Aligned<1>) -> u32 {
        match half.at() == self.side.layout.available() {
            true => self.side.layout.used_event(),
            false => self.side.layout.available_event(),
        }
    }

    #[cold]
    fn misplaced(&mut self, index: u16) {
        let outstanding = self.limit.wrapping_sub(self.side.taken);
        self.breaks(Refused::Index { index, outstanding });
    }

    /// The kick where event indices were agreed on.
    #[cold]
    fn kick_at_an_index<M: SharedMemory>(&self, memory: &M, shown: u16) -> Kick {
        let at = self.event(self.theirs);
        memory.invalidate(at, 2);
        let event = memory.load_u16(at, Ordering::Relaxed);
        // VirtIO 1.3, 2.7.10: whether this batch reached the index asked for.
        let reached = self.side.published.wrapping_sub(event).wrapping_sub(1) < shown;
        if reached || self.heeded == 0 {
            Kick::of(self.side.ring)
        } else {
            Kick::NONE
        }
    }
}

impl<const EVENTS: bool> Wire for Split<EVENTS> {
    const PACKED: bool = false;

    const EVENTS: bool = EVENTS;

    type Aside = u16;

    const NOTHING: u16 = 0;

    fn driver<M: SharedMemory>(memory: &M, plan: &Plan<'_>) -> Self {
        let mut split = Self::new(Side::new(plan, 0, 0), plan, true);
        if !plan.wanted {
            split.ask(memory);
        }
        split
    }

    fn device<M: SharedMemory>(memory: &M, plan: &Plan<'_>) -> Self {
        let layout = plan.layout();
        let count = layout.count();
        let used = layout.used().wrapping_add(raw::RING_INDEX);
        let available = layout.available().wrapping_add(raw::RING_INDEX);
        memory.invalidate(used, 2);
        memory.invalidate(available, 2);
        // The used index need not begin at 0: other devices ran on this ring, or the driver filled it beforehand.
        let published = memory.load_u16(used, Ordering::Acquire);
        let offered = memory.load_u16(available, Ordering::Acquire);
        // Filled beforehand, it is a whole ring ahead of what was taken, however much the driver has offered by now.
        let behind = published.wrapping_sub(count);
        let prefilled = plan.quirks.used_ring_prefilled && offered.wrapping_sub(behind) <= count;
        let taken = if prefilled { behind } else { published };
        let side = Side::new(plan, taken, published);
        let mut split = Self::new(side, plan, false);
        split.limit = taken.wrapping_add(count);
        // Whatever stood there before, what we want stands there now.
        split.ask(memory);
        split
    }

    fn lay<M: SharedMemory>(memory: &M, layout: &VringLayout, id: u16, buffer: Descriptor) {
        memory.store_words(layout.descriptor(id), buffer.to_words());
    }

    #[inline]
    fn side(&self) -> &Side {
        &self.side
    }

    #[inline]
    fn side_mut(&mut self) -> &mut Side {
        &mut self.side
    }

    #[inline]
    fn has_more(&self) -> bool {
        self.peer != self.side.taken
    }

    /// The peer's index is read only once we have taken all we know of. An index that cannot be breaks the ring (R7).
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn look<M: SharedMemory>(&mut self, memory: &M) -> bool {
        if self.has_more() {
            return true;
        }
        let index = match self.plain {
            true => self.index(memory),
            false => match self.asked_index(memory) {
                Some(index) => index,
                None => return false,
            },
        };
        let taken = self.side.taken;
        if index.wrapping_sub(taken) > self.limit.wrapping_sub(taken) {
            self.misplaced(index);
            return false;
        }
        self.peer = index;
        self.has_more()
    }

    #[cold]
    fn breaks(&mut self, refused: Refused) {
        self.side.breaks(refused);
        self.unlearn();
        self.plain = false;
    }

    #[inline]
    fn unlearn(&mut self) {
        self.peer = self.side.taken;
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn returned<M: SharedMemory>(&self, memory: &M) -> [u32; 2] {
        let entry = self.side.layout.used_entry(self.side.taken);
        memory.invalidate(entry, raw::USED_ENTRY_SIZE);
        memory.load_words(entry)
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn offered<M: SharedMemory>(&mut self, memory: &M) -> u16 {
        let entry = self.side.layout.available_entry(self.side.taken);
        self.advance();
        memory.invalidate(entry, 2);
        memory.load_u16(entry, Ordering::Relaxed)
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn descriptor<M: SharedMemory>(&mut self, memory: &M, id: u16) -> Descriptor {
        // The ring has this buffer, so there is nothing to ask.
        let at = self.side.layout.descriptor_of(id);
        memory.invalidate(at, raw::DESCRIPTOR_SIZE);
        Descriptor::from_words(memory.load_words(at))
    }

    fn aside(slot: &Slot) -> u16 {
        slot.id
    }

    fn aside_id(id: u16) -> u16 {
        id
    }

    /// Its descriptor still stands where its number says.
    fn recall(id: u16) -> Result<u16, Slot> {
        Ok(id)
    }

    #[inline]
    fn advance(&mut self) {
        self.side.taken = self.side.taken.wrapping_add(1);
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn offer<M: SharedMemory>(&mut self, memory: &M, id: u16, _at: u32, _len: u32, moved: bool) {
        let index = self.side.next;
        self.side.next = index.wrapping_add(1);
        if moved {
            let entry = self.side.layout.available_entry(index);
            memory.store_u16(entry, id, Ordering::Relaxed);
            memory.clean(entry, 2);
        }
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn put_back<M: SharedMemory>(&mut self, memory: &M, id: u16, len: u32) {
        let entry = self.side.layout.used_entry(self.side.next);
        self.side.next = self.side.next.wrapping_add(1);
        memory.store_words(entry, [u32::from(id), len]);
        memory.clean(entry, raw::USED_ENTRY_SIZE);
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn show<M: SharedMemory>(&mut self, memory: &M) -> u16 {
        let staged = self.side.next.wrapping_sub(self.side.published);
        if staged == 0 {
            return 0;
        }
        self.side.published = self.side.next;
        self.limit = self.limit.wrapping_add(staged);
        let index = head(self.ours, raw::RING_INDEX);
        memory.store_u16(index, self.side.published, Ordering::Release);
        memory.clean(index, 2);
        staged
    }

    /// VirtIO 1.3, 2.7.13.4.1: index first, then the flags, with a full fence between, or both sides may sleep.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn kick<M: SharedMemory>(&self, memory: &M, shown: u16) -> Kick {
        if shown == 0 {
            return Kick::NONE;
        }
        if EVENTS && self.events {
            return self.kick_at_an_index(memory, shown);
        }
        let flags = head(self.theirs, raw::RING_FLAGS);
        memory.invalidate(flags, 2);
        match memory.load_u16(flags, Ordering::Relaxed) & self.heeded {
            0 => Kick::of(self.side.ring),
            _ => Kick::NONE,
        }
    }

    /// By the flag, or by the index at which.
    fn ask<M: SharedMemory>(&mut self, memory: &M) {
        let flag = if self.side.wanted {
            0
        } else {
            raw::RING_NO_KICK
        };
        let (at, value) = match EVENTS && self.events {
            // The index behind us is the last one that the peer will reach.
            true => (self.event(self.ours), self.side.taken.wrapping_sub(flag)),
            false => (head(self.ours, raw::RING_FLAGS), flag),
        };
        memory.store_u16(at, value, Ordering::Relaxed);
        memory.clean(at, 2);
        memory.fence();
    }
}

/// What stands at this offset into a half ring that begins there.
#[inline]
fn head(half: Aligned<1>, offset: u32) -> u32 {
    half.at().wrapping_add(offset)
}
