//! The test build: cores with other policies, counters, and a TA that panics.

use anyhow::{Context, Result, ensure};
use ta_protocol::Status;

use super::story::signed;
use crate::{board::Board, suite::Test, tests};

pub(super) const TESTS: &[Test] = tests![
    an_attach_only_core_refuses_every_command_that_controls_it,
    a_login_that_is_not_allowed_is_refused,
    each_byte_is_copied_once_and_hashed_once,
    bundles_of_every_algorithm_and_of_two_slots_load_within_the_heap,
    after_a_panic_of_the_ta_the_core_can_be_inspected_and_stopped,
    after_a_panic_of_the_ta_no_file_of_linux_takes_its_place,
];

fn an_attach_only_core_refuses_every_command_that_controls_it(board: &mut Board) -> Result<()> {
    let steps =
        "1,vi:1:0,mi:/fw/echo.cwfw 0x102,vo,vo,vo 2,vi:1:0 3,vi:1:0 6,vi:1:0 5,vi:1:0,mo:64";
    let text = board.succeed(&format!("probe session 1 {steps}"))?;
    ensure!(
        text.contains("open 0x00000000"),
        "it can be looked at: {text}"
    );
    for command in ["0x1", "0x2", "0x3", "0x5", "0x6"] {
        ensure!(
            text.contains(&format!("invoke {command} 0xffff0001")),
            "{command}: ACCESS_DENIED: {text}"
        );
    }
    ensure!(
        text.contains(&format!("value={:#x}", Status::AttachOnly.number())),
        "by name: {text}"
    );
    Ok(())
}

fn a_login_that_is_not_allowed_is_refused(board: &mut Board) -> Result<()> {
    let text = board.succeed(
        "probe session 2 1,vi:2:0,mi:/fw/echo.cwfw 0x102,vo,vo,vo 2,vi:2:0 3,vi:2:0 6,vi:2:0",
    )?;
    ensure!(text.contains("open 0x00000000"), "anybody may ask: {text}");
    for command in ["0x1", "0x2", "0x3", "0x6"] {
        ensure!(
            text.contains(&format!("invoke {command} 0xffff0001")),
            "{command}: ACCESS_DENIED: {text}"
        );
    }
    ensure!(
        text.contains(&format!("value={:#x}", Status::LoginNotAllowed.number())),
        "by name: {text}"
    );
    Ok(())
}

fn each_byte_is_copied_once_and_hashed_once(board: &mut Board) -> Result<()> {
    let before = counters(board)?;
    board.load("echo-1m.cwfw")?;
    let after = counters(board)?;
    let bundle = board.bundles.file("echo-1m.cwfw")?;
    let segments = crate::bundles::loaded_bytes(bundle)?;
    // With the table goes the seed for the device's generation.
    let table = u64::try_from(crate::bundles::table(bundle)?.len())? + 4;
    for (what, before, after) in [
        ("copied", before[0], after[0]),
        ("hashed", before[1], after[1]),
    ] {
        ensure!(
            after - before == segments + table,
            "{what} {} bytes, not {segments} + {table}",
            after - before
        );
    }
    Ok(())
}

/// This board pins roots of all algorithms, and asks for slot 0 only.
fn bundles_of_every_algorithm_and_of_two_slots_load_within_the_heap(
    board: &mut Board,
) -> Result<()> {
    for bundle in [
        "p384.cwfw",
        "ed25519.cwfw",
        "two-slots.cwfw",
        "two-slots-p384.cwfw",
    ] {
        board.load(bundle)?;
        board.expect_private(&signed(board, bundle)?)?;
        board.corewarden("release")?;
        board.expect_wiped()?;
    }
    let refusal = board.load_refused("wrong-second.cwfw", Status::SignatureInvalid)?;
    ensure!(
        refusal.numbers[0] == 1,
        "not asked for, but wrong: {refusal:?}"
    );
    let [_, _, _, peak] = counters(board)?;
    ensure!(
        peak <= HEAP - HEADROOM,
        "{peak} bytes of heap at the peak, which leaves less than {HEADROOM} of {HEAP}"
    );
    Ok(())
}

fn after_a_panic_of_the_ta_the_core_can_be_inspected_and_stopped(board: &mut Board) -> Result<()> {
    board.run_firmware("echo.cwfw")?;
    let digest = board.corewarden("status")?["bundle"]["digest"].clone();
    let text = board.succeed("probe session 0 0xf001")?;
    ensure!(text.contains("0xffff3024"), "TARGET_DEAD: {text}");
    let status = board.corewarden("status")?;
    ensure!(status["state"] == "Running", "it runs on: {status}");
    ensure!(
        status["bundle"]["digest"] == digest,
        "and it is known what runs: {status}"
    );
    board.corewarden("stop")?;
    ensure!(board.state()? == "Off", "and it can be stopped");
    board.expect_wiped()
}

/// A TA that is gone is looked up anew, and this is when a file in Linux' TA folder would be found if it could.
fn after_a_panic_of_the_ta_no_file_of_linux_takes_its_place(board: &mut Board) -> Result<()> {
    for file in ["c.ta", "fake.ta"] {
        board.succeed(&format!(
            "mkdir -p /lib/optee_armtz && cp /attack/{file} /lib/optee_armtz/80a4c275-0a47-4905-8285-1486a9771a08.ta"
        ))?;
        let text = board.succeed("probe session 0 0xf001")?;
        ensure!(text.contains("0xffff3024"), "TARGET_DEAD: {text}");
        let text = board.succeed("probe session 0 0x100,vo,vo")?;
        ensure!(
            text.contains("invoke 0x100 0x00000000 value=0x10000,"),
            "{file}: ours has version 1.0: {text}"
        );
        board.load("echo.cwfw")?;
        board.core_off()?;
    }
    let console = board.machine.secure_console()?;
    ensure!(
        !console.contains("store \"REE\""),
        "nothing was opened from the TA folder"
    );
    Ok(())
}

/// What the test build counts: bytes copied, bytes hashed, microseconds of both (low and high half), peak heap.
pub(super) fn counters(board: &mut Board) -> Result<[u64; 4]> {
    let text = board.succeed("probe session 0 0xf002,vo,vo,vo,vo")?;
    let line = text
        .lines()
        .find(|line| line.contains("invoke 0xf002 0x00000000"));
    let line = line.with_context(|| format!("no counters: {text}"))?;
    let mut values = [0; 4];
    for (value, pair) in values.iter_mut().zip(line.split("value=").skip(1)) {
        let (low, high) = pair.trim().split_once(',').context("a pair")?;
        let half = |text: &str| {
            u64::from_str_radix(text.trim().trim_start_matches("0x"), 16).context("a number")
        };
        *value = half(low)? | half(high)? << 32;
    }
    Ok(values)
}

/// The TA's heap for up to three cores: half of it for the trailer.
const HEAP: u64 = 0x2_0000;
/// What stays free whatever is loaded.
const HEADROOM: u64 = 0x2000;
