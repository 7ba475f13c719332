//! Certificates that do not fit, of which our own `pki` would not make some.

mod folder;

use std::process::Command;

use folder::{Desk, Ended, expect_line};

/// Runs `pki` and insists that it succeeds.
fn pki(desk: &Desk, line: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let ended = desk.run(&words, &[]);
    assert_eq!(ended.code, Some(0), "{line}: {ended:?}");
}

/// A leaf for the development signer's key under the development product CA.
fn leaf(desk: &Desk, out: &str, more: &str) {
    pki(
        desk,
        &format!(
            "pki issue --kind leaf --key dev-signer.key.pem --issuer dev-product-ca.pem --issuer-key dev-product-ca.key.pem \
             --name CN=test --core 0 --device-class 6f1d5e0c-6a0f-4b53-9c7d-2f0c0e5a7b11 --max-version 9 --out {out} {more}"
        ),
    );
}

fn sign_with(desk: &Desk, key: &str, certificates: &[&str]) -> Ended {
    let mut words = vec![
        "sign",
        "fw.elf",
        "--out",
        "made",
        "--platform",
        "board.toml",
    ];
    words.extend(["--core", "m4", "--security-version", "3", "--key", key]);
    for certificate in certificates {
        words.extend(["--cert", certificate]);
    }
    desk.run(&words, &["--force"])
}

#[test]
fn certificates_that_do_not_fit_are_named() {
    let desk = Desk::new();
    let ca = "dev-product-ca.pem";

    let ended = sign_with(&desk, "dev-root.key.pem", &["dev-signer.pem", ca]);
    expect_line(&ended, 6, "is not the certificate's", "the wrong key");

    leaf(
        &desk,
        "old.pem",
        "--not-before 2020-01-01 --not-after 2021-01-01",
    );
    let ended = sign_with(&desk, "dev-signer.key.pem", &["old.pem", ca]);
    expect_line(&ended, 5, "expired on 2021-01-01", "an expired leaf");

    leaf(
        &desk,
        "early.pem",
        "--not-before 2040-01-01 --not-after 2041-01-01",
    );
    let ended = sign_with(&desk, "dev-signer.key.pem", &["early.pem", ca]);
    expect_line(
        &ended,
        5,
        "valid only from 2040-01-01",
        "a leaf that is not valid yet",
    );

    // GeneralizedTime from 2050 on (RFC 5280, 4.1.2.5), and the end of time.
    for end in ["2049-12-31T23:59:59Z", "2050-01-01", "2120-06-01", "never"] {
        leaf(&desk, "late.pem", &format!("--force --not-after {end}"));
        let ended = sign_with(&desk, "dev-signer.key.pem", &["late.pem", ca]);
        assert_eq!(ended.code, Some(0), "{end}: {ended:?}");
        let ended = desk.run(
            &[
                "verify",
                "made",
                "--root",
                "dev-root.pem",
                "--at",
                "2049-06-01",
            ],
            &[],
        );
        assert_eq!(ended.code, Some(0), "{end}: {ended:?}");
    }

    let ended = sign_with(&desk, "dev-signer.key.pem", &["dev-signer.pem"]);
    expect_line(&ended, 5, "--cert", "no product CA");
}

#[test]
fn a_chain_that_is_too_long_and_an_unknown_critical_extension_are_refused() {
    let desk = Desk::new();
    // OpenSSL issues what our own `pki` would not: a second CA, and an extension that nobody knows.
    desk.write(
        "ca.ext",
        "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n",
    );
    desk.write(
        "odd.ext",
        "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n1.2.3.4.5=critical,ASN1:UTF8String:odd\n",
    );
    for (extensions, out) in [("ca.ext", "second.pem"), ("odd.ext", "odd.pem")] {
        openssl(
            &desk,
            "req -new -key dev-signer.key.pem -subj /CN=made -out made.csr",
        );
        openssl(
            &desk,
            &format!(
                "x509 -req -in made.csr -CA dev-product-ca.pem -CAkey dev-product-ca.key.pem -set_serial 77 -days 99 \
                 -extfile {extensions} -out {out}"
            ),
        );
    }
    let ended = sign_with(
        &desk,
        "dev-signer.key.pem",
        &["odd.pem", "dev-product-ca.pem"],
    );
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert_eq!(ended.err.lines().count(), 1, "{ended:?}");
    assert!(ended.err.contains("extension"), "{ended:?}");

    // A leaf below the second CA, whose chain would be leaf, second CA, product CA, root.
    openssl(
        &desk,
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out leaf.key.pem",
    );
    openssl(
        &desk,
        "req -new -key leaf.key.pem -subj /CN=leaf -out leaf.csr",
    );
    desk.write(
        "leaf.ext",
        "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n",
    );
    openssl(
        &desk,
        "x509 -req -in leaf.csr -CA second.pem -CAkey dev-signer.key.pem -set_serial 78 -days 99 -extfile leaf.ext -out leaf.pem",
    );
    let ended = sign_with(
        &desk,
        "leaf.key.pem",
        &["leaf.pem", "second.pem", "dev-product-ca.pem"],
    );
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert_eq!(ended.err.lines().count(), 1, "{ended:?}");
    assert!(!desk.files().contains(&"made".to_owned()));
}

fn openssl(desk: &Desk, line: &str) {
    let output = Command::new("openssl")
        .args(line.split_whitespace())
        .current_dir(desk.path(""))
        .output()
        .expect("openssl runs");
    assert!(output.status.success(), "{line}: {output:?}");
}
