//! `resign`, `strip` and `diff`: what is done to bundles that exist.

mod desk;

use desk::{CHAIN, Desk};
use firmware_signing::sample::Elf;

/// A desk with `fw.cwfw`, signed by the first chain.
fn signed() -> Desk {
    let desk = Desk::new();
    desk.sign("fw.elf", "fw.cwfw", &[]);
    desk
}

const OTHERS: [&str; 8] = [
    "--key",
    "other-signer.key",
    "--cert",
    "other-signer.pem",
    "--cert",
    "other-ca.pem",
    "--root",
    "other-root.pem",
];

#[track_caller]
fn resign(desk: &Desk, code: i32, more: &[&str]) -> (String, String) {
    let base = ["resign", "fw.cwfw", "--out", "new.cwfw"];
    desk.expect(code, &[&base[..], more].concat())
}

#[test]
fn a_bundle_signed_anew_has_the_same_content_and_another_signer() {
    let desk = signed();
    resign(
        &desk,
        0,
        &[&OTHERS[..], &["--from-root", "root.pem"]].concat(),
    );
    desk.expect(0, &["verify", "new.cwfw", "--root", "other-root.pem"]);
    desk.expect(5, &["verify", "new.cwfw", "--root", "root.pem"]);
    desk.expect(0, &["diff", "fw.cwfw", "new.cwfw", "--content-only"]);
    // Back again, and every byte is what it was: nothing but signer and signature was touched.
    let back = [
        "resign",
        "new.cwfw",
        "--out",
        "back.cwfw",
        "--key",
        "signer.key",
    ];
    desk.expect(0, &[&back[..], &CHAIN[..6]].concat());
    assert_eq!(desk.bytes("back.cwfw"), desk.bytes("fw.cwfw"));
}

#[test]
fn extensions_stay_when_a_bundle_is_signed_anew() {
    let desk = Desk::new();
    desk.put("sbom.json", b"{}");
    desk.sign("fw.elf", "fw.cwfw", &["--sbom", "sbom.json"]);
    resign(&desk, 0, &OTHERS);
    desk.expect(0, &["diff", "fw.cwfw", "new.cwfw", "--content-only"]);
    let without = Desk::new();
    without.sign("fw.elf", "fw.cwfw", &[]);
    desk.put("without.cwfw", &without.bytes("fw.cwfw"));
    let (out, _) = desk.expect(1, &["diff", "fw.cwfw", "without.cwfw", "--content-only"]);
    assert!(
        out.contains("SBOM digest") && out.contains("(absent)"),
        "{out}"
    );
}

#[test]
fn a_bundle_that_does_not_hold_is_not_signed_anew_nor_stripped() {
    let desk = signed();
    let whole = desk.bytes("fw.cwfw");
    let signature = whole.len() - 64 - 64;
    let changes: [(&str, usize, i32); 3] = [
        ("a byte of the code", 0x80, 4),
        ("a byte of the signature", signature, 4),
        ("a byte of the footer", whole.len() - 30, 3),
    ];
    for (what, at, code) in changes {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        desk.put("fw.cwfw", &changed);
        for all in [
            &[&["resign", "fw.cwfw", "--out", "new.cwfw"][..], &OTHERS].concat()[..],
            &["strip", "fw.cwfw", "--out", "new.cwfw"],
            &["diff", "fw.cwfw", "fw.cwfw"],
        ] {
            let (_, err) = desk.expect(code, all);
            assert!(err.contains("fw.cwfw"), "{what}: {err}");
        }
        assert!(!desk.path("new.cwfw").exists(), "{what}");
    }
    for (bytes, code) in [
        (&[][..], 3),
        (&whole[..whole.len() / 2], 3),
        (b"garbage", 3),
        (&[0; 4096], 3),
        (&desk.bytes("fw.elf"), 3),
    ] {
        desk.put("fw.cwfw", bytes);
        resign(&desk, code, &OTHERS);
        desk.expect(code, &["strip", "fw.cwfw", "--out", "new.cwfw"]);
        desk.expect(code, &["diff", "fw.cwfw", "fw.cwfw"]);
    }
    for verb in [
        &["strip", "absent.cwfw", "--out", "new.cwfw"][..],
        &["diff", "absent.cwfw", "fw.cwfw"],
    ] {
        desk.expect(7, verb);
    }
}

#[test]
fn a_signer_that_may_not_sign_it_does_not_sign_it_anew() {
    let desk = signed();
    desk.put_chain("low-", 2);
    let low = [
        "--key",
        "low-signer.key",
        "--cert",
        "low-signer.pem",
        "--cert",
        "low-ca.pem",
    ];
    let (_, err) = resign(&desk, 5, &low);
    assert!(err.contains('3') && err.contains('2'), "the numbers: {err}");
    // The chain until now, the chain from now on, the key.
    resign(
        &desk,
        5,
        &[&OTHERS[..], &["--from-root", "other-root.pem"]].concat(),
    );
    let wrong_root = [&OTHERS[..6], &["--root", "root.pem"]].concat();
    resign(&desk, 5, &wrong_root);
    let wrong_key = [&["--key", "signer.key"], &OTHERS[2..]].concat();
    resign(&desk, 6, &wrong_key);
    assert!(!desk.path("new.cwfw").exists());
}

#[test]
fn strip_gives_back_the_elf_that_was_signed() {
    let desk = signed();
    desk.sign("fw.elf", "all.cwfw", &["--keep-all"]);
    desk.expect(0, &["strip", "all.cwfw", "--out", "back.elf"]);
    assert_eq!(desk.bytes("back.elf"), desk.bytes("fw.elf"));
    // And what comes back can be signed again, to the same bytes.
    desk.sign("back.elf", "again.cwfw", &["--keep-all"]);
    assert_eq!(desk.bytes("again.cwfw"), desk.bytes("all.cwfw"));
}

#[test]
fn nothing_is_overwritten_and_no_output_is_its_input() {
    let desk = signed();
    let before = desk.bytes("fw.cwfw");
    let onto_itself = ["resign", "fw.cwfw", "--out", "fw.cwfw", "--force"];
    desk.expect(8, &[&onto_itself[..], &OTHERS].concat());
    desk.expect(8, &["strip", "fw.cwfw", "--out", "fw.cwfw", "--force"]);
    assert_eq!(desk.bytes("fw.cwfw"), before);
    resign(&desk, 0, &OTHERS);
    resign(&desk, 8, &OTHERS);
    resign(&desk, 0, &[&OTHERS[..], &["--force"]].concat());
    desk.expect(8, &["strip", "fw.cwfw", "--out", "new.cwfw"]);
    desk.expect(0, &["strip", "fw.cwfw", "--out", "new.cwfw", "--force"]);
}

#[test]
fn diff_ends_with_0_for_the_same_and_with_1_for_another_and_names_the_fields() {
    let desk = signed();
    desk.sign("fw.elf", "same.cwfw", &[]);
    let (out, _) = desk.expect(0, &["diff", "fw.cwfw", "same.cwfw"]);
    assert_eq!(out, "no difference but signatures\n");
    desk.sign(
        "fw.elf",
        "named.cwfw",
        &["--display-version", "1.2", "--build-id", "c0de"],
    );
    let json = desk.json(1, &["diff", "fw.cwfw", "named.cwfw"]);
    assert_eq!(json["schema"], "corewarden-sign/diff");
    assert_eq!(json["equal"], false);
    let fields: Vec<_> = json["differences"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| one["field"].as_str().expect("a name"))
        .collect();
    assert_eq!(fields, ["display version", "build id"]);
    assert_eq!(json["differences"][0]["second"], "1.2");

    // Another byte of code is told by its segment.
    let mut elf = Elf::qemu_virt();
    elf.segments[0].bytes[40] ^= 1;
    desk.put("other.elf", &elf.build());
    desk.sign("other.elf", "other.cwfw", &[]);
    let (out, _) = desk.expect(1, &["diff", "fw.cwfw", "other.cwfw"]);
    assert!(
        out.starts_with("segment 0, content from 0x0:\n  - "),
        "{out}"
    );
    assert_eq!(out.lines().count(), 3);

    // Who signed is a difference, unless only the content is asked for.
    resign(&desk, 0, &OTHERS);
    let (out, _) = desk.expect(1, &["diff", "fw.cwfw", "new.cwfw"]);
    assert!(
        out.contains("slot 0, signer:") && out.contains("slot 0, product CA:"),
        "{out}"
    );
}

#[test]
fn the_reports_of_resign_and_strip_name_their_schemas() {
    let desk = signed();
    let base = ["resign", "fw.cwfw", "--out", "new.cwfw"];
    let json = desk.json(0, &[&base[..], &OTHERS].concat());
    assert_eq!(json["schema"], "corewarden-sign/resign");
    assert_ne!(json["digest"], json["before"]);
    let json = desk.json(0, &["strip", "fw.cwfw", "--out", "fw.out"]);
    assert_eq!(json["schema"], "corewarden-sign/strip");
    assert_eq!(json["digest"].as_str().map(str::len), Some(96));
}
