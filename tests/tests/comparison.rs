//! docs/comparison.md claims nothing for us that no test shows.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use tests::images::workspace;

#[test]
fn every_yes_of_the_comparison_names_tests_that_exist() {
    let tests = tests();
    let rows = rows();
    assert_eq!(rows.len(), 38, "a row for each feature");
    let mut claims = 0;
    for cells in &rows {
        let [number, feature, ours, others @ ..] = &cells[..] else {
            panic!("{cells:?}")
        };
        assert_eq!(
            others.len(),
            8,
            "row {number}: one cell for each of the others"
        );
        let Some(proofs) = ours.strip_prefix("yes: ") else {
            assert_eq!(ours, "no", "row {number}: yes with a test, or no");
            continue;
        };
        claims += 1;
        let named: Vec<_> = proofs.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "row {number} ({feature}) names no test");
        for test in named {
            assert!(
                tests.contains(test),
                "row {number} ({feature}): no test {test}"
            );
        }
    }
    assert!(claims > 20, "the table was read");
}

fn rows() -> Vec<Vec<String>> {
    let text = fs::read_to_string(workspace().join("docs/comparison.md")).expect("the document");
    text.lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| # "))
        .map(|line| {
            line.trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().to_owned())
                .collect()
        })
        .collect()
}

/// The functions behind `#[test]`.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for folder in ["formats", "firmware-signing", "tests/tests"] {
        collect(&workspace().join(folder), &mut names);
    }
    names
}

fn collect(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path: PathBuf = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source file");
            let mut marked = false;
            for line in text.lines().map(str::trim) {
                marked |= line == "#[test]";
                if let Some(behind) = line.strip_prefix("fn ").filter(|_| marked) {
                    names.extend(behind.split('(').next().map(str::to_owned));
                    marked = false;
                }
            }
        }
    }
}
