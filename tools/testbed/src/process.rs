//! Running other programs: their output goes to a log, their failure names it.

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, bail};

use crate::Result;

/// The path in which the distribution's own tools are found first; OP-TEE's scripts need its python3.
pub(crate) const SYSTEM_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// A command that sees only the system's tools and plain English.
pub(crate) fn system_command(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env("PATH", SYSTEM_PATH)
        .env("LC_ALL", "C.UTF-8")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env_remove("MAKEFLAGS")
        .env_remove("MFLAGS")
        .stdin(Stdio::null());
    command
}

/// Runs `command` with all output in `log`; a failure shows the log's end and says where it is.
pub(crate) fn run_logged(command: &mut Command, log: &Path) -> Result<()> {
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let file = File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
    let status = command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .status()
        .with_context(|| format!("cannot start {:?}", command.get_program()))?;
    if !status.success() {
        let text = fs::read(log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let end = lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n");
        bail!(
            "{:?} ended with {status}; its log is {}, and ends:\n{end}",
            command.get_program(),
            log.display()
        );
    }
    Ok(())
}

/// Runs `command` and returns its standard output; a failure repeats what it said.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {:?}", command.get_program()))?;
    if !output.status.success() {
        bail!(
            "{command:?} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

const LINES_SHOWN: usize = 25;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_log_and_shows_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("a.log");
        let mut command = system_command("sh");
        let error = run_logged(command.args(["-c", "echo spoken; exit 3"]), &log).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("spoken") && text.contains("a.log"), "{text}");
    }

    #[test]
    fn output_is_returned() {
        assert_eq!(
            read(system_command("sh").args(["-c", "echo yes"])).unwrap(),
            "yes\n"
        );
    }
}
