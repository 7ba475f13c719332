//! What does not sign a release, and the certificates that are found beside a key file.

mod ceremony;

use std::fs;
use std::path::Path;

use ceremony::openssl::good;
use ceremony::{Desk, SIGN};
use firmware_signing::key::{Algorithm, PrivateKey};
use firmware_signing::sample::sign_rproc_fw;

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

/// Every verb that signs or prepares, but for `sign`; what it writes is called `new`.
const VERBS: [&str; 5] = [
    "resign fw.cwfw --out new --passphrase-file pass --key leaf.key --cert leaf.pem:ca.pem --root root.pem",
    "convert old.sign --from-key old.pub --out new --platform board.toml --core m4 --security-version 3 \
     --passphrase-file pass --key leaf.key --cert leaf.pem:ca.pem --root root.pem",
    "prepare fw.elf --out-dir new --platform board.toml --core m4 --security-version 3 --cert leaf.pem:ca.pem --root root.pem",
    "attach request/request.json --out-dir new --passphrase-file pass --key leaf.key --root root.pem",
    "attach request/request.json --out-dir new --root root.pem",
];

/// The same desk with everything that [`VERBS`] begin with.
fn ready(desk: Desk) -> Desk {
    sign(&desk, 0, MINE);
    let old = PrivateKey::generate(Algorithm::EcdsaP256).expect("a key");
    let signed = sign_rproc_fw(&desk.read("fw.elf"), &old).expect("a file");
    desk.write("old.sign", signed);
    desk.write("old.pub", old.public_pem().expect("PEM"));
    let prepare = VERBS[2].replace("--out-dir new", "--out-dir request");
    desk.expect(0, &prepare);
    good(
        desk.folder(),
        "dgst -sha256 -sign leaf.key -passin file:pass -out request/fw.slot0.sig request/fw.message",
    );
    desk
}

#[test]
fn every_verb_that_signs_or_prepares_has_the_guards_of_a_release() {
    let published = locked("release");
    published.write("ca.key", RFC_9500_P256);
    for name in ["ca.pem", "leaf.pem"] {
        published.remove(name);
    }
    published.certify("product-ca", "ca.key", "release");
    leaf(&published, "release");
    let desks = [
        locked("release"),
        locked("release"),
        open("release"),
        locked("development"),
        published,
    ];
    let [right, beside, open, development, published] = desks.map(ready);
    beside.expect(0, "pki init --key ca.key --name CN=other --out dev.pem");
    for (desk, root, codes, said) in [
        (&right, "root.pem", [0; 5], "new"),
        (&beside, "root.pem:dev.pem", [5; 5], "development role"),
        (&open, "root.pem", [6, 6, 0, 6, 0], ""),
        (&development, "root.pem", [5; 5], "development role"),
        (
            &published,
            "root.pem",
            [6; 5],
            "this is RFC 9500's testECCP256, a published test key",
        ),
    ] {
        for (verb, code) in VERBS.into_iter().zip(codes) {
            let line = verb.replace("--root root.pem", &format!("--root {root}"));
            desk.expect(0, &line);
            clear(&desk.path("new"));
            let all = desk.expect(code, &format!("{line} --release"));
            if code == 6 && said.is_empty() {
                assert!(all.contains("the key file is not encrypted"), "{all}");
            }
            assert!(all.contains(said), "{line}: {all}");
            assert_eq!(is_there(&desk.path("new")), code == 0, "{line}");
            clear(&desk.path("new"));
        }
    }
}

#[test]
fn the_second_key_is_judged_for_a_release_too() {
    let desk = ready(locked("release"));
    desk.expect(0, "keygen --no-password --out second.key");
    desk.certify("leaf", "second.key", "release");
    let second = "--second-key second.key --second-cert second.pem:ca.pem --second-root root.pem";
    for verb in [VERBS[0], VERBS[1]] {
        desk.expect(0, &format!("{verb} {second}"));
        clear(&desk.path("new"));
        let all = desk.expect(6, &format!("{verb} {second} --release"));
        assert!(
            all.contains("second.key: the key file is not encrypted"),
            "{all}"
        );
        assert!(!is_there(&desk.path("new")));
    }
}

fn clear(path: &Path) {
    // It is one of both.
    let _ = fs::remove_file(path);
    let _ = fs::remove_dir_all(path);
}

/// Whether it is a file, or a folder with something in it.
fn is_there(path: &Path) -> bool {
    match fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_some(),
        Err(_) => path.exists(),
    }
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
