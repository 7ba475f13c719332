//! Packed rings, where the core's table offers them (rpmsg-features.md, F11 and F12).

use anyhow::{Result, ensure};

use super::life::{Talk, Way, stream, word};
use crate::{board::Board, suite::Test, tests};

pub(super) const TESTS: &[Test] = tests![
    a_core_that_offers_packed_rings_is_driven_over_them_through_its_restarts,
    a_driver_that_knows_no_packed_rings_has_split_ones_with_the_same_core,
];

fn a_core_that_offers_packed_rings_is_driven_over_them_through_its_restarts(
    board: &mut Board,
) -> Result<()> {
    board.run_firmware(PACKED)?;
    let table = board.corewarden("rsc-table")?;
    let offered: u64 = 1 | 1 << 29 | 1 << 32 | 1 << 34;
    ensure!(table["devices"][0]["features"] == offered, "{table}");
    for size in [0, 1, 495, 496] {
        let report = board.corewarden(&format!("attach --ping 600 --size {size}"))?;
        ensure!(report["right"] == 600, "{size} bytes: {report}");
    }
    let attached = board.corewarden("attach")?;
    let agreed = ["name-service", "event-index", "version-1", "packed-ring"];
    let features = &attached["agreed"]["features"];
    ensure!(*features == serde_json::json!(agreed), "{attached}");
    ensure!(has_packed_rings(board)?, "the core reads this");
    stream(
        board,
        PACKED,
        &[Way::Itself, Way::Order, Way::Crash, Way::Itself],
    )?;
    ensure!(has_packed_rings(board)?, "and after its restarts");
    board.corewarden("stop")?;
    board.expect_wiped()
}

fn a_driver_that_knows_no_packed_rings_has_split_ones_with_the_same_core(
    board: &mut Board,
) -> Result<()> {
    board.run_firmware(PACKED)?;
    for (arguments, packed) in [("1 split", false), ("1", true), ("1 split", false)] {
        let mut talk = Talk::begin_with(board, arguments)?;
        talk.answered_all(board)?;
        talk.end(board)?;
        ensure!(has_packed_rings(board)? == packed, "{arguments}");
    }
    board.corewarden("stop")?;
    board.expect_wiped()
}

/// What the driver accepted, as the core reads it: in the table, and above 31.
fn has_packed_rings(board: &Board) -> Result<bool> {
    let (lower, upper) = (word(board, 24 + 16)?, word(board, 0xec8)?);
    Ok(lower >> 31 == 1 && upper == 0b101)
}

const PACKED: &str = "packed.cwfw";
