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
    /// The one for the other way.
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::ToDevice => Self::ToDriver,
            Self::ToDriver => Self::ToDevice,
        }
    }

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
        let end = address.checked_add(wide(len));
        if end.is_none() || address & 0xfff != 0 || len == 0 {
            return Err(Error::WindowUnusable { address, len });
        }
        Ok(Self { address, len })
    }

    /// The offset of `len` bytes at a device address, if all of them are inside.
    #[inline]
    pub const fn offset(&self, address: u64, len: u32) -> Option<u32> {
        within(self.address, self.len, address, len)
    }

    /// The device address of an offset.
    #[inline]
    pub const fn address(&self, offset: u32) -> u64 {
        self.address.wrapping_add(wide(offset))
    }
}

/// The parts of one ring: a split one, or a packed one.
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
    pub const fn new(window: &Window, address: u64, count: u32, align: u32) -> Result<Self, Error> {
        let mask = match mask_of(count) {
            Ok(mask) => mask,
            Err(error) => return Err(error),
        };
        // Aligned to at least a descriptor, so that every word of the ring is aligned too.
        let step = larger(align, raw::DESCRIPTOR_SIZE);
        if !align.is_power_of_two()
            || align > MAX_ALIGN
            || address & wide(step.wrapping_sub(1)) != 0
        {
            return Err(Error::RingMisaligned { address, align });
        }
        // No overflow: count is at most 2^15, align at most 2^16.
        let available = raw::DESCRIPTOR_SIZE.wrapping_mul(count);
        let available_end = available
            .wrapping_add(count.wrapping_mul(2))
            .wrapping_add(6);
        let used_align = larger(align, 4).wrapping_sub(1);
        let used = available_end.wrapping_add(used_align) & !used_align;
        let len = used.wrapping_add(count.wrapping_mul(8)).wrapping_add(6);
        let Some(at) = window.offset(address, len) else {
            return Err(Error::RingOutside { address, len });
        };
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

    /// The packed ring of `count` descriptors at a device address, with its two event structures behind it.
    pub const fn packed(window: &Window, address: u64, count: u32) -> Result<Self, Error> {
        let mask = match mask_of(count) {
            Ok(mask) => mask,
            Err(error) => return Err(error),
        };
        let align = raw::DESCRIPTOR_SIZE;
        if address & wide(align.wrapping_sub(1)) != 0 {
            return Err(Error::RingMisaligned { address, align });
        }
        // No overflow: count is at most 2^15.
        let events = raw::DESCRIPTOR_SIZE.wrapping_mul(count);
        let len = events.wrapping_add(raw::PACKED_EVENTS_SIZE.wrapping_mul(2));
        let Some(at) = window.offset(address, len) else {
            return Err(Error::RingOutside { address, len });
        };
        // What the driver writes, and what the device does, as in a split ring.
        let available = at.wrapping_add(events);
        let used = available.wrapping_add(raw::PACKED_EVENTS_SIZE);
        Ok(Self {
            descriptors: Aligned::new(at),
            available_entries: Aligned::new(available.wrapping_add(raw::RING_ENTRIES)),
            used_entries: Aligned::new(used.wrapping_add(raw::RING_ENTRIES)),
            end: at.wrapping_add(len),
            mask,
        })
    }

    /// Which kind it is: no split ring has its used half so near behind its available one.
    pub(crate) const fn is_packed(&self) -> bool {
        self.used() == self.available().wrapping_add(raw::PACKED_EVENTS_SIZE)
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

    /// The descriptor of a buffer that is known to be the ring's.
    #[inline]
    pub(crate) fn descriptor_of(&self, id: u16) -> u32 {
        self.descriptors
            .step(Aligned::new(raw::DESCRIPTOR_SIZE), id)
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
        // Two words each.
        let further = u32::from(index & self.mask).wrapping_mul(2);
        Aligned::<2>(self.used_entries.0.wrapping_add(further)).at()
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

    /// The offset `count` strides on.
    #[inline]
    pub(crate) fn step(self, stride: Self, count: u16) -> u32 {
        let further = stride.0.wrapping_mul(u32::from(count));
        Self(self.0.wrapping_add(further)).at()
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
    pub const fn new(
        window: Window,
        to_driver: VringLayout,
        to_device: VringLayout,
        buffers: u64,
        buffers_len: u32,
    ) -> Result<Self, Error> {
        let Some(at) = window.offset(buffers, buffers_len) else {
            return Err(Error::RingOutside {
                address: buffers,
                len: buffers_len,
            });
        };
        let buffers_end = at.wrapping_add(buffers_len);
        let parts = [
            (to_driver.start(), to_driver.end()),
            (to_device.start(), to_device.end()),
            (at, buffers_end),
        ];
        let [a, b, c] = parts;
        let mut pairs: &[_] = &[(a, b), (a, c), (b, c)];
        while let Some(((one, other), others)) = pairs.split_first() {
            pairs = others;
            if one.0 < other.1 && other.0 < one.1 {
                return Err(Error::RingOverlap {
                    first: one.0,
                    second: other.0,
                });
            }
        }
        // A ring made for another, larger window must not pass here.
        let mut rest: &[(u32, u32)] = &parts;
        while let Some((part, others)) = rest.split_first() {
            rest = others;
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

    /// The same for a driver and a device that both accepted [`crate::Features::EVENT_INDEX`]: kicks are asked for by an index,
    /// so that a batch under way is kicked for once however often it is flushed (VirtIO 1.3, 2.7.10).
    #[must_use]
    pub const fn with_event_index(self) -> Self {
        Self {
            event_index: true,
            ..self
        }
    }

    pub(crate) const fn ring(&self, ring: Ring) -> &VringLayout {
        match ring {
            Ring::ToDevice => &self.to_device,
            Ring::ToDriver => &self.to_driver,
        }
    }

    /// Where buffers may be; none if that is too small for a single one.
    pub(crate) fn area(&self) -> Option<Area> {
        let len = self.buffers_end.wrapping_sub(self.buffers);
        Some(Area {
            address: self.window.address(self.buffers),
            at: self.buffers,
            room: len.checked_sub(raw::HEADER_SIZE)?,
        })
    }
}

/// Bytes of one buffer of each ring, its header included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferSizes {
    /// What the device sends in.
    pub to_driver: u32,
    /// What the driver sends in.
    pub to_device: u32,
}

impl BufferSizes {
    /// Those of one ring.
    pub const fn of(&self, ring: Ring) -> u32 {
        match ring {
            Ring::ToDevice => self.to_device,
            Ring::ToDriver => self.to_driver,
        }
    }

    /// Whether buffers can have them (rpmsg-features.md, F7): whole words, and more than a header.
    pub(crate) fn checked(self) -> Result<Self, Error> {
        for ring in [Ring::ToDriver, Ring::ToDevice] {
            let size = self.of(ring);
            if size & 3 != 0 || size <= raw::HEADER_SIZE {
                return Err(Error::BufferSize { ring, size });
            }
        }
        Ok(self)
    }
}

impl From<u32> for BufferSizes {
    /// The same size both ways.
    fn from(size: u32) -> Self {
        Self {
            to_driver: size,
            to_device: size,
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
    /// Its length without a header.
    room: u32,
}

impl Area {
    /// The offset of a buffer and its room behind a header, if the area holds all of it and it holds a header.
    #[inline]
    pub(crate) fn place(&self, address: u64, len: u32) -> Option<(u32, u32)> {
        // Too small for a header, this wraps to more than any area has.
        let room = len.wrapping_sub(raw::HEADER_SIZE);
        let inside = within(self.address, self.room, address, room)?;
        Some((self.at.wrapping_add(inside), room))
    }
}

/// How far `len` bytes at `address` are behind `start`, if all of them are among the `size` bytes there, which do not wrap.
#[inline]
const fn within(start: u64, size: u32, address: u64, len: u32) -> Option<u32> {
    // Below the start this wraps to more than any size.
    let inside = address.wrapping_sub(start);
    let Some(last) = size.checked_sub(len) else {
        return None;
    };
    if inside > wide(last) {
        return None;
    }
    // At most `last`, which is 32 bits wide.
    Some(lower(inside))
}

/// The lower half.
#[inline]
#[expect(clippy::as_conversions, reason = "cutting is what it is for")]
const fn lower(value: u64) -> u32 {
    (value & 0xffff_ffff) as u32
}

/// `u64::from`, which is not const.
#[inline]
#[expect(clippy::as_conversions, reason = "u32 to u64 loses nothing")]
const fn wide(value: u32) -> u64 {
    value as u64
}

/// Index to place, in a ring of so many descriptors, if there can be one.
const fn mask_of(count: u32) -> Result<u16, Error> {
    if !count.is_power_of_two() || count > MAX_DESCRIPTORS {
        return Err(Error::RingSize {
            count,
            limit: MAX_DESCRIPTORS,
        });
    }
    Ok(raw::lower(count.wrapping_sub(1)))
}

/// `Ord::max`, which is not const.
const fn larger(one: u32, other: u32) -> u32 {
    if one > other { one } else { other }
}

/// The largest ring of either kind.
const MAX_DESCRIPTORS: u32 = 1 << 15;
/// Alignments above a large page are a mistake in the table, not a ring.
const MAX_ALIGN: u32 = 1 << 16;
