//! `strip`: from a bundle back to the ELF that was signed.

use std::fmt::{self, Display};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::inputs::{MAX_INPUT, name};
use super::report::{Report, Schema};
use crate::files::{self, Kind as FileKind};
use crate::resign::Whole;
use crate::{Failure, hex};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Strip {
    /// The bundle; every signature it has must hold
    bundle: PathBuf,
    /// File for the ELF, byte for byte as it was signed
    #[arg(long)]
    out: PathBuf,
    /// Replace an existing output
    #[arg(long)]
    force: bool,
}

pub(super) fn run(arguments: &Strip) -> Result<Report, Failure> {
    let path = &arguments.bundle;
    let kind = FileKind::Output {
        force: arguments.force,
    };
    files::check_output(&arguments.out, kind, &[path])?;
    let bytes = files::read(path, MAX_INPUT)?;
    let whole = Whole::read(&bytes).map_err(Failure::at(path))?;
    files::write(&arguments.out, kind, &[whole.elf()])?;
    Ok(Report::of(Answer {
        elf: name(&arguments.out),
        size: whole.elf().len() as u64,
        digest: hex(whole.digest()),
    }))
}

#[derive(Debug, Serialize)]
struct Answer {
    elf: String,
    size: u64,
    /// Of the bundle that it was.
    digest: String,
}

impl Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} bytes of ELF; nobody vouches for it any more",
            self.elf, self.size
        )
    }
}

impl Schema for Answer {
    const NAME: &'static str = "corewarden-sign/strip";
}

const EXAMPLES: &str = "\
Examples:
  corewarden-sign strip motor.cwfw --out motor.elf";
