//! Help, manual pages and completions: complete, and every example in them is run.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use firmware_signing::{
    key::{Algorithm, PrivateKey},
    pki::Certificate,
    sample::{Chain, Elf, sign_rproc_fw},
};
use tempfile::TempDir;

#[test]
fn every_example_of_every_verb_does_what_it_shows() {
    let cases = trycmd::TestCases::new();
    cases.register_bin(PROGRAM, trycmd::cargo::cargo_bin(SHOWN));
    cases.env("KEY_PASSPHRASE", "correct horse battery staple");
    let folder = TempDir::new().expect("a folder");
    for verb in verbs() {
        let examples = examples(&help(&verb));
        assert!(!examples.is_empty(), "`{}` has no examples", verb.join(" "));
        for (index, example) in examples.iter().enumerate() {
            // A line that is too long is broken in two where it is shown.
            assert!(example.starts_with(PROGRAM), "{verb:?}: {example}");
            let name = format!("{}-{index}", verb.join("-"));
            let desk = folder.path().join(format!("{name}.in"));
            lay_out(&desk, example);
            let case = folder.path().join(format!("{name}.md"));
            // Any output, but the exit code of success.
            fs::write(&case, format!("```console\n$ {example}\n...\n\n```\n")).expect("a file");
            cases.case(case);
        }
    }
    cases.run();
}

#[test]
fn every_verb_has_a_manual_page_with_its_options_and_examples() {
    let folder = TempDir::new().expect("a folder");
    let written = run(folder.path(), &["man", "--out-dir", "."]);
    for verb in verbs() {
        let file = [&[PROGRAM.to_owned()], &*verb].concat().join("-") + ".1";
        assert!(written.contains(&file), "{file} is not in:\n{written}");
        let page = fs::read_to_string(folder.path().join(&file)).expect("a page");
        let printed = run(folder.path(), &[&["man"], &*refs(&verb)].concat());
        assert_eq!(page, printed, "both ways give the same page");
        assert!(page.starts_with(".ie \\n(.g"), "{file} is a page");
        // roff writes hyphens and backslashes in its own way.
        let plain = page.replace("\\-", "-").replace("\\\\", "\\");
        for example in examples(&help(&verb)) {
            let first = example.split(" --").next().expect("a word");
            assert!(plain.contains(first), "{file} lacks `{first}`");
        }
        for option in options(&help(&verb)) {
            assert!(plain.contains(&option), "{file} lacks {option}");
        }
    }
    let pages = fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(pages, verbs().len(), "a page for each verb and no other");
}

#[test]
fn pages_are_not_overwritten_and_an_unknown_verb_has_none() {
    let folder = TempDir::new().expect("a folder");
    run(folder.path(), &["man", "--out-dir", "."]);
    for (code, arguments, said) in [
        (8, &["man", "--out-dir", "."][..], "say --force"),
        (0, &["man", "--out-dir", ".", "--force"], ""),
        (2, &["man", "pki", "sing"], "no verb of this name (sing)"),
    ] {
        let output = program(folder.path()).args(arguments).output();
        let output = output.expect("it runs");
        let talk = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {talk}");
        assert!(talk.contains(said), "{arguments:?}: {talk}");
    }
}

#[test]
fn completions_of_every_shell_know_every_verb() {
    let folder = TempDir::new().expect("a folder");
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = run(folder.path(), &["completions", shell]);
        for verb in verbs() {
            let last = verb.last().map_or(PROGRAM, String::as_str);
            assert!(script.contains(last), "{shell} does not know {last}");
        }
    }
}

#[test]
fn bash_completes_the_options_of_every_verb() {
    let folder = TempDir::new().expect("a folder");
    let mut script = run(folder.path(), &["completions", "bash"]);
    for verb in verbs() {
        let words = [&[PROGRAM.to_owned()], &*verb].concat();
        script += &format!(
            "\nCOMP_WORDS=({} --) COMP_CWORD={}\n_corewarden__sign {PROGRAM} -- {}\necho ${{COMPREPLY[*]}}\n",
            words.join(" "),
            words.len(),
            words.last().map_or(PROGRAM, String::as_str)
        );
    }
    let output = Command::new("bash").args(["-c", &script]).output();
    let output = output.expect("bash runs");
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(text.lines().count(), verbs().len(), "an answer for each");
    for (verb, answer) in verbs().iter().zip(text.lines()) {
        let offered: Vec<_> = answer.split(' ').collect();
        for option in options(&help(verb)) {
            assert!(
                offered.contains(&&*option),
                "{verb:?} {option}: {offered:?}"
            );
        }
    }
}

/// The program itself as no words, then every verb with the verbs below it.
fn verbs() -> Vec<Vec<String>> {
    let mut all = vec![Vec::new()];
    let mut next = 0;
    while let Some(verb) = all.get(next).cloned() {
        let text = help(&verb);
        let (_, list) = text.split_once("\nCommands:\n").unwrap_or_default();
        for line in list.lines().take_while(|line| !line.is_empty()) {
            let name = line.split_whitespace().next().unwrap_or_default();
            let begins = line.starts_with("  ") && !line.starts_with("   ");
            if begins && name != "help" {
                all.push([&*verb, &[name.to_owned()]].concat());
            }
        }
        next += 1;
    }
    assert!(all.len() > 8, "the verbs were found: {all:?}");
    all
}

fn help(verb: &[String]) -> String {
    run(Path::new("."), &[&*refs(verb), &["--help"]].concat())
}

fn refs(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

/// The commands below `Examples:`, each on one line.
fn examples(help: &str) -> Vec<String> {
    let (_, behind) = help.split_once("Examples:\n").unwrap_or_default();
    let block: Vec<_> = behind.lines().take_while(|line| !line.is_empty()).collect();
    let joined = block.join("\n").replace("\\\n", " ");
    joined
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

/// The long options that the help lists.
fn options(help: &str) -> Vec<String> {
    let (_, behind) = help.split_once("\nOptions:\n").unwrap_or_default();
    let (list, _) = behind.split_once("\nExamples:").unwrap_or((behind, ""));
    list.lines()
        .filter(|line| line.trim_start().starts_with('-'))
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with("--")))
        .map(|word| word.trim_end_matches(['.', ',']).to_owned())
        .collect()
}

/// Everything that examples begin with, but for what this one makes.
fn lay_out(desk: &Path, example: &str) {
    fs::create_dir_all(desk.join("pages")).expect("a folder");
    let copy = |from: PathBuf, name: &str| {
        fs::copy(&from, desk.join(name)).unwrap_or_else(|error| panic!("{from:?}: {error}"));
    };
    for (file, name) in [
        ("keys/dev-root.pem", "root.pem"),
        ("keys/dev-root.key.pem", "root.key"),
        ("keys/dev-product-ca.pem", "product-ca.pem"),
        ("keys/dev-product-ca.key.pem", "product-ca.key"),
        ("keys/dev-product-ca.key.pem", "ca.pub"),
        ("keys/dev-signer.pem", "signer.pem"),
        ("keys/dev-signer.key.pem", "signer.key"),
        ("keys/dev-signer.key.pem", "signer.pub"),
        ("ta/platforms/qemu-virt.toml", "board.toml"),
        ("ta/platforms/qemu-virt-two-slots.toml", "two-slots.toml"),
    ] {
        copy(workspace().join(file), name);
    }
    for name in ["motor.elf", "pump.elf"] {
        fs::write(desk.join(name), Elf::qemu_virt().build()).expect("an ELF");
    }
    if example.contains("second") {
        second_signer(desk);
    }
    fs::write(desk.join("device.json"), device_report()).expect("a report");
    let sign = "sign motor.elf --platform board.toml --core m4 --security-version 3 --root root.pem \
                --key signer.key --cert signer.pem --cert product-ca.pem";
    run(desk, &sign.split_whitespace().collect::<Vec<_>>());
    for name in ["mine", "theirs", "development", "release", "motor-dev"] {
        let name = format!("{name}.cwfw");
        fs::copy(desk.join("motor.cwfw"), desk.join(name)).expect("a bundle");
    }
    let elf = Elf::qemu_virt().build();
    let key = fs::read(desk.join("signer.key")).expect("a key");
    let key = PrivateKey::read(&key, || Err(firmware_signing::Error::PassphraseNeeded));
    let key = key.expect("a key without a passphrase");
    let old = sign_rproc_fw(&elf, &key).expect("a file");
    fs::write(desk.join("motor.sign"), old).expect("written");
    fs::write(desk.join("old.pub"), key.public_pem().expect("PEM")).expect("written");
    let update = format!(
        "trust-update make --out update.cwtu --list-version 1 --device-class {CLASS} \
         --root root.pem --root-key root.key"
    );
    run(desk, &update.split_whitespace().collect::<Vec<_>>());
    let words: Vec<_> = example.split(' ').collect();
    let made = words
        .windows(2)
        .filter(|pair| pair[0].ends_with("out"))
        .map(|pair| pair[1])
        .chain(
            words
                .get(1)
                .filter(|verb| **verb == "sign")
                .map(|_| "motor.cwfw"),
        );
    for name in made {
        let _ = fs::remove_file(desk.join(name));
    }
    if words.get(1) == Some(&"attach") {
        lay_out_requests(desk);
        if example.contains("second") {
            let prepare = "prepare motor.elf --out-dir both --platform two-slots.toml --core m4 --security-version 3 \
                           --root root.pem --cert signer.pem --cert product-ca.pem \
                           --second-root second-root.pem --second-cert second.pem --second-cert second-ca.pem";
            run(desk, &prepare.split_whitespace().collect::<Vec<_>>());
        }
    }
}

/// Two requests, one of them with its signature.
fn lay_out_requests(desk: &Path) {
    for (elf, folder) in [("motor.elf", "request"), ("pump.elf", "pump")] {
        let prepare = format!(
            "prepare {elf} --out-dir {folder} --platform board.toml --core m4 --security-version 3 \
             --root root.pem --cert signer.pem --cert product-ca.pem"
        );
        run(desk, &prepare.split_whitespace().collect::<Vec<_>>());
    }
    fs::create_dir(desk.join("signatures")).expect("a folder");
    for signature in ["request/motor.slot0.sig", "signatures/motor.slot0.sig"] {
        let sign = ["dgst", "-sha256", "-sign", "signer.key", "-out", signature];
        let mut openssl = Command::new("openssl");
        openssl.args(sign).arg("request/motor.message");
        let done = openssl.current_dir(desk).status().expect("openssl runs");
        assert!(done.success(), "{signature}");
    }
}

/// Somebody else, with a root of their own.
fn second_signer(desk: &Path) {
    let platform = tests::images::platform(&desk.join("two-slots.toml")).expect("a platform");
    let class = platform.device_class().bytes();
    let chain = Chain::development_of([Algorithm::Ed25519; 3], &[0], &[class], 9);
    let chain = chain.expect("a chain");
    let (leaf, key) = &chain.leaf;
    for (name, certificate) in [
        ("second-root.pem", &chain.root.0),
        ("second-ca.pem", &chain.product_ca.0),
        ("second.pem", leaf),
    ] {
        fs::write(desk.join(name), certificate.to_pem().expect("text")).expect("written");
    }
    let key = key.to_pem(None).expect("text");
    fs::write(desk.join("second.key"), key.as_bytes()).expect("written");
}

/// As much of what `corewarden status --json` prints as a prediction needs.
fn device_report() -> String {
    let platform = tests::images::platform(&workspace().join("ta/platforms/qemu-virt.toml"));
    let root = fs::read(workspace().join("keys/dev-root.pem")).expect("a certificate");
    let root = Certificate::read_all(&root).expect("a certificate");
    let key = root[0].public_key().expect("a key");
    let key_id = firmware_signing::key::key_id(&key);
    let key_id: String = key_id.iter().map(|byte| format!("{byte:02x}")).collect();
    serde_json::json!({
        "schema": "corewarden.status",
        "version": 1,
        "core": 0,
        "state": "Off",
        "development": true,
        "floor": 0,
        "bundle": null,
        "trusted": { "required_slots": [0], "roots": [{ "key_id": key_id, "slot": 0 }] },
        "platform": platform.expect("a platform").file(),
    })
    .to_string()
}

fn run(folder: &Path, arguments: &[&str]) -> String {
    let output = program(folder).args(arguments).output().expect("it runs");
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {talk}");
    String::from_utf8(output.stdout).expect("text")
}

fn program(folder: &Path) -> Command {
    let mut command = Command::new(trycmd::cargo::cargo_bin(SHOWN));
    command.current_dir(folder).env_clear();
    command
}

fn workspace() -> PathBuf {
    tests::images::workspace()
}

const PROGRAM: &str = "corewarden-sign";
/// How it is called in this crate.
const SHOWN: &str = "corewarden-sign-shown";
const CLASS: &str = "b5b9a2c6-68ab-4bbc-86f4-a2a11b1f1bb1";
