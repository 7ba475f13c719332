//! `doctor`: each thing that is well, doubtful or wrong is said in a line of its own.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use support::{Desk, text};

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

/// Runs it with more arguments and settings; gives standard output.
fn run(desk: &Desk, code: i32, arguments: &[&str], settings: &[(&str, &str)]) -> String {
    let mut all = vec!["doctor"];
    all.extend(arguments);
    let output = desk
        .command(&all)
        .envs(settings.iter().copied())
        .output()
        .expect("it runs");
    let out = text(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(code),
        "{out}{}",
        text(&output.stderr)
    );
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

const AT: [&str; 2] = ["--at", "2030-01-01"];

#[test]
fn what_fits_together_is_said_to_be_well() {
    let desk = desk();
    let platform = desk.platform();
    let arguments = [
        "--key",
        "signer.key",
        "--root",
        "root.pem",
        "--platform",
        &platform,
        "--core",
        "m4",
    ];
    let out = run(&desk, 0, &[&arguments[..], &AT].concat(), &[]);
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
    let out = run(&desk, 0, &[], &[("COREWARDEN_PIN", "987654")]);
    line(&out, "ok", "taken from the environment: COREWARDEN_PIN");
    line(&out, "ok", "terminal");
    assert!(!out.contains("987654"), "{out}");
    let out = run(&desk, 0, &[], &[("COREWARDEN_KYE", "signer.key")]);
    line(&out, "warn", "COREWARDEN_KYE is set, but nothing reads it");
    // What stands in the environment is tried as if it were given.
    let out = run(&desk, 0, &AT, &[("COREWARDEN_KEY", "signer.key")]);
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
        &[
            "--key",
            "absent.key",
            "--cert",
            "signer.pem",
            "--cert",
            "ca.pem",
            "--root",
            "root.pem",
            "--at",
            "2030-01-01",
        ],
        &[],
    );
    line(&out, "fail", "absent.key: No such file");
    line(&out, "ok", " signed CN=Corewarden dev product CA");
    let made = desk
        .command(&["keygen", "--out", "shut.key", "--passphrase-env", "PASS"])
        .env("PASS", "right")
        .status();
    assert!(made.expect("it runs").success());
    let shut = ["--key", "shut.key", "--passphrase-env", "PASS"];
    let out = run(&desk, 6, &shut, &[("PASS", "wrong")]);
    line(
        &out,
        "fail",
        "shut.key: the passphrase does not open the key",
    );
    // Opened, but nothing certifies it.
    let out = run(&desk, 2, &shut, &[("PASS", "right")]);
    line(&out, "ok", "shut.key: signs with");
    line(&out, "fail", "no certificate for the key");
    let out = run(&desk, 2, &["--key", "pkcs11:token=t?pin-value=4711"], &[]);
    line(&out, "fail", "the URI holds a PIN");
    assert!(!out.contains("4711"), "{out}");
}

#[test]
fn a_key_file_that_others_can_read_is_warned_about() {
    let desk = desk();
    let arguments = ["--key", "signer.key", AT[0], AT[1]];
    assert!(!run(&desk, 0, &arguments, &[]).contains("chmod 600"));
    mode(&desk, "signer.key", 0o644);
    let out = run(&desk, 0, &arguments, &[]);
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
    let out = run(&desk, 6, &["--key", "ca.key", "--cert", "signer.pem"], &[]);
    line(&out, "fail", "is not the certificate's");
    // Another root: here the product CA's own certificate.
    let out = run(
        &desk,
        5,
        &["--key", "signer.key", "--root", "ca.pem", AT[0], AT[1]],
        &[],
    );
    line(
        &out,
        "fail",
        "CN=Corewarden dev product CA,O=Corewarden dev (public - never for products): the chain leads to no pinned root",
    );
    // Dates: ended, and about to end.
    let made = desk
        .command(&[
            "pki",
            "issue",
            "--kind",
            "leaf",
            "--key",
            "signer.key",
            "--issuer",
            "ca.pem",
            "--issuer-key",
            "ca.key",
            "--name",
            "CN=short",
            "--core",
            "0",
            "--device-class",
            &desk.device_class(),
            "--max-version",
            "9",
            "--not-before",
            "2030-01-01",
            "--not-after",
            "2030-03-01",
            "--out",
            "signer.pem",
            "--force",
        ])
        .output()
        .expect("it runs");
    assert!(made.status.success(), "{}", text(&made.stderr));
    let at = |code: i32, date: &str| run(&desk, code, &["--key", "signer.key", "--at", date], &[]);
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
    let platform = desk.platform();
    let made = desk
        .command(&[
            "pki",
            "issue",
            "--kind",
            "leaf",
            "--key",
            "signer.key",
            "--issuer",
            "ca.pem",
            "--issuer-key",
            "ca.key",
            "--name",
            "CN=other",
            "--core",
            "0",
            "--device-class",
            "00000000-0000-4000-8000-000000000000",
            "--max-version",
            "9",
            "--out",
            "signer.pem",
            "--force",
        ])
        .output()
        .expect("it runs");
    // The product CA does not let its signers leave its own classes; another platform file shows the same.
    assert_eq!(made.status.code(), Some(5));
    let file = fs::read_to_string(&platform).expect("there");
    let other = file.replace(&desk.device_class(), "00000000-0000-4000-8000-000000000000");
    assert_ne!(file, other);
    fs::write(desk.path("other.toml"), other).expect("written");
    let arguments = [
        "--key",
        "signer.key",
        "--root",
        "root.pem",
        AT[0],
        AT[1],
        "--core",
        "m4",
    ];
    let with = |code: i32, platform: &str| {
        run(
            &desk,
            code,
            &[&arguments[..], &["--platform", platform]].concat(),
            &[],
        )
    };
    line(&with(0, &platform), "ok", "m4 (0): the signer may sign");
    line(
        &with(5, "other.toml"),
        "fail",
        "the signer may not sign for core 0 of this platform",
    );
    let none = [
        "--platform",
        &platform,
        "--root",
        "root.pem",
        "--core",
        "m9",
    ];
    line(
        &run(&desk, 2, &none, &[]),
        "fail",
        "the platform has no core of this id or name",
    );
    line(
        &run(&desk, 7, &["--platform", "absent.toml"], &[]),
        "fail",
        "absent.toml: No such file",
    );
}

#[test]
fn tokens_and_their_pins_are_looked_after() {
    let desk = desk();
    let config = desk.path("softhsm2.conf").display().to_string();
    fs::create_dir(desk.path("tokens")).expect("a folder");
    fs::write(
        &config,
        format!(
            "directories.tokendir = {}\nobjectstore.backend = file\n",
            desk.folder().join("tokens").display()
        ),
    )
    .expect("written");
    let tool = |words: &str| {
        let mut words = words.split(' ');
        let status = Command::new(words.next().expect("a program"))
            .args(words)
            .env("SOFTHSM2_CONF", &config)
            .output()
            .expect("softhsm2 and opensc are installed, as `cargo xtask check` does")
            .status;
        assert!(status.success());
    };
    tool("softhsm2-util --init-token --free --so-pin 87654321 --pin 4711 --label cw");
    let module = "/usr/lib/softhsm/libsofthsm2.so";
    tool(&format!(
        "pkcs11-tool --module {module} --token-label cw --login --pin 4711 --keypairgen --key-type EC:secp384r1 --label k --id 01"
    ));
    let doctor = |code: i32, key: &str, pin: &str| {
        let settings = [
            ("SOFTHSM2_CONF", config.as_str()),
            ("COREWARDEN_PKCS11_MODULE", module),
            ("COREWARDEN_PIN", pin),
        ];
        run(&desk, code, &["--key", key], &settings)
    };
    // The key is well; only its certificate is missing.
    let out = doctor(2, "pkcs11:token=cw;object=k", "4711");
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
    let out = doctor(2, "pkcs11:token=cw;object=k", "4711");
    line(&out, "warn", "a wrong PIN was given before");
    let out = doctor(6, "pkcs11:token=none;object=k", "4711");
    line(&out, "fail", "no such token (there is token \"cw\"");
    let out = doctor(6, "pkcs11:object=k?module-path=/nowhere.so", "4711");
    assert_eq!(
        out.matches("/nowhere.so: no PKCS#11 module").count(),
        2,
        "{out}"
    );
}

#[test]
fn programs_read_the_findings_as_json() {
    let desk = desk();
    let out = run(&desk, 7, &["--key", "absent.key", "--json"], &[]);
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
