//! What does not sign a release, and the certificates that are found beside a key file.

#[path = "support/openssl.rs"]
mod openssl;
mod support;

use std::fs;
use std::path::Path;

use openssl::good;
use support::{Desk, text};

/// RFC 9500, 2.3: a key that everybody may use for tests.
const RFC_9500_P256: &str = "-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIObLW92AqkWunJXowVR2Z5/+yVPBaFHnEedDk5WJxk/BoAoGCCqGSM49
AwEHoUQDQgAEQiVI+I+3gv+17KN0RFLHKh5Vj71vc75eSOkyMsxFxbFsTNEMTLjV
uKFxOelIgsiZJXKZNCX0FBmrfpCkKklCcg==
-----END EC PRIVATE KEY-----
";

fn expect(desk: &Desk, code: i32, arguments: &[&str]) -> String {
    let output = desk
        .command(arguments)
        .env("PASS", "a passphrase")
        .output()
        .expect("it runs");
    let all = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{all}");
    all
}

/// A root, a product CA, and a leaf for the key in `leaf.key`; all keys but that one are made here.
fn chain(desk: &Desk, role: &str) {
    for name in ["root", "ca"] {
        expect(
            desk,
            0,
            &["keygen", "--no-password", "--out", &format!("{name}.key")],
        );
    }
    expect(
        desk,
        0,
        &[
            "pki", "init", "--key", "root.key", "--name", "CN=root", "--role", role, "--out",
            "root.pem",
        ],
    );
    issue(desk, role, "product-ca", "ca", "root");
    issue(desk, role, "leaf", "leaf", "ca");
}

fn issue(desk: &Desk, role: &str, kind: &str, name: &str, issuer: &str) {
    let class = desk.device_class();
    let [request, key, out, issuer_key, issuer] = [
        format!("{name}.csr"),
        format!("{name}.key"),
        format!("{name}.pem"),
        format!("{issuer}.key"),
        format!("{issuer}.pem"),
    ];
    expect(
        desk,
        0,
        &[
            "csr",
            "--key",
            &key,
            "--name",
            "CN=x",
            "--out",
            &request,
            "--passphrase-env",
            "PASS",
        ],
    );
    expect(
        desk,
        0,
        &[
            "pki",
            "issue",
            "--kind",
            kind,
            "--role",
            role,
            "--key",
            &request,
            "--issuer",
            &issuer,
            "--issuer-key",
            &issuer_key,
            "--name",
            &format!("CN={name}"),
            "--core",
            "0",
            "--device-class",
            &class,
            "--max-version",
            "9",
            "--out",
            &out,
        ],
    );
}

fn sign(desk: &Desk, code: i32, more: &[&str]) -> String {
    let platform = desk.platform();
    let mut arguments = vec![
        "sign",
        "fw.elf",
        "--platform",
        &platform,
        "--core",
        "m4",
        "--security-version",
        "3",
        "--passphrase-env",
        "PASS",
    ];
    arguments.extend(more);
    let all = expect(desk, code, &arguments);
    assert_eq!(desk.path("fw.cwfw").exists(), code == 0, "{all}");
    all
}

#[test]
fn an_encrypted_key_with_release_certificates_signs_a_release() {
    let desk = Desk::new();
    expect(
        &desk,
        0,
        &["keygen", "--out", "leaf.key", "--passphrase-env", "PASS"],
    );
    chain(&desk, "release");
    sign(
        &desk,
        0,
        &["--release", "--key", "leaf.key", "--root", "root.pem"],
    );
}

#[test]
fn an_unencrypted_key_file_does_not_sign_a_release() {
    let desk = Desk::new();
    expect(&desk, 0, &["keygen", "--no-password", "--out", "leaf.key"]);
    chain(&desk, "release");
    let all = sign(
        &desk,
        6,
        &["--release", "--key", "leaf.key", "--root", "root.pem"],
    );
    assert!(
        all.contains("leaf.key: the key file is not encrypted, and does not sign a release"),
        "{all}"
    );
    // Where it is no release, it does.
    sign(&desk, 0, &["--key", "leaf.key", "--root", "root.pem"]);
}

#[test]
fn a_development_certificate_does_not_sign_a_release() {
    let desk = Desk::new();
    expect(
        &desk,
        0,
        &["keygen", "--out", "leaf.key", "--passphrase-env", "PASS"],
    );
    chain(&desk, "development");
    let all = sign(
        &desk,
        5,
        &["--release", "--key", "leaf.key", "--root", "root.pem"],
    );
    assert!(
        all.contains("a certificate with the development role does not sign a release"),
        "{all}"
    );
    sign(&desk, 0, &["--key", "leaf.key", "--root", "root.pem"]);
}

#[test]
fn a_published_test_key_does_not_sign_a_release_whatever_its_wrapping() {
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("../keys");
    let desk = Desk::new();
    let dev = keys.join("dev-signer.key.pem").display().to_string();
    let all = sign(&desk, 6, &["--release", "--key", &dev]);
    assert!(
        all.contains("this is Corewarden's dev-signer, a published test key"),
        "{all}"
    );
    // Encrypting what everybody has makes it no secret, nor does a certificate of one's own.
    fs::write(desk.path("rfc.pem"), RFC_9500_P256).expect("written");
    fs::write(desk.path("pass"), "abc").expect("written");
    fs::copy(desk.path("rfc.pem"), desk.path("leaf.key")).expect("copied");
    chain(&desk, "release");
    good(
        desk.folder(),
        "pkcs8 -topk8 -in rfc.pem -out shut.key -passout pass:abc",
    );
    let platform = desk.platform();
    let all = expect(
        &desk,
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
            "--cert",
            "leaf.pem",
            "--cert",
            "ca.pem",
            "--release",
            "--key",
            "shut.key",
            "--passphrase-file",
            "pass",
        ],
    );
    assert!(
        all.contains("this is RFC 9500's testECCP256, a published test key"),
        "{all}"
    );
    assert!(!desk.path("fw.cwfw").exists());
    // Nor is a chain trusted that rests on such a key.
    let desk = Desk::new();
    expect(
        &desk,
        0,
        &["keygen", "--out", "leaf.key", "--passphrase-env", "PASS"],
    );
    chain(&desk, "release");
    fs::write(desk.path("ca.key"), RFC_9500_P256).expect("written");
    for name in ["ca.pem", "leaf.pem", "ca.csr", "leaf.csr"] {
        fs::remove_file(desk.path(name)).expect("removed");
    }
    issue(&desk, "release", "product-ca", "ca", "root");
    issue(&desk, "release", "leaf", "leaf", "ca");
    let all = sign(
        &desk,
        6,
        &["--release", "--key", "leaf.key", "--root", "root.pem"],
    );
    assert!(all.contains("RFC 9500's testECCP256"), "{all}");
}

#[test]
fn certificates_beside_a_key_file_are_found_by_its_public_key() {
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("../keys");
    let desk = Desk::new();
    // As keys/ has them: the leaf by the key's stem, the product CA by who issued the leaf.
    let dev = keys.join("dev-signer.key.pem").display().to_string();
    let all = sign(&desk, 0, &["--key", &dev]);
    assert!(all.contains("CN=Corewarden dev signer"), "{all}");
}

#[test]
fn certificates_of_another_key_or_issuer_are_not_taken() {
    let desk = Desk::new();
    expect(&desk, 0, &["keygen", "--no-password", "--out", "leaf.key"]);
    chain(&desk, "development");
    let mine =
        |desk: &Desk, code: i32| sign(desk, code, &["--key", "leaf.key", "--root", "root.pem"]);
    // A product CA of the same name, but another key: it did not issue the leaf. Its file is the first in the folder.
    fs::rename(desk.path("ca.pem"), desk.path("z.pem")).expect("renamed");
    fs::rename(desk.path("ca.key"), desk.path("z.key")).expect("renamed");
    fs::remove_file(desk.path("ca.csr")).expect("removed");
    expect(&desk, 0, &["keygen", "--no-password", "--out", "ca.key"]);
    issue(&desk, "development", "product-ca", "ca", "root");
    mine(&desk, 0);
    fs::remove_file(desk.path("fw.cwfw")).expect("removed");
    // The right one is gone, the namesake does not stand in for it.
    fs::rename(desk.path("z.pem"), desk.path("z.txt")).expect("renamed");
    mine(&desk, 5);
    // The whole chain in the leaf's own file does too.
    let both = [
        fs::read(desk.path("leaf.pem")),
        fs::read(desk.path("z.txt")),
    ];
    let both = both.map(|bytes| bytes.expect("there")).concat();
    fs::write(desk.path("leaf.crt"), both).expect("written");
    fs::remove_file(desk.path("leaf.pem")).expect("removed");
    mine(&desk, 0);
    fs::remove_file(desk.path("fw.cwfw")).expect("removed");
    // A file of the right name with somebody else's certificate is as good as none.
    fs::copy(desk.path("ca.pem"), desk.path("leaf.crt")).expect("copied");
    let all = mine(&desk, 2);
    assert!(
        all.contains("no certificate for the key; give the signer's certificate"),
        "{all}"
    );
}

#[test]
fn a_request_is_issued_a_certificate_only_if_its_signature_holds() {
    let desk = Desk::new();
    expect(&desk, 0, &["keygen", "--no-password", "--out", "leaf.key"]);
    chain(&desk, "development");
    let class = desk.device_class();
    let request = |code: i32, key: &str| {
        expect(
            &desk,
            code,
            &[
                "pki",
                "issue",
                "--kind",
                "leaf",
                "--key",
                key,
                "--issuer",
                "ca.pem",
                "--issuer-key",
                "ca.key",
                "--name",
                "CN=y",
                "--core",
                "0",
                "--device-class",
                &class,
                "--max-version",
                "9",
                "--out",
                "new.pem",
                "--force",
            ],
        )
    };
    // OpenSSL's requests do as well as ours, PEM and DER.
    good(
        desk.folder(),
        "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout o.key -subj /CN=o -out o.csr",
    );
    good(desk.folder(), "req -in o.csr -outform DER -out o.der");
    request(0, "o.csr");
    request(0, "o.der");
    let mut der = fs::read(desk.path("o.der")).expect("there");
    // The last byte belongs to s.
    *der.last_mut().expect("bytes") ^= 1;
    fs::write(desk.path("bad.der"), &der).expect("written");
    let all = request(4, "bad.der");
    assert!(
        all.contains("bad.der: the signature does not verify with the key"),
        "{all}"
    );
    fs::write(
        desk.path("cut.csr"),
        "-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n",
    )
    .expect("written");
    let all = request(3, "cut.csr");
    assert!(
        all.contains("cut.csr: not a readable certificate request"),
        "{all}"
    );
}

#[test]
fn a_signer_without_a_highest_version_is_not_issued_and_the_message_says_why() {
    let desk = Desk::new();
    expect(&desk, 0, &["keygen", "--no-password", "--out", "leaf.key"]);
    chain(&desk, "development");
    let class = desk.device_class();
    let all = expect(
        &desk,
        2,
        &[
            "pki",
            "issue",
            "--kind",
            "leaf",
            "--key",
            "leaf.csr",
            "--issuer",
            "ca.pem",
            "--issuer-key",
            "ca.key",
            "--name",
            "CN=y",
            "--core",
            "0",
            "--device-class",
            &class,
            "--out",
            "new.pem",
        ],
    );
    assert!(
        all.contains("--max-version") && all.contains("no later firmware is accepted again"),
        "{all}"
    );
    assert!(!desk.path("new.pem").exists());
}
