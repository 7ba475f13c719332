//! Payloads beyond a buffer, between Linux and the core (rpmsg-pool.md).

use anyhow::{Result, ensure};

use crate::{board::Board, suite::Test, tests};

pub(super) const TESTS: &[Test] =
    tests![large_payloads_go_to_the_core_and_back_and_what_it_lies_about_them_is_refused_by_name];

/// The program checks every byte; each line says that it came so far, and which rule the core broke.
fn large_payloads_go_to_the_core_and_back_and_what_it_lies_about_them_is_refused_by_name(
    board: &mut Board,
) -> Result<()> {
    board.run_firmware("pool.cwfw")?;
    let said = board.succeed("probe pool 0 40")?;
    for line in [
        "40 payloads of up to 262144 bytes right",
        "P3: a notice has 11 bytes instead of 12;",
        "P4: notice of kind 771;",
        "P5: slot 4 of 4;",
        "P6: slot 0: 262145 bytes, not 1 to 262144;",
        "P8: slot 0 is lent twice;",
        "is not held; then 8 payloads right",
        "P7: the pool: loan 4294967295 after",
        "a new link: 8 payloads right",
    ] {
        ensure!(said.contains(line), "no line {line:?}: {said}");
    }
    board.corewarden("stop")?;
    board.expect_wiped()
}
