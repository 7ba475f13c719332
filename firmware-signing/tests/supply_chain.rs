//! What ties a bundle to its makers: SBOM digest and provenance.

mod desk;

use desk::{CHAIN, Desk, platform, with_platform};
use ring::digest::{SHA256, SHA384, digest};
use serde_json::Value;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const SIGN: [&str; 6] = ["sign", "fw.elf", "--out", "fw.cwfw", "--key", "signer.key"];

fn sign(desk: &Desk, code: i32, more: &[&str]) -> (String, String) {
    let all = [&SIGN[..], &CHAIN, more].concat();
    let platform = platform();
    desk.expect(code, &with_platform(&all, &platform))
}

#[test]
fn the_sbom_of_a_bundle_is_told_by_its_digest() {
    let desk = Desk::new();
    desk.put("sbom.json", b"{\"bomFormat\":\"CycloneDX\"}");
    sign(&desk, 0, &["--sbom", "sbom.json"]);
    let bundle = desk.bytes("fw.cwfw");
    let trailer = firmware_bundle::Trailer::of(&firmware_bundle::File {
        length: bundle.len() as u64,
        head: &bundle,
        tail: &bundle,
    });
    let manifest = trailer.expect("a trailer").unverified_manifest();
    let manifest = manifest.expect("a manifest");
    let sbom = digest(&SHA384, &desk.bytes("sbom.json"));
    assert_eq!(manifest.sbom().map(|one| one.bytes()), Some(sbom.as_ref()));
    let platform = platform();
    desk.expect(
        0,
        &with_platform(&["verify", "fw.cwfw", "--root", "root.pem"], &platform),
    );
    desk.put("sbom.json", b"");
    sign(&desk, 3, &["--sbom", "sbom.json", "--force"]);
    sign(&desk, 7, &["--sbom", "absent.json", "--force"]);
}

const PROVENANCE: [&str; 4] = [
    "--provenance",
    "fw.intoto.json",
    "--builder-id",
    "https://ci.example/runner/7",
];

#[test]
fn provenance_names_image_elf_and_builder_and_no_time() {
    let desk = Desk::new();
    desk.put("sbom.json", b"{}");
    sign(
        &desk,
        0,
        &[&PROVENANCE[..], &["--sbom", "sbom.json"]].concat(),
    );
    let first = desk.bytes("fw.intoto.json");
    let json: Value = serde_json::from_slice(&first).expect("JSON");
    assert_eq!(json["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(json["predicateType"], "https://slsa.dev/provenance/v1");
    let sha256 = |name: &str| hex(digest(&SHA256, &desk.bytes(name)).as_ref());
    assert_eq!(json["subject"][0]["name"], "fw.cwfw");
    assert_eq!(json["subject"][0]["digest"]["sha256"], sha256("fw.cwfw"));
    let build = &json["predicate"]["buildDefinition"];
    let inputs = &build["resolvedDependencies"];
    assert_eq!(inputs[0]["name"], "fw.elf");
    assert_eq!(inputs[0]["digest"]["sha256"], sha256("fw.elf"));
    let sbom = digest(&SHA384, &desk.bytes("sbom.json"));
    assert_eq!(inputs[1]["name"], "sbom.json");
    assert_eq!(inputs[1]["digest"]["sha384"], hex(sbom.as_ref()));
    assert_eq!(build["externalParameters"]["securityVersion"], 3);
    let run = &json["predicate"]["runDetails"];
    assert_eq!(run["builder"]["id"], "https://ci.example/runner/7");
    assert!(run.get("metadata").is_none(), "no time unless it is given");
    // The same build says the same.
    sign(
        &desk,
        0,
        &[&PROVENANCE[..], &["--sbom", "sbom.json", "--force"]].concat(),
    );
    assert_eq!(desk.bytes("fw.intoto.json"), first);
    let timed = [
        &PROVENANCE[..],
        &["--build-time", "2026-11-20T12:00:00Z", "--force"],
    ]
    .concat();
    sign(&desk, 0, &timed);
    let json: Value = serde_json::from_slice(&desk.bytes("fw.intoto.json")).expect("JSON");
    let metadata = &json["predicate"]["runDetails"]["metadata"];
    assert_eq!(metadata["startedOn"], "2026-11-20T12:00:00Z");
}

#[test]
fn provenance_is_complete_and_overwrites_nothing() {
    let desk = Desk::new();
    sign(&desk, 2, &["--provenance", "fw.intoto.json"]);
    sign(&desk, 2, &["--builder-id", "https://ci.example"]);
    for id in ["nobody", "a b:c", ":x", "https:"] {
        let (_, err) = sign(&desk, 2, &["--provenance", "p.json", "--builder-id", id]);
        assert!(err.contains("URI"), "{err}");
    }
    desk.put("fw.intoto.json", b"kept");
    sign(&desk, 8, &PROVENANCE);
    assert_eq!(desk.bytes("fw.intoto.json"), b"kept");
    assert!(!desk.path("fw.cwfw").exists(), "neither without the other");
    let onto_elf = ["--provenance", "fw.elf", "--builder-id", "urn:x", "--force"];
    sign(&desk, 8, &onto_elf);
    let onto_bundle = [
        "--provenance",
        "fw.cwfw",
        "--builder-id",
        "urn:x",
        "--force",
    ];
    sign(&desk, 8, &onto_bundle);
}
