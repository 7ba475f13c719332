//! Where in the window everything of one RPMsg device is, checked.

use std::sync::atomic::Ordering;
use std::time::Duration;

use platform::Core;
use resource_table::{SharedVdev, SharedView, Table, Vdev};
use rpmsg::{
    Agreement, DEVICE_LINE, DRIVER_LINE, Features, Kick, LinkLayout, Ring, StatusWord,
    VIRTIO_ID_RPMSG, VringLayout, Window,
};
use rpmsg_pool::PoolLayout;

use crate::agreement::{KNOWN, Lines, Terms};
use crate::doorbell::Doorbell;
use crate::error::Error;
use crate::shared_memory::SharedMemory;

/// What the place of a firmware's RPMsg device follows from.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The core, from the platform file.
    pub core: &'a Core,
    /// The master resource table, from the TA.
    pub master: &'a [u8],
    /// The core's count of starts, from the TA: generations of different starts differ by it.
    pub starts: u32,
    /// Which of the firmware's RPMsg devices: 0 for the first.
    pub device: usize,
    /// How long the firmware may take to leave the rings alone. One that speaks no generations never says so, and after
    /// this time the rings are written all the same.
    pub handshake: Duration,
}

/// One RPMsg device in its window.
///
/// Holding one tells you that all of it is in the window; for a firmware's device also that master, shared copy and
/// platform file agree about it.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub(crate) layout: LinkLayout,
    /// The same with packed rings.
    packed: LinkLayout,
    pub(crate) status: StatusWord,
    table_changed_at: Option<u32>,
    /// The first part of a driver's generations, where there was none before.
    pub(crate) starts: u32,
    /// Offset of the table page.
    page: u32,
    notify_ids: [u8; 2],
    /// What its two sides agree on, and where.
    pub(crate) terms: Terms,
    /// All that the peer sees, by its addresses.
    window: Window,
    pub(crate) pools: Option<Pools>,
}

/// Where the slots of both directions are ([`crate::pool`]).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pools {
    pub(crate) to_device: PoolLayout,
    pub(crate) to_driver: PoolLayout,
}

/// Slots for payloads beyond a buffer, in one direction (rpmsg-pool.md, P1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    /// Where the first one is, as the core sees it; between processes, an offset in the window.
    pub address: u64,
    /// How many there are: 1 to 256.
    pub count: u16,
    /// Bytes of each: a multiple of 64.
    pub size: u32,
}

impl Place {
    /// The place of a firmware's device, from what the secure world keeps and the shared copy's changeable fields. Its driver owns all
    /// buffers: a firmware's link is never symmetric, and one that offers that is refused.
    ///
    /// # Errors
    /// [`Error::ResourceTable`] where the master or the shared copy of the table breaks a rule, [`Error::NoRpmsgDevice`]
    /// where the firmware has no such device, [`Error::Rpmsg`] where its rings cannot be used.
    pub fn find<M: SharedMemory>(target: &Target<'_>, memory: &M) -> Result<Self, Error> {
        let shared = target.core.shared();
        let size = shared.size();
        if u64::from(memory.size()) < size {
            return Err(Error::WindowSize {
                found: memory.size(),
                needed: size,
            });
        }
        let master = Table::parse(target.master).map_err(Error::ResourceTable)?;
        let page = narrow(shared.table().offset())?;
        let view = read_shared(&master, target.core, memory, page)?;
        let mut devices = master
            .vdevs()
            .zip(view.vdevs())
            .filter(|(vdev, _)| vdev.id == VIRTIO_ID_RPMSG);
        let (vdev, changeable) = devices.nth(target.device).ok_or(Error::NoRpmsgDevice)?;
        let window = Window::new(shared.device(), narrow(size)?).map_err(Error::Rpmsg)?;
        let table = shared.device().saturating_add(shared.table().offset());
        let vrings = u8::try_from(vdev.vrings().count()).map_err(|_| Error::NoRpmsgDevice)?;
        let status = StatusWord::new(&window, table, vdev.offset, vrings);
        let offered = Features::of_table(vdev.device_features, vdev.config());
        let (offer, config) = offered.map_err(Error::Rpmsg)?;
        let agreed = Agreement::of_driver(offer, config, KNOWN);
        let ([layout, packed], notify_ids) = layouts(target.core, window, &vdev, &changeable)?;
        Ok(Place {
            layout,
            packed,
            status: status.map_err(Error::Rpmsg)?,
            table_changed_at: view.changed_at(),
            notify_ids,
            starts: target.starts,
            page,
            terms: Terms::Table(agreed.map_err(Error::Rpmsg)?),
            window,
            pools: None,
        })
    }

    /// The same place with slots for payloads beyond a buffer. Where a firmware has them, and that nothing else lies there,
    /// is for it and the platform's file to say.
    ///
    /// # Errors
    /// [`Error::Pool`] where they leave the window or overlap.
    pub fn with_pools(self, to_device: Slots, to_driver: Slots) -> Result<Self, Error> {
        let layout = |slots: Slots| {
            PoolLayout::new(&self.window, slots.address, slots.count, slots.size)
                .map_err(Error::Pool)
        };
        let (to_device, to_driver) = (layout(to_device)?, layout(to_driver)?);
        to_device.check_apart(&to_driver).map_err(Error::Pool)?;
        Ok(Place {
            pools: Some(Pools {
                to_device,
                to_driver,
            }),
            ..self
        })
    }

    /// The place of a link between two processes, which both make from the same geometry.
    ///
    /// # Errors
    /// [`Error::WindowSize`] where the window is smaller than the geometry needs, [`Error::Rpmsg`] where no ring has so
    /// many descriptors, [`Error::Pool`] where no pool has such slots.
    pub fn between_processes<M: SharedMemory>(
        geometry: &Geometry,
        memory: &M,
    ) -> Result<Self, Error> {
        let needed = u64::try_from(geometry.window_size()).unwrap_or(u64::MAX);
        if u64::from(memory.size()) < needed {
            return Err(Error::WindowSize {
                found: memory.size(),
                needed,
            });
        }
        let count = geometry.descriptors.into();
        let window = Window::new(0, memory.size()).map_err(Error::Rpmsg)?;
        let [ring_0, ring_1, buffers, pools] = geometry.parts().map(u64::from);
        // Descriptors alone, a packed ring has room where a split one has.
        let layout = |ring: &dyn Fn(u64) -> Result<VringLayout, rpmsg::Error>| {
            let (to_driver, to_device) = (ring(ring_0)?, ring(ring_1)?);
            LinkLayout::new(window, to_driver, to_device, buffers, geometry.buffers())
        };
        let split = layout(&|at| VringLayout::new(&window, at, count, RING_ALIGN));
        let packed = layout(&|at| VringLayout::packed(&window, at, count));
        let place = Place {
            layout: split.map_err(Error::Rpmsg)?,
            packed: packed.map_err(Error::Rpmsg)?,
            status: StatusWord::new(&window, 0, VDEV_ENTRY, 2).map_err(Error::Rpmsg)?,
            table_changed_at: None,
            starts: 1,
            page: 0,
            notify_ids: [0, 1],
            terms: Terms::Lines(Lines {
                page: 0,
                sizes: geometry.buffer_size.into(),
                symmetric: geometry.symmetric,
            }),
            window,
            pools: None,
        };
        if geometry.slots == 0 {
            return Ok(place);
        }
        let slots = |address| Slots {
            address,
            count: geometry.slots,
            size: geometry.slot_size,
        };
        let second = pools.saturating_add(geometry.pool().into());
        place.with_pools(slots(pools), slots(second))
    }

    /// Where the core changed what it may not change in the shared resource table, which has no effect.
    #[must_use]
    pub fn table_changed_at(&self) -> Option<u32> {
        self.table_changed_at
    }

    pub(crate) fn notify_id(&self, ring: Ring) -> u8 {
        let [to_driver, to_device] = self.notify_ids;
        match ring {
            Ring::ToDriver => to_driver,
            Ring::ToDevice => to_device,
        }
    }

    pub(crate) fn ring_all<D: Doorbell + ?Sized>(&self, doorbell: &D) -> Result<(), Error> {
        self.notify_ids
            .iter()
            .try_for_each(|notify_id| doorbell.ring(*notify_id))
    }

    pub(crate) fn ring(&self, kick: Kick, doorbell: &dyn Doorbell) -> Result<(), Error> {
        for ring in [Ring::ToDriver, Ring::ToDevice] {
            if kick.wants(ring) {
                doorbell.ring(self.notify_id(ring))?;
            }
        }
        Ok(())
    }

    /// The generation that stands in the driver's line, whoever wrote it (rpmsg-lifecycle.md 1).
    pub(crate) fn driver_generation<M: SharedMemory>(&self, memory: &M) -> Option<u32> {
        self.generation_in(DRIVER_LINE, memory)
    }

    /// The one in the device's line.
    pub(crate) fn device_generation<M: SharedMemory>(&self, memory: &M) -> Option<u32> {
        self.generation_in(DEVICE_LINE, memory)
    }

    fn generation_in<M: SharedMemory>(&self, line: u32, memory: &M) -> Option<u32> {
        let line = self.page.saturating_add(line);
        memory.invalidate(line, 64);
        let magic = memory.load_u32(line, Ordering::Acquire);
        let generation = memory.load_u32(line.saturating_add(4), Ordering::Acquire);
        (magic == LINE_MAGIC).then_some(generation)
    }

    /// The rings as both sides agreed to use them.
    pub(crate) fn rings(&self, agreement: &Agreement) -> Rings {
        let features = agreement.features();
        let events = |layout: LinkLayout| match features.has(Features::EVENT_INDEX) {
            true => layout.with_event_index(),
            false => layout,
        };
        let packed = features.has(Features::PACKED_RING);
        Rings {
            layout: events(if packed { self.packed } else { self.layout }),
            packed,
            symmetric: features.has(Features::SYMMETRIC),
        }
    }
}

/// The rings of a link, and which of the four kinds it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rings {
    pub(crate) layout: LinkLayout,
    pub(crate) packed: bool,
    pub(crate) symmetric: bool,
}

/// How two processes divide a window between them: a table page, two rings, the buffers of both, and the slots of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Buffers each way: a power of two.
    pub descriptors: u16,
    /// Bytes of one buffer, its header of 16 included: a multiple of 4.
    pub buffer_size: u32,
    /// Slots each way for payloads beyond a buffer, at most 256; 0 for none.
    pub slots: u16,
    /// Bytes of one slot: a multiple of 64.
    pub slot_size: u32,
    /// Whether the link is symmetric (rpmsg-rings.md 4): each side owns the buffers that it sends in, instead of the driver those of
    /// both directions. Then neither writes a ring on which the other one may still be, and a driver waits for its device without
    /// the time limit of [`crate::hub::Options::handshake`]. Both sides say the same here, or there is no link.
    pub symmetric: bool,
}

impl Default for Geometry {
    fn default() -> Self {
        Geometry {
            descriptors: 256,
            buffer_size: 512,
            slots: 0,
            slot_size: 0,
            symmetric: false,
        }
    }
}

impl Geometry {
    /// Bytes of a window that holds it all: whole pages.
    #[must_use]
    pub fn window_size(&self) -> usize {
        let [.., pools] = self.parts();
        let end = pools.saturating_add(self.pool().saturating_mul(2));
        usize::try_from(end.saturating_add(0xfff) & !0xfff).unwrap_or(usize::MAX)
    }

    /// The offsets of ring 0, ring 1, the buffers, and the slots.
    fn parts(&self) -> [u32; 4] {
        // Descriptors of 16 bytes, a head of 6 and 2 bytes each, a head of 6 and 8 bytes each, and one gap between.
        let ring = u32::from(self.descriptors) * 26 + 12 + RING_ALIGN;
        let ring = ring.next_multiple_of(RING_ALIGN);
        let buffers = TABLE_PAGE + 2 * ring;
        // Slots lie on whole lines; what has none left is too large anyway.
        let pools = buffers.saturating_add(self.buffers());
        let pools = pools.checked_next_multiple_of(RING_ALIGN);
        let pools = pools.unwrap_or(u32::MAX);
        [TABLE_PAGE, TABLE_PAGE + ring, buffers, pools]
    }

    /// Bytes of the slots of one direction.
    fn pool(&self) -> u32 {
        u32::from(self.slots).saturating_mul(self.slot_size)
    }

    fn buffers(&self) -> u32 {
        (2 * u32::from(self.descriptors)).saturating_mul(self.buffer_size)
    }
}

fn read_shared<M: SharedMemory>(
    master: &Table<'_>,
    core: &Core,
    memory: &M,
    page: u32,
) -> Result<SharedView, Error> {
    let mut copy = [0; resource_table::MAX_LENGTH];
    let length = u32::try_from(copy.len()).unwrap_or(u32::MAX);
    memory.invalidate(page, length);
    memory.copy_out(page, &mut copy);
    SharedView::read(master, &copy, core).map_err(Error::ResourceTable)
}

/// The link over split rings and over packed ones, which have room where those have (rpmsg-features.md, F12).
fn layouts(
    core: &Core,
    window: Window,
    vdev: &Vdev<'_>,
    changeable: &SharedVdev,
) -> Result<([LinkLayout; 2], [u8; 2]), Error> {
    let mut rings = vdev.vrings().zip(changeable.vrings());
    let mut next = || {
        let (fixed, shared) = rings.next().ok_or(Error::NoRpmsgDevice)?;
        let address = shared.device_address.into();
        let split = VringLayout::new(&window, address, fixed.descriptors, fixed.align);
        let packed = VringLayout::packed(&window, address, fixed.descriptors);
        let notify_id = u8::try_from(shared.notify_id).map_err(|_| Error::NoRpmsgDevice)?;
        let kinds = [split.map_err(Error::Rpmsg)?, packed.map_err(Error::Rpmsg)?];
        Ok((kinds, notify_id))
    };
    let ([split_0, packed_0], first) = next()?;
    let ([split_1, packed_1], second) = next()?;
    let buffers = core.shared().buffers();
    let at = core.shared().device().saturating_add(buffers.offset());
    let size = narrow(buffers.size())?;
    let link = |to_driver, to_device| {
        LinkLayout::new(window, to_driver, to_device, at, size).map_err(Error::Rpmsg)
    };
    let kinds = [link(split_0, split_1)?, link(packed_0, packed_1)?];
    Ok((kinds, [first, second]))
}

/// Windows of 4 GiB and more are not for 32-bit rings.
fn narrow(value: u64) -> Result<u32, Error> {
    u32::try_from(value).map_err(|_| Error::WindowSize {
        found: u32::MAX,
        needed: value,
    })
}

/// "CWGN": the owner of a line speaks generations.
const LINE_MAGIC: u32 = 0x4E47_5743;
const TABLE_PAGE: u32 = 0x1000;
/// A cache line: the two sides' words of a ring lie in lines of their own.
const RING_ALIGN: u32 = 64;
/// Behind a resource table's head of one entry, where firmware has it too.
const VDEV_ENTRY: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared_memory::Window as Mapping;

    #[test]
    fn every_geometry_fits_the_window_it_asks_for_and_no_smaller_one() {
        for descriptors in [1, 2, 16, 256, 1024] {
            let sizes = [
                (20, 0, 0),
                (512, 0, 0),
                (4096, 0, 0),
                (20, 1, 64),
                (512, 256, 0x2000),
            ];
            for (buffer_size, slots, slot_size) in sizes {
                let geometry = Geometry {
                    descriptors,
                    buffer_size,
                    slots,
                    slot_size,
                    ..Geometry::default()
                };
                let size = geometry.window_size();
                let (window, fd) = Mapping::memfd(size).unwrap();
                Place::between_processes(&geometry, &window).unwrap();
                let smaller = Mapping::map(&fd, 0, size - 0x1000).unwrap();
                let refused = Place::between_processes(&geometry, &smaller).err();
                let expected = Error::WindowSize {
                    found: u32::try_from(size - 0x1000).unwrap(),
                    needed: u64::try_from(size).unwrap(),
                };
                assert_eq!(refused, Some(expected));
            }
        }
    }

    #[test]
    fn a_geometry_that_no_ring_can_have_is_refused() {
        let geometry = Geometry {
            descriptors: 48,
            ..Geometry::default()
        };
        let (window, _fd) = Mapping::memfd(geometry.window_size()).unwrap();
        let expected = rpmsg::Error::RingSize {
            count: 48,
            limit: 32768,
        };
        let refused = Place::between_processes(&geometry, &window).err();
        assert_eq!(refused, Some(Error::Rpmsg(expected)));
    }

    #[test]
    fn slots_that_no_pool_can_have_are_refused() {
        let refused = |slots, slot_size| {
            let geometry = Geometry {
                slots,
                slot_size,
                ..Geometry::default()
            };
            let (window, _fd) = Mapping::memfd(0x10_0000).unwrap();
            Place::between_processes(&geometry, &window).err()
        };
        let count = rpmsg_pool::Error::Count { count: 257 };
        assert_eq!(refused(257, 64), Some(Error::Pool(count)));
        for (slots, size) in [(1, 0), (2, 96)] {
            let address = 0x4_4500;
            let lines = rpmsg_pool::Error::Lines { address, size };
            assert_eq!(refused(slots, size), Some(Error::Pool(lines)));
        }
        let large = Error::WindowSize {
            found: 0x10_0000,
            needed: 0xffff_f000,
        };
        assert_eq!(refused(256, 0x100_0000), Some(large));
    }

    #[test]
    fn slots_of_both_directions_are_kept_apart() {
        let geometry = Geometry::default();
        let (window, _fd) = Mapping::memfd(0x10_0000).unwrap();
        let place = Place::between_processes(&geometry, &window).unwrap();
        let slots = |address| Slots {
            address,
            count: 2,
            size: 0x1000,
        };
        let refused = place.with_pools(slots(0x8_0000), slots(0x8_1000)).err();
        let expected = rpmsg_pool::Error::Overlap {
            first: 0x8_0000,
            second: 0x8_1000,
        };
        assert_eq!(refused, Some(Error::Pool(expected)));
        let refused = place.with_pools(slots(0x8_0000), slots(0xf_f000)).err();
        let expected = rpmsg_pool::Error::Outside {
            address: 0xf_f000,
            len: 0x2000,
        };
        assert_eq!(refused, Some(Error::Pool(expected)));
        let place = place.with_pools(slots(0x8_0000), slots(0x8_2000)).unwrap();
        assert_eq!(place.pools.unwrap().to_driver.count(), 2);
    }
}
