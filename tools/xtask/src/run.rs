//! Running other programs, with the step's name and time printed.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Write, stdout},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail};
use tests::images::workspace;

/// `cargo`, as it called us, in the workspace's folder and never waiting for an answer.
pub(crate) fn cargo<I, S>(arguments: I) -> Command
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(arguments)
        .current_dir(workspace())
        .stdin(Stdio::null());
    command
}

/// Runs `work` under a headline and prints how long it took.
pub(crate) fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("==> {name}");
    let begin = Instant::now();
    let value = work().with_context(|| format!("step failed: {name}"))?;
    println!("    {name}: {:.1} s", begin.elapsed().as_secs_f64());
    Ok(value)
}

/// Runs `command`; a status other than success is an error that repeats the command.
pub(crate) fn execute(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {command:?}"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}

/// Runs `command`, passes its standard output on line by line, and returns those lines too.
pub(crate) fn execute_and_read(command: &mut Command) -> Result<Vec<String>> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    let mut lines = Vec::new();
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).lines() {
            let line = line.context("output is not UTF-8")?;
            println!("{line}");
            lines.push(line);
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(lines)
}

/// One line of progress; who closed the pipe does not want it.
pub(crate) fn say(line: &str) {
    let _ = print(&format!("    {line}"));
}

/// One line of what was asked for. A closed pipe (`| head`) is an error here, not a panic.
pub(crate) fn print(line: &str) -> Result<()> {
    writeln!(stdout(), "{line}").context("standard output")
}

/// Installs what is missing on this machine: at once with `yes` or in CI, else after asking.
pub(crate) fn ensure_packages(yes: bool) -> Result<()> {
    let missing = testbed::host::missing_packages()?;
    if missing.is_empty() {
        return Ok(());
    }
    let yes = yes || std::env::var_os("CI").is_some();
    say(&format!(
        "{} of Debian's packages are missing on this machine",
        missing.len()
    ));
    testbed::host::install_packages(&missing, &|question| yes || ask(question))
}

/// Asks on the terminal; without one the answer is no.
fn ask(question: &str) -> bool {
    use std::io::IsTerminal;
    if !std::io::stdin().is_terminal() {
        eprintln!("{question}\nThis would be run, but there is no terminal to ask on; say --yes");
        return false;
    }
    eprint!("{question} [y/N] ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).is_ok() && answer.trim().eq_ignore_ascii_case("y")
}
