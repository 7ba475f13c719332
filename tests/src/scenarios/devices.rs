//! Pins and buses of the core, used from Linux over real rings (rpmsg-services.md).

use anyhow::{Result, ensure};

use crate::{board::Board, suite::Test, tests};

pub(super) const TESTS: &[Test] =
    tests![lines_an_i2c_bus_and_an_spi_device_of_the_core_are_used_from_linux];

/// The program checks every answer; each line says that it came so far.
fn lines_an_i2c_bus_and_an_spi_device_of_the_core_are_used_from_linux(
    board: &mut Board,
) -> Result<()> {
    board.run_firmware("devices.cwfw")?;
    let said = board.succeed("probe devices 0 100")?;
    for line in [
        "gpio 100 right before the lies",
        "i2c 100 right before the lies",
        "spi 100 right before the lies",
        // Eight bits of each byte, and every cut behind the head.
        "rpmsg-gpio answered 104 lies",
        "rpmsg-i2c answered 113 lies",
        "rpmsg-spi answered 149 lies",
        "gpio 100 right after the lies",
        "i2c 100 right after the lies",
        "spi 100 right after the lies",
    ] {
        ensure!(said.contains(line), "no line {line:?}: {said}");
    }
    board.corewarden("stop")?;
    board.expect_wiped()
}
