//! What a machine leaves behind when it is ended in the middle of its work: nothing but its logs.
//!
//! The board of the other tests stays as it is; the machines ended here are further ones with the same images.

use std::{
    collections::BTreeSet,
    env, fs,
    io::{BufRead, BufReader},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use testbed::{
    Qemu,
    machine::{Config, Core, Fault, Machine, PanicPoint, Watch, children},
};

use crate::{board::Board, board::PATIENCE, images::workspace, suite::Test, tests};

pub(super) const TESTS: &[Test] = tests![
    a_supervisor_ended_by_a_signal_leaves_nothing_behind,
    a_supervisor_that_panics_at_any_point_leaves_nothing_behind,
    a_machine_at_its_time_limit_leaves_nothing_behind,
];

fn a_supervisor_ended_by_a_signal_leaves_nothing_behind(board: &mut Board) -> Result<()> {
    let program = hold_program()?;
    for (signal, number) in [("INT", 2), ("TERM", 15), ("KILL", 9)] {
        let config = further(board, signal);
        let scratch = config.logs.join("tmp");
        fs::create_dir_all(&scratch)?;
        let mut holder = hold(&program, &config, &scratch)?;
        let held = held(&mut holder)?;
        let all = children(holder.id())?;
        ensure!(
            held.iter().all(|id| all.contains(id)),
            "{held:?} are not among the children {all:?}"
        );
        let watches = all
            .into_iter()
            .map(Watch::process)
            .collect::<Result<Vec<_>, _>>()?;
        let kill = format!("kill -{signal} {}", holder.id());
        ensure!(
            Command::new("/bin/sh")
                .args(["-c", &kill])
                .status()?
                .success(),
            "{kill}"
        );
        let ended = holder.wait()?;
        ensure!(ended.signal() == Some(number), "after SIG{signal}: {ended}");
        for watch in &watches {
            ensure!(watch.is_gone(SOON), "a child outlives SIG{signal}");
        }
        ensure!(
            fs::read_dir(&scratch)?.next().is_none(),
            "SIG{signal} leaves a temporary file"
        );
        fs::remove_dir(&scratch)?;
        only_logs(&config.logs)?;
    }
    Ok(())
}

fn a_supervisor_that_panics_at_any_point_leaves_nothing_behind(board: &mut Board) -> Result<()> {
    for point in PanicPoint::ALL {
        let mut config = further(board, &format!("{point:?}"));
        config.panic_at = Some(point);
        let logs = config.logs.clone();
        let before: BTreeSet<u32> = children(std::process::id())?.into_iter().collect();
        let outcome = provoke(config);
        let fault = outcome
            .err()
            .with_context(|| format!("no panic at {point:?}"))?;
        ensure!(fault == Fault::SupervisorPanicked, "{point:?}: {fault}");
        let left: Vec<u32> = children(std::process::id())?
            .into_iter()
            .filter(|id| !before.contains(id))
            .collect();
        ensure!(
            left.is_empty(),
            "a panic at {point:?} leaves the processes {left:?}"
        );
        only_logs(&logs)?;
    }
    Ok(())
}

fn a_machine_at_its_time_limit_leaves_nothing_behind(board: &mut Board) -> Result<()> {
    let mut config = further(board, "limit");
    config.limit = Duration::from_millis(1500);
    let logs = config.logs.clone();
    let machine = Machine::start(config)?;
    let watch = Watch::process(machine.process_ids().0)?;
    let ended = machine.wait_end(PATIENCE)?;
    ensure!(
        ended == testbed::machine::Ended::TimeLimit(Duration::from_millis(1500)),
        "{ended}"
    );
    ensure!(watch.is_gone(SOON), "the board outlives its limit");
    let refused = machine
        .crash_core()
        .err()
        .context("a machine that is off takes a request")?;
    ensure!(
        refused.to_string().contains(&logs.display().to_string()),
        "where the logs are: {refused}"
    );
    drop(machine);
    only_logs(&logs)
}

/// Does all that leads past every panic point.
fn provoke(config: Config) -> Result<(), Fault> {
    let run = || {
        let mut machine = Machine::start(config)?;
        machine.boot(PATIENCE)?;
        machine.succeed(START, PATIENCE)?;
        machine.wait_core(Core::Running, PATIENCE)?;
        machine.succeed("echo -n 0 > /dev/vport0p1", PATIENCE)?;
        machine.succeed("sleep 0.2", PATIENCE)?;
        machine.crash_core()?;
        machine.wait_core(Core::Held, SOON)
    };
    run().map_err(|error: testbed::machine::Error| error.fault)
}

/// A machine like the board's, with a run folder inside the board's.
fn further(board: &Board, name: &str) -> Config {
    let mut config = board.machine.config().clone();
    config.logs = config.logs.join(format!("ended-{name}"));
    config
}

fn hold_program() -> Result<std::path::PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.current_dir(workspace()).args([
        "build",
        "--quiet",
        "--package",
        "testbed",
        "--bin",
        "testbed-hold",
    ]);
    ensure!(build.status()?.success(), "testbed-hold does not build");
    // It lies where the running program, or the test program's folder, lies.
    let program = env::current_exe()?;
    let found = program
        .ancestors()
        .skip(1)
        .map(|folder| folder.join("testbed-hold"))
        .find(|path| path.is_file());
    found.with_context(|| format!("no testbed-hold beside {}", program.display()))
}

fn hold(program: &Path, config: &Config, scratch: &Path) -> Result<Child> {
    // What a shell starts in the background ignores SIGINT, and so would all that we start.
    let mut command = Command::new("env");
    command.arg("--default-signal=INT").arg(program);
    match &config.qemu {
        Qemu::System => command.arg("system"),
        Qemu::Unpacked(root) => command.arg(root),
    };
    command
        .args([&config.kernel, &config.flash, &config.initrd, &config.logs])
        .arg(START);
    command
        .env("TMPDIR", scratch)
        .current_dir(scratch)
        .stdout(Stdio::piped());
    Ok(command.spawn()?)
}

/// The process ids of A and B, once both run.
fn held(holder: &mut Child) -> Result<[u32; 2]> {
    let mut line = String::new();
    BufReader::new(holder.stdout.take().context("a pipe")?).read_line(&mut line)?;
    let mut words = line.split_ascii_whitespace();
    ensure!(words.next() == Some("held"), "testbed-hold says {line:?}");
    let mut id = || -> Result<u32> { Ok(words.next().context("a process id")?.parse()?) };
    Ok([id()?, id()?])
}

/// Whatever is in the run folder must be one of its logs.
fn only_logs(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let known = LOGS.contains(&entry.file_name().to_string_lossy().as_ref());
        ensure!(
            known && entry.file_type()?.is_file(),
            "left behind: {}",
            entry.path().display()
        );
    }
    Ok(())
}

const LOGS: [&str; 6] = [
    "core.err",
    "core.log",
    "linux.log",
    "qemu.err",
    "secure.log",
    "supervisor.log",
];
const START: &str = "corewarden load /fw/echo.cwfw && corewarden start";
const SOON: Duration = Duration::from_secs(10);
