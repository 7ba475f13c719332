//! Fuzz entry points: plain functions of any bytes, which panic where a promise is broken.
//!
//! Each [`Target`] has seeds, which tests replay on every run. [`search`] looks further on stable Rust, by changing the
//! seeds; the programs of `tools/fuzz/libfuzzer` give the same functions to libFuzzer, which watches what is covered and
//! needs a nightly compiler (`cargo fuzz`).

mod features;
mod memory;
mod name_service;
mod parsers;
mod rings;
mod search;
mod seeds;
mod services;

pub use features::features;
pub use name_service::name_service;
pub use parsers::{bundle, certificate, protocol, resource_table, trust_update};
pub use rings::{device, driver, packed_device, packed_driver, symmetric};
pub use search::{Finding, search};
pub use seeds::Seed;
pub use services::services;

/// One entry point.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What the command calls it.
    pub name: &'static str,
    /// The entry point: it panics where a promise is broken.
    pub run: fn(&[u8]),
    /// Where a search begins.
    pub seeds: fn() -> Vec<Seed>,
}

/// All of them.
pub const TARGETS: [Target; 13] = [
    Target {
        name: "bundle",
        run: bundle,
        seeds: seeds::bundle,
    },
    Target {
        name: "certificate",
        run: certificate,
        seeds: seeds::certificate,
    },
    Target {
        name: "device",
        run: device,
        seeds: seeds::rings,
    },
    Target {
        name: "driver",
        run: driver,
        seeds: seeds::rings,
    },
    Target {
        name: "features",
        run: features,
        seeds: seeds::features,
    },
    Target {
        name: "name-service",
        run: name_service,
        seeds: seeds::name_service,
    },
    Target {
        name: "packed-device",
        run: packed_device,
        seeds: seeds::packed_rings,
    },
    Target {
        name: "packed-driver",
        run: packed_driver,
        seeds: seeds::packed_rings,
    },
    Target {
        name: "protocol",
        run: protocol,
        seeds: seeds::protocol,
    },
    Target {
        name: "resource-table",
        run: resource_table,
        seeds: seeds::resource_table,
    },
    Target {
        name: "services",
        run: services,
        seeds: seeds::services,
    },
    Target {
        name: "symmetric",
        run: symmetric,
        seeds: seeds::packed_rings,
    },
    Target {
        name: "trust-update",
        run: trust_update,
        seeds: seeds::trust_update,
    },
];

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
