//! The golden file of format version 1 through the whole judgement, with real signatures. If a test fails here, do not
//! change the file.

mod support;

use admission::Refusal;
use certificate_chain::{Error, Role, Scope};
use firmware_bundle::write::Draft;
use firmware_bundle::{Access, SignatureCheck};

use support::pki::{Key, LEAF};
use support::{Image, judge, load, pki, platform, present, sign_anew, with_admitted};

fn golden(text: &str) -> Vec<u8> {
    text.lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .flat_map(str::split_whitespace)
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

const V1: &str = include_str!("../../firmware-bundle/tests/golden/v1.hex");
const V1_ROOT: &str = include_str!("../../firmware-bundle/tests/golden/v1-root.hex");

#[test]
fn the_golden_bundle_is_made_anew_byte_for_byte() {
    let pki = pki();
    assert_eq!(Image::new().sign(&pki), golden(V1));
    assert_eq!(pki.root, golden(V1_ROOT));
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
        [0; 64],
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
