#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::panic
    )
)]
//! The decisions of the TA: load, start, stop and wipe as a state machine.
//!
//! [`Ta`] takes what GlobalPlatform's entry points bring (sessions, command numbers, parameters) in neutral
//! types and answers with a return value. It checks everything itself, and acts through the traits of
//! [`actors`] only. Its size is fixed: at most sixteen sessions, one [`Slot`] for each core of the platform
//! file, and one trailer.

// Only the fakes allocate.
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod actors;
pub mod fake;
mod judgement;
mod legality;
mod load;
mod param;
mod query;
mod record;
mod regions;
mod sessions;
mod slot;
mod ta;

pub use actors::{Actors, Cast};
pub use legality::{Verdict, verdict};
pub use param::{Param, Params};
pub use sessions::SessionId;
pub use slot::Slot;
pub use ta::{Device, Storage, Ta};
