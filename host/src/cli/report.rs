//! What commands have to say.
//!
//! One type per command; its fields are the JSON document, its `Display` the text. A field that is taken away or changes
//! its meaning raises the schema's version; a new one does not.

mod core;
mod link;
mod service;
mod table;

use std::fmt::{self, Display};

use serde::Serialize;
use ta_protocol::Status;

pub use self::core::{Bundle, CoreReport, LoadReport, Roots, StatusReport, Trusted};
pub use self::link::{AttachReport, Latency, PingReport, ServiceReport, Strange};
pub use self::service::{CaptureReport, ServeReport, TopReport};
pub use self::table::{DeviceReport, TableReport, TraceReport, VringReport};

/// The result of a command.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Report {
    /// Of `attach` without a ping.
    Attach(AttachReport),
    /// Of `capture`.
    Capture(CaptureReport),
    /// Of `start`, `stop` and `release`.
    Core(CoreReport),
    /// Of `load`.
    Load(LoadReport),
    /// Of `attach --ping`.
    Ping(PingReport),
    /// Of `serve`, when it has ended.
    Serve(Box<ServeReport>),
    /// Of `status`.
    Status(Box<StatusReport>),
    /// Of `rsc-table`.
    Table(TableReport),
    /// Of `top`.
    Top(Box<TopReport>),
}

impl Report {
    /// The name and the version of the JSON document's layout.
    #[must_use]
    pub fn schema(&self) -> (&'static str, u32) {
        let name = match self {
            Report::Attach(_) => "corewarden.attach",
            Report::Capture(_) => "corewarden.capture",
            Report::Core(_) => "corewarden.core",
            Report::Load(_) => "corewarden.load",
            Report::Ping(_) => "corewarden.ping",
            Report::Serve(_) => "corewarden.serve",
            Report::Status(_) => "corewarden.status",
            Report::Table(_) => "corewarden.rsc-table",
            Report::Top(_) => "corewarden.top",
        };
        (name, 1)
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Report::Attach(report) => report.fmt(f),
            Report::Capture(report) => report.fmt(f),
            Report::Core(report) => report.fmt(f),
            Report::Load(report) => report.fmt(f),
            Report::Ping(report) => report.fmt(f),
            Report::Serve(report) => report.fmt(f),
            Report::Status(report) => report.fmt(f),
            Report::Table(report) => report.fmt(f),
            Report::Top(report) => report.fmt(f),
        }
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
