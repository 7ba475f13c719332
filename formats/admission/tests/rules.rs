//! Every rule of bundle-format.md 12, each with a bundle that keeps it and one, properly signed, that breaks it.

mod support;

use admission::{Device, Refusal, admit};
use certificate_chain::{Checker, Error, Kind, Role, Root, SCOPE, Scope};
use firmware_bundle::{Access, Algorithm, SbomDigest, Segment};

use support::pki::{Key, Pki, ROOT, extension, root_template};
use support::{
    CLASS, Image, checker, judge, pki, pki_of, platform, platform_of_slots, present, second_pki,
};

/// Judges what `change` makes of the image, on the machine of the test bed.
fn changed(change: impl FnOnce(&mut Image)) -> Result<(), Refusal> {
    on(&[], change)
}

/// Judges what `change` makes of the image, on a machine that differs by `changes`.
fn on(changes: &[(&str, &str)], change: impl FnOnce(&mut Image)) -> Result<(), Refusal> {
    let mut image = Image::new();
    change(&mut image);
    let pki = pki();
    judge(&image.sign(&pki), &pki.checker(), &platform(changes))
}

fn segment(address: u64, memory_size: u64, access: u32) -> Segment {
    Segment {
        address,
        memory_size,
        file_offset: 0,
        file_size: 0,
        access: Access::from_bits(access).unwrap(),
    }
}

fn signed_by(pki: &Pki, changes: &[(&str, &str)]) -> Result<(), Refusal> {
    judge(&Image::new().sign(pki), &pki.checker(), &platform(changes))
}

#[test]
fn required_slots_are_those_that_are_present() {
    // bundle-format.md 12.1
    let (first, second) = (pki(), second_pki());
    let both = [(0, &first), (1, &second)];
    let checker = checker(&both);
    let judge = |slots: &[(u8, &Pki)], required: &str| {
        let file = Image::new().sign_slots(slots);
        judge(&file, &checker, &platform_of_slots(required))
    };
    let missing = |slot| Err(Refusal::SlotMissing { slot });
    let table = [
        ("[0]", [Ok(()), missing(0), Ok(())]),
        ("[1]", [missing(1), Ok(()), Ok(())]),
        ("[0, 1]", [missing(1), missing(0), Ok(())]),
    ];
    for (required, [only_first, only_second, all]) in table {
        assert_eq!(judge(&both[..1], required), only_first, "{required}");
        assert_eq!(judge(&both[1..], required), only_second, "{required}");
        assert_eq!(judge(&both, required), all, "{required}");
    }
}

#[test]
fn a_slot_that_the_device_does_not_ask_for_is_judged_all_the_same() {
    // bundle-format.md 4.3, 11.3 and 12.1
    let (first, second) = (pki(), second_pki());
    let both = [(0, &first), (1, &second)];
    let file = Image::new().sign_slots(&both);
    let only_first = platform(&[]);
    assert_eq!(judge(&file, &checker(&both), &only_first), Ok(()));
    assert_eq!(
        judge(&file, &first.checker(), &only_first),
        Err(Refusal::Chain {
            slot: 1,
            error: Error::UnknownRoot
        }),
        "nobody is pinned for it"
    );
    let mut wrong = file;
    let last_of_signature = wrong.len() - 65;
    wrong[last_of_signature] ^= 0x01;
    assert_eq!(
        judge(&wrong, &checker(&both), &only_first),
        Err(Refusal::Chain {
            slot: 1,
            error: Error::Signature
        })
    );
}

#[test]
fn what_a_signer_may_sign_counts_in_either_slot() {
    // bundle-format.md 12.2 to 12.4, and 12.7
    let scope = |kind, cores: &[u32], class, ceiling| {
        Scope::new(kind, cores, &[class], ceiling, 1, Role::Development).unwrap()
    };
    let ed25519 = [Algorithm::Ed25519; 3];
    let judge_second = |cores: &[u32], class, ceiling| {
        let scope = |kind| scope(kind, cores, class, ceiling);
        let second = Pki::of(scope(Kind::ProductCa), scope(Kind::Leaf), ed25519, 0x40);
        let first = pki();
        let both = [(0, &first), (1, &second)];
        let file = Image::new().sign_slots(&both);
        judge(&file, &checker(&both), &platform_of_slots("[0, 1]"))
    };
    assert_eq!(judge_second(&[0, 2], CLASS, 3), Ok(()));
    assert_eq!(
        judge_second(&[0], CLASS, 3),
        Err(Refusal::CoreNotInScope { core: 2 })
    );
    assert_eq!(
        judge_second(&[0, 2], [1; 16], 3),
        Err(Refusal::DeviceClassNotInScope)
    );
    let (version, ceiling) = (3, 2);
    assert_eq!(
        judge_second(&[0, 2], CLASS, 2),
        Err(Refusal::VersionAboveCeiling { version, ceiling })
    );
}

#[test]
fn no_key_signs_two_slots() {
    // bundle-format.md 12.15
    let first = pki();
    let twice = [(0, &first), (1, &first)];
    let file = Image::new().sign_slots(&twice);
    let refused = Err(Refusal::SlotsShareKey { slot: 1 });
    for required in ["[0]", "[0, 1]"] {
        let platform = platform_of_slots(required);
        assert_eq!(judge(&file, &checker(&twice), &platform), refused);
    }
    let second = pki_of([Algorithm::EcdsaP256Sha256; 3], 0x40);
    let both = [(0, &first), (1, &second)];
    let file = Image::new().sign_slots(&both);
    let platform = platform_of_slots("[0, 1]");
    assert_eq!(judge(&file, &checker(&both), &platform), Ok(()));
}

#[test]
fn a_release_device_takes_release_signers_only() {
    // bundle-format.md 12.2
    let release = [("role = \"development\"", "role = \"release\"")];
    assert_eq!(signed_by(&pki(), &release), Err(Refusal::DevelopmentSigner));

    let scope = |kind| Scope::new(kind, &[0, 2], &[CLASS], 10, 1, Role::Release).unwrap();
    let pki = Pki::new(scope(Kind::ProductCa), scope(Kind::Leaf));
    let root_scope = Scope::new(Kind::Root, &[], &[], 10, 1, Role::Release).unwrap();
    let root = root_template().with(extension(&SCOPE.to_string(), true, &root_scope.encode()));
    let root = Root::parse(0, &root.sign(&Key::new(ROOT))).unwrap();
    let checker = Checker::new(vec![root]).unwrap();
    let file = Image::new().sign(&pki);
    assert_eq!(judge(&file, &checker, &platform(&release)), Ok(()));
    assert_eq!(
        judge(&file, &checker, &platform(&[])),
        Ok(()),
        "a development device takes both"
    );
}

#[test]
fn the_signer_may_sign_for_every_core_of_the_bundle() {
    // bundle-format.md 12.3
    let narrow = Pki::development(&[0, 1], &[CLASS], 10);
    assert_eq!(
        signed_by(&narrow, &[]),
        Err(Refusal::CoreNotInScope { core: 2 })
    );
    assert_eq!(
        signed_by(&Pki::development(&[0, 2], &[CLASS], 10), &[]),
        Ok(())
    );
}

#[test]
fn the_signer_may_sign_for_the_device_class() {
    // bundle-format.md 12.4
    let other = Pki::development(&[0, 2], &[[1; 16]], 10);
    assert_eq!(signed_by(&other, &[]), Err(Refusal::DeviceClassNotInScope));
    let both = Pki::development(&[0, 2], &[[1; 16], CLASS], 10);
    assert_eq!(signed_by(&both, &[]), Ok(()));
}

#[test]
fn the_bundle_is_for_the_devices_class() {
    // bundle-format.md 12.5: also where the signer may not sign for that class, the target is what is told.
    let other = |image: &mut Image| image.device_class[15] ^= 1;
    assert_eq!(changed(other), Err(Refusal::OtherDeviceClass));
}

#[test]
fn the_bundle_is_for_the_core() {
    // bundle-format.md 12.6
    assert_eq!(
        changed(|image| image.core_ids = vec![1, 2]),
        Err(Refusal::OtherCore { core: 0 })
    );
    assert_eq!(
        changed(|image| image.core_ids = vec![7]),
        Err(Refusal::OtherCore { core: 0 })
    );
    assert_eq!(changed(|image| image.core_ids = vec![0]), Ok(()));
}

#[test]
fn the_security_version_is_from_the_floor_to_the_ceiling_inclusive() {
    // bundle-format.md 12.7: the floor is 2, the ceiling 10.
    let version = |version| changed(|image| image.security_version = version);
    assert_eq!(
        version(1),
        Err(Refusal::VersionBelowFloor {
            version: 1,
            floor: 2
        })
    );
    assert_eq!(version(2), Ok(()));
    assert_eq!(version(10), Ok(()));
    assert_eq!(
        version(11),
        Err(Refusal::VersionAboveCeiling {
            version: 11,
            ceiling: 10
        })
    );
    assert_eq!(
        version(u32::MAX),
        Err(Refusal::VersionAboveCeiling {
            version: u32::MAX,
            ceiling: 10
        })
    );
}

#[test]
fn no_segment_is_writable_and_executable() {
    // bundle-format.md 12.8
    let access =
        |bits| changed(|image| image.segments[2].access = Access::from_bits(bits).unwrap());
    for bits in [3, 7] {
        assert_eq!(
            access(bits),
            Err(Refusal::SegmentWritableExecutable {
                segment: 2,
                address: 0x2100_2000
            })
        );
    }
    for bits in [1, 2, 4, 5, 6] {
        assert_eq!(access(bits), Ok(()));
    }
}

#[test]
fn every_segment_lies_in_one_private_region() {
    // bundle-format.md 12.9
    let third = |address, size| changed(|image| image.segments[2] = segment(address, size, 6));
    assert_eq!(third(0x211f_f000, 0x1000), Ok(()));
    let outside = |segment, address| Err(Refusal::SegmentOutside { segment, address });
    assert_eq!(third(0x2200_0000, 1), outside(2, 0x2200_0000));
    assert_eq!(
        third(0x2100_2000, u64::MAX - 0x2100_2000),
        Err(Refusal::SegmentInShared {
            segment: 2,
            address: 0x2100_2000
        })
    );
    assert_eq!(
        changed(|image| image.segments.insert(0, segment(0x20ff_ffff, 1, 4))),
        outside(0, 0x20ff_ffff)
    );
    assert_eq!(
        changed(|image| image
            .segments
            .insert(0, segment(0x1000_0000, 0x1100_0000, 4))),
        outside(0, 0x1000_0000),
        "it ends where the first one begins"
    );
}

#[test]
fn a_segment_in_the_shared_window_is_refused_under_its_own_name() {
    // bundle-format.md 12.9
    let third = |address, size| changed(|image| image.segments[2] = segment(address, size, 6));
    for (address, size) in [(0x2120_0000, 1), (0x211f_ffff, 2), (0x21ff_ffff, 0x1000)] {
        assert_eq!(
            third(address, size),
            Err(Refusal::SegmentInShared {
                segment: 2,
                address
            })
        );
    }
}

#[test]
fn an_executable_segment_begins_at_a_fixed_boot_address() {
    // bundle-format.md 12.10
    let boot = 0x2100_0000;
    let refused = Err(Refusal::BootAddress { boot });
    assert_eq!(
        changed(|image| image.segments[0].address += 16),
        refused,
        "nothing begins there"
    );
    assert_eq!(
        changed(|image| image.segments[0].access = Access::from_bits(4).unwrap()),
        refused,
        "not executable"
    );
    let bytes_elsewhere = |image: &mut Image| {
        image.segments[0] = segment(boot, 24, 5);
    };
    assert_eq!(changed(bytes_elsewhere), refused, "no bytes");
    let free = [("boot-address = 0x21000000\n", "")];
    let moved = |image: &mut Image| {
        image.segments[0].address += 16;
        image.vector_table = Some(0x2100_0010);
        image.entry += 16;
    };
    assert_eq!(on(&free, moved), Ok(()));
    assert_eq!(on(&free, |_| ()), Ok(()));
}

#[test]
fn the_entry_point_is_among_the_bytes_of_an_executable_segment() {
    // bundle-format.md 12.11
    let entry = |entry| changed(|image| image.entry = entry);
    for good in [
        0x2100_0000,
        0x2100_0008,
        0x2100_0009,
        0x2100_0016,
        0x2100_0017,
    ] {
        assert_eq!(entry(good), Ok(()), "{good:#x}");
    }
    for bad in [
        0x2100_0018, // behind the bytes
        0x20ff_ffff,
        0x2100_1000, // data
        0x2120_0009, // the shared window
        0,
        u64::MAX,
    ] {
        assert_eq!(
            entry(bad),
            Err(Refusal::EntryOutside { entry: bad }),
            "{bad:#x}"
        );
    }
    // Where instructions have four bytes and no bit 0.
    let wide = [("arm-m", "aarch64")];
    let entry = |entry| on(&wide, |image| image.entry = entry);
    assert_eq!(entry(0x2100_0014), Ok(()));
    assert_eq!(
        entry(0x2100_0016),
        Err(Refusal::EntryOutside { entry: 0x2100_0016 })
    );
    for architecture in ["riscv32", "riscv64", "arm-r", "arm-a"] {
        assert_eq!(on(&[("arm-m", architecture)], |_| ()), Ok(()));
    }
}

#[test]
fn a_core_of_the_m_profile_begins_with_a_vector_table() {
    // bundle-format.md 12.12
    let boot = 0x2100_0000;
    let vectors = |address| changed(|image| image.vector_table = address);
    assert_eq!(vectors(Some(boot)), Ok(()));
    assert_eq!(vectors(None), Err(Refusal::VectorTableMissing));
    let address = boot + 8;
    assert_eq!(
        vectors(Some(address)),
        Err(Refusal::VectorTableElsewhere { address, boot })
    );

    let free = [("boot-address = 0x21000000\n", "")];
    let vectors = |address| on(&free, |image| image.vector_table = Some(address));
    assert_eq!(vectors(0x2100_0010), Ok(()));
    for address in [0x2100_0011, 0x2100_1000, 0x2120_0000, u64::MAX - 3] {
        assert_eq!(
            vectors(address),
            Err(Refusal::VectorTableOutside { address })
        );
    }

    let other = [("arm-m", "riscv32")];
    assert_eq!(on(&other, |image| image.vector_table = None), Ok(()));
    let address = 0x2100_1000;
    assert_eq!(
        on(&other, |image| image.vector_table = Some(address)),
        Err(Refusal::VectorTableOutside { address })
    );
}

#[test]
fn the_resource_table_is_published_on_its_own_page() {
    // bundle-format.md 12.13
    let at = |address| {
        changed(|image| image.resource_table = Some((address, support::resource_table())))
    };
    let page = 0x2120_0000;
    assert_eq!(at(page), Ok(()));
    for address in [page + 16, page + 0x1000, 0x2100_3000, 0, u64::MAX] {
        assert_eq!(
            at(address),
            Err(Refusal::TableNotOnItsPage { address, page })
        );
    }
    assert_eq!(changed(|image| image.resource_table = None), Ok(()));
}

#[test]
fn the_resource_table_keeps_its_own_rules() {
    // bundle-format.md 12.14
    let table = |change: fn(&mut Vec<u8>)| {
        changed(|image| {
            let mut table = support::resource_table();
            change(&mut table);
            image.resource_table = Some((0x2120_0000, table));
        })
    };
    assert_eq!(table(|_| ()), Ok(()));
    assert_eq!(
        table(|table| table[0] = 2),
        Err(Refusal::Table(resource_table::Error::Version {
            version: 2
        }))
    );
    // The first vring's address: in private memory.
    let refused = table(|table| table[48..52].copy_from_slice(&0x2100_0000_u32.to_le_bytes()));
    assert!(
        matches!(
            refused,
            Err(Refusal::Table(resource_table::Error::VringOutside {
                address: 0x2100_0000,
                ..
            }))
        ),
        "{refused:?}"
    );
}

#[test]
fn a_bundle_of_an_unknown_root_is_refused() {
    // bundle-format.md 11.3, end to end
    let pki = pki();
    let mut foreign = Pki::development(&[0, 2], &[CLASS], 10);
    let template = root_template();
    foreign.root = support::pki::Template {
        issuer: support::pki::name("another"),
        subject: support::pki::name("another"),
        ..template
    }
    .sign(&Key::new(ROOT));
    let file = Image::new().sign(&pki);
    assert_eq!(
        judge(&file, &foreign.checker(), &platform(&[])),
        Err(Refusal::Chain {
            slot: 0,
            error: Error::UnknownRoot
        })
    );
}

#[test]
fn files_that_are_no_bundles_are_named_for_what_they_are() {
    // bundle-format.md 1.2, 1.3, 1.4, 1.12
    use firmware_bundle::Error as Bundle;
    let platform = platform(&[]);
    let device = Device {
        platform: &platform,
        core: platform.core(0).unwrap(),
        floor: 0,
    };
    let checker = pki().checker();
    let refused = |file: &[u8]| match admit(&present(file), &checker, &device) {
        Err(Refusal::Bundle(error)) => error,
        other => panic!("{other:?}"),
    };
    let elf = Image::new().elf;
    let length = elf.len() as u64;
    assert_eq!(refused(&[]), Bundle::EmptyFile);
    assert_eq!(refused(&elf), Bundle::BareElf { length });
    assert_eq!(
        refused(&[0x68, 0xa4, 0x43, 0x35, 1, 0, 0, 0]),
        Bundle::SignRprocFw
    );
    assert_eq!(refused(&[7; 100]), Bundle::NoFooter { length: 100 });
}

#[test]
fn a_bundle_with_an_sbom_digest_is_admitted() {
    // bundle-format.md 9.6
    for digest in [SbomDigest::Sha256(&[1; 32]), SbomDigest::Sha384(&[2; 48])] {
        let sbom = (SbomDigest::KIND, digest.to_value());
        assert_eq!(
            changed(|image| image.extensions.insert(0, sbom.clone())),
            Ok(())
        );
    }
}
