//! What a firmware offers, and how it answers.

use std::fmt::{self, Display};
use std::time::Duration;

use serde::Serialize;

use crate::agreement::Agreed;
use crate::hub::{Counters, Service};

/// What `attach` shows.
#[derive(Clone, Debug, Serialize)]
pub struct AttachReport {
    /// The core.
    pub core: u32,
    /// The generation of the link.
    pub generation: u32,
    /// What was agreed on with the firmware.
    pub agreed: Agreed,
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

impl Strange {
    pub(crate) fn new(counters: &Counters, table_changed_at: Option<u32>) -> Self {
        Strange {
            lies: counters.lies,
            last_lie: counters.last_lie.clone(),
            unclaimed: counters.unclaimed,
            overrun: counters.endpoints.iter().map(|one| one.lost).sum(),
            table_changed_at,
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
        writeln!(f, "  agreed      {}", self.agreed)?;
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
    pub(in crate::cli) fn of(mut times: Vec<Duration>) -> Option<Self> {
        times.sort_unstable();
        // From whole nanoseconds, so that no digits appear that nobody measured.
        let us = |time: &Duration| time.as_nanos() as f64 / 1000.0;
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
