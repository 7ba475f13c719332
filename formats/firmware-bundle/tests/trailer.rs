//! Every rule of bundle-format.md 1 to 4: the golden bundle keeps it, a mutant that was signed anew breaks it.

mod support;

use firmware_bundle::{Algorithm, Error, File, Part, SignatureCheck, Slot, SlotRefused, Trailer};

use support::{Forged, Parts, Toy, golden, pad, present, put, read};

/// A file, and the rule that refuses it.
struct Case {
    what: &'static str,
    file: Vec<u8>,
    refused: Error,
}

fn refuse(cases: impl IntoIterator<Item = Case>) {
    assert_eq!(read(&Parts::golden().file()), Ok(()));
    for case in cases {
        assert_eq!(read(&case.file), Err(case.refused), "{}", case.what);
    }
}

#[test]
fn files_that_are_no_bundles_are_refused_by_name() {
    let bare_elf = Parts::golden().elf;
    let length = bare_elf.len() as u64;
    let large_elf = [bare_elf.clone(), vec![0; 0x2_0000]].concat();
    let large = large_elf.len() as u64;
    refuse([
        Case {
            what: "bundle-format.md 1.2: nothing",
            file: vec![],
            refused: Error::EmptyFile,
        },
        Case {
            what: "bundle-format.md 1.3: an ELF",
            file: bare_elf,
            refused: Error::BareElf { length },
        },
        Case {
            what: "bundle-format.md 1.3: an ELF that is longer than the tail",
            file: large_elf,
            refused: Error::BareElf { length: large },
        },
        Case {
            what: "bundle-format.md 1.4: sign_rproc_fw",
            file: [&[0x68, 0xa4, 0x43, 0x35, 1, 0, 0, 0][..], &[0; 100]].concat(),
            refused: Error::SignRprocFw,
        },
        Case {
            what: "bundle-format.md 1.12: something else",
            file: vec![b'x'; 1000],
            refused: Error::NoFooter { length: 1000 },
        },
        Case {
            what: "bundle-format.md 1.12: too short for a footer, though its end looks like one",
            file: b"CWFW".to_vec(),
            refused: Error::NoFooter { length: 4 },
        },
        Case {
            what: "bundle-format.md 1.12: one byte",
            file: vec![0],
            refused: Error::NoFooter { length: 1 },
        },
    ]);
}

#[test]
fn parts_that_do_not_fit_the_file_or_its_limits_are_refused() {
    let length = Parts::golden().file().len() as u64;
    let file_length = |parts| Error::FileLength {
        parts,
        file: length,
    };
    let elf_size = |size| Error::ElfSize {
        size,
        limit: 0x800_0000,
    };
    let part_size = |part, size| Error::PartSize { part, size };
    let size_at =
        |at: usize, size: u32| Parts::footer(|footer| put(footer, at, &size.to_le_bytes()));
    refuse([
        Case {
            what: "bundle-format.md 1.5: the footer says 16 bytes more",
            file: size_at(8, 528 + 32),
            refused: file_length(length + 16),
        },
        Case {
            what: "bundle-format.md 1.5: the footer says 16 bytes less",
            file: size_at(8, 528),
            refused: file_length(length - 16),
        },
        Case {
            what: "bundle-format.md 1.5: bytes in front of the ELF part",
            file: [vec![0; 16], Parts::golden().file()].concat(),
            refused: Error::FileLength {
                parts: length,
                file: length + 16,
            },
        },
        Case {
            what: "bundle-format.md 1.6: no ELF part",
            file: Parts::footer(|footer| put(footer, 0, &[0; 8])),
            refused: elf_size(0),
        },
        Case {
            what: "bundle-format.md 1.6: an ELF part beyond the limit",
            file: Parts::footer(|footer| put(footer, 0, &0x800_0001_u64.to_le_bytes())),
            refused: elf_size(0x800_0001),
        },
        Case {
            what: "bundle-format.md 1.6: an ELF part beyond everything",
            file: Parts::footer(|footer| put(footer, 0, &[0xff; 8])),
            refused: elf_size(u64::MAX),
        },
        Case {
            what: "bundle-format.md 1.8: no manifest",
            file: size_at(8, 0),
            refused: part_size(Part::Manifest, 0),
        },
        Case {
            what: "bundle-format.md 1.8: certificates of no multiple of 16",
            file: size_at(12, 8),
            refused: part_size(Part::Certificates, 8),
        },
        Case {
            what: "bundle-format.md 1.8: no signatures",
            file: size_at(16, 0),
            refused: part_size(Part::Signatures, 0),
        },
    ]);
}

#[test]
fn a_trailer_of_64_kib_is_read_and_a_longer_one_refused() {
    // bundle-format.md 1.7
    let with_extension = |size: usize| {
        Parts::manifest(|manifest| {
            put(
                manifest,
                support::EXTENSION + 8,
                &(size as u32).to_le_bytes(),
            );
            manifest.truncate(support::EXTENSION + 16);
            manifest.resize(manifest.len() + size, 1);
        })
        .file()
    };
    let empty = with_extension(0);
    let room = (0x1_0000 - (empty.len() - 0xa0)) / 16 * 16 - 16;
    let fits = with_extension(room);
    assert_eq!(read(&fits), Ok(()));
    let size = (fits.len() - 0x99) as u64 + 16;
    assert_eq!(
        read(&with_extension(room + 16)),
        Err(Error::TrailerSize {
            size,
            limit: 0x1_0000
        })
    );
}

#[test]
fn an_elf_part_may_end_anywhere_and_is_followed_by_zeros() {
    // bundle-format.md 1.1, 1.10
    for size in 0x99..0xaa_usize {
        let mut parts = Parts::golden();
        parts.elf.resize(size, 0x5a);
        parts.padding = vec![0; size.next_multiple_of(16) - size];
        let padded = parts.padding.len();
        assert_eq!(read(&parts.clone().file()), Ok(()), "{size}");
        for at in 0..padded {
            let mut parts = parts.clone();
            parts.padding[at] = 1;
            assert_eq!(
                read(&parts.file()),
                Err(Error::Padding {
                    part: Part::Padding
                })
            );
        }
    }
}

#[test]
fn a_tail_that_does_not_hold_the_trailer_is_refused() {
    // bundle-format.md 1.11
    let file = Parts::golden().file();
    let needed = (file.len() - 0x99) as u64;
    let trailer = |tail| {
        let whole = File {
            tail,
            ..present(&file)
        };
        Trailer::of(&whole).map(drop)
    };
    assert_eq!(trailer(&file[0x99..]), Ok(()));
    assert_eq!(trailer(&file[0x80..]), Ok(()));
    assert_eq!(
        trailer(&file[0x9a..]),
        Err(Error::TailShort {
            needed,
            given: needed - 1
        })
    );
    assert_eq!(
        trailer(&file[file.len() - 64..]),
        Err(Error::TailShort { needed, given: 64 })
    );
}

#[test]
fn a_footer_of_another_version_or_with_reserved_bits_is_refused() {
    refuse([
        Case {
            what: "bundle-format.md 2.2: version 0",
            file: Parts::footer(|footer| put(footer, 56, &[0, 0])),
            refused: Error::UnknownVersion { found: 0 },
        },
        Case {
            what: "bundle-format.md 2.2: version 2",
            file: Parts::footer(|footer| put(footer, 56, &[2, 0])),
            refused: Error::UnknownVersion { found: 2 },
        },
        Case {
            what: "bundle-format.md 2.2: version 257",
            file: Parts::footer(|footer| put(footer, 56, &[1, 1])),
            refused: Error::UnknownVersion { found: 257 },
        },
    ]);
    // bundle-format.md 2.3
    for at in (20..56).chain(58..60) {
        let file = Parts::footer(|footer| footer[at] = 1);
        assert_eq!(read(&file), Err(Error::FooterReserved), "{at}");
    }
}

#[test]
fn slots_that_break_the_format_are_refused() {
    let byte = |at: usize, value: u8| Parts::certificates(|bytes| bytes[at] = value).file();
    let algorithm = |id: u16| Parts::certificates(|bytes| put(bytes, 18, &id.to_le_bytes())).file();
    let not_supported = |algorithm| Error::AlgorithmNotSupported { algorithm };
    refuse([
        Case {
            what: "bundle-format.md 3.2: no slot",
            file: byte(0, 0),
            refused: Error::SlotCount { count: 0 },
        },
        Case {
            what: "bundle-format.md 3.2: three slots",
            file: byte(0, 3),
            refused: Error::SlotCount { count: 3 },
        },
        Case {
            what: "bundle-format.md 3.4: slot 2",
            file: byte(16, 2),
            refused: Error::UnknownSlot { slot: 2 },
        },
        Case {
            what: "bundle-format.md 3.4: slot 0 twice",
            file: two_slots([0, 0], [1, 1]),
            refused: Error::SlotOrder { slot: 0 },
        },
        Case {
            what: "bundle-format.md 3.4: slot 1 twice",
            file: two_slots([1, 1], [1, 1]),
            refused: Error::SlotOrder { slot: 1 },
        },
        Case {
            what: "bundle-format.md 3.4: slot 1 in front of slot 0",
            file: two_slots([1, 0], [1, 1]),
            refused: Error::SlotOrder { slot: 0 },
        },
        Case {
            what: "bundle-format.md 3.6: algorithm 0",
            file: algorithm(0),
            refused: Error::UnknownAlgorithm { id: 0 },
        },
        Case {
            what: "bundle-format.md 3.6: algorithm 4",
            file: algorithm(4),
            refused: Error::UnknownAlgorithm { id: 4 },
        },
        Case {
            what: "bundle-format.md 3.7: ML-DSA-65",
            file: algorithm(0x100),
            refused: not_supported(Algorithm::MlDsa65),
        },
        Case {
            what: "bundle-format.md 3.7: ML-DSA-65 in the second slot",
            file: two_slots([0, 1], [1, 0x100]),
            refused: not_supported(Algorithm::MlDsa65),
        },
        Case {
            what: "bundle-format.md 3.8: no certificate",
            file: Parts::certificates(|bytes| put(bytes, 20, &[0; 4])).file(),
            refused: Error::NoCertificate { slot: 0 },
        },
        Case {
            what: "bundle-format.md 3.8: a gap",
            file: Parts::certificates(|bytes| {
                let second = bytes[24..28].to_vec();
                put(bytes, 24, &[0; 4]);
                put(bytes, 28, &second);
            })
            .file(),
            refused: Error::CertificateGap { slot: 0 },
        },
    ]);
    // bundle-format.md 3.3
    for at in (2..16).chain(17..18) {
        assert_eq!(read(&byte(at, 1)), Err(Error::CertificatesReserved), "{at}");
    }
}

/// The golden bundle's slot twice, with these numbers and algorithms, signed anew.
fn two_slots(numbers: [u8; 2], algorithms: [u16; 2]) -> Vec<u8> {
    two_slots_as_parts(numbers, algorithms).file()
}

fn two_slots_as_parts(numbers: [u8; 2], algorithms: [u16; 2]) -> Parts {
    let mut parts = Parts::certificates(|bytes| {
        bytes[0] = 2;
        let mut second = bytes[16..].to_vec();
        bytes[16] = numbers[0];
        second[0] = numbers[1];
        put(bytes, 18, &algorithms[0].to_le_bytes());
        put(&mut second, 2, &algorithms[1].to_le_bytes());
        bytes.extend(second);
    });
    let size = |algorithm| if algorithm == 2 { 96 } else { 64 };
    parts
        .signatures
        .resize(algorithms.map(size).iter().sum(), 0);
    parts
}

#[test]
fn either_slot_or_both_are_read_with_any_supported_algorithm() {
    // bundle-format.md 3.5, bundle-format.md 3.6
    for (id, algorithm) in [
        (1, Algorithm::EcdsaP256Sha256),
        (2, Algorithm::EcdsaP384Sha384),
        (3, Algorithm::Ed25519),
    ] {
        assert_eq!(algorithm.id(), id);
        for number in [0, 1] {
            let mut parts = Parts::certificates(|bytes| {
                bytes[16] = number;
                put(bytes, 18, &id.to_le_bytes());
            });
            parts.signatures.resize(algorithm.signature_size(), 0);
            assert_eq!(read(&parts.file()), Ok(()), "{algorithm} in slot {number}");
        }
        for other in [1, 2, 3] {
            let file = two_slots([0, 1], [id, other]);
            assert_eq!(read(&file), Ok(()));
            let trailer = Trailer::of(&present(&file)).unwrap();
            let slots: Vec<_> = trailer.slots().collect();
            assert_eq!(slots[0].number(), 0);
            assert_eq!(slots[0].algorithm(), algorithm);
            assert_eq!(slots[1].number(), 1);
            assert_eq!(slots[1].algorithm().id(), other);
            assert_eq!(slots[0].signature().len(), algorithm.signature_size());
            assert_eq!(
                slots[1].signature().len(),
                slots[1].algorithm().signature_size()
            );
            assert!(slots[0].chain().eq(slots[1].chain()));
        }
    }
}

#[test]
fn one_to_three_certificates_of_16_kib_together_are_read() {
    // bundle-format.md 3.8, bundle-format.md 3.9
    let chain = |sizes: &[u32]| {
        Parts::certificates(|bytes| {
            bytes.truncate(32);
            put(bytes, 20, &[0; 12]);
            for (index, size) in sizes.iter().enumerate() {
                put(bytes, 20 + 4 * index, &size.to_le_bytes());
                bytes.resize(bytes.len() + *size as usize, 0x30);
                pad(bytes);
            }
        })
        .file()
    };
    assert_eq!(read(&chain(&[1])), Ok(()));
    assert_eq!(read(&chain(&[0x4000])), Ok(()));
    assert_eq!(read(&chain(&[0x2000, 0x1fff, 1])), Ok(()));
    for sizes in [&[0x4001][..], &[0x2000, 0x2000, 1]] {
        assert_eq!(
            read(&chain(sizes)),
            Err(Error::ChainSize {
                slot: 0,
                size: 0x4001,
                limit: 0x4000
            })
        );
    }
    let huge = Parts::certificates(|bytes| put(bytes, 20, &[0xff; 12])).file();
    assert_eq!(
        read(&huge),
        Err(Error::ChainSize {
            slot: 0,
            size: 3 * u64::from(u32::MAX),
            limit: 0x4000
        })
    );
}

#[test]
fn the_certificates_part_ends_where_its_last_certificate_ends() {
    // bundle-format.md 1.9, 1.10
    let part = Part::Certificates;
    let longer = Parts::certificates(|bytes| bytes.extend([0; 16])).file();
    assert_eq!(read(&longer), Err(Error::PartTail { part, excess: 16 }));
    let size = Parts::golden().certificates.len() as u64 - 16;
    let shorter = Parts::certificates(|bytes| bytes.truncate(size as usize)).file();
    assert_eq!(read(&shorter), Err(Error::PartShort { part, size }));
    let only_head = Parts::certificates(|bytes| bytes.truncate(16)).file();
    assert_eq!(read(&only_head), Err(Error::PartShort { part, size: 16 }));
    let padding = Parts::certificates(|bytes| *bytes.last_mut().unwrap() = 1).file();
    assert_eq!(read(&padding), Err(Error::Padding { part }));
}

#[test]
fn the_signatures_are_as_long_as_their_algorithms_say() {
    // bundle-format.md 4.1
    for found in [48, 80, 128] {
        let mut parts = Parts::golden();
        parts.signatures.resize(found, 0);
        assert_eq!(
            read(&parts.file()),
            Err(Error::SignaturesSize {
                expected: 64,
                found: found as u64
            })
        );
    }
    assert_eq!(read(&Parts::golden().file()), Ok(()));
    for found in [64, 128, 144, 176] {
        let mut parts = two_slots_as_parts([0, 1], [2, 3]);
        parts.signatures.resize(found, 0);
        assert_eq!(
            read(&parts.file()),
            Err(Error::SignaturesSize {
                expected: 160,
                found: found as u64
            })
        );
    }
}

#[test]
fn the_message_is_the_prefix_and_the_bundle_digest() {
    // bundle-format.md 4.2
    struct Expect(Vec<u8>);
    impl SignatureCheck for Expect {
        type Signer = ();
        type Error = ();
        fn sha384(&self, parts: [&[u8]; 3]) -> [u8; 48] {
            assert_eq!(parts.concat(), self.0);
            [0xd1; 48]
        }
        fn check(&self, _: &Slot<'_>, message: &[u8; 64]) -> Result<(), ()> {
            assert_eq!(message[..16], *b"corewarden.cwfw1");
            assert_eq!(message[16..], [0xd1; 48]);
            Ok(())
        }
    }
    let file = golden(support::V1);
    let parts = Parts::golden();
    let expected = [parts.footer, parts.manifest, parts.certificates].concat();
    let trailer = Trailer::of(&present(&file)).unwrap();
    let verified = trailer.verify(&Expect(expected)).unwrap();
    assert_eq!(*verified.digest(), [0xd1; 48]);
}

#[test]
fn a_manifest_is_only_given_out_when_every_signature_holds() {
    // bundle-format.md 1.13, bundle-format.md 4.3
    let mut file = Parts::golden().file();
    let signer = |file: &[u8]| {
        let trailer = Trailer::of(&present(file)).unwrap();
        let verified = trailer.verify(&Toy)?;
        let signers: Vec<_> = verified
            .signers()
            .map(|(slot, signer)| (slot, *signer))
            .collect();
        Ok(signers)
    };
    assert_eq!(signer(&file), Ok(vec![(0, 0)]));
    let last_of_signature = file.len() - 65;
    file[last_of_signature] ^= 1;
    assert_eq!(
        signer(&file),
        Err(SlotRefused {
            slot: 0,
            error: Forged
        })
    );
}

#[test]
fn one_signature_that_does_not_hold_is_enough_to_refuse_whichever_slot_it_is_in() {
    // bundle-format.md 4.3
    let good = two_slots([0, 1], [1, 2]);
    let verify = |file: &[u8]| {
        let trailer = Trailer::of(&present(file)).unwrap();
        trailer.verify(&Toy).map(|verified| {
            let signers = verified.signers().map(|(slot, signer)| (slot, *signer));
            signers.collect::<Vec<_>>()
        })
    };
    assert_eq!(verify(&good), Ok(vec![(0, 0), (1, 1)]));
    let signatures = good.len() - 64 - 160;
    for at in 0..160 {
        let mut forged = good.clone();
        forged[signatures + at] ^= 1;
        let slot = if at < 64 { 0 } else { 1 };
        let error = Forged;
        assert_eq!(verify(&forged), Err(SlotRefused { slot, error }));
    }
}
