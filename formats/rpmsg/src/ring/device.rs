//! The device's side of a ring: it borrows the buffers the driver offers, and returns them used.

use core::sync::atomic::Ordering;

use super::engine::{Engine, Slot};
use super::side::{Side, Start};
use super::{Kick, Quirks};
use crate::error::Error;
use crate::layout::{Area, LinkLayout, Ring};
use crate::memory::SharedMemory;
use crate::raw;

/// The device's side of a ring of at most `N` descriptors.
///
/// Where a buffer lies is read from its descriptor each time it is taken, once, and used only if it lies in the buffer area.
#[derive(Debug)]
pub struct DeviceQueue<const N: usize> {
    side: Side,
    /// Flags a descriptor must have or not have here, and which of them set.
    flags: (u16, u16),
    holders: [Holder; N],
    /// Buffers taken and put aside unused.
    aside: [u16; N],
    set_aside: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    Driver,
    Us,
    /// The ring is shorter than this queue can be.
    Nobody,
}

impl<const N: usize> DeviceQueue<N> {
    /// Joins the ring where the driver left it.
    pub(crate) fn start<M: SharedMemory>(
        memory: &M,
        ring: Ring,
        link: &LinkLayout,
        quirks: Quirks,
    ) -> Result<Self, Error> {
        let layout = link.ring(ring);
        Side::fits::<N>(&layout)?;
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
        let prefilled = quirks.used_ring_prefilled && offered.wrapping_sub(behind) <= count;
        let taken = if prefilled { behind } else { published };
        let start = Start {
            ours: layout.used(),
            theirs: layout.available(),
            taken,
            limit: taken.wrapping_add(count),
            published,
        };
        let mut holders = [Holder::Nobody; N];
        for holder in holders.iter_mut().take(usize::from(count)) {
            *holder = Holder::Driver;
        }
        let mut side = Side::new(ring, link, quirks, &start);
        if link.event_index {
            // Whoever was here before asked for another index.
            side.ask(memory);
        }
        let refused = raw::DESCRIPTOR_NEXT | raw::DESCRIPTOR_INDIRECT;
        Ok(Self {
            side,
            flags: match ring {
                Ring::ToDriver => (refused | raw::DESCRIPTOR_WRITE, raw::DESCRIPTOR_WRITE),
                // The write flag says nothing here: rpmsg-lite sets it on this ring too.
                Ring::ToDevice => (refused, 0),
            },
            holders,
            aside: [0; N],
            set_aside: 0,
        })
    }

    /// The next buffer number the driver offers, if any.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn next<M: SharedMemory>(&mut self, memory: &M) -> Option<u16> {
        if !self.side.has_more() {
            // Rare, so it is asked only here, where `keep` leads.
            if let Some(top) = self.set_aside.checked_sub(1) {
                return self.taken_back(top);
            }
            if !self.side.look(memory) {
                if self.side.is_broken() {
                    self.forget();
                }
                return None;
            }
        }
        let entry = self.side.layout.available_entry(self.side.taken);
        memory.invalidate(entry, 2);
        let id = memory.load_u16(entry, Ordering::Relaxed);
        // One question for two rules: the ring has this buffer, and we do not have it.
        if self.holders.get(usize::from(id)) != Some(&Holder::Driver) {
            self.misoffered(id);
            return None;
        }
        self.side.taken = self.side.taken.wrapping_add(1);
        Some(id)
    }

    /// The buffer put aside last.
    #[cold]
    fn taken_back(&mut self, top: u16) -> Option<u16> {
        self.set_aside = top;
        let id = self.aside.get(usize::from(top)).copied()?;
        *self.holders.get_mut(usize::from(id))? = Holder::Driver;
        Some(id)
    }

    /// Returns a buffer whose descriptor breaks a rule.
    #[cold]
    fn misdescribed<M: SharedMemory>(
        &mut self,
        memory: &M,
        id: u16,
        address: u64,
        len: u32,
        flags: u16,
    ) {
        self.pass(memory, id, 0);
        self.side.refuse(self.broken_rule(id, address, len, flags));
    }

    fn broken_rule(&self, id: u16, address: u64, len: u32, flags: u16) -> Error {
        let ring = self.side.ring;
        if flags & (raw::DESCRIPTOR_NEXT | raw::DESCRIPTOR_INDIRECT) != 0 {
            return Error::DescriptorChained { ring, id, flags };
        }
        if ring == Ring::ToDriver && flags & raw::DESCRIPTOR_WRITE == 0 {
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

    /// Which rule an offered id breaks.
    #[cold]
    fn misoffered(&mut self, id: u16) {
        let (ring, count) = (self.side.ring, self.side.layout.count());
        let error = if id < count {
            Error::AvailableRepeated { ring, id }
        } else {
            Error::AvailableId { ring, id, count }
        };
        self.side.breaks(error);
        self.forget();
    }

    /// The ring is broken: there is nothing to take and nobody holds anything.
    #[cold]
    fn forget(&mut self) {
        self.holders = [Holder::Nobody; N];
        self.set_aside = 0;
    }
}

impl<const N: usize> Engine for DeviceQueue<N> {
    #[inline]
    fn ring(&self) -> Ring {
        self.side.ring
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn take<M: SharedMemory>(&mut self, memory: &M, area: &Area) -> Option<Slot> {
        let id = self.next(memory)?;
        // Where it lies, as its descriptor says now.
        let at = self.side.layout.descriptor(id);
        memory.invalidate(at, raw::DESCRIPTOR_SIZE);
        let raw::Descriptor {
            address,
            len,
            flags,
        } = raw::Descriptor::from_words(memory.load_words(at));
        let (mask, wanted) = self.flags;
        let Some((at, room)) = area.place(address, len) else {
            self.misdescribed(memory, id, address, len, flags);
            return None;
        };
        // Offsets keep the alignment of addresses.
        if flags & mask != wanted || at & 3 != 0 {
            self.misdescribed(memory, id, address, len, flags);
            return None;
        }
        Some(Slot {
            id,
            at,
            room,
            filled: len,
        })
    }

    #[inline]
    fn refusal(&mut self) -> Option<Error> {
        self.side.refusal()
    }

    #[inline]
    fn hold(&mut self, id: u16) {
        if let Some(holder) = self.holders.get_mut(usize::from(id)) {
            *holder = Holder::Us;
        }
    }

    #[inline]
    fn keep(&mut self, id: u16) -> Result<(), Error> {
        let holder = self.holders.get(usize::from(id));
        let place = self.aside.get_mut(usize::from(self.set_aside));
        match (holder, place) {
            (Some(Holder::Us), Some(place)) => {
                *place = id;
                self.set_aside = self.set_aside.wrapping_add(1);
                // The next `take` finds nothing known of the peer's, and looks here first.
                self.side.peer = self.side.taken;
                Ok(())
            }
            _ => Err(self.side.not_held(id)),
        }
    }

    #[inline]
    fn give<M: SharedMemory>(&mut self, memory: &M, id: u16, len: u32) -> Result<(), Error> {
        match self.holders.get_mut(usize::from(id)) {
            Some(holder @ Holder::Us) => {
                *holder = Holder::Driver;
                self.pass(memory, id, len);
                Ok(())
            }
            _ => Err(self.side.not_held(id)),
        }
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn pass<M: SharedMemory>(&mut self, memory: &M, id: u16, len: u32) {
        let entry = self.side.layout.used_entry(self.side.next);
        self.side.next = self.side.next.wrapping_add(1);
        memory.store_words(entry, [u32::from(id), len]);
        memory.clean(entry, raw::USED_ENTRY_SIZE);
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn show<M: SharedMemory>(&mut self, memory: &M) -> u16 {
        self.side.show(memory)
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn kick<M: SharedMemory>(&self, memory: &M, shown: u16) -> Kick {
        self.side.kick(memory, shown)
    }

    fn wake<M: SharedMemory>(&mut self, memory: &M, wanted: bool) -> Result<bool, Error> {
        let offered = self.side.wake(memory, wanted);
        if self.side.is_broken() {
            self.forget();
        }
        Ok(offered? || self.set_aside != 0)
    }
}
