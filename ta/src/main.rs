//! The Trusted Application: entry points, GlobalPlatform API and PTA calls.
//!
//! It decides nothing: [`entry`] turns what OP-TEE brings into `ta-core`'s neutral types, [`pta`] carries out
//! what `ta-core` asks of the platform, and [`device`] is what was built in. A client's buffer is a pointer
//! that is copied from once or handed on to the PTA, and never a reference.
#![no_std]
#![no_main]

extern crate alloc;

mod client;
mod device;
mod entry;
mod header;
mod parties;
mod pta;
mod runtime;
#[cfg(corewarden_test)]
mod testing;
