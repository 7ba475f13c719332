//! The command line: exit codes, files left behind, what goes to which stream.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use firmware_signing::sample::Elf;
use tempfile::TempDir;

/// A folder of its own with an ELF, and the development keys at hand.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        fs::write(folder.path().join("fw.elf"), Elf::qemu_virt().build()).expect("written");
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_corewarden-sign"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .env_clear();
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("it runs")
    }

    /// Runs and insists on the exit code; gives both streams.
    fn expect(&self, code: i32, arguments: &[&str]) -> (String, String) {
        let output = self.run(arguments);
        let out = String::from_utf8(output.stdout).expect("text");
        let err = String::from_utf8(output.stderr).expect("text");
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}\n{out}{err}"
        );
        (out, err)
    }

    fn sign(&self, code: i32, more: &[&str]) -> (String, String) {
        let keys = keys();
        let of = |name: &str| keys.join(name).display().to_string();
        let platform = platform();
        let (key, leaf, ca) = (
            of("dev-signer.key.pem"),
            of("dev-signer.pem"),
            of("dev-product-ca.pem"),
        );
        let mut arguments = vec!["sign", "--core", "m4"];
        for (option, value) in [
            ("--platform", platform.as_str()),
            ("--key", &key),
            ("--cert", &leaf),
            ("--cert", &ca),
            ("--security-version", "3"),
        ] {
            // What a test says itself comes first.
            if !more.contains(&option) {
                arguments.extend([option, value]);
            }
        }
        arguments.extend(more);
        self.expect(code, &arguments)
    }
}

fn keys() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../keys")
}

fn root() -> String {
    keys().join("dev-root.pem").display().to_string()
}

fn platform() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../ta/platforms/qemu-virt.toml")
        .display()
        .to_string()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it exists").permissions().mode() & 0o777
}

#[test]
fn signing_and_verifying_an_image_ends_with_0() {
    let desk = Desk::new();
    let (out, err) = desk.sign(0, &["fw.elf", "--display-version", "1.0"]);
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
    let desk = Desk::new();
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
    let (_, err) = desk.sign(2, &["fw.elf", "--core", "m7"]);
    assert!(err.contains("qemu-virt.toml: the platform has no core of this id or name"));
    let (_, err) = desk.sign(2, &["fw.elf", "--at", "yesterday"]);
    assert!(err.contains("not a date"), "{err}");
    let (_, err) = desk.sign(2, &["fw.elf", "--build-id", "abc"]);
    assert!(err.contains("not hexadecimal"), "{err}");
}

#[test]
fn verify_without_a_root_says_integrity_only_and_ends_with_2() {
    let desk = Desk::new();
    desk.sign(0, &["fw.elf"]);
    let (out, err) = desk.expect(2, &["verify", "fw.cwfw"]);
    assert_eq!(out, "");
    assert!(err.contains("integrity only"), "{err}");
    assert_eq!(err.lines().count(), 1);
}

#[test]
fn malformed_input_ends_with_3() {
    let desk = Desk::new();
    let elf = fs::read(desk.path("fw.elf")).expect("there");
    fs::write(desk.path("cut.elf"), &elf[..elf.len() / 2]).expect("written");
    fs::write(desk.path("empty.elf"), b"").expect("written");
    fs::write(desk.path("text.elf"), b"not firmware").expect("written");
    for (name, text) in [
        ("cut.elf", "the ELF is cut off"),
        ("empty.elf", "an empty file"),
        ("text.elf", "not an ELF file"),
    ] {
        let (_, err) = desk.sign(3, &[name]);
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
    let (_, err) = desk.sign(3, &["fw.elf", "--platform", "bad.toml"]);
    assert!(
        err.contains("bad.toml: not a platform file (line 1:"),
        "{err}"
    );
    let (_, err) = desk.sign(3, &["fw.elf", "--cert", "fw.elf"]);
    assert!(err.contains("fw.elf: not a readable certificate"), "{err}");
}

#[test]
fn a_wrong_byte_ends_with_4() {
    let desk = Desk::new();
    desk.sign(0, &["fw.elf"]);
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
    let desk = Desk::new();
    let (_, err) = desk.sign(5, &["fw.elf", "--security-version", "1001"]);
    assert!(err.contains("security version 1001 is above 1000"), "{err}");
    assert!(!desk.path("fw.cwfw").exists());

    let mut elf = Elf::qemu_virt();
    elf.segments[1].address = 0x2000_0000;
    fs::write(desk.path("outside.elf"), elf.build()).expect("written");
    let (_, err) = desk.sign(5, &["outside.elf"]);
    assert!(
        err.contains("segment 1 (0x20000000..0x20000040) is in no private region of the core; the first is 0x21000000..0x21200000; move it there in the linker script"),
        "{err}"
    );

    desk.sign(0, &["fw.elf"]);
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
    let (_, err) = desk.sign(5, &["fw.elf", "--force", "--at", "2025-12-31"]);
    assert!(err.contains("valid only from"), "{err}");
}

#[test]
fn a_whole_pki_is_made_and_an_expired_leaf_does_not_sign() {
    let desk = Desk::new();
    for name in ["root", "ca", "leaf"] {
        desk.expect(0, &["keygen", "--no-password", "--out", name]);
    }
    let limits = [
        "--core",
        "0",
        "--device-class",
        "6f1d5e0c-6a0f-4b53-9c7d-2f0c0e5a7b11",
        "--max-version",
        "5",
    ];
    desk.expect(
        0,
        &[
            "pki",
            "init",
            "--key",
            "root",
            "--name",
            "CN=r",
            "--out",
            "root.pem",
            "--not-before",
            "2020-01-01",
        ],
    );
    let issue = |kind: &str, key: &str, issuer: &str, dates: &[&str]| {
        let (out, above) = (format!("{key}.pem"), format!("{issuer}.pem"));
        let mut arguments = vec![
            "pki",
            "issue",
            "--kind",
            kind,
            "--key",
            key,
            "--issuer",
            &above,
            "--issuer-key",
            issuer,
            "--name",
            "CN=x",
            "--out",
            &out,
            "--not-before",
            "2020-01-01",
            "--force",
        ];
        arguments.extend(limits);
        arguments.extend(dates);
        desk.expect(0, &arguments)
    };
    issue("product-ca", "ca", "root", &["--not-after", "never"]);
    let (out, _) = issue("leaf", "leaf", "ca", &["--days", "31"]);
    assert!(
        out.contains("2020-01-01T00:00:00Z to 2020-02-01T00:00:00Z"),
        "{out}"
    );
    assert!(out.contains("development, cores 0, device classes 6f1d5e0c-6a0f-4b53-9c7d-2f0c0e5a7b11, versions up to 5, generation 1"), "{out}");

    let own = [
        "fw.elf", "--key", "leaf", "--cert", "leaf.pem", "--cert", "ca.pem", "--root", "root.pem",
    ];
    let (_, err) = desk.sign(5, &own);
    assert!(
        err.contains("the certificate expired on 2020-02-01T00:00:00Z"),
        "{err}"
    );
    assert!(err.contains("pki issue"), "{err}");
    // Past 2050, where X.509 changes the form of dates.
    issue("leaf", "leaf", "ca", &["--not-after", "2055-06-07"]);
    desk.sign(0, &own);
    desk.expect(
        0,
        &[
            "verify",
            "fw.cwfw",
            "--root",
            "root.pem",
            "--at",
            "2054-01-01",
        ],
    );
    desk.expect(
        5,
        &[
            "verify",
            "fw.cwfw",
            "--root",
            "root.pem",
            "--at",
            "2056-01-01",
        ],
    );
    // The development root knows nothing of it.
    let (_, err) = desk.expect(5, &["verify", "fw.cwfw", "--root", &root()]);
    assert!(
        err.contains("signature slot 0: the chain leads to no pinned root; name the root"),
        "{err}"
    );

    let (out, _) = desk.expect(0, &["pki", "show", "leaf.pem"]);
    assert!(out.contains("leaf: CN=x"), "{out}");
    assert!(out.contains("cores 0, device classes 6f1d5e0c-"), "{out}");
    let release = ["pki", "init", "--key", "root", "--name", "CN=r", "--role"];
    let release = [&release[..], &["release", "--out", "release.pem"]].concat();
    let (out, _) = desk.expect(0, &release);
    let open = "cores as its product CAs say, device classes as its product CAs say, versions";
    assert!(out.contains(open), "{out}");
    // A leaf above its issuer's ceiling is not even issued.
    let (_, err) = desk.expect(
        5,
        &[
            "pki",
            "issue",
            "--kind",
            "leaf",
            "--key",
            "leaf",
            "--issuer",
            "ca.pem",
            "--issuer-key",
            "ca",
            "--name",
            "CN=x",
            "--out",
            "high.pem",
            "--core",
            "0",
            "--device-class",
            "6f1d5e0c-6a0f-4b53-9c7d-2f0c0e5a7b11",
            "--max-version",
            "6",
        ],
    );
    assert!(
        err.contains("the signer may sign up to version 6, its issuer only up to 5")
            || err.contains("version 6"),
        "{err}"
    );
    assert!(!desk.path("high.pem").exists());
}

#[test]
fn the_recipe_of_the_development_keys_makes_them_anew() {
    let desk = Desk::new();
    let readme = fs::read_to_string(keys().join("README.md")).expect("there");
    let recipe = readme.split("```bash\n").nth(1).expect("a block");
    let recipe = recipe.split("```").next().expect("an end");
    let script = format!(
        "set -e; corewarden-sign() {{ {} \"$@\"; }}\n{recipe}",
        env!("CARGO_BIN_EXE_corewarden-sign")
    );
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(desk.folder.path())
        .output()
        .expect("bash runs");
    assert!(output.status.success(), "{output:?}");

    let fields = |folder: &Path, name: &str| {
        let file = folder.join(name).display().to_string();
        let (out, _) = desk.expect(0, &["pki", "show", "--json", &file]);
        let mut report: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        let certificate = report["certificates"][0].as_object_mut().expect("one");
        for random in ["file", "serial", "key_id"] {
            certificate.remove(random);
        }
        report
    };
    for name in [
        "dev-root.pem",
        "dev-root.der",
        "dev-root-p384.pem",
        "dev-root-ed25519.pem",
        "dev-product-ca.pem",
        "dev-signer.pem",
    ] {
        assert_eq!(
            fields(desk.folder.path(), name),
            fields(&keys(), name),
            "{name}"
        );
    }
}

#[test]
fn keygen_makes_keys_of_each_algorithm() {
    let desk = Desk::new();
    for (given, name) in [
        ("p256", "ecdsa-p256-sha256"),
        ("ecdsa-p256-sha256", "ecdsa-p256-sha256"),
        ("p384", "ecdsa-p384-sha384"),
        ("ecdsa-p384-sha384", "ecdsa-p384-sha384"),
        ("ed25519", "ed25519"),
    ] {
        let out = format!("{given}.key");
        let (text, _) = desk.expect(
            0,
            &[
                "keygen",
                "--no-password",
                "--algorithm",
                given,
                "--out",
                &out,
            ],
        );
        assert!(text.contains(&format!("{name} key")), "{text}");
    }
    desk.expect(2, &["keygen", "--algorithm", "rsa", "--out", "rsa.key"]);
    assert!(!desk.path("rsa.key").exists());
}

#[test]
fn keys_are_private_encrypted_and_never_overwritten() {
    let desk = Desk::new();
    desk.expect(
        0,
        &[
            "keygen",
            "--no-password",
            "--out",
            "open",
            "--public-out",
            "open.pub",
        ],
    );
    assert_eq!(mode(&desk.path("open")), 0o600);
    let text = fs::read_to_string(desk.path("open")).expect("there");
    assert!(text.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    let public = fs::read_to_string(desk.path("open.pub")).expect("there");
    assert!(public.starts_with("-----BEGIN PUBLIC KEY-----\n"));

    for force in [
        &["keygen", "--no-password", "--out", "open"][..],
        &["keygen", "--no-password", "--force", "--out", "open"],
    ] {
        let (_, err) = desk.expect(8, force);
        assert!(err.contains("keys are never overwritten"), "{err}");
    }
    assert_eq!(fs::read_to_string(desk.path("open")).expect("there"), text);

    // No terminal, nothing said: nothing is asked and nothing is written.
    let (_, err) = desk.expect(6, &["keygen", "--out", "shut"]);
    assert!(
        err.contains("a passphrase is needed, and there is no terminal"),
        "{err}"
    );
    assert!(!desk.path("shut").exists());

    fs::write(desk.path("secret"), "tr0ub4dor\n").expect("written");
    desk.expect(
        0,
        &["keygen", "--out", "shut", "--passphrase-file", "secret"],
    );
    assert_eq!(mode(&desk.path("shut")), 0o600);
    let text = fs::read_to_string(desk.path("shut")).expect("there");
    assert!(text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));

    let init = [
        "pki", "init", "--key", "shut", "--name", "CN=r", "--out", "root.pem", "--force",
    ];
    desk.expect(6, &init);
    let with = |more: &[&'static str]| [&init[..], more].concat();
    desk.expect(0, &with(&["--passphrase-file", "secret"]));
    let environment = with(&["--passphrase-env", "SECRET"]);
    let output = desk
        .command(&environment)
        .env("SECRET", "tr0ub4dor")
        .output()
        .expect("runs");
    assert_eq!(output.status.code(), Some(0));
    let output = desk
        .command(&environment)
        .env("SECRET", "wrong")
        .output()
        .expect("runs");
    assert_eq!(output.status.code(), Some(6));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("the passphrase does not open the key")
    );
    let (_, err) = desk.expect(6, &environment);
    assert!(err.contains("SECRET is not set"), "{err}");
    let secret = fs::File::open(desk.path("secret")).expect("there");
    let output = desk
        .command(&with(&["--passphrase-fd", "0"]))
        .stdin(secret)
        .output();
    assert_eq!(output.expect("runs").status.code(), Some(0));
}

#[test]
fn the_wrong_key_ends_with_6() {
    let desk = Desk::new();
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
    let (_, err) = desk.sign(6, &["fw.elf", "--key", "other"]);
    assert!(err.contains("is not the certificate's"), "{err}");
    let (_, err) = desk.sign(6, &["fw.elf", "--key", "other.pub"]);
    assert!(err.contains("this is the public half"), "{err}");
    let (_, err) = desk.sign(6, &["fw.elf", "--key", "fw.elf"]);
    assert!(err.contains("fw.elf: not a readable private key"), "{err}");
}

#[test]
fn the_file_system_ends_with_7() {
    let desk = Desk::new();
    let (_, err) = desk.sign(7, &["missing.elf"]);
    assert!(
        err.starts_with("corewarden-sign: missing.elf: No such file"),
        "{err}"
    );
    desk.sign(7, &["fw.elf", "--out", "no/such/folder/fw.cwfw"]);
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
    let desk = Desk::new();
    desk.sign(0, &["fw.elf"]);
    let before = fs::read(desk.path("fw.cwfw")).expect("there");
    let (_, err) = desk.sign(8, &["fw.elf", "--security-version", "4"]);
    assert!(
        err.contains("fw.cwfw: the output exists; choose another name, or say --force"),
        "{err}"
    );
    assert_eq!(fs::read(desk.path("fw.cwfw")).expect("there"), before);
    desk.sign(0, &["fw.elf", "--security-version", "4", "--force"]);
    assert_ne!(fs::read(desk.path("fw.cwfw")).expect("there"), before);

    let (_, err) = desk.sign(8, &["fw.cwfw", "--out", "twice.cwfw"]);
    assert!(err.contains("already signed"), "{err}");
    let (_, err) = desk.sign(8, &["fw.elf", "--out", "./fw.elf", "--force"]);
    assert!(err.contains("the output is the input"), "{err}");
}

#[test]
fn no_temporary_file_is_left() {
    let desk = Desk::new();
    desk.sign(0, &["fw.elf"]);
    desk.sign(8, &["fw.elf"]);
    desk.sign(
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
    let desk = Desk::new();
    desk.sign(0, &["fw.elf", "--out", "one"]);
    let other = Desk::new();
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
    let desk = Desk::new();
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
    let (out, err) = desk.sign(0, &["--json", "fw.elf"]);
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
    let (out, err) = desk.sign(8, &["--json", "fw.elf"]);
    assert_eq!(json(&out)["schema"], "corewarden-sign/failure");
    assert_eq!(json(&out)["code"], 8);
    assert_eq!(err.lines().count(), 1);
}

#[test]
fn inspect_says_what_a_file_is_and_never_that_it_is_trusted() {
    let desk = Desk::new();
    let (out, _) = desk.expect(0, &["inspect", "fw.elf"]);
    assert!(
        out.starts_with(
            "fw.elf: an ELF, but not a firmware bundle (or stripped or cut off after signing?)"
        ),
        "{out}"
    );
    desk.sign(0, &["fw.elf"]);
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
fn a_pipe_that_closes_early_is_no_panic() {
    let desk = Desk::new();
    let script = format!(
        "{} completions bash | true; exit ${{PIPESTATUS[0]}}",
        env!("CARGO_BIN_EXE_corewarden-sign")
    );
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(desk.folder.path())
        .output()
        .expect("bash runs");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panic"));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn help_documents_the_exit_codes_and_completions_come_for_every_shell() {
    let desk = Desk::new();
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

#[test]
fn a_path_that_is_not_text_works() {
    use std::os::unix::ffi::OsStrExt;
    let desk = Desk::new();
    let name = std::ffi::OsStr::from_bytes(b"fw\xff.elf");
    fs::rename(desk.path("fw.elf"), desk.folder.path().join(name)).expect("renamed");
    let output = desk
        .command(&["inspect"])
        .arg(name)
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_floor_without_a_device_to_judge_for_is_wrong_usage() {
    let desk = Desk::new();
    desk.sign(0, &["fw.elf"]);
    let (out, err) = desk.expect(
        2,
        &["verify", "fw.cwfw", "--root", &root(), "--floor", "99"],
    );
    assert!(out.is_empty() && err.contains("--platform"), "{out}{err}");
}

#[test]
fn a_missing_folder_is_named() {
    let desk = Desk::new();
    let (_, err) = desk.sign(7, &["fw.elf", "--out", "nowhere/fw.cwfw"]);
    assert!(
        err.starts_with("corewarden-sign: nowhere: No such file or directory"),
        "{err}"
    );
}
