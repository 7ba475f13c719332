//! Every command that the documents show is run.

use std::{collections::BTreeSet, fs, path::Path};

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
        trycmd::cargo::cargo_bin("corewarden-sign"),
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
