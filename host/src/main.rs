//! The program `corewarden`.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::{CommandFactory, Parser};
use corewarden::cli::{Arguments, Command, Exit, ThisMachine, exit, print, run};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Command::Completions { shell } = arguments.command {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Arguments::command(), "corewarden", &mut script);
        return end(Exit::Done, io::stdout().write_all(&script));
    }
    let interrupted = Arc::new(AtomicBool::new(false));
    // Under nohup a hangup is nobody's business.
    let hangup = (!is_ignored(SIGHUP)).then_some(SIGHUP);
    for signal in [SIGINT, SIGTERM].into_iter().chain(hangup) {
        // The first one ends the waiting and cleans up, the second one ends the program.
        let second = flag::register_conditional_default(signal, Arc::clone(&interrupted));
        let first = flag::register(signal, Arc::clone(&interrupted));
        if let Err(error) = second.and(first) {
            let _ = writeln!(io::stderr(), "corewarden: signal {signal}: {error}");
            return ExitCode::from(Exit::System.code());
        }
    }
    let mut machine = ThisMachine::default();
    if let Command::Attach(attach) = &arguments.command {
        machine.doorbell.clone_from(&attach.doorbell);
    }
    let result = run(&arguments, &mut machine, &interrupted);
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    let printed = print(&result, arguments.json, &mut out, &mut err);
    end(exit(&result), printed)
}

/// Whether whoever started this program wants a signal ignored; where the system does not say, not.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// Whoever closed the pipe has read enough; any other trouble with the output is one.
fn end(exit: Exit, printed: io::Result<()>) -> ExitCode {
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            ExitCode::from(Exit::System.code())
        }
        _ => ExitCode::from(exit.code()),
    }
}
