//! The program `corewarden`: arguments in, one report or one failure out.
//!
//! [`run`] does a command and returns what is to be said; [`print()`] is the one place that says it, to people or as JSON.
//! What belongs to the machine it runs on (the secure world, shared memory, the doorbell) comes through [`Machine`], so
//! that the simulator and the tests run the very same commands.

mod arguments;
mod commands;
mod failure;
mod link;
mod machine;
mod meter;
mod ping;
mod print;
mod report;
mod service;

pub use arguments::{Arguments, Attach, Capture, Command, Load, Serve, Top, Wait};
pub use commands::run;
pub use failure::{Exit, Failure};
pub use machine::{Machine, ThisMachine};
pub use print::{exit, print};
pub use report::{
    AttachReport, Bundle, CaptureReport, CoreReport, DeviceReport, Latency, LoadReport, PingReport,
    Report, Roots, ServeReport, ServiceReport, StatusReport, Strange, TableReport, TopReport,
    TraceReport, Trusted, VringReport,
};
