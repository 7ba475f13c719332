//! The proofs that docs/traceability.md names are tests and figures of this tree, each one and no other.
//!
//! Whether they ran and passed is judged by `cargo xtask check`, at its end; this says at its beginning what is not even
//! written.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

#[test]
fn every_proof_is_one_test_or_one_figure_of_the_tree() {
    let found = found();
    assert!(found.len() > 500, "only {} tests found", found.len());
    let document = document();
    let proofs = proofs(&document);
    assert!(proofs.len() > 200, "only {} proofs found", proofs.len());
    let wrong: Vec<_> = proofs
        .iter()
        .filter(|proof| found.get(**proof).is_none_or(|places| places.len() != 1))
        .map(|proof| (proof, found.get(*proof)))
        .collect();
    assert!(
        wrong.is_empty(),
        "proofs of docs/traceability.md that are no test, or several: {wrong:#?}"
    );
}

#[test]
fn every_end_to_end_test_and_every_figure_proves_something() {
    let document = document();
    let proofs = proofs(&document);
    let idle: Vec<_> = end_to_end()
        .into_iter()
        .chain(figures())
        .map(|(name, _)| name)
        .filter(|name| !proofs.contains(name.as_str()))
        .collect();
    assert!(
        idle.is_empty(),
        "docs/traceability.md does not say what these prove: {idle:#?}"
    );
}

#[test]
fn every_row_has_a_promise_a_source_and_a_proof() {
    for line in document().lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 3, "{line}");
        assert!(cells.iter().all(|cell| !cell.is_empty()), "{line}");
    }
}

#[test]
fn every_row_of_the_life_cycle_names_tests_that_are_there() {
    let found = found();
    let document = read(&workspace().join("docs/rpmsg-lifecycle.md"));
    let (_, table) = document
        .split_once("| event |")
        .expect("the table of who does what when");
    let rows: Vec<_> = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert!(rows.len() > 15, "only {} rows", rows.len());
    for row in rows {
        let tests = proofs(row);
        assert!(!tests.is_empty(), "no test: {row}");
        for test in tests {
            let places = found.get(test).map_or(0, Vec::len);
            assert_eq!(places, 1, "{test}, of {row}");
        }
    }
}

fn document() -> String {
    fs::read_to_string(workspace().join("docs/traceability.md")).expect("the document")
}

/// What stands between backticks in the last column of each table.
fn proofs(document: &str) -> BTreeSet<&str> {
    document
        .lines()
        .filter(|line| line.starts_with('|') && !line.starts_with("|---"))
        .filter_map(|line| line.trim_end_matches('|').rsplit('|').next())
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect()
}

/// Every name that may be a proof, with the files that have it.
fn found() -> BTreeMap<String, Vec<PathBuf>> {
    let mut found: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for (name, place) in tests().into_iter().chain(end_to_end()).chain(figures()) {
        found.entry(name).or_default().push(place);
    }
    found
}

/// The functions behind `#[test]` and `#[tokio::test]`, in crates that `cargo test` tests.
fn tests() -> Vec<(String, PathBuf)> {
    let mut tests = Vec::new();
    for folder in [
        "formats",
        "ta/core",
        "host",
        "firmware-signing",
        "tools",
        "tests",
    ] {
        for file in rust_files(&workspace().join(folder)) {
            let mut marked = false;
            for line in read(&file).lines() {
                let line = line.trim();
                marked |= line == "#[test]" || line.starts_with("#[tokio::test");
                if let Some(name) = function(line).filter(|_| marked) {
                    tests.push((name.to_owned(), file.clone()));
                    marked = false;
                }
            }
        }
    }
    tests
}

/// The names in the `tests![..]` lists of the end-to-end tests.
fn end_to_end() -> Vec<(String, PathBuf)> {
    let mut tests = Vec::new();
    for file in rust_files(&workspace().join("tests/src/scenarios")) {
        for list in read(&file).split("tests![").skip(1) {
            let names = list.split(']').next().unwrap_or_default();
            let names = names
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty());
            tests.extend(names.map(|name| (name.to_owned(), file.clone())));
        }
    }
    tests
}

/// The names of the figures, and of the trials of packages.
fn figures() -> Vec<(String, PathBuf)> {
    let mut figures = Vec::new();
    for file in [
        "tools/bench/src/footprint.rs",
        "tools/bench/src/lib.rs",
        "tools/bench/src/rpmsg.rs",
        "tools/bench/src/sign.rs",
        "tools/xtask/src/bench.rs",
        "tools/xtask/src/dist/trial.rs",
    ] {
        let file = workspace().join(file);
        let text = read(&file);
        let names = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("name: \"")?.strip_suffix("\","));
        figures.extend(names.map(|name| (name.to_owned(), file.clone())));
    }
    figures
}

/// The name of the function that a line begins.
fn function(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = line.strip_prefix("pub ").unwrap_or(line);
    let line = line.strip_prefix("async ").unwrap_or(line);
    line.strip_prefix("fn ")?.split(['(', '<']).next()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of the workspace") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("a source file is readable")
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
