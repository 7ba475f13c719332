//! `doctor`: each thing that is well, doubtful or wrong is said in a line of its own.

mod ceremony;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use ceremony::token::{PIN, Token};
use ceremony::{Desk, text};
use firmware_signing::key::Algorithm;
use firmware_signing::sample::Chain;

/// A desk with the development keys and certificates, the key for its owner only.
fn desk() -> Desk {
    let desk = Desk::new();
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("../keys");
    for (file, name) in [
        ("dev-signer.key.pem", "signer.key"),
        ("dev-signer.pem", "signer.pem"),
        ("dev-product-ca.pem", "ca.pem"),
        ("dev-product-ca.key.pem", "ca.key"),
        ("dev-root.pem", "root.pem"),
    ] {
        fs::copy(keys.join(file), desk.path(name)).expect("copied");
        mode(&desk, name, 0o600);
    }
    desk
}

fn mode(desk: &Desk, name: &str, bits: u32) {
    fs::set_permissions(desk.path(name), fs::Permissions::from_mode(bits)).expect("set");
}

/// Runs `doctor` with more words and settings; gives standard output.
#[track_caller]
fn run(desk: &Desk, code: i32, more: &str, settings: &[(&str, &str)]) -> String {
    let mut command = desk.command(&format!("doctor {more}"));
    findings(command.envs(settings.iter().copied()), code)
}

#[track_caller]
fn findings(command: &mut Command, code: i32) -> String {
    let output = command.output().expect("it runs");
    let out = text(&output.stdout);
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    out
}

/// The one line that contains `part`, which must begin with `verdict`.
fn line(out: &str, verdict: &str, part: &str) {
    let found: Vec<&str> = out.lines().filter(|line| line.contains(part)).collect();
    assert!(
        matches!(found[..], [line] if line.starts_with(verdict)),
        "{verdict} {part:?} in:\n{out}"
    );
}

/// All that there is to try.
const ALL: &str =
    "--key signer.key --root root.pem --platform board.toml --core m4 --at 2030-01-01";

#[test]
fn what_fits_together_is_said_to_be_well() {
    let desk = desk();
    let out = run(&desk, 0, ALL, &[]);
    line(&out, "ok", "no option is taken from the environment");
    line(&out, "ok", "there is none: passphrases");
    line(&out, "ok", "signer.key: signs with ecdsa-p256-sha256, key ");
    line(
        &out,
        "ok",
        "CN=Corewarden dev signer,O=Corewarden dev (public - never for products): valid until",
    );
    line(&out, "ok", " signed CN=Corewarden dev product CA");
    line(&out, "ok", "m4 (0): the signer may sign up to version");
    // Well, but not for a release.
    line(&out, "warn", "not encrypted; `sign --release` refuses it");
    line(
        &out,
        "warn",
        "Corewarden's dev-signer, a published test key",
    );
    assert!(!out.contains("fail"), "{out}");
}

#[test]
fn without_anything_to_try_it_tells_of_the_surroundings() {
    let desk = desk();
    let out = run(&desk, 0, "", &[("COREWARDEN_PIN", "987654")]);
    line(&out, "ok", "taken from the environment: COREWARDEN_PIN");
    line(&out, "ok", "terminal");
    assert!(!out.contains("987654"), "{out}");
    let out = run(&desk, 0, "", &[("COREWARDEN_KYE", "signer.key")]);
    line(&out, "warn", "COREWARDEN_KYE is set, but nothing reads it");
    // What stands in the environment is tried as if it were given.
    let key = [("COREWARDEN_KEY", "signer.key")];
    let out = run(&desk, 0, "--at 2030-01-01", &key);
    line(&out, "ok", "taken from the environment: COREWARDEN_KEY");
    line(&out, "ok", "signer.key: signs with");
    line(
        &out,
        "warn",
        "none given, so nothing tells whether a device trusts the signer",
    );
}

#[test]
fn a_key_that_cannot_be_opened_is_said_and_the_rest_is_still_tried() {
    let desk = desk();
    let out = run(
        &desk,
        7,
        "--key absent.key --cert signer.pem --cert ca.pem --root root.pem --at 2030-01-01",
        &[],
    );
    line(&out, "fail", "absent.key: No such file");
    line(&out, "ok", " signed CN=Corewarden dev product CA");
    desk.expect(0, "keygen --out shut.key --passphrase-file pass");
    let shut = "--key shut.key --passphrase-env PASS";
    let out = run(&desk, 6, shut, &[("PASS", "wrong")]);
    line(
        &out,
        "fail",
        "shut.key: the passphrase does not open the key",
    );
    // Opened, but nothing certifies it.
    let out = run(&desk, 2, shut, &[("PASS", "a passphrase")]);
    line(&out, "ok", "shut.key: signs with");
    line(&out, "fail", "no certificate for the key");
    let out = run(&desk, 2, "--key pkcs11:token=t?pin-value=4711", &[]);
    line(&out, "fail", "the URI holds a PIN");
    assert!(!out.contains("4711"), "{out}");
}

#[test]
fn a_key_file_that_others_can_read_is_warned_about() {
    let desk = desk();
    let arguments = "--key signer.key --at 2030-01-01";
    assert!(!run(&desk, 0, arguments, &[]).contains("chmod 600"));
    mode(&desk, "signer.key", 0o644);
    let out = run(&desk, 0, arguments, &[]);
    line(
        &out,
        "warn",
        "its mode is 644, so others can read it: chmod 600",
    );
}

#[test]
fn certificates_that_do_not_fit_or_are_past_their_end_are_failures() {
    let desk = desk();
    // Another key's certificates.
    let out = run(&desk, 6, "--key ca.key --cert signer.pem", &[]);
    line(&out, "fail", "is not the certificate's");
    // Another root: here the product CA's own certificate.
    let out = run(
        &desk,
        5,
        "--key signer.key --root ca.pem --at 2030-01-01",
        &[],
    );
    line(
        &out,
        "fail",
        "CN=Corewarden dev product CA,O=Corewarden dev (public - never for products): the chain leads to no pinned root",
    );
    // Dates: ended, and about to end.
    let more = "--issuer-key ca.key --name CN=short --not-before 2030-01-01 --not-after 2030-03-01 --out signer.pem --force";
    desk.expect(0, &desk.issue("leaf", "signer.key", "ca", more));
    let at =
        |code: i32, date: &str| run(&desk, code, &format!("--key signer.key --at {date}"), &[]);
    line(
        &at(0, "2030-01-15"),
        "ok",
        "CN=short: valid until 2030-03-01",
    );
    line(
        &at(0, "2030-02-20"),
        "warn",
        "CN=short: ends on 2030-03-01T00:00:00Z, within 30 days",
    );
    line(
        &at(5, "2030-03-02"),
        "fail",
        "CN=short: the certificate expired on 2030-03-01",
    );
    line(
        &at(5, "2029-12-31"),
        "fail",
        "CN=short: the certificate is valid only from 2030-01-01",
    );
}

#[test]
fn a_core_that_the_signer_may_not_sign_for_is_a_failure() {
    let desk = desk();
    let (mine, other) = (desk.device_class(), "00000000-0000-4000-8000-000000000000");
    // The product CA does not let its signers leave its own classes; another platform file shows the same.
    let more = "--issuer-key ca.key --name CN=other --out signer.pem --force";
    let issue = desk.issue("leaf", "signer.key", "ca", more);
    desk.expect(5, &issue.replace(&mine, other));
    let file = String::from_utf8(desk.read("board.toml")).expect("text");
    assert!(file.contains(&mine));
    desk.write("other.toml", file.replace(&mine, other));
    line(
        &run(&desk, 0, ALL, &[]),
        "ok",
        "m4 (0): the signer may sign",
    );
    line(
        &run(&desk, 5, &ALL.replace("board.toml", "other.toml"), &[]),
        "fail",
        "the signer may not sign for core 0 of this platform",
    );
    let none = "--platform board.toml --root root.pem --core m9";
    line(
        &run(&desk, 2, none, &[]),
        "fail",
        "the platform has no core of this id or name",
    );
    line(
        &run(&desk, 7, "--platform absent.toml", &[]),
        "fail",
        "absent.toml: No such file",
    );
}

#[test]
fn tokens_and_their_pins_are_looked_after() {
    let token = Token::new();
    token.generate("EC:secp384r1", "k", "01");
    let doctor = |code: i32, key: &str, pin: &str| {
        let mut command = token.command(&format!("doctor --key {key}"));
        findings(command.env("COREWARDEN_PIN", pin), code)
    };
    // The key is well; only its certificate is missing.
    let out = doctor(2, "pkcs11:token=cw;object=k", PIN);
    line(&out, "ok", "libsofthsm2.so");
    line(&out, "ok", "token \"cw\" with serial");
    line(
        &out,
        "ok",
        "pkcs11:token=cw;object=k: signs with ecdsa-p384-sha384",
    );
    line(&out, "fail", "no certificate for the key");
    line(
        &doctor(6, "pkcs11:token=cw;object=k", "0000"),
        "fail",
        "the PIN is wrong",
    );
    let out = doctor(2, "pkcs11:token=cw;object=k", PIN);
    line(&out, "warn", "a wrong PIN was given before");
    let out = doctor(6, "pkcs11:token=none;object=k", PIN);
    line(&out, "fail", "no such token (there is token \"cw\"");
    let out = doctor(6, "pkcs11:object=k?module-path=/nowhere.so", PIN);
    assert_eq!(
        out.matches("/nowhere.so: no PKCS#11 module").count(),
        2,
        "{out}"
    );
}

#[test]
fn programs_read_the_findings_as_json() {
    let desk = desk();
    let out = run(&desk, 7, "--key absent.key --json", &[]);
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(json["schema"], "corewarden-sign/doctor");
    assert_eq!(json["version"], 1);
    let findings = json["findings"].as_array().expect("a list");
    let key = findings.iter().find(|finding| finding["about"] == "key");
    let key = key.expect("one about the key");
    assert_eq!(key["verdict"], "fail");
    assert!(
        key["text"]
            .as_str()
            .is_some_and(|text| text.contains("absent.key"))
    );
}

#[test]
fn the_second_key_is_tried_as_the_first_is() {
    let desk = desk();
    let board = include_str!("../../ta/platforms/qemu-virt-two-slots.toml");
    desk.write("two.toml", board);
    let file: platform::File = toml::from_str(board).expect("TOML");
    let class = platform::Platform::try_from(file).expect("a platform");
    let class = class.device_class().bytes();
    let chain = Chain::development_of([Algorithm::Ed25519; 3], &[0], &[class], 9);
    let chain = chain.expect("a chain");
    for (name, certificate) in [
        ("second-root.pem", &chain.root.0),
        ("second-ca.pem", &chain.product_ca.0),
        ("second.pem", &chain.leaf.0),
    ] {
        desk.write(name, certificate.to_pem().expect("text"));
    }
    let key = chain.leaf.1.to_pem(Some("abc")).expect("text");
    desk.write("second.key", key.as_bytes());
    mode(&desk, "second.key", 0o600);
    let base = "--key signer.key --root root.pem --platform two.toml --core m4 --at 2030-01-01 --second-root second-root.pem";
    let second = "--second-key second.key --second-cert second.pem:second-ca.pem";
    let pass = [("PASS", "abc"), ("COREWARDEN_SECOND_PIN", "987654")];
    let env = "--second-passphrase-env PASS";

    let out = run(&desk, 0, &format!("{base} {second} {env}"), &pass);
    line(&out, "ok", "second.key: signs with ed25519, key ");
    for about in ["second certs", "second roots", "second cores", "cores"] {
        let begin = format!("ok    {about} ");
        assert!(out.lines().any(|line| line.starts_with(&begin)), "{out}");
    }
    assert!(!out.contains("nothing reads it"), "{out}");

    // Each thing that is wrong with the second is said of the second.
    let out = run(&desk, 6, &format!("{base} {second}"), &pass);
    line(&out, "fail", "second key");
    line(&out, "ok", "signer.key: signs with");
    let foreign = "--second-key second.key --second-cert signer.pem:ca.pem";
    let out = run(&desk, 6, &format!("{base} {foreign} {env}"), &pass);
    line(&out, "fail", "second certs  the key (");
    let out = run(&desk, 5, &format!("{base} --second-key signer.key"), &[]);
    assert!(out.contains("slot 1 is signed by the key"), "{out}");
    let out = run(&desk, 0, base, &[]);
    line(
        &out,
        "warn",
        "asks for a second signature, and no --second-key",
    );
}
