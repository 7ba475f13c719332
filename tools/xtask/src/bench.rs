//! `cargo xtask bench`: figures, printed beside what they are compared to.

use std::{collections::BTreeSet, path::Path, time::Instant};

use anyhow::{Context, Result, ensure};

use crate::{
    dist,
    run::{cargo, say},
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to measure.
    #[arg(value_enum)]
    what: Option<What>,
    /// So many round trips are measured by `echo`.
    #[arg(long, value_name = "COUNT", default_value_t = bench::ECHOES)]
    echoes: u32,
    /// Install missing packages of this machine without asking.
    #[arg(long)]
    yes: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum What {
    /// Loading, beside the bare copy and hash of the same bytes.
    Load,
    /// RPMsg round trips between Linux and the core.
    Echo,
    /// Text and RAM of the smallest echo device on a Cortex-M4.
    Footprint,
    /// The rings alone, on this machine: instructions, nanoseconds, two cores.
    Rpmsg,
    /// Signing, beside OpenSSL and other signing tools.
    Sign,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    crate::run::ensure_packages(args.yes)?;
    if let Some(What::Rpmsg) = args.what {
        print!("{}", bench::table(&bench::rpmsg()?));
        return Ok(());
    }
    if let Some(What::Footprint) = args.what {
        print!("{}", bench::table(&bench::footprint(&say)?));
        return Ok(());
    }
    if let Some(What::Sign) = args.what {
        let signer = dist::release_signer()?;
        let stolen = bench::Stolen::begin();
        print(&sign(&signer)?, &stolen);
        return Ok(());
    }
    let figures = bench::Bench::boot(&say)?;
    let stolen = bench::Stolen::begin();
    let rows = match args.what {
        Some(What::Load) => figures.load()?,
        Some(What::Echo) => figures.echo(args.echoes)?,
        Some(What::Footprint) => bench::footprint(&say)?,
        Some(What::Rpmsg) => bench::rpmsg()?,
        Some(What::Sign) => sign(&dist::release_signer()?)?,
        None => all(&figures)?,
    };
    print(&rows, &stolen);
    Ok(())
}

/// Measures everything and gives the names of the rows.
pub(crate) fn run_all() -> Result<BTreeSet<String>> {
    let figures = bench::Bench::boot(&say)?;
    let stolen = bench::Stolen::begin();
    let rows = all(&figures)?;
    print(&rows, &stolen);
    Ok(rows.into_iter().map(|row| row.name.to_owned()).collect())
}

fn print(rows: &[bench::Row], stolen: &bench::Stolen) {
    print!("{}", bench::table(rows));
    if let Some(percent) = stolen.percent() {
        println!("Of the processors' time the hypervisor gave {percent:.0} % to others meanwhile.");
    }
}

fn all(figures: &bench::Bench) -> Result<Vec<bench::Row>> {
    let mut rows = figures.all()?;
    rows.extend(bench::footprint(&say)?);
    rows.extend(sign(&dist::release_signer()?)?);
    rows.push(demo()?);
    Ok(rows)
}

/// Signing with the program as it is shipped, beside OP-TEE's own.
fn sign(signer: &Path) -> Result<Vec<bench::Row>> {
    let cache = testbed::Cache::open()?;
    let assets = testbed::fetch::obtain(&cache, &testbed::Lock::committed()?, &say)?;
    let rproc = assets.dev_kit.join("scripts/sign_rproc_fw.py");
    let rproc = Some(rproc).filter(|path| path.is_file());
    bench::sign::figures(signer, rproc.as_deref())
}

/// The whole story, as a user sees it; what it needs has been built by now.
fn demo() -> Result<bench::Row> {
    let begin = Instant::now();
    // By cargo: this very program's file may have been built anew while it ran.
    let output = cargo(["xtask", "demo", "--yes"])
        .output()
        .context("the demo does not start")?;
    let time = begin.elapsed();
    ensure!(
        output.status.success(),
        "the demo ended with {}:\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(bench::Row {
        name: "demo_warm",
        what: "the demo from its first word to its last, warm".to_owned(),
        figure: time.as_secs_f64(),
        unit: "s",
        target: 25.0,
        beside: "boot_to_shell is a part of it".to_owned(),
    })
}
