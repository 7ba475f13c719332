//! `cargo xtask lock --update`: renews the pins of the test bed's downloads.

use std::fs;

use anyhow::{Context, Result, bail};

use tests::images::workspace;

use crate::run::say;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Look up what the suites have now and write it down.
    #[arg(long)]
    update: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if !args.update {
        bail!("nothing to do: `cargo xtask lock --update` renews the pins");
    }
    let lock = testbed::lock::update(&testbed::Cache::open()?, &say)?;
    let path = workspace().join("tools/testbed/testbed.lock.toml");
    let fresh = path.with_extension("toml.new");
    fs::write(&fresh, lock.to_toml()?).with_context(|| fresh.display().to_string())?;
    fs::rename(&fresh, &path).with_context(|| path.display().to_string())?;
    println!(
        "{} is renewed; look at the difference before you commit it",
        path.display()
    );
    Ok(())
}
