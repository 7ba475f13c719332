//! `completions`: a script that completes the command line in a shell.

use clap::CommandFactory;

use super::Arguments;
use super::report::Report;

#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// For which shell
    shell: clap_complete::Shell,
}

pub(super) fn run(arguments: &Completions) -> Report {
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut Arguments::command(),
        "corewarden-sign",
        &mut script,
    );
    Report::Text(String::from_utf8_lossy(&script).into_owned())
}
