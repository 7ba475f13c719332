//! A link whose ends restart: the core, Linux by kexec, and both (rpmsg-lifecycle.md, 3).
//!
//! `probe talk` counts what it sends and what is answered, and ends with an error where a message is lost, doubled or left
//! over from another life without a restart that the library reported. Here it is said what restarts, and when.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use ta_protocol::Status;
use testbed::machine::{Core, READY, Region};

use crate::{
    board::{Board, PATIENCE},
    suite::Test,
    tests,
};

pub(super) const TESTS: &[Test] = tests![
    a_core_restarted_under_fifty_numbered_messages_loses_only_what_is_told,
    a_stream_goes_on_through_every_kind_of_restart_of_the_core,
    another_image_under_a_driver_that_is_attached_is_told_and_talked_to,
    an_i2c_request_that_the_core_restarts_under_is_told_and_asked_again,
    linux_restarts_by_kexec_while_the_core_runs,
    core_and_linux_restart_before_during_and_after_a_kexec,
    a_core_that_crashes_during_a_kexec_is_started_by_the_next_linux,
    a_load_that_a_kexec_cut_off_is_released_by_the_next_linux,
];

/// How a core can restart.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    /// By a reset of its own, which the secure world does not see: the image goes on with its memory.
    Itself,
    /// It dies, and the TA is asked to stop, load and start it.
    Crash,
    /// The TA is asked to stop, load and start it.
    Order,
}

fn a_core_restarted_under_fifty_numbered_messages_loses_only_what_is_told(
    board: &mut Board,
) -> Result<()> {
    board.run_firmware(ECHO)?;
    let mut talk = Talk::begin(board, 1)?;
    for way in [Way::Itself, Way::Crash, Way::Order] {
        talk.step(board, "send 50")?;
        let before = talk.step(board, "receive 20")?;
        restart(board, ECHO, way)?;
        let after = talk.step(board, "restarted")?;
        ensure!(after.told == before.told + 1, "{way:?}: {after:?}");
        ensure!(after.lost <= before.lost + 30, "{way:?}: {after:?}");
        ensure!(after.generation != before.generation, "{way:?}: {after:?}");
        talk.answered_all(board)?;
    }
    // Nobody takes these, so all of them are lost, and told.
    board.corewarden("stop")?;
    let before = talk.step(board, "send 50")?;
    board.run_firmware(ECHO)?;
    let after = talk.step(board, "restarted")?;
    ensure!(after.lost == before.lost + 50, "{before:?}, {after:?}");
    talk.answered_all(board)?;
    talk.end(board)
}

fn a_stream_goes_on_through_every_kind_of_restart_of_the_core(board: &mut Board) -> Result<()> {
    board.run_firmware(ECHO)?;
    let ways = [
        Way::Itself,
        Way::Order,
        Way::Itself,
        Way::Crash,
        Way::Itself,
    ];
    stream(board, ECHO, &ways)
}

/// Messages under way all the time, which lose nothing but what is told.
pub(super) fn stream(board: &mut Board, bundle: &str, ways: &[Way]) -> Result<()> {
    let mut talk = Talk::begin(board, 1)?;
    talk.ask(board, &format!("stream {}", ways.len()))?;
    for way in ways {
        attached(board)?;
        restart(board, bundle, *way)?;
    }
    let said = talk.answer(board)?;
    ensure!(said.told == ways.len() as u64, "{said:?}");
    ensure!(said.answered > 500 && said.flying == 0, "{said:?}");
    println!("    {} answered, {} told as lost", said.answered, said.lost);
    talk.end(board)
}

/// The image in between has another service, which the same hub finds.
fn another_image_under_a_driver_that_is_attached_is_told_and_talked_to(
    board: &mut Board,
) -> Result<()> {
    board.run_firmware(ECHO)?;
    let mut talk = Talk::begin(board, 1)?;
    let before = talk.answered_all(board)?;
    restart(board, DEVICES, Way::Order)?;
    let during = talk.step(board, "i2c 0")?;
    ensure!(during.generation != before.generation, "{during:?}");
    restart(board, ECHO, Way::Order)?;
    let after = talk.step(board, "restarted")?;
    ensure!(after.told == before.told + 1, "{after:?}");
    talk.answered_all(board)?;
    talk.end(board)
}

fn an_i2c_request_that_the_core_restarts_under_is_told_and_asked_again(
    board: &mut Board,
) -> Result<()> {
    board.run_firmware(DEVICES)?;
    let mut talk = Talk::begin(board, 1)?;
    talk.step(board, "i2c 0")?;
    // The request is under way while nobody is there to answer it.
    board.corewarden("stop")?;
    talk.ask(board, "i2c 1")?;
    board.run_firmware(DEVICES)?;
    let said = talk.answer(board)?;
    ensure!(said.told == 1 && said.lost == 1, "{said:?}");
    talk.ask(board, "i2c 3")?;
    for _ in 0..2 {
        attached(board)?;
        restart(board, DEVICES, Way::Itself)?;
    }
    let said = talk.answer(board)?;
    ensure!(said.told == 3, "{said:?}");
    talk.end(board)
}

/// The old Linux leaves every buffer full and sessions of the TEE open; nothing of that reaches the next one.
fn linux_restarts_by_kexec_while_the_core_runs(board: &mut Board) -> Result<()> {
    board.run_firmware(ECHO)?;
    let before = leave_unanswered(board)?;
    for _ in 0..3 {
        keep_session(board, "")?;
    }
    let left = board.corewarden("status")?;
    board.restart_linux()?;

    let status = board.corewarden("status")?;
    ensure!(status == left && left["state"] == "Running", "{status}");
    for bundle in [ECHO, "echo-v2.cwfw"] {
        let refusal = board.refused(&format!("load /fw/{bundle}"))?;
        ensure!(refusal.status == Status::BadState, "{refusal:?}");
    }
    board.corewarden("start")?;
    let after = talk_anew(board)?;
    ensure!(after.generation != before.generation, "{after:?}");
    // ta-api.md 2.9: three of the sixteen are still the old Linux's.
    let text = board.succeed("probe sessions 17 0")?;
    ensure!(text.matches(" 0x00000000").count() == 13, "{text}");

    board.corewarden("stop")?;
    board.expect_wiped()?;
    board.run_firmware(ECHO)?;
    talk_anew(board).map(drop)
}

fn core_and_linux_restart_before_during_and_after_a_kexec(board: &mut Board) -> Result<()> {
    board.run_firmware(ECHO)?;
    let before = leave_unanswered(board)?;
    restart(board, ECHO, Way::Itself)?;
    board.begin_kexec()?;
    let mut during = 0;
    while board.machine.expect(READY, MOMENT).is_err() {
        restart(board, ECHO, Way::Itself)?;
        during += 1;
    }
    ensure!(during > 1, "the core restarted {during} times meanwhile");
    restart(board, ECHO, Way::Itself)?;
    let after = talk_anew(board)?;
    ensure!(after.generation != before.generation, "{after:?}");
    board.corewarden("stop")?;
    board.expect_wiped()
}

fn a_core_that_crashes_during_a_kexec_is_started_by_the_next_linux(
    board: &mut Board,
) -> Result<()> {
    board.run_firmware(ECHO)?;
    leave_unanswered(board)?;
    restart(board, ECHO, Way::Order)?;
    board.begin_kexec()?;
    board.machine.crash_core()?;
    board.machine.boot(PATIENCE)?;
    ensure!(board.state()? == "Crashed", "the crash is seen");
    board.corewarden("stop")?;
    board.expect_wiped()?;
    board.run_firmware(ECHO)?;
    talk_anew(board).map(drop)
}

/// Its session never ends (ta-api.md 2.9), so it is not over before somebody says so.
fn a_load_that_a_kexec_cut_off_is_released_by_the_next_linux(board: &mut Board) -> Result<()> {
    let length = board.bundles.file(ECHO)?.len();
    keep_session(board, &format!("0x105,vi:{length}:0,mi:/fw/{ECHO},vo,vo"))?;
    ensure!(board.state()? == "Loading", "a load has begun");
    board.restart_linux()?;
    ensure!(board.state()? == "Loading", "nobody has ended it");
    let refusal = board.refused(&format!("load /fw/{ECHO}"))?;
    ensure!(refusal.status == Status::LoadInProgress, "{refusal:?}");
    board.corewarden("release")?;
    board.expect_wiped()?;
    board.run_firmware(ECHO)?;
    talk_anew(board).map(drop)
}

/// Leaves a program behind that has filled every buffer in both directions.
fn leave_unanswered(board: &mut Board) -> Result<Said> {
    let mut talk = Talk::begin(board, 1)?;
    talk.answered_all(board)?;
    let said = talk.step(board, "fill")?;
    ensure!(said.flying > 512, "two rings of 256 are full: {said:?}");
    Ok(said)
}

/// Leaves a program behind that did these steps in a session of the TEE and keeps it open.
fn keep_session(board: &mut Board, steps: &str) -> Result<()> {
    let text = board.succeed(&format!(
        "rm -f /tmp/kept; (sleep 9999 | probe session 0 {steps} hold >/tmp/kept &); \
         i=0; until grep -q holding /tmp/kept || [ $i -gt 400 ]; do usleep 20000; i=$((i+1)); done; cat /tmp/kept"
    ))?;
    ensure!(text.contains("holding"), "{text}");
    Ok(())
}

/// Talks with numbers that nobody used before: an older answer would be noticed.
fn talk_anew(board: &mut Board) -> Result<Said> {
    let mut talk = Talk::begin(board, 1_000_000)?;
    let said = talk.answered_all(board)?;
    ensure!(said.told == 0, "{said:?}");
    talk.end(board)?;
    Ok(said)
}

pub(super) fn restart(board: &mut Board, bundle: &str, way: Way) -> Result<()> {
    match way {
        Way::Itself => {
            let before = word(board, DEVICE_GENERATION)?;
            board.machine.reset_core()?;
            return until(board, "the core starts anew", |board| {
                Ok(word(board, DEVICE_GENERATION)? != before)
            });
        }
        Way::Crash => {
            board.machine.crash_core()?;
            board.machine.wait_core(Core::Dead, PATIENCE)?;
        }
        Way::Order => {}
    }
    board.corewarden("stop")?;
    board.run_firmware(bundle)
}

/// Waits until the core has joined the rings that were prepared for it, and lets it work for a moment.
fn attached(board: &mut Board) -> Result<()> {
    until(board, "the core joins the rings", |board| {
        let for_it = word(board, DRIVER_ECHO)? == word(board, DEVICE_GENERATION)?;
        Ok(for_it && word(board, STATUS)? & 0xff == 7)
    })?;
    thread::sleep(MOMENT);
    Ok(())
}

/// By the back door, as no message may be needed for it.
fn until(board: &mut Board, what: &str, done: impl Fn(&Board) -> Result<bool>) -> Result<()> {
    let begin = Instant::now();
    while !done(board)? {
        if begin.elapsed() > PATIENCE {
            let said = board.shell("cat /tmp/said")?.text();
            bail!("not seen: {what}: {said}");
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// One of the table page, by the back door.
pub(super) fn word(board: &Board, at: u64) -> Result<u32> {
    let mut bytes = [0; 4];
    board
        .machine
        .memory()
        .read(Region::Window, at, &mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

/// `probe talk` in the background of Linux' shell.
pub(super) struct Talk {
    steps: u32,
}

/// What it said after a step.
#[derive(Debug)]
pub(super) struct Said {
    answered: u64,
    flying: u64,
    lost: u64,
    told: u64,
    generation: String,
}

impl Talk {
    fn begin(board: &mut Board, first: u32) -> Result<Self> {
        Self::begin_with(board, &first.to_string())
    }

    /// The same with further arguments.
    pub(super) fn begin_with(board: &mut Board, arguments: &str) -> Result<Self> {
        board.succeed(&format!(
            "rm -f /tmp/steps; mkfifo /tmp/steps; (probe talk 0 {arguments} </tmp/steps >/tmp/said 2>&1 &); exec 9>/tmp/steps"
        ))?;
        Ok(Self { steps: 0 })
    }

    fn ask(&mut self, board: &mut Board, step: &str) -> Result<()> {
        self.steps += 1;
        board.succeed(&format!("echo '{step}' >&9")).map(drop)
    }

    fn answer(&mut self, board: &mut Board) -> Result<Said> {
        let line = self.steps;
        let text = board.succeed(&format!(
            "i=0; until [ $(wc -l </tmp/said) -ge {line} ] || [ $i -gt 1200 ]; do usleep 50000; i=$((i+1)); done; sed -n {line}p /tmp/said"
        ))?;
        let field = |name: &str| {
            let value = text.split(name).nth(1)?;
            value.split_ascii_whitespace().next()
        };
        let number = |name: &str| -> Result<u64> {
            let value = field(name).with_context(|| format!("step {line} said {text:?}"))?;
            Ok(value.parse()?)
        };
        let said = Said {
            answered: number("answered=")?,
            flying: number("flying=")?,
            lost: number("lost=")?,
            told: number("told=")?,
            generation: field("generation=").unwrap_or_default().to_owned(),
        };
        let sent = number("sent=")?;
        ensure!(sent == said.answered + said.flying + said.lost, "{text}");
        Ok(said)
    }

    pub(super) fn step(&mut self, board: &mut Board, step: &str) -> Result<Said> {
        self.ask(board, step)?;
        self.answer(board)
    }

    /// Fifty more messages, each of which is answered.
    pub(super) fn answered_all(&mut self, board: &mut Board) -> Result<Said> {
        self.step(board, "send 50")?;
        let said = self.step(board, "receive 50")?;
        ensure!(said.flying == 0, "{said:?}");
        Ok(said)
    }

    pub(super) fn end(self, board: &mut Board) -> Result<()> {
        board
            .succeed("exec 9>&-; while pidof probe >/dev/null; do usleep 20000; done")
            .map(drop)
    }
}

const ECHO: &str = "echo.cwfw";
const DEVICES: &str = "devices.cwfw";
const MOMENT: Duration = Duration::from_millis(100);
// Words of the table page (rpmsg-lifecycle.md, 1), in which the firmware's vdev entry stands at 24.
const STATUS: u64 = 24 + 24;
const DRIVER_ECHO: u64 = 0xe00 + 8;
const DEVICE_GENERATION: u64 = 0xe40 + 4;
