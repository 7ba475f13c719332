//! `fuzz TARGET --seconds N`: a search on stable, which keeps what it finds.

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use fuzz::{TARGETS, Target, search, target};

#[derive(Parser)]
#[command(name = "fuzz")]
struct Cli {
    /// Which entry point, or `all` for one after the other.
    #[arg(value_parser = targets().collect::<Vec<_>>())]
    target: String,
    /// For how long, each.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The same seed tries the same inputs; unless given, another one each time.
    #[arg(long)]
    seed: Option<u64>,
    /// Where an input is kept that makes the target panic.
    #[arg(long, default_value = "target/fuzz-findings")]
    keep: PathBuf,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<bool> {
    let mut found_nothing = true;
    for name in targets().filter(|name| *name != ALL) {
        if cli.target != ALL && cli.target != name {
            continue;
        }
        let target = target(name).context("a target")?;
        found_nothing &= look(cli, target)?;
    }
    Ok(found_nothing)
}

/// Searches one target; whether nothing was found.
fn look(cli: &Cli, target: &Target) -> Result<bool> {
    let seed = cli.seed.unwrap_or_else(rand);
    let begin = Instant::now();
    let time = Duration::from_secs(cli.seconds);
    let mut last = 0;
    let finding = search(target, seed, |tried| {
        last = tried;
        begin.elapsed() >= time
    })?;
    let name = target.name;
    let Some(finding) = finding else {
        println!("{name}: nothing in {last} inputs, seed {seed}");
        return Ok(true);
    };
    let file = finding.keep(&cli.keep, name, seed)?;
    println!(
        "{name}: input {} makes it panic, and is in {}",
        finding.tried,
        file.display()
    );
    Ok(false)
}

/// Another number each time.
fn rand() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(env::args().count())
}

fn targets() -> impl Iterator<Item = &'static str> {
    TARGETS.iter().map(|target| target.name).chain([ALL])
}

const ALL: &str = "all";
