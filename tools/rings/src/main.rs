//! Work for the rings, to be counted and timed.
//!
//! One program for all of it, so that what callgrind counts is what the clock times. `tools/bench` runs it and judges.

mod memory;
mod one_thread;
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
    }
}
