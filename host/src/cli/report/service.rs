//! What the server and those who ask it have to say.

use std::fmt::{self, Display};
use std::time::Duration;

use serde::Serialize;

use super::printable;
use crate::hub::{Counters, EndpointCounters};

/// Of a server that has ended.
#[derive(Clone, Debug, Serialize)]
pub struct ServeReport {
    /// How long it served.
    pub seconds: u64,
    /// Clients that came.
    pub clients: u64,
    /// What its link counted.
    pub counters: Counters,
}

impl Display for ServeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counters = &self.counters;
        writeln!(
            f,
            "served {} clients in {} s: {} messages received, {} sent, {} restarts of the peer",
            self.clients,
            self.seconds,
            counters.received.messages,
            counters.sent.messages,
            counters.restarts
        )
    }
}

/// Of a link at work.
#[derive(Clone, Debug, Serialize)]
pub struct TopReport {
    /// What it counted.
    #[serde(flatten)]
    pub counters: Counters,
    /// Messages a second since the report before, received and sent.
    #[serde(skip)]
    rates: Option<(u64, u64)>,
}

impl TopReport {
    pub(crate) fn new(counters: Counters) -> Self {
        TopReport {
            counters,
            rates: None,
        }
    }

    /// The report after this one.
    pub(crate) fn next(&self, counters: Counters, since: Duration) -> Self {
        let milliseconds = u64::try_from(since.as_millis()).unwrap_or(u64::MAX).max(1);
        let rate =
            |now: u64, before: u64| now.saturating_sub(before).saturating_mul(1000) / milliseconds;
        let before = &self.counters;
        let rates = (
            rate(counters.received.messages, before.received.messages),
            rate(counters.sent.messages, before.sent.messages),
        );
        TopReport {
            counters,
            rates: Some(rates),
        }
    }
}

impl Display for TopReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counters = &self.counters;
        match counters.generation {
            0 => writeln!(f, "{}: no link", counters.role)?,
            generation => writeln!(f, "{}: link of generation {generation:#x}", counters.role)?,
        }
        if counters.links > 0 {
            writeln!(f, "agreed    {}", counters.agreed)?;
        }
        let (received, sent) = (counters.received, counters.sent);
        writeln!(
            f,
            "received  {} messages, {} bytes",
            received.messages, received.bytes
        )?;
        writeln!(
            f,
            "sent      {} messages, {} bytes",
            sent.messages, sent.bytes
        )?;
        if let Some((received, sent)) = self.rates {
            writeln!(f, "a second  {received} received, {sent} sent")?;
        }
        let kicks = counters.kicks;
        writeln!(
            f,
            "kicks     {} rung, {} spared, {} heard, in {} batches",
            kicks.rung, kicks.spared, kicks.heard, counters.batches
        )?;
        writeln!(
            f,
            "trouble   {} restarts, {} lies, {} unclaimed, {} waits for a buffer",
            counters.restarts, counters.lies, counters.unclaimed, counters.no_buffer
        )?;
        if let Some(lie) = &counters.last_lie {
            writeln!(f, "last lie  {lie}")?;
        }
        for (name, address) in &counters.services {
            writeln!(f, "service   {} at {address}", printable(name))?;
        }
        writeln!(
            f,
            "{:>10}  {:<32}{:>12}{:>12}{:>8}{:>8}",
            "endpoint", "service", "received", "sent", "queued", "lost"
        )?;
        counters
            .endpoints
            .iter()
            .try_for_each(|endpoint| row(endpoint, f))
    }
}

fn row(endpoint: &EndpointCounters, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(
        f,
        "{:>10}  {:<32}{:>12}{:>12}{:>8}{:>8}",
        endpoint.address,
        printable(endpoint.service.as_deref().unwrap_or("-")),
        endpoint.received.messages,
        endpoint.sent.messages,
        endpoint.queued,
        endpoint.lost
    )
}

/// Of a capture that has ended.
#[derive(Clone, Debug, Serialize)]
pub struct CaptureReport {
    /// Where it is.
    pub file: String,
    /// Packets in it.
    pub packets: u64,
    /// It went where text must not go.
    #[serde(skip)]
    pub(crate) quiet: bool,
}

impl Display for CaptureReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.quiet {
            return Ok(());
        }
        writeln!(f, "{}: {} packets", self.file, self.packets)
    }
}
