//! Where in the window everything of one RPMsg device is, checked.

use core::sync::atomic::Ordering;

use platform::Core;
use resource_table::{SharedVdev, SharedView, Table, Vdev};
use rpmsg::{
    FEATURE_NAME_SERVICE, LinkLayout, Ring, StatusWord, VIRTIO_ID_RPMSG, VringLayout, Window,
};

use super::Target;
use crate::doorbell::Doorbell;
use crate::error::Error;
use crate::shared_memory::SharedMemory;

/// One RPMsg device in its window.
///
/// Holding one tells you that master, shared copy and platform file agree about it, and that all of it is in the window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) layout: LinkLayout,
    pub(super) status: StatusWord,
    pub(super) table_changed_at: Option<u32>,
    notify_ids: [u8; 2],
    /// Where the driver writes the features it accepts, and which it does.
    features: (u32, u32),
}

impl Place {
    pub(super) fn find<M: SharedMemory>(target: &Target<'_>, memory: &M) -> Result<Self, Error> {
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
        let (layout, notify_ids) = layout(target.core, window, &vdev, &changeable)?;
        Ok(Place {
            layout,
            status: status.map_err(Error::Rpmsg)?,
            table_changed_at: view.changed_at(),
            notify_ids,
            features: (
                page.saturating_add(vdev.driver_features_offset()),
                vdev.device_features & FEATURE_NAME_SERVICE,
            ),
        })
    }

    pub(super) fn notify_id(&self, ring: Ring) -> u8 {
        let [to_driver, to_device] = self.notify_ids;
        match ring {
            Ring::ToDriver => to_driver,
            Ring::ToDevice => to_device,
        }
    }

    pub(super) fn ring_all<D: Doorbell>(&self, doorbell: &mut D) -> Result<(), Error> {
        self.notify_ids
            .iter()
            .try_for_each(|notify_id| doorbell.ring(*notify_id))
    }

    pub(super) fn accept_features<M: SharedMemory>(&self, memory: &M) {
        let (at, features) = self.features;
        memory.store_u32(at, features, Ordering::Relaxed);
        memory.clean(at, 4);
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

fn layout(
    core: &Core,
    window: Window,
    vdev: &Vdev<'_>,
    changeable: &SharedVdev,
) -> Result<(LinkLayout, [u8; 2]), Error> {
    let mut rings = vdev.vrings().zip(changeable.vrings());
    let mut next = || {
        let (fixed, shared) = rings.next().ok_or(Error::NoRpmsgDevice)?;
        let address = shared.device_address.into();
        let ring = VringLayout::new(&window, address, fixed.descriptors, fixed.align);
        let notify_id = u8::try_from(shared.notify_id).map_err(|_| Error::NoRpmsgDevice)?;
        Ok((ring.map_err(Error::Rpmsg)?, notify_id))
    };
    let (to_driver, first) = next()?;
    let (to_device, second) = next()?;
    let buffers = core.shared().buffers();
    let at = core.shared().device().saturating_add(buffers.offset());
    let layout = LinkLayout::new(window, to_driver, to_device, at, narrow(buffers.size())?);
    Ok((layout.map_err(Error::Rpmsg)?, [first, second]))
}

/// Windows of 4 GiB and more are not for 32-bit rings.
fn narrow(value: u64) -> Result<u32, Error> {
    u32::try_from(value).map_err(|_| Error::WindowSize {
        found: u32::MAX,
        needed: value,
    })
}
