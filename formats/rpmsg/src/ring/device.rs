//! The device's side of a ring: it borrows the buffers the driver offers, and returns them used.

use super::engine::{Engine, Slot};
use super::wire::{Plan, Wire};
use super::{Kick, Split};
use crate::error::Error;
use crate::layout::{Area, Ring};
use crate::memory::SharedMemory;
use crate::raw::{self, Descriptor};

/// The device's side of a ring of at most `N` descriptors.
///
/// Where a buffer lies is read from its descriptor each time it is taken, once, and used only if it lies in the buffer area.
#[derive(Debug)]
pub struct DeviceQueue<const N: usize, W: Wire = Split> {
    wire: W,
    /// Flags a descriptor must have or not have here, and which of them set.
    flags: (u16, u16),
    holders: [Holder; N],
    /// Buffers taken and put aside unused.
    aside: [W::Aside; N],
    set_aside: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    Driver,
    Us,
    /// The ring is shorter than this queue can be.
    Nobody,
}

impl<const N: usize, W: Wire> DeviceQueue<N, W> {
    /// Joins the ring where the driver left it.
    pub(crate) fn start<M: SharedMemory>(memory: &M, plan: &Plan) -> Self {
        let mut holders = [Holder::Nobody; N];
        for holder in holders.iter_mut().take(usize::from(plan.layout.count())) {
            *holder = Holder::Driver;
        }
        let refused = raw::DESCRIPTOR_NEXT | raw::DESCRIPTOR_INDIRECT;
        Self {
            wire: W::device(memory, plan),
            flags: match plan.device_fills {
                true => (refused | raw::DESCRIPTOR_WRITE, raw::DESCRIPTOR_WRITE),
                // The write flag says nothing here: rpmsg-lite sets it on ring 1 too.
                false => (refused, 0),
            },
            holders,
            aside: [W::Aside::default(); N],
            set_aside: 0,
        }
    }

    /// Whether the driver offers anything that we have not taken.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn look<M: SharedMemory>(&mut self, memory: &M) -> bool {
        let found = self.wire.look(memory);
        if !found && self.wire.side().is_broken() {
            self.forget();
        }
        found
    }

    /// The next buffer: one put aside, or one that the driver offers.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn next<M: SharedMemory>(&mut self, memory: &M, area: &Area) -> Option<Slot> {
        if !self.wire.has_more() {
            // Rare, so it is asked only here, where `keep` leads.
            if let Some(top) = self.set_aside.checked_sub(1) {
                return self.taken_back(memory, area, top);
            }
            if !self.look(memory) {
                return None;
            }
        }
        let id = self.wire.offered(memory);
        // One question for two rules: the ring has this buffer, and we do not have it.
        if self.holders.get(usize::from(id)) != Some(&Holder::Driver) {
            self.misoffered(id);
            return None;
        }
        let descriptor = self.wire.descriptor(memory, id);
        self.wire.advance();
        self.described(memory, area, id, descriptor)
    }

    /// The buffer put aside last.
    #[cold]
    fn taken_back<M: SharedMemory>(&mut self, memory: &M, area: &Area, top: u16) -> Option<Slot> {
        self.set_aside = top;
        let aside = self.aside.get(usize::from(top)).copied()?;
        let (id, descriptor) = self.wire.recall(memory, aside);
        *self.holders.get_mut(usize::from(id))? = Holder::Driver;
        self.described(memory, area, id, descriptor)
    }

    /// The buffer as its descriptor says, if that breaks no rule.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn described<M: SharedMemory>(
        &mut self,
        memory: &M,
        area: &Area,
        id: u16,
        Descriptor {
            address,
            len,
            flags,
        }: Descriptor,
    ) -> Option<Slot> {
        let (mask, wanted) = self.flags;
        // Offsets keep the alignment of addresses.
        let place = area.place(address, len);
        let Some((at, room)) = place.filter(|(at, _)| flags & mask == wanted && at & 3 == 0) else {
            self.misdescribed(memory, id, address, len, flags);
            return None;
        };
        Some(Slot {
            id,
            at,
            room,
            filled: len,
        })
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
        let error = self.broken_rule(id, address, len, flags);
        if error.breaks_link() {
            self.wire.breaks(error);
            self.forget();
            return;
        }
        self.pass(memory, id, 0);
        self.wire.side_mut().refuse(error);
    }

    /// rpmsg-rings.md, R3 and R6.
    fn broken_rule(&self, id: u16, address: u64, len: u32, flags: u16) -> Error {
        let ring = self.ring();
        if W::PACKED && flags & raw::DESCRIPTOR_NEXT != 0 {
            return Error::PackedChain { ring, id, flags };
        }
        if flags & (raw::DESCRIPTOR_NEXT | raw::DESCRIPTOR_INDIRECT) != 0 {
            return Error::DescriptorChained { ring, id, flags };
        }
        let (mask, wanted) = self.flags;
        if flags & mask != wanted {
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

    /// Which rule an offered id breaks (R5).
    #[cold]
    fn misoffered(&mut self, id: u16) {
        let (ring, count) = (self.ring(), self.wire.side().layout.count());
        let error = if id < count {
            Error::AvailableRepeated { ring, id }
        } else {
            Error::AvailableId { ring, id, count }
        };
        self.wire.breaks(error);
        self.forget();
    }

    /// The ring is broken: there is nothing to take and nobody holds anything.
    #[cold]
    fn forget(&mut self) {
        self.holders = [Holder::Nobody; N];
        self.set_aside = 0;
    }
}

impl<const N: usize, W: Wire> Engine for DeviceQueue<N, W> {
    #[inline]
    fn ring(&self) -> Ring {
        self.wire.side().ring
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn take<M: SharedMemory>(&mut self, memory: &M, area: &Area) -> Option<Slot> {
        let slot = self.next(memory, area)?;
        // Aligned already, but the compiler does not know of a buffer that was put aside, and memories ask again.
        let at = slot.at & !3;
        Some(Slot { at, ..slot })
    }

    #[inline]
    fn refusal(&mut self) -> Option<Error> {
        self.wire.side_mut().refusal()
    }

    #[inline]
    fn hold(&mut self, id: u16) {
        if let Some(holder) = self.holders.get_mut(usize::from(id)) {
            *holder = Holder::Us;
        }
    }

    #[inline]
    fn keep(&mut self, slot: Slot) -> Result<(), Error> {
        let holder = self.holders.get(usize::from(slot.id));
        let place = self.aside.get_mut(usize::from(self.set_aside));
        match (holder, place) {
            (Some(Holder::Us), Some(place)) => {
                *place = W::aside(&slot);
                self.set_aside = self.set_aside.wrapping_add(1);
                // The next `take` finds nothing known of the peer's, and looks here first.
                self.wire.unlearn();
                Ok(())
            }
            _ => Err(self.wire.side().not_held(slot.id)),
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
            _ => Err(self.wire.side().not_held(id)),
        }
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn pass<M: SharedMemory>(&mut self, memory: &M, id: u16, len: u32) {
        self.wire.put_back(memory, id, len);
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn show<M: SharedMemory>(&mut self, memory: &M) -> u16 {
        self.wire.show(memory)
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn kick<M: SharedMemory>(&self, memory: &M, shown: u16) -> Kick {
        self.wire.kick(memory, shown)
    }

    fn wish<M: SharedMemory>(&mut self, memory: &M, wanted: bool) {
        self.wire.wish(memory, wanted);
    }

    fn is_ready<M: SharedMemory>(&mut self, memory: &M) -> bool {
        self.look(memory) || self.set_aside != 0
    }
}
