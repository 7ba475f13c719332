//! `diff`: two bundles, field by field.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::inputs::{MAX_INPUT, name};
use super::report::{Report, Schema};
use crate::diff::{Difference, diff};
use crate::resign::Whole;
use crate::{Failure, files};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Diff {
    /// A bundle
    first: PathBuf,
    /// Another one
    second: PathBuf,
    /// Leave aside who signed: certificates as well as signatures
    #[arg(long)]
    content_only: bool,
}

/// Bundles that differ end with exit code 1, as every `diff` has it.
pub(super) fn run(arguments: &Diff) -> Result<Report, Failure> {
    let first_bytes = files::read(&arguments.first, MAX_INPUT)?;
    let second_bytes = files::read(&arguments.second, MAX_INPUT)?;
    let first = whole(&arguments.first, &first_bytes)?;
    let second = whole(&arguments.second, &second_bytes)?;
    let differences = diff(&first, &second, !arguments.content_only);
    let equal = differences.is_empty();
    let answer = Answer {
        first: name(&arguments.first),
        second: name(&arguments.second),
        equal,
        differences,
    };
    Ok(Report::verdict(answer, u8::from(!equal)))
}

fn whole<'a>(path: &Path, bytes: &'a [u8]) -> Result<Whole<'a>, Failure> {
    Whole::read(bytes).map_err(Failure::at(path))
}

#[derive(Debug, Serialize)]
struct Answer {
    first: String,
    second: String,
    equal: bool,
    differences: Vec<Difference>,
}

impl Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.equal {
            return writeln!(f, "no difference but signatures");
        }
        let shown = |value: &Option<String>| value.clone().unwrap_or("(absent)".to_owned());
        self.differences.iter().try_for_each(|one| {
            writeln!(f, "{}:", one.field)?;
            writeln!(f, "  - {}", shown(&one.first))?;
            writeln!(f, "  + {}", shown(&one.second))
        })
    }
}

impl Schema for Answer {
    const NAME: &'static str = "corewarden-sign/diff";
}

const EXAMPLES: &str = "\
Examples:
  corewarden-sign diff mine.cwfw theirs.cwfw
  corewarden-sign diff development.cwfw release.cwfw --content-only

Ends with 0 where nothing but signatures differs, and with 1 where something does.";
