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
    let mut claims = 0;
    for (table, others, features) in [(SIGNING, 8, 38), (ENGINES, 3, 26)] {
        let rows = rows(table);
        assert_eq!(rows.len(), features, "{table}a row for each feature");
        for cells in &rows {
            let [number, feature, ours, theirs @ ..] = &cells[..] else {
                panic!("{cells:?}")
            };
            assert_eq!(
                theirs.len(),
                others,
                "{table}row {number}: one cell for each of the others"
            );
            let Some(proofs) = ours.strip_prefix("yes: ") else {
                assert_eq!(ours, "no", "{table}row {number}: yes with a test, or no");
                continue;
            };
            claims += 1;
            let named: Vec<_> = proofs.split('`').skip(1).step_by(2).collect();
            assert!(
                !named.is_empty(),
                "{table}row {number} ({feature}) names no test"
            );
            for test in named {
                assert!(
                    tests.contains(test),
                    "{table}row {number} ({feature}): no test {test}"
                );
            }
        }
    }
    assert!(claims > 40, "the tables were read");
}

#[test]
fn every_figure_of_the_comparison_names_what_measures_it() {
    let bench = workspace().join("tools/bench/src");
    let measured: String = ["footprint.rs", "rpmsg.rs"]
        .map(|file| fs::read_to_string(bench.join(file)).expect("the figures' source"))
        .concat();
    let rows = rows(FIGURES);
    assert_eq!(rows.len(), 6, "a row for each figure");
    for cells in &rows {
        let [number, _, ours, others @ ..] = &cells[..] else {
            panic!("{cells:?}")
        };
        assert_eq!(
            others.len(),
            2,
            "row {number}: one cell for each of the others"
        );
        let (figure, name) = ours.split_once(" (`").expect("a figure and its name");
        for part in figure.split(" / ") {
            assert!(part.parse::<u32>().is_ok(), "row {number}: {figure}");
        }
        let name = name.strip_suffix("`)").expect("a name between backticks");
        assert!(
            measured.contains(&format!("name: \"{name}\"")),
            "row {number}: nothing measures {name}"
        );
    }
}

/// The rows of the table whose heading begins so.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(workspace().join("docs/comparison.md")).expect("the document");
    text.lines()
        .skip_while(|line| !line.starts_with(heading))
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .filter(|line| line.starts_with("| "))
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
    for folder in ["formats", "firmware-signing", "host", "tests/tests"] {
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

const SIGNING: &str = "| # | feature |";
const ENGINES: &str = "| # | what a hostile peer does, and what is offered |";
const FIGURES: &str = "| # | figure |";
