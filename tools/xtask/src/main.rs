//! The project's commands: demo, check, e2e, ta, testbed, bench, soak, fuzz, miri, lock, dist.
//!
//! Each command is one module; this file only says what there is. What a command needs beyond Rust, it fetches or
//! installs itself through `testbed`.

mod bench;
mod cargo_tool;
mod check;
mod demo;
mod dist;
mod e2e;
mod fuzz;
mod interactive;
mod lock;
mod miri;
mod run;
mod sim;
mod soak;
mod ta;
mod traceability;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Corewarden's own commands.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Sign a firmware, authenticate it in OP-TEE, start a Cortex-M and talk to it, in one go.
    Demo(demo::Args),
    /// Everything that CI runs: fmt, clippy, docs, deny, tests and the QEMU tests.
    Check(check::Args),
    /// The end-to-end tests in QEMU.
    E2e(e2e::Args),
    /// Build the Trusted Application and pass its gate.
    Ta(ta::Args),
    /// An interactive Linux console on the test bed.
    Testbed(interactive::Args),
    /// Figures, printed beside what they are compared to.
    Bench(bench::Args),
    /// Two processes over one RPMsg link, either of them killed again and again: nothing is lost or doubled in silence.
    Soak(soak::Args),
    /// A search for inputs that break a promise, on stable Rust.
    Fuzz(fuzz::Args),
    /// The host's code on shared memory in Miri, on one nightly compiler, which is installed where it is not there.
    Miri(miri::Args),
    /// The lock file of the test bed's downloads.
    Lock(lock::Args),
    /// What a release is made of: a tar.gz and packages for Debian.
    Dist(dist::Args),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Demo(args) => demo::run(&args),
        Command::Check(args) => check::run(&args),
        Command::E2e(args) => e2e::run(&args),
        Command::Ta(args) => ta::run(&args),
        Command::Testbed(args) => interactive::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Soak(args) => soak::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Miri(args) => miri::run(&args),
        Command::Lock(args) => lock::run(&args),
        Command::Dist(args) => dist::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
