//! The wires between the worlds: the reset line, and doorbells in numbers that nobody should send.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use testbed::machine::Happening;

use crate::{board::Board, suite::Test, tests};

pub(super) const TESTS: &[Test] = tests![
    a_core_stopped_while_it_starts_writes_nothing_after_the_wipe,
    a_flood_of_doorbells_harms_nobody,
    a_doorbell_for_a_core_in_reset_is_dropped,
    an_idle_core_sleeps,
];

fn a_core_stopped_while_it_starts_writes_nothing_after_the_wipe(board: &mut Board) -> Result<()> {
    let begin = board.machine.events().len();
    for _ in 0..10 {
        board.load("echo.cwfw")?;
        // START_FW and STOP_FW without a pause: the core executes already, its running line is not up yet.
        let output = board.succeed("probe session 0 2,vi:0:0 3,vi:0:0")?;
        ensure!(output.matches(" 0x00000000").count() == 3, "{output}");
        while board.state()? != "Off" {}
        board.expect_wiped()?;
        thread::sleep(Duration::from_millis(60));
        board.expect_wiped()?;
    }
    let count = |wanted: fn(&Happening) -> bool| {
        let events = board.machine.events();
        events[begin..]
            .iter()
            .filter(|event| wanted(&event.what))
            .count()
    };
    let released = count(|what| matches!(what, Happening::CoreReleased));
    let up = count(|what| matches!(what, Happening::CoreUp(_)));
    let held = count(|what| matches!(what, Happening::CoreHeld));
    ensure!(
        released == 10 && held == 10,
        "released {released} and held {held} of 10 times"
    );
    ensure!(
        up < 10,
        "no core was stopped before it was up, so this test shows nothing"
    );
    Ok(())
}

fn a_flood_of_doorbells_harms_nobody(board: &mut Board) -> Result<()> {
    board.run_firmware("echo.cwfw")?;
    let before = board.machine.rings();
    board.succeed("dd if=/dev/zero of=/dev/vport0p1 bs=64k count=16")?;
    board.ping(10)?;
    let after = board.machine.rings();
    let heard = after.to_core + after.dropped - before.to_core - before.dropped;
    ensure!(
        heard >= 1 << 20,
        "{heard} of the flood's rings are accounted for"
    );
    board.corewarden("stop")?;
    board.expect_wiped()
}

fn a_doorbell_for_a_core_in_reset_is_dropped(board: &mut Board) -> Result<()> {
    let before = board.machine.rings();
    board.succeed("printf 0123 > /dev/vport0p1")?;
    board.run_firmware("echo.cwfw")?;
    let after = board.machine.rings();
    ensure!(
        after.dropped == before.dropped + 4,
        "{before:?}, then {after:?}"
    );
    board.ping(3)?;
    board.corewarden("stop").map(drop)
}

/// Its QEMU uses next to none of a processor while nothing rings, for the firmware waits in WFI.
fn an_idle_core_sleeps(board: &mut Board) -> Result<()> {
    board.run_firmware("echo.cwfw")?;
    board.ping(3)?;
    let (_, core) = board.machine.process_ids();
    let core = core.context("a running core has a process")?;
    thread::sleep(Duration::from_millis(200));
    let (begin, before) = (Instant::now(), processor_time(core)?);
    thread::sleep(Duration::from_secs(2));
    let (idle, used) = (begin.elapsed(), processor_time(core)? - before);
    ensure!(
        used * 10 < idle,
        "while idle the core used {used:?} of {idle:?}"
    );
    board.ping(3)?;
    Ok(())
}

/// What a process has used of the host's processors: fields 14 and 15 of its stat file, in hundredths of a second.
fn processor_time(process: u32) -> Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = text
        .rsplit_once(") ")
        .context("a name stands in brackets")?;
    let mut times = fields.split(' ').skip(11).map(str::parse::<u64>);
    let mut time = || -> Result<u64> { Ok(times.next().context("a time")??) };
    Ok(Duration::from_millis(10 * (time()? + time()?)))
}
