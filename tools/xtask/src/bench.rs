//! `cargo xtask bench`: figures, printed beside what they are compared to.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::run::say;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to measure.
    #[arg(value_enum)]
    what: Option<What>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum What {
    /// Loading, beside the bare copy and hash of the same bytes.
    Load,
    /// RPMsg round trips between Linux and the core.
    Echo,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    crate::run::ensure_packages(false)?;
    let figures = bench::Bench::boot(&say)?;
    let rows = match args.what {
        Some(What::Load) => figures.load()?,
        Some(What::Echo) => figures.echo()?,
        None => figures.all()?,
    };
    print!("{}", bench::table(&rows));
    Ok(())
}

/// Measures everything and gives the names of the rows.
pub(crate) fn run_all() -> Result<BTreeSet<String>> {
    let rows = bench::Bench::boot(&say)?.all()?;
    print!("{}", bench::table(&rows));
    Ok(rows.into_iter().map(|row| row.name.to_owned()).collect())
}
