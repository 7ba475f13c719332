//! Buffers of the size that a firmware asks for (rpmsg-features.md).

use anyhow::{Result, ensure};

use crate::{board::Board, suite::Test, tests};

pub(super) const TESTS: &[Test] =
    tests![a_core_that_asks_for_larger_buffers_echoes_messages_that_fill_them];

fn a_core_that_asks_for_larger_buffers_echoes_messages_that_fill_them(
    board: &mut Board,
) -> Result<()> {
    board.run_firmware("large.cwfw")?;
    let attached = board.corewarden("attach")?;
    let agreed = &attached["agreed"];
    ensure!(
        agreed["features"][1] == "buffer-sizes",
        "buffer sizes are agreed on: {attached}"
    );
    // Header and payload, both ways.
    ensure!(agreed["buffer_to_driver"] == 1040, "{attached}");
    ensure!(agreed["buffer_to_device"] == 1008, "{attached}");
    for size in [4, 496, 497, 992] {
        let report = board.corewarden(&format!("attach --ping 50 --size {size}"))?;
        ensure!(report["right"] == 50, "{size} bytes: {report}");
    }
    let output = board.shell("corewarden --json attach --ping 1 --size 993")?;
    ensure!(
        output.status != 0 && output.text().contains("993"),
        "one byte more is refused: {}",
        output.text()
    );
    board.corewarden("stop")?;
    board.expect_wiped()
}
