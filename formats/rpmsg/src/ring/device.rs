//! The device's side of a ring: it borrows the buffers the driver offers, and returns them used.

use super::engine::{Engine, Nothing, Slot};
use super::side::Refused;
use super::wire::{Plan, Wire};
use super::{Kick, Quirks, Split};
use crate::error::Error;
use crate::layout::{Area, LinkLayout, Ring};
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
    // By its parts, which the compiler sees to be the same for every queue.
    #[inline(always)]
    pub(crate) fn start<M: SharedMemory>(memory: &M, plan: &Plan<'_>) -> Self {
        let Plan {
            link,
            ring,
            device_fills,
            wanted,
            quirks,
        } = *plan;
        Self::join(memory, link, ring, device_fills, wanted, quirks)
    }

    fn join<M: SharedMemory>(
        memory: &M,
        link: &LinkLayout,
        ring: Ring,
        device_fills: bool,
        wanted: bool,
        quirks: Quirks,
    ) -> Self {
        let plan = &Plan {
            link,
            ring,
            device_fills,
            wanted,
            quirks,
        };
        let count = usize::from(plan.layout().count());
        let mut holders = [Holder::Nobody; N];
        for holder in holders.iter_mut().take(count) {
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
            aside: [W::NOTHING; N],
            set_aside: 0,
        }
    }

    /// The number of the buffer put aside last, or what was judged of it before.
    #[cold]
    fn taken_back(&mut self) -> Option<Result<u16, Slot>> {
        if self.is_broken() {
            return None;
        }
        let top = self.set_aside.checked_sub(1)?;
        self.set_aside = top;
        let aside = *self.aside.get(usize::from(top))?;
        let holder = self.holders.get_mut(usize::from(W::aside_id(aside)))?;
        *holder = Holder::Driver;
        Some(W::recall(aside))
    }

    /// Returns a buffer whose descriptor breaks a rule.
    #[cold]
    fn misdescribed<M: SharedMemory>(&mut self, memory: &M, id: u16, descriptor: Descriptor) {
        let refused = Refused::Described { id, descriptor };
        if W::PACKED && descriptor.flags & raw::DESCRIPTOR_NEXT != 0 {
            self.wire.breaks(refused);
            return;
        }
        self.pass(memory, id, 0);
        self.wire.side_mut().refuse(refused);
    }

    /// No driver may offer this id now.
    #[cold]
    fn misoffered(&mut self, id: u16) {
        self.wire.breaks(Refused::Offered { id });
    }

    #[inline(always)]
    fn not_held(&self, id: u16) -> Error {
        let (_, write) = self.flags;
        self.wire.side().not_held(id, write)
    }
}

impl<const N: usize, W: Wire> Engine for DeviceQueue<N, W> {
    #[inline]
    fn ring(&self) -> Ring {
        self.wire.side().ring
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn take<M: SharedMemory>(&mut self, memory: &M, area: &Area) -> Result<Slot, Nothing> {
        let id = 'found: {
            if !self.wire.has_more() {
                // Rare, so it is asked only here, where `keep` leads.
                if self.set_aside != 0 {
                    match self.taken_back() {
                        Some(Ok(id)) => break 'found id,
                        Some(Err(slot)) => return Ok(slot),
                        None => return Err(self.nothing()),
                    }
                }
                if !self.wire.look(memory) {
                    return Err(self.nothing());
                }
            }
            let id = self.wire.offered(memory);
            // One question for two rules: the ring has this buffer, and we do not have it.
            if self.holders.get(usize::from(id)) != Some(&Holder::Driver) {
                self.misoffered(id);
                return Err(Nothing::Refused);
            }
            id
        };
        let descriptor = self.wire.descriptor(memory, id);
        let (mask, wanted) = self.flags;
        if descriptor.flags & mask == wanted
            && let Some((at, room)) = area.place(descriptor.address, descriptor.len)
            // Offsets keep the alignment of addresses.
            && at & 3 == 0
        {
            let filled = descriptor.len;
            return Ok(Slot {
                id,
                at,
                room,
                filled,
            });
        }
        self.misdescribed(memory, id, descriptor);
        Err(Nothing::Refused)
    }

    #[inline(always)]
    fn nothing(&self) -> Nothing {
        self.wire.side().nothing()
    }

    #[inline(always)]
    fn refusal(&self, why: Nothing) -> Option<Error> {
        let (_, write) = self.flags;
        self.wire.side().refusal(why, write)
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
            (Some(Holder::Us), Some(place)) if !self.wire.side().is_broken() => {
                *place = W::aside(&slot);
                self.set_aside = self.set_aside.wrapping_add(1);
                // The next `take` finds nothing known of the peer's, and looks here first.
                self.wire.unlearn();
                Ok(())
            }
            _ => Err(self.not_held(slot.id)),
        }
    }

    #[inline]
    fn give<M: SharedMemory>(&mut self, memory: &M, id: u16, len: u32) -> Result<(), Error> {
        match self.holders.get_mut(usize::from(id)) {
            Some(holder @ Holder::Us) if !self.wire.side().is_broken() => {
                *holder = Holder::Driver;
                self.pass(memory, id, len);
                Ok(())
            }
            _ => Err(self.not_held(id)),
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

    #[inline]
    fn is_broken(&self) -> bool {
        self.wire.side().is_broken()
    }

    fn wish<M: SharedMemory>(&mut self, memory: &M, wanted: bool) {
        self.wire.wish(memory, wanted);
    }

    fn is_ready<M: SharedMemory>(&mut self, memory: &M) -> bool {
        self.wire.look(memory) || self.set_aside != 0 && !self.is_broken()
    }
}
