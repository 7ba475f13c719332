//! LOAD puts exactly the signed segments into private memory, each byte once, and nothing else.

mod support;

use support::{Bed, CORE, Spec, bundle};
use ta_core::fake::{Source, Variant};
use ta_protocol::{Command, CoreState, Status, global_platform};

/// Bytes of the seed for the device's generation.
const SEED: u64 = 4;
const MAX_WHOLE: u64 = ta_protocol::MAX_WHOLE_FILE as u64;

/// ta-api.md 3.1 and 4.2
#[test]
fn a_signed_bundle_is_loaded_and_every_other_private_byte_is_zero() {
    for spec in [Spec::small(), Spec::large()] {
        let mut bed = Bed::new();
        let session = bed.open();
        let file = bed.pki.bundle(&spec);
        assert_eq!(bed.load(session, &file), global_platform::SUCCESS);
        bed.assert_loaded(&spec);
        let report = bed.report(session).unwrap();
        assert_eq!(report.state, CoreState::Loaded);
        assert_eq!(report.security_version, 5);
        assert_eq!(report.display_version.as_str(), Some("1.2.3"));
        assert_eq!(report.build_id.as_bytes(), [0xb1; 20]);
        assert_ne!(report.bundle_digest.0, [0; 48]);
        assert_ne!(report.signer_key_id, [0; 32]);
        assert_eq!(report.isolation_generation, 1);
        assert!(report.development_role && !report.insecure_isolation && !report.attach_only);
        assert_eq!(bed.last_error(session), None);
    }
}

/// ta-api.md 4.6 and 4.7
#[test]
fn a_streamed_bundle_ends_as_one_in_one_buffer() {
    for spec in [Spec::small(), Spec::large()] {
        let mut bed = Bed::new();
        let session = bed.open();
        let file = bed.pki.bundle(&spec);
        assert_eq!(bed.stream(session, &file), Ok(()));
        bed.assert_loaded(&spec);
        assert_eq!(bed.state(session), CoreState::Loaded);
    }
}

#[test]
fn each_byte_is_read_once_copied_once_and_hashed_once() {
    for spec in [Spec::small(), Spec::large()] {
        let mut bed = Bed::new();
        let session = bed.open();
        let (source, reads) = Source::counting(bed.pki.bundle(&spec));
        assert_eq!(bed.load_from(session, source), 0);
        assert!(reads.counts().iter().all(|count| *count == 1));

        let table = spec
            .table
            .as_ref()
            .map_or(0, |(_, bytes)| bytes.len() as u64);
        let loaded: u64 = spec.segments.iter().map(|segment| segment.file_size).sum();
        let counters = bed.board.counters(CORE);
        let moved = loaded + table + SEED;
        assert_eq!((counters.copied, counters.hashed), (moved, moved));
        let private = bed.platform.core(CORE).unwrap().private_regions()[0].size();
        let window = bed.platform.core(CORE).unwrap().shared();
        let cleared = window.table().size() + window.vrings().size();
        assert_eq!(counters.zeroed, private - loaded + cleared);
    }
}

#[test]
fn a_stream_asks_for_each_byte_before_the_manifest_once_and_in_order() {
    for spec in [Spec::small(), Spec::large()] {
        let mut bed = Bed::new();
        let session = bed.open();
        let file = bed.pki.bundle(&spec);
        let (mut offset, mut length) = bed.begin(session, &file).unwrap();
        let mut expected = 0;
        while length != 0 {
            assert_eq!(offset, expected);
            assert!(length <= u64::from(ta_protocol::MAX_CHUNK));
            expected += length;
            let piece = &file[offset as usize..(offset + length) as usize];
            (offset, length) = bed.go_on(session, offset, Source::new(piece)).unwrap();
        }
        assert_eq!(expected, spec.elf.len() as u64);
    }
}

/// ta-api.md 3.4 and 4.5
#[test]
fn the_table_is_published_on_a_clear_page_and_the_master_is_kept() {
    let mut bed = Bed::new();
    let session = bed.open();
    let file = bed.pki.bundle(&Spec::small());
    assert_eq!(bed.load(session, &file), 0);
    let (master, physical) = bed.master_table(session).unwrap();
    assert_eq!(physical, 0x8000_0000);
    assert_eq!(
        bed.table_place(session),
        Ok((physical, master.len() as u64))
    );
    let window = bed.board.window(CORE);
    assert_eq!(&window[..master.len()], master);
    let mut rest = window[master.len()..0x1000].to_vec();
    // The coming start is the first; the device's generation begins with it.
    let seed = 0xe4c - master.len();
    assert_eq!(rest[seed..seed + 4], [1, 0, 0, 0]);
    rest[seed] = 0;
    assert!(rest.iter().all(|byte| *byte == 0));
    assert!(window[0x2000..0x8000].iter().all(|byte| *byte == 0));
    // Trace and buffers are not cleared.
    assert!(window[0x1000..0x2000].iter().all(|byte| *byte == 0xa5));
    // Linux writes to its copy; the master stays.
    bed.board.poke(CORE, 0x2120_0000, &[0xff; 64]);
    assert_eq!(bed.master_table(session).unwrap().0, master);
}

/// ta-api.md 3.4 and 4.5
#[test]
fn an_image_without_a_table_publishes_none() {
    let mut bed = Bed::new();
    let session = bed.open();
    let file = bed.pki.bundle(&Spec {
        table: None,
        ..Spec::small()
    });
    assert_eq!(bed.load(session, &file), 0);
    assert_eq!(bed.table_place(session), Ok((0, 0)));
    assert_eq!(bed.master_table(session), Ok((Vec::new(), 0)));
    assert!(
        bed.board.window(CORE)[..0x1000]
            .iter()
            .all(|byte| *byte == 0)
    );
}

/// ta-api.md 3.1 and 4.6
#[test]
fn the_same_bundle_loads_again_and_another_one_does_not() {
    let mut bed = Bed::new();
    let session = bed.open();
    let spec = Spec::small();
    let file = bed.pki.bundle(&spec);
    assert_eq!(bed.load(session, &file), 0);
    let copied = bed.board.counters(CORE);
    assert_eq!(bed.load(session, &file), 0);
    assert_eq!(bed.stream(session, &file), Ok(()));
    assert_eq!(bed.board.counters(CORE), copied, "nothing is loaded twice");

    let other = bed.pki.bundle(&Spec {
        version: 6,
        ..spec.clone()
    });
    assert_eq!(
        bed.refused(session, &other),
        (Status::OtherBundleLoaded, 0, 0)
    );
    assert_eq!(bed.begin(session, &other), Err(Status::OtherBundleLoaded));
    assert_eq!(bed.refused(session, b"junk").0, Status::NotABundle);
    bed.assert_loaded(&spec);
    assert_eq!(bed.state(session), CoreState::Loaded);

    assert_eq!(bed.release(session), 0);
    bed.assert_wiped();
    assert_eq!(bed.load(session, &other), 0);
}

/// ta-api.md 4.7 and 5.2
#[test]
fn a_second_load_of_the_same_core_waits_for_the_first() {
    let mut bed = Bed::new();
    let (first, second) = (bed.open(), bed.open());
    let file = bed.pki.bundle(&Spec::small());
    let (offset, length) = bed.begin(first, &file).unwrap();
    assert_eq!(bed.refused(second, &file), (Status::LoadInProgress, 0, 0));
    assert_eq!(bed.begin(second, &file), Err(Status::LoadInProgress));
    let piece = &file[offset as usize..(offset + length) as usize];
    assert_eq!(
        bed.go_on(second, offset, Source::new(piece)),
        Err(Status::LoadNotBegun)
    );
    assert_eq!(bed.go_on(first, offset, Source::new(piece)), Ok((0, 0)));
    assert_eq!(bed.state(second), CoreState::Loaded);
}

/// ta-api.md 4.7
#[test]
fn a_piece_that_was_not_asked_for_is_refused_and_the_load_goes_on() {
    let mut bed = Bed::new();
    let session = bed.open();
    let file = bed.pki.bundle(&Spec::small());
    let (offset, length) = bed.begin(session, &file).unwrap();
    let piece = file[offset as usize..(offset + length) as usize].to_vec();
    assert_eq!(
        bed.go_on(session, 1, Source::new(piece.clone())),
        Err(Status::WrongOffset)
    );
    assert_eq!(bed.last_error(session), Some((Status::WrongOffset, 0, 1)));
    assert_eq!(
        bed.go_on(session, 0, Source::new(&piece[1..])),
        Err(Status::WrongLength)
    );
    assert_eq!(
        bed.last_error(session),
        Some((Status::WrongLength, length, length - 1))
    );
    assert_eq!(bed.go_on(session, offset, Source::new(piece)), Ok((0, 0)));
}

/// ta-api.md 4.6
#[test]
fn a_tail_that_is_not_the_files_end_is_refused() {
    let mut bed = Bed::new();
    let session = bed.open();
    let file = bed.pki.bundle(&Spec::large());
    for tail in [0, 64, 0xffff] {
        let short = Source::new(&file[file.len() - tail..]);
        let refused = bed.begin_from(session, file.len() as u64, short);
        assert_eq!(refused, Err(Status::WrongLength));
    }
    assert_eq!(
        bed.begin_from(session, 0, Source::new([])),
        Err(Status::EmptyFile)
    );
    assert_eq!(bed.state(session), CoreState::Off);
}

/// ta-api.md 3.1
#[test]
fn a_file_above_the_limit_of_one_buffer_is_refused_before_anything_is_read() {
    let mut bed = Bed::new();
    let session = bed.open();
    let source = Source::answering(MAX_WHOLE + 1, |_, _| panic!("read"));
    assert_eq!(
        bed.load_from(session, source),
        global_platform::BAD_PARAMETERS
    );
    assert_eq!(
        bed.last_error(session),
        Some((Status::FileTooLarge, MAX_WHOLE + 1, MAX_WHOLE))
    );
    bed.assert_wiped();
}

/// ta-api.md 5.3
#[test]
fn a_load_refused_at_its_last_byte_leaves_nothing_behind() {
    let mut bed = Bed::new();
    let session = bed.open();
    let spec = Spec::small();
    let good = bed.pki.bundle(&spec);
    let mut bad = good.clone();
    // The last byte before the padding is loaded nowhere; all segments were copied before it.
    bad[spec.elf.len() - 1] ^= 1;
    assert_eq!(bed.refused(session, &bad), (Status::RestDigest, 0, 0));
    bed.assert_wiped();
    assert_eq!(bed.state(session), CoreState::Off);
    assert_eq!(bed.start(session), global_platform::BAD_STATE);
    // The window is as it was.
    assert!(bed.board.window(CORE).iter().all(|byte| *byte == 0xa5));
}

#[test]
fn a_segment_that_ends_the_file_leaves_only_padding_and_the_load_is_done() {
    for length in [0x913, 0x91f, 0x920] {
        let mut spec = Spec::small();
        spec.elf.truncate(length);
        spec.segments = vec![bundle::segment(
            0x2100_0000,
            0x1000,
            0x100,
            length as u64 - 0x100,
            "rx",
        )];
        let mut bed = Bed::new();
        let session = bed.open();
        let (source, reads) = Source::counting(bed.pki.bundle(&spec));
        assert_eq!(bed.load_from(session, source), 0);
        assert!(reads.counts().iter().all(|count| *count == 1));
        bed.assert_loaded(&spec);
        assert_eq!(bed.release(session), 0);
        let file = bed.pki.bundle(&spec);
        assert_eq!(bed.begin(session, &file), Ok((0, length as u64)));
        let whole = Source::new(&file[..length]);
        assert_eq!(bed.go_on(session, 0, whole), Ok((0, 0)));
        bed.assert_loaded(&spec);
    }
}

#[test]
fn a_chunk_with_another_digest_is_named_by_its_number_and_address() {
    let mut bed = Bed::new();
    let session = bed.open();
    let spec = Spec::large();
    let mut file = bed.pki.bundle(&spec);
    file[0x1000 + 0x10_0000 + 5] ^= 0x80;
    assert_eq!(
        bed.refused(session, &file),
        (Status::ChunkDigest, 1, 0x2110_0000)
    );
    bed.assert_wiped();
}

/// ta-api.md 1.7 and 5.3
#[test]
fn every_failure_of_the_platform_during_a_load_wipes_and_is_named() {
    use ta_core::fake::Call;

    let load = |call, times: u32| {
        let mut bed = Bed::new();
        let session = bed.open();
        let file = bed.pki.bundle(&Spec::small());
        assert_eq!(bed.state(session), CoreState::Off);
        bed.board.fail_after(call, times, global_platform::GENERIC);
        let reason = bed.refused(session, &file);
        bed.assert_wiped();
        assert_eq!(bed.state(session), CoreState::Off);
        assert_eq!(bed.load(session, &file), 0, "the next load is a fresh one");
        reason
    };
    let generic = global_platform::GENERIC.into();
    let failed = |command: u64| (Status::PlatformFailed, command, generic);
    assert_eq!(load(Call::Isolate, 0), failed(0x102));
    assert_eq!(load(Call::Record, 0), failed(0x105));
    assert_eq!(load(Call::Copy, 0), failed(3));
    assert_eq!(load(Call::Copy, 1), failed(3));
    assert_eq!(load(Call::Copy, 2), failed(3), "the table");
    assert_eq!(load(Call::Copy, 3), failed(3), "the seed");
    assert_eq!(load(Call::Zero, 0), failed(4));
    assert_eq!(load(Call::Zero, 3), failed(4));
    assert_eq!(load(Call::Record, 1), failed(0x105));
}

#[test]
fn a_wipe_that_fails_is_tried_again_and_never_reported_as_off() {
    use ta_core::fake::Call;

    let mut bed = Bed::new();
    let session = bed.open();
    assert_eq!(bed.state(session), CoreState::Off);
    let mut file = bed.pki.bundle(&Spec::small());
    file[0x901] ^= 1;
    bed.board.fail_next(Call::Wipe, global_platform::GENERIC);
    assert_eq!(bed.refused(session, &file).0, Status::ChunkDigest);
    bed.board.fail_next(Call::Wipe, global_platform::GENERIC);
    assert_eq!(bed.report(session), Err(Status::PlatformFailed));
    assert_eq!(bed.state(session), CoreState::Off);
    bed.assert_wiped();
}

/// ta-api.md 4.2
#[test]
fn a_platform_that_cannot_isolate_loads_only_where_its_file_says_insecure() {
    let mut bed = Bed::new();
    bed.board.set_variant(Variant::UpstreamOnly);
    let session = bed.open();
    let file = bed.pki.bundle(&Spec::small());
    assert_eq!(bed.refused(session, &file), (Status::NotIsolated, 0, 0));
    bed.assert_wiped();

    let text = support::platform_text()
        .replacen("\"required\"", "\"insecure-none\"", 1)
        .replacen("\"m4\"", "\"m4-insecure\"", 1);
    let mut bed = Bed::of(support::parse(&text));
    bed.board.set_variant(Variant::UpstreamOnly);
    let session = bed.open();
    let file = bed.pki.bundle(&Spec::small());
    assert!(bed.report(session).unwrap().insecure_isolation);
    assert_eq!(bed.load(session, &file), 0);
    assert!(bed.report(session).unwrap().insecure_isolation);
    assert_eq!(bed.start(session), 0);
    assert_eq!(bed.state(session), CoreState::Running);
    assert!(bed.report(session).unwrap().insecure_isolation);
    assert_eq!(bed.stop(session), 0);
    assert_eq!(bed.state(session), CoreState::Off);
    bed.assert_wiped();
}

#[test]
fn memory_that_changes_during_a_load_is_loaded_as_signed_or_not_at_all() {
    use std::cell::Cell;

    let spec = Spec::small();
    let (mut loaded, mut refused) = (0, 0);
    for turn in 0..60_u32 {
        let mut bed = Bed::new();
        let session = bed.open();
        let good = bed.pki.bundle(&spec);
        let length = good.len() as u64;
        // At every read a byte of what is read is another one, sometimes; never twice the same answer.
        let count = Cell::new(turn);
        let source = Source::answering(length, move |at, into| {
            let from = at as usize;
            into.copy_from_slice(&good[from..from + into.len()]);
            count.set(count.get() + 1);
            if count.get() % 13 == 3 {
                let victim = count.get() as usize * 31 % into.len();
                into[victim] ^= 0x40;
            }
        });
        if bed.load_from(session, source) == 0 {
            loaded += 1;
            bed.assert_loaded(&spec);
            assert_eq!(bed.start(session), 0);
        } else {
            refused += 1;
            bed.assert_wiped();
            assert_eq!(bed.start(session), global_platform::BAD_STATE);
        }
    }
    assert!(
        loaded > 0 && refused > 0,
        "{loaded} loaded, {refused} refused"
    );
}

#[test]
fn a_source_with_another_answer_at_the_second_read_gains_nothing() {
    use std::cell::RefCell;
    use std::collections::HashSet;

    // A bundle that may be loaded at the first read of any byte, another signed one at every later read.
    let spec = Spec::small();
    let mut bed = Bed::new();
    let session = bed.open();
    let first = bed.pki.bundle(&spec);
    let later = bed.pki.bundle(&Spec {
        version: 6,
        elf: bundle::pattern(0x1234, 9),
        ..spec.clone()
    });
    assert_eq!(first.len(), later.len());
    let seen = RefCell::new(HashSet::new());
    let source = Source::answering(first.len() as u64, move |at, into| {
        for (byte, offset) in into.iter_mut().zip(at as usize..) {
            let fresh = seen.borrow_mut().insert(offset);
            *byte = if fresh { first[offset] } else { later[offset] };
        }
    });
    assert_eq!(bed.load_from(session, source), 0);
    bed.assert_loaded(&spec);
    assert_eq!(bed.report(session).unwrap().security_version, 5);
}

#[test]
fn commands_beside_the_load_do_not_disturb_it() {
    let mut bed = Bed::new();
    let (session, other) = (bed.open(), bed.open());
    let file = bed.pki.bundle(&Spec::small());
    let (offset, length) = bed.begin(session, &file).unwrap();
    assert_eq!(bed.state(other), CoreState::Loading);
    assert_eq!(bed.start(other), global_platform::BAD_STATE);
    assert_eq!(
        bed.plain(other, Command::StopFw),
        global_platform::BAD_STATE
    );
    assert!(bed.table_place(other).is_err());
    let piece = &file[offset as usize..(offset + length) as usize];
    assert_eq!(bed.go_on(session, offset, Source::new(piece)), Ok((0, 0)));
}
