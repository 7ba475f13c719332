//! The command corewarden-sign.

use std::process::ExitCode;

fn main() -> ExitCode {
    firmware_signing::cli::main(std::env::args_os())
}
