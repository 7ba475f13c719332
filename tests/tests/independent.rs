//! An independent reader: a Python script, written from docs/bundle-format.md alone, agrees with us on every bundle.

use std::{fs, path::Path, process::Command};

use firmware_signing::{
    Options,
    elf::Image,
    inspect,
    key::Algorithm,
    sample::{Chain, Elf},
    sign,
    sign::{Signed, Slot, sign_in_parts},
};
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

#[test]
fn python_verifies_bundles_of_every_algorithm_and_of_two_slots() {
    use Algorithm::{EcdsaP256, EcdsaP384, Ed25519};
    for algorithms in [
        &[[EcdsaP384; 3]][..],
        &[[Ed25519; 3]],
        &[[EcdsaP384, Ed25519, EcdsaP256]],
        &[[EcdsaP256; 3], [EcdsaP384; 3]],
        &[
            [EcdsaP384, EcdsaP384, Ed25519],
            [Ed25519, Ed25519, EcdsaP256],
        ],
    ] {
        let folder = TempDir::new().expect("a folder");
        let (bundle, chains) = signed_by(algorithms);
        let roots: Vec<&[u8]> = chains.iter().map(|chain| chain.root.0.der()).collect();
        let answers = judge_by(folder.path(), &roots, std::slice::from_ref(&bundle));
        assert_eq!(
            answers[0].get("refused"),
            None,
            "{algorithms:?}: {answers:?}"
        );
        let signers = answers[0]["signers"].as_array().expect("signers");
        assert_eq!(signers.len(), algorithms.len());
        for (slot, (signer, chain)) in signers.iter().zip(algorithms).enumerate() {
            assert_eq!(signer["slot"], slot);
            let number = Algorithm::ALL.iter().position(|one| *one == chain[2]);
            assert_eq!(signer["algorithm"], number.expect("one of ours") + 1);
        }
        let inspect::Found::Bundle(ours) = inspect::inspect(&bundle).expect("a bundle") else {
            panic!("no bundle");
        };
        let digest: String = ours
            .digest
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(answers[0]["digest"], digest.as_str());

        // Certificates, signatures and footer matter, and so do the roots and their order.
        let trailer = bundle.len() - 64 - 640 * algorithms.len()..bundle.len();
        let flipped: Vec<_> = trailer
            .step_by(7)
            .map(|at| {
                let mut bundle = bundle.clone();
                bundle[at] ^= 0x10;
                bundle
            })
            .collect();
        for (index, answer) in judge_by(folder.path(), &roots, &flipped).iter().enumerate() {
            assert!(
                answer["refused"].is_string(),
                "{algorithms:?}, {index}: {answer}"
            );
        }
        if let [first, second] = roots[..] {
            for wrong in [&[second, first][..], &[first, first], &[first]] {
                let answers = judge_by(folder.path(), wrong, std::slice::from_ref(&bundle));
                assert!(answers[0]["refused"].is_string(), "{answers:?}");
            }
        }
    }
}

/// A bundle signed in one slot or two by fresh chains of these algorithms.
fn signed_by(algorithms: &[[Algorithm; 3]]) -> (Vec<u8>, Vec<Chain>) {
    let platform: Platform =
        tests::images::platform(&workspace().join("ta/platforms/qemu-virt.toml"))
            .expect("a platform file");
    let class = platform.device_class().bytes();
    let chains: Vec<Chain> = algorithms
        .iter()
        .map(|one| Chain::development_of(*one, &[0], &[class], 9).expect("a chain"))
        .collect();
    let certificates: Vec<_> = chains.iter().map(Chain::certificates).collect();
    let slots: Vec<Slot<'_>> = (0..)
        .zip(chains.iter().zip(&certificates))
        .map(|(number, (chain, certificates))| Slot {
            number,
            signer: &chain.leaf.1,
            certificates,
        })
        .collect();
    let roots: Vec<(u8, &[u8])> = (0..)
        .zip(chains.iter().map(|chain| chain.root.0.der()))
        .collect();
    let options = Options {
        platform: &platform,
        cores: &[0],
        security_version: 3,
        display_version: "1.4.0-rc2",
        build_id: None,
        sbom: None,
        keep_all: false,
        at: None,
        roots: &roots,
    };
    let elf = Elf::qemu_virt().build();
    let bundle = sign_in_parts(&elf, &options, &slots).map(Signed::into_bytes);
    (bundle.expect("signed"), chains)
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
    judge_by(folder, &[root], bundles)
}

/// The same with a root for each slot.
fn judge_by(folder: &Path, roots: &[&[u8]], bundles: &[Vec<u8>]) -> Vec<Value> {
    let mut names = Vec::new();
    for (slot, root) in roots.iter().enumerate() {
        let name = format!("root{slot}.der");
        fs::write(folder.join(&name), root).expect("written");
        names.push(name);
    }
    let mut command = Command::new("/usr/bin/python3");
    command
        .arg(workspace().join("tests/independent/verify_bundle.py"))
        .arg(names.join(","))
        .current_dir(folder);
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
