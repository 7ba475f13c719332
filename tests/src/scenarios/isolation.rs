//! What root in Linux, a bus master and the core's firmware cannot do.

use anyhow::{Result, ensure};

use crate::{board::Board, suite::Test, tests};

pub(super) const TESTS: &[Test] = tests![
    root_reaches_neither_private_memory_nor_the_reset_line,
    a_dma_does_not_reach_private_memory,
    other_tas_of_our_uuid_never_run,
    a_shared_table_poisoned_by_the_core_is_refused_at_attach,
    garbage_in_the_rings_does_not_end_the_firmware,
    a_core_that_dies_is_reported,
];

fn root_reaches_neither_private_memory_nor_the_reset_line(board: &mut Board) -> Result<()> {
    bus_errors(board, "before a load")?;
    board.run_firmware("echo.cwfw")?;
    let before = board.machine.private()?;
    bus_errors(board, "while the core runs")?;
    // The image itself does not change while it runs; its stack may.
    ensure!(
        board.machine.private()?[..0x1000] == before[..0x1000],
        "code has changed"
    );
    board.corewarden("stop")?;
    bus_errors(board, "after a stop")?;
    board.expect_wiped()
}

fn a_dma_does_not_reach_private_memory(board: &mut Board) -> Result<()> {
    board.load("echo.cwfw")?;
    let before = board.machine.private()?;
    let text = board.succeed("probe dma 0x0ee00000")?;
    ensure!(
        text.contains("dma control finished=true written=true"),
        "the device works: {text}"
    );
    ensure!(
        board.machine.private()? == before,
        "private memory has changed"
    );
    Ok(())
}

/// The C TA and a self-signed fake of our UUID lie in Linux' TA folder; what answers is ours all the same.
fn other_tas_of_our_uuid_never_run(board: &mut Board) -> Result<()> {
    for file in ["c.ta", "fake.ta"] {
        board.succeed(&format!(
            "mkdir -p /lib/optee_armtz && cp /attack/{file} /lib/optee_armtz/80a4c275-0a47-4905-8285-1486a9771a08.ta"
        ))?;
        let text = board.succeed("probe session 0 0x100,vo,vo")?;
        ensure!(
            text.contains("invoke 0x100 0x00000000 value=0x10000,"),
            "{file}: ours has version 1.0: {text}"
        );
        board.run_firmware("echo.cwfw")?;
        board.corewarden("stop")?;
    }
    let console = board.machine.secure_console()?;
    ensure!(
        !console.contains("store \"REE\""),
        "nothing was opened from the TA folder"
    );
    Ok(())
}

fn a_shared_table_poisoned_by_the_core_is_refused_at_attach(board: &mut Board) -> Result<()> {
    board.run_firmware("poison.cwfw")?;
    // It behaves until the driver lets go; then it writes a hostile table over the published one.
    board.ping(1)?;
    board.shell("usleep 300000")?;
    let output = board.shell("corewarden --json attach --ping 1")?;
    ensure!(
        output.status == 6 && output.text().contains("ResourceTable"),
        "attach ended with {}: {}",
        output.status,
        output.text()
    );
    // The master is as it was: the core cannot reach it.
    let report = board.corewarden("rsc-table")?;
    ensure!(
        report["devices"]
            .as_array()
            .is_some_and(|devices| devices.len() == 1),
        "{report}"
    );
    board.corewarden("stop")?;
    board.run_firmware("echo.cwfw")?;
    board.ping(3)?;
    Ok(())
}

fn garbage_in_the_rings_does_not_end_the_firmware(board: &mut Board) -> Result<()> {
    use testbed::machine::Region;
    board.run_firmware("echo.cwfw")?;
    board.ping(3)?;
    for seed in 0..8u8 {
        let garbage: Vec<u8> = (0..0x6000u32)
            .map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8 ^ seed)
            .collect();
        board.machine.write(Region::Window, 0x2000, &garbage)?;
        board.shell("printf '\\000\\001' > /dev/vport0p1; usleep 30000")?;
        board.ping(3)?;
    }
    ensure!(board.state()? == "Running", "it runs");
    Ok(())
}

fn a_core_that_dies_is_reported(board: &mut Board) -> Result<()> {
    board.run_firmware("echo.cwfw")?;
    board.machine.crash_core()?;
    board.shell("usleep 100000")?;
    ensure!(board.state()? == "Crashed", "the crash is seen");
    board.corewarden("stop")?;
    ensure!(board.state()? == "Off", "and it can be stopped");
    board.expect_wiped()?;
    board.run_firmware("echo.cwfw")
}

fn bus_errors(board: &mut Board, when: &str) -> Result<()> {
    for address in [
        "0x0ee00000",
        "0x0eeff000",
        "0x0effffc0",
        "0x090b0000",
        "0x0e100000",
    ] {
        let text = board.succeed(&format!("probe bus {address}"))?;
        ensure!(text.contains("read=7 write=7"), "{when}: {text}");
    }
    Ok(())
}
