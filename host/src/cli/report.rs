//! What commands have to say.
//!
//! One type per command; its fields are the JSON document, its `Display` the text. A field that is taken away or changes
//! its meaning raises the schema's version; a new one does not.

use std::fmt::{self, Display};
use std::time::Duration;

use resource_table::Table;
use serde::Serialize;
use ta_protocol::{Root, StateReport, Status};

use crate::attach::{Oddities, Service};
use crate::error::Error;
use crate::ta::{MasterTable, TrustedRoots, Version};

/// The result of a command.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Report {
    /// Of `attach` without a ping.
    Attach(AttachReport),
    /// Of `start`, `stop` and `release`.
    Core(CoreReport),
    /// Of `load`.
    Load(LoadReport),
    /// Of `attach --ping`.
    Ping(PingReport),
    /// Of `status`.
    Status(Box<StatusReport>),
    /// Of `rsc-table`.
    Table(TableReport),
}

impl Report {
    /// The name and the version of the JSON document's layout.
    #[must_use]
    pub fn schema(&self) -> (&'static str, u32) {
        let name = match self {
            Report::Attach(_) => "corewarden.attach",
            Report::Core(_) => "corewarden.core",
            Report::Load(_) => "corewarden.load",
            Report::Ping(_) => "corewarden.ping",
            Report::Status(_) => "corewarden.status",
            Report::Table(_) => "corewarden.rsc-table",
        };
        (name, 1)
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Report::Attach(report) => report.fmt(f),
            Report::Core(report) => report.fmt(f),
            Report::Load(report) => report.fmt(f),
            Report::Ping(report) => report.fmt(f),
            Report::Status(report) => report.fmt(f),
            Report::Table(report) => report.fmt(f),
        }
    }
}

/// What `status` shows.
#[derive(Clone, Debug, Serialize)]
pub struct StatusReport {
    /// The core.
    pub core: u32,
    /// What it does.
    pub state: &'static str,
    /// How often it was started since the platform's own start.
    pub starts: u32,
    /// Under which isolation the bundle was loaded; 0 where nothing is.
    pub isolation_generation: u32,
    /// The platform cannot isolate this core: whoever is root owns it.
    pub insecure_isolation: bool,
    /// The normal world does not control this core.
    pub attach_only: bool,
    /// The device trusts development keys.
    pub development: bool,
    /// What is loaded.
    pub bundle: Option<Bundle>,
    /// The version of the TA's interface.
    pub ta_version: String,
    /// What the TA can do.
    pub ta_capabilities: Vec<&'static str>,
    /// Whom the device trusts.
    pub trusted: Trusted,
}

impl StatusReport {
    pub(super) fn new(state: &StateReport, version: Version, roots: &TrustedRoots) -> Self {
        let can = version.capabilities;
        let all = [
            (can.streaming(), "streaming-load"),
            (can.master_table(), "master-table"),
            (can.isolation_enforced(), "isolation-enforced"),
            (can.test_build(), "test-build"),
        ];
        StatusReport {
            core: state.core,
            state: state.state.name(),
            starts: state.start_counter,
            isolation_generation: state.isolation_generation,
            insecure_isolation: state.insecure_isolation,
            attach_only: state.attach_only,
            development: state.development_role,
            bundle: Bundle::of(state),
            ta_version: format!("{}.{}", version.major, version.minor),
            ta_capabilities: all
                .into_iter()
                .filter_map(|(can, name)| can.then_some(name))
                .collect(),
            trusted: Trusted::new(roots),
        }
    }
}

impl Display for StatusReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "core {}: {}, started {} times",
            self.core, self.state, self.starts
        )?;
        if self.insecure_isolation {
            writeln!(
                f,
                "  INSECURE    the platform cannot isolate this core: whoever is root in Linux owns it"
            )?;
        }
        if self.attach_only {
            writeln!(f, "  control     attach-only: not from here")?;
        }
        match &self.bundle {
            Some(bundle) => {
                bundle.fmt(f)?;
                writeln!(f, "  isolation   generation {}", self.isolation_generation)?;
            }
            None => writeln!(f, "  bundle      none")?,
        }
        writeln!(
            f,
            "TA {}: {}",
            self.ta_version,
            self.ta_capabilities.join(", ")
        )?;
        self.trusted.fmt(f)?;
        if self.development {
            writeln!(f, "this device trusts development keys: never ship it so")?;
        }
        Ok(())
    }
}

/// A loaded bundle.
#[derive(Clone, Debug, Serialize)]
pub struct Bundle {
    /// The version for people.
    pub display_version: String,
    /// The version that counts.
    pub security_version: u32,
    /// The build id, in hexadecimal digits.
    pub build_id: String,
    /// What was signed: the same for every signature of this bundle.
    pub digest: String,
    /// The key that signed it.
    pub signer_key_id: String,
}

impl Bundle {
    fn of(state: &StateReport) -> Option<Self> {
        let digest = state.bundle_digest.0;
        digest.iter().any(|byte| *byte != 0).then(|| Bundle {
            display_version: state
                .display_version
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            security_version: state.security_version,
            build_id: hex(state.build_id.as_bytes()),
            digest: hex(&digest),
            signer_key_id: hex(&state.signer_key_id),
        })
    }
}

impl Display for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_none = |text: &str| {
            if text.is_empty() {
                "none".to_owned()
            } else {
                printable(text)
            }
        };
        writeln!(
            f,
            "  bundle      version {}, security version {}",
            or_none(&self.display_version),
            self.security_version
        )?;
        writeln!(f, "  build id    {}", or_none(&self.build_id))?;
        writeln!(f, "  digest      {}", self.digest)?;
        writeln!(f, "  signed by   {}", self.signer_key_id)
    }
}

/// Whom a device trusts.
#[derive(Clone, Debug, Serialize)]
pub struct Trusted {
    /// The slots in which a bundle must be signed.
    pub required_slots: Vec<u32>,
    /// The root keys.
    pub roots: Vec<Roots>,
}

/// One root key that a device trusts.
#[derive(Clone, Debug, Serialize)]
pub struct Roots {
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub key_id: String,
    /// Its algorithm, numbered as in the bundle format.
    pub algorithm: u16,
    /// The slot it stands for.
    pub slot: u8,
    /// Made for development, never for a product.
    pub development: bool,
}

impl Trusted {
    fn new(roots: &TrustedRoots) -> Self {
        let root = |root: &Root| Roots {
            key_id: hex(&root.key_id),
            algorithm: root.algorithm,
            slot: root.slot,
            development: root.role == 0,
        };
        Trusted {
            required_slots: (0..u32::BITS)
                .filter(|slot| roots.required_slots & 1 << slot != 0)
                .collect(),
            roots: roots.roots.iter().map(root).collect(),
        }
    }
}

impl Display for Trusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for root in &self.roots {
            let required = if self.required_slots.contains(&root.slot.into()) {
                "required"
            } else {
                "optional"
            };
            let role = if root.development {
                ", development"
            } else {
                ""
            };
            writeln!(
                f,
                "trusts {} for slot {} ({required}{role})",
                root.key_id, root.slot
            )?;
        }
        Ok(())
    }
}

/// What `load` shows.
#[derive(Clone, Debug, Serialize)]
pub struct LoadReport {
    /// The core.
    pub core: u32,
    /// What it does now.
    pub state: &'static str,
    /// The file.
    pub file: String,
    /// Its length.
    pub bytes: u64,
    /// How long it took.
    pub milliseconds: f64,
    /// What is loaded now.
    pub bundle: Option<Bundle>,
}

impl LoadReport {
    pub(super) fn new(state: &StateReport, file: String, bytes: u64, milliseconds: f64) -> Self {
        LoadReport {
            core: state.core,
            state: state.state.name(),
            file,
            bytes,
            milliseconds,
            bundle: Bundle::of(state),
        }
    }
}

impl Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "core {}: {}, {} bytes of {} in {:.1} ms",
            self.core, self.state, self.bytes, self.file, self.milliseconds
        )?;
        match &self.bundle {
            Some(bundle) => bundle.fmt(f),
            None => Ok(()),
        }
    }
}

/// What `start`, `stop` and `release` show.
#[derive(Clone, Debug, Serialize)]
pub struct CoreReport {
    /// The core.
    pub core: u32,
    /// What was done.
    pub action: &'static str,
    /// What the core does now.
    pub state: &'static str,
    /// How often it was started since the platform's own start.
    pub starts: u32,
    /// How long it took.
    pub milliseconds: f64,
}

impl CoreReport {
    pub(super) fn new(state: &StateReport, action: &'static str, milliseconds: f64) -> Self {
        CoreReport {
            core: state.core,
            action,
            state: state.state.name(),
            starts: state.start_counter,
            milliseconds,
        }
    }
}

impl Display for CoreReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CoreReport {
            core,
            action,
            state,
            milliseconds,
            ..
        } = self;
        writeln!(
            f,
            "core {core}: {state}, {action} took {milliseconds:.1} ms"
        )
    }
}

/// What `attach` shows.
#[derive(Clone, Debug, Serialize)]
pub struct AttachReport {
    /// The core.
    pub core: u32,
    /// The generation of the link.
    pub generation: u32,
    /// How long the handshake took.
    pub milliseconds: f64,
    /// What the firmware offers.
    pub services: Vec<ServiceReport>,
    /// What was odd.
    pub oddities: Strange,
}

/// What a firmware did that it should not have done, and that did no harm.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Strange {
    /// Messages that broke a rule and were dropped.
    pub lies: u64,
    /// The last rule that was broken.
    pub last_lie: Option<String>,
    /// Messages for an address at which nobody listens.
    pub unclaimed: u64,
    /// Messages that came faster than they were received.
    pub overrun: u64,
    /// Where the core changed what it may not change in the shared resource table.
    pub table_changed_at: Option<u32>,
}

impl From<Oddities> for Strange {
    fn from(oddities: Oddities) -> Self {
        Strange {
            lies: oddities.lies,
            last_lie: oddities.last.map(|error| error.to_string()),
            unclaimed: oddities.unclaimed,
            overrun: oddities.overrun,
            table_changed_at: oddities.table_changed_at,
        }
    }
}

impl Display for Strange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = self.table_changed_at {
            writeln!(
                f,
                "  odd: the core changed the shared resource table at {at:#x}; ignored"
            )?;
        }
        if let Some(lie) = &self.last_lie {
            writeln!(
                f,
                "  odd: {} messages broke a rule and were dropped, the last one: {lie}",
                self.lies
            )?;
        }
        if self.unclaimed > 0 {
            writeln!(f, "  odd: {} messages for nobody", self.unclaimed)?;
        }
        if self.overrun > 0 {
            writeln!(
                f,
                "  odd: {} messages came faster than they were received",
                self.overrun
            )?;
        }
        Ok(())
    }
}

/// A service of the firmware.
#[derive(Clone, Debug, Serialize)]
pub struct ServiceReport {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: u32,
}

impl From<&Service> for ServiceReport {
    fn from(service: &Service) -> Self {
        ServiceReport {
            name: service.name.to_string(),
            address: service.address,
        }
    }
}

impl Display for AttachReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "core {}: attached in {:.1} ms, generation {:#x}",
            self.core, self.milliseconds, self.generation
        )?;
        for ServiceReport { name, address } in &self.services {
            writeln!(f, "  service     {name} at {address:#x}")?;
        }
        if self.services.is_empty() {
            writeln!(f, "  no service announced")?;
        }
        self.oddities.fmt(f)
    }
}

/// What `attach --ping` shows.
#[derive(Clone, Debug, Serialize)]
pub struct PingReport {
    /// The core.
    pub core: u32,
    /// The generation of the link.
    pub generation: u32,
    /// The service.
    pub service: ServiceReport,
    /// Bytes of each message.
    pub size: u32,
    /// Messages sent.
    pub sent: u32,
    /// Messages that came back as they were sent.
    pub right: u32,
    /// Messages that came back changed.
    pub wrong: u32,
    /// Messages that did not come back in time.
    pub lost: u32,
    /// How long one there and back took, where one came back.
    pub latency: Option<Latency>,
    /// What was odd.
    pub oddities: Strange,
}

/// Times of messages there and back.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Latency {
    /// The shortest.
    pub min_us: f64,
    /// Half of them are at most this.
    pub median_us: f64,
    /// 99 of 100 are at most this.
    pub p99_us: f64,
    /// The longest.
    pub max_us: f64,
}

impl Latency {
    pub(super) fn of(mut times: Vec<Duration>) -> Option<Self> {
        times.sort_unstable();
        let us = |time: &Duration| time.as_secs_f64() * 1e6;
        let rank = |of_hundred: usize| {
            let rank = (times.len() * of_hundred).div_ceil(100).max(1);
            times.get(rank - 1).map(us)
        };
        Some(Latency {
            min_us: us(times.first()?),
            median_us: rank(50)?,
            p99_us: rank(99)?,
            max_us: us(times.last()?),
        })
    }
}

impl Display for PingReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PingReport {
            core,
            size,
            sent,
            right,
            wrong,
            lost,
            ..
        } = self;
        let ServiceReport { name, address } = &self.service;
        writeln!(
            f,
            "core {core}: {name} at {address:#x}, {sent} messages of {size} bytes"
        )?;
        writeln!(f, "  right {right}, wrong {wrong}, lost {lost}")?;
        if let Some(Latency {
            min_us,
            median_us,
            p99_us,
            max_us,
        }) = self.latency
        {
            writeln!(
                f,
                "  there and back: min {min_us:.1}, median {median_us:.1}, p99 {p99_us:.1}, max {max_us:.1} us"
            )?;
        }
        self.oddities.fmt(f)
    }
}

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
    pub features: u32,
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
    pub(super) fn new(core: u32, master: &MasterTable) -> Result<Self, Error> {
        let table = Table::parse(&master.bytes).map_err(Error::ResourceTable)?;
        let devices = table.vdevs().map(|vdev| DeviceReport {
            id: vdev.id,
            notify_id: vdev.notify_id,
            features: vdev.device_features,
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

/// A refusal of the TA in a JSON document.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Refusal {
    status: &'static str,
    number: u32,
    first: u64,
    second: u64,
}

impl Refusal {
    pub(super) fn new(status: Status, first: u64, second: u64) -> Self {
        Refusal {
            status: status.name(),
            number: status.number(),
            first,
            second,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Text that somebody else chose, without what a terminal would obey.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}
