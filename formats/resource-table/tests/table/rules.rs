//! One accepting and one refusing test for every rule of a resource table.

use platform::{Core, Platform};
use resource_table::{ANY, Entry, Error, Table, vring_size};
use ta_protocol::Status;

use crate::sample::{Sample, TRACE, VDEV, VRING0, VRING1, platform, platform_with};

#[test]
fn a_table_as_openamp_writes_it_is_published_as_it_is() {
    let sample = Sample::openamp();
    let table = Table::parse(sample.bytes()).unwrap();
    let published = table.sanitise(core(&platform())).unwrap();
    assert_eq!(published.bytes(), sample.bytes());

    let vdev = table.vdevs().next().unwrap();
    assert_eq!((vdev.id, vdev.notify_id, vdev.device_features), (7, 0, 1));
    assert_eq!((vdev.driver_features, vdev.status), (0, 0));
    assert_eq!(vdev.config(), &[]);
    let vrings: Vec<_> = vdev.vrings().collect();
    assert_eq!(vrings.len(), 2);
    assert_eq!(vrings[0].device_address, 0x2120_2000);
    assert_eq!(vrings[1].device_address, 0x2120_5000);
    assert_eq!(vrings[1].notify_id, 1);
    let trace = table.traces().next().unwrap();
    assert_eq!((trace.device_address, trace.length), (0x2120_1000, 0x1000));
    assert_eq!(trace.name(), "trace_buf");
}

#[test]
fn a_vring_has_the_size_that_linux_reckons() {
    // Figures of Linux' vring_size.
    for (descriptors, align, size) in [(16, 16, 438), (256, 16, 6678), (256, 4096, 10246)] {
        assert_eq!(vring_size(descriptors, align), Some(size));
    }
    assert_eq!(vring_size(16, 0), None);
    assert_eq!(vring_size(16, 48), None);
    assert!(vring_size(u32::MAX, 1 << 31).is_some());
}

/// An edit of a good table: a word at an offset, and the error it must meet.
struct Case(&'static str, usize, u32, Error);

#[test]
fn each_broken_form_is_named() {
    let truncated = |entry, needed| Error::Truncated {
        entry,
        needed,
        found: 140,
    };
    let cases = [
        Case("version", 0, 2, Error::Version { version: 2 }),
        Case(
            "header reserved",
            8,
            1,
            Error::Reserved {
                offset: 8,
                value: 1,
            },
        ),
        Case(
            "header reserved",
            12,
            0x100,
            Error::Reserved {
                offset: 12,
                value: 0x100,
            },
        ),
        Case(
            "too many entries",
            4,
            33,
            Error::Entries {
                count: 33,
                limit: 32,
            },
        ),
        Case("offset array behind the end", 4, 32, truncated(None, 144)),
        Case(
            "entry in the offset array",
            16,
            20,
            Error::Order {
                entry: 0,
                offset: 20,
            },
        ),
        Case(
            "entry unaligned",
            20,
            94,
            Error::Order {
                entry: 1,
                offset: 94,
            },
        ),
        Case(
            "entry over the one before",
            20,
            88,
            Error::Order {
                entry: 1,
                offset: 88,
            },
        ),
        Case(
            "entries unsorted",
            16,
            92,
            Error::Order {
                entry: 1,
                offset: 92,
            },
        ),
        Case(
            "gap that is not zero",
            20,
            96,
            Error::Padding {
                offset: 92,
                value: 2,
            },
        ),
        Case("entry behind the end", 20, 140, truncated(Some(1), 144)),
        Case(
            "entry far behind the end",
            20,
            0xffff_fffc,
            truncated(Some(1), 0x1_0000_0000),
        ),
        Case(
            "unknown type",
            VDEV,
            4,
            Error::EntryType { entry: 0, kind: 4 },
        ),
        Case(
            "unknown type below vendors",
            VDEV,
            127,
            Error::EntryType {
                entry: 0,
                kind: 127,
            },
        ),
        Case(
            "unknown type above vendors",
            VDEV,
            513,
            Error::EntryType {
                entry: 0,
                kind: 513,
            },
        ),
        Case(
            "three vrings",
            VDEV + 24,
            0x0000_0300,
            Error::Vrings { entry: 0, count: 3 },
        ),
        Case(
            "vdev reserved",
            VDEV + 24,
            0x0001_0200,
            Error::Reserved {
                offset: 50,
                value: 1,
            },
        ),
        Case(
            "long configuration space",
            VDEV + 20,
            257,
            Error::Config {
                entry: 0,
                length: 257,
            },
        ),
        Case(
            "configuration space behind the end",
            VDEV + 20,
            49,
            truncated(Some(0), 141),
        ),
        Case(
            "configuration space over the next",
            VDEV + 20,
            4,
            Error::Order {
                entry: 1,
                offset: 92,
            },
        ),
        Case(
            "vring reserved",
            VRING1 + 16,
            7,
            Error::Reserved {
                offset: 88,
                value: 7,
            },
        ),
        Case(
            "trace reserved",
            TRACE + 12,
            1,
            Error::Reserved {
                offset: 104,
                value: 1,
            },
        ),
        Case("empty name", TRACE + 16, 0, Error::Name { entry: 1 }),
        Case(
            "name with a control character",
            TRACE + 16,
            0x6161_610a,
            Error::Name { entry: 1 },
        ),
        Case(
            "something behind the name",
            TRACE + 44,
            0x61,
            Error::Name { entry: 1 },
        ),
    ];
    for Case(name, offset, value, error) in cases {
        let mut sample = Sample::openamp();
        sample.word(offset, value);
        assert_eq!(Table::parse(sample.bytes()).unwrap_err(), error, "{name}");
    }
}

#[test]
fn a_name_without_an_end_is_refused() {
    let mut sample = Sample::openamp();
    for word in 0..8 {
        sample.word(TRACE + 16 + 4 * word, 0x6161_6161);
    }
    let error = Error::Name { entry: 1 };
    assert_eq!(Table::parse(sample.bytes()).unwrap_err(), error);
    sample.word(TRACE + 44, 0x0061_6161);
    assert!(Table::parse(sample.bytes()).is_ok());
}

#[test]
fn every_cut_is_refused() {
    let sample = Sample::openamp();
    for length in 0..sample.bytes().len() {
        let error = Table::parse(&sample.bytes()[..length]).unwrap_err();
        assert!(
            matches!(error, Error::Truncated { found, .. } if found == length as u64),
            "{length}: {error}"
        );
    }
}

#[test]
fn the_length_is_bounded_by_the_generation_lines() {
    let mut sample = Sample::openamp();
    sample.pad_to(0xE00);
    assert_eq!(Table::parse(sample.bytes()).unwrap().used(), 140);
    sample.pad_to(0xE01);
    let too_long = Error::TooLong {
        length: 0xE01,
        limit: 0xE00,
    };
    assert_eq!(Table::parse(sample.bytes()).unwrap_err(), too_long);
    // The linker may pad the section to its page, with zeros only.
    sample.pad_to(0x1000);
    let table = Table::from_section(sample.bytes()).unwrap();
    assert_eq!(table.bytes(), Sample::openamp().bytes());
    sample.word(0xFFC, 1);
    assert_eq!(
        Table::from_section(sample.bytes()).unwrap_err(),
        Error::TooLong {
            length: 0x1000,
            limit: 0xE00
        }
    );
}

#[test]
fn something_behind_the_entries_is_refused() {
    let mut sample = Sample::openamp();
    sample.pad_to(160);
    assert!(Table::parse(sample.bytes()).is_ok());
    sample.word(156, 1 << 24);
    let error = Error::Padding {
        offset: 159,
        value: 1,
    };
    assert_eq!(Table::parse(sample.bytes()).unwrap_err(), error);
}

#[test]
fn each_broken_value_is_named() {
    let length = 10246;
    let outside = |entry, address| Error::VringOutside {
        entry,
        address,
        length,
    };
    let cases = [
        Case(
            "network device",
            VDEV + 4,
            1,
            Error::VdevId { entry: 0, id: 1 },
        ),
        Case(
            "alignment no power of two",
            VRING0 + 4,
            0x1800,
            Error::Alignment {
                entry: 0,
                align: 0x1800,
            },
        ),
        Case(
            "alignment zero",
            VRING0 + 4,
            0,
            Error::Alignment { entry: 0, align: 0 },
        ),
        Case(
            "alignment below a descriptor's",
            VRING0 + 4,
            8,
            Error::Alignment { entry: 0, align: 8 },
        ),
        Case(
            "alignment above a page",
            VRING0 + 4,
            0x2000,
            Error::Alignment {
                entry: 0,
                align: 0x2000,
            },
        ),
        Case(
            "no descriptors",
            VRING0 + 8,
            0,
            Error::Descriptors {
                entry: 0,
                descriptors: 0,
            },
        ),
        Case(
            "descriptors no power of two",
            VRING0 + 8,
            255,
            Error::Descriptors {
                entry: 0,
                descriptors: 255,
            },
        ),
        Case(
            "too many descriptors",
            VRING0 + 8,
            2048,
            Error::Descriptors {
                entry: 0,
                descriptors: 2048,
            },
        ),
        Case(
            "vring unaligned",
            VRING0,
            0x2120_2800,
            Error::AddressAlignment {
                entry: 0,
                address: 0x2120_2800,
                align: 0x1000,
            },
        ),
        Case(
            "vring in private memory",
            VRING0,
            0x2110_0000,
            outside(0, 0x2110_0000),
        ),
        Case(
            "vring over the table",
            VRING0,
            0x2120_0000,
            outside(0, 0x2120_0000),
        ),
        Case(
            "vring over the trace",
            VRING0,
            0x2120_1000,
            outside(0, 0x2120_1000),
        ),
        Case(
            "vring over the buffers",
            VRING0,
            0x2121_0000,
            outside(0, 0x2121_0000),
        ),
        Case(
            "vring behind the area",
            VRING1,
            0x2120_6000,
            outside(0, 0x2120_6000),
        ),
        Case(
            "vring at the end of the address space",
            VRING1,
            0xffff_f000,
            outside(0, 0xffff_f000),
        ),
        Case(
            "vrings overlap",
            VRING1,
            0x2120_4000,
            Error::VringOverlap {
                entry: 0,
                address: 0x2120_4000,
            },
        ),
        Case(
            "vrings the same",
            VRING1,
            0x2120_2000,
            Error::VringOverlap {
                entry: 0,
                address: 0x2120_2000,
            },
        ),
        Case(
            "notify id taken",
            VRING1 + 12,
            0,
            Error::NotifyId { entry: 0, id: 0 },
        ),
        Case(
            "notify id out of range",
            VRING1 + 12,
            256,
            Error::NotifyId { entry: 0, id: 256 },
        ),
        Case(
            "device's notify id out of range",
            VDEV + 8,
            256,
            Error::NotifyId { entry: 0, id: 256 },
        ),
        Case(
            "trace in private memory",
            TRACE + 4,
            0x2110_0000,
            Error::TraceOutside {
                entry: 1,
                address: 0x2110_0000,
                length: 0x1000,
            },
        ),
        Case(
            "trace over the vrings",
            TRACE + 8,
            0x1001,
            Error::TraceOutside {
                entry: 1,
                address: 0x2120_1000,
                length: 0x1001,
            },
        ),
        Case(
            "trace of no length",
            TRACE + 8,
            0,
            Error::TraceOutside {
                entry: 1,
                address: 0x2120_1000,
                length: 0,
            },
        ),
        Case(
            "trace that wraps",
            TRACE + 4,
            0xffff_fffe,
            Error::TraceOutside {
                entry: 1,
                address: 0xffff_fffe,
                length: 0x1000,
            },
        ),
    ];
    let platform = platform();
    for Case(name, offset, value, error) in cases {
        let mut sample = Sample::openamp();
        sample.word(offset, value);
        let table = Table::parse(sample.bytes()).unwrap();
        assert_eq!(
            table.sanitise(core(&platform)).unwrap_err(),
            error,
            "{name}"
        );
    }
}

#[test]
fn what_the_rules_allow_is_accepted() {
    let cases = [
        ("small alignment", VRING0 + 4, 16),
        ("one descriptor", VRING0 + 8, 1),
        ("another address in the area", VRING1, 0x2120_5000),
        ("greatest notify id", VRING1 + 12, 255),
        ("greatest notify id of the device", VDEV + 8, 255),
        ("every feature", VDEV + 12, u32::MAX),
        ("short trace", TRACE + 8, 1),
    ];
    let platform = platform();
    for (name, offset, value) in cases {
        let mut sample = Sample::openamp();
        sample.word(offset, value);
        let table = Table::parse(sample.bytes()).unwrap();
        let published = table.sanitise(core(&platform)).unwrap();
        assert_eq!(published.bytes(), sample.bytes(), "{name}");
    }
}

#[test]
fn what_a_driver_writes_is_cleared() {
    let mut sample = Sample::openamp();
    sample.word(VDEV + 16, 1);
    sample.word(VDEV + 24, 0x0000_0207);
    let published = published(&sample, &platform()).unwrap();
    assert_eq!(published, Sample::openamp().bytes());
}

#[test]
fn any_is_resolved_into_the_lowest_free_places() {
    let mut sample = Sample::openamp();
    for offset in [
        VRING0,
        VRING0 + 12,
        VRING1,
        VRING1 + 12,
        TRACE + 4,
        VDEV + 8,
    ] {
        sample.word(offset, ANY);
    }
    assert_eq!(
        published(&sample, &platform()).unwrap(),
        Sample::openamp().bytes()
    );

    // What the table itself names is never given away.
    let mut sample = Sample::openamp();
    sample.word(VRING0, ANY);
    sample.word(VRING0 + 12, ANY);
    sample.word(VRING1, 0x2120_2000);
    sample.word(VRING1 + 12, 0);
    let bytes = published(&sample, &platform()).unwrap();
    let table = Table::parse(&bytes).unwrap();
    let vrings: Vec<_> = table.vdevs().next().unwrap().vrings().collect();
    assert_eq!(
        (vrings[0].device_address, vrings[0].notify_id),
        (0x2120_5000, 1)
    );
    assert_eq!(
        (vrings[1].device_address, vrings[1].notify_id),
        (0x2120_2000, 0)
    );
}

#[test]
fn any_without_space_is_refused() {
    let mut sample = Sample::openamp();
    sample.word(VRING0, 0x2120_3000);
    sample.word(VRING1, ANY);
    assert_eq!(
        published(&sample, &platform()).unwrap_err(),
        Error::VringNoSpace {
            entry: 0,
            length: 10246
        }
    );
    let mut sample = Sample::openamp();
    sample.word(TRACE + 4, ANY);
    sample.word(TRACE + 8, 0x1001);
    assert_eq!(
        published(&sample, &platform()).unwrap_err(),
        Error::TraceNoSpace {
            entry: 1,
            length: 0x1001
        }
    );
}

#[test]
fn entries_of_other_kinds_are_dropped_or_refused_by_policy() {
    let drop = platform_with("other-entries = \"refuse\"", "other-entries = \"drop\"");
    let refuse = platform();
    for kind in [0, 1, 128, 512] {
        let sample = Sample::with_memory_entry(kind);
        let table = Table::parse(sample.bytes()).unwrap();
        assert_eq!(
            table.sanitise(core(&refuse)).unwrap_err(),
            Error::EntryType { entry: 0, kind }
        );
        let published = table.sanitise(core(&drop)).unwrap();
        let left = Table::parse(published.bytes()).unwrap();
        let entries: Vec<_> = left.entries().collect();
        // Firmware reaches its entries by the offsets of a C struct: what stays, stays where it was.
        let [Entry::Vdev(vdev), Entry::Trace(trace)] = entries[..] else {
            panic!("{entries:?}");
        };
        assert_eq!(vdev.offset, 28 + 56);
        assert_eq!(trace.offset, 28 + 56 + 68);
        assert!(published.bytes()[28..28 + 56].iter().all(|byte| *byte == 0));
        assert_eq!(published.bytes().len(), sample.bytes().len());
    }
}

#[test]
fn a_carveout_is_judged_even_where_it_is_dropped() {
    let mut sample = Sample::with_memory_entry(0);
    sample.word(28 + 20, 5);
    assert_eq!(
        Table::parse(sample.bytes()).unwrap_err(),
        Error::Reserved {
            offset: 48,
            value: 5
        }
    );
    let mut sample = Sample::with_memory_entry(1);
    sample.word(28 + 24, 0);
    assert_eq!(
        Table::parse(sample.bytes()).unwrap_err(),
        Error::Name { entry: 0 }
    );
}

#[test]
fn other_virtio_devices_are_allowed_by_the_platform_only() {
    let mut sample = Sample::openamp();
    sample.word(VDEV + 4, 3);
    let console = platform_with("further-vdevs = []", "further-vdevs = [3]");
    assert_eq!(published(&sample, &console).unwrap(), sample.bytes());
    assert_eq!(
        published(&sample, &platform()).unwrap_err(),
        Error::VdevId { entry: 0, id: 3 }
    );
}

#[test]
fn several_devices_share_areas_and_notify_ids() {
    let sample = Sample::with_vdevs(8, 16);
    let bytes = published(&sample, &platform()).unwrap();
    let table = Table::parse(&bytes).unwrap();
    let vrings: Vec<_> = table.vdevs().flat_map(|vdev| vdev.vrings()).collect();
    assert_eq!(vrings.len(), 16);
    for (index, vring) in vrings.iter().enumerate() {
        assert_eq!(vring.notify_id as usize, index);
        assert_eq!(vring.device_address as usize, 0x2120_2000 + index * 448);
    }
    assert_eq!(table.vdevs().last().unwrap().config(), b"config!!");
    assert_eq!(
        published(&Sample::with_vdevs(9, 16), &platform()).unwrap_err(),
        Error::Vdevs { count: 9, limit: 8 }
    );
    // The ids of two devices clash as those of one do.
    let mut sample = Sample::with_vdevs(2, 16);
    let second = 24 + 28 + 40 + 8;
    sample.word(24 + 28 + 12, 5);
    sample.word(second + 28 + 12, 5);
    assert_eq!(
        published(&sample, &platform()).unwrap_err(),
        Error::NotifyId { entry: 1, id: 5 }
    );
}

#[test]
fn two_traces_share_the_area() {
    let mut sample = Sample::with_traces([0x2120_1000, 0x2120_1800], 0x800);
    assert_eq!(published(&sample, &platform()).unwrap(), sample.bytes());
    sample = Sample::with_traces([0x2120_1000, 0x2120_17ff], 0x800);
    assert_eq!(
        published(&sample, &platform()).unwrap_err(),
        Error::TraceOverlap {
            entry: 1,
            address: 0x2120_17ff
        }
    );
    sample = Sample::with_traces([ANY, 0x2120_1000], 0x7f8);
    let bytes = published(&sample, &platform()).unwrap();
    let first = Table::parse(&bytes).unwrap().traces().next().unwrap();
    assert_eq!(first.device_address, 0x2120_1800);
}

#[test]
fn an_empty_table_is_published() {
    let mut sample = Sample::openamp();
    sample.cut_to(16);
    sample.word(4, 0);
    assert_eq!(published(&sample, &platform()).unwrap(), sample.bytes());
}

#[test]
fn a_window_above_32_bits_cannot_be_named_in_a_table() {
    let high = platform_with("device = 0x21200000", "device = 0x121200000");
    let error = published(&Sample::openamp(), &high).unwrap_err();
    assert_eq!(
        error,
        Error::TooHigh {
            address: 0x1_2120_8000
        }
    );
}

#[test]
fn every_error_crosses_the_world_boundary_with_its_numbers() {
    let (entry, address, length, limit) = (1, 0x2120_0000, 5, 4);
    #[rustfmt::skip]
    let cases = [
        (Error::AddressAlignment { entry, address, align: 16 }, Status::VringAlignment, 1, 0x2120_0000),
        (Error::Alignment { entry, align: 3 }, Status::VringAlignment, 1, 3),
        (Error::Config { entry, length }, Status::TableConfig, 1, 5),
        (Error::Descriptors { entry, descriptors: 3 }, Status::VringGeometry, 1, 3),
        (Error::Entries { count: 33, limit }, Status::TableEntries, 33, 4),
        (Error::EntryType { entry, kind: 4 }, Status::TableEntryType, 1, 4),
        (Error::Features { offset: 40, features: 2 }, Status::TableShared, 40, 2),
        (Error::Name { entry }, Status::TableName, 1, 0),
        (Error::NotifyId { entry, id: 256 }, Status::NotifyId, 1, 256),
        (Error::Order { entry, offset: 20 }, Status::TableOrder, 1, 20),
        (Error::Padding { offset: 20, value: 7 }, Status::TableReserved, 20, 7),
        (Error::Reserved { offset: 8, value: 7 }, Status::TableReserved, 8, 7),
        (Error::SharedStatus { offset: 48, status: 0x10 }, Status::TableShared, 48, 0x10),
        (Error::TooHigh { address: 1 << 32 }, Status::PlatformInvalid, 1 << 32, 0),
        (Error::TooLong { length: 0xE01, limit: 0xE00 }, Status::TableTooLarge, 0xE01, 0xE00),
        (Error::TraceNoSpace { entry, length }, Status::TraceOverlap, 1, 5),
        (Error::TraceOutside { entry, address, length }, Status::TraceOutside, 1, 0x2120_0000),
        (Error::TraceOverlap { entry, address }, Status::TraceOverlap, 1, 0x2120_0000),
        (Error::Truncated { entry: Some(3), needed: 20, found: 12 }, Status::TableTruncated, 3, 8),
        (Error::Truncated { entry: None, needed: 16, found: 0 }, Status::TableTruncated, 0, 16),
        (Error::VdevId { entry, id: 1 }, Status::TableVdev, 1, 1),
        (Error::Vdevs { count: 9, limit: 8 }, Status::TableEntries, 9, 8),
        (Error::Version { version: 2 }, Status::TableVersion, 2, 0),
        (Error::VringNoSpace { entry, length }, Status::VringNoSpace, 1, 5),
        (Error::VringOutside { entry, address, length }, Status::VringOutside, 1, 0x2120_0000),
        (Error::VringOverlap { entry, address }, Status::VringOverlap, 1, 0x2120_0000),
        (Error::Vrings { entry, count: 3 }, Status::TableVrings, 1, 3),
    ];
    for (error, status, first, second) in cases {
        assert_eq!(error.status(), (status, first, second));
    }
}

fn core(platform: &Platform) -> &Core {
    platform.core(0).unwrap()
}

fn published(sample: &Sample, platform: &Platform) -> Result<Vec<u8>, Error> {
    let table = Table::parse(sample.bytes()).unwrap();
    let published = table.sanitise(core(platform))?;
    Ok(published.bytes().to_vec())
}
