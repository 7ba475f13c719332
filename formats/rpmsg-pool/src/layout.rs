//! Where a pool is, checked before anything is touched.

use rpmsg::Window;

use crate::error::Error;

/// The slots of a pool.
///
/// Holding a `PoolLayout` tells you that all of them lie inside the window, on lines of their own (P1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLayout {
    start: u32,
    count: u16,
    size: u32,
}

impl PoolLayout {
    /// `count` slots of `size` bytes each from a device address on. That neither rings nor another pool lie there is for the
    /// platform's file to say.
    pub fn new(window: &Window, address: u64, count: u16, size: u32) -> Result<Self, Error> {
        if !(1..=MAX_SLOTS).contains(&count) {
            return Err(Error::Count { count });
        }
        if size == 0 || size & (LINE - 1) != 0 || address & u64::from(LINE - 1) != 0 {
            return Err(Error::Lines { address, size });
        }
        // At most 2^8 times 2^32.
        let len = u64::from(count).wrapping_mul(u64::from(size));
        let start = u32::try_from(len)
            .ok()
            .and_then(|len| window.offset(address, len))
            .ok_or(Error::Outside { address, len })?;
        Ok(Self { start, count, size })
    }

    /// How many slots there are.
    pub const fn count(&self) -> u16 {
        self.count
    }

    /// Bytes of each slot.
    pub const fn size(&self) -> u32 {
        self.size
    }

    /// Refuses pools that have bytes in common: each direction has its own (P2).
    pub fn check_apart(&self, other: &Self) -> Result<(), Error> {
        let (first, second) = (self.start, other.start);
        // Inside the window, as `new` has seen, so nothing wraps.
        if first >= other.end() || second >= self.end() {
            return Ok(());
        }
        Err(Error::Overlap { first, second })
    }

    fn end(&self) -> u32 {
        let len = u32::from(self.count).wrapping_mul(self.size);
        self.start.wrapping_add(len)
    }

    /// Refuses a side that cannot keep account of all slots.
    pub(crate) fn check_capacity(&self, limit: usize) -> Result<(), Error> {
        if usize::from(self.count) > limit {
            return Err(Error::Capacity {
                count: self.count,
                limit,
            });
        }
        Ok(())
    }

    /// The offset of a loan, which has at least a byte and no more than its slot (P6).
    pub(crate) fn loan(&self, slot: u16, length: u32) -> Result<u32, Error> {
        let limit = self.size;
        if !(1..=limit).contains(&length) {
            return Err(Error::Length {
                slot,
                length,
                limit,
            });
        }
        self.place(slot, 0, 0, limit)
    }

    /// The offset of `len` bytes from `offset` on in a slot, of which `room` may be used.
    pub(crate) fn place(
        &self,
        slot: u16,
        offset: u32,
        len: usize,
        room: u32,
    ) -> Result<u32, Error> {
        if slot >= self.count {
            return Err(Error::Slot {
                slot,
                count: self.count,
            });
        }
        if offset & 3 != 0 {
            return Err(Error::Misaligned { offset });
        }
        let end = u32::try_from(len)
            .ok()
            .and_then(|len| offset.checked_add(len));
        match end {
            // Inside the pool, as `new` has seen, so nothing wraps.
            Some(end) if end <= room.min(self.size) => Ok(self
                .start
                .wrapping_add(u32::from(slot).wrapping_mul(self.size))
                .wrapping_add(offset)),
            _ => Err(Error::PastEnd {
                slot,
                end: end.unwrap_or(u32::MAX),
                limit: room.min(self.size),
            }),
        }
    }
}

/// More than any core has memory for; each costs its sides a few bytes.
const MAX_SLOTS: u16 = 256;
/// The largest cache line that both sides keep apart.
const LINE: u32 = 64;
