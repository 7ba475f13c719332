//! Every rule of bundle-format.md 5 to 9: the golden bundle keeps it, a mutant that was signed anew breaks it.

mod support;

use std::ops::Range;

use firmware_bundle::{Error, Part, Reserved, SbomDigest};

use support::{
    CORES, DIGESTS, EXTENSION, Parts, SEGMENT, SEGMENTS, TABLE, pad, put, read, with_manifest,
};

const HALF: Range<usize> = 0..2;
const WORD: Range<usize> = 0..4;
const LONG: Range<usize> = 0..8;

/// A number to put into the manifest, and the rule that refuses it.
struct Case {
    what: &'static str,
    at: usize,
    width: Range<usize>,
    value: u64,
    refused: Error,
}

fn refuse(cases: impl IntoIterator<Item = Case>) {
    assert_eq!(read(&Parts::golden().file()), Ok(()));
    for case in cases {
        let file = with(case.at, case.width, case.value);
        assert_eq!(read(&file), Err(case.refused), "{}", case.what);
    }
}

fn with(at: usize, width: Range<usize>, value: u64) -> Vec<u8> {
    Parts::manifest(|manifest| put(manifest, at, &value.to_le_bytes()[width])).file()
}

/// A field of one of the golden segments.
fn segment(index: usize, offset: usize) -> usize {
    SEGMENTS + index * SEGMENT + offset
}

#[test]
fn a_head_with_other_values_is_refused() {
    refuse([
        Case {
            what: "bundle-format.md 5.2: version 2",
            at: 0,
            width: HALF,
            value: 2,
            refused: Error::ManifestVersion { found: 2 },
        },
        Case {
            what: "bundle-format.md 5.3: a flag without meaning",
            at: 2,
            width: HALF,
            value: 3,
            refused: Error::ManifestFlags { flags: 3 },
        },
        Case {
            what: "bundle-format.md 5.4: reserved",
            at: 60,
            width: WORD,
            value: 1,
            refused: Error::ManifestReserved,
        },
        Case {
            what: "bundle-format.md 5.5: 33 bytes of display version",
            at: 10,
            width: 0..1,
            value: 33,
            refused: Error::DisplayVersionLength { length: 33 },
        },
        Case {
            what: "bundle-format.md 1.10, 5.5: more text than its length says",
            at: 10,
            width: 0..1,
            value: 9,
            refused: Error::Padding {
                part: Part::Manifest,
            },
        },
        Case {
            what: "bundle-format.md 5.6: 65 bytes of build id",
            at: 11,
            width: 0..1,
            value: 65,
            refused: Error::BuildIdLength { length: 65 },
        },
        Case {
            what: "bundle-format.md 1.10, 5.6: more build id than its length says",
            at: 11,
            width: 0..1,
            value: 19,
            refused: Error::Padding {
                part: Part::Manifest,
            },
        },
        Case {
            what: "bundle-format.md 5.7: a vector table that is not announced",
            at: 2,
            width: HALF,
            value: 0,
            refused: Error::VectorTableAddress {
                address: 0x2100_0000,
            },
        },
    ]);
}

#[test]
fn a_vector_table_may_be_at_address_zero_or_absent() {
    // bundle-format.md 5.7
    let vectors = |flag: u8| {
        let file = Parts::manifest(|manifest| {
            manifest[2] = flag;
            put(manifest, 40, &[0; 8]);
        })
        .file();
        with_manifest(&file, |manifest| manifest.vector_table()).unwrap()
    };
    assert_eq!(vectors(0), None);
    assert_eq!(vectors(1), Some(0));
}

#[test]
fn a_display_version_is_text_for_people() {
    // bundle-format.md 5.5
    let judge = |text: &[u8]| {
        let file = Parts::manifest(|manifest| {
            put(manifest, 96, &[0; 32]);
            put(manifest, 96, text);
            manifest[10] = text.len() as u8;
        })
        .file();
        with_manifest(&file, |manifest| manifest.display_version().to_owned())
    };
    for good in ["", "v1", "v1.0-ä", "0123456789abcdef0123456789abcdef"] {
        assert_eq!(judge(good.as_bytes()).as_deref(), Ok(good));
    }
    for bad in [
        &b"v\xff"[..],
        b"\xc3",
        b"v1\n",
        b"\x1b[31m",
        b"v\x00",
        "\u{9b}31m".as_bytes(),
    ] {
        assert_eq!(judge(bad), Err(Error::DisplayVersionText), "{bad:x?}");
    }
}

#[test]
fn core_ids_are_counted_and_ascend() {
    refuse([
        Case {
            what: "bundle-format.md 6.1: none",
            at: 4,
            width: HALF,
            value: 0,
            refused: Error::CoreCount { count: 0 },
        },
        Case {
            what: "bundle-format.md 6.1: 17",
            at: 4,
            width: HALF,
            value: 17,
            refused: Error::CoreCount { count: 17 },
        },
        Case {
            what: "bundle-format.md 6.2: one twice",
            at: CORES.start + 4,
            width: WORD,
            value: 0,
            refused: Error::CoreOrder {
                previous: 0,
                next: 0,
            },
        },
        Case {
            what: "bundle-format.md 6.2: descending",
            at: CORES.start,
            width: WORD,
            value: 3,
            refused: Error::CoreOrder {
                previous: 3,
                next: 2,
            },
        },
        Case {
            what: "bundle-format.md 1.10, 6.1: padding",
            at: CORES.start + 8,
            width: WORD,
            value: 1,
            refused: Error::Padding {
                part: Part::Manifest,
            },
        },
    ]);
    let sixteen = Parts::manifest(|manifest| {
        manifest[4] = 16;
        let ids = (0..16u32).flat_map(u32::to_le_bytes);
        manifest.splice(CORES, ids);
    });
    let ids = with_manifest(&sixteen.file(), |manifest| manifest.core_ids().count());
    assert_eq!(ids, Ok(16), "bundle-format.md 6.1");
}

#[test]
fn segments_that_break_the_format_are_refused() {
    let flags = |flags| Error::SegmentFlags { segment: 0, flags };
    let size = |file, memory| Error::SegmentSize {
        segment: 0,
        file,
        memory,
    };
    let range = |end| Error::FileRange {
        segment: 1,
        end,
        elf: 0x99,
    };
    refuse([
        Case {
            what: "bundle-format.md 7.1: none",
            at: 6,
            width: HALF,
            value: 0,
            refused: Error::SegmentCount { count: 0 },
        },
        Case {
            what: "bundle-format.md 7.1: 33",
            at: 6,
            width: HALF,
            value: 33,
            refused: Error::SegmentCount { count: 33 },
        },
        Case {
            what: "bundle-format.md 7.2: no access",
            at: segment(0, 32),
            width: WORD,
            value: 0,
            refused: flags(0),
        },
        Case {
            what: "bundle-format.md 7.2: access without meaning",
            at: segment(0, 32),
            width: WORD,
            value: 0xd,
            refused: flags(0xd),
        },
        Case {
            what: "bundle-format.md 7.3: no memory",
            at: segment(0, 8),
            width: LONG,
            value: 0,
            refused: size(24, 0),
        },
        Case {
            what: "bundle-format.md 7.3: more bytes than memory",
            at: segment(0, 8),
            width: LONG,
            value: 23,
            refused: size(24, 23),
        },
        Case {
            what: "bundle-format.md 7.4: past the end of the address space",
            at: segment(2, 0),
            width: LONG,
            value: u64::MAX - 0xff,
            refused: Error::SegmentWraps {
                segment: 2,
                address: u64::MAX - 0xff,
            },
        },
        Case {
            what: "bundle-format.md 7.5: two at one address",
            at: segment(1, 0),
            width: LONG,
            value: 0x2100_0000,
            refused: Error::SegmentOrder { segment: 1 },
        },
        Case {
            what: "bundle-format.md 7.5: descending",
            at: segment(2, 0),
            width: LONG,
            value: 0x2100_0800,
            refused: Error::SegmentOrder { segment: 2 },
        },
        Case {
            what: "bundle-format.md 7.6: one byte shared",
            at: segment(1, 0),
            width: LONG,
            value: 0x2100_0017,
            refused: Error::SegmentOverlap {
                segment: 1,
                address: 0x2100_0017,
                end: 0x2100_0018,
            },
        },
        Case {
            what: "bundle-format.md 7.6: in the memory behind its bytes",
            at: segment(2, 0),
            width: LONG,
            value: 0x2100_103f,
            refused: Error::SegmentOverlap {
                segment: 2,
                address: 0x2100_103f,
                end: 0x2100_1040,
            },
        },
        Case {
            what: "bundle-format.md 7.7: one byte behind the ELF part",
            at: segment(1, 16),
            width: LONG,
            value: 0x91,
            refused: range(0x9a),
        },
        Case {
            what: "bundle-format.md 7.7: a range that wraps",
            at: segment(1, 16),
            width: LONG,
            value: u64::MAX - 3,
            refused: range(u64::MAX),
        },
        Case {
            what: "bundle-format.md 7.8: one byte of the file for two",
            at: segment(1, 16),
            width: LONG,
            value: 0x8b,
            refused: Error::FileOverlap {
                first: 0,
                second: 1,
            },
        },
        Case {
            what: "bundle-format.md 7.8: the same, in the other order",
            at: segment(0, 16),
            width: LONG,
            value: 0x75,
            refused: Error::FileOverlap {
                first: 0,
                second: 1,
            },
        },
        Case {
            what: "bundle-format.md 7.9: an offset for nothing",
            at: segment(2, 16),
            width: LONG,
            value: 0x8c,
            refused: Error::FileRangeEmpty {
                segment: 2,
                offset: 0x8c,
            },
        },
    ]);
    // bundle-format.md 7.2
    for at in 36..48 {
        let file = with(segment(1, at), 0..1, 1);
        assert_eq!(read(&file), Err(Error::SegmentReserved { segment: 1 }));
    }
}

#[test]
fn segments_may_touch_each_other_and_the_ends_of_everything() {
    // bundle-format.md 7.4 to 7.8, the accepting side
    assert_eq!(read(&with(segment(1, 0), LONG, 0x2100_0018)), Ok(()));
    assert_eq!(read(&with(segment(1, 16), LONG, 0x90)), Ok(()));
    let last = u64::MAX - 0x100;
    assert_eq!(read(&with(segment(2, 0), LONG, last)), Ok(()));
    assert_eq!(read(&with(segment(0, 16), LONG, 0)), Ok(()));
}

#[test]
fn thirty_two_segments_are_read() {
    // bundle-format.md 7.1
    let count = |count: u16| {
        let parts = Parts::manifest(|manifest| {
            put(manifest, 6, &count.to_le_bytes());
            let empty = manifest[segment(2, 0)..segment(3, 0)].to_vec();
            for index in (3..u64::from(count)).rev() {
                let mut another = empty.clone();
                put(
                    &mut another,
                    0,
                    &(0x2100_2000 + index * 0x100).to_le_bytes(),
                );
                manifest.splice(DIGESTS.start..DIGESTS.start, another);
            }
        });
        with_manifest(&parts.file(), |manifest| manifest.segments().count())
    };
    assert_eq!(count(32), Ok(32));
}

#[test]
fn an_image_of_64_mib_is_read_and_a_larger_one_refused() {
    // bundle-format.md 7.10, 7.11
    let image = |size: u64| {
        let mut parts = Parts::manifest(|manifest| {
            put(manifest, segment(0, 8), &size.to_le_bytes());
            put(manifest, segment(0, 24), &size.to_le_bytes());
            put(manifest, segment(1, 0), &0x4000_0000_u64.to_le_bytes());
            put(manifest, segment(1, 16), &0_u64.to_le_bytes());
            put(manifest, segment(2, 0), &0x5000_0000_u64.to_le_bytes());
            let chunks = size.div_ceil(0x10_0000) as usize;
            manifest.splice(DIGESTS.start..DIGESTS.start + 32, vec![7; chunks * 32]);
        });
        parts.elf.resize(size as usize + 0x74, 0);
        parts.padding = vec![0; parts.elf.len().next_multiple_of(16) - parts.elf.len()];
        with_manifest(&parts.file(), |manifest| manifest.digests().len())
    };
    let most = 0x400_0000 - 9;
    assert_eq!(image(most), Ok(65));
    assert_eq!(
        image(most + 1).map(drop),
        Err(Error::ImageSize {
            size: 0x400_0001,
            limit: 0x400_0000
        })
    );
}

#[test]
fn a_resource_table_is_bounded_and_has_an_address_only_when_it_is_there() {
    // bundle-format.md 8.1, bundle-format.md 8.2
    let table = |size: usize, address: u64| {
        let parts = Parts::manifest(|manifest| {
            put(manifest, 48, &address.to_le_bytes());
            put(manifest, 56, &(size as u32).to_le_bytes());
            let mut table = vec![0x11; size];
            pad(&mut table);
            manifest.splice(TABLE, table);
        });
        with_manifest(&parts.file(), |manifest| {
            manifest
                .resource_table()
                .map(|(address, table)| (address, table.len()))
        })
    };
    assert_eq!(table(0xe00, 0x1000), Ok(Some((0x1000, 0xe00))));
    assert_eq!(table(1, 0), Ok(Some((0, 1))));
    assert_eq!(table(0, 0), Ok(None));
    assert_eq!(
        table(0xe01, 0x1000),
        Err(Error::TableSize {
            size: 0xe01,
            limit: 0xe00
        })
    );
    assert_eq!(
        table(0, 0x1000),
        Err(Error::TableAddress { address: 0x1000 })
    );
    let padding = with(TABLE.end - 1, 0..1, 1);
    let part = Part::Manifest;
    assert_eq!(read(&padding), Err(Error::Padding { part }));
}

#[test]
fn extensions_that_break_the_format_are_refused() {
    let kind = 0x8000_0001;
    refuse([
        Case {
            what: "bundle-format.md 9.1: 33",
            at: 8,
            width: HALF,
            value: 33,
            refused: Error::ExtensionCount { count: 33 },
        },
        Case {
            what: "bundle-format.md 9.2: type 0",
            at: EXTENSION,
            width: WORD,
            value: 0,
            refused: Error::ExtensionZero,
        },
        Case {
            what: "bundle-format.md 9.3: a flag without meaning",
            at: EXTENSION + 4,
            width: WORD,
            value: 2,
            refused: Error::ExtensionFlags { kind, flags: 2 },
        },
        Case {
            what: "bundle-format.md 9.3: reserved",
            at: EXTENSION + 12,
            width: WORD,
            value: 1,
            refused: Error::ExtensionReserved { kind },
        },
        Case {
            what: "bundle-format.md 9.4: critical and unknown",
            at: EXTENSION + 4,
            width: WORD,
            value: 1,
            refused: Error::ExtensionUnknown { kind },
        },
        Case {
            what: "bundle-format.md 1.9: a value that is not there",
            at: EXTENSION + 8,
            width: WORD,
            value: u64::from(u32::MAX),
            refused: Error::PartShort {
                part: Part::Manifest,
                size: 544,
            },
        },
        Case {
            what: "bundle-format.md 1.9: an extension that is not counted",
            at: 8,
            width: HALF,
            value: 0,
            refused: Error::PartTail {
                part: Part::Manifest,
                excess: 32,
            },
        },
        Case {
            what: "bundle-format.md 1.9: an extension that is not there",
            at: 8,
            width: HALF,
            value: 2,
            refused: Error::PartShort {
                part: Part::Manifest,
                size: 544,
            },
        },
        Case {
            what: "bundle-format.md 1.10: padding of a value",
            at: EXTENSION + 21,
            width: 0..1,
            value: 1,
            refused: Error::Padding {
                part: Part::Manifest,
            },
        },
    ]);
}

#[test]
fn extensions_ascend_by_type() {
    // bundle-format.md 9.2
    let types = |types: &[u32]| {
        let parts = Parts::manifest(|manifest| {
            manifest.truncate(EXTENSION);
            put(manifest, 8, &(types.len() as u16).to_le_bytes());
            for kind in types {
                manifest.extend(kind.to_le_bytes());
                manifest.extend([0; 12]);
            }
        });
        with_manifest(&parts.file(), |manifest| {
            manifest
                .extensions()
                .map(|extension| extension.kind)
                .collect::<Vec<_>>()
        })
    };
    let most: Vec<u32> = (0..32).map(|index| 0x100 + index).collect();
    assert_eq!(types(&most), Ok(most.clone()), "bundle-format.md 9.1");
    assert_eq!(types(&[]), Ok(vec![]));
    assert_eq!(types(&[0xb, u32::MAX]), Ok(vec![0xb, u32::MAX]));
    for (previous, next) in [(0x20, 0x20), (0x21, 0x20)] {
        assert_eq!(
            types(&[previous, next]),
            Err(Error::ExtensionOrder { previous, next })
        );
    }
}

#[test]
fn reserved_extensions_are_refused_by_name_whether_critical_or_not() {
    // bundle-format.md 9.5
    let names = [
        "device id",
        "encryption",
        "coredump policy",
        "coredump recipient",
        "requires",
        "health policy",
        "trust update",
        "further images",
        "debug unlock",
    ];
    for (index, name) in (1u32..).zip(names) {
        let kind = Reserved::from_kind(index).unwrap();
        assert_eq!(kind.kind(), index);
        let error = Error::ExtensionNotSupported { kind };
        assert_eq!(
            error.to_string(),
            format!("the extension \"{name}\" is not supported yet")
        );
        for critical in 0..2 {
            let file = Parts::manifest(|manifest| {
                put(manifest, EXTENSION, &index.to_le_bytes());
                manifest[EXTENSION + 4] = critical;
            })
            .file();
            assert_eq!(read(&file), Err(error));
        }
    }
    assert_eq!(Reserved::from_kind(0), None);
    assert_eq!(Reserved::from_kind(10), None);
}

/// The golden bundle with an SBOM digest for its one extension.
fn with_sbom(flags: u32, value: &[u8]) -> Vec<u8> {
    let parts = Parts::manifest(|manifest| {
        manifest.truncate(EXTENSION);
        manifest.extend(SbomDigest::KIND.to_le_bytes());
        manifest.extend(flags.to_le_bytes());
        manifest.extend((value.len() as u32).to_le_bytes());
        manifest.extend([0; 4]);
        manifest.extend(value);
        pad(manifest);
    });
    parts.file()
}

#[test]
fn an_sbom_digest_is_read_as_it_was_written() {
    // bundle-format.md 9.6
    let (short, long) = ([0x5b; 32], [0xb5; 48]);
    let head = |id: u8| {
        let mut head = vec![id];
        head.resize(16, 0);
        head
    };
    for (digest, value) in [
        (SbomDigest::Sha256(&short), [head(1), short.into()].concat()),
        (SbomDigest::Sha384(&long), [head(2), long.into()].concat()),
    ] {
        assert_eq!(digest.to_value(), value);
        let file = with_sbom(0, &value);
        let found = with_manifest(&file, |manifest| {
            let extension = manifest.extensions().next().unwrap();
            assert_eq!(extension.kind, SbomDigest::KIND);
            assert_eq!(extension.value, value);
            assert_eq!(manifest.sbom(), Some(digest));
        });
        assert_eq!(found, Ok(()));
        // bundle-format.md 9.7
        assert_eq!(read(&with_sbom(1, &value)), Err(Error::SbomCritical));
    }
    let none = with_manifest(&Parts::golden().file(), |manifest| {
        manifest.sbom().is_some()
    });
    assert_eq!(none, Ok(false));
}

#[test]
fn an_sbom_digest_of_another_form_is_refused() {
    // bundle-format.md 9.6
    let digest = SbomDigest::Sha256(&[7; 32]).to_value();
    let with = |at: usize, byte: u8| {
        let mut value = digest.clone();
        value[at] = byte;
        read(&with_sbom(0, &value))
    };
    assert_eq!(with(0, 1), Ok(()));
    for id in [0, 3, 0xff] {
        assert_eq!(with(0, id), Err(Error::SbomAlgorithm { id: id.into() }));
    }
    assert_eq!(with(1, 1), Err(Error::SbomAlgorithm { id: 0x101 }));
    assert_eq!(with(0, 2), Err(Error::SbomLength { length: 48 }));
    for at in 2..16 {
        assert_eq!(with(at, 1), Err(Error::SbomReserved));
    }
    for length in (0..48).chain([49, 64]) {
        let mut value = digest.clone();
        value.resize(length, 0);
        let refused = Error::SbomLength {
            length: length as u32,
        };
        assert_eq!(read(&with_sbom(0, &value)), Err(refused));
    }
}

#[test]
fn a_manifest_that_ends_early_is_refused_wherever_it_ends() {
    // bundle-format.md 1.9
    let whole = Parts::golden().manifest.len();
    for size in (16..whole).step_by(16) {
        let file = Parts::manifest(|manifest| manifest.truncate(size)).file();
        assert_eq!(
            read(&file),
            Err(Error::PartShort {
                part: Part::Manifest,
                size: size as u64
            })
        );
    }
}
