//! An independent reader: a Python script, written from docs/bundle-format.md alone, agrees with us on every bundle.

use std::{fs, path::Path, process::Command};

use firmware_signing::{Options, elf::Image, inspect, sample::Chain, sample::Elf, sign};
use platform::Platform;
use serde_json::Value;
use tempfile::TempDir;
use tests::images::workspace;

#[test]
fn python_verifies_a_bundle_and_reads_the_same_in_it() {
    let folder = TempDir::new().expect("a folder");
    let (bundle, root) = signed();
    let answers = judge(folder.path(), &root, std::slice::from_ref(&bundle));
    let [answer] = &answers[..] else {
        panic!("one answer: {answers:?}")
    };
    assert_eq!(answer.get("refused"), None, "{answer}");
    let inspect::Found::Bundle(ours) = inspect::inspect(&bundle).expect("a bundle") else {
        panic!("no bundle");
    };
    let digest: String = ours
        .digest
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(answer["digest"], digest.as_str());
    assert_eq!(answer["security_version"], ours.manifest.security_version());
    assert_eq!(answer["display_version"], ours.manifest.display_version());
    assert_eq!(answer["entry"], ours.manifest.entry());
    let cores: Vec<_> = ours.manifest.core_ids().map(Value::from).collect();
    assert_eq!(answer["cores"], Value::Array(cores));
    let elf = Elf::qemu_virt().build();
    let image = Image::parse(&elf).expect("an ELF");
    let segments = answer["segments"].as_array().expect("segments");
    assert_eq!(segments.len(), image.segments().len());
    for (theirs, ours) in segments.iter().zip(image.segments()) {
        assert_eq!(theirs["address"], ours.address);
        assert_eq!(theirs["memory_size"], ours.memory_size);
        assert_eq!(theirs["file_offset"], ours.file.start);
        assert_eq!(theirs["file_size"], ours.file.len());
    }
}

#[test]
fn python_refuses_flipped_cut_and_foreign_bundles() {
    let folder = TempDir::new().expect("a folder");
    let (bundle, root) = signed();
    let flipped = (0..bundle.len()).step_by(5).map(|at| {
        let mut bundle = bundle.clone();
        bundle[at] ^= 1 << (at % 8);
        bundle
    });
    let cut = (0..bundle.len())
        .step_by(97)
        .map(|end| bundle[..end].to_vec());
    let bad: Vec<_> = flipped.chain(cut).collect();
    let answers = judge(folder.path(), &root, &bad);
    assert_eq!(answers.len(), bad.len());
    for (index, answer) in answers.iter().enumerate() {
        assert!(answer["refused"].is_string(), "{index}: {answer}");
    }
    let (_, foreign) = signed();
    let answers = judge(folder.path(), &foreign, &[bundle]);
    assert_eq!(answers[0]["refused"], "11.3");
}

/// A bundle of a fresh chain, and the chain's root.
fn signed() -> (Vec<u8>, Vec<u8>) {
    let platform: Platform =
        tests::images::platform(&workspace().join("ta/platforms/qemu-virt.toml"))
            .expect("a platform file");
    let class = platform.device_class().bytes();
    let chain = Chain::development(&[0], &[class], 9).expect("a chain");
    let root = chain.root.0.der().to_vec();
    let options = Options {
        platform: &platform,
        cores: &[0],
        security_version: 3,
        display_version: "1.4.0-rc2",
        build_id: Some(&[0xb1; 20]),
        sbom: None,
        keep_all: false,
        at: None,
        roots: &[(0, &root)],
    };
    let elf = Elf::qemu_virt().build();
    let bundle = sign(&elf, &options, &chain.leaf.1, &chain.certificates()).expect("signed");
    (bundle, root)
}

/// The script's answers, a line of JSON for each bundle.
fn judge(folder: &Path, root: &[u8], bundles: &[Vec<u8>]) -> Vec<Value> {
    let root_file = folder.join("root.der");
    fs::write(&root_file, root).expect("written");
    let mut command = Command::new("/usr/bin/python3");
    command
        .arg(workspace().join("tests/independent/verify_bundle.py"))
        .arg(root_file);
    for (index, bundle) in bundles.iter().enumerate() {
        let path = folder.join(index.to_string());
        fs::write(&path, bundle).expect("written");
        command.arg(path);
    }
    let output = command.output().expect("python starts");
    let talk = String::from_utf8_lossy(&output.stderr);
    assert_eq!(talk, "", "the script itself does not fail");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}
