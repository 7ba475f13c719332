//! The published table again, after the core may have rewritten it: only what must be taken from there.

use platform::{Core, Span};

use crate::{
    Error, MAX_LENGTH, MAX_NOTIFY_ID, MAX_VDEVS, Table, Vdev,
    sanitise::{Claim, Taken, aligned, geometry, low},
};

/// What a driver takes from the shared copy of a table: holding one tells you that every value was read once and
/// fits the secure master, from which everything else is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedView {
    vdevs: [Option<SharedVdev>; MAX_VDEVS],
    changed: Option<u32>,
}

/// The changeable fields of a virtio device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedVdev {
    /// The virtio device status: bits that VirtIO 1.3, 2.1 names.
    pub status: u8,
    /// Features the driver accepted: offered ones only.
    pub driver_features: u32,
    /// What to ring the device with when its configuration changed.
    pub notify_id: u32,
    vrings: [Option<SharedVring>; 2],
}

/// The changeable fields of a vring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedVring {
    /// Where the core reaches it: aligned, inside the vrings area, disjoint from every other one.
    pub device_address: u32,
    /// What to ring it with: no other vring's.
    pub notify_id: u32,
}

impl SharedView {
    /// Judges one copy of the shared table (`shared`, read once by the caller) by the master.
    pub fn read(master: &Table<'_>, shared: &[u8], core: &Core) -> Result<Self, Error> {
        let mut view = Self {
            vdevs: [None; MAX_VDEVS],
            changed: None,
        };
        let used = master.used();
        let shared = shared.get(..used).ok_or(Error::Truncated {
            entry: None,
            needed: wide(used),
            found: wide(shared.len()),
        })?;
        let window = core.shared();
        let mut judge = Judge {
            shared,
            vrings: Taken::new(low(window.device_span_of(window.vrings()))?),
            notify_ids: [None; MAX_VDEVS * 2],
            fixed: [0; MAX_LENGTH],
        };
        for (to, from) in judge.fixed.iter_mut().zip(shared) {
            *to = *from;
        }
        let mut places = view.vdevs.iter_mut();
        let mut count = 0_u32;
        for vdev in master.vdevs() {
            count = count.saturating_add(1);
            let place = places.next().ok_or(Error::Vdevs {
                count,
                limit: u32::try_from(MAX_VDEVS).unwrap_or(u32::MAX),
            })?;
            *place = Some(judge.vdev(&vdev)?);
        }
        let differs = judge.fixed.iter().zip(master.bytes()).take(used);
        view.changed = differs
            .zip(0..u32::MAX)
            .find(|((ours, theirs), _)| ours != theirs)
            .map(|(_, offset)| offset);
        Ok(view)
    }

    /// The virtio devices in the order of the master.
    pub fn vdevs(&self) -> impl Iterator<Item = SharedVdev> {
        self.vdevs.into_iter().flatten()
    }

    /// Where somebody changed a fixed field of the shared copy, if anybody did. It has no effect, but tells of a
    /// core that writes where it should not.
    pub fn changed_at(&self) -> Option<u32> {
        self.changed
    }
}

impl SharedVdev {
    /// The vrings in the order of the master.
    pub fn vrings(&self) -> impl Iterator<Item = SharedVring> + use<> {
        self.vrings.into_iter().flatten()
    }
}

struct Judge<'a> {
    shared: &'a [u8],
    vrings: Taken<{ MAX_VDEVS * 2 }>,
    notify_ids: [Option<u32>; MAX_VDEVS * 2],
    /// The shared copy with every changeable field replaced by the master's.
    fixed: [u8; MAX_LENGTH],
}

impl Judge<'_> {
    fn vdev(&mut self, master: &Vdev<'_>) -> Result<SharedVdev, Error> {
        let entry = master.entry;
        let offset = master.status_offset();
        let [status] = self.field(entry, offset, [master.status])?;
        if status & !STATUS_BITS != 0 {
            return Err(Error::SharedStatus { offset, status });
        }
        let offset = master.driver_features_offset();
        let driver_features = self.word(entry, offset, master.driver_features)?;
        if driver_features & !master.device_features != 0 {
            return Err(Error::Features {
                offset,
                features: driver_features & !master.device_features,
            });
        }
        let notify_id = self.word(entry, master.notify_id_offset(), master.notify_id)?;
        if notify_id > MAX_NOTIFY_ID {
            return Err(Error::NotifyId {
                entry,
                id: notify_id,
            });
        }
        let mut vrings = [None; 2];
        for (place, vring) in vrings.iter_mut().zip(master.vrings()) {
            let mut ours = vring;
            ours.device_address =
                self.word(entry, vring.device_address_offset(), vring.device_address)?;
            ours.notify_id = self.word(entry, vring.notify_id_offset(), vring.notify_id)?;
            let size = geometry(entry, &ours)?;
            aligned(entry, &ours)?;
            let address = ours.device_address;
            match self.vrings.claim(Span::new(address.into(), size)) {
                Claim::Taken => {}
                Claim::Outside => {
                    return Err(Error::VringOutside {
                        entry,
                        address,
                        length: u32::try_from(size).unwrap_or(u32::MAX),
                    });
                }
                Claim::Overlap => return Err(Error::VringOverlap { entry, address }),
            }
            self.take_notify_id(entry, ours.notify_id)?;
            *place = Some(SharedVring {
                device_address: address,
                notify_id: ours.notify_id,
            });
        }
        Ok(SharedVdev {
            status,
            driver_features,
            notify_id,
            vrings,
        })
    }

    fn take_notify_id(&mut self, entry: u32, id: u32) -> Result<(), Error> {
        let error = Error::NotifyId { entry, id };
        if id > MAX_NOTIFY_ID || self.notify_ids.contains(&Some(id)) {
            return Err(error);
        }
        let free = self.notify_ids.iter_mut().find(|place| place.is_none());
        *free.ok_or(error)? = Some(id);
        Ok(())
    }

    fn word(&mut self, entry: u32, offset: u32, master: u32) -> Result<u32, Error> {
        let field = self.field(entry, offset, master.to_le_bytes())?;
        Ok(u32::from_le_bytes(field))
    }

    /// Reads a changeable field, and puts the master's value in its place for the comparison of the fixed ones.
    fn field<const N: usize>(
        &mut self,
        entry: u32,
        offset: u32,
        master: [u8; N],
    ) -> Result<[u8; N], Error> {
        let error = Error::Truncated {
            entry: Some(entry),
            needed: u64::from(offset).saturating_add(wide(N)),
            found: wide(self.shared.len()),
        };
        let start = usize::try_from(offset).ok().ok_or(error)?;
        let tail = self.shared.get(start..).ok_or(error)?;
        let field = tail.first_chunk::<N>().ok_or(error)?;
        let place = self.fixed.get_mut(start..).ok_or(error)?;
        *place.first_chunk_mut::<N>().ok_or(error)? = master;
        Ok(*field)
    }
}

fn wide(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

/// ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK, DEVICE_NEEDS_RESET, FAILED (VirtIO 1.3, 2.1).
const STATUS_BITS: u8 = 1 | 2 | 4 | 8 | 0x40 | 0x80;
