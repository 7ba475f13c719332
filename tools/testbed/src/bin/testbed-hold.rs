//! Holds a machine until it is ended by a signal: the victim in the tests of what such an end leaves behind.
//!
//! Boots, types a command that starts the core, says "held A B" with both process ids, and waits. It dies with the thread
//! that started it, so that a test which is killed leaves no machine behind.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use rustix::process::{Signal, set_parent_process_death_signal};
use testbed::Qemu;
use testbed::machine::{Config, Core, Error, Machine};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [qemu, kernel, flash, initrd, logs, command] = arguments.as_slice() else {
        eprintln!("usage: testbed-hold QEMU_ROOT|system KERNEL FLASH INITRD RUN_FOLDER COMMAND");
        return ExitCode::FAILURE;
    };
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        eprintln!("no death signal: {error}");
        return ExitCode::FAILURE;
    }
    let qemu = match qemu.as_str() {
        "system" => Qemu::System,
        root => Qemu::Unpacked(root.into()),
    };
    let [kernel, flash, initrd, logs] = [kernel, flash, initrd, logs].map(PathBuf::from);
    match hold(Config::new(qemu, kernel, flash, initrd, logs), command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn hold(config: Config, command: &str) -> Result<(), Error> {
    let mut machine = Machine::start(config)?;
    machine.boot(MINUTE)?;
    machine.succeed(command, MINUTE)?;
    machine.wait_core(Core::Running, MINUTE)?;
    let (board, core) = machine.process_ids();
    println!("held {board} {}", core.unwrap_or_default());
    // The machine's own limit ends this where no signal does.
    machine.wait_end(2 * MINUTE).map(|_| ())
}

const MINUTE: Duration = Duration::from_secs(60);
