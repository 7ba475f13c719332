//! `cargo xtask check`: everything that CI runs.

use std::{collections::BTreeSet, process::Command};

use anyhow::Result;
use tests::images::workspace;

use crate::{
    bench,
    cargo_tool::CargoTool,
    dist, e2e,
    run::{cargo, execute, execute_and_read, say, step},
    traceability,
};

/// What to leave out, for a quick look while working; CI leaves out nothing.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave out what needs QEMU and downloads (the traceability check needs it, so it is left out too).
    #[arg(long)]
    without_qemu: bool,
    /// Install missing packages of this machine without asking.
    #[arg(long)]
    yes: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if !args.without_qemu {
        step("packages of this machine", || {
            crate::run::ensure_packages(args.yes)
        })?;
    }
    step("format", || {
        execute(&mut cargo(["fmt", "--all", "--check"]))
    })?;
    step("clippy", || {
        execute(&mut cargo([
            "clippy",
            "--quiet",
            "--all-targets",
            "--",
            "--deny=warnings",
        ]))
    })?;
    step("documentation", || {
        execute(cargo(["doc", "--quiet", "--no-deps"]).env("RUSTDOCFLAGS", "--deny=warnings"))
    })?;
    step("dependencies", deny)?;
    let mut ran = BTreeSet::new();
    step("tests", || {
        ran = traceability::passed(&execute_and_read(&mut cargo(["test"]))?);
        Ok(())
    })?;
    if args.without_qemu {
        return Ok(());
    }
    step("clippy for what runs in the test bed", foreign_clippy)?;
    step("end-to-end tests in QEMU", || {
        ran.extend(e2e::run_all(2)?);
        Ok(())
    })?;
    step("packages", || {
        ran.extend(dist::run_all()?);
        Ok(())
    })?;
    step("figures", || {
        ran.extend(bench::run_all()?);
        Ok(())
    })?;
    step("traceability", || traceability::check(&ran))
}

/// The TA, the programs for arm64 Linux and the core's firmware, which the first clippy does not see.
fn foreign_clippy() -> Result<()> {
    let assets =
        testbed::fetch::obtain(&testbed::Cache::open()?, &testbed::Lock::committed()?, &say)?;
    testbed::Builder::new(&workspace(), &assets, &say)?.ensure_rust_targets()?;
    let lint = ["clippy", "--quiet", "--target"];
    let deny = ["--", "--deny=warnings"];
    let foreign = || {
        let mut command = cargo(lint);
        command
            .env("TA_DEV_KIT_DIR", &assets.dev_kit)
            .env("OPTEE_CLIENT_EXPORT", &assets.client_export)
            .env("CARGO_TARGET_DIR", workspace().join("target/clippy"))
            .arg("aarch64-unknown-linux-gnu");
        command
    };
    // Apart: the programs bring features into shared crates that the TA does without.
    let ta = ["-p", "corewarden-ta", "--profile", "ta"];
    execute(foreign().args(ta).args(deny))?;
    execute(
        foreign()
            .args(["-p", "corewarden", "-p", "guest"])
            .args(deny),
    )?;
    let firmware = workspace().join("tools/testbed/firmware");
    execute(cargo(["fmt", "--all", "--check"]).current_dir(&firmware))?;
    execute(
        cargo(lint)
            .args(["thumbv7em-none-eabi", "--workspace"])
            .args(deny)
            .current_dir(&firmware)
            .env("CARGO_TARGET_DIR", workspace().join("target/clippy")),
    )
}

/// Without network: the advisory database is not to be had there.
fn deny() -> Result<()> {
    // It judges the dependencies of every platform, also of those that nothing here was built for yet.
    execute(&mut cargo(["fetch", "--quiet", "--locked"]))?;
    let mut command = Command::new(CARGO_DENY.path()?);
    execute(
        command
            .args(["--offline", "check", "bans", "licenses", "sources"])
            .current_dir(workspace()),
    )
}

const CARGO_DENY: CargoTool = CargoTool {
    name: "cargo-deny",
    version: "0.20.2",
    options: &[],
    takes: "a few minutes",
};
