//! Keys on tokens: SoftHSM as the token, OpenSC as the tool that fills it, OpenSSL as the judge. A private token folder for each test.

#[path = "support/openssl.rs"]
mod openssl;
mod support;

use std::fs;
use std::process::{Command, Output};

use openssl::good;
use support::{Desk, text};

/// SoftHSM's module as Debian installs it.
const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const PIN: &str = "4711";

/// A token with its own folder.
struct Token {
    desk: Desk,
}

impl Token {
    fn new() -> Self {
        let desk = Desk::new();
        fs::create_dir(desk.path("tokens")).expect("a folder");
        let folder = desk.path("tokens").display().to_string();
        fs::write(
            desk.path("softhsm2.conf"),
            format!(
                "directories.tokendir = {folder}\nobjectstore.backend = file\nlog.level = ERROR\n"
            ),
        )
        .expect("written");
        let this = Self { desk };
        this.add_token("cw");
        this
    }

    fn add_token(&self, label: &str) {
        self.tool(
            "softhsm2-util --init-token --free --so-pin 87654321 --pin 4711 --label",
            &[label],
        );
    }

    /// A tool of Debian's: softhsm2-util or pkcs11-tool.
    fn tool(&self, words: &str, more: &[&str]) -> String {
        let mut words = words.split(' ');
        let program = words.next().expect("a program");
        let output = Command::new(program)
            .args(words)
            .args(more)
            .current_dir(self.desk.folder())
            .env("SOFTHSM2_CONF", self.desk.path("softhsm2.conf"))
            .output()
            .unwrap_or_else(|error| {
                panic!("{program}: {error}; `cargo xtask check` installs softhsm2 and opensc")
            });
        assert!(
            output.status.success(),
            "{program}: {}{}",
            text(&output.stdout),
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    fn pkcs11_tool(&self, words: &str) -> String {
        let front = format!("pkcs11-tool --module {MODULE} --token-label cw --login --pin {PIN}");
        let words: Vec<&str> = words.split(' ').collect();
        self.tool(&front, &words)
    }

    fn generate(&self, kind: &str, label: &str, id: &str) {
        self.pkcs11_tool(&format!(
            "--keypairgen --key-type {kind} --label {label} --id {id}"
        ));
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.desk.command(arguments);
        command
            .env("SOFTHSM2_CONF", self.desk.path("softhsm2.conf"))
            .env("COREWARDEN_PKCS11_MODULE", MODULE)
            .env("COREWARDEN_PIN", PIN);
        command
    }

    fn expect(&self, code: i32, arguments: &[&str]) -> String {
        expect(self.command(arguments).output().expect("it runs"), code)
    }

    /// A certificate request: the smallest thing that a key of any algorithm signs.
    fn request(&self, code: i32, key: &str) -> String {
        self.expect(
            code,
            &[
                "csr",
                "--key",
                key,
                "--name",
                "CN=signer,O=we",
                "--out",
                "req.pem",
                "--force",
            ],
        )
    }

    /// The certificate of a self-signed root: what shows that a key signs.
    fn root(&self, code: i32, key: &str) -> String {
        let _ = fs::remove_file(self.desk.path("root.pem"));
        self.expect(
            code,
            &[
                "pki",
                "init",
                "--key",
                key,
                "--name",
                "CN=token root",
                "--out",
                "root.pem",
            ],
        )
    }
}

fn expect(output: Output, code: i32) -> String {
    let all = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{all}");
    all
}

#[test]
fn keys_of_each_algorithm_on_one_token_sign_and_openssl_verifies() {
    let token = Token::new();
    // All on one token: an Ed25519 key must not hide the others.
    for (at, (kind, of)) in [
        ("EC:edwards25519", "ED25519"),
        ("EC:prime256v1", "prime256v1"),
        ("EC:secp384r1", "secp384r1"),
    ]
    .into_iter()
    .enumerate()
    {
        token.generate(kind, &format!("key-{at}"), &format!("0{at}"));
        token.request(0, &format!("pkcs11:token=cw;object=key-{at}"));
        let all = good(
            token.desk.folder(),
            "req -in req.pem -verify -noout -text -nameopt RFC2253",
        );
        assert!(all.contains(of) && all.contains("CN=signer"), "{all}");
        token.root(0, &format!("pkcs11:token=cw;object=key-{at}"));
        good(
            token.desk.folder(),
            "verify -check_ss_sig -CAfile root.pem root.pem",
        );
    }
    // By id alone, and as another tool would write the URI.
    token.request(0, "pkcs11:token=cw;id=%01");
    token.request(
        0,
        "pkcs11:model=SoftHSM%20v2;manufacturer=SoftHSM%20project;token=cw;id=%02;object=key-2;type=private",
    );
}

#[test]
fn a_bundle_is_signed_by_a_token_with_the_certificates_it_keeps() {
    let token = Token::new();
    let desk = &token.desk;
    token.generate("EC:prime256v1", "signer", "0a");
    token.generate("EC:prime256v1", "ca", "0b");
    token.expect(
        0,
        &[
            "keygen",
            "--no-password",
            "--out",
            "root.key",
            "--public-out",
            "root.pub",
        ],
    );
    token.root(0, "root.key");
    let (platform, class) = (desk.platform(), desk.device_class());
    let issue = |kind: &str, object: &str, issuer: &str, issuer_key: &str, out: &str| {
        let key = format!("pkcs11:token=cw;object={object}");
        let request = format!("{object}.csr");
        token.expect(
            0,
            &[
                "csr",
                "--key",
                &key,
                "--name",
                "CN=whoever",
                "--out",
                &request,
            ],
        );
        token.expect(
            0,
            &[
                "pki",
                "issue",
                "--kind",
                kind,
                "--key",
                &request,
                "--issuer",
                issuer,
                "--issuer-key",
                issuer_key,
                "--name",
                &format!("CN={object}"),
                "--core",
                "0",
                "--device-class",
                &class,
                "--max-version",
                "9",
                "--out",
                out,
            ],
        );
    };
    issue("product-ca", "ca", "root.pem", "root.key", "ca.pem");
    issue(
        "leaf",
        "signer",
        "ca.pem",
        "pkcs11:token=cw;object=ca",
        "leaf.pem",
    );
    for (name, id) in [("leaf", "0a"), ("ca", "0b")] {
        good(
            desk.folder(),
            &format!("x509 -in {name}.pem -outform DER -out {name}.der"),
        );
        token.pkcs11_tool(&format!(
            "--write-object {name}.der --type cert --label {name} --id {id}"
        ));
    }
    let sign = [
        "sign",
        "fw.elf",
        "--platform",
        &platform,
        "--core",
        "m4",
        "--security-version",
        "3",
        "--root",
        "root.pem",
        "--key",
        "pkcs11:token=cw;object=signer",
        "--force",
    ];
    // No --cert: both certificates are on the token.
    token.expect(0, &sign);
    let all = token.expect(
        0,
        &[
            "verify",
            "fw.cwfw",
            "--root",
            "root.pem",
            "--platform",
            &platform,
            "--core",
            "m4",
        ],
    );
    assert!(
        all.contains("accepts it") && all.contains("CN=signer"),
        "{all}"
    );
    // The digest does not depend on the signature, which differs each time.
    let digest = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("digest:"));
        line.expect("a digest").to_owned()
    };
    let (first, one) = (token.expect(0, &sign), fs::read(desk.path("fw.cwfw")));
    let (second, other) = (token.expect(0, &sign), fs::read(desk.path("fw.cwfw")));
    assert_eq!(digest(&first), digest(&second));
    assert_ne!(one.expect("there"), other.expect("there"));
    // The chain that came from the token, judged by OpenSSL.
    good(
        desk.folder(),
        "verify -x509_strict -ignore_critical -CAfile root.pem -untrusted ca.pem leaf.pem",
    );
    // Another key of the same token is told from the certificate's, with both fingerprints.
    let wrong = token.expect(
        6,
        &[
            "sign",
            "fw.elf",
            "--platform",
            &platform,
            "--core",
            "m4",
            "--security-version",
            "3",
            "--root",
            "root.pem",
            "--key",
            "pkcs11:token=cw;object=ca",
            "--cert",
            "leaf.pem",
            "--force",
        ],
    );
    let fingerprint = |name: &str| {
        good(
            desk.folder(),
            &format!("x509 -in {name}.pem -noout -pubkey -out {name}.spki"),
        );
        good(
            desk.folder(),
            &format!("pkey -pubin -in {name}.spki -outform DER -out {name}.spki.der"),
        );
        let hash = good(desk.folder(), &format!("dgst -sha256 {name}.spki.der"));
        hash.trim().rsplit(' ').next().expect("a hash").to_owned()
    };
    assert!(
        wrong.contains(&fingerprint("ca")) && wrong.contains(&fingerprint("leaf")),
        "{wrong}"
    );
}

#[test]
fn the_pin_comes_from_a_variable_a_file_a_descriptor_or_the_uri_names_a_file() {
    let token = Token::new();
    token.generate("EC:prime256v1", "k", "01");
    fs::write(token.desk.path("pin"), "4711\n").expect("written");
    let key = "pkcs11:token=cw;object=k";
    let named = format!("{key}?pin-source=file:{}", token.desk.path("pin").display());
    let run = |key: &str, more: &[&str], variable: Option<(&str, &str)>, redirect: bool| {
        let _ = fs::remove_file(token.desk.path("root.pem"));
        let mut arguments = vec![
            "pki", "init", "--key", key, "--name", "CN=r", "--out", "root.pem",
        ];
        arguments.extend(more);
        let mut command = token.command(&arguments);
        command.env_remove("COREWARDEN_PIN").envs(variable);
        if redirect {
            command.stdin(fs::File::open(token.desk.path("pin")).expect("there"));
        }
        command.output().expect("it runs")
    };
    expect(
        run(key, &["--pin-env", "MY_PIN"], Some(("MY_PIN", PIN)), false),
        0,
    );
    expect(run(key, &[], Some(("COREWARDEN_PIN", PIN)), false), 0);
    expect(run(key, &["--pin-file", "pin"], None, false), 0);
    expect(run(key, &["--pin-fd", "0"], None, true), 0);
    expect(run(&named, &[], None, false), 0);
    // The command line is nearer than the URI, and the URI than the environment.
    expect(run(&named, &[], Some(("COREWARDEN_PIN", "0000")), false), 0);
    let wrong = run(
        &named,
        &["--pin-env", "MY_PIN"],
        Some(("MY_PIN", "0000")),
        false,
    );
    assert!(expect(wrong, 6).contains("the PIN is wrong"));
    // No terminal, no PIN.
    let all = expect(run(key, &[], None, false), 6);
    assert!(all.contains("a PIN is needed"), "{all}");
    let all = expect(run(key, &["--pin-env", "MY_PIN"], None, false), 6);
    assert!(all.contains("MY_PIN is not set"), "{all}");
}

#[test]
fn a_pin_in_the_uri_is_refused_and_never_repeated() {
    let token = Token::new();
    for key in [
        "pkcs11:token=cw;object=k?pin-value=4711",
        "pkcs11:pin-value=4711",
    ] {
        let all = token.root(2, key);
        assert!(
            all.contains("the URI holds a PIN") && all.contains("--pin-file"),
            "{all}"
        );
        assert!(!all.contains("4711"), "{all}");
    }
}

#[test]
fn a_wrong_pin_is_called_wrong_and_the_next_try_is_warned_about() {
    let token = Token::new();
    token.generate("EC:prime256v1", "k", "01");
    let run = |pin: &str| {
        let _ = fs::remove_file(token.desk.path("root.pem"));
        token
            .command(&[
                "pki",
                "init",
                "--key",
                "pkcs11:token=cw;object=k",
                "--name",
                "CN=r",
                "--out",
                "root.pem",
            ])
            .env("COREWARDEN_PIN", pin)
            .output()
            .expect("it runs")
    };
    let first = expect(run("0000"), 6);
    assert!(
        first.contains("pkcs11:token=cw;object=k: the PIN is wrong"),
        "{first}"
    );
    assert!(
        !first.contains("warning") && !first.contains("0000"),
        "{first}"
    );
    assert!(!token.desk.path("root.pem").exists());
    let second = expect(run("0000"), 6);
    assert!(second.contains("warning: token \"cw\""), "{second}");
    assert!(second.contains("a wrong PIN was given before"), "{second}");
    assert!(second.contains("the PIN is wrong"), "{second}");
    // The right one still does, and clears it.
    assert!(expect(run(PIN), 0).contains("warning"));
    assert!(!expect(run(PIN), 0).contains("warning"));
}

#[test]
fn two_keys_of_one_label_are_refused_with_their_ids() {
    let token = Token::new();
    token.generate("EC:prime256v1", "twin", "0a");
    token.generate("EC:secp384r1", "twin", "0b0c");
    let all = token.root(6, "pkcs11:token=cw;object=twin");
    assert!(all.contains("the token has 2 keys of this name"), "{all}");
    assert!(
        all.contains("object=twin;id=%0a, object=twin;id=%0b%0c"),
        "{all}"
    );
    // Either is found by what the message says.
    token.request(0, "pkcs11:token=cw;object=twin;id=%0a");
    token.request(0, "pkcs11:token=cw;object=twin;id=%0b%0c");
}

#[test]
fn a_key_that_is_absent_or_of_another_kind_is_named() {
    let token = Token::new();
    let all = token.root(6, "pkcs11:token=cw;object=k");
    assert!(
        all.contains("the token has no such key (the token has no private key)"),
        "{all}"
    );
    token.generate("EC:prime256v1", "other", "01");
    let all = token.root(6, "pkcs11:token=cw;object=k");
    assert!(
        all.contains("the token has no such key (it has object=other;id=%01)"),
        "{all}"
    );
    token.generate("rsa:2048", "rsa", "02");
    token.generate("EC:secp256k1", "k1", "03");
    for label in ["rsa", "k1"] {
        let all = token.root(6, &format!("pkcs11:token=cw;object={label}"));
        assert!(all.contains("not a P-256, P-384 or Ed25519 key"), "{all}");
    }
}

#[test]
fn a_token_that_is_absent_or_not_alone_is_named() {
    let token = Token::new();
    token.generate("EC:prime256v1", "k", "01");
    let all = token.root(6, "pkcs11:token=other;object=k");
    assert!(
        all.contains("no such token (there is token \"cw\" with serial "),
        "{all}"
    );
    // The name may be left out where there is only one.
    token.root(0, "pkcs11:object=k");
    token.add_token("second");
    let all = token.root(6, "pkcs11:object=k");
    assert!(all.contains("2 tokens fit (token "), "{all}");
    assert!(
        all.contains("\"cw\"") && all.contains("\"second\""),
        "{all}"
    );
    // Its serial tells it from the other one.
    let line = all.split("\"cw\" with serial ").nth(1).expect("a serial");
    let serial: String = line.chars().take_while(char::is_ascii_hexdigit).collect();
    token.root(0, &format!("pkcs11:serial={serial};object=k"));
}

#[test]
fn a_module_that_is_absent_or_none_is_named() {
    let token = Token::new();
    token.generate("EC:prime256v1", "k", "01");
    let all = token.root(6, "pkcs11:token=cw;object=k?module-path=/nowhere/m.so");
    assert!(all.contains("/nowhere/m.so: no PKCS#11 module"), "{all}");
    assert!(all.contains("COREWARDEN_PKCS11_MODULE"), "{all}");
    let all = token.root(6, "pkcs11:token=cw;object=k?module-name=nosuchmodule");
    assert!(
        all.contains("no nosuchmodule.so or libnosuchmodule.so"),
        "{all}"
    );
    // A library, but none of PKCS#11; and no library at all.
    fs::write(token.desk.path("text.so"), "text").expect("written");
    let text = token.desk.path("text.so").display().to_string();
    let all = token.root(6, &format!("pkcs11:object=k?module-path={text}"));
    assert!(
        all.contains("text.so: not a usable PKCS#11 module"),
        "{all}"
    );
    // Named by the URI or found in its usual place.
    token.root(0, "pkcs11:token=cw;object=k?module-name=softhsm2");
    token.root(0, &format!("pkcs11:token=cw;object=k?module-path={MODULE}"));
    let _ = fs::remove_file(token.desk.path("root.pem"));
    let usual = token
        .command(&[
            "pki",
            "init",
            "--key",
            "pkcs11:token=cw;object=k",
            "--name",
            "CN=r",
            "--out",
            "root.pem",
        ])
        .env_remove("COREWARDEN_PKCS11_MODULE")
        .output()
        .expect("it runs");
    expect(usual, 0);
}
