//! The trusted application: how to reach it, and what it can be asked.

mod answer;
mod client;
#[cfg(target_arch = "aarch64")]
mod libteec;
mod refusal;
mod transport;

pub use answer::{Capabilities, LastError, MasterTable, Progress, TrustedRoots, Version};
pub use client::Client;
#[cfg(target_arch = "aarch64")]
pub use libteec::Teec;
pub use transport::{Failure, Origin, Parameter, Transport};
