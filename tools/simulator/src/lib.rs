//! A device in one process.
//!
//! The decisions are the TA's own ([`ta_core`]), the signatures and the rings are real. The platform's memory and reset line
//! are simulated, and so is the core: a thread that takes the device's role of RPMsg and echoes, whatever was loaded. For a
//! first look without downloads; it proves nothing about the real parts.

mod core;
mod elf;
mod transport;

pub use self::elf::firmware;
pub use self::transport::Device;
