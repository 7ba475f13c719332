//! The trusted application: how to reach it, and what it can be asked.

mod client;
#[cfg(target_arch = "aarch64")]
mod libteec;
mod transport;

pub use client::{Capabilities, Client, LastError, MasterTable, Progress, TrustedRoots, Version};
#[cfg(target_arch = "aarch64")]
pub use libteec::Teec;
pub use transport::{Failure, Origin, Parameter, Transport};
