//! Work for the rings, to be counted, timed, and kept up for long.
//!
//! One program for all of it, so that what callgrind counts is what the clock times. `tools/bench` runs it and judges;
//! `cargo xtask soak` runs the long work.

mod memory;
mod one_thread;
mod soak;
mod two_cores;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "rings")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Moves messages in one thread and prints nothing: for callgrind.
    Count(one_thread::Args),
    /// Times messages in one thread.
    Time(one_thread::Args),
    /// Times two threads on two cores, beside a ping-pong of cache lines.
    Pair(two_cores::Args),
    /// Two processes over one window, each killed again and again: nothing is lost or doubled but what is told.
    Soak(soak::Args),
    /// One of the two.
    #[command(hide = true)]
    SoakSide(soak::SideArgs),
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    match Cli::parse().command {
        Command::Count(args) => one_thread::count(&args),
        Command::Time(args) => one_thread::time(&args),
        Command::Pair(args) => two_cores::run(&args),
        Command::Soak(args) => soak::run(&args),
        Command::SoakSide(args) => soak::side(&args),
    }
}
