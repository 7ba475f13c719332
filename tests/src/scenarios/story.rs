//! The main job: load, start, talk, stop, wipe.

use anyhow::{Result, ensure};

use crate::{board::Board, bundles::expected_memory, images::PRIVATE, suite::Test, tests};

pub(super) const TESTS: &[Test] = tests![
    a_signed_firmware_runs_and_answers_over_rpmsg,
    the_smallest_and_the_largest_image_load,
    a_bundle_in_one_buffer_loads_as_well_as_in_pieces,
    the_published_table_is_the_master_table,
    the_same_bundle_twice_is_one_load,
    firmware_is_exchanged_twenty_times,
    the_tool_says_what_is_wrong_and_how_to_go_on,
];

fn a_signed_firmware_runs_and_answers_over_rpmsg(board: &mut Board) -> Result<()> {
    board.load("echo.cwfw")?;
    ensure!(board.state()? == "Loaded", "loaded");
    board.expect_private(&signed(board, "echo.cwfw")?)?;
    board.corewarden("start")?;
    ensure!(board.state()? == "Running", "running");
    board.ping(100)?;
    board.corewarden("stop")?;
    ensure!(board.state()? == "Off", "off");
    board.expect_wiped()
}

fn the_smallest_and_the_largest_image_load(board: &mut Board) -> Result<()> {
    for bundle in ["echo-64k.cwfw", "echo-1m.cwfw", "echo-largest.cwfw"] {
        board.load(bundle)?;
        board.expect_private(&signed(board, bundle)?)?;
        board.corewarden("start")?;
        board.ping(10)?;
        board.corewarden("stop")?;
        board.expect_wiped()?;
    }
    Ok(())
}

fn a_bundle_in_one_buffer_loads_as_well_as_in_pieces(board: &mut Board) -> Result<()> {
    board.corewarden("load --whole /fw/echo.cwfw")?;
    board.expect_private(&signed(board, "echo.cwfw")?)?;
    board.corewarden("release")?;
    board.expect_wiped()
}

fn the_published_table_is_the_master_table(board: &mut Board) -> Result<()> {
    board.load("echo.cwfw")?;
    let report = board.corewarden("rsc-table")?;
    ensure!(report["physical"] == 0x8000_0000u64, "{report}");
    ensure!(report["devices"][0]["id"] == 7, "an RPMsg device: {report}");
    let window = board.machine.window()?;
    ensure!(
        window[..4] == 1u32.to_le_bytes(),
        "a table of version 1 at the window's start"
    );
    ensure!(
        window[4..8] == 2u32.to_le_bytes(),
        "with a device and a trace buffer"
    );
    Ok(())
}

fn the_same_bundle_twice_is_one_load(board: &mut Board) -> Result<()> {
    board.load("echo.cwfw")?;
    board.load("echo.cwfw")?;
    ensure!(board.state()? == "Loaded", "still loaded");
    board.expect_private(&signed(board, "echo.cwfw")?)
}

/// The second version puts a prefix in front of its answers, so a ping of it must fail: it is not the first one's code.
fn firmware_is_exchanged_twenty_times(board: &mut Board) -> Result<()> {
    for round in 0..20 {
        let second = round % 2 == 1;
        let (bundle, version) = if second {
            ("echo-v2.cwfw", "2.0.0")
        } else {
            ("echo.cwfw", "1.0.0")
        };
        board.run_firmware(bundle)?;
        let status = board.corewarden("status")?;
        ensure!(
            status["bundle"]["display_version"] == version,
            "round {round}: {status}"
        );
        if second {
            let output = board.shell("corewarden --json attach --ping 3")?;
            ensure!(
                output.text().contains("\"wrong\":3"),
                "round {round}: the first version's code still runs: {}",
                output.text()
            );
        } else {
            board.ping(3)?;
        }
        board.corewarden("stop")?;
    }
    Ok(())
}

fn the_tool_says_what_is_wrong_and_how_to_go_on(board: &mut Board) -> Result<()> {
    for (arguments, status, words) in [
        ("load /fw/missing.cwfw", 7, "/fw/missing.cwfw"),
        (
            "load /fw/echo.elf",
            4,
            "not a firmware bundle (or stripped after signing?)",
        ),
        ("--core 9 status", 4, "the platform has no such core"),
        ("frobnicate", 2, "frobnicate"),
    ] {
        let output = board.shell(&format!("corewarden {arguments}"))?;
        ensure!(
            output.status == status,
            "corewarden {arguments} ended with {}, not {status}: {}",
            output.status,
            output.text()
        );
        ensure!(
            output.text().contains(words),
            "corewarden {arguments} does not say {words:?}: {}",
            output.text()
        );
    }
    Ok(())
}

pub(super) fn signed(board: &Board, bundle: &str) -> Result<Vec<u8>> {
    let bytes = board.bundles.file(bundle)?;
    expected_memory(
        bytes,
        PRIVATE.start,
        (PRIVATE.end - PRIVATE.start).try_into()?,
    )
}
