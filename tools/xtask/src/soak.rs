//! `cargo xtask soak`: two processes over one window, each killed without a warning, for as long as wanted.

use std::process::Command;

use anyhow::Result;

use crate::run::execute;

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask soak\n  cargo xtask soak --messages 100000000   # the long run, with 200 kills\n  cargo xtask soak --symmetric --packed     # another of the four kinds of links"
)]
pub(crate) struct Args {
    /// How many messages have to arrive, both ways together.
    #[arg(long, default_value_t = 1_000_000)]
    messages: u32,
    /// How often one of the two is killed; unless said otherwise once in 500,000 messages.
    #[arg(long)]
    kills: Option<u32>,
    /// Over packed rings.
    #[arg(long)]
    packed: bool,
    /// With each side's buffers its own (docs/rpmsg-rings.md 4).
    #[arg(long)]
    symmetric: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let kills = args.kills.unwrap_or((args.messages / 500_000).max(FEW));
    let program = bench::rings()?;
    execute(
        Command::new(program)
            .args(["soak", "--messages", &args.messages.to_string()])
            .args(["--kills", &kills.to_string()])
            .args(args.packed.then_some("--packed"))
            .args(args.symmetric.then_some("--symmetric")),
    )
}

/// Each side three times.
const FEW: u32 = 6;
