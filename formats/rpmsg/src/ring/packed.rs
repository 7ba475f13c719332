//! The packed ring (VirtIO 1.3, 2.8): descriptors in one ring, written by both sides in turn (rpmsg-rings.md, R8 to R15).
//!
//! Nothing is cleaned or invalidated here: no cache that needs it can have a line that both sides write to (R15).
//!
//! A batch is written whole but for the last word of its first descriptor, which shows all of it: the peer looks at one place
//! after the other, so it sees nothing of a batch before its first, and all of it then. That is one release store per batch.

use core::sync::atomic::Ordering;

use super::Kick;
use super::engine::Slot;
use super::side::{Refused, Side};
use super::wire::{Plan, Wire};
use crate::layout::VringLayout;
use crate::memory::SharedMemory;
use crate::raw::{self, Descriptor, PACKED_AVAILABLE, PACKED_USED};

/// One side of a packed ring.
#[derive(Debug)]
pub struct Packed {
    side: Side,
    /// The bits of a descriptor that the peer gave to us, and of one that it did not, as seen from an even turn of the ring:
    /// in odd ones both bits are the other way round.
    given: u16,
    waiting: u16,
    /// How many descriptors the peer can be ahead of what we have shown: a driver's device none, a device's driver all.
    lead: u16,
    /// The last word of the descriptor we look at, once it was found to be given.
    found: Option<u32>,
    /// The last word of the first descriptor to be shown.
    first: u32,
    /// Whether events may be asked for by their place, which was agreed on.
    places: bool,
    /// Whether the peer's wish is heard.
    heeded: bool,
    /// [`raw::DESCRIPTOR_WRITE`], where devices write the buffers of this ring.
    written: u16,
    /// The window's address.
    base: u64,
    /// Where we say what we want to be kicked for.
    ours: u32,
    /// And where the peer does.
    theirs: u32,
}

impl Packed {
    fn new(plan: &Plan<'_>, ours: u32, theirs: u32) -> Self {
        Self {
            side: Side::new(plan, 0, 0),
            given: 0,
            waiting: PACKED_USED,
            lead: 0,
            found: None,
            first: 0,
            places: plan.link.event_index,
            heeded: !plan.quirks.kick_always,
            written: match plan.device_fills {
                true => raw::DESCRIPTOR_WRITE,
                false => 0,
            },
            base: plan.link.window.address(0),
            ours,
            theirs,
        }
    }

    /// The descriptor at an index (R9).
    #[inline]
    fn place(&self, index: u16) -> u32 {
        self.side.layout.descriptor(index)
    }

    /// Both bits in even turns of the ring, which is how the wrap counter of 1 is meant; none in odd ones (R8).
    #[inline]
    fn turn(&self, index: u16) -> u16 {
        match index & self.side.layout.count() {
            0 => PACKED_AVAILABLE | PACKED_USED,
            _ => 0,
        }
    }

    /// Whether the peer gave the descriptor we look at. Its last word is read once, and kept; bits that no turn of the ring can
    /// give it break the ring (R12).
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn read<M: SharedMemory>(&mut self, memory: &M) -> bool {
        let index = self.side.taken;
        let last = self.place(index).wrapping_add(raw::PACKED_LAST);
        let word = memory.load_u32(last, Ordering::Acquire);
        let flags = raw::upper(word);
        let bits = (flags ^ self.turn(index)) & (PACKED_AVAILABLE | PACKED_USED);
        if bits == self.given {
            self.found = Some(word);
            return true;
        }
        if bits != self.waiting {
            self.misplaced(index, flags);
        }
        false
    }

    #[cold]
    fn misplaced(&mut self, index: u16, flags: u16) {
        let place = index & self.side.layout.mask();
        self.breaks(Refused::Place { place, flags });
    }

    /// Writes the last word of our next descriptor, or keeps it where that shows what is behind it too (R10).
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn stage<M: SharedMemory>(&mut self, memory: &M, id: u16, flags: u16) {
        let index = self.side.next;
        self.side.next = index.wrapping_add(1);
        let word = u32::from(flags | self.written) << 16 | u32::from(id);
        if index == self.side.published {
            self.first = word;
            return;
        }
        let last = self.place(index).wrapping_add(raw::PACKED_LAST);
        memory.store_u32(last, word, Ordering::Relaxed);
    }

    /// Whether what was shown reached the place that was asked for (VirtIO 1.3, 2.8.10).
    #[cold]
    fn reached(&self, asked: u16, shown: u16) -> bool {
        let count = self.side.layout.count();
        let place = asked & !PLACE_TURN;
        if place >= count {
            // No place of this ring; a kick too many is harmless (L13).
            return true;
        }
        // Indices of two turns, of which the even one has the wrap counter 1.
        let index = match asked & PLACE_TURN {
            0 => place.wrapping_add(count),
            _ => place,
        };
        let two_turns = self.side.layout.mask() << 1 | 1;
        let begin = self.side.published.wrapping_sub(shown);
        index.wrapping_sub(begin) & two_turns < shown
    }
}

impl Wire for Packed {
    const PACKED: bool = true;

    const EVENTS: bool = true;

    type Aside = Slot;

    const NOTHING: Slot = Slot {
        id: 0,
        at: 0,
        room: 0,
        filled: 0,
    };

    fn driver<M: SharedMemory>(memory: &M, plan: &Plan<'_>) -> Self {
        let mut packed = Self::new(plan, plan.layout().available(), plan.layout().used());
        if !plan.wanted {
            packed.ask(memory);
        }
        packed
    }

    /// A ring begins anew with each driver, so that devices begin where it does (R14).
    fn device<M: SharedMemory>(memory: &M, plan: &Plan<'_>) -> Self {
        let mut packed = Self {
            given: PACKED_USED,
            waiting: PACKED_AVAILABLE | PACKED_USED,
            lead: plan.layout().count(),
            ..Self::new(plan, plan.layout().used(), plan.layout().available())
        };
        // Whatever stood there before, we want to be kicked now.
        packed.ask(memory);
        packed
    }

    /// Descriptors are written as they are offered.
    fn lay<M: SharedMemory>(_: &M, _: &VringLayout, _: u16, _: Descriptor) {}

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
        self.found.is_some()
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn look<M: SharedMemory>(&mut self, memory: &M) -> bool {
        if self.has_more() {
            return true;
        }
        if self.side.is_broken() {
            return false;
        }
        // Where the peer can have given nothing, there is nothing to read (R11).
        let last = self.side.published.wrapping_add(self.lead);
        let readable = self.side.taken != last;
        if readable && self.read(memory) {
            return true;
        }
        // The peer kicks once for the place that we asked for; for the next one we ask again, even where nothing can stand there
        // yet, and look again (L14).
        if self.places && self.side.wanted && !self.side.is_broken() {
            self.ask(memory);
            return readable && self.read(memory);
        }
        false
    }

    #[cold]
    fn breaks(&mut self, refused: Refused) {
        self.side.breaks(refused);
        self.unlearn();
    }

    #[inline]
    fn unlearn(&mut self) {
        self.found = None;
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn returned<M: SharedMemory>(&self, memory: &M) -> [u32; 2] {
        let at = self.place(self.side.taken).wrapping_add(raw::PACKED_LENGTH);
        let id = raw::lower(self.found.unwrap_or_default());
        [u32::from(id), memory.load_u32(at, Ordering::Relaxed)]
    }

    #[inline]
    fn offered<M: SharedMemory>(&mut self, _: &M) -> u16 {
        raw::lower(self.found.unwrap_or_default())
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn descriptor<M: SharedMemory>(&mut self, memory: &M, _: u16) -> Descriptor {
        let place = self.place(self.side.taken);
        let [low, high, len] = memory.load_words(place);
        let flags = raw::upper(self.found.unwrap_or_default());
        self.advance();
        Descriptor {
            address: raw::address(low, high),
            len,
            flags: flags & !(PACKED_AVAILABLE | PACKED_USED),
        }
    }

    fn aside(slot: &Slot) -> Slot {
        *slot
    }

    fn aside_id(slot: Slot) -> u16 {
        slot.id
    }

    /// What was judged before: by now a return may stand in its descriptor's place.
    fn recall(slot: Slot) -> Result<u16, Slot> {
        // Aligned already, but the compiler does not know, and memories ask again.
        Err(Slot {
            at: slot.at & !3,
            ..slot
        })
    }

    #[inline]
    fn advance(&mut self) {
        self.side.taken = self.side.taken.wrapping_add(1);
        self.found = None;
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn offer<M: SharedMemory>(&mut self, memory: &M, id: u16, at: u32, len: u32, moved: bool) {
        let index = self.side.next;
        let place = self.place(index);
        if moved {
            let address = self.base.wrapping_add(u64::from(at));
            let [low, high] = raw::address_words(address);
            memory.store_words(place, [low, high, len]);
        } else {
            // The address still stands there: devices write behind it.
            memory.store_u32(
                place.wrapping_add(raw::PACKED_LENGTH),
                len,
                Ordering::Relaxed,
            );
        }
        // Available in this turn, used in the one before.
        self.stage(memory, id, self.turn(index) ^ PACKED_USED);
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn put_back<M: SharedMemory>(&mut self, memory: &M, id: u16, len: u32) {
        let index = self.side.next;
        let at = self.place(index).wrapping_add(raw::PACKED_LENGTH);
        memory.store_u32(at, len, Ordering::Relaxed);
        self.stage(memory, id, self.turn(index));
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn show<M: SharedMemory>(&mut self, memory: &M) -> u16 {
        let begin = self.side.published;
        let staged = self.side.next.wrapping_sub(begin);
        if staged != 0 {
            self.side.published = self.side.next;
            let last = self.place(begin).wrapping_add(raw::PACKED_LAST);
            memory.store_u32(last, self.first, Ordering::Release);
        }
        staged
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn kick<M: SharedMemory>(&self, memory: &M, shown: u16) -> Kick {
        if shown == 0 {
            return Kick::NONE;
        }
        let asked = memory.load_u32(self.theirs, Ordering::Relaxed);
        let unwanted = match raw::upper(asked) & EVENTS {
            EVENTS_NONE => true,
            EVENTS_PLACE if self.places => !self.reached(raw::lower(asked), shown),
            // What is not defined, or was not agreed on, asks for nothing less (R13).
            _ => false,
        };
        if unwanted && self.heeded {
            return Kick::NONE;
        }
        Kick::of(self.side.ring)
    }

    fn ask<M: SharedMemory>(&mut self, memory: &M) {
        let place = self.side.taken & self.side.layout.mask();
        let turn = match self.turn(self.side.taken) {
            0 => 0,
            _ => PLACE_TURN,
        };
        let asked = match (self.side.wanted, self.places) {
            (false, _) => u32::from(EVENTS_NONE) << 16,
            (true, false) => 0,
            (true, true) => u32::from(EVENTS_PLACE) << 16 | u32::from(place | turn),
        };
        memory.store_u32(self.ours, asked, Ordering::Relaxed);
        memory.fence();
    }
}

// An event suppression structure: place u16, with the wrap counter on top, and flags u16.
const PLACE_TURN: u16 = 0x8000;
const EVENTS: u16 = 3;
const EVENTS_NONE: u16 = 1;
const EVENTS_PLACE: u16 = 2;
