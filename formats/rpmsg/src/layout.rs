//! Where the rings and buffers of one link are, checked before anything is touched.

use core::fmt;

use crate::error::Error;
use crate::raw;

/// One of the two rings of a link, named by the way its messages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ring {
    /// Ring 1: messages from the driver to the device.
    ToDevice,
    /// Ring 0: messages from the device to the driver.
    ToDriver,
}

impl Ring {
    /// The ring's number in the resource table.
    pub const fn number(self) -> u8 {
        match self {
            Self::ToDriver => 0,
            Self::ToDevice => 1,
        }
    }
}

impl fmt::Display for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ToDevice => "ring 1",
            Self::ToDriver => "ring 0",
        })
    }
}

/// The shared window, as the addresses in rings and tables speak of it.
///
/// Holding a `Window` tells you that its addresses do not wrap and that offsets keep the alignment addresses have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    address: u64,
    len: u32,
}

impl Window {
    /// The window of `len` bytes which the core sees at `address`.
    pub const fn new(address: u64, len: u32) -> Result<Self, Error> {
        // Widening; `From` is not const.
        #[expect(clippy::as_conversions, reason = "u32 to u64 loses nothing")]
        let end = address.checked_add(len as u64);
        if end.is_none() || address & 0xfff != 0 || len == 0 {
            return Err(Error::WindowUnusable { address, len });
        }
        Ok(Self { address, len })
    }

    /// The offset of `len` bytes at a device address, if all of them are inside.
    #[inline]
    pub fn offset(&self, address: u64, len: u32) -> Option<u32> {
        let offset = u32::try_from(address.checked_sub(self.address)?).ok()?;
        (offset.checked_add(len)? <= self.len).then_some(offset)
    }

    /// The device address of an offset.
    #[inline]
    pub fn address(&self, offset: u32) -> u64 {
        self.address.wrapping_add(u64::from(offset))
    }
}

/// The parts of one split ring.
///
/// Holding a `VringLayout` tells you that the whole ring lies inside its window, every word of it aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VringLayout {
    descriptors: Aligned<4>,
    available_entries: Aligned<1>,
    used_entries: Aligned<2>,
    end: u32,
    mask: u16,
}

impl VringLayout {
    /// The ring of `count` descriptors at a device address, laid out for `align`, as a resource table says.
    pub fn new(window: &Window, address: u64, count: u32, align: u32) -> Result<Self, Error> {
        let size = Error::RingSize {
            count,
            limit: MAX_DESCRIPTORS,
        };
        if !count.is_power_of_two() || count > MAX_DESCRIPTORS {
            return Err(size);
        }
        let mask = u16::try_from(count.wrapping_sub(1)).map_err(|_| size)?;
        // Aligned to at least a descriptor, so that every word of the ring is aligned too.
        let step = align.max(raw::DESCRIPTOR_SIZE);
        if !align.is_power_of_two()
            || align > MAX_ALIGN
            || address & u64::from(step.wrapping_sub(1)) != 0
        {
            return Err(Error::RingMisaligned { address, align });
        }
        // No overflow: count is at most 2^15, align at most 2^16.
        let available = raw::DESCRIPTOR_SIZE.wrapping_mul(count);
        let available_end = available
            .wrapping_add(count.wrapping_mul(2))
            .wrapping_add(6);
        let used_align = align.max(4).wrapping_sub(1);
        let used = available_end.wrapping_add(used_align) & !used_align;
        let len = used.wrapping_add(count.wrapping_mul(8)).wrapping_add(6);
        let at = window
            .offset(address, len)
            .ok_or(Error::RingOutside { address, len })?;
        Ok(Self {
            descriptors: Aligned::new(at),
            available_entries: Aligned::new(
                at.wrapping_add(available).wrapping_add(raw::RING_ENTRIES),
            ),
            used_entries: Aligned::new(at.wrapping_add(used).wrapping_add(raw::RING_ENTRIES)),
            end: at.wrapping_add(len),
            mask,
        })
    }

    /// Descriptors in the ring.
    pub const fn count(&self) -> u16 {
        self.mask.wrapping_add(1)
    }

    pub(crate) const fn start(&self) -> u32 {
        self.descriptors.at()
    }

    /// Index to place.
    #[inline]
    pub(crate) const fn mask(&self) -> u16 {
        self.mask
    }

    pub(crate) const fn end(&self) -> u32 {
        self.end
    }

    pub(crate) const fn available(&self) -> u32 {
        self.available_entries.at().wrapping_sub(raw::RING_ENTRIES)
    }

    pub(crate) const fn used(&self) -> u32 {
        self.used_entries.at().wrapping_sub(raw::RING_ENTRIES)
    }

    #[inline]
    pub(crate) fn descriptor(&self, id: u16) -> u32 {
        self.descriptors
            .at()
            .wrapping_add(u32::from(id & self.mask).wrapping_mul(raw::DESCRIPTOR_SIZE))
    }

    #[inline]
    pub(crate) fn available_entry(&self, index: u16) -> u32 {
        self.available_entries
            .at()
            .wrapping_add(u32::from(index & self.mask).wrapping_mul(2))
    }

    /// Where the driver says at which used index it wants to be kicked: behind the available ring.
    pub(crate) fn used_event(&self) -> u32 {
        let len = u32::from(self.count()).wrapping_mul(2);
        self.available_entries.at().wrapping_add(len)
    }

    /// Where the device says at which available index it wants to be kicked: behind the used ring.
    pub(crate) fn available_event(&self) -> u32 {
        let len = u32::from(self.count()).wrapping_mul(8);
        self.used_entries.at().wrapping_add(len)
    }

    #[inline]
    pub(crate) fn used_entry(&self, index: u16) -> u32 {
        self.used_entries
            .at()
            .wrapping_add(u32::from(index & self.mask).wrapping_mul(8))
    }
}

/// An offset that is a multiple of `1 << BITS`, and that the compiler knows to be one: then memories need not ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Aligned<const BITS: u32>(u32);

impl<const BITS: u32> Aligned<BITS> {
    /// Of an offset whose lower bits are known to be 0.
    #[inline]
    pub(crate) const fn new(at: u32) -> Self {
        Self(at.wrapping_shr(BITS))
    }

    #[inline]
    pub(crate) const fn at(self) -> u32 {
        self.0.wrapping_shl(BITS)
    }
}

/// Both rings of a link and the part of the window where its buffers may be.
///
/// Holding a `LinkLayout` tells you that the three are inside the window and disjoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkLayout {
    pub(crate) window: Window,
    to_driver: VringLayout,
    to_device: VringLayout,
    pub(crate) buffers: u32,
    pub(crate) buffers_end: u32,
    pub(crate) event_index: bool,
}

impl LinkLayout {
    /// Ring 0, ring 1, and `buffers_len` bytes for buffers at a device address.
    pub fn new(
        window: Window,
        to_driver: VringLayout,
        to_device: VringLayout,
        buffers: u64,
        buffers_len: u32,
    ) -> Result<Self, Error> {
        let at = window
            .offset(buffers, buffers_len)
            .ok_or(Error::RingOutside {
                address: buffers,
                len: buffers_len,
            })?;
        let buffers_end = at.wrapping_add(buffers_len);
        let parts = [
            (to_driver.start(), to_driver.end()),
            (to_device.start(), to_device.end()),
            (at, buffers_end),
        ];
        let [a, b, c] = parts;
        for (one, other) in [(a, b), (a, c), (b, c)] {
            if one.0 < other.1 && other.0 < one.1 {
                return Err(Error::RingOverlap {
                    first: one.0,
                    second: other.0,
                });
            }
        }
        // A ring made for another, larger window must not pass here.
        for part in parts {
            let len = part.1.wrapping_sub(part.0);
            let address = window.address(part.0);
            if window.offset(address, len).is_none() {
                return Err(Error::RingOutside { address, len });
            }
        }
        Ok(Self {
            window,
            to_driver,
            to_device,
            buffers: at,
            buffers_end,
            event_index: false,
        })
    }

    /// The same for a driver and a device that both accepted [`raw::FEATURE_EVENT_INDEX`]: kicks are asked for by an index,
    /// so that a batch under way is kicked for once however often it is flushed (VirtIO 1.3, 2.7.10).
    #[must_use]
    pub const fn with_event_index(self) -> Self {
        Self {
            event_index: true,
            ..self
        }
    }

    pub(crate) const fn ring(&self, ring: Ring) -> VringLayout {
        match ring {
            Ring::ToDevice => self.to_device,
            Ring::ToDriver => self.to_driver,
        }
    }

    /// Where buffers may be.
    pub(crate) fn area(&self) -> Area {
        Area {
            address: self.window.address(self.buffers),
            at: self.buffers,
            len: self.buffers_end.wrapping_sub(self.buffers),
        }
    }
}

/// The part of the window where buffers may be.
///
/// What [`Area::place`] gives lies inside it, so that one check is for the buffer and for all that is done in it.
#[derive(Clone, Copy, Debug)]
pub struct Area {
    address: u64,
    at: u32,
    len: u32,
}

impl Area {
    /// The offset of a buffer, if the area holds all of it.
    #[inline]
    pub(crate) fn place(&self, address: u64, len: u32) -> Option<u32> {
        let inside = address.wrapping_sub(self.address);
        let last = self.len.checked_sub(len)?;
        if inside > u64::from(last) {
            return None;
        }
        // At most `last`, which is 32 bits wide.
        Some(self.at.wrapping_add(lower(inside)))
    }
}

/// The lower half.
#[inline]
#[expect(clippy::as_conversions, reason = "cutting is what it is for")]
const fn lower(value: u64) -> u32 {
    (value & 0xffff_ffff) as u32
}

/// The largest split ring.
const MAX_DESCRIPTORS: u32 = 1 << 15;
/// Alignments above a large page are a mistake in the table, not a ring.
const MAX_ALIGN: u32 = 1 << 16;
