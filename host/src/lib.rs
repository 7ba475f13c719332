//! Attach to coprocessors that the secure world controls, and talk RPMsg with them.
//!
//! [`ta`] asks the trusted application: load, start, stop, what runs. [`attach`] takes a running core's link into use and
//! gives endpoints on it, over a [`shared_memory`] window and a [`doorbell`]. Whatever the core or the shared memory says
//! is judged; a restart of the core is reported, not hidden.

pub mod attach;
pub mod cli;
pub mod doorbell;
mod error;
mod limit;
pub mod shared_memory;
pub mod ta;

pub use error::{DoorbellOperation, Error, Request, Waiting, WindowOperation};
pub use limit::Limit;
