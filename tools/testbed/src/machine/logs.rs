//! The files of the run folder that the supervisor writes.

use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use super::error::{Doing, Fault};

/// One file for each source, times since the start of the machine.
pub(super) struct Logs {
    core: File,
    /// What QEMU B itself has to say.
    pub(super) core_errors: File,
    linux: File,
    supervisor: File,
}

impl Logs {
    pub(super) fn create(folder: &Path) -> Result<Self, Fault> {
        Ok(Self {
            core: create(folder, "core.log")?,
            core_errors: create(folder, "core.err")?,
            linux: create(folder, "linux.log")?,
            supervisor: create(folder, "supervisor.log")?,
        })
    }

    // A full disk must not end the run: what is judged is in memory.

    pub(super) fn core(&mut self, at: Duration, rung: &[u8]) {
        let _ = writeln!(
            self.core,
            "[{:8.3}] rang {}",
            at.as_secs_f64(),
            rung.escape_ascii()
        );
    }

    pub(super) fn linux(&mut self, at: Duration, line: &str) {
        let _ = writeln!(self.linux, "[{:8.3}] {line}", at.as_secs_f64());
    }

    pub(super) fn supervisor(&mut self, at: Duration, what: impl Display) {
        let _ = writeln!(self.supervisor, "[{:8.3}] {what}", at.as_secs_f64());
    }
}

/// A log of this name in the run folder.
pub(super) fn create(folder: &Path, name: &str) -> Result<File, Fault> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(folder.join(name))
        .doing("create a log in the run folder")
}
