//! `prepare` and `attach`: what goes out, what comes back, and what is refused in between (docs/two-step-signing.md).

mod desk;

use std::fs;
use std::time::{Duration, Instant};

use desk::{CHAIN, Desk, platform, with_platform};
use firmware_signing::key::Algorithm;
use firmware_signing::sample::Elf;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

/// Prepares `elves` into the folder `request`.
#[track_caller]
fn prepare(desk: &Desk, code: i32, elves: &[&str], more: &[&str]) -> (String, String) {
    let all: Vec<&str> = ["prepare", "--out-dir", "request"]
        .into_iter()
        .chain(elves.iter().copied())
        .chain(CHAIN)
        .chain(more.iter().copied())
        .collect();
    let platform = platform();
    desk.expect(code, &with_platform(&all, &platform))
}

/// A desk with one image prepared.
fn prepared() -> Desk {
    let desk = Desk::new();
    prepare(&desk, 0, &["fw.elf"], &[]);
    desk
}

fn request(desk: &Desk) -> Value {
    serde_json::from_slice(&desk.bytes("request/request.json")).expect("JSON")
}

/// What somebody does to a request.
type Change = fn(&mut Value);

fn edit(desk: &Desk, change: impl FnOnce(&mut Value)) {
    let mut json = request(desk);
    change(&mut json);
    desk.put("request/request.json", json.to_string().as_bytes());
}

const ATTACH: [&str; 2] = ["attach", "request/request.json"];

#[track_caller]
fn attach(desk: &Desk, code: i32, more: &[&str]) -> (String, String) {
    let all: Vec<&str> = ATTACH.into_iter().chain(more.iter().copied()).collect();
    desk.expect(code, &all)
}

/// `openssl dgst -sign`, which hashes the message itself.
fn openssl(desk: &Desk, key: &str) {
    let out = ["-out", "request/fw.slot0.sig", "request/fw.message"];
    let all = [&["dgst", "-sha256", "-sign", key][..], &out].concat();
    desk.tool("openssl", &all);
}

#[test]
fn a_signature_made_elsewhere_gives_the_bundle_that_sign_would_have_made() {
    let desk = prepared();
    let names = ["fw.message", "fw.prepared", "request.json"];
    assert_eq!(desk.files("request"), names);
    // The same key makes the same signature in both ways, for it signs deterministically.
    attach(&desk, 0, &["--key", "signer.key", "--root", "root.pem"]);
    desk.sign("fw.elf", "direct.cwfw", &[]);
    assert_eq!(desk.bytes("request/fw.cwfw"), desk.bytes("direct.cwfw"));
}

#[test]
fn a_request_says_what_is_signed_by_whom_and_how() {
    let desk = prepared();
    let json = request(&desk);
    assert_eq!(json["schema"], "corewarden-sign/request");
    assert_eq!(json["version"], 1);
    let image = &json["images"][0];
    assert_eq!(image["summary"]["security_version"], 3);
    assert_eq!(image["summary"]["cores"], json!([0]));
    let message = desk.bytes("request/fw.message");
    assert_eq!(message.len(), 64);
    assert!(message.starts_with(b"corewarden.cwfw1"));
    assert_eq!(image["message"], hex(&message));
    assert_eq!(hex(&message[16..]), image["digest"]);
    let wanted = &image["signatures"][0];
    assert_eq!(wanted["slot"], 0);
    assert_eq!(wanted["algorithm"], "ecdsa-p256-sha256");
    assert_eq!(wanted["hash"], "sha256");
    let hashed = digest(&SHA256, &message);
    assert_eq!(wanted["hashed_message"], hex(hashed.as_ref()));
    assert_eq!(wanted["signature_file"], "fw.slot0.sig");
}

#[test]
fn openssls_signatures_are_taken_as_it_writes_them() {
    // docs/two-step-signing.md 4.2: the message is hashed by the signer, or was hashed before.
    let desk = prepared();
    openssl(&desk, "signer.key");
    attach(&desk, 0, &["--root", "root.pem"]);
    let message = desk.bytes("request/fw.message");
    desk.put("hashed", digest(&SHA256, &message).as_ref());
    let sign = ["pkeyutl", "-sign", "-inkey", "signer.key", "-in"];
    let out = ["-out", "request/fw.slot0.sig"];
    for message in [
        &["hashed"][..],
        &["request/fw.message", "-rawin", "-digest", "sha256"],
    ] {
        desk.tool("openssl", &[&sign[..], message, &out].concat());
        attach(&desk, 0, &["--root", "root.pem", "--force"]);
    }
    let platform = platform();
    let verify = ["verify", "request/fw.cwfw", "--root", "root.pem"];
    desk.expect(0, &with_platform(&verify, &platform));
}

/// A token that holds the signer's key and another one of the same label's beginning.
fn token(desk: &Desk) {
    fs::create_dir(desk.path("tokens")).expect("a folder");
    let tokens = desk.path("tokens").display().to_string();
    let conf =
        format!("directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n");
    desk.put("softhsm2.conf", conf.as_bytes());
    let init = ["--init-token", "--free", "--label", "desk", "--pin", "1234"];
    desk.tool(
        "softhsm2-util",
        &[&init[..], &["--so-pin", "5678"]].concat(),
    );
    let import = [
        "--import",
        "signer.key",
        "--token",
        "desk",
        "--label",
        "signer",
    ];
    desk.tool(
        "softhsm2-util",
        &[&import[..], &["--id", "01", "--pin", "1234"]].concat(),
    );
}

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";

#[test]
fn a_tokens_signatures_are_taken_as_pkcs11_tool_writes_them() {
    // docs/two-step-signing.md 4.3: the token's ECDSA takes the hash of the message.
    let desk = prepared();
    token(&desk);
    let message = desk.bytes("request/fw.message");
    desk.put("hashed", digest(&SHA256, &message).as_ref());
    let sign = [
        "--module",
        MODULE,
        "--token-label",
        "desk",
        "--login",
        "--pin",
        "1234",
        "--sign",
        "--id",
        "01",
        "--mechanism",
        "ECDSA",
        "-i",
        "hashed",
        "-o",
        "request/fw.slot0.sig",
    ];
    for format in ["rs", "openssl"] {
        desk.tool(
            "pkcs11-tool",
            &[&sign[..], &["--signature-format", format]].concat(),
        );
        let raw = desk.bytes("request/fw.slot0.sig").len() == 64;
        assert_eq!(raw, format == "rs");
        attach(&desk, 0, &["--root", "root.pem", "--force"]);
    }
}

#[test]
fn the_commands_of_the_document_make_signatures_that_are_taken() {
    // docs/two-step-signing.md 4.2, 4.3
    let keys = [
        ("p384.key", Algorithm::EcdsaP384),
        ("ed25519.key", Algorithm::Ed25519),
        ("signer.key", Algorithm::EcdsaP256),
    ];
    let desks = keys.map(|(key, algorithm)| {
        let desk = Desk::new();
        desk.put_chain_of([algorithm; 3], "", 9);
        prepare(&desk, 0, &["fw.elf"], &[]);
        let path = desk.path("request").join(key);
        fs::copy(desk.path("signer.key"), path).expect("copied");
        (key, desk)
    });
    token(&desks[2].1);
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/two-step-signing.md");
    let document = fs::read_to_string(document).expect("the document");
    let mut signatures = 0;
    for block in document.split("```sh\n").skip(1) {
        let (script, _) = block.split_once("```").expect("its end");
        let mut hash = "";
        for line in script.lines() {
            if line.contains("-binary") {
                hash = line;
                continue;
            }
            let named = desks.iter().find(|(key, _)| line.contains(key));
            // The token has the P-256 key.
            let (_, desk) = named.unwrap_or(&desks[2]);
            let script = format!("cd request; export MODULE={MODULE} PIN=1234; {hash}\n{line}");
            desk.tool("bash", &["-euc", &script]);
            attach(desk, 0, &["--root", "root.pem", "--force"]);
            fs::remove_file(desk.path("request/fw.slot0.sig")).expect("the command wrote it");
            signatures += 1;
        }
    }
    assert_eq!(signatures, 6);
}

#[test]
fn a_high_s_is_brought_down() {
    // docs/two-step-signing.md 4.4: signers give either of the two that verify.
    let desk = prepared();
    let mut high = 0;
    let mut low = 0;
    // Each is as likely as the other, so 64 rounds see both but once in 2^63.
    for _ in 0..64 {
        openssl(&desk, "signer.key");
        let der = desk.bytes("request/fw.slot0.sig");
        let signature = p256::ecdsa::Signature::from_der(&der).expect("DER");
        if signature.normalize_s() == signature {
            low += 1;
        } else {
            high += 1;
            desk.put("request/fw.slot0.sig", &signature.to_bytes());
        }
        attach(&desk, 0, &["--root", "root.pem", "--force"]);
        if low > 0 && high > 0 {
            return;
        }
    }
    panic!("{low} low and {high} high");
}

#[test]
fn a_prepared_bundle_is_neither_a_bundle_nor_an_elf() {
    let desk = prepared();
    let platform = platform();
    let (_, err) = desk.expect(3, &["verify", "request/fw.prepared", "--root", "root.pem"]);
    assert!(err.contains("not a firmware bundle"), "{err}");
    let sign = [
        "sign",
        "request/fw.prepared",
        "--key",
        "signer.key",
        "--out",
        "x",
    ];
    let all = [&sign[..], &CHAIN].concat();
    let (_, err) = desk.expect(3, &with_platform(&all, &platform));
    assert!(err.contains("prepared for signing already"), "{err}");
    assert!(!desk.bytes("request/fw.prepared").starts_with(b"\x7fELF"));
}

#[test]
fn a_signature_that_does_not_hold_is_refused() {
    let desk = prepared();
    // Of another key, over other bytes, of nothing.
    openssl(&desk, "other-signer.key");
    let (_, err) = attach(&desk, 4, &[]);
    assert!(err.contains("not one over the image's message"), "{err}");
    assert!(err.contains("fw.slot0.sig"), "{err}");
    let out = ["-out", "request/fw.slot0.sig", "fw.elf"];
    desk.tool(
        "openssl",
        &[&["dgst", "-sha256", "-sign", "signer.key"][..], &out].concat(),
    );
    attach(&desk, 4, &[]);
    for (bytes, code) in [
        (&[][..], 3),
        (b"garbage", 3),
        (&[0; 64], 4),
        (&[0x30; 64], 4),
        (&[0xff; 63], 3),
        (&[7; 65], 3),
    ] {
        desk.put("request/fw.slot0.sig", bytes);
        attach(&desk, code, &[]);
    }
    openssl(&desk, "signer.key");
    let mut behind = desk.bytes("request/fw.slot0.sig");
    behind.push(0);
    desk.put("request/fw.slot0.sig", &behind);
    attach(&desk, 3, &[]);
    fs::remove_file(desk.path("request/fw.slot0.sig")).expect("removed");
    attach(&desk, 7, &[]);
    attach(&desk, 6, &["--key", "other-signer.key"]);
    assert!(!desk.path("request/fw.cwfw").exists());
    let names = ["fw.message", "fw.prepared", "request.json"];
    assert_eq!(desk.files("request"), names, "nothing is left behind");
}

#[test]
fn a_request_that_was_edited_is_refused() {
    // docs/two-step-signing.md 3.3
    let changes: [(&str, Change, &str); 6] = [
        (
            "a nicer version",
            |json| json["images"][0]["summary"]["security_version"] = json!(4),
            "summary",
        ),
        (
            "another digest",
            |json| json["images"][0]["digest"] = json!("00"),
            "digest",
        ),
        (
            "another message",
            |json| json["images"][0]["message"] = json!("00"),
            "message",
        ),
        (
            "another key",
            |json| json["images"][0]["signatures"][0]["key_id"] = json!("00"),
            "signatures",
        ),
        (
            "no signature",
            |json| json["images"][0]["signatures"] = json!([]),
            "signatures",
        ),
        (
            "another place",
            |json| json["images"][0]["bundle"] = json!("../fw.cwfw"),
            "names of files",
        ),
    ];
    for (what, change, field) in changes {
        let desk = prepared();
        edit(&desk, change);
        let (_, err) = attach(&desk, 4, &["--key", "signer.key"]);
        assert!(err.contains(&format!("image fw: {field}")), "{what}: {err}");
        assert!(!desk.path("request/fw.cwfw").exists());
    }
}

#[test]
fn a_request_that_is_none_is_refused() {
    // docs/two-step-signing.md 3.1, 3.2
    let desk = prepared();
    let whole = desk.bytes("request/request.json");
    for end in [0, 1, whole.len() / 2, whole.len() - 3] {
        desk.put("request/request.json", &whole[..end]);
        attach(&desk, 3, &["--key", "signer.key"]);
    }
    for bytes in [&b"\x7fELF"[..], &[0xff; 100], b"[]", b"{}", b"null"] {
        desk.put("request/request.json", bytes);
        attach(&desk, 3, &["--key", "signer.key"]);
    }
    let refused: [(Change, i32, &str); 9] = [
        (
            |json| json["schema"] = json!("other"),
            3,
            "the schema is not",
        ),
        (|json| json["version"] = json!(2), 3, "of version 2"),
        (|json| json["images"] = json!([]), 3, "0 images"),
        (|json| json["more"] = json!(1), 3, "unknown field"),
        (
            |json| json["images"][0]["name"] = json!("../fw"),
            2,
            "../fw",
        ),
        (|json| json["images"][0]["name"] = json!(".fw"), 2, ".fw"),
        (
            |json| json["images"][0]["name"] = json!(""),
            2,
            "a name for an image",
        ),
        (|json| json["images"][0]["name"] = json!("a\nb"), 2, "a\\nb"),
        (
            |json| {
                let mut twice = json["images"][0].clone();
                twice["name"] = json!("FW");
                json["images"].as_array_mut().expect("a list").push(twice);
            },
            2,
            "two images of one name",
        ),
    ];
    for (change, code, text) in refused {
        desk.put("request/request.json", &whole);
        edit(&desk, change);
        let (_, err) = attach(&desk, code, &["--key", "signer.key"]);
        assert!(err.contains(text), "{text}: {err}");
    }
    desk.put("request/request.json", &whole);
    attach(&desk, 0, &["--key", "signer.key"]);
}

#[test]
fn a_prepared_bundle_that_changed_is_refused_at_every_byte_and_every_cut() {
    // docs/two-step-signing.md 2.3
    use firmware_signing::request::{Image, Prepared, Request};
    let desk = prepared();
    let whole = desk.bytes("request/fw.prepared");
    let (request, _) = (
        Request::read(&desk.bytes("request/request.json")).expect("a request"),
        (),
    );
    let image: &Image = &request.images[0];
    let accepted =
        |bytes: &[u8]| Prepared::read(bytes).is_ok_and(|prepared| image.check(&prepared).is_ok());
    assert!(accepted(&whole));
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x20;
        assert!(!accepted(&flipped), "byte {at}");
    }
    for end in 0..whole.len() {
        assert!(!accepted(&whole[..end]), "cut at {end}");
    }
    desk.put("request/fw.prepared", &desk.bytes("fw.elf"));
    let (_, err) = attach(&desk, 3, &["--key", "signer.key"]);
    assert!(err.contains("not a bundle that `prepare` made"), "{err}");
}

#[test]
fn one_wrong_signature_keeps_all_bundles_back() {
    let desk = Desk::new();
    desk.put(
        "second.elf",
        &Elf::cortex_m(0x2100_0000, 0x2120_0000, 64, 0x2100_4000).build(),
    );
    prepare(&desk, 0, &["fw.elf", "second.elf"], &[]);
    for (name, key) in [("fw", "signer.key"), ("second", "other-signer.key")] {
        let out = format!("request/{name}.slot0.sig");
        let message = format!("request/{name}.message");
        desk.tool(
            "openssl",
            &["dgst", "-sha256", "-sign", key, "-out", &out, &message],
        );
    }
    let before = desk.files("request");
    attach(&desk, 4, &[]);
    assert_eq!(desk.files("request"), before);
}

#[test]
fn folders_made_for_bundles_that_did_not_come_are_gone_again() {
    let desk = prepared();
    openssl(&desk, "other-signer.key");
    let out = ["--out-dir", "made/release"];
    attach(&desk, 4, &out);
    assert!(!desk.path("made").exists());
    // What was there already, empty or not, is somebody's.
    fs::create_dir(desk.path("made")).expect("a folder");
    attach(&desk, 4, &out);
    assert!(desk.files("made").is_empty());
    openssl(&desk, "signer.key");
    attach(&desk, 0, &out);
    assert_eq!(desk.files("made/release"), ["fw.cwfw"]);
}

#[test]
fn outputs_are_not_overwritten_without_force() {
    let desk = prepared();
    prepare(&desk, 8, &["fw.elf"], &[]);
    prepare(&desk, 0, &["fw.elf"], &["--force"]);
    attach(&desk, 0, &["--key", "signer.key"]);
    attach(&desk, 8, &["--key", "signer.key"]);
    attach(&desk, 0, &["--key", "signer.key", "--force"]);
    // The folder of the ELFs is no place to lose one in.
    fs::copy(desk.path("fw.elf"), desk.path("request/fw.prepared")).expect("copied");
    let elves = ["fw.elf", "request/fw.prepared"];
    let (_, err) = prepare(&desk, 8, &elves, &["--force"]);
    assert!(err.contains("the output is the input"), "{err}");
    let prepared = desk.bytes("request/fw.prepared");
    assert_eq!(prepared, desk.bytes("fw.elf"));
}

#[test]
fn what_a_device_would_refuse_is_not_prepared() {
    let desk = Desk::new();
    for (bytes, code) in [
        (Vec::new(), 3),
        (b"not an ELF".to_vec(), 3),
        (desk.bytes("fw.elf")[..300].to_vec(), 3),
        (
            Elf::cortex_m(0x4000_0000, 0x2120_0000, 64, 0x2100_4000).build(),
            5,
        ),
    ] {
        desk.put("bad.elf", &bytes);
        prepare(&desk, code, &["fw.elf", "bad.elf"], &[]);
        assert!(!desk.path("request").exists());
    }
    desk.sign("fw.elf", "fw.cwfw", &[]);
    prepare(&desk, 8, &["fw.cwfw"], &[]);
    prepare(&desk, 7, &["absent.elf"], &[]);
    // The chain is judged before anybody walks to the token, and so is the version.
    let platform = platform();
    let base = [
        "prepare",
        "fw.elf",
        "--out-dir",
        "request",
        "--root",
        "root.pem",
    ];
    let certs = |leaf, ca| ["--cert", leaf, "--cert", ca, "--security-version"];
    let (ours, theirs) = (
        certs("signer.pem", "ca.pem"),
        certs("other-signer.pem", "other-ca.pem"),
    );
    for (certificates, version, code) in [(theirs, "3", 5), (ours, "10", 5)] {
        let all = [&base[..], &certificates, &[version]].concat();
        desk.expect(code, &with_platform(&all, &platform));
    }
    let two = [&base[..], &["--cert", "other-signer.pem"], &ours, &["3"]].concat();
    let (_, err) = desk.expect(2, &with_platform(&two, &platform));
    assert!(err.contains("more than one signer"), "{err}");
}

#[test]
fn what_nobody_asked_for_is_refused_and_not_left_aside() {
    let desk = prepared();
    let second = ["--key", "signer.key", "--second-key", "other-signer.key"];
    let (_, err) = attach(&desk, 2, &second);
    assert!(err.contains("prepared for one signature"), "{err}");
    let (_, err) = attach(&desk, 2, &["--key", "signer.key", "--signatures", "."]);
    assert!(err.contains("keys sign all of it"), "{err}");
}

#[test]
fn images_of_one_name_and_names_that_are_no_file_names_are_refused() {
    let desk = Desk::new();
    fs::create_dir(desk.path("more")).expect("a folder");
    for name in ["more/FW.elf", "a b.elf"] {
        fs::copy(desk.path("fw.elf"), desk.path(name)).expect("copied");
    }
    let (_, err) = prepare(&desk, 2, &["fw.elf", "more/FW.elf"], &[]);
    assert!(err.contains("two images of one name (FW)"), "{err}");
    let (_, err) = prepare(&desk, 2, &["a b.elf"], &[]);
    assert!(err.contains("(a b)"), "{err}");
}

#[test]
fn the_reports_name_their_schemas() {
    let desk = Desk::new();
    let platform = platform();
    let all = [&["prepare", "fw.elf", "--out-dir", "request"][..], &CHAIN].concat();
    let json = desk.json(0, &with_platform(&all, &platform));
    assert_eq!(json["schema"], "corewarden-sign/prepare");
    assert_eq!(json["images"][0]["name"], "fw");
    let digest = json["images"][0]["digest"].clone();
    let json = desk.json(
        0,
        &["attach", "request/request.json", "--key", "signer.key"],
    );
    assert_eq!(json["schema"], "corewarden-sign/attach");
    assert_eq!(json["bundles"][0]["digest"], digest);
    let json = desk.json(
        8,
        &["attach", "request/request.json", "--key", "signer.key"],
    );
    assert_eq!(json["schema"], "corewarden-sign/failure");
}

#[test]
fn several_requests_become_bundles_in_one_go() {
    let desk = Desk::new();
    let platform = platform();
    fs::copy(desk.path("fw.elf"), desk.path("second.elf")).expect("copied");
    for (elf, folder) in [
        ("fw.elf", "one"),
        ("second.elf", "two"),
        ("fw.elf", "three"),
    ] {
        let all = [&["prepare", elf, "--out-dir", folder][..], &CHAIN].concat();
        desk.expect(0, &with_platform(&all, &platform));
    }
    let attach = [
        "attach",
        "--out-dir",
        "out",
        "--key",
        "signer.key",
        "one/request.json",
    ];
    desk.expect(0, &[&attach[..], &["two/request.json"]].concat());
    assert_eq!(desk.files("out"), ["fw.cwfw", "second.cwfw"]);
    // Two images for one file.
    desk.expect(
        2,
        &[&attach[..], &["three/request.json", "--force"]].concat(),
    );
}

#[test]
fn a_ceremony_of_200_images_is_one_request_one_run_and_one_login() {
    let desk = Desk::new();
    token(&desk);
    let names: Vec<String> = (0..200).map(|index| format!("image{index}.elf")).collect();
    for (index, name) in names.iter().enumerate() {
        let elf = Elf::cortex_m(0x2100_0000, 0x2120_0000, 16 + 2 * index, 0x2100_4000);
        desk.put(name, &elf.build());
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    prepare(&desk, 0, &names, &[]);
    // OpenSC's spy stands before SoftHSM and writes down every call.
    let key = "pkcs11:token=desk;object=signer?module-name=pkcs11-spy";
    let start = Instant::now();
    let output = desk
        .command(&[&ATTACH[..], &["--key", key, "--root", "root.pem"]].concat())
        .env("SOFTHSM2_CONF", desk.path("softhsm2.conf"))
        .env("COREWARDEN_PIN", "1234")
        .env("PKCS11SPY", MODULE)
        .env("PKCS11SPY_OUTPUT", desk.path("calls"))
        .output()
        .expect("it runs");
    let time = start.elapsed();
    let talk = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{talk}");
    assert_eq!(desk.files("request").len(), 3 * 200 + 1);
    let calls = String::from_utf8_lossy(&desk.bytes("calls")).into_owned();
    let count = |name: &str| calls.lines().filter(|line| line.ends_with(name)).count();
    assert_eq!(count(": C_OpenSession"), 1);
    assert_eq!(count(": C_Login"), 1);
    assert_eq!(count(": C_SignInit"), 200);
    // The hard figure is measured by `cargo xtask bench`; this notices only what grows without bound.
    assert!(time < Duration::from_secs(120), "{time:?}");
    println!("200 images attached in {time:?}");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
