//! What a resource table says.

use std::fmt::{self, Display};

use resource_table::{Table, Vdev};
use rpmsg::Features;
use serde::Serialize;

use super::printable;
use crate::error::Error;
use crate::ta::MasterTable;

/// What `rsc-table` shows.
#[derive(Clone, Debug, Serialize)]
pub struct TableReport {
    /// The core.
    pub core: u32,
    /// Where the shared copy stands.
    pub physical: u64,
    /// How large the shared copy is.
    pub size: u32,
    /// The virtio devices.
    pub devices: Vec<DeviceReport>,
    /// The trace buffers.
    pub traces: Vec<TraceReport>,
}

/// A virtio device of the firmware.
#[derive(Clone, Debug, Serialize)]
pub struct DeviceReport {
    /// The virtio device id; 7 is RPMsg.
    pub id: u32,
    /// What to ring it with when its configuration changed.
    pub notify_id: u32,
    /// Features it offers.
    pub features: u64,
    /// Its rings.
    pub vrings: Vec<VringReport>,
}

/// A ring of a virtio device.
#[derive(Clone, Debug, Serialize)]
pub struct VringReport {
    /// Where the core reaches it.
    pub device_address: u32,
    /// How many descriptors it has.
    pub descriptors: u32,
    /// To what its parts are aligned.
    pub align: u32,
    /// What to ring it with.
    pub notify_id: u32,
}

/// A trace buffer of the firmware.
#[derive(Clone, Debug, Serialize)]
pub struct TraceReport {
    /// Its name.
    pub name: String,
    /// Where the core writes it.
    pub device_address: u32,
    /// Its length in bytes.
    pub length: u32,
}

impl TableReport {
    pub(in crate::cli) fn new(core: u32, master: &MasterTable) -> Result<Self, Error> {
        let table = Table::parse(&master.bytes).map_err(Error::ResourceTable)?;
        let devices = table.vdevs().map(|vdev| DeviceReport {
            id: vdev.id,
            notify_id: vdev.notify_id,
            features: offered(&vdev),
            vrings: vdev
                .vrings()
                .map(|vring| VringReport {
                    device_address: vring.device_address,
                    descriptors: vring.descriptors,
                    align: vring.align,
                    notify_id: vring.notify_id,
                })
                .collect(),
        });
        let traces = table.traces().map(|trace| TraceReport {
            name: trace.name().to_owned(),
            device_address: trace.device_address,
            length: trace.length,
        });
        Ok(TableReport {
            core,
            physical: master.physical,
            size: master.size,
            devices: devices.collect(),
            traces: traces.collect(),
        })
    }
}

/// Of a device that says less than it should, the word that it has.
fn offered(vdev: &Vdev<'_>) -> u64 {
    match Features::of_table(vdev.device_features, vdev.config()) {
        Ok((offer, _)) => offer.bits(),
        Err(_) => vdev.device_features.into(),
    }
}

impl Display for TableReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "core {}: {} bytes, shared at {:#x}",
            self.core, self.size, self.physical
        )?;
        for DeviceReport {
            id,
            features,
            vrings,
            ..
        } in &self.devices
        {
            let kind = if *id == rpmsg::VIRTIO_ID_RPMSG {
                " (RPMsg)"
            } else {
                ""
            };
            writeln!(f, "  device      id {id}{kind}, features {features:#x}")?;
            for VringReport {
                device_address,
                descriptors,
                align,
                notify_id,
            } in vrings
            {
                writeln!(
                    f,
                    "    vring     {descriptors} descriptors at {device_address:#x}, align {align:#x}, notify id {notify_id}"
                )?;
            }
        }
        for TraceReport {
            name,
            device_address,
            length,
        } in &self.traces
        {
            writeln!(
                f,
                "  trace       {} at {device_address:#x}, {length} bytes",
                printable(name)
            )?;
        }
        Ok(())
    }
}
