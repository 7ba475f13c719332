//! `man`: the manual, made from what the command line knows of itself.

use std::fmt::{self, Display};
use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_mangen::Man as Page;
use serde::Serialize;

use super::Arguments;
use super::inputs::name;
use super::report::{Report, Schema};
use crate::files::{self, Kind as FileKind};
use crate::{Error, Failure};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Man {
    /// The verb, such as sign or pki issue; where it is left out, the program
    #[arg(conflicts_with_all = ["out_dir", "force"])]
    verb: Vec<String>,
    /// Write the pages of all verbs into this folder, which is there
    #[arg(long, value_name = "FOLDER")]
    out_dir: Option<PathBuf>,
    /// Replace existing pages
    #[arg(long, requires = "out_dir")]
    force: bool,
}

pub(super) fn run(arguments: &Man) -> Result<Report, Failure> {
    // Each verb has a page of its own; `help` only repeats them.
    let mut program = Arguments::command().disable_help_subcommand(true);
    program.build();
    let Some(folder) = &arguments.out_dir else {
        let wanted = arguments.verb.iter().try_fold(&program, |command, verb| {
            command
                .find_subcommand(verb)
                .ok_or_else(|| Failure::from(Error::VerbUnknown).with_detail(verb))
        })?;
        let page = rendered(wanted);
        return Ok(Report::Text(String::from_utf8_lossy(&page).into_owned()));
    };
    let kind = FileKind::Output {
        force: arguments.force,
    };
    let mut pages = Vec::new();
    collect(&program, &mut pages);
    let mut written = Vec::new();
    for (file, _) in &pages {
        files::check_output(&folder.join(file), kind, &[])?;
    }
    for (file, page) in pages {
        let path = folder.join(file);
        files::write(&path, kind, &[&page])?;
        written.push(name(&path));
    }
    Ok(Report::of(Pages { pages: written }))
}

#[derive(Debug, Serialize)]
struct Pages {
    pages: Vec<String>,
}

impl Schema for Pages {
    const NAME: &'static str = "corewarden-sign/man";
}

impl Display for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pages.iter().try_for_each(|page| writeln!(f, "{page}"))
    }
}

/// The pages of a command and of all below it, each with its file's name.
fn collect(command: &clap::Command, pages: &mut Vec<(String, Vec<u8>)>) {
    let file = Page::new(command.clone()).get_filename();
    pages.push((file, rendered(command)));
    for verb in command.get_subcommands() {
        collect(verb, pages);
    }
}

fn rendered(command: &clap::Command) -> Vec<u8> {
    let mut page = Vec::new();
    // Writing to memory cannot fail.
    let _ = Page::new(command.clone()).render(&mut page);
    page
}

const EXAMPLES: &str = "\
Examples:
  corewarden-sign man sign
  corewarden-sign man pki issue
  corewarden-sign man --out-dir pages";
