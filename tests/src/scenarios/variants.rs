//! Platforms that do not keep their side: the TA refuses to load.

use anyhow::{Result, ensure};
use ta_protocol::Status;

use crate::{board::Board, suite::Test, tests};

pub(super) const NO_ISOLATION: &[Test] = tests![a_platform_that_does_not_isolate_is_refused];
pub(super) const TWO_SLOTS: &[Test] = tests![
    a_missing_required_slot_is_refused,
    a_firmware_with_two_signatures_runs,
    a_wrong_second_signature_is_refused,
    a_second_signer_of_an_unknown_root_is_refused,
];
pub(super) const REGION_IN_WINDOW: &[Test] =
    tests![a_private_region_in_the_shared_window_is_refused];

fn a_platform_that_does_not_isolate_is_refused(board: &mut Board) -> Result<()> {
    let refusal = board.refused("load /fw/echo.cwfw")?;
    ensure!(refusal.status == Status::NotIsolated, "{refusal:?}");
    board.expect_wiped()
}

fn a_private_region_in_the_shared_window_is_refused(board: &mut Board) -> Result<()> {
    let refusal = board.refused("load /fw/echo.cwfw")?;
    ensure!(
        refusal.status == Status::IsolationRegionShared,
        "{refusal:?}"
    );
    board.expect_wiped()
}

fn a_missing_required_slot_is_refused(board: &mut Board) -> Result<()> {
    for (bundle, slot) in [("echo.cwfw", 1), ("only-second.cwfw", 0)] {
        let refusal = board.load_refused(bundle, Status::SlotMissing)?;
        ensure!(refusal.numbers[0] == slot, "names the slot: {refusal:?}");
    }
    Ok(())
}

fn a_firmware_with_two_signatures_runs(board: &mut Board) -> Result<()> {
    for bundle in ["two-slots.cwfw", "two-slots-p384.cwfw"] {
        board.run_firmware(bundle)?;
        board.ping(10)?;
        board.corewarden("stop")?;
        board.expect_wiped()?;
    }
    Ok(())
}

fn a_wrong_second_signature_is_refused(board: &mut Board) -> Result<()> {
    let refusal = board.load_refused("wrong-second.cwfw", Status::SignatureInvalid)?;
    ensure!(refusal.numbers[0] == 1, "names the slot: {refusal:?}");
    Ok(())
}

fn a_second_signer_of_an_unknown_root_is_refused(board: &mut Board) -> Result<()> {
    let refusal = board.load_refused("foreign-second.cwfw", Status::UnknownRoot)?;
    ensure!(refusal.numbers[0] == 1, "names the slot: {refusal:?}");
    Ok(())
}
