//! `cargo xtask miri`: the host's code on shared memory in Miri, which notices what only happens to work.

use std::process::Command;

use anyhow::{Context, Result};
use tests::images::workspace;

use crate::run::{execute, say};

#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args) -> Result<()> {
    say(&format!(
        "installing {NIGHTLY} with Miri where it is not there"
    ));
    execute(
        Command::new("rustup")
            .args(["toolchain", "install", NIGHTLY, "--no-self-update"])
            .args(["--profile", "minimal"])
            .args(["--component", "miri", "--component", "rust-src"]),
    )
    .with_context(|| format!("{NIGHTLY} with Miri and the library's source cannot be had"))?;
    let mut test = Command::new("rustup");
    test.args(["run", NIGHTLY, "cargo", "miri", "test"])
        .args(["--package", "corewarden", "--lib", "shared_memory::"])
        .current_dir(workspace())
        // Apart: another compiler's, and with system calls by the C library, as Miri knows no others.
        .env("CARGO_TARGET_DIR", workspace().join("target/miri"))
        .env("RUSTFLAGS", "--cfg=rustix_use_libc")
        // This nightly's emulation of weak memory panics where a word and its half are both atomic.
        .env("MIRIFLAGS", "-Zmiri-disable-weak-memory-emulation");
    for inherited in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        test.env_remove(inherited);
    }
    execute(&mut test)
}

/// One for all, as Miri's findings change from day to day.
const NIGHTLY: &str = "nightly-2026-05-20";
