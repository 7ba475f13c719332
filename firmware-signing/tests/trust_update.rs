//! `trust-update`: roots say what devices no longer trust (docs/trust-update.md).

mod desk;

use desk::Desk;

const CLASS: &str = "b5b9a2c6-68ab-4bbc-86f4-a2a11b1f1bb1";

fn make(desk: &Desk, code: i32, more: &[&str]) -> (String, String) {
    let base = [
        "trust-update",
        "make",
        "--out",
        "new.cwtu",
        "--device-class",
        CLASS,
    ];
    let root = ["--root", "root.pem", "--root-key", "root.key"];
    desk.expect(code, &[&base[..], &root, more].concat())
}

const FULL: [&str; 10] = [
    "--list-version",
    "7",
    "--min-generation",
    "ca.pem=2",
    "--revoke",
    "signer.pem",
    "--floor",
    "3=1",
    "--floor",
    "0=5",
];

#[test]
fn a_trust_update_says_what_its_maker_said_and_its_root_vouches_for_it() {
    let desk = Desk::new();
    make(
        &desk,
        0,
        &[
            &FULL[..],
            &["--keep-root", "root.pem", "--keep-root", "other-root.pem"],
        ]
        .concat(),
    );
    let inspect = ["trust-update", "inspect", "new.cwtu"];
    let json = desk.json(0, &inspect);
    assert_eq!(json["schema"], "corewarden-sign/trust-update");
    assert_eq!(json["trust"], "not judged");
    assert_eq!(json["list_version"], 7);
    assert_eq!(json["device_class"], CLASS);
    assert_eq!(json["generations"][0]["minimum"], 2);
    assert_eq!(json["floors"][0]["core"], 0);
    assert_eq!(json["floors"][1]["minimum"], 1);
    assert_eq!(json["revoked"].as_array().map(Vec::len), Some(1));
    assert_eq!(json["roots"].as_array().map(Vec::len), Some(2));
    let json = desk.json(0, &[&inspect[..], &["--root", "root.pem"]].concat());
    assert_eq!(json["trust"], "signatures hold");
    desk.expect(5, &[&inspect[..], &["--root", "other-root.pem"]].concat());
    desk.expect(5, &[&inspect[..], &["--second-root", "root.pem"]].concat());
    // The same said again, with the key id instead of the certificate, is the same file.
    let first = desk.bytes("new.cwtu");
    let key_id = json["revoked"][0].as_str().expect("digits").to_owned();
    let again: Vec<&str> = FULL
        .map(|word| if word == "signer.pem" { &key_id } else { word })
        .into();
    make(
        &desk,
        0,
        &[
            &again[..],
            &[
                "--keep-root",
                "other-root.pem",
                "--keep-root",
                "root.pem",
                "--force",
            ],
        ]
        .concat(),
    );
    assert_eq!(desk.bytes("new.cwtu"), first);
}

#[test]
fn a_trust_update_that_breaks_a_rule_is_not_made() {
    let desk = Desk::new();
    let refused: [(&[&str], i32, &str); 10] = [
        (&["--list-version", "0"], 3, "list version 0"),
        (
            &["--list-version", "1", "--floor", "0"],
            2,
            "WHAT=NUMBER (0)",
        ),
        (
            &["--list-version", "1", "--floor", "x=1"],
            2,
            "WHAT=NUMBER (x=1)",
        ),
        (
            &["--list-version", "1", "--floor", "0=0"],
            3,
            "says nothing",
        ),
        (
            &["--list-version", "1", "--floor", "0=1", "--floor", "0=2"],
            3,
            "not above",
        ),
        (
            &["--list-version", "1", "--revoke", "ca.pem"],
            2,
            "not a certificate of",
        ),
        (
            &["--list-version", "1", "--min-generation", "signer.pem=1"],
            2,
            "not a certificate of",
        ),
        (
            &["--list-version", "1", "--revoke", "absent.pem"],
            7,
            "absent.pem",
        ),
        (
            &["--list-version", "1", "--keep-second-root", "root.pem"],
            3,
            "no root for slot 0",
        ),
        (&["--list-version", "1", "--keep-root", "ca.pem"], 5, ""),
    ];
    for (more, code, text) in refused {
        let (_, err) = make(&desk, code, more);
        assert!(err.contains(text), "{text}: {err}");
        assert!(!desk.path("new.cwtu").exists());
    }
    let base = [
        "trust-update",
        "make",
        "--out",
        "new.cwtu",
        "--device-class",
        CLASS,
    ];
    let rest = ["--list-version", "1", "--root-key", "root.key", "--root"];
    desk.expect(6, &[&base[..], &rest, &["other-root.pem"]].concat());
    desk.expect(
        5,
        &[
            &base[..],
            &rest[..2],
            &["--root-key", "signer.key", "--root", "signer.pem"],
        ]
        .concat(),
    );
    make(&desk, 0, &["--list-version", "1"]);
    make(&desk, 8, &["--list-version", "1"]);
    make(&desk, 0, &["--list-version", "2", "--force"]);
}

#[test]
fn a_file_that_is_no_trust_update_or_was_changed_is_refused() {
    let desk = Desk::new();
    make(&desk, 0, &FULL);
    let whole = desk.bytes("new.cwtu");
    let inspect = ["trust-update", "inspect", "new.cwtu", "--root", "root.pem"];
    for bytes in [
        &b""[..],
        b"x",
        &whole[..whole.len() - 1],
        &[0; 0x1_0001],
        &desk.bytes("fw.elf"),
    ] {
        desk.put("new.cwtu", bytes);
        desk.expect(3, &inspect);
    }
    let mut changed = whole.clone();
    changed[28] ^= 1;
    desk.put("new.cwtu", &changed);
    desk.expect(4, &inspect);
    desk.put("new.cwtu", &whole);
    desk.expect(0, &inspect);
}
