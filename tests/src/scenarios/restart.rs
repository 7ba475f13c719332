//! Resets and restarts, on the product board and last, as they boot it anew.

use anyhow::{Result, ensure};

use crate::{
    board::{Board, PATIENCE},
    suite::Test,
    tests,
};

pub(super) const TESTS: &[Test] = tests![
    after_a_reset_of_the_board_nothing_of_the_image_is_left,
    after_a_reboot_of_linux_by_itself_the_core_is_off_and_wiped,
];

fn after_a_reset_of_the_board_nothing_of_the_image_is_left(board: &mut Board) -> Result<()> {
    board.run_firmware("echo.cwfw")?;
    let resets = board.machine.resets();
    board.machine.reset_board()?;
    board.machine.wait_resets(resets + 1, PATIENCE)?;
    board.machine.boot(PATIENCE)?;
    board.expect_wiped()?;
    ensure!(board.state()? == "Off", "off");
    board.run_firmware("echo.cwfw")?;
    board.ping(3)?;
    Ok(())
}

fn after_a_reboot_of_linux_by_itself_the_core_is_off_and_wiped(board: &mut Board) -> Result<()> {
    board.run_firmware("echo.cwfw")?;
    let resets = board.machine.resets();
    board.machine.type_line("reboot -f")?;
    board.machine.wait_resets(resets + 1, PATIENCE)?;
    board.machine.boot(PATIENCE)?;
    board.expect_wiped()?;
    ensure!(board.state()? == "Off", "off");
    Ok(())
}
