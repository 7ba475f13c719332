//! Ten things that went wrong in the TA whose place this one takes, each tried here with its exact outcome.
//!
//! Private memory is compared after each: it holds the signed segments and zeros, or zeros alone.

mod support;

use std::cell::Cell;

use support::bundle::{parts, segment};
use support::{Bed, CORE, Spec};
use ta_core::fake::{Source, Variant};
use ta_protocol::{CoreState, Status, global_platform};

/// A bundle that begins as a real 32-bit ELF does, so that attacks on its headers mean something.
fn spec() -> Spec {
    let mut spec = Spec::small();
    let elf = &mut spec.elf;
    elf[..16].copy_from_slice(b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0");
    elf[24..28].copy_from_slice(&0x2100_0101_u32.to_le_bytes());
    elf[28..32].copy_from_slice(&PHOFF.to_le_bytes());
    elf[42..44].copy_from_slice(&32_u16.to_le_bytes());
    elf[44..46].copy_from_slice(&3_u16.to_le_bytes());
    for (index, segment) in spec.segments.iter().enumerate() {
        let words = [
            1,
            segment.file_offset as u32,
            segment.address as u32,
            segment.address as u32,
            segment.file_size as u32,
            segment.memory_size as u32,
            segment.access.bits(),
            4,
        ];
        let header: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let at = PHOFF as usize + 32 * index;
        spec.elf[at..at + 32].copy_from_slice(&header);
    }
    spec
}

/// Changes the ELF's headers after signing: refused, and nothing is left of what was copied before.
#[track_caller]
fn assert_headers_are_covered(change: impl Fn(&mut [u8])) {
    let mut bed = Bed::new();
    let session = bed.open();
    let mut file = bed.pki.bundle(&spec());
    change(&mut file);
    assert_eq!(bed.load(session, &file), global_platform::SECURITY);
    assert_eq!(bed.last_error(session), Some((Status::RestDigest, 0, 0)));
    bed.assert_wiped();
    assert_eq!(bed.start(session), global_platform::BAD_STATE);
}

#[test]
fn finding_1_what_is_judged_is_our_copy_and_what_is_hashed_is_the_destination() {
    let mut bed = Bed::new();
    let session = bed.open();
    let spec = spec();
    let (source, reads) = Source::counting(bed.pki.bundle(&spec));
    assert_eq!(bed.load_from(session, source), 0);
    assert!(
        reads.counts().iter().all(|count| *count == 1),
        "no byte can differ at a second read"
    );
    bed.assert_loaded(&spec);
}

#[test]
fn finding_2_no_segment_can_be_left_out() {
    // Two instead of three program headers; the code segment's header of another type.
    assert_headers_are_covered(|file| file[44] = 2);
    assert_headers_are_covered(|file| file[PHOFF as usize] = 0);
}

#[test]
fn finding_3_no_load_is_empty() {
    assert_headers_are_covered(|file| {
        for header in 0..3 {
            file[PHOFF as usize + 32 * header] = 0;
        }
    });
    // Nor does the signed list allow one: a manifest without segments is none.
    let mut bed = Bed::new();
    let session = bed.open();
    let good = bed.pki.bundle(&spec());
    let [manifest, ..] = parts(&good);
    let counts = good[manifest.start + 4..manifest.start + 8].to_vec();
    let empty = bed
        .pki
        .mutant(&good, &counts, &[counts[0], counts[1], 0, 0]);
    assert_eq!(
        bed.refused(session, &empty),
        (Status::ManifestMalformed, 701, 0)
    );
    bed.assert_wiped();
}

#[test]
fn finding_4_lengths_that_change_between_two_reads_gain_nothing() {
    // The footer is read once. Whatever is answered at the first read is judged as a whole.
    let mut bed = Bed::new();
    let session = bed.open();
    let good = bed.pki.bundle(&spec());
    let [.., footer] = parts(&good);
    let reads = std::rc::Rc::new(Cell::new(0));
    let counted = std::rc::Rc::clone(&reads);
    let source = Source::answering(good.len() as u64, {
        let good = good.clone();
        move |at, into| {
            into.copy_from_slice(&good[at as usize..at as usize + into.len()]);
            for (byte, offset) in into.iter_mut().zip(at as usize..) {
                // Manifest longer, certificates shorter by as much, from the second read on.
                let grown = match offset.checked_sub(footer.start) {
                    Some(8) => byte.wrapping_add(16),
                    Some(12) => byte.wrapping_sub(16),
                    _ => continue,
                };
                counted.set(counted.get() + 1);
                if counted.get() > 2 {
                    *byte = grown;
                }
            }
        }
    });
    assert_eq!(bed.load_from(session, source), 0);
    assert_eq!(reads.get(), 2, "both length fields were read once");
    bed.assert_loaded(&spec());

    // And answered at once, such a footer is refused: the certificates are not where the manifest says.
    assert_eq!(bed.release(session), 0);
    let mut grown = good;
    let footer = parts(&grown)[3].start;
    grown[footer + 8] = grown[footer + 8].wrapping_add(16);
    grown[footer + 12] = grown[footer + 12].wrapping_sub(16);
    let (status, ..) = bed.refused(session, &grown);
    assert_eq!(status, Status::TrailerMalformed);
    bed.assert_wiped();
}

#[test]
fn finding_5_nothing_is_copied_to_memory_that_linux_can_write() {
    let mut bed = Bed::new();
    bed.board.set_variant(Variant::ReachableByLinux);
    let session = bed.open();
    let file = bed.pki.bundle(&spec());
    let exposed = (Status::IsolationRegionExposed, 0x0ee0_0000, 7);
    assert_eq!(bed.refused(session, &file), exposed);
    assert_eq!(bed.board.counters(CORE).copied, 0);
    bed.assert_wiped();

    // And memory that was Linux' for a while after the load is not started.
    bed.board.set_variant(Variant::Sound);
    assert_eq!(bed.load(session, &file), 0);
    bed.board.lose_isolation(CORE);
    bed.board.poke(CORE, 0x2100_0000, b"not what was signed");
    assert_eq!(bed.start(session), global_platform::SECURITY);
    assert_eq!(
        bed.last_error(session),
        Some((Status::GenerationChanged, 1, 2))
    );
    bed.assert_wiped();
}

#[test]
fn finding_6_other_header_fields_are_covered_and_never_consulted() {
    // Where program headers lie, where section headers lie, how many.
    for at in [28, 32, 46, 48, 50] {
        assert_headers_are_covered(|file| file[at] ^= 0x10);
    }
}

#[test]
fn finding_7_a_header_that_is_not_loaded_does_not_hide_one_that_is() {
    // PT_GNU_STACK at the address of the code, before the code's own header: a legitimate image.
    let mut spec = spec();
    let at = PHOFF as usize;
    let code = spec.elf[at..at + 96].to_vec();
    spec.elf[at + 32..at + 128].copy_from_slice(&code);
    spec.elf[at..at + 4].copy_from_slice(&0x6474_e551_u32.to_le_bytes());
    spec.elf[44] = 4;
    let mut bed = Bed::new();
    let session = bed.open();
    let file = bed.pki.bundle(&spec);
    assert_eq!(bed.load(session, &file), 0);
    bed.assert_loaded(&spec);
}

#[test]
fn finding_8_no_two_segments_share_an_address() {
    let mut bed = Bed::new();
    let session = bed.open();
    let good = bed.pki.bundle(&spec());
    let (data, code) = (0x2101_0000_u64, 0x2100_0000_u64);
    let same = bed
        .pki
        .mutant(&good, &data.to_le_bytes(), &code.to_le_bytes());
    assert_eq!(
        bed.refused(session, &same),
        (Status::ManifestMalformed, 705, 1)
    );
    bed.assert_wiped();
}

#[test]
fn finding_9_the_entry_point_is_signed() {
    assert_headers_are_covered(|file| file[24] ^= 4);
    // Nor can it be changed where the TA takes it from.
    let mut bed = Bed::new();
    let session = bed.open();
    let mut file = bed.pki.bundle(&spec());
    let [manifest, ..] = parts(&file);
    file[manifest.start + 32] ^= 4;
    assert_eq!(
        bed.refused(session, &file),
        (Status::SignatureInvalid, 0, 0)
    );
    bed.assert_wiped();
}

#[test]
fn finding_10_section_names_mean_nothing_and_the_table_is_the_signed_one() {
    // A section that calls itself .resource_table, in bytes that are loaded nowhere, moves nothing.
    let mut spec = spec();
    let at = 0x1000;
    spec.elf[at..at + 15].copy_from_slice(b".resource_table");
    let mut bed = Bed::new();
    let session = bed.open();
    let file = bed.pki.bundle(&spec);
    assert_eq!(bed.load(session, &file), 0);
    bed.assert_loaded(&spec);
    let length = spec.table.as_ref().unwrap().1.len() as u64;
    assert_eq!(bed.table_place(session), Ok((0x8000_0000, length)));

    // Truncated to a prefix after signing it is refused, as any other byte is.
    assert_headers_are_covered(|file| file[at + 5] = 0);
}

#[test]
fn a_signed_segment_without_file_bytes_is_zeroed_too() {
    let mut bed = Bed::new();
    let session = bed.open();
    let mut spec = spec();
    spec.segments
        .push(segment(0x211f_0000, 0x1_0000, 0, 0, "rw"));
    bed.board.poke(CORE, 0x211f_0000, &[0x55; 64]);
    let file = bed.pki.bundle(&spec);
    assert_eq!(bed.load(session, &file), 0);
    bed.assert_loaded(&spec);
    assert_eq!(bed.state(session), CoreState::Loaded);
}

/// Where the program headers lie in [`spec`], in bytes that are loaded nowhere.
const PHOFF: u32 = 52;
