//! Keys and certificates as the command line makes them.

mod desk;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use desk::{Desk, keys, root};

#[test]
fn a_whole_pki_is_made_and_an_expired_leaf_does_not_sign() {
    let desk = Desk::bare();
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
    let (_, err) = desk.sign_as_developer(5, &own);
    assert!(
        err.contains("the certificate expired on 2020-02-01T00:00:00Z"),
        "{err}"
    );
    assert!(err.contains("pki issue"), "{err}");
    // Past 2050, where X.509 changes the form of dates.
    issue("leaf", "leaf", "ca", &["--not-after", "2055-06-07"]);
    desk.sign_as_developer(0, &own);
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
    let desk = Desk::bare();
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
    let desk = Desk::bare();
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
    let desk = Desk::bare();
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

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it exists").permissions().mode() & 0o777
}
