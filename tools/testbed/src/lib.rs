//! Real OP-TEE, real Linux and a real Cortex-M in QEMU, under one supervisor.
//!
//! `fetch` brings pinned Debian packages into one cache folder, `build` makes the images out of them and of this
//! workspace, `initramfs` packs what Linux sees. `machine` runs the result.

pub mod build;
pub mod fetch;
pub mod host;
pub mod initramfs;
pub mod lock;
pub mod machine;

mod assets;
mod cache;
mod checksum;
mod error;
mod process;

pub use assets::{Assets, Qemu};
pub use build::{Builder, OpteeVariant, Ta, TaVariant};
pub use cache::Cache;
pub use checksum::Sha256;
pub use error::Error;
pub use initramfs::Initramfs;
pub use lock::Lock;

/// What the fallible functions of this crate return; a broken rule downcasts to [`Error`].
pub type Result<T> = anyhow::Result<T>;

/// Where a long piece of work tells what it is doing, one line at a time.
pub type Progress<'a> = &'a (dyn Fn(&str) + Sync);
