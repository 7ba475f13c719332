//! The golden file of format version 1 through the whole judgement, with real signatures. If a test fails here, do not
//! change the file.

mod support;

use admission::Refusal;
use certificate_chain::{Error, Role, Scope};
use firmware_bundle::write::Draft;
use firmware_bundle::{Access, Algorithm, SignatureCheck};

use support::pki::{Key, LEAF};
use support::{
    Image, checker, judge, load, pki, pki_of, platform, platform_of_slots, present, second_pki,
    sign_anew, with_admitted,
};

fn golden(text: &str) -> Vec<u8> {
    text.lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .flat_map(str::split_whitespace)
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

const V1: &str = include_str!("../../firmware-bundle/tests/golden/v1.hex");
const V1_ROOT: &str = include_str!("../../firmware-bundle/tests/golden/v1-root.hex");
const P384: &str = include_str!("../../firmware-bundle/tests/golden/v1-p384.hex");
const P384_ROOT: &str = include_str!("../../firmware-bundle/tests/golden/v1-p384-root.hex");
const ED25519: &str = include_str!("../../firmware-bundle/tests/golden/v1-ed25519.hex");
const ED25519_ROOT: &str = include_str!("../../firmware-bundle/tests/golden/v1-ed25519-root.hex");
const TWO_SLOTS: &str = include_str!("../../firmware-bundle/tests/golden/v1-two-slots.hex");
const TWO_SLOTS_ROOT1: &str =
    include_str!("../../firmware-bundle/tests/golden/v1-two-slots-root1.hex");

#[test]
fn the_golden_bundle_is_made_anew_byte_for_byte() {
    let pki = pki();
    assert_eq!(Image::new().sign(&pki), golden(V1));
    assert_eq!(pki.root, golden(V1_ROOT));
}

#[test]
fn the_golden_bundles_of_the_other_algorithms_and_of_two_slots_are_made_anew_byte_for_byte() {
    // bundle-format.md 3.5, 3.6 and 4.1
    let p384 = pki_of([Algorithm::EcdsaP384Sha384; 3], 0);
    assert_eq!(Image::new().sign(&p384), golden(P384));
    assert_eq!(p384.root, golden(P384_ROOT));
    let ed25519 = pki_of([Algorithm::Ed25519; 3], 0);
    assert_eq!(Image::new().sign(&ed25519), golden(ED25519));
    assert_eq!(ed25519.root, golden(ED25519_ROOT));
    let second = second_pki();
    let both = Image::new().sign_slots(&[(0, &pki()), (1, &second)]);
    assert_eq!(both, golden(TWO_SLOTS));
    assert_eq!(second.root, golden(TWO_SLOTS_ROOT1));
}

#[test]
fn the_golden_bundles_of_the_other_algorithms_are_admitted_by_a_device_that_pins_their_root() {
    // bundle-format.md 3.6, 4.5 and 11.5
    let certificate = certificate_chain::Kind::ProductCa;
    let stronger = Error::KeyStronger {
        certificate,
        key: Algorithm::EcdsaP384Sha384,
        issuer: Algorithm::EcdsaP256Sha256,
    };
    let other = Error::IssuerAlgorithm {
        certificate,
        named: Algorithm::Ed25519,
        key: Algorithm::EcdsaP256Sha256,
    };
    for (file, root, digest, error) in [
        (P384, P384_ROOT, P384_DIGEST, stronger),
        (ED25519, ED25519_ROOT, ED25519_DIGEST, other),
    ] {
        let root = certificate_chain::Root::parse(0, &golden(root)).unwrap();
        let checker = certificate_chain::Checker::new(vec![root]).unwrap();
        let file = golden(file);
        with_admitted(&file, &checker, &platform(&[]), |admitted| {
            assert_eq!(admitted.digest()[..4], digest);
        })
        .unwrap();
        assert!(load(&file, &checker, &platform(&[])).is_ok());
        // The same names below a root of P-256: each is refused for what its product CA is.
        let below = judge(&file, &pki().checker(), &platform(&[]));
        assert_eq!(below, Err(Refusal::Chain { slot: 0, error }));
    }
}

#[test]
fn the_golden_bundle_of_two_slots_is_admitted_when_both_roots_are_pinned() {
    // bundle-format.md 4.3, 11.16, 11.18 and 12.1
    let root = |slot, text| certificate_chain::Root::parse(slot, &golden(text)).unwrap();
    let checker =
        certificate_chain::Checker::new(vec![root(0, V1_ROOT), root(1, TWO_SLOTS_ROOT1)]).unwrap();
    let file = golden(TWO_SLOTS);
    for required in ["[0]", "[1]", "[0, 1]"] {
        let platform = platform_of_slots(required);
        with_admitted(&file, &checker, &platform, |admitted| {
            let first = certificate_chain::sha256(&[&Key::new(LEAF).spki()]);
            assert_eq!(admitted.signer().key_id, first);
        })
        .unwrap();
    }
}

#[test]
fn the_golden_bundle_is_admitted_and_says_who_signed_it() {
    let root = certificate_chain::Root::parse(0, &golden(V1_ROOT)).unwrap();
    let checker = certificate_chain::Checker::new(vec![root]).unwrap();
    with_admitted(&golden(V1), &checker, &platform(&[]), |admitted| {
        assert_eq!(admitted.digest()[..4], [0x3f, 0x98, 0xe7, 0x35]);
        let signer = admitted.signer();
        assert_eq!(
            signer.key_id,
            certificate_chain::sha256(&[&Key::new(LEAF).spki()])
        );
        let scope = Scope::new(
            certificate_chain::Kind::Leaf,
            &[0, 1, 2],
            &[support::CLASS],
            10,
            1,
            Role::Development,
        );
        assert_eq!(Ok(signer.scope), scope);
        assert_eq!(signer.leaf_validity.not_after, 253_402_300_799);
        assert_eq!(signer.product_ca_validity, signer.leaf_validity);
        assert_eq!(admitted.manifest().security_version(), 3);
        let table = admitted.table().unwrap();
        assert_ne!(
            table.bytes(),
            support::resource_table(),
            "vring addresses were chosen"
        );
    })
    .unwrap();
}

#[test]
fn loading_leaves_the_signed_segments_and_zeros() {
    // bundle-format.md 10.3, bundle-format.md 10.4, bundle-format.md 10.5
    let memory = load(&golden(V1), &pki().checker(), &platform(&[])).unwrap();
    let mut expected = vec![0; memory.len()];
    expected[..8].copy_from_slice(&[0x00, 0x21, 0x00, 0x21, 0x09, 0x00, 0x00, 0x21]);
    expected[8..12].copy_from_slice(&[0x30, 0xbf, 0xfd, 0xe7]);
    expected[12..24].copy_from_slice(b"golden code!");
    expected[0x1000..0x1009].copy_from_slice(b"some data");
    assert_eq!(memory, expected);
}

#[test]
fn a_signature_with_a_high_s_is_refused() {
    // bundle-format.md 4.4
    let file = golden(V1);
    let checker = pki().checker();
    let digest = with_admitted(&file, &checker, &platform(&[]), |admitted| {
        *admitted.digest()
    });
    let message = Draft::message(&digest.unwrap());
    let at = file.len() - 128;
    assert_eq!(file[at..at + 64], Key::new(LEAF).sign_raw(&message));
    let mut mirrored = file.clone();
    mirrored[at..at + 64].copy_from_slice(&Key::new(LEAF).sign_raw_high(&message));
    assert_eq!(
        judge(&mirrored, &checker, &platform(&[])),
        Err(Refusal::Chain {
            slot: 0,
            error: Error::HighS
        })
    );
    assert_eq!(judge(&file, &checker, &platform(&[])), Ok(()));
}

#[test]
fn the_mirror_image_of_any_signature_is_refused_in_either_slot() {
    // bundle-format.md 4.4
    let (first, second) = (pki_of([Algorithm::EcdsaP384Sha384; 3], 0), second_pki());
    let slots = [(0, &first), (1, &second)];
    let file = Image::new().sign_slots(&slots);
    let (checker, platform) = (checker(&slots), platform_of_slots("[0, 1]"));
    let digest = with_admitted(&file, &checker, &platform, |admitted| *admitted.digest());
    let message = Draft::message(&digest.unwrap());
    let signatures = file.len() - 64 - 160;
    for (at, signer, slot, error) in [
        (0, &first.signer, 0, Error::HighS),
        (96, &second.signer, 1, Error::Signature),
    ] {
        let good = signer.sign_raw(&message);
        let place = signatures + at..signatures + at + good.len();
        assert_eq!(file[place.clone()], good);
        let mut mirrored = file.clone();
        mirrored[place].copy_from_slice(&signer.sign_raw_high(&message));
        assert_eq!(
            judge(&mirrored, &checker, &platform),
            Err(Refusal::Chain { slot, error })
        );
    }
}

#[test]
fn a_slot_names_the_algorithm_of_its_leafs_key() {
    // bundle-format.md 4.5: both algorithms have 64 bytes.
    let file = golden(ED25519);
    let root = certificate_chain::Root::parse(0, &golden(ED25519_ROOT)).unwrap();
    let checker = certificate_chain::Checker::new(vec![root]).unwrap();
    let mut other = file;
    assert_eq!(other[0x2d2], 3);
    other[0x2d2] = 1;
    assert_eq!(
        judge(&other, &checker, &platform(&[])),
        Err(Refusal::Chain {
            slot: 0,
            error: Error::SlotAlgorithm {
                named: Algorithm::EcdsaP256Sha256,
                key: Algorithm::Ed25519
            }
        })
    );
}

#[test]
fn a_signature_by_another_key_or_over_something_else_is_refused() {
    // bundle-format.md 4.5
    let file = golden(V1);
    let checker = pki().checker();
    let at = file.len() - 128;
    let refused = Err(Refusal::Chain {
        slot: 0,
        error: Error::Signature,
    });
    let digest = with_admitted(&file, &checker, &platform(&[]), |admitted| {
        *admitted.digest()
    });
    let digest = digest.unwrap();
    for signature in [
        Key::new(0x44).sign_raw(&Draft::message(&digest)),
        Key::new(LEAF).sign_raw(&digest),
        Key::new(LEAF).sign_raw(&Draft::message(&[0; 48])),
        vec![0; 64],
    ] {
        let mut other = file.clone();
        other[at..at + 64].copy_from_slice(&signature);
        assert_eq!(judge(&other, &checker, &platform(&[])), refused);
    }
}

#[test]
fn the_judges_digests_are_those_of_the_standard() {
    // FIPS 180-4: the digest of "abc".
    let checker = pki().checker();
    let digest = checker.sha384([b"a", b"", b"bc"]);
    assert_eq!(
        digest[..8],
        [0xcb, 0x00, 0x75, 0x3f, 0x45, 0xa3, 0x5e, 0x8b]
    );
    let digest = certificate_chain::sha256(&[b"ab", b"c"]);
    assert_eq!(
        digest[..8],
        [0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea]
    );
}

#[test]
fn nothing_of_the_manifest_is_judged_before_the_signature() {
    // bundle-format.md 1.13: a wrong manifest that was not signed shows as a signature, signed anew as itself.
    let checker = pki().checker();
    let version = 0xa0;
    let mut unsigned = golden(V1);
    unsigned[version] = 9;
    assert_eq!(
        judge(&unsigned, &checker, &platform(&[])),
        Err(Refusal::Chain {
            slot: 0,
            error: Error::Signature
        })
    );
    let signed = sign_anew(golden(V1), |file| file[version] = 9);
    assert_eq!(
        judge(&signed, &checker, &platform(&[])),
        Err(Refusal::Bundle(firmware_bundle::Error::ManifestVersion {
            found: 9
        }))
    );
    assert_eq!(present(&signed).tail.len(), signed.len());
    assert_eq!(Access::from_bits(8), None);
}

/// The first bytes of the bundle digests.
const P384_DIGEST: [u8; 4] = [0x88, 0xb3, 0xd0, 0xa5];
const ED25519_DIGEST: [u8; 4] = [0xca, 0xda, 0x85, 0x5e];
