//! Everything that any verb prints under --json keeps to its schema in docs/schemas, and says nothing that the schema does not.

mod folder;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use firmware_signing::key::{Algorithm, PrivateKey};
use firmware_signing::sample::{Chain, sign_rproc_fw};
use folder::{Desk, SIGN};
use serde_json::Value;

/// What every verb is asked; SIGN stands for the options that signing needs.
const LINES: &[(&str, i32, &str)] = &[
    ("completions bash", 0, "text"),
    (
        "prepare fw.elf --out-dir request --platform board.toml --core m4 --cert dev-signer.pem --cert dev-product-ca.pem \
         --root dev-root.pem --security-version 3",
        0,
        "prepare",
    ),
    (
        "attach request/request.json --key dev-signer.key.pem --root dev-root.pem --out-dir . --force",
        0,
        "attach",
    ),
    ("strip fw.cwfw --out stripped.elf", 0, "strip"),
    ("diff fw.cwfw fw.cwfw", 0, "diff"),
    (
        "resign fw.cwfw --out again.cwfw --key dev-signer.key.pem --cert dev-signer.pem --cert dev-product-ca.pem \
         --root dev-root.pem --from-root dev-root.pem",
        0,
        "resign",
    ),
    (
        "convert nowhere --from-key dev-root.pem --out converted.cwfw SIGN",
        6,
        "failure",
    ),
    (
        "convert motor.sign --from-key old.pub --out converted.cwfw SIGN",
        0,
        "convert",
    ),
    (
        "convert motor.sign --from-key old.pub --out both.cwfw --second-root second-root.pem SIGN SECOND",
        0,
        "convert",
    ),
    (
        "sign fw.elf --out both.cwfw --force --second-root second-root.pem SIGN SECOND",
        0,
        "sign",
    ),
    (
        "verify both.cwfw --root dev-root.pem --second-root second-root.pem",
        0,
        "verify",
    ),
    (
        "resign both.cwfw --out again.cwfw --force --key dev-signer.key.pem --cert dev-signer.pem --cert dev-product-ca.pem \
         --root dev-root.pem --second-root second-root.pem SECOND",
        0,
        "resign",
    ),
    (
        "csr --key dev-signer.key.pem --name CN=x --out made.csr",
        0,
        "csr",
    ),
    (
        "doctor --key dev-signer.key.pem --root dev-root.pem --platform board.toml --core m4",
        0,
        "doctor",
    ),
    ("doctor --key nowhere", 7, "doctor"),
    (
        "trust-update make --out made.cwtu --list-version 3 --device-class b5b9a2c6-68ab-4bbc-86f4-a2a11b1f1bb1 \
         --min-generation dev-product-ca.pem=2 --revoke dev-signer.pem --floor 0=4 --keep-root dev-root.pem \
         --root dev-root.pem --root-key dev-root.key.pem",
        0,
        "trust-update",
    ),
    (
        "trust-update inspect made.cwtu --root dev-root.pem",
        0,
        "trust-update",
    ),
    ("inspect fw.cwfw", 0, "inspect"),
    (
        "inspect fw.cwfw --platform board.toml --core m4 --svg fw.svg",
        0,
        "inspect",
    ),
    ("inspect fw.elf", 0, "inspect"),
    ("inspect old.sig", 0, "inspect"),
    ("inspect boot.bin", 0, "inspect"),
    ("inspect flipped.cwfw", 0, "inspect"),
    ("inspect fw.cwfw --digest", 0, "inspect-digest"),
    ("inspect nowhere", 7, "failure"),
    ("inspect --nonsense", 2, "failure"),
    (
        "keygen --no-password --out new.key --public-out new.pub",
        0,
        "keygen",
    ),
    (
        "keygen --no-password --out other.key --algorithm ed25519",
        0,
        "keygen",
    ),
    ("keygen --no-password --out new.key", 8, "failure"),
    ("lint fw.elf --platform board.toml --core m4", 0, "lint"),
    ("lint wrong.elf --platform board.toml --core m4", 5, "lint"),
    (
        "lint board.toml --platform board.toml --core m4",
        3,
        "failure",
    ),
    ("man sign", 0, "text"),
    ("man --out-dir .", 0, "man"),
    (
        "pki init --key dev-root.key.pem --name CN=root --out root.pem",
        0,
        "certificates",
    ),
    (
        "pki issue --kind leaf --key new.pub --issuer dev-product-ca.pem --issuer-key dev-product-ca.key.pem --name CN=x --core 0 \
         --device-class 6f1d5e0c-6a0f-4b53-9c7d-2f0c0e5a7b11 --max-version 9 --out leaf.pem",
        0,
        "certificates",
    ),
    ("pki show dev-root.pem leaf.pem", 0, "certificates"),
    ("pki show board.toml", 3, "failure"),
    (
        "sign fw.elf --out made.cwfw --display-version 1.0 SIGN",
        0,
        "sign",
    ),
    ("sign made.cwfw --out twice.cwfw SIGN", 8, "failure"),
    ("verify fw.cwfw --root dev-root.pem", 0, "verify"),
    (
        "verify fw.cwfw --root dev-root.pem --platform board.toml --core m4",
        0,
        "verify",
    ),
    (
        "verify fw.cwfw --root dev-root.pem --platform board.toml --core m4 --floor 4",
        5,
        "failure",
    ),
    ("verify flipped.cwfw --root dev-root.pem", 4, "failure"),
    (
        "verify fw.cwfw --root dev-root.pem --against device.json",
        0,
        "verify-against",
    ),
    (
        "verify flipped.cwfw --root dev-root.pem --against device.json",
        4,
        "verify-against",
    ),
    (
        "verify fw.cwfw --root dev-root.pem --against running.json",
        0,
        "verify-against",
    ),
];

#[test]
fn what_every_verb_prints_keeps_to_its_schema() {
    let desk = prepared();
    let mut used = BTreeSet::new();
    for (line, code, schema) in LINES {
        let line = line.replace("SIGN", &SIGN.join(" "));
        let line = line.replace(
            "SECOND",
            "--second-key second.key --second-cert second.pem:second-ca.pem",
        );
        let words: Vec<&str> = line.split_whitespace().collect();
        let ended = desk.run(&words, &["--json"]);
        assert_eq!(ended.code, Some(*code), "{line}: {ended:?}");
        let document: Value = serde_json::from_str(&ended.out)
            .unwrap_or_else(|error| panic!("{line}: {error}: {ended:?}"));
        assert_eq!(
            document["schema"],
            format!("corewarden-sign/{schema}"),
            "{line}"
        );
        let described = read(&folder().join(format!("{schema}.json")));
        validate(&described, &document).unwrap_or_else(|error| panic!("{line}: {error}"));
        nothing_else(&described, &document, &line);
        used.insert(format!("{schema}.json"));
    }
    let files = fs::read_dir(folder()).expect("the schemas");
    let files: BTreeSet<String> = files
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    assert_eq!(
        used, files,
        "every schema is used, and there is none too few"
    );
}

#[test]
fn every_verb_is_among_those_whose_json_is_validated() {
    let desk = Desk::new();
    let mut verbs = vec![String::new()];
    let mut next = 0;
    while let Some(verb) = verbs.get(next).cloned() {
        let words: Vec<&str> = verb.split_whitespace().collect();
        let help = desk.run(&words, &["--help"]).out;
        let below = subcommands(&help);
        if below.is_empty() {
            let begin = format!("{} ", verb.trim());
            assert!(
                LINES.iter().any(|(line, ..)| line.starts_with(&begin)),
                "`{begin}` has no line here"
            );
        }
        verbs.extend(below.iter().map(|name| format!("{verb} {name}")));
        next += 1;
    }
    assert!(verbs.len() > 8, "{verbs:?}");
}

#[test]
fn a_document_that_breaks_a_schema_is_noticed() {
    let described = read(&folder().join("failure.json"));
    let right = serde_json::json!({
        "schema": "corewarden-sign/failure", "version": 1, "code": 3, "error": "x", "detail": null, "file": null, "advice": null,
    });
    assert_eq!(validate(&described, &right), Ok(()));
    for (field, value) in [
        ("schema", serde_json::json!("another")),
        ("version", serde_json::json!(2)),
        ("code", serde_json::json!("3")),
        ("code", serde_json::json!(-1)),
        ("error", Value::Null),
    ] {
        let mut wrong = right.clone();
        wrong[field] = value;
        assert!(validate(&described, &wrong).is_err(), "{field}");
    }
    let mut short = right;
    short.as_object_mut().expect("an object").remove("code");
    assert!(validate(&described, &short).is_err());
}

/// A desk with files of every kind that verbs recognise.
fn prepared() -> Desk {
    let desk = Desk::new();
    let mut flipped = desk.read("fw.cwfw");
    flipped[0x100] ^= 1;
    desk.write("flipped.cwfw", flipped);
    let mut wrong = folder::firmware();
    wrong.segments[0].flags = 7;
    desk.write("wrong.elf", wrong.build());
    let words =
        |words: &[u32]| -> Vec<u8> { words.iter().flat_map(|word| word.to_le_bytes()).collect() };
    desk.write(
        "old.sig",
        words(&[0x3543_a468, 1, 0x138, 0x200, 0x2370, 0, 0, 0]),
    );
    let mut boot = words(&[0x96f3_b83d, 0, 32, 16, 0, 0x0003_0201, 4, 0]);
    boot.extend([0; 16]);
    boot.extend(words(&[0x0028_6907]));
    boot.resize(200, 0);
    desk.write("boot.bin", boot);
    let old = PrivateKey::generate(Algorithm::EcdsaP256).expect("a key");
    let signed = sign_rproc_fw(&desk.read("fw.elf"), &old).expect("a file");
    desk.write("motor.sign", signed);
    desk.write("old.pub", old.public_pem().expect("PEM"));
    let chain = Chain::development_of([Algorithm::Ed25519; 3], &[0], &[class(&desk)], 9);
    let chain = chain.expect("a chain");
    for (name, certificate) in [
        ("second-root.pem", &chain.root.0),
        ("second-ca.pem", &chain.product_ca.0),
        ("second.pem", &chain.leaf.0),
    ] {
        desk.write(name, certificate.to_pem().expect("text"));
    }
    desk.write(
        "second.key",
        chain.leaf.1.to_pem(None).expect("text").as_bytes(),
    );
    let device = String::from_utf8(desk.read("device.json")).expect("text");
    desk.write("running.json", device.replace("\"Off\"", "\"Running\""));
    desk
}

/// The device class of the platform file.
fn class(desk: &Desk) -> [u8; 16] {
    let text = String::from_utf8(desk.read("board.toml")).expect("text");
    let file: platform::File = toml::from_str(&text).expect("TOML");
    let platform = platform::Platform::try_from(file).expect("a platform");
    platform.device_class().bytes()
}

fn validate(schema: &Value, document: &Value) -> Result<(), String> {
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    let name = "schema.json";
    compiler
        .add_resource(name, schema.clone())
        .map_err(|error| error.to_string())?;
    let index = compiler
        .compile(name, &mut schemas)
        .map_err(|error| error.to_string())?;
    schemas
        .validate(document, index)
        .map_err(|error| error.to_string())
}

/// Every field of the document is one that the schema describes.
fn nothing_else(schema: &Value, document: &Value, place: &str) {
    match document {
        Value::Object(fields) => {
            for (name, value) in fields {
                let described = &schema["properties"][name];
                assert!(
                    described.is_object(),
                    "{place}: {name} is not in the schema"
                );
                nothing_else(described, value, &format!("{place}: {name}"));
            }
        }
        Value::Array(items) => {
            for item in items {
                nothing_else(&schema["items"], item, place);
            }
        }
        _ => {}
    }
}

fn subcommands(help: &str) -> Vec<String> {
    let (_, list) = help.split_once("\nCommands:\n").unwrap_or_default();
    let lines = list.lines().take_while(|line| !line.is_empty());
    lines
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schemas")
}
