//! Bundles that must be refused, each for its own reason, with the private memory wiped after each.

use anyhow::{Result, ensure};
use ta_protocol::Status;

use crate::{board::Board, suite::Test, tests};

pub(super) const TESTS: &[Test] = tests![
    an_empty_file_is_refused,
    a_raw_elf_is_refused,
    a_bundle_stripped_after_signing_is_refused,
    format_v1_of_sign_rproc_fw_is_refused_by_name,
    a_bundle_for_another_core_is_refused,
    a_bundle_for_another_device_class_is_refused,
    an_unknown_root_is_refused,
    a_version_above_the_ceiling_is_refused,
    a_wrong_signature_is_refused,
    an_unknown_critical_extension_is_refused,
    an_unknown_extension_that_is_not_critical_is_ignored,
    a_reserved_extension_is_refused_as_not_supported_yet,
    a_segment_outside_the_private_regions_is_refused,
    a_segment_over_the_shared_window_is_refused,
    overlapping_segments_are_refused,
    an_entry_in_the_shared_window_is_refused,
    a_vring_outside_the_window_is_refused,
    a_table_entry_of_a_type_not_allowed_is_refused,
    a_table_not_on_its_own_page_is_refused,
    a_flipped_byte_anywhere_is_refused,
    a_cut_anywhere_is_refused,
];

fn an_empty_file_is_refused(board: &mut Board) -> Result<()> {
    board
        .load_refused("empty.cwfw", Status::EmptyFile)
        .map(drop)
}

fn a_raw_elf_is_refused(board: &mut Board) -> Result<()> {
    board.load_refused("echo.elf", Status::BareElf).map(drop)
}

fn a_bundle_stripped_after_signing_is_refused(board: &mut Board) -> Result<()> {
    board
        .load_refused("stripped.cwfw", Status::BareElf)
        .map(drop)
}

fn format_v1_of_sign_rproc_fw_is_refused_by_name(board: &mut Board) -> Result<()> {
    board
        .load_refused("format-v1.cwfw", Status::LegacyFormat)
        .map(drop)
}

fn a_bundle_for_another_core_is_refused(board: &mut Board) -> Result<()> {
    let refusal = board.load_refused("other-core.cwfw", Status::OtherCore)?;
    ensure!(refusal.numbers[0] == 0, "names this core: {refusal:?}");
    Ok(())
}

fn a_bundle_for_another_device_class_is_refused(board: &mut Board) -> Result<()> {
    board
        .load_refused("other-class.cwfw", Status::OtherDeviceClass)
        .map(drop)
}

fn an_unknown_root_is_refused(board: &mut Board) -> Result<()> {
    board
        .load_refused("foreign-root.cwfw", Status::UnknownRoot)
        .map(drop)
}

fn a_version_above_the_ceiling_is_refused(board: &mut Board) -> Result<()> {
    let refusal = board.load_refused("above-ceiling.cwfw", Status::VersionAboveCeiling)?;
    ensure!(
        refusal.numbers == [1001, 1000],
        "version and ceiling: {refusal:?}"
    );
    Ok(())
}

fn a_wrong_signature_is_refused(board: &mut Board) -> Result<()> {
    board
        .load_refused("wrong-signature.cwfw", Status::SignatureInvalid)
        .map(drop)
}

fn an_unknown_critical_extension_is_refused(board: &mut Board) -> Result<()> {
    let refusal = board.load_refused("critical-extension.cwfw", Status::ExtensionUnknown)?;
    ensure!(refusal.numbers[0] == 0x7fff, "names the type: {refusal:?}");
    Ok(())
}

fn an_unknown_extension_that_is_not_critical_is_ignored(board: &mut Board) -> Result<()> {
    board.load("plain-extension.cwfw").map(drop)
}

fn a_reserved_extension_is_refused_as_not_supported_yet(board: &mut Board) -> Result<()> {
    board
        .load_refused("reserved-extension.cwfw", Status::ExtensionUnsupported)
        .map(drop)
}

fn a_segment_outside_the_private_regions_is_refused(board: &mut Board) -> Result<()> {
    board
        .load_refused("segment-outside.cwfw", Status::SegmentOutside)
        .map(drop)
}

fn a_segment_over_the_shared_window_is_refused(board: &mut Board) -> Result<()> {
    board
        .load_refused("segment-in-window.cwfw", Status::SegmentInShared)
        .map(drop)
}

fn overlapping_segments_are_refused(board: &mut Board) -> Result<()> {
    board
        .load_refused("overlap.cwfw", Status::SegmentsOverlap)
        .map(drop)
}

fn an_entry_in_the_shared_window_is_refused(board: &mut Board) -> Result<()> {
    board
        .load_refused("entry-in-window.cwfw", Status::EntryOutside)
        .map(drop)
}

fn a_vring_outside_the_window_is_refused(board: &mut Board) -> Result<()> {
    board
        .load_refused("vring-outside.cwfw", Status::VringOutside)
        .map(drop)
}

fn a_table_entry_of_a_type_not_allowed_is_refused(board: &mut Board) -> Result<()> {
    board
        .load_refused("table-vendor.cwfw", Status::TableEntryType)
        .map(drop)
}

fn a_table_not_on_its_own_page_is_refused(board: &mut Board) -> Result<()> {
    board
        .load_refused("table-elsewhere.cwfw", Status::TableNotOnItsPage)
        .map(drop)
}

/// The sweep over every byte runs in process; here a few bytes of every part meet the real secure world.
fn a_flipped_byte_anywhere_is_refused(board: &mut Board) -> Result<()> {
    let length = board.bundles.file("echo.cwfw")?.len();
    for at in [
        0,
        16,
        4096,
        length / 2,
        length - 2000,
        length - 1000,
        length - 200,
        length - 100,
        length - 64,
        length - 1,
    ] {
        board.succeed(&format!(
            "cp /fw/echo.cwfw /tmp/flip && \
             b=$(dd if=/tmp/flip bs=1 skip={at} count=1 2>/dev/null | hexdump -e '1/1 \"%d\"') && \
             printf \"\\\\$(printf %o $((b ^ 1)))\" | dd of=/tmp/flip bs=1 seek={at} conv=notrunc 2>/dev/null"
        ))?;
        let refusal = board.refused("load /tmp/flip")?;
        ensure!(refusal.status.number() != 0, "byte {at}");
        board.expect_wiped()?;
    }
    Ok(())
}

fn a_cut_anywhere_is_refused(board: &mut Board) -> Result<()> {
    let length = board.bundles.file("echo.cwfw")?.len();
    for keep in [
        1,
        63,
        64,
        4096,
        length - 65,
        length - 64,
        length - 16,
        length - 1,
    ] {
        board.succeed(&format!("head -c {keep} /fw/echo.cwfw > /tmp/cut"))?;
        board.refused("load /tmp/cut")?;
        board.expect_wiped()?;
    }
    Ok(())
}
