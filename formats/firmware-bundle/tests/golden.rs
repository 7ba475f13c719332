//! The golden file of format version 1. If a test fails here, the file is right and the code is wrong.

mod support;

use firmware_bundle::write::{Description, Draft, SlotDescription};
use firmware_bundle::{Algorithm, Extension, Segment, Trailer};

use support::{Parts, SignatureBytes, golden, present, sha256, with_manifest};

#[test]
fn the_golden_bundle_says_what_its_comments_say() {
    // Read: bundle-format.md 2.1, bundle-format.md 3.1, bundle-format.md 5.1, bundle-format.md 7.1, bundle-format.md 9.1.
    let file = golden(support::V1);
    let trailer = Trailer::of(&present(&file)).unwrap();
    assert_eq!(trailer.footer().elf_size(), 0x99);
    assert_eq!(trailer.footer().manifest_offset(), 0xa0);
    let slots: Vec<_> = trailer.slots().collect();
    assert_eq!(slots.len(), 1);
    assert_eq!(slots[0].number(), 0);
    assert_eq!(slots[0].algorithm(), Algorithm::EcdsaP256Sha256);
    assert_eq!(slots[0].chain().count(), 2);
    assert_eq!(slots[0].signature().len(), 64);

    let manifest = trailer.unverified_manifest().unwrap();
    assert_eq!(manifest.device_class()[..4], [0x6f, 0x1d, 0x5e, 0x0c]);
    assert_eq!(manifest.core_ids().collect::<Vec<_>>(), [0, 2]);
    assert_eq!(manifest.security_version(), 3);
    assert_eq!(manifest.display_version(), "1.2.3-test");
    assert_eq!(manifest.build_id(), [0xb1; 20]);
    assert_eq!(manifest.entry(), 0x2100_0009);
    assert_eq!(manifest.vector_table(), Some(0x2100_0000));
    let segments: Vec<_> = manifest.segments().collect();
    assert_eq!(segments.len(), 3);
    assert_eq!(segments[0].address, 0x2100_0000);
    assert_eq!(segments[0].access.bits(), 5);
    assert!(segments[0].access.executable() && segments[0].access.readable());
    assert!(segments[1].access.writable() && !segments[1].access.executable());
    assert_eq!((segments[1].file_offset, segments[1].file_size), (0x8c, 9));
    assert_eq!((segments[2].memory_size, segments[2].file_size), (0x100, 0));
    assert_eq!(manifest.digests().len(), 2);
    let (address, table) = manifest.resource_table().unwrap();
    assert_eq!((address, table.len()), (0x2120_0000, 88));
    let extensions: Vec<_> = manifest.extensions().collect();
    let extra = Extension {
        kind: 0x8000_0001,
        critical: false,
        value: b"extra",
    };
    assert_eq!(extensions, [extra]);
}

#[test]
fn the_writer_makes_the_golden_bundle_of_what_the_reader_says() {
    // Written: bundle-format.md 1.1, bundle-format.md 2.1, bundle-format.md 3.1, bundle-format.md 5.1, bundle-format.md 7.11.
    let file = golden(support::V1);
    let parts = Parts::golden();
    let trailer = Trailer::of(&present(&file)).unwrap();
    let manifest = trailer.unverified_manifest().unwrap();
    let chain: Vec<&[u8]> = trailer.slots().flat_map(|slot| slot.chain()).collect();
    let draft = Draft::new(
        &parts.elf,
        &Description {
            device_class: *manifest.device_class(),
            core_ids: &manifest.core_ids().collect::<Vec<_>>(),
            security_version: manifest.security_version(),
            display_version: manifest.display_version(),
            build_id: manifest.build_id(),
            entry: manifest.entry(),
            vector_table: manifest.vector_table(),
            segments: &manifest.segments().collect::<Vec<Segment>>(),
            resource_table: manifest.resource_table(),
            extensions: &manifest.extensions().collect::<Vec<_>>(),
        },
        &[SlotDescription {
            number: 0,
            algorithm: Algorithm::EcdsaP256Sha256,
            chain: &chain,
        }],
        sha256,
    )
    .unwrap();
    assert_eq!(draft.signed_parts().unwrap(), trailer.signed_parts());
    let signature: &SignatureBytes = parts.signatures.as_slice().try_into().unwrap();
    let made = [parts.elf, draft.finish(&[signature]).unwrap()].concat();
    assert_eq!(made, file);
}

#[test]
fn the_bundle_digest_does_not_depend_on_the_signature() {
    // bundle-format.md 4.2
    let golden = Trailer::of(&present(&golden(support::V1)))
        .map(|trailer| support::digest(&trailer))
        .unwrap();
    let toy = Parts::golden().file();
    let toy = support::digest(&Trailer::of(&present(&toy)).unwrap());
    assert_eq!(golden, toy);
    assert_eq!(golden[..4], [0x3f, 0x98, 0xe7, 0x35]);
}

#[test]
fn a_signed_manifest_is_the_same_as_the_unverified_one() {
    let file = Parts::golden().file();
    let version = with_manifest(&file, |manifest| manifest.security_version());
    assert_eq!(version, Ok(3));
}

#[test]
fn the_golden_bundles_of_other_signers_differ_in_nothing_but_who_signed() {
    // bundle-format.md 3.1, bundle-format.md 3.6, bundle-format.md 4.1
    let reference = Parts::golden();
    let (p256, p384, ed25519) = (
        Algorithm::EcdsaP256Sha256,
        Algorithm::EcdsaP384Sha384,
        Algorithm::Ed25519,
    );
    for (text, expected) in [
        (support::V1_P384, &[(0, p384)][..]),
        (support::V1_ED25519, &[(0, ed25519)]),
        (support::V1_TWO_SLOTS, &[(0, p256), (1, ed25519)]),
    ] {
        let parts = Parts::of(golden(text));
        assert_eq!(parts.elf, reference.elf);
        assert_eq!(parts.manifest, reference.manifest);
        let file = golden(text);
        let trailer = Trailer::of(&present(&file)).unwrap();
        let slots: Vec<_> = trailer
            .slots()
            .map(|slot| (slot.number(), slot.algorithm()))
            .collect();
        assert_eq!(slots, expected);
        let signatures: Vec<u8> = trailer
            .slots()
            .flat_map(|slot| slot.signature())
            .copied()
            .collect();
        assert_eq!(signatures, parts.signatures);
        assert!(trailer.slots().all(|slot| slot.chain().count() == 2));
    }
}
