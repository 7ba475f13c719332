//! The command line: arguments in, one value out, printed in one place.

mod args;
mod commands;
mod passphrase;
mod report;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use args::{Arguments, Command, PkiCommand};
use report::Report;

use crate::Failure;

/// Runs the command line `arguments`, the program's name first: data to standard output, talk to standard error.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = if error.use_stderr() { 2 } else { 0 };
            // Nobody is left to hear that help could not be printed.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let json = arguments.json;
    match run(arguments) {
        Ok(report) => print(&report.text(json), 0),
        Err(failure) => {
            eprintln!("corewarden-sign: {failure}");
            let code = failure.error.exit_code();
            if json {
                return print(&Report::failure(&failure).text(true), code);
            }
            ExitCode::from(code)
        }
    }
}

fn run(arguments: Arguments) -> Result<Report, Failure> {
    match arguments.command {
        Command::Completions { shell } => Ok(commands::completions(shell)),
        Command::Inspect(inspect) => commands::inspect(&inspect),
        Command::Keygen(keygen) => commands::keygen(&keygen),
        Command::Pki(PkiCommand::Init(init)) => commands::pki_init(&init),
        Command::Pki(PkiCommand::Issue(issue)) => commands::pki_issue(&issue),
        Command::Pki(PkiCommand::Show { certificate }) => commands::pki_show(&certificate),
        Command::Sign(sign) => commands::sign(&sign),
        Command::Verify(verify) => commands::verify(&verify),
    }
}

/// A reader that went away is no error of ours; any other is one of the file system.
fn print(text: &str, code: u8) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::from(code),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(code),
        Err(error) => {
            let _ = writeln!(io::stderr(), "corewarden-sign: standard output: {error}");
            ExitCode::from(7)
        }
    }
}
