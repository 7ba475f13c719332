//! One core: its memory as both sides see it, and the policy it is under.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};
use ta_protocol::Login;

use crate::Span;

/// One core of a platform. Reached through [`crate::Platform`], so that its rules are known to hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Core {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) architecture: Architecture,
    pub(crate) control: Control,
    #[serde(rename = "login")]
    pub(crate) logins: Vec<LoginName>,
    pub(crate) isolation: Isolation,
    #[serde(default)]
    pub(crate) boot_address: Option<u64>,
    pub(crate) doorbell: String,
    #[serde(rename = "private")]
    pub(crate) regions: Vec<Region>,
    pub(crate) shared: Window,
    pub(crate) table: Policy,
}

impl Core {
    /// The id that sessions, bundles and the PTA name it by.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The name for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it executes.
    pub fn architecture(&self) -> Architecture {
        self.architecture
    }

    /// Who controls it.
    pub fn control(&self) -> Control {
        self.control
    }

    /// Whether it may be loaded without isolation.
    pub fn isolation(&self) -> Isolation {
        self.isolation
    }

    /// Whether a client with this login may open a session.
    pub fn allows(&self, login: Login) -> bool {
        self.logins.iter().any(|name| name.login() == login)
    }

    /// Where it begins, if that is fixed: a segment must begin there.
    pub fn boot_address(&self) -> Option<u64> {
        self.boot_address
    }

    /// The virtio-serial port or device that rings it.
    pub fn doorbell(&self) -> &str {
        &self.doorbell
    }

    /// Memory that only the secure world and the core reach.
    pub fn private_regions(&self) -> &[Region] {
        &self.regions
    }

    /// Memory that it shares with Linux.
    pub fn shared(&self) -> &Window {
        &self.shared
    }

    /// What a resource table may hold.
    pub fn table_policy(&self) -> &Policy {
        &self.table
    }

    /// In which memory `size` bytes at device address `device` lie as a whole; spanning two regions does not count.
    pub fn locate(&self, device: u64, size: u64) -> Option<Place<'_>> {
        let wanted = Span::new(device, size)?;
        if self.shared.device_span()?.contains(&wanted) {
            return Some(Place::Shared(&self.shared));
        }
        let region = self.regions.iter().find(|region| {
            region
                .device_span()
                .is_some_and(|span| span.contains(&wanted))
        });
        region.map(Place::Private)
    }

    /// The private region in which `size` bytes at device address `device` lie as a whole.
    pub fn private_region(&self, device: u64, size: u64) -> Option<&Region> {
        match self.locate(device, size)? {
            Place::Private(region) => Some(region),
            Place::Shared(_) => None,
        }
    }

    /// Whether any of `size` bytes at device address `device` lie in the shared window.
    pub fn touches_shared(&self, device: u64, size: u64) -> bool {
        let spans = (Span::new(device, size), self.shared.device_span());
        matches!(spans, (Some(wanted), Some(window)) if window.overlaps(&wanted))
    }

    /// The physical address of `size` bytes at device address `device`, if they lie in one region or the window.
    pub fn to_physical(&self, device: u64, size: u64) -> Option<u64> {
        let (from, to) = match self.locate(device, size)? {
            Place::Private(region) => (region.device, region.physical),
            Place::Shared(window) => (window.device, window.physical),
        };
        to.checked_add(device.checked_sub(from)?)
    }
}

/// Where an address of a core leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// Into a private region.
    Private(&'a Region),
    /// Into the window shared with Linux.
    Shared(&'a Window),
}

/// What a core executes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Architecture {
    /// Arm A profile, AArch64.
    Aarch64,
    /// Arm A profile, AArch32.
    ArmA,
    /// Arm M profile: begins with a vector table.
    ArmM,
    /// Arm R profile.
    ArmR,
    /// RISC-V, 32 bits.
    Riscv32,
    /// RISC-V, 64 bits.
    Riscv64,
}

/// Who controls a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Control {
    /// Somebody else loads and starts it; Linux may only attach.
    AttachOnly,
    /// The TA, asked by the normal world.
    Ta,
}

/// Whether a core's memory and controls are taken from everybody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// The platform cannot, and the device is used all the same.
    InsecureNone,
    /// It must be, or nothing is loaded.
    Required,
}

/// Memory that only the secure world and one core reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Region {
    pub(crate) name: String,
    pub(crate) device: u64,
    pub(crate) physical: u64,
    pub(crate) size: u64,
}

impl Region {
    /// The name for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the core reaches it.
    pub fn device(&self) -> u64 {
        self.device
    }

    /// Where the secure world reaches it.
    pub fn physical(&self) -> u64 {
        self.physical
    }

    /// Its length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The addresses at which the core reaches it; `None` only in an unchecked file.
    pub fn device_span(&self) -> Option<Span> {
        Span::new(self.device, self.size)
    }

    /// The addresses at which the secure world reaches it; `None` only in an unchecked file.
    pub fn physical_span(&self) -> Option<Span> {
        Span::new(self.physical, self.size)
    }
}

/// Memory that one core and Linux share, and what lies where in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Window {
    pub(crate) device: u64,
    pub(crate) physical: u64,
    pub(crate) size: u64,
    pub(crate) table: Area,
    pub(crate) trace: Area,
    pub(crate) vrings: Area,
    pub(crate) buffers: Area,
}

impl Window {
    /// Where the core reaches it.
    pub fn device(&self) -> u64 {
        self.device
    }

    /// Where both worlds reach it.
    pub fn physical(&self) -> u64 {
        self.physical
    }

    /// Its length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The page of the resource table and the generation lines.
    pub fn table(&self) -> Area {
        self.table
    }

    /// Where the core's trace lies; may be empty.
    pub fn trace(&self) -> Area {
        self.trace
    }

    /// Where vrings lie.
    pub fn vrings(&self) -> Area {
        self.vrings
    }

    /// Where RPMsg buffers lie.
    pub fn buffers(&self) -> Area {
        self.buffers
    }

    /// The addresses at which the core reaches it; `None` only in an unchecked file.
    pub fn device_span(&self) -> Option<Span> {
        Span::new(self.device, self.size)
    }

    /// The addresses at which both worlds reach it; `None` only in an unchecked file.
    pub fn physical_span(&self) -> Option<Span> {
        Span::new(self.physical, self.size)
    }

    /// The addresses at which the core reaches an area; `None` for an empty one.
    pub fn device_span_of(&self, area: Area) -> Option<Span> {
        Span::new(self.device.checked_add(area.offset)?, area.size)
    }

    /// The addresses at which both worlds reach an area; `None` for an empty one.
    pub fn physical_span_of(&self, area: Area) -> Option<Span> {
        Span::new(self.physical.checked_add(area.offset)?, area.size)
    }
}

/// A part of a shared window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Area {
    pub(crate) offset: u64,
    pub(crate) size: u64,
}

impl Area {
    /// Where it begins, counted from the window's start.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Its length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
}

/// What a resource table may hold beside virtio devices for RPMsg and trace buffers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Policy {
    pub(crate) other_entries: OtherEntries,
    pub(crate) further_vdevs: Vec<u32>,
}

impl Policy {
    /// What happens to carveout, devmem and vendor entries.
    pub fn other_entries(&self) -> OtherEntries {
        self.other_entries
    }

    /// Whether virtio devices with this id may be announced: 7 (RPMsg) always.
    pub fn allows_vdev(&self, id: u32) -> bool {
        id == RPMSG || self.further_vdevs.contains(&id)
    }
}

/// What happens to carveout, devmem and vendor entries of a resource table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OtherEntries {
    /// Left out of what is published.
    Drop,
    /// The bundle is refused.
    Refuse,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LoginName {
    Public,
    Kernel,
}

impl LoginName {
    fn login(self) -> Login {
        match self {
            Self::Public => Login::Public,
            Self::Kernel => Login::Kernel,
        }
    }
}

/// The virtio device id of RPMsg (VirtIO 1.3, 5).
pub(crate) const RPMSG: u32 = 7;
