//! The driver's side of a ring: it owns the buffers, offers them, and takes them back used.

use core::sync::atomic::Ordering;

use super::Quirks;
use super::engine::{Engine, Slot};
use crate::error::Error;
use crate::layout::{LinkLayout, Ring, VringLayout};
use crate::memory::SharedMemory;
use crate::raw;

/// The driver's side of a ring of at most `N` descriptors.
///
/// Buffer `i` is descriptor `i` and lies at a fixed place, so descriptors are written once, at the start, and never read.
#[derive(Debug)]
pub struct DriverQueue<const N: usize> {
    ring: Ring,
    quirks: Quirks,
    layout: VringLayout,
    buffers: u32,
    size: u32,
    owners: [Owner; N],
    /// From the bottom: buffers in our stock. From the top: buffers given since the last publish.
    ids: [u16; N],
    stock: usize,
    staged: u16,
    /// The available index as published.
    published: u16,
    /// Published buffers the peer has not returned.
    outstanding: u16,
    /// The used index up to which we have taken.
    taken: u16,
    /// The peer's used index when last read.
    peer: u16,
    fault: Option<Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// In our stock.
    Stock,
    /// In the hands of our caller.
    Held,
    /// Given, not yet published: the peer cannot have it.
    Staged,
    /// Offered to the peer.
    Peer,
}

impl<const N: usize> DriverQueue<N> {
    /// Writes an empty ring for buffers of `size` bytes: those of ring 0 first in the area, then those of ring 1.
    pub(crate) fn start<M: SharedMemory>(
        memory: &M,
        ring: Ring,
        link: &LinkLayout,
        size: u32,
        quirks: Quirks,
    ) -> Result<Self, Error> {
        let layout = link.ring(ring);
        let skipped = match ring {
            Ring::ToDriver => 0,
            Ring::ToDevice => u32::from(link.ring(Ring::ToDriver).count()),
        };
        let buffers = link.buffers.wrapping_add(skipped.wrapping_mul(size));
        let count = layout.count();
        if usize::from(count) > N {
            return Err(Error::RingSize {
                count: u32::from(count),
                limit: u32::try_from(N).unwrap_or(u32::MAX),
            });
        }
        let mut ids = [0; N];
        let flags = match ring {
            Ring::ToDriver => u32::from(raw::DESCRIPTOR_WRITE),
            Ring::ToDevice => 0,
        };
        // Lowest buffer on top of the stock.
        for (id, place) in (0..count).rev().zip(ids.iter_mut()) {
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
            let (low, high) = halves(address);
            memory.store_u32(descriptor, low, Ordering::Relaxed);
            memory.store_u32(
                descriptor.wrapping_add(raw::DESCRIPTOR_ADDRESS_HIGH),
                high,
                Ordering::Relaxed,
            );
            memory.store_u32(
                descriptor.wrapping_add(raw::DESCRIPTOR_LENGTH),
                size,
                Ordering::Relaxed,
            );
            memory.store_u32(
                descriptor.wrapping_add(raw::DESCRIPTOR_FLAGS_NEXT),
                flags,
                Ordering::Relaxed,
            );
        }
        memory.clean(layout.start(), layout.end().wrapping_sub(layout.start()));
        memory.fence();
        Ok(Self {
            ring,
            quirks,
            layout,
            buffers,
            size,
            owners: [Owner::Stock; N],
            ids,
            stock: usize::from(count),
            staged: 0,
            published: 0,
            outstanding: 0,
            taken: 0,
            peer: 0,
            fault: None,
        })
    }

    /// Offers the whole stock, for a ring the peer fills.
    pub(crate) fn offer_all<M: SharedMemory>(&mut self, memory: &M) -> Result<(), Error> {
        while let Some(id) = self.pop() {
            self.give(memory, id, self.size)?;
        }
        Ok(())
    }

    fn pop(&mut self) -> Option<u16> {
        let top = self.stock.checked_sub(1)?;
        let id = *self.ids.get(top)?;
        *self.owners.get_mut(usize::from(id))? = Owner::Held;
        self.stock = top;
        Some(id)
    }

    #[inline]
    fn slot(&self, id: u16, filled: u32) -> Slot {
        Slot {
            id,
            at: self
                .buffers
                .wrapping_add(u32::from(id).wrapping_mul(self.size)),
            size: self.size,
            filled,
        }
    }

    /// Whether the peer returned anything we have not taken.
    fn look<M: SharedMemory>(&mut self, memory: &M) -> Result<bool, Error> {
        if self.peer != self.taken {
            return Ok(true);
        }
        let at = self.layout.used().wrapping_add(raw::RING_INDEX);
        memory.invalidate(at, 2);
        let index = memory.load_u16(at, Ordering::Acquire);
        if index.wrapping_sub(self.taken) > self.outstanding {
            return Err(self.broken(Error::PeerIndex {
                ring: self.ring,
                index,
                last: self.taken,
                outstanding: self.outstanding,
            }));
        }
        self.peer = index;
        Ok(index != self.taken)
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

impl<const N: usize> Engine for DriverQueue<N> {
    #[inline]
    fn take<M: SharedMemory>(
        &mut self,
        memory: &M,
        _layout: &LinkLayout,
    ) -> Result<Option<Slot>, Error> {
        self.sound()?;
        if let Some(id) = self.pop() {
            return Ok(Some(self.slot(id, self.size)));
        }
        if !self.look(memory)? {
            return Ok(None);
        }
        let entry = self.layout.used_entry(self.taken);
        memory.invalidate(entry, 8);
        let returned = memory.load_u32(entry, Ordering::Relaxed);
        let filled = memory.load_u32(entry.wrapping_add(raw::USED_LENGTH), Ordering::Relaxed);
        let count = self.layout.count();
        let id = match u16::try_from(returned) {
            Ok(id) if id < count => id,
            _ => {
                return Err(self.broken(Error::UsedId {
                    ring: self.ring,
                    id: returned,
                    count,
                }));
            }
        };
        match self.owners.get_mut(usize::from(id)) {
            Some(owner @ Owner::Peer) => *owner = Owner::Held,
            _ => {
                return Err(self.broken(Error::UsedNotOffered {
                    ring: self.ring,
                    id,
                }));
            }
        }
        self.taken = self.taken.wrapping_add(1);
        self.outstanding = self.outstanding.wrapping_sub(1);
        Ok(Some(self.slot(id, filled)))
    }

    fn keep(&mut self, id: u16) -> Result<(), Error> {
        let not_held = Error::NotHeld {
            ring: self.ring,
            id,
        };
        let owner = self.owners.get_mut(usize::from(id)).ok_or(not_held)?;
        if *owner != Owner::Held {
            return Err(not_held);
        }
        *owner = Owner::Stock;
        *self.ids.get_mut(self.stock).ok_or(not_held)? = id;
        self.stock = self.stock.wrapping_add(1);
        Ok(())
    }

    #[inline]
    fn give<M: SharedMemory>(&mut self, memory: &M, id: u16, _len: u32) -> Result<(), Error> {
        self.sound()?;
        let not_held = Error::NotHeld {
            ring: self.ring,
            id,
        };
        let owner = self.owners.get_mut(usize::from(id)).ok_or(not_held)?;
        if *owner != Owner::Held {
            return Err(not_held);
        }
        *owner = Owner::Staged;
        // Every buffer is in one place only, so stock and staged never meet.
        let place = N.wrapping_sub(1).wrapping_sub(usize::from(self.staged));
        *self.ids.get_mut(place).ok_or(not_held)? = id;
        let index = self.published.wrapping_add(self.staged);
        self.staged = self.staged.wrapping_add(1);
        let entry = self.layout.available_entry(index);
        memory.store_u16(entry, id, Ordering::Relaxed);
        memory.clean(entry, 2);
        Ok(())
    }

    #[inline]
    fn publish<M: SharedMemory>(&mut self, memory: &M) -> bool {
        if self.staged == 0 || self.fault.is_some() {
            return false;
        }
        for id in self.ids.iter().rev().take(usize::from(self.staged)) {
            if let Some(owner) = self.owners.get_mut(usize::from(*id)) {
                *owner = Owner::Peer;
            }
        }
        self.published = self.published.wrapping_add(self.staged);
        self.outstanding = self.outstanding.wrapping_add(self.staged);
        self.staged = 0;
        let index = self.layout.available().wrapping_add(raw::RING_INDEX);
        memory.store_u16(index, self.published, Ordering::Release);
        memory.clean(index, 2);
        // VirtIO 1.3, 2.7.13.4.1: index first, then the flags, with a full fence between, or both sides may sleep.
        memory.fence();
        let flags = self.layout.used().wrapping_add(raw::RING_FLAGS);
        memory.invalidate(flags, 2);
        let no_kick = memory.load_u16(flags, Ordering::Relaxed) & raw::RING_NO_KICK != 0;
        self.quirks.kick_always || !no_kick
    }

    fn wake<M: SharedMemory>(&mut self, memory: &M, wanted: bool) -> Result<bool, Error> {
        self.sound()?;
        let flags = self.layout.available().wrapping_add(raw::RING_FLAGS);
        let value = if wanted { 0 } else { raw::RING_NO_KICK };
        memory.store_u16(flags, value, Ordering::Relaxed);
        memory.clean(flags, 2);
        memory.fence();
        Ok(self.stock != 0 || self.look(memory)?)
    }
}

fn halves(address: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = address.to_le_bytes();
    (
        u32::from_le_bytes([a, b, c, d]),
        u32::from_le_bytes([e, f, g, h]),
    )
}
