//! What does not sign a release, and the certificates that are found beside a key file.

mod ceremony;

use std::path::Path;

use ceremony::openssl::good;
use ceremony::{Desk, SIGN};

/// RFC 9500, 2.3: a key that everybody may use for tests.
const RFC_9500_P256: &str = "-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIObLW92AqkWunJXowVR2Z5/+yVPBaFHnEedDk5WJxk/BoAoGCCqGSM49
AwEHoUQDQgAEQiVI+I+3gv+17KN0RFLHKh5Vj71vc75eSOkyMsxFxbFsTNEMTLjV
uKFxOelIgsiZJXKZNCX0FBmrfpCkKklCcg==
-----END EC PRIVATE KEY-----
";

/// A desk with a whole chain above `leaf.key`, which is encrypted.
fn locked(role: &str) -> Desk {
    let desk = Desk::new();
    desk.expect(0, "keygen --out leaf.key --passphrase-file pass");
    chain(&desk, role);
    desk
}

/// The same with a key that is not.
fn open(role: &str) -> Desk {
    let desk = Desk::new();
    desk.expect(0, "keygen --no-password --out leaf.key");
    chain(&desk, role);
    desk
}

/// A root, a product CA, and a leaf for the key in `leaf.key`.
fn chain(desk: &Desk, role: &str) {
    desk.authorities(role);
    leaf(desk, role);
}

fn leaf(desk: &Desk, role: &str) {
    desk.expect(
        0,
        "csr --key leaf.key --name CN=x --out leaf.csr --force --passphrase-file pass",
    );
    desk.certify("leaf", "leaf.csr", role);
}

#[track_caller]
fn sign(desk: &Desk, code: i32, more: &str) -> String {
    let all = desk.expect(code, &format!("{SIGN} --passphrase-file pass {more}"));
    assert_eq!(desk.path("fw.cwfw").exists(), code == 0, "{all}");
    all
}

const MINE: &str = "--key leaf.key --root root.pem";
const RELEASE: &str = "--release --key leaf.key --root root.pem";

#[test]
fn an_encrypted_key_with_release_certificates_signs_a_release() {
    sign(&locked("release"), 0, RELEASE);
}

#[test]
fn an_unencrypted_key_file_does_not_sign_a_release() {
    let desk = open("release");
    let all = sign(&desk, 6, RELEASE);
    assert!(
        all.contains("leaf.key: the key file is not encrypted, and does not sign a release"),
        "{all}"
    );
    // Where it is no release, it does.
    sign(&desk, 0, MINE);
}

#[test]
fn a_development_certificate_does_not_sign_a_release() {
    let desk = locked("development");
    let all = sign(&desk, 5, RELEASE);
    assert!(
        all.contains("a certificate with the development role does not sign a release"),
        "{all}"
    );
    sign(&desk, 0, MINE);
}

#[test]
fn a_published_test_key_does_not_sign_a_release_whatever_its_wrapping() {
    let desk = Desk::new();
    let all = sign(&desk, 6, &format!("--release --key {}", dev_signer()));
    assert!(
        all.contains("this is Corewarden's dev-signer, a published test key"),
        "{all}"
    );
    // Encrypting what everybody has makes it no secret, nor does a certificate of one's own.
    desk.write("leaf.key", RFC_9500_P256);
    chain(&desk, "release");
    good(
        desk.folder(),
        "pkcs8 -topk8 -in leaf.key -out shut.key -passout file:pass",
    );
    let all = sign(
        &desk,
        6,
        "--release --key shut.key --root root.pem --cert leaf.pem --cert ca.pem",
    );
    assert!(
        all.contains("this is RFC 9500's testECCP256, a published test key"),
        "{all}"
    );
    // Nor is a chain trusted that rests on such a key.
    let desk = locked("release");
    desk.write("ca.key", RFC_9500_P256);
    for name in ["ca.pem", "leaf.pem"] {
        desk.remove(name);
    }
    desk.certify("product-ca", "ca.key", "release");
    leaf(&desk, "release");
    let all = sign(&desk, 6, RELEASE);
    assert!(all.contains("RFC 9500's testECCP256"), "{all}");
}

#[test]
fn certificates_beside_a_key_file_are_found_by_its_public_key() {
    let desk = Desk::new();
    // As keys/ has them: the leaf by the key's stem, the product CA by who issued the leaf.
    let all = sign(&desk, 0, &format!("--key {}", dev_signer()));
    assert!(all.contains("CN=Corewarden dev signer"), "{all}");
}

fn dev_signer() -> String {
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("../keys");
    keys.join("dev-signer.key.pem").display().to_string()
}

#[test]
fn certificates_of_another_key_or_issuer_are_not_taken() {
    let desk = open("development");
    // A product CA of the same name, but another key: it did not issue the leaf. Its file is the first in the folder.
    desk.rename("ca.pem", "z.pem");
    desk.rename("ca.key", "z.key");
    desk.expect(0, "keygen --no-password --out ca.key");
    desk.certify("product-ca", "ca.key", "development");
    sign(&desk, 0, MINE);
    desk.remove("fw.cwfw");
    // The right one is gone, the namesake does not stand in for it.
    desk.rename("z.pem", "z.txt");
    sign(&desk, 5, MINE);
    // The whole chain in the leaf's own file does too.
    desk.write(
        "leaf.crt",
        [desk.read("leaf.pem"), desk.read("z.txt")].concat(),
    );
    desk.remove("leaf.pem");
    sign(&desk, 0, MINE);
    desk.remove("fw.cwfw");
    // A file of the right name with somebody else's certificate is as good as none.
    desk.copy("ca.pem", "leaf.crt");
    let all = sign(&desk, 2, MINE);
    assert!(
        all.contains("no certificate for the key; give the signer's certificate"),
        "{all}"
    );
}

#[test]
fn a_request_is_issued_a_certificate_only_if_its_signature_holds() {
    let desk = Desk::new();
    desk.authorities("development");
    let request = |code: i32, key: &str| {
        let more = "--issuer-key ca.key --name CN=y --out new.pem --force";
        desk.expect(code, &desk.issue("leaf", key, "ca", more))
    };
    // OpenSSL's requests do as well as ours, PEM and DER.
    good(
        desk.folder(),
        "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout o.key -subj /CN=o -out o.csr",
    );
    good(desk.folder(), "req -in o.csr -outform DER -out o.der");
    request(0, "o.csr");
    request(0, "o.der");
    let mut der = desk.read("o.der");
    // The last byte belongs to s.
    *der.last_mut().expect("bytes") ^= 1;
    desk.write("bad.der", &der);
    let all = request(4, "bad.der");
    assert!(
        all.contains("bad.der: the signature does not verify with the key"),
        "{all}"
    );
    desk.write(
        "cut.csr",
        "-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n",
    );
    let all = request(3, "cut.csr");
    assert!(
        all.contains("cut.csr: not a readable certificate request"),
        "{all}"
    );
}

#[test]
fn a_signer_without_a_highest_version_is_not_issued_and_the_message_says_why() {
    let desk = open("development");
    let more = "--issuer-key ca.key --name CN=y --out new.pem";
    let issue = desk.issue("leaf", "leaf.csr", "ca", more);
    let all = desk.expect(2, &issue.replace("--max-version 9", ""));
    assert!(
        all.contains("--max-version") && all.contains("no later firmware is accepted again"),
        "{all}"
    );
    assert!(!desk.path("new.pem").exists());
}
