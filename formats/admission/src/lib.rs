//! May this bundle run on this core of this device, and if not, why.
//!
//! One pure judgement for the TA and for every tool that predicts it. [`admit`] goes through `docs/bundle-format.md` in its
//! order: footer, chain, signatures, manifest, and section 12 about device and core, resource table included. Holding an
//! [`Admitted`] is what loading asks for.
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

mod judge;
mod refusal;
mod status;

pub use judge::{Admitted, Device, admit};
pub use refusal::Refusal;
