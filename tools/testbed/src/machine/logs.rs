//! The files of the run folder that the supervisor writes.

use std::fmt::Display;
use std::fs::{File, OpenOptions, remove_file};
use std::io::{ErrorKind, Write};
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

/// An empty log of this name in the run folder. Everything is appended: children write through it too.
pub(super) fn create(folder: &Path, name: &str) -> Result<File, Fault> {
    let path = folder.join(name);
    // What an earlier run in the same folder wrote would be taken for this run's.
    match remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => OpenOptions::new().append(true).create(true).open(&path),
    }
    .doing("create a log in the run folder")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_in_the_same_folder_begins_with_empty_logs() {
        let folder = std::env::temp_dir().join(format!("corewarden-logs-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for _ in 0..2 {
            let mut logs = Logs::create(&folder).unwrap();
            logs.linux(Duration::from_millis(1500), "text");
        }
        let text = std::fs::read_to_string(folder.join("linux.log")).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(text, "[   1.500] text\n");
    }
}
