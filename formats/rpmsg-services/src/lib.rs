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
//! GPIO, I2C and SPI over RPMsg, as embedded-hal traits on either side.
//!
//! The side that has the pins and buses *serves* them: [`gpio::serve`], [`i2c::serve`] and [`spi::serve`] take the bytes of a
//! request and anything that implements embedded-hal's traits, and give the bytes of the answer. The other side has a
//! *client*, which implements the same traits ([`gpio::Client`], [`i2c::Client`], [`spi::Client`]) over a [`Transport`], so
//! that a driver for a sensor does not know that the sensor is another core's. Either role runs on Linux and on the core.
//!
//! The messages are those of docs/rpmsg-services.md, whose rules are cited by number here, and each fits into one RPMsg
//! buffer. Whatever comes from the other side is judged before it is used: a request before anything happens on the bus,
//! an answer before anything of it is handed out. Requests carry numbers, so that an answer which comes after its time
//! limit is not taken for that of the next request. Nothing here allocates, waits or panics.

mod client;
mod error;
pub mod gpio;
pub mod i2c;
mod raw;
mod server;
pub mod spi;
mod status;

pub use client::{Failure, Transport};
pub use error::Error;
pub use server::Reply;
pub use status::Status;

/// Bytes of the longest message: what a buffer of 512 has behind its RPMsg header (rpmsg-services.md 2.3).
pub const MAX_MESSAGE: usize = 496;
/// Operations of one transaction (rpmsg-services.md 4.2 and 5.2).
pub const MAX_OPERATIONS: usize = 8;
