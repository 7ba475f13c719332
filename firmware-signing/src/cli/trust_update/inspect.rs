//! `trust-update inspect`: what an update says, and whether roots said so.

use std::path::PathBuf;

use ::trust_update::{MAX_SIZE, TrustUpdate};
use clap::Args;

use super::super::inputs::{given_roots, name};
use super::super::report::Report;
use super::Answer;
use crate::trust_update::verify;
use crate::{Error, Failure, files};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Inspect {
    /// The trust update
    file: PathBuf,
    /// A root certificate that is pinned for slot 0 (repeat for more)
    #[arg(long = "root", value_name = "CERTIFICATE")]
    roots: Vec<PathBuf>,
    /// A root certificate that is pinned for slot 1 (repeat for more)
    #[arg(long = "second-root", value_name = "CERTIFICATE")]
    second_roots: Vec<PathBuf>,
}

pub(super) fn run(arguments: &Inspect) -> Result<Report, Failure> {
    let path = &arguments.file;
    let failed = Failure::at(path);
    let bytes = files::read(path, MAX_SIZE as u64)?;
    if bytes.is_empty() {
        return Err(failed(Error::InputEmpty));
    }
    let roots = given_roots([&arguments.roots, &arguments.second_roots])?;
    let update = TrustUpdate::parse(&bytes).map_err(Error::from);
    let update = update.map_err(&failed)?;
    let trust = if roots.is_empty() {
        "not judged"
    } else {
        verify(&bytes, &roots).map_err(&failed)?;
        "signatures hold"
    };
    let answer = Answer::new(name(path), trust, &update).map_err(&failed)?;
    Ok(Report::of(answer))
}

const EXAMPLES: &str = "\
Examples:
  corewarden-sign trust-update inspect update.cwtu
  corewarden-sign trust-update inspect update.cwtu --root root.pem";
