//! End-to-end tests and the tests of the workspace itself.
//!
//! The scenarios drive a Linux shell on the test bed as a user would, and look at the core's memory through the back
//! door that only the test bed has. `cargo xtask e2e` runs them; `cargo test` runs what needs no QEMU.

pub mod board;
pub mod bundles;
pub mod images;
pub mod mutants;
pub mod scenarios;
pub mod suite;
