//! The shared window as the kernel gives it to user space by UIO.
//!
//! Debian's kernel has no driver that does so for a device of the device tree. Its driver for a fieldbus card, though, gives whatever
//! memory a PCI device has, and takes devices by number. It has no use for an interrupt, so the doorbell stays what it is.

use anyhow::{Result, ensure};

use super::life::{Talk, Way, restart};
use crate::{board::Board, suite::Test, tests};

pub(super) const TESTS: &[Test] =
    tests![the_core_is_driven_over_a_window_that_the_kernel_gives_by_uio];

fn the_core_is_driven_over_a_window_that_the_kernel_gives_by_uio(board: &mut Board) -> Result<()> {
    board.succeed(
        "insmod /lib/modules/uio.ko && insmod /lib/modules/uio_cif.ko && echo 1af4 1110 >/sys/bus/pci/drivers/hilscher/new_id",
    )?;
    let size = board.succeed("cat /sys/class/uio/uio0/maps/map1/size")?;
    ensure!(size.contains("0x0000000001000000"), "16 MiB: {size}");
    for bundle in ["echo.cwfw", "packed.cwfw"] {
        board.run_firmware(bundle)?;
        let mut talk = Talk::begin_with(board, "1 uio")?;
        talk.answered_all(board)?;
        let maps = board.succeed("cat /proc/$(pidof probe)/maps")?;
        ensure!(
            maps.contains("/dev/uio0") && !maps.contains("/dev/mem"),
            "{maps}"
        );
        restart(board, bundle, Way::Itself)?;
        talk.step(board, "restarted")?;
        talk.answered_all(board)?;
        talk.end(board)?;
        board.corewarden("stop")?;
        board.expect_wiped()?;
    }
    Ok(())
}
