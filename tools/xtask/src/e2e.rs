//! `cargo xtask e2e`: the end-to-end tests in QEMU.

use std::collections::BTreeSet;

use anyhow::Result;

use tests::{board::Kind, images::Workshop, suite};

use crate::run::say;

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask e2e\n  cargo xtask e2e segment          # tests with `segment` in their names\n  cargo xtask e2e --repeat 20"
)]
pub(crate) struct Args {
    /// Only tests whose names contain this.
    #[arg(default_value = "")]
    filter: String,
    /// Run the whole so many times.
    #[arg(long, value_name = "TIMES", default_value_t = 1)]
    repeat: u32,
    /// Install missing packages of this machine without asking.
    #[arg(long)]
    yes: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    crate::run::ensure_packages(args.yes)?;
    repeat(&args.filter, args.repeat).map(drop)
}

/// Runs all tests so many times; the names of those that passed each time.
pub(crate) fn run_all(times: u32) -> Result<BTreeSet<String>> {
    repeat("", times)
}

fn repeat(filter: &str, times: u32) -> Result<BTreeSet<String>> {
    let workshop = Workshop::open(&say)?;
    let images = workshop.images(&Kind::ALL)?;
    let mut passed = BTreeSet::new();
    let mut green = 0;
    for round in 1..=times {
        println!("\nround {round} of {times}");
        match suite::run(&images, filter) {
            Ok(names) => {
                green += 1;
                passed = names;
            }
            Err(error) => println!("{error:#}"),
        }
    }
    println!("e2e: {green}/{times}");
    anyhow::ensure!(green == times, "{} of {times} rounds failed", times - green);
    Ok(passed)
}
