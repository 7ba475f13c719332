//! The command line: arguments in, one value out, printed in one place.

mod against;
mod attach;
mod certificates;
mod completions;
mod convert;
mod csr;
mod diff;
mod doctor;
mod inputs;
mod inspect;
mod keygen;
mod lint;
mod man;
mod options;
mod passphrase;
mod pki;
mod prepare;
mod report;
mod resign;
mod second;
mod sign;
mod signers;
mod strip;
mod trust_update;
mod verify;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use report::{Report, USAGE};

use crate::Failure;

/// Sign firmware for coprocessors, and judge signed firmware as a device does.
#[derive(Debug, Parser)]
#[command(name = NAME, bin_name = NAME, version, after_help = AFTER_HELP)]
struct Arguments {
    /// Print JSON with a schema name and version
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Put signatures into prepared bundles, all or none
    Attach(attach::Attach),
    /// Print a completion script
    Completions(completions::Completions),
    /// Turn a file of OP-TEE's sign_rproc_fw into a bundle
    Convert(convert::Convert),
    /// Ask for a certificate for a key, wherever the key is
    Csr(csr::Csr),
    /// Compare two bundles field by field; signatures are left aside
    Diff(diff::Diff),
    /// Try whether key, token, certificates and platform are there and fit together
    Doctor(doctor::Doctor),
    /// Show what a file is and says of itself; judges no signature
    Inspect(inspect::Inspect),
    /// Make a private key
    Keygen(keygen::Keygen),
    /// Find everything that would keep an ELF from running on a core
    Lint(lint::Lint),
    /// Print the manual page of a verb, or write the pages of all
    Man(man::Man),
    /// Make and show certificates
    #[command(subcommand)]
    Pki(pki::Pki),
    /// Prepare bundles for a signature that is made elsewhere
    Prepare(prepare::Prepare),
    /// Sign a bundle anew: the same content, another signer
    Resign(resign::Resign),
    /// Sign an ELF: NAME.elf becomes NAME.cwfw
    Sign(sign::Sign),
    /// Take the signature off: the ELF as it was signed
    Strip(strip::Strip),
    /// Make and show what devices no longer trust
    #[command(subcommand)]
    TrustUpdate(trust_update::TrustUpdateCommand),
    /// Judge a bundle by a root certificate, and as a device's core would
    Verify(verify::Verify),
}

/// Runs the command line `arguments`, the program's name first: data to standard output, talk to standard error.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let words: Vec<OsString> = arguments.into_iter().collect();
    let arguments = match Arguments::try_parse_from(&words) {
        Ok(arguments) => arguments,
        Err(error) => return unparsed(&words, &error),
    };
    match run(&arguments) {
        Ok(report) => print(&report.text(arguments.json), report.code()),
        Err(failure) => {
            eprintln!("corewarden-sign: {failure}");
            let code = failure.error.exit_code();
            if arguments.json {
                return print(&Report::failure(&failure).text(true), code);
            }
            ExitCode::from(code)
        }
    }
}

/// Help and versions were asked for; all else is wrong usage, of which programs are told as of any other failure.
fn unparsed(words: &[OsString], error: &clap::Error) -> ExitCode {
    // Nobody is left to hear that help could not be printed.
    let _ = error.print();
    if !error.use_stderr() {
        return ExitCode::SUCCESS;
    }
    let mut options = words.iter().take_while(|word| *word != "--");
    if options.any(|word| word == "--json") {
        return print(&Report::usage(error).text(true), USAGE);
    }
    ExitCode::from(USAGE)
}

fn run(arguments: &Arguments) -> Result<Report, Failure> {
    match &arguments.command {
        Command::Attach(attach) => attach::run(attach),
        Command::Completions(completions) => Ok(completions::run(completions)),
        Command::Convert(convert) => convert::run(convert),
        Command::Csr(csr) => csr::run(csr),
        Command::Diff(diff) => diff::run(diff),
        Command::Doctor(doctor) => doctor::run(doctor),
        Command::Inspect(inspect) => inspect::run(inspect),
        Command::Keygen(keygen) => keygen::run(keygen),
        Command::Lint(lint) => lint::run(lint),
        Command::Man(man) => man::run(man),
        Command::Pki(pki) => pki::run(pki),
        Command::Prepare(prepare) => prepare::run(prepare),
        Command::Resign(resign) => resign::run(resign),
        Command::Sign(sign) => sign::run(sign),
        Command::Strip(strip) => strip::run(strip),
        Command::TrustUpdate(command) => trust_update::run(command),
        Command::Verify(verify) => verify::run(verify),
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

/// The program's name, whatever the file is called that is run.
const NAME: &str = "corewarden-sign";

const AFTER_HELP: &str = "\
Examples:
  corewarden-sign keygen --out signer.key --public-out signer.pub --passphrase-env KEY_PASSPHRASE
  corewarden-sign sign motor.elf --platform board.toml --core m4 --security-version 3 \\
      --key signer.key --cert signer.pem --cert product-ca.pem --root root.pem
  corewarden-sign verify motor.cwfw --root root.pem --platform board.toml --core m4

Environment:
  What stays the same from call to call can stand in the environment instead: each option that says
  [env: NAME] takes its value from there when it is not given. There is no configuration file.

Exit codes:
  0  done
  1  diff: the bundles differ
  2  usage: an option is missing or wrong
  3  the input is malformed or cut off
  4  a signature or digest is wrong
  5  refused by the chain, the platform or the device's policy
  6  the key, its token, its program, or the passphrase or PIN does not do
  7  the file system said no
  8  already signed, or something would be overwritten";
