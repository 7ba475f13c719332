//! What a run prints and leaves behind: the same everywhere, and nothing else.

mod desk;

use std::fs;

use desk::{Desk, keys, platform, root};

#[test]
fn no_temporary_file_is_left() {
    let desk = Desk::bare();
    desk.sign_as_developer(0, &["fw.elf"]);
    desk.sign_as_developer(8, &["fw.elf"]);
    desk.sign_as_developer(
        5,
        &["fw.elf", "--out", "high", "--security-version", "1001"],
    );
    let mut names: Vec<_> = fs::read_dir(desk.folder.path())
        .expect("there")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["fw.cwfw", "fw.elf"]);
}

#[test]
fn environments_do_not_change_a_bundle() {
    let desk = Desk::bare();
    desk.sign_as_developer(0, &["fw.elf", "--out", "one"]);
    let other = Desk::bare();
    fs::rename(other.path("fw.elf"), other.path("another name.elf")).expect("renamed");
    let keys = keys();
    let of = |name: &str| keys.join(name).display().to_string();
    let status = other
        .command(&[
            "sign",
            "another name.elf",
            "--security-version",
            "3",
            "--out",
            "two",
        ])
        .envs([
            ("LC_ALL", "tr_TR.UTF-8"),
            ("TZ", "Asia/Kathmandu"),
            ("HOME", "/nonexistent"),
            ("SOURCE_DATE_EPOCH", "1"),
        ])
        .env("COREWARDEN_KEY", of("dev-signer.key.pem"))
        .env(
            "COREWARDEN_CERT",
            format!("{}:{}", of("dev-product-ca.pem"), of("dev-signer.pem")),
        )
        .env("COREWARDEN_PLATFORM", platform())
        .env("COREWARDEN_CORE", "0")
        .env("COREWARDEN_ROOT", root())
        .status();
    assert_eq!(status.expect("runs").code(), Some(0));
    assert_eq!(
        fs::read(desk.path("one")).expect("there"),
        fs::read(other.path("two")).expect("there")
    );
}

#[test]
fn json_has_a_schema_and_goes_to_standard_output() {
    let desk = Desk::bare();
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
    let (out, err) = desk.sign_as_developer(0, &["--json", "fw.elf"]);
    assert_eq!(err, "");
    let report = json(&out);
    assert_eq!(report["schema"], "corewarden-sign/sign");
    assert_eq!(report["version"], 1);
    assert_eq!(report["cores"], serde_json::json!([0]));

    let (out, _) = desk.expect(0, &["inspect", "--json", "fw.cwfw"]);
    let inspected = json(&out);
    assert_eq!(inspected["schema"], "corewarden-sign/inspect");
    assert_eq!(inspected["trust"], "not judged");
    assert_eq!(inspected["bundle"]["digest"], report["digest"]);
    assert_eq!(inspected["bundle"]["integrity"], true);

    let (out, _) = desk.expect(0, &["verify", "--json", "fw.cwfw", "--root", &root()]);
    assert_eq!(json(&out)["judged"], "signature");
    let (out, err) = desk.sign_as_developer(8, &["--json", "fw.elf"]);
    assert_eq!(json(&out)["schema"], "corewarden-sign/failure");
    assert_eq!(json(&out)["code"], 8);
    assert_eq!(err.lines().count(), 1);
}

#[test]
fn inspect_says_what_a_file_is_and_never_that_it_is_trusted() {
    let desk = Desk::bare();
    let (out, _) = desk.expect(0, &["inspect", "fw.elf"]);
    assert!(
        out.starts_with(
            "fw.elf: an ELF, but not a firmware bundle (or stripped or cut off after signing?)"
        ),
        "{out}"
    );
    desk.sign_as_developer(0, &["fw.elf"]);
    let (out, _) = desk.expect(0, &["inspect", "fw.cwfw"]);
    assert!(
        out.starts_with("fw.cwfw: a firmware bundle; its signature is not judged here"),
        "{out}"
    );
    let mut old = Vec::new();
    for word in [0x3543_a468u32, 1, 0x138, 0x200, 0x2370] {
        old.extend(word.to_le_bytes());
    }
    old.resize(0x400, 0);
    fs::write(desk.path("old.sig"), old).expect("written");
    let (out, _) = desk.expect(0, &["inspect", "old.sig"]);
    assert!(
        out.contains("signed by OP-TEE's sign_rproc_fw, format v1"),
        "{out}"
    );
    fs::write(desk.path("note"), "hello").expect("written");
    desk.expect(3, &["inspect", "note"]);
}

#[test]
fn help_documents_the_exit_codes_and_completions_come_for_every_shell() {
    let desk = Desk::bare();
    let (out, _) = desk.expect(0, &["--help"]);
    for code in 0..=8 {
        assert!(out.contains(&format!("\n  {code}  ")), "{code}");
    }
    assert!(!out.contains('\u{1b}'), "colour without a terminal");
    for shell in ["bash", "zsh", "fish"] {
        let (out, _) = desk.expect(0, &["completions", shell]);
        assert!(out.contains("security-version"));
    }
}
