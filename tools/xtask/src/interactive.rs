//! `cargo xtask testbed`: an interactive Linux console beside the core.

use std::time::Duration;

use anyhow::Result;

use tests::images::Workshop;

use crate::run::say;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Install missing packages of this machine without asking.
    #[arg(long)]
    yes: bool,
    /// End the machine after this many minutes, whatever happens.
    #[arg(long, value_name = "MINUTES", default_value_t = 240)]
    limit: u64,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    crate::run::ensure_packages(args.yes)?;
    let workshop = Workshop::open(&say)?;
    let mut machine = workshop.interactive(Duration::from_secs(args.limit * 60))?;
    println!(
        "Bundles are in /fw; try `corewarden status`, `corewarden load /fw/echo.cwfw`, `corewarden start`,"
    );
    println!(
        "`corewarden attach --ping 10`. `poweroff -f` ends the machine, Ctrl-] leaves it at once."
    );
    machine.interact()?;
    Ok(())
}
