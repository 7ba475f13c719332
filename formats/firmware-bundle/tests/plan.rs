//! The way through the file (bundle-format.md 10).

mod support;

use firmware_bundle::write::{Description, Draft, SlotDescription};
use firmware_bundle::{Access, Algorithm, CHUNK, Error, Plan, Segment, Step};

use support::{Parts, sha256, with_manifest};

fn segment(address: u64, memory_size: u64, file_offset: u64, file_size: u64) -> Segment {
    Segment {
        address,
        memory_size,
        file_offset,
        file_size,
        access: Access::from_bits(4).unwrap(),
    }
}

fn draft(elf: &[u8], segments: &[Segment]) -> Result<Draft, Error> {
    let description = Description {
        device_class: [0; 16],
        core_ids: &[0],
        security_version: 0,
        display_version: "",
        build_id: &[],
        entry: 0,
        vector_table: None,
        segments,
        resource_table: None,
        extensions: &[],
    };
    let slot = SlotDescription {
        number: 0,
        algorithm: Algorithm::EcdsaP256Sha256,
        chain: &[b"certificate"],
    };
    Draft::new(elf, &description, &[slot], sha256)
}

fn plan(elf: &[u8], segments: &[Segment]) -> Plan {
    let draft = draft(elf, segments).unwrap();
    let manifest = draft.trailer().unwrap().unverified_manifest().unwrap();
    Plan::of(&manifest)
}

#[test]
fn every_byte_before_the_manifest_is_stepped_over_once_and_in_order() {
    // bundle-format.md 10.1
    let file = Parts::golden().file();
    let plan = with_manifest(&file, |manifest| Plan::of(&manifest)).unwrap();
    let steps: Vec<_> = plan
        .map(|step| match step {
            Step::Rest { offset, size } => (offset, size, None),
            Step::Chunk {
                offset,
                size,
                address,
                segment,
                ..
            } => (offset, size, Some((segment, address))),
        })
        .collect();
    assert_eq!(
        steps,
        [
            (0, 0x74, None),
            (0x74, 24, Some((0, 0x2100_0000))),
            (0x8c, 9, Some((1, 0x2100_1000))),
            (0x95, 11, None),
        ]
    );
}

#[test]
fn steps_are_cut_at_1_mib_and_follow_the_file_where_memory_has_another_order() {
    // bundle-format.md 7.11, 10.1
    let elf: Vec<u8> = (0..4 * CHUNK + 5).map(|at| (at % 251) as u8).collect();
    // In memory the later part of the file comes first.
    let low = segment(0x1000, 2 * CHUNK, 2 * CHUNK + 7, CHUNK + 1);
    let high = segment(0x1000_0000, CHUNK, 7, CHUNK);
    let steps: Vec<Step> = plan(&elf, &[low, high]).collect();
    let digest = |from: u64, size: u64| sha256(&[&elf[from as usize..][..size as usize]]);
    let chunk = |offset, size, address, segment| Step::Chunk {
        offset,
        size,
        address,
        segment,
        digest: digest(offset, size),
    };
    assert_eq!(
        steps,
        [
            Step::Rest { offset: 0, size: 7 },
            chunk(7, CHUNK, 0x1000_0000, 1),
            Step::Rest {
                offset: CHUNK + 7,
                size: CHUNK
            },
            chunk(2 * CHUNK + 7, CHUNK, 0x1000, 0),
            chunk(3 * CHUNK + 7, 1, 0x1000 + CHUNK, 0),
            Step::Rest {
                offset: 3 * CHUNK + 8,
                size: CHUNK
            },
            // To the end of the ELF part at 4 MiB + 5, and the zeros behind it.
            Step::Rest {
                offset: 4 * CHUNK + 8,
                size: 8
            },
        ]
    );
}

#[test]
fn the_rest_digest_is_over_all_rest_in_order() {
    // bundle-format.md 10.2
    let file = Parts::golden().file();
    let plan = with_manifest(&file, |manifest| Plan::of(&manifest)).unwrap();
    let rest: Vec<u8> = plan
        .clone()
        .filter(|step| matches!(step, Step::Rest { .. }))
        .flat_map(|step| file[step.offset() as usize..][..step.size() as usize].to_vec())
        .collect();
    assert_eq!(sha256(&[&rest]), *plan.rest_digest());
    assert_eq!(rest.len(), 0x74 + 11);
}

#[test]
fn a_chunk_step_carries_the_digest_of_its_bytes_and_each_chunk_comes_once() {
    // bundle-format.md 10.3, bundle-format.md 10.5
    let elf: Vec<u8> = (0..3 * CHUNK).map(|at| (at / 7) as u8).collect();
    let segments = [
        segment(0, 10, 0, 10),
        segment(100, 3 * CHUNK, 20, CHUNK + 3),
        segment(0x8000_0000, 1, CHUNK + 30, 1),
    ];
    let mut loaded = vec![];
    for step in plan(&elf, &segments) {
        if let Step::Chunk {
            offset,
            size,
            address,
            segment,
            digest,
        } = step
        {
            let bytes = &elf[offset as usize..][..size as usize];
            assert_eq!(sha256(&[bytes]), digest);
            loaded.push((segment, address, size));
        }
    }
    assert_eq!(
        loaded,
        [
            (0, 0, 10),
            (1, 100, CHUNK),
            (1, 100 + CHUNK, 3),
            (2, 0x8000_0000, 1)
        ]
    );
}

#[test]
fn what_no_chunk_fills_is_a_gap() {
    // bundle-format.md 10.4
    let file = Parts::golden().file();
    let plan = with_manifest(&file, |manifest| Plan::of(&manifest)).unwrap();
    let gaps = |region, size| plan.gaps(region, size).collect::<Vec<_>>();
    assert_eq!(
        gaps(0x2100_0000, 0x20_0000),
        [
            (0x2100_0018, 0xfe8),
            (0x2100_1009, 0xff7),
            (0x2100_2000, 0x1f_e000), // the segment without bytes, and all behind it
        ]
    );
    assert_eq!(gaps(0x2100_0000, 0x18), []);
    assert_eq!(gaps(0x2100_0008, 0x20), [(0x2100_0018, 0x10)]);
    assert_eq!(gaps(0x2000_0000, 0x1000), [(0x2000_0000, 0x1000)]);
    assert_eq!(gaps(0x3000_0000, 0x1000), [(0x3000_0000, 0x1000)]);
    assert_eq!(gaps(0x2100_1000, 0x20), [(0x2100_1009, 0x17)]);
    assert_eq!(gaps(0x2100_0000, 0), []);
}

#[test]
fn gaps_and_chunks_cover_every_region_exactly_once() {
    // bundle-format.md 10.4
    let elf = vec![1; 300];
    let segments = [
        segment(16, 8, 0, 8),
        segment(24, 100, 8, 1),
        segment(200, 56, 9, 56),
    ];
    let plan = plan(&elf, &segments);
    for (from, size) in [(0, 256), (16, 8), (20, 200), (0, 16), (255, 1), (17, 183)] {
        let mut seen = vec![0; 512];
        for (address, size) in plan.gaps(from, size) {
            assert!(size > 0);
            for at in address..address + size {
                seen[at as usize] += 1;
            }
        }
        for segment in plan.segments() {
            for at in segment.address..segment.loaded_end() {
                if (from..from + size).contains(&at) {
                    seen[at as usize] += 1;
                }
            }
        }
        for (at, seen) in (0..).zip(seen) {
            assert_eq!(seen, u32::from((from..from + size).contains(&at)), "{at}");
        }
    }
}

#[test]
fn the_writer_refuses_what_the_reader_would_refuse() {
    let elf = [0; 64];
    assert!(draft(&elf, &[segment(0, 8, 56, 8)]).is_ok());
    assert_eq!(
        draft(&elf, &[segment(0, 9, 56, 9)]).map(drop),
        Err(Error::FileRange {
            segment: 0,
            end: 65,
            elf: 64
        })
    );
    assert_eq!(
        draft(&elf, &[]).map(drop),
        Err(Error::SegmentCount { count: 0 })
    );
    assert_eq!(
        draft(&[], &[segment(0, 1, 0, 0)]).map(drop),
        Err(Error::ElfSize {
            size: 0,
            limit: 0x800_0000
        })
    );
    let draft = draft(&elf, &[segment(0, 8, 56, 8)]).unwrap();
    assert_eq!(
        draft.clone().finish(&[&[0; 63]]),
        Err(Error::SignaturesSize {
            expected: 64,
            found: 63
        })
    );
    assert_eq!(
        draft.finish(&[]),
        Err(Error::SignaturesSize {
            expected: 64,
            found: 0
        })
    );
}
