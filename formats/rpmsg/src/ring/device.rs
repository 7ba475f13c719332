//! The device's side of a ring: it borrows the buffers the driver offers, and returns them used.

use core::sync::atomic::Ordering;

use super::Quirks;
use super::engine::{Engine, Slot};
use crate::error::Error;
use crate::layout::{LinkLayout, Ring, VringLayout};
use crate::memory::SharedMemory;
use crate::raw;

/// The device's side of a ring of at most `N` descriptors.
///
/// Where a buffer lies is read from its descriptor each time it is taken, once, and used only if it lies in the buffer area.
#[derive(Debug)]
pub struct DeviceQueue<const N: usize> {
    ring: Ring,
    quirks: Quirks,
    layout: VringLayout,
    held: [bool; N],
    /// Buffers taken and put aside unused.
    aside: [u16; N],
    set_aside: usize,
    /// Buffers taken and not yet published as used.
    owed: u16,
    /// The available index up to which we have taken.
    taken: u16,
    /// The peer's available index when last read.
    peer: u16,
    /// The used index as published.
    published: u16,
    staged: u16,
    fault: Option<Error>,
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
        let count = layout.count();
        if usize::from(count) > N {
            return Err(Error::RingSize {
                count: u32::from(count),
                limit: u32::try_from(N).unwrap_or(u32::MAX),
            });
        }
        let used = layout.used().wrapping_add(raw::RING_INDEX);
        let available = layout.available().wrapping_add(raw::RING_INDEX);
        memory.invalidate(used, 2);
        memory.invalidate(available, 2);
        // The used index need not begin at 0: other devices ran on this ring, or the driver filled it beforehand.
        let published = memory.load_u16(used, Ordering::Acquire);
        let offered = memory.load_u16(available, Ordering::Acquire);
        let ahead = offered.wrapping_sub(published);
        let taken = if quirks.used_ring_prefilled && ahead > count {
            published.wrapping_sub(count)
        } else {
            published
        };
        Ok(Self {
            ring,
            quirks,
            layout,
            held: [false; N],
            aside: [0; N],
            set_aside: 0,
            owed: 0,
            taken,
            peer: taken,
            published,
            staged: 0,
            fault: None,
        })
    }

    fn look<M: SharedMemory>(&mut self, memory: &M) -> Result<bool, Error> {
        if self.peer != self.taken {
            return Ok(true);
        }
        let at = self.layout.available().wrapping_add(raw::RING_INDEX);
        memory.invalidate(at, 2);
        let index = memory.load_u16(at, Ordering::Acquire);
        let outstanding = self.layout.count().wrapping_sub(self.owed);
        if index.wrapping_sub(self.taken) > outstanding {
            return Err(self.broken(Error::PeerIndex {
                ring: self.ring,
                index,
                last: self.taken,
                outstanding,
            }));
        }
        self.peer = index;
        Ok(index != self.taken)
    }

    /// The next buffer number the driver offers, if any.
    #[inline]
    fn next<M: SharedMemory>(&mut self, memory: &M) -> Result<Option<u16>, Error> {
        if let Some(top) = self.set_aside.checked_sub(1) {
            self.set_aside = top;
            return Ok(self.aside.get(top).copied());
        }
        if !self.look(memory)? {
            return Ok(None);
        }
        let entry = self.layout.available_entry(self.taken);
        memory.invalidate(entry, 2);
        let id = memory.load_u16(entry, Ordering::Relaxed);
        let count = self.layout.count();
        if id >= count {
            return Err(self.broken(Error::AvailableId {
                ring: self.ring,
                id,
                count,
            }));
        }
        match self.held.get_mut(usize::from(id)) {
            Some(held @ false) => *held = true,
            _ => {
                return Err(self.broken(Error::AvailableRepeated {
                    ring: self.ring,
                    id,
                }));
            }
        }
        self.taken = self.taken.wrapping_add(1);
        self.owed = self.owed.wrapping_add(1);
        Ok(Some(id))
    }

    /// Where buffer `id` lies, as its descriptor says now.
    #[inline]
    fn judge<M: SharedMemory>(
        &self,
        memory: &M,
        layout: &LinkLayout,
        id: u16,
    ) -> Result<Slot, Error> {
        let ring = self.ring;
        let at = self.layout.descriptor(id);
        memory.invalidate(at, raw::DESCRIPTOR_SIZE);
        let mut bytes = [0; 16];
        memory.copy_out(at, &mut bytes);
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, _, _] = bytes;
        let address = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let len = u32::from_le_bytes([i, j, k, l]);
        let flags = u16::from_le_bytes([m, n]);
        if flags & (raw::DESCRIPTOR_NEXT | raw::DESCRIPTOR_INDIRECT) != 0 {
            return Err(Error::DescriptorChained { ring, id, flags });
        }
        // On ring 1 the flag says nothing: rpmsg-lite sets it there too.
        if ring == Ring::ToDriver && flags & raw::DESCRIPTOR_WRITE == 0 {
            return Err(Error::DescriptorReadOnly { ring, id, flags });
        }
        if len < raw::HEADER_SIZE {
            return Err(Error::BufferTooSmall { ring, id, len });
        }
        if address & 3 != 0 {
            return Err(Error::BufferMisaligned { ring, id, address });
        }
        let at = layout.buffer(address, len).ok_or(Error::BufferOutside {
            ring,
            id,
            address,
            len,
        })?;
        Ok(Slot {
            id,
            at,
            size: len,
            filled: len,
        })
    }

    #[cold]
    fn broken(&mut self, error: Error) -> Error {
        self.fault = Some(error);
        error
    }

    fn sound(&self) -> Result<(), Error> {
        self.fault.map_or(Ok(()), Err)
    }
}

impl<const N: usize> Engine for DeviceQueue<N> {
    #[inline]
    fn take<M: SharedMemory>(
        &mut self,
        memory: &M,
        layout: &LinkLayout,
    ) -> Result<Option<Slot>, Error> {
        self.sound()?;
        let Some(id) = self.next(memory)? else {
            return Ok(None);
        };
        match self.judge(memory, layout, id) {
            Ok(slot) => Ok(Some(slot)),
            Err(error) => {
                self.give(memory, id, 0)?;
                Err(error)
            }
        }
    }

    fn keep(&mut self, id: u16) -> Result<(), Error> {
        let not_held = Error::NotHeld {
            ring: self.ring,
            id,
        };
        if self.held.get(usize::from(id)) != Some(&true) {
            return Err(not_held);
        }
        *self.aside.get_mut(self.set_aside).ok_or(not_held)? = id;
        self.set_aside = self.set_aside.wrapping_add(1);
        Ok(())
    }

    #[inline]
    fn give<M: SharedMemory>(&mut self, memory: &M, id: u16, len: u32) -> Result<(), Error> {
        self.sound()?;
        match self.held.get_mut(usize::from(id)) {
            Some(held @ true) => *held = false,
            _ => {
                return Err(Error::NotHeld {
                    ring: self.ring,
                    id,
                });
            }
        }
        let entry = self
            .layout
            .used_entry(self.published.wrapping_add(self.staged));
        self.staged = self.staged.wrapping_add(1);
        memory.store_u32(entry, u32::from(id), Ordering::Relaxed);
        memory.store_u32(entry.wrapping_add(raw::USED_LENGTH), len, Ordering::Relaxed);
        memory.clean(entry, 8);
        Ok(())
    }

    #[inline]
    fn publish<M: SharedMemory>(&mut self, memory: &M) -> bool {
        if self.staged == 0 || self.fault.is_some() {
            return false;
        }
        self.published = self.published.wrapping_add(self.staged);
        self.owed = self.owed.wrapping_sub(self.staged);
        self.staged = 0;
        let index = self.layout.used().wrapping_add(raw::RING_INDEX);
        memory.store_u16(index, self.published, Ordering::Release);
        memory.clean(index, 2);
        // VirtIO 1.3, 2.7.13.4.1, seen from the device: index first, then the flags, with a full fence between.
        memory.fence();
        let flags = self.layout.available().wrapping_add(raw::RING_FLAGS);
        memory.invalidate(flags, 2);
        let no_kick = memory.load_u16(flags, Ordering::Relaxed) & raw::RING_NO_KICK != 0;
        self.quirks.kick_always || !no_kick
    }

    fn wake<M: SharedMemory>(&mut self, memory: &M, wanted: bool) -> Result<bool, Error> {
        self.sound()?;
        let flags = self.layout.used().wrapping_add(raw::RING_FLAGS);
        let value = if wanted { 0 } else { raw::RING_NO_KICK };
        memory.store_u16(flags, value, Ordering::Relaxed);
        memory.clean(flags, 2);
        memory.fence();
        Ok(self.set_aside != 0 || self.look(memory)?)
    }
}
