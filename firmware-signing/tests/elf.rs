//! Every way in which an ELF can be wrong has its error, and each is refused before anything is signed.

use firmware_signing::Error;
use firmware_signing::elf::{Image, Machine};
use firmware_signing::place::place;
use firmware_signing::sample::{Content, Elf, Section, Segment};
use firmware_signing::strip::Stripping;
use platform::Platform;

const TABLE: u64 = 0x2120_0000;

fn qemu_virt() -> Platform {
    let text = include_str!("../../ta/platforms/qemu-virt.toml");
    let file: platform::File = toml::from_str(text).expect("the platform file is TOML");
    Platform::try_from(file).expect("the platform file keeps its rules")
}

fn parse(elf: &Elf) -> Result<(), Error> {
    Image::parse(&elf.build()).map(drop)
}

fn placed(elf: &Elf) -> Result<(), Error> {
    let bytes = elf.build();
    let image = Image::parse(&bytes)?;
    let platform = qemu_virt();
    place(&image, platform.core(0).expect("core 0")).map(drop)
}

/// Overwrites bytes of a good file.
fn patched(at: usize, bytes: &[u8]) -> Result<(), Error> {
    let mut file = Elf::qemu_virt().build();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    Image::parse(&file).map(drop)
}

/// A valid table without entries.
fn empty_table() -> Vec<u8> {
    [1u32, 0, 0, 0]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect()
}

#[test]
fn a_good_image_is_read() {
    let bytes = Elf::qemu_virt().build();
    let image = Image::parse(&bytes).expect("it is good");
    assert_eq!(image.machine(), Machine::Arm);
    assert_eq!(image.entry(), 0x2100_0009);
    let [text, data] = image.segments() else {
        panic!("two segments");
    };
    assert_eq!((text.address, text.end()), (0x2100_0000, 0x2100_0108));
    assert_eq!((data.file.len(), data.memory_size), (32, 64));
    assert_eq!(placed(&Elf::qemu_virt()), Ok(()));
}

#[test]
fn all_four_machines_are_read() {
    for (wide, machine, expected) in [
        (false, 40, Machine::Arm),
        (true, 183, Machine::Aarch64),
        (false, 243, Machine::Riscv32),
        (true, 243, Machine::Riscv64),
    ] {
        let bytes = Elf {
            wide,
            machine,
            ..Elf::qemu_virt()
        }
        .build();
        assert_eq!(
            Image::parse(&bytes).map(|image| image.machine()),
            Ok(expected)
        );
    }
}

#[test]
fn what_is_not_an_elf_of_ours_is_named() {
    assert_eq!(Image::parse(b"").map(drop), Err(Error::InputEmpty));
    assert_eq!(Image::parse(b"\x7fEL").map(drop), Err(Error::NotElf));
    assert_eq!(Image::parse(&[0; 4096]).map(drop), Err(Error::NotElf));
    assert_eq!(patched(4, &[3]), Err(Error::ElfClass { class: 3 }));
    assert_eq!(patched(5, &[2]), Err(Error::ElfBigEndian));
    assert_eq!(patched(5, &[0]), Err(Error::ElfHeader));
    assert_eq!(patched(16, &[3]), Err(Error::ElfType { found: 3 }));
    assert_eq!(patched(18, &[62]), Err(Error::ElfMachine { machine: 62 }));
    // AArch64 code in an ELF32.
    assert_eq!(patched(18, &[183]), Err(Error::ElfMachine { machine: 183 }));
    // Program headers, then section headers, of another size.
    assert_eq!(patched(42, &[56]), Err(Error::ElfHeader));
    assert_eq!(patched(46, &[64]), Err(Error::ElfHeader));
}

#[test]
fn an_elf_cut_anywhere_is_refused() {
    for elf in [
        Elf::qemu_virt(),
        Elf {
            wide: true,
            machine: 183,
            ..Elf::qemu_virt()
        },
    ] {
        let whole = elf.build();
        for length in 0..whole.len() {
            let refused = Image::parse(&whole[..length]).map(drop);
            let expected = match length {
                0 => Error::InputEmpty,
                1..4 => Error::NotElf,
                _ => match refused {
                    Err(Error::ElfTruncated { end, file }) => {
                        assert_eq!(file, length as u64);
                        assert!(end > file, "{end} {file}");
                        continue;
                    }
                    other => panic!("cut at {length}: {other:?}"),
                },
            };
            assert_eq!(refused, Err(expected));
        }
    }
}

#[test]
fn every_flipped_byte_ends_in_an_answer() {
    let section = |name, kind, flags, link, bytes: &[u8]| Section {
        name,
        kind,
        flags,
        address: 0,
        link,
        info: 1,
        entry_size: 16,
        content: Content::Own(bytes.to_vec()),
    };
    let mut elf = Elf::qemu_virt().with_resource_table(TABLE, empty_table());
    elf.sections.extend([
        section(".debug_line", 1, 0, 0, &[0xdd; 256]),
        section(".symtab", 2, 0, 4, &[0; 32]),
        section(".strtab", 3, 0, 0, b"\0main\0"),
    ]);
    let whole = elf.build();
    let (mut good, mut bad) = (0, 0);
    for at in 0..whole.len() {
        for mask in [0x01, 0x04, 0x80, 0xff] {
            let mut file = whole.clone();
            file[at] ^= mask;
            // No panic, whatever it says; and what is left of a good file is a good file.
            let Ok(image) = Image::parse(&file) else {
                bad += 1;
                continue;
            };
            let stripped = without_debug(&image);
            let again = Image::parse(&stripped).expect("still an ELF");
            assert_eq!(again.segments(), image.segments(), "byte {at}");
            assert_eq!(again.build_id(), image.build_id(), "byte {at}");
            good += 1;
        }
    }
    assert!(good > 400 && bad > 400, "{good} {bad}");
}

#[test]
fn counts_beyond_reason_are_refused_before_they_are_believed() {
    assert_eq!(
        patched(44, &[0xff, 0xff]),
        Err(Error::ElfTooManyProgramHeaders {
            count: 65535,
            limit: 128
        })
    );
    let file = Elf::qemu_virt().build().len() as u64;
    let sections = u64::from(u32::from_le_bytes(
        Elf::qemu_virt().build()[32..36]
            .try_into()
            .expect("4 bytes"),
    ));
    assert_eq!(
        patched(48, &[0xff, 0xff]),
        Err(Error::ElfTruncated {
            end: sections + 65535 * 40,
            file
        })
    );
}

#[test]
fn an_image_without_anything_to_load_is_refused() {
    let mut elf = Elf::qemu_virt();
    elf.segments.clear();
    assert_eq!(parse(&elf), Err(Error::ElfNothingToLoad));
    let mut elf = Elf::qemu_virt();
    elf.segments.iter_mut().for_each(|segment| segment.kind = 4);
    assert_eq!(parse(&elf), Err(Error::ElfNothingToLoad));
}

#[test]
fn segments_that_overlap_are_refused() {
    let mut elf = Elf::qemu_virt();
    elf.segments[1].address = 0x2100_0107;
    assert_eq!(
        parse(&elf),
        Err(Error::ElfSegmentsOverlap {
            first: 0,
            second: 1,
            from: 0x2100_0107,
            to: 0x2100_0108
        })
    );
    elf.segments[1].address = 0x2100_0108;
    assert_eq!(parse(&elf), Ok(()));
}

#[test]
fn segments_that_share_bytes_of_the_file_are_refused() {
    let elf = Elf::qemu_virt();
    let mut file = elf.build();
    // The second program header's offset becomes the first one's.
    let (first, second) = (52 + 4, 52 + 32 + 4);
    let offset: [u8; 4] = file[first..first + 4].try_into().expect("4 bytes");
    file[second..second + 4].copy_from_slice(&offset);
    let from = u64::from(u32::from_le_bytes(offset));
    assert_eq!(
        Image::parse(&file).map(drop),
        Err(Error::ElfSegmentsShareBytes {
            first: 0,
            second: 1,
            from,
            to: from + 32
        })
    );
}

#[test]
fn a_segment_larger_in_the_file_than_in_memory_is_refused() {
    let mut elf = Elf::qemu_virt();
    elf.segments[1].memory_size = 31;
    assert_eq!(
        parse(&elf),
        Err(Error::ElfSegmentFileLarger {
            segment: 1,
            file: 32,
            memory: 31
        })
    );
    elf.segments[1].memory_size = 32;
    assert_eq!(parse(&elf), Ok(()));
}

#[test]
fn a_segment_that_wraps_is_refused() {
    let mut elf = Elf::qemu_virt();
    elf.segments[1].address = 0xffff_ffc1;
    let wraps = |address| Error::ElfSegmentWraps {
        segment: 1,
        address,
        size: 64,
    };
    assert_eq!(parse(&elf), Err(wraps(0xffff_ffc1)));
    elf.segments[1].address = 0xffff_ffc0;
    assert_eq!(parse(&elf), Ok(()));

    let (wide, machine) = (true, 183);
    let mut elf = Elf {
        wide,
        machine,
        ..Elf::qemu_virt()
    };
    elf.segments[1].address = u64::MAX - 62;
    assert_eq!(parse(&elf), Err(wraps(u64::MAX - 62)));
}

#[test]
fn a_segment_both_writable_and_executable_is_refused() {
    let mut elf = Elf::qemu_virt();
    elf.segments[0].flags = 7;
    assert_eq!(
        parse(&elf),
        Err(Error::ElfSegmentWritableExecutable {
            segment: 0,
            address: 0x2100_0000
        })
    );
}

#[test]
fn sections_and_names_outside_the_file_are_refused() {
    let section = Section {
        name: ".comment",
        kind: 1,
        flags: 0,
        address: 0,
        link: 0,
        info: 0,
        entry_size: 0,
        content: Content::Own(b"made by hand".to_vec()),
    };
    let mut elf = Elf::qemu_virt();
    elf.sections.push(section);
    let good = elf.build();
    assert!(Image::parse(&good).is_ok());
    let length = good.len() as u64;
    let table = usize::try_from(u32::from_le_bytes(
        good[32..36].try_into().expect("4 bytes"),
    ))
    .expect("fits");

    let with = |at: usize, value: u32| {
        let mut file = good.clone();
        file[at..at + 4].copy_from_slice(&value.to_le_bytes());
        Image::parse(&file).map(drop)
    };
    assert_eq!(
        with(table + 40, 0x1000),
        Err(Error::ElfSectionName {
            section: 1,
            offset: 0x1000
        })
    );
    assert_eq!(
        with(table + 40 + 16, 0xffff_fff0),
        Err(Error::ElfSectionOutside {
            section: 1,
            end: 0xffff_fff0 + 12,
            file: length
        })
    );
    let mut file = good.clone();
    file[50..52].copy_from_slice(&9u16.to_le_bytes());
    assert_eq!(
        Image::parse(&file).map(drop),
        Err(Error::ElfSectionNames { index: 9 })
    );
}

#[test]
fn the_resource_table_must_be_one_and_loaded() {
    let good = Elf::qemu_virt().with_resource_table(TABLE, empty_table());
    let bytes = good.build();
    let image = Image::parse(&bytes).expect("it is good");
    let table = image.resource_table().expect("there is one");
    assert_eq!((table.address, table.segment), (TABLE, Some(2)));

    let twice = good
        .clone()
        .with_resource_table(TABLE + 0x1000, empty_table());
    assert_eq!(
        parse(&twice),
        Err(Error::ElfTwoResourceTables {
            first: 1,
            second: 2
        })
    );
    let mut not_loaded = good.clone();
    not_loaded.sections[0].flags = 0;
    assert_eq!(
        parse(&not_loaded),
        Err(Error::ElfResourceTableEmpty { section: 1 })
    );
    let mut without_bytes = good;
    without_bytes.sections[0].kind = 8;
    assert_eq!(
        parse(&without_bytes),
        Err(Error::ElfResourceTableEmpty { section: 1 })
    );
}

#[test]
fn the_resource_table_has_the_table_page_to_itself() {
    let good = Elf::qemu_virt().with_resource_table(TABLE, empty_table());
    assert_eq!(placed(&good), Ok(()));

    let elsewhere = Elf::qemu_virt().with_resource_table(TABLE + 0x1000, empty_table());
    assert_eq!(
        placed(&elsewhere),
        Err(Error::ResourceTablePlace {
            address: TABLE + 0x1000,
            page: TABLE
        })
    );
    let mut crowded = good.clone();
    crowded
        .segments
        .push(Segment::load(6, TABLE + 0xf00, vec![1; 16]));
    assert_eq!(
        placed(&crowded),
        Err(Error::ResourceTableNotAlone {
            address: TABLE,
            segment: 3,
            from: TABLE + 0xf00,
            to: TABLE + 0xf10
        })
    );
    // Its own segment holds more than the table.
    let mut larger = good;
    larger.sections[0].content = Content::Own(empty_table());
    larger.segments[2].bytes.extend([7; 16]);
    larger.segments[2].memory_size = 32;
    assert_eq!(
        placed(&larger),
        Err(Error::ResourceTableNotAlone {
            address: TABLE,
            segment: 2,
            from: TABLE,
            to: TABLE + 32
        })
    );
}

#[test]
fn a_resource_table_that_the_platform_refuses_is_refused_early() {
    let elf = Elf::qemu_virt().with_resource_table(TABLE, vec![2; 16]);
    assert!(matches!(placed(&elf), Err(Error::ResourceTable(_))));
}

#[test]
fn segments_stay_in_private_memory() {
    let mut elf = Elf::qemu_virt();
    elf.segments[1].address = 0x2000_0000;
    assert_eq!(
        placed(&elf),
        Err(Error::SegmentOutside {
            segment: 1,
            from: 0x2000_0000,
            to: 0x2000_0040,
            region: 0x2100_0000,
            region_end: 0x2120_0000
        })
    );
    elf.segments[1].address = 0x2121_0000;
    assert_eq!(
        placed(&elf),
        Err(Error::SegmentInSharedWindow {
            segment: 1,
            from: 0x2121_0000,
            to: 0x2121_0040
        })
    );
    // Half in each.
    elf.segments[1].address = 0x211f_ffe0;
    assert_eq!(
        placed(&elf),
        Err(Error::SegmentInSharedWindow {
            segment: 1,
            from: 0x211f_ffe0,
            to: 0x2120_0020
        })
    );
    elf.segments[1].address = 0x211f_ffc0;
    assert_eq!(placed(&elf), Ok(()));
}

#[test]
fn the_entry_lies_in_signed_code() {
    let mut elf = Elf::qemu_virt();
    elf.entry = 0x2100_4001;
    assert_eq!(
        placed(&elf),
        Err(Error::EntryOutside { entry: 0x2100_4000 })
    );
    elf.entry = 0x2100_0108;
    assert_eq!(
        placed(&elf),
        Err(Error::EntryOutside { entry: 0x2100_0108 })
    );
    elf.entry = 0x2100_0107;
    assert_eq!(placed(&elf), Ok(()));
}

#[test]
fn a_cortex_m_finds_its_vector_table() {
    let boot = 0x2100_0000;
    let elsewhere = Elf::cortex_m(0x2100_1000, 0x2120_0000, 64, 0x2100_4000);
    assert_eq!(
        placed(&elsewhere),
        Err(Error::NothingAtBootAddress { address: boot })
    );
    let mut as_data = Elf::qemu_virt();
    as_data.segments[0].flags = 4;
    assert_eq!(
        placed(&as_data),
        Err(Error::NothingAtBootAddress { address: boot })
    );
    let mut short = Elf::qemu_virt();
    short.segments[0].bytes.truncate(7);
    assert_eq!(
        placed(&short),
        Err(Error::VectorTableMissing { table: boot })
    );
    let with_word = |at: usize, word: u32| {
        let mut elf = Elf::qemu_virt();
        elf.segments[0].bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
        placed(&elf)
    };
    for reset in [0, 0x2100_0008, 0x2100_4001, 0xffff_ffff] {
        assert_eq!(
            with_word(4, reset),
            Err(Error::VectorTableReset {
                table: boot,
                reset: u64::from(reset)
            })
        );
    }
    for stack in [0, 0x2100_0000, 0x2100_1002, 0x2120_0004, 0xffff_fffc] {
        assert_eq!(
            with_word(0, stack),
            Err(Error::VectorTableStack {
                table: boot,
                stack: u64::from(stack)
            })
        );
    }
    assert_eq!(with_word(0, 0x2100_1000), Ok(()));
}

#[test]
fn an_image_for_another_processor_is_refused() {
    let elf = Elf {
        wide: true,
        machine: 183,
        ..Elf::qemu_virt()
    };
    assert_eq!(
        placed(&elf),
        Err(Error::CoreArchitecture {
            image: Machine::Aarch64,
            core: 0,
            architecture: platform::Architecture::ArmM
        })
    );
}

#[test]
fn the_build_id_is_found_in_a_note() {
    let mut note = Vec::new();
    for word in [4u32, 20, 3] {
        note.extend(word.to_le_bytes());
    }
    note.extend(b"GNU\0");
    note.extend([0xab; 20]);
    let mut elf = Elf::qemu_virt();
    elf.segments.push(Segment {
        kind: 4,
        ..Segment::load(4, 0, note)
    });
    let bytes = elf.build();
    let image = Image::parse(&bytes).expect("it is good");
    assert_eq!(image.build_id(), Some([0xab; 20].as_slice()));
    let bytes = Elf::qemu_virt().build();
    assert_eq!(Image::parse(&bytes).expect("good").build_id(), None);
}

#[test]
fn a_section_table_that_claims_the_file_a_thousand_times_costs_no_more_than_once() {
    let mut elf = Elf::qemu_virt();
    let section = |name, kind, flags, link| Section {
        name,
        kind,
        flags,
        address: 0,
        link,
        info: 0,
        entry_size: 16,
        content: Content::OfSegment(0),
    };
    elf.segments[0].bytes.resize(0x8_0000, 0);
    elf.segments[0].memory_size = 0x8_0000;
    elf.segments[1].address = 0x2110_0000;
    elf.sections = vec![section(".text", 1, 2, 0); 20_000];
    elf.sections.push(section(".debug", 1, 0, 0));
    let bytes = elf.build();
    let image = Image::parse(&bytes).expect("it is read");
    let stripped = without_debug(&image);
    assert!(stripped.len() < bytes.len());
    assert!(Image::parse(&stripped).is_ok());

    // More symbol tables than any linker writes: the file stays as it is.
    elf.sections = vec![section(".symtab", 2, 0, 1); 20_000];
    let bytes = elf.build();
    let image = Image::parse(&bytes).expect("it is read");
    assert_eq!(without_debug(&image), bytes);
}

/// As [`sign()`](firmware_signing::sign::sign) does it.
fn without_debug(image: &Image<'_>) -> Vec<u8> {
    let elf = image.bytes().to_vec();
    match Stripping::of(image) {
        Some(stripping) => stripping.apply(elf),
        None => elf,
    }
}
