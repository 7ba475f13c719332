//! What clients and the TA agree on: UUIDs, command numbers, parameter layouts, status codes.
//!
//! `docs/ta-api.md` and `docs/pta-api.md` are the normative texts; this crate is their form in Rust, and
//! [`header`] derives their form in C from it. Nothing here decides anything: [`Command::parameters`] says which
//! shape a command has, [`Status`] names what went wrong, and the reports are fixed little-endian layouts that are
//! written by the TA and judged again by the client that reads them.
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

#[cfg(test)]
extern crate std;

mod codes;
mod command;
mod error;
pub mod global_platform;
pub mod header;
pub mod pta;
mod raw;
mod roots;
mod state;
mod status;
mod text;
mod uuid;

pub use command::{Command, OPEN_SESSION, Parameter, Words};
pub use error::Error;
pub use roots::{Root, RootsReport};
pub use state::{CoreState, Digest, StateReport};
pub use status::{Explanation, Status};
pub use text::Text;
pub use uuid::Uuid;

/// The TA's UUID: that of OP-TEE's `ta/remoteproc`, whose place it takes (ta-api.md 1.1).
pub const TA_UUID: Uuid = Uuid::from_fields(
    0x80a4_c275,
    0x0a47,
    0x4905,
    [0x82, 0x85, 0x14, 0x86, 0xa9, 0x77, 0x1a, 0x08],
);

/// The version that `VERSION` answers: major in the upper, minor in the lower half (ta-api.md 4.1).
pub const VERSION: u32 = 0x0001_0000;

/// The longest tail of the file that a client hands over with `LOAD_BEGIN` (ta-api.md 4.6).
pub const MAX_TAIL: u32 = 0x1_0000;

/// The longest piece of the file that the TA asks for at once (ta-api.md 4.7).
pub const MAX_CHUNK: u32 = 0x10_0000;

/// The longest file that command 1 takes in one memref (ta-api.md 3.1).
pub const MAX_WHOLE_FILE: u32 = 0x80_0000;

/// How many sessions the TA serves at a time (ta-api.md 2.4).
pub const MAX_SESSIONS: u32 = 16;

/// The lowest security version that a TA of this protocol takes: it keeps no floor of its own yet.
pub const LOWEST_VERSION: u32 = 0;

/// How many roots a device pins at most (ta-api.md 4.4).
pub const MAX_ROOTS: usize = 16;

/// After how many milliseconds without a command a load is given up (ta-api.md 5.4).
pub const LOAD_TIMEOUT_MS: u32 = 30_000;

/// Capability bits that `VERSION` answers (ta-api.md 4.1).
pub mod capability {
    /// `LOAD_BEGIN` and `LOAD_CONTINUE` are served.
    pub const STREAMING_LOAD: u32 = 1;
    /// `MASTER_TABLE` is served.
    pub const MASTER_TABLE: u32 = 1 << 1;
    /// No core of this platform is loaded without isolation.
    pub const ISOLATION_ENFORCED: u32 = 1 << 2;
    /// A build for tests: never to be shipped.
    pub const TEST_BUILD: u32 = 1 << 3;
}

codes::codes! {
    /// Who opened a session, as GlobalPlatform numbers it; other logins are not known here and never allowed.
    pub enum Login {
        /// Any process that may open the TEE device.
        Public = 0x0000_0000, "public";
        /// The Linux kernel itself (`TEE_LOGIN_REE_KERNEL`).
        Kernel = 0x8000_0000, "kernel";
    }
}
