//! `convert`: files of sign_rproc_fw, format v1, made here by the rules of that format and signed by OpenSSL.

mod desk;

use desk::{CHAIN, Desk, platform, with_platform};
use ring::digest::{SHA256, digest};

/// A file as sign_rproc_fw makes it, its parts to be changed before it is signed.
struct Legacy {
    magic: u32,
    version: u32,
    records: Vec<(u32, Vec<u8>)>,
    image: Vec<u8>,
}

impl Legacy {
    fn of(elf: &[u8], scheme: u8) -> Self {
        let mut image = elf.to_vec();
        image.resize(image.len().next_multiple_of(8), 0);
        let size = image.len() as u32;
        Self {
            magic: 0x3543_a468,
            version: 1,
            records: vec![
                (1, vec![scheme]),
                (3, vec![1]),
                (4, vec![1]),
                (5, size.to_le_bytes().to_vec()),
                (2, vec![1]),
                (0x10, rows(elf)),
            ],
            image,
        }
    }

    /// Writes `old.sign`, signed by OpenSSL.
    fn write(&self, desk: &Desk, key: &str, signature_size: u32) {
        let mut list = Vec::new();
        for (kind, value) in &self.records {
            list.extend(kind.to_le_bytes());
            list.extend((value.len() as u32).to_le_bytes());
            list.extend(value);
            list.resize(list.len().next_multiple_of(8), 0);
        }
        let size = self.image.len() as u32;
        let mut signed = Vec::new();
        for word in [
            self.magic,
            self.version,
            list.len() as u32,
            signature_size,
            size,
        ] {
            signed.extend(word.to_le_bytes());
        }
        signed.extend(list);
        desk.put("signed", &signed);
        desk.tool(
            "openssl",
            &[
                "dgst",
                "-sha256",
                "-sign",
                key,
                "-out",
                "signature",
                "signed",
            ],
        );
        let mut signature = desk.bytes("signature");
        if signature_size == 64 {
            let der = p256::ecdsa::Signature::from_der(&signature).expect("DER");
            signature = der.to_bytes().to_vec();
        }
        assert_eq!(signature.len(), signature_size as usize);
        desk.put(
            "old.sign",
            &[signed, signature, self.image.clone()].concat(),
        );
    }

    fn record(&mut self, kind: u32, value: &[u8]) {
        let found = self.records.iter_mut().find(|(other, _)| *other == kind);
        found.expect("a record").1 = value.to_vec();
    }
}

/// What somebody does to a file before it is signed.
type Change = fn(&mut Legacy);

/// A copy of every program header with the SHA-256 of its bytes.
fn rows(elf: &[u8]) -> Vec<u8> {
    let half = |at: usize| usize::from(u16::from_le_bytes([elf[at], elf[at + 1]]));
    let word =
        |at: usize| u32::from_le_bytes(elf[at..at + 4].try_into().expect("4 bytes")) as usize;
    let mut rows = Vec::new();
    for index in 0..half(44) {
        let at = word(28) + 32 * index;
        let (offset, size) = (word(at + 4), word(at + 16));
        rows.extend(&elf[at..at + 32]);
        rows.extend(digest(&SHA256, &elf[offset..offset + size]).as_ref());
    }
    rows
}

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
        Legacy::of(&elf, scheme).write(&desk, &key, size);
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
    Legacy::of(&elf, 1).write(&desk, "rsa.key", 256);
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
        ("two images", |legacy| legacy.record(3, &[2]), 3),
        ("an encrypted image", |legacy| legacy.record(4, &[2]), 3),
        (
            "a record twice",
            |legacy| legacy.records.push((1, vec![1])),
            3,
        ),
    ];
    for (what, change, code) in changes {
        let mut legacy = Legacy::of(&elf, 1);
        change(&mut legacy);
        legacy.write(&desk, "rsa.key", 256);
        let (_, err) = convert(&desk, code, &["--from-key", "rsa.pub"]);
        assert!(err.contains("old.sign"), "{what}: {err}");
    }
    for kind in [1, 2, 3, 4, 5, 0x10] {
        let mut legacy = Legacy::of(&elf, 1);
        legacy.records.retain(|(other, _)| *other != kind);
        legacy.write(&desk, "rsa.key", 256);
        let (_, err) = convert(&desk, 3, &["--from-key", "rsa.pub"]);
        assert!(err.contains(&format!("{kind:#x}")), "{err}");
    }
}

#[test]
fn every_cut_and_every_flipped_byte_of_what_the_old_signature_covers_is_refused() {
    use firmware_signing::sign_rproc_fw::{PublicKey, SignedFirmware};
    let desk = desk();
    Legacy::of(&desk.bytes("fw.elf"), 2).write(&desk, "ec.key", 64);
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
    legacy.write(&desk, "rsa.key", 256);
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
