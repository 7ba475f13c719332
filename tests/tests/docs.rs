//! Every command that the documents show is run.

use std::{collections::BTreeSet, fs, os::unix::fs::symlink, path::Path, process::Command};

/// Commands that stand in the documents and are not run by this test, each with its reason.
const EXCEPTIONS: &[(&str, &str)] = &[
    (
        "cargo xtask demo",
        "needs QEMU: the figure demo_warm runs it at the end of the check",
    ),
    ("cargo xtask check", "is what runs this test"),
];

#[test]
fn console_blocks_do_what_they_show() {
    let cases = trycmd::TestCases::new();
    cases.register_bin("cargo", trycmd::schema::Bin::Ignore);
    cases.register_bin(
        "corewarden-sign",
        trycmd::cargo::cargo_bin("corewarden-sign-shown"),
    );
    for document in documents() {
        cases.case(document);
    }
    cases.run();
}

#[test]
fn commands_that_are_not_run_are_exceptions_with_a_reason() {
    let shown: BTreeSet<_> = documents()
        .iter()
        .flat_map(|document| commands(&fs::read_to_string(document).expect("a document")))
        .filter(|command| command.starts_with("cargo "))
        .collect();
    let allowed: BTreeSet<_> = EXCEPTIONS
        .iter()
        .map(|(command, _)| (*command).to_owned())
        .collect();
    assert_eq!(shown, allowed, "the list of exceptions is exact");
}

#[test]
fn the_signing_commands_of_the_readme_sign_a_firmware() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a workspace");
    let readme = fs::read_to_string(workspace.join("README.md")).expect("the README");
    let (_, behind) = readme.split_once("```sh\n").expect("a block of commands");
    let (script, _) = behind.split_once("```").expect("its end");
    // What the first line builds, the run of this test has built.
    let script = script.replace("cargo build -p firmware-signing\n", "");
    let folder = tempfile::tempdir().expect("a folder");
    let place = |name: &str| folder.path().join(name);
    for name in ["keys", "ta"] {
        symlink(workspace.join(name), place(name)).expect("a link");
    }
    fs::create_dir_all(place("target/debug")).expect("a folder");
    let program = trycmd::cargo::cargo_bin("corewarden-sign-shown");
    symlink(program, place("target/debug/corewarden-sign")).expect("a link");
    let platform = tests::images::platform(&workspace.join("ta/platforms/qemu-virt.toml"));
    let elf = simulator::firmware(&platform.expect("a platform file")).expect("core 0");
    fs::write(place("motor.elf"), elf).expect("a file");
    let output = Command::new("bash")
        .args(["-euc", &script])
        .current_dir(folder.path())
        .output()
        .expect("bash starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let bundle = fs::read(place("motor.cwfw")).expect("the bundle");
    assert!(bundle.ends_with(b"CWFW"), "a bundle's last bytes");
}

#[test]
fn the_commands_of_the_signers_guide_run_in_their_order() {
    let workspace = tests::images::workspace();
    let guide = fs::read_to_string(workspace.join("docs/corewarden-sign.md")).expect("the guide");
    let blocks: Vec<_> = guide
        .split("```sh\n")
        .skip(1)
        .filter_map(|behind| behind.split("```").next())
        .collect();
    assert!(blocks.len() > 5, "the blocks were found");
    let folder = tempfile::tempdir().expect("a folder");
    let elf = firmware_signing::sample::Elf::qemu_virt().build();
    fs::write(folder.path().join("motor.elf"), elf).expect("a file");
    let platform = workspace.join("ta/platforms/qemu-virt.toml");
    fs::copy(platform, folder.path().join("board.toml")).expect("a file");
    fs::create_dir(folder.path().join("bin")).expect("a folder");
    let program = trycmd::cargo::cargo_bin("corewarden-sign-shown");
    symlink(program, folder.path().join("bin/corewarden-sign")).expect("a link");
    let path = format!("{}/bin:/usr/bin:/bin", folder.path().display());
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &blocks.concat()])
        .current_dir(folder.path())
        .env_clear()
        .env("PATH", path)
        .output()
        .expect("bash starts");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn documents() -> Vec<String> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut documents: Vec<_> = [
        "README.md",
        "DESIGN.md",
        "SECURITY.md",
        "CONTRIBUTING.md",
        "keys/README.md",
    ]
    .map(|name| workspace.join(name))
    .into();
    for entry in fs::read_dir(workspace.join("docs")).expect("docs") {
        documents.push(entry.expect("a readable folder").path());
    }
    documents.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    documents
        .iter()
        .map(|path| path.display().to_string())
        .collect()
}

/// The lines that begin with `$ ` inside console blocks.
fn commands(text: &str) -> Vec<String> {
    let mut inside = false;
    let mut commands = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line.starts_with("```console");
        } else if inside && let Some(command) = line.strip_prefix("$ ") {
            commands.push(command.to_owned());
        }
    }
    commands
}
