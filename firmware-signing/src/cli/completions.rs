//! `completions`: a script that completes the command line in a shell.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::report::Report;
use super::{Arguments, NAME};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Completions {
    /// For which shell
    shell: Shell,
}

pub(super) fn run(arguments: &Completions) -> Report {
    let mut program = Arguments::command();
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut program, NAME, &mut script);
    let mut script = String::from_utf8_lossy(&script).into_owned();
    if arguments.shell == Shell::Bash {
        for name in hyphenated(&program) {
            // clap issue 6421: the script looks for these names in one spelling and remembers them in another.
            let (sought, remembered) = (name.replace('-', "__subcmd__"), name.replace('-', "__"));
            script = script.replace(&sought, &remembered);
        }
    }
    Report::Text(script)
}

fn hyphenated(command: &clap::Command) -> Vec<String> {
    let below = command.get_subcommands().flat_map(hyphenated);
    let own = Some(command.get_name().to_owned()).filter(|name| name.contains('-'));
    own.into_iter().chain(below).collect()
}

const EXAMPLES: &str = "\
Examples:
  corewarden-sign completions bash
  corewarden-sign completions zsh";
