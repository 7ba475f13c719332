//! The exit codes of the command line, one by one.

mod desk;

use std::fs;

use desk::{Desk, platform, root};
use firmware_signing::sample::Elf;

#[test]
fn signing_and_verifying_an_image_ends_with_0() {
    let desk = Desk::bare();
    let (out, err) = desk.sign_as_developer(0, &["fw.elf", "--display-version", "1.0"]);
    assert!(out.starts_with("fw.cwfw: signed for core 0 of qemu-virt, security version 3\n"));
    assert_eq!(err, "");
    let (out, _) = desk.expect(
        0,
        &[
            "verify",
            "fw.cwfw",
            "--root",
            &root(),
            "--platform",
            &platform(),
            "--core",
            "m4",
        ],
    );
    assert!(out.starts_with("fw.cwfw: core 0 of qemu-virt accepts it\n"));
    let (out, _) = desk.expect(0, &["verify", "fw.cwfw", "--root", &root()]);
    assert!(out.contains("integrity and signature hold; not judged for a device"));
}

#[test]
fn usage_errors_end_with_2() {
    let desk = Desk::bare();
    desk.expect(2, &[]);
    desk.expect(2, &["sing"]);
    desk.expect(2, &["sign", "fw.elf"]);
    let (_, err) = desk.expect(
        2,
        &[
            "pki",
            "issue",
            "--kind",
            "leaf",
            "--key",
            "a",
            "--issuer",
            "b",
            "--issuer-key",
            "c",
            "--name",
            "CN=x",
            "--core",
            "0",
            "--device-class",
            "6f1d5e0c-6a0f-4b53-9c7d-2f0c0e5a7b11",
            "--out",
            "d",
        ],
    );
    assert!(err.contains("--max-version"), "{err}");
    let (_, err) = desk.sign_as_developer(2, &["fw.elf", "--core", "m7"]);
    assert!(err.contains("qemu-virt.toml: the platform has no core of this id or name"));
    let (_, err) = desk.sign_as_developer(2, &["fw.elf", "--at", "yesterday"]);
    assert!(err.contains("not a date"), "{err}");
    let (_, err) = desk.sign_as_developer(2, &["fw.elf", "--build-id", "abc"]);
    assert!(err.contains("not hexadecimal"), "{err}");
}

#[test]
fn verify_without_a_root_says_integrity_only_and_ends_with_2() {
    let desk = Desk::bare();
    desk.sign_as_developer(0, &["fw.elf"]);
    let (out, err) = desk.expect(2, &["verify", "fw.cwfw"]);
    assert_eq!(out, "");
    assert!(err.contains("integrity only"), "{err}");
    assert_eq!(err.lines().count(), 1);
}

#[test]
fn malformed_input_ends_with_3() {
    let desk = Desk::bare();
    let elf = fs::read(desk.path("fw.elf")).expect("there");
    fs::write(desk.path("cut.elf"), &elf[..elf.len() / 2]).expect("written");
    fs::write(desk.path("empty.elf"), b"").expect("written");
    fs::write(desk.path("text.elf"), b"not firmware").expect("written");
    for (name, text) in [
        ("cut.elf", "the ELF is cut off"),
        ("empty.elf", "an empty file"),
        ("text.elf", "not an ELF file"),
    ] {
        let (_, err) = desk.sign_as_developer(3, &[name]);
        assert!(
            err.starts_with(&format!("corewarden-sign: {name}: {text}")),
            "{err}"
        );
        assert_eq!(err.lines().count(), 1);
        assert!(!desk.path(name).with_extension("cwfw").exists());
    }
    let (_, err) = desk.expect(3, &["verify", "fw.elf", "--root", &root()]);
    assert!(
        err.contains("not a firmware bundle (or stripped or cut off after signing?)"),
        "{err}"
    );
    fs::write(desk.path("bad.toml"), "name = 1").expect("written");
    let (_, err) = desk.sign_as_developer(3, &["fw.elf", "--platform", "bad.toml"]);
    assert!(
        err.contains("bad.toml: not a platform file (line 1:"),
        "{err}"
    );
    let (_, err) = desk.sign_as_developer(3, &["fw.elf", "--cert", "fw.elf"]);
    assert!(err.contains("fw.elf: not a readable certificate"), "{err}");
}

#[test]
fn a_wrong_byte_ends_with_4() {
    let desk = Desk::bare();
    desk.sign_as_developer(0, &["fw.elf"]);
    let good = fs::read(desk.path("fw.cwfw")).expect("there");
    let at = good.len() - 64 - 1;
    for (at, text) in [
        (20, "a byte that is not loaded"),
        (at, "signature slot 0: the signature does not hold"),
    ] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(desk.path("bad.cwfw"), bad).expect("written");
        let (out, err) = desk.expect(4, &["verify", "bad.cwfw", "--root", &root()]);
        assert_eq!(out, "");
        assert!(err.contains(text), "{err}");
    }
}

#[test]
fn refusals_by_policy_end_with_5() {
    let desk = Desk::bare();
    let (_, err) = desk.sign_as_developer(5, &["fw.elf", "--security-version", "1001"]);
    assert!(err.contains("security version 1001 is above 1000"), "{err}");
    assert!(!desk.path("fw.cwfw").exists());

    let mut elf = Elf::qemu_virt();
    elf.segments[1].address = 0x2000_0000;
    fs::write(desk.path("outside.elf"), elf.build()).expect("written");
    let (_, err) = desk.sign_as_developer(5, &["outside.elf"]);
    assert!(
        err.contains("segment 1 (0x20000000..0x20000040) is in no private region of the core; the first is 0x21000000..0x21200000; move it there in the linker script"),
        "{err}"
    );

    desk.sign_as_developer(0, &["fw.elf"]);
    let (_, err) = desk.expect(
        5,
        &[
            "verify",
            "fw.cwfw",
            "--root",
            &root(),
            "--platform",
            &platform(),
            "--core",
            "0",
            "--floor",
            "4",
        ],
    );
    assert!(err.contains("security version 3 is below 4"), "{err}");
    let (_, err) = desk.expect(
        5,
        &["verify", "fw.cwfw", "--root", &root(), "--at", "2025-12-31"],
    );
    assert!(
        err.contains("valid only from 2026-01-01T00:00:00Z (judged at 2025-12-31T00:00:00Z)"),
        "{err}"
    );
    let (_, err) = desk.sign_as_developer(5, &["fw.elf", "--force", "--at", "2025-12-31"]);
    assert!(err.contains("valid only from"), "{err}");
}

#[test]
fn the_wrong_key_ends_with_6() {
    let desk = Desk::bare();
    desk.expect(
        0,
        &[
            "keygen",
            "--no-password",
            "--out",
            "other",
            "--public-out",
            "other.pub",
        ],
    );
    let (_, err) = desk.sign_as_developer(6, &["fw.elf", "--key", "other"]);
    assert!(err.contains("is not the certificate's"), "{err}");
    let (_, err) = desk.sign_as_developer(6, &["fw.elf", "--key", "other.pub"]);
    assert!(err.contains("this is the public half"), "{err}");
    let (_, err) = desk.sign_as_developer(6, &["fw.elf", "--key", "fw.elf"]);
    assert!(err.contains("fw.elf: not a readable private key"), "{err}");
}

#[test]
fn the_file_system_ends_with_7() {
    let desk = Desk::bare();
    let (_, err) = desk.sign_as_developer(7, &["missing.elf"]);
    assert!(
        err.starts_with("corewarden-sign: missing.elf: No such file"),
        "{err}"
    );
    desk.sign_as_developer(7, &["fw.elf", "--out", "no/such/folder/fw.cwfw"]);
    desk.expect(7, &["inspect", "."]);
    // A full disk; the device says so at the first byte.
    let mut inspect = desk.command(&["inspect", "fw.elf"]);
    let status = inspect
        .stdout(fs::File::create("/dev/full").expect("it opens"))
        .status();
    assert_eq!(status.expect("runs").code(), Some(7));
}

#[test]
fn what_exists_is_kept_with_8() {
    let desk = Desk::bare();
    desk.sign_as_developer(0, &["fw.elf"]);
    let before = fs::read(desk.path("fw.cwfw")).expect("there");
    let (_, err) = desk.sign_as_developer(8, &["fw.elf", "--security-version", "4"]);
    assert!(
        err.contains("fw.cwfw: the output exists; choose another name, or say --force"),
        "{err}"
    );
    assert_eq!(fs::read(desk.path("fw.cwfw")).expect("there"), before);
    desk.sign_as_developer(0, &["fw.elf", "--security-version", "4", "--force"]);
    assert_ne!(fs::read(desk.path("fw.cwfw")).expect("there"), before);

    let (_, err) = desk.sign_as_developer(8, &["fw.cwfw", "--out", "twice.cwfw"]);
    assert!(err.contains("already signed"), "{err}");
    let (_, err) = desk.sign_as_developer(8, &["fw.elf", "--out", "./fw.elf", "--force"]);
    assert!(err.contains("the output is the input"), "{err}");
}

#[test]
fn a_floor_without_a_device_to_judge_for_is_wrong_usage() {
    let desk = Desk::bare();
    desk.sign_as_developer(0, &["fw.elf"]);
    let (out, err) = desk.expect(
        2,
        &["verify", "fw.cwfw", "--root", &root(), "--floor", "99"],
    );
    assert!(out.is_empty() && err.contains("--platform"), "{out}{err}");
}

#[test]
fn a_missing_folder_is_named() {
    let desk = Desk::bare();
    let (_, err) = desk.sign_as_developer(7, &["fw.elf", "--out", "nowhere/fw.cwfw"]);
    assert!(
        err.starts_with("corewarden-sign: nowhere: No such file or directory"),
        "{err}"
    );
}
