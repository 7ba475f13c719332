//! `cargo xtask fuzz`: a search for inputs that break a promise, on stable Rust.

use std::process::Command;

use anyhow::Result;
use tests::images::workspace;

use crate::run::{cargo, execute};

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask fuzz driver --seconds 600\n  cargo xtask fuzz all --seconds 60\n\n\
                  What is found is kept in target/fuzz-findings. With a nightly compiler and cargo-fuzz, libFuzzer\n\
                  searches the same targets: cargo +nightly fuzz run --fuzz-dir tools/fuzz/libfuzzer driver"
)]
pub(crate) struct Args {
    /// A target, or `all`; a wrong name is answered with the list.
    target: String,
    /// For how long, each.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The same seed tries the same inputs; unless given, another one each time.
    #[arg(long)]
    seed: Option<u64>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    execute(&mut cargo([
        "build",
        "--quiet",
        "--profile",
        "fuzz",
        "--package",
        "fuzz",
    ]))?;
    let mut search = Command::new(workspace().join("target/fuzz/fuzz"));
    search
        .args([&args.target, "--seconds", &args.seconds.to_string()])
        .current_dir(workspace());
    if let Some(seed) = args.seed {
        search.args(["--seed", &seed.to_string()]);
    }
    execute(&mut search)
}
