//! `cargo xtask ta`: builds the Trusted Application and passes its gate.

use std::path::PathBuf;

use anyhow::Result;

use tests::images::Workshop;

use crate::run::say;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The platform file.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "ta/platforms/qemu-virt.toml"
    )]
    platform: PathBuf,
    /// Install missing packages of this machine without asking.
    #[arg(long)]
    yes: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    crate::run::ensure_packages(args.yes)?;
    let workshop = Workshop::open(&say)?;
    let ta = workshop.ta(&args.platform, false)?;
    println!("{}: {} bytes signed", ta.elf.display(), ta.signed_size);
    Ok(())
}
