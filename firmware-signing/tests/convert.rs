//! `convert`: files of sign_rproc_fw, format v1, made here by the rules of that format and signed by OpenSSL.

mod desk;
mod sign_rproc_fw;

use desk::{CHAIN, Desk, platform, with_platform};
use sign_rproc_fw::Legacy;

/// Writes `old.sign`, signed by OpenSSL.
fn write(legacy: &Legacy, desk: &Desk, key: &str, signature_size: u32) {
    desk.put("signed", &legacy.signed(signature_size));
    let sign = [
        "dgst",
        "-sha256",
        "-sign",
        key,
        "-out",
        "signature",
        "signed",
    ];
    desk.tool("openssl", &sign);
    let mut signature = desk.bytes("signature");
    if signature_size == 64 {
        let der = p256::ecdsa::Signature::from_der(&signature).expect("DER");
        signature = der.to_bytes().to_vec();
    }
    assert_eq!(signature.len(), signature_size as usize);
    desk.put("old.sign", &legacy.file(&signature));
}

fn record(legacy: &mut Legacy, kind: u32, value: &[u8]) {
    let mut records = legacy.records.iter_mut();
    let found = records.find(|(other, _)| *other == kind);
    found.expect("a record").1 = value.to_vec();
}

/// What somebody does to a file before it is signed.
type Change = fn(&mut Legacy);

/// A desk with `rsa.key`, `ec.key` and their public halves.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.tool("openssl", &["genrsa", "-out", "rsa.key", "2048"]);
    let curve = "ec_paramgen_curve:P-256";
    let ec = [
        "genpkey",
        "-algorithm",
        "EC",
        "-pkeyopt",
        curve,
        "-out",
        "ec.key",
    ];
    desk.tool("openssl", &ec);
    for name in ["rsa", "ec"] {
        let (key, public) = (format!("{name}.key"), format!("{name}.pub"));
        desk.tool(
            "openssl",
            &["pkey", "-in", &key, "-pubout", "-out", &public],
        );
    }
    desk
}

#[track_caller]
fn convert(desk: &Desk, code: i32, more: &[&str]) -> (String, String) {
    let base = [
        "convert",
        "old.sign",
        "--out",
        "new.cwfw",
        "--key",
        "signer.key",
    ];
    let all = [&base[..], &CHAIN, more].concat();
    let platform = platform();
    desk.expect(code, &with_platform(&all, &platform))
}

#[test]
fn files_signed_with_rsa_and_p256_are_verified_and_signed_anew() {
    let desk = desk();
    let elf = desk.bytes("fw.elf");
    desk.sign("fw.elf", "direct.cwfw", &[]);
    for (scheme, name, size) in [(1, "rsa", 256), (2, "ec", 64)] {
        let (key, public) = (format!("{name}.key"), format!("{name}.pub"));
        write(&Legacy::of(&elf, scheme), &desk, &key, size);
        let (out, _) = convert(&desk, 0, &["--from-key", &public, "--force"]);
        assert!(out.contains("did not cover: entry point"), "{out}");
        let verify = ["verify", "new.cwfw", "--root", "root.pem"];
        let platform = platform();
        desk.expect(0, &with_platform(&verify, &platform));
        // What came through the old format is what the ELF itself would have become.
        desk.expect(0, &["diff", "direct.cwfw", "new.cwfw"]);
    }
}

#[test]
fn another_key_another_scheme_and_no_public_key_are_refused() {
    let desk = desk();
    let elf = desk.bytes("fw.elf");
    write(&Legacy::of(&elf, 1), &desk, "rsa.key", 256);
    desk.tool("openssl", &["genrsa", "-out", "other.key", "2048"]);
    desk.tool(
        "openssl",
        &["pkey", "-in", "other.key", "-pubout", "-out", "other.pub"],
    );
    let (_, err) = convert(&desk, 4, &["--from-key", "other.pub"]);
    assert!(err.contains("old.sign"), "{err}");
    convert(&desk, 6, &["--from-key", "ec.pub"]);
    convert(&desk, 6, &["--from-key", "rsa.key"]);
    convert(&desk, 6, &["--from-key", "fw.elf"]);
    convert(&desk, 7, &["--from-key", "absent.pub"]);
    assert!(!desk.path("new.cwfw").exists());
}

#[test]
fn a_file_whose_signed_list_does_not_describe_its_image_is_refused() {
    let desk = desk();
    let elf = desk.bytes("fw.elf");
    let changes: [(&str, Change, i32); 9] = [
        ("a byte of a segment", |legacy| legacy.image[0x90] ^= 1, 4),
        ("an address", |legacy| legacy.image[52 + 12] ^= 1, 4),
        ("a segment left out", |legacy| legacy.image[44] = 1, 4),
        (
            "a row left out",
            |legacy| legacy.records[5].1.truncate(64),
            4,
        ),
        ("another magic", |legacy| legacy.magic = 7, 3),
        ("another version", |legacy| legacy.version = 2, 3),
        ("two images", |legacy| record(legacy, 3, &[2]), 3),
        ("an encrypted image", |legacy| record(legacy, 4, &[2]), 3),
        (
            "a record twice",
            |legacy| legacy.records.push((1, vec![1])),
            3,
        ),
    ];
    for (what, change, code) in changes {
        let mut legacy = Legacy::of(&elf, 1);
        change(&mut legacy);
        write(&legacy, &desk, "rsa.key", 256);
        let (_, err) = convert(&desk, code, &["--from-key", "rsa.pub"]);
        assert!(err.contains("old.sign"), "{what}: {err}");
    }
    for kind in [1, 2, 3, 4, 5, 0x10] {
        let mut legacy = Legacy::of(&elf, 1);
        legacy.records.retain(|(other, _)| *other != kind);
        write(&legacy, &desk, "rsa.key", 256);
        let (_, err) = convert(&desk, 3, &["--from-key", "rsa.pub"]);
        assert!(err.contains(&format!("{kind:#x}")), "{err}");
    }
}

#[test]
fn every_cut_and_every_flipped_byte_of_what_the_old_signature_covers_is_refused() {
    use firmware_signing::sign_rproc_fw::{PublicKey, SignedFirmware};
    let desk = desk();
    write(&Legacy::of(&desk.bytes("fw.elf"), 2), &desk, "ec.key", 64);
    let key = PublicKey::read(&desk.bytes("ec.pub")).expect("a key");
    let whole = desk.bytes("old.sign");
    let accepted = |bytes: &[u8]| {
        SignedFirmware::parse(bytes).is_ok_and(|firmware| firmware.verified(&key).is_ok())
    };
    assert!(accepted(&whole));
    let covered = desk.bytes("signed").len() + 64;
    for at in 0..covered {
        let mut flipped = whole.clone();
        flipped[at] ^= 4;
        assert!(!accepted(&flipped), "byte {at}");
    }
    for end in 0..whole.len() {
        assert!(!accepted(&whole[..end]), "cut at {end}");
    }
}

#[test]
fn what_a_bundle_has_no_place_for_is_named() {
    let desk = desk();
    let mut legacy = Legacy::of(&desk.bytes("fw.elf"), 1);
    legacy.records.push((0x1_0001, vec![0, 0, 0, 0x38]));
    legacy.records.push((0x11, b"key of 2024".to_vec()));
    write(&legacy, &desk, "rsa.key", 256);
    let platform = platform();
    let base = [
        "convert",
        "old.sign",
        "--out",
        "new.cwfw",
        "--key",
        "signer.key",
    ];
    let all = [&base[..], &CHAIN, &["--from-key", "rsa.pub"]].concat();
    let json = desk.json(0, &with_platform(&all, &platform));
    assert_eq!(json["schema"], "corewarden-sign/convert");
    assert_eq!(json["left_out"][0]["type"], 0x1_0001);
    assert_eq!(json["left_out"][0]["value"], "00000038");
    assert_eq!(json["from"], "rsa-pkcs1v15-sha256");
    convert(&desk, 8, &["--from-key", "rsa.pub"]);
    for bytes in [
        &b""[..],
        b"x",
        &[0; 64],
        &desk.bytes("fw.elf"),
        &desk.bytes("new.cwfw"),
    ] {
        desk.put("old.sign", bytes);
        convert(&desk, 3, &["--from-key", "rsa.pub", "--force"]);
    }
}
