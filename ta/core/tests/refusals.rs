//! Every refusal of a bundle or a platform, with its exact status, and private memory compared after each.

mod support;

use firmware_bundle::SbomDigest;
use support::bundle::{CLASS, parts, segment, table};
use support::{Bed, CORE, Pki, Reason, Spec};
use ta_core::fake::{Board, Source, Variant};
use ta_protocol::{CoreState, Status, global_platform};

/// Loads a file whole and in pieces: the same refusal, and everything is wiped.
#[track_caller]
fn assert_refused(pki: &Pki, file: &[u8], expected: Reason) {
    let mut bed = Bed::with(support::platform(), pki.clone());
    let session = bed.open();
    let answer = bed.load(session, file);
    assert_eq!(bed.last_error(session), Some(expected));
    assert_eq!(answer, expected.0.global_platform());
    assert_eq!(bed.state(session), CoreState::Off);
    bed.assert_wiped();
    assert!(bed.board.is_held(CORE));

    assert_eq!(bed.begin(session, file), Err(expected.0));
    assert_eq!(bed.last_error(session), Some(expected));
    assert_eq!(bed.state(session), CoreState::Off);
    bed.assert_wiped();
    assert_eq!(bed.start(session), global_platform::BAD_STATE);
}

#[track_caller]
fn assert_spec_refused(spec: &Spec, expected: Reason) {
    let pki = Pki::development();
    assert_refused(&pki, &pki.bundle(spec), expected);
}

#[track_caller]
fn assert_mutant_refused(find: &[u8], with: &[u8], expected: Reason) {
    let pki = Pki::development();
    let mutant = pki.mutant(&pki.bundle(&Spec::small()), find, with);
    assert_refused(&pki, &mutant, expected);
}

#[test]
fn an_empty_file() {
    assert_refused(&Pki::development(), b"", (Status::EmptyFile, 0, 0));
}

#[test]
fn a_raw_elf() {
    let elf = Spec::small().elf;
    let length = elf.len() as u64;
    assert_refused(&Pki::development(), &elf, (Status::BareElf, length, 0));
}

#[test]
fn a_bundle_stripped_after_signing() {
    let pki = Pki::development();
    let spec = Spec::small();
    let file = pki.bundle(&spec);
    // strip writes the ELF anew, and what stands behind it is gone.
    assert_refused(
        &pki,
        &file[..spec.elf.len()],
        (Status::BareElf, spec.elf.len() as u64, 0),
    );
    // Or a part of it: the footer is gone.
    let cut = &file[..file.len() - 16];
    assert_refused(&pki, cut, (Status::BareElf, cut.len() as u64, 0));
}

#[test]
fn a_file_that_is_nothing_known() {
    for junk in [&b"x"[..], &[0; 63], &[0; 64], &[0; 0x1_0000]] {
        let length = junk.len() as u64;
        assert_refused(&Pki::development(), junk, (Status::NotABundle, length, 0));
    }
}

#[test]
fn a_bundle_of_sign_rproc_fw() {
    let mut file = vec![0; 0x400];
    file[..8].copy_from_slice(&[0x68, 0xa4, 0x43, 0x35, 1, 0, 0, 0]);
    assert_refused(&Pki::development(), &file, (Status::LegacyFormat, 0, 0));
}

#[test]
fn a_bundle_for_another_core() {
    assert_spec_refused(
        &Spec {
            cores: vec![1, 2],
            ..Spec::small()
        },
        (Status::OtherCore, 0, 0),
    );
}

#[test]
fn a_bundle_for_a_core_the_signer_may_not_sign_for() {
    let spec = Spec {
        cores: vec![0, 7],
        ..Spec::small()
    };
    assert_spec_refused(&spec, (Status::CoreNotInScope, 7, 0));
}

#[test]
fn a_bundle_for_another_device_class() {
    let other = [0x77; 16];
    let pki = Pki::with_scope(&[0], &[CLASS, other], 1000);
    let file = pki.bundle(&Spec {
        class: other,
        ..Spec::small()
    });
    assert_refused(&pki, &file, (Status::OtherDeviceClass, 0, 0));
}

#[test]
fn a_bundle_for_a_device_class_the_signer_may_not_sign_for() {
    let pki = Pki::with_scope(&[0], &[[0x77; 16]], 1000);
    let file = pki.bundle(&Spec::small());
    assert_refused(&pki, &file, (Status::DeviceClassNotInScope, 0, 0));
}

#[test]
fn a_bundle_below_an_unknown_root() {
    for name in ["root", "another root"] {
        // Even one that bears the pinned root's name.
        let foreign = Pki::named(name).bundle(&Spec::small());
        assert_refused(&Pki::development(), &foreign, (Status::UnknownRoot, 0, 0));
    }
}

#[test]
fn a_version_above_the_signers_ceiling() {
    let spec = Spec {
        version: 1001,
        ..Spec::small()
    };
    assert_spec_refused(&spec, (Status::VersionAboveCeiling, 1001, 1000));
    let mut bed = Bed::new();
    let session = bed.open();
    let file = bed.pki.bundle(&Spec {
        version: 1000,
        ..Spec::small()
    });
    assert_eq!(bed.load(session, &file), 0, "a ceiling is inclusive");
}

#[test]
fn a_required_slot_that_is_missing() {
    let text = support::platform_text()
        .replace("required-slots = [0]", "required-slots = [0, 1]")
        .replacen(
            "[[root]]",
            "[[root]]\nfile = \"keys/second.der\"\nslot = 1\n\n[[root]]",
            1,
        );
    let mut bed = Bed::of(support::parse(&text));
    let session = bed.open();
    let file = bed.pki.bundle(&Spec::small());
    assert_eq!(bed.refused(session, &file), (Status::SlotMissing, 1, 0));
    bed.assert_wiped();
}

#[test]
fn a_wrong_signature() {
    let pki = Pki::development();
    let mut file = pki.bundle(&Spec::small());
    let [_, _, signatures, _] = parts(&file);
    // In r: a flipped bit of s may make it a high one, which is another rule.
    file[signatures.start + 8] ^= 1;
    assert_refused(&pki, &file, (Status::SignatureInvalid, 0, 0));
}

#[test]
fn a_flipped_byte_of_the_manifest() {
    let pki = Pki::development();
    let mut file = pki.bundle(&Spec::small());
    let [manifest, ..] = parts(&file);
    file[manifest.start + 12] ^= 1;
    assert_refused(&pki, &file, (Status::SignatureInvalid, 0, 0));
}

#[test]
fn an_unknown_critical_extension() {
    let pki = Pki::development();
    let optional = Spec {
        extensions: vec![(0x7777, false, b"tell".to_vec())],
        ..Spec::small()
    };
    let file = pki.bundle(&optional);
    let mut bed = Bed::with(support::platform(), pki.clone());
    let session = bed.open();
    assert_eq!(
        bed.load(session, &file),
        0,
        "one that is not critical is ignored"
    );

    let head = |flags: u32| [0x7777_u32.to_le_bytes(), flags.to_le_bytes()].concat();
    let mutant = pki.mutant(&file, &head(0), &head(1));
    assert_refused(&pki, &mutant, (Status::ExtensionUnknown, 0x7777, 0));
}

#[test]
fn an_sbom_digest_of_another_form_is_refused_by_its_rule() {
    let pki = Pki::development();
    let sbom = SbomDigest::Sha384(&[0x5b; 48]).to_value();
    let with_sbom = Spec {
        extensions: vec![(SbomDigest::KIND, false, sbom.clone())],
        ..Spec::small()
    };
    let file = pki.bundle(&with_sbom);
    let mut bed = Bed::with(support::platform(), pki.clone());
    let session = bed.open();
    assert_eq!(bed.load(session, &file), 0, "bundle-format.md 9.6");

    let head = |flags: u32| [10_u32.to_le_bytes(), flags.to_le_bytes()].concat();
    let critical = pki.mutant(&file, &head(0), &head(1));
    assert_refused(&pki, &critical, (Status::ManifestMalformed, 907, 10));
    let mut other = sbom.clone();
    other[0] = 3;
    let unknown = pki.mutant(&file, &sbom, &other);
    assert_refused(&pki, &unknown, (Status::ManifestMalformed, 906, 3));
}

#[test]
fn a_segment_outside_the_private_regions() {
    let outside = 0x20ff_f000_u64;
    assert_mutant_refused(
        &0x2101_0000_u64.to_le_bytes(),
        &0x2300_0000_u64.to_le_bytes(),
        (Status::ManifestMalformed, 705, 2),
    );
    let mut spec = Spec::small();
    spec.segments[2] = segment(0x211f_f000, 0x1001, 0, 0, "rw");
    // It reaches one byte into the window, which begins where the private region ends.
    assert_spec_refused(&spec, (Status::SegmentInShared, 2, 0x211f_f000));
    spec.segments[2] = segment(0x3000_0000, 0x1000, 0, 0, "rw");
    assert_spec_refused(&spec, (Status::SegmentOutside, 2, 0x3000_0000));
    let mut spec = Spec::small();
    spec.segments
        .insert(0, segment(outside, 0x1000, 0, 0, "rw"));
    assert_spec_refused(&spec, (Status::SegmentOutside, 0, outside));
}

#[test]
fn a_segment_over_the_shared_window() {
    let mut spec = Spec::small();
    spec.segments[2] = segment(0x2130_0000, 0x1000, 0, 0, "rw");
    assert_spec_refused(&spec, (Status::SegmentInShared, 2, 0x2130_0000));
}

#[test]
fn overlapping_segments() {
    // The data segment moves into the code segment.
    assert_mutant_refused(
        &0x2101_0000_u64.to_le_bytes(),
        &0x2100_0400_u64.to_le_bytes(),
        (Status::SegmentsOverlap, 1, 0x2100_0400),
    );
}

#[test]
fn a_segment_both_writable_and_executable() {
    let mut spec = Spec::small();
    spec.segments[0] = segment(0x2100_0000, 0x600, 0x100, 0x600, "rwx");
    assert_spec_refused(&spec, (Status::SegmentWritableExecutable, 0, 0x2100_0000));
}

#[test]
fn an_entry_in_the_shared_window_or_in_data() {
    for entry in [0x2120_0000, 0x2101_0001, 0] {
        assert_spec_refused(
            &Spec {
                entry,
                ..Spec::small()
            },
            (Status::EntryOutside, entry, 0),
        );
    }
}

#[test]
fn a_core_that_begins_elsewhere_than_the_image() {
    let mut spec = Spec::small();
    spec.segments[0] = segment(0x2100_0100, 0x500, 0x200, 0x500, "rx");
    spec.vector_table = Some(0x2100_0100);
    assert_spec_refused(&spec, (Status::BootAddress, 0x2100_0000, 0));
    let spec = Spec {
        vector_table: Some(0x2100_0100),
        ..Spec::small()
    };
    assert_spec_refused(&spec, (Status::VectorTable, 0x2100_0100, 0x2100_0000));
    let spec = Spec {
        vector_table: None,
        ..Spec::small()
    };
    assert_spec_refused(&spec, (Status::VectorTableMissing, 0, 0));
}

#[test]
fn a_vring_outside_the_window() {
    let mut bytes = table(&[7]);
    // The first vring's address: header 16, offset 4, vdev 28.
    bytes[48..52].copy_from_slice(&0x2100_0000_u32.to_le_bytes());
    let spec = Spec {
        table: Some((0x2120_0000, bytes)),
        ..Spec::small()
    };
    assert_spec_refused(&spec, (Status::VringOutside, 0, 0x2100_0000));
}

#[test]
fn a_table_entry_of_a_type_that_is_not_allowed() {
    let mut bytes = table(&[7]);
    bytes[20..24].copy_from_slice(&9_u32.to_le_bytes());
    let spec = Spec {
        table: Some((0x2120_0000, bytes)),
        ..Spec::small()
    };
    assert_spec_refused(&spec, (Status::TableEntryType, 0, 9));
    let spec = Spec {
        table: Some((0x2120_0000, table(&[3]))),
        ..Spec::small()
    };
    assert_spec_refused(&spec, (Status::TableVdev, 0, 3));
}

#[test]
fn a_table_not_on_its_page() {
    for address in [0x2120_1000, 0x2101_0000, 0x2120_0004] {
        let spec = Spec {
            table: Some((address, table(&[7]))),
            ..Spec::small()
        };
        assert_spec_refused(&spec, (Status::TableNotOnItsPage, address, 0x2120_0000));
    }
}

#[test]
fn start_before_load() {
    let mut bed = Bed::new();
    let session = bed.open();
    assert_eq!(bed.start(session), global_platform::BAD_STATE);
    assert_eq!(bed.last_error(session), Some((Status::BadState, 0, 2)));
    assert!(bed.board.is_held(CORE));
}

#[test]
fn load_while_running() {
    let mut bed = Bed::new();
    let session = bed.bring_to(CoreState::Running);
    let before = bed.board.private(CORE);
    let file = bed.pki.bundle(&Spec::small());
    let running = CoreState::Running.number().into();
    assert_eq!(bed.refused(session, &file), (Status::BadState, running, 1));
    assert_eq!(bed.begin(session, &file), Err(Status::BadState));
    assert_eq!(bed.state(session), CoreState::Running);
    assert!(bed.board.private(CORE) == before);
}

#[test]
fn a_platform_whose_isolation_is_not_what_its_file_says() {
    let shared = (Status::IsolationRegionShared, 0x8000_0000, 0x20_0000);
    let variants: [(Variant, Reason); 6] = [
        (Variant::UpstreamOnly, (Status::NotIsolated, 0, 0)),
        (Variant::NeverIsolated, (Status::NotIsolated, 0, 0)),
        (
            Variant::ReachableByLinux,
            (Status::IsolationRegionExposed, 0x0ee0_0000, 7),
        ),
        (
            Variant::ReachableByOthers,
            (Status::IsolationRegionExposed, 0x0ee0_0000, 0xb),
        ),
        (Variant::PrivateInWindow, shared),
        (
            Variant::PrivateUnlisted,
            (Status::IsolationRegionMissing, 0x0ee0_0000, 0x20_0000),
        ),
    ];
    for (variant, expected) in variants {
        let mut bed = Bed::new();
        bed.board.set_variant(variant);
        let session = bed.open();
        let file = bed.pki.bundle(&Spec::small());
        assert_eq!(bed.refused(session, &file), expected, "{variant:?}");
        assert_eq!(
            copied(&bed.board),
            0,
            "nothing is copied before it is known to be private"
        );
        assert_eq!(bed.start(session), global_platform::BAD_STATE);
        bed.assert_wiped();
    }
}

fn copied(board: &Board) -> u64 {
    board.counters(CORE).copied
}

#[test]
fn every_flipped_byte_and_every_cut_of_a_bundle() {
    let mut bed = Bed::new();
    let session = bed.open();
    let mut spec = Spec::small();
    spec.elf.truncate(0x313);
    spec.segments = vec![segment(0x2100_0000, 0x200, 0x100, 0x200, "rx")];
    let good = bed.pki.bundle(&spec);
    assert_eq!(bed.load(session, &good), 0);
    assert_eq!(bed.release(session), 0);
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        assert_ne!(bed.load_from(session, Source::new(bad)), 0, "byte {at}");
        assert!(bed.last_error(session).is_some());
        assert_ne!(
            bed.load_from(session, Source::new(&good[..at])),
            0,
            "cut at {at}"
        );
    }
    bed.assert_wiped();
}
