//! Every rule of docs/rpmsg-lifecycle.md is cited by code and by a test.

use std::path::Path;
use std::{fs, iter};

#[test]
fn every_rule_of_the_life_cycle_is_cited_by_code_and_by_a_test() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(here.join("../../docs/rpmsg-lifecycle.md")).unwrap();
    let rules: Vec<u32> = text
        .lines()
        .filter_map(|line| line.strip_prefix("**L")?.split_once(".**")?.0.parse().ok())
        .collect();
    assert_eq!(rules, (1..=15).collect::<Vec<_>>());
    let code = sources(&here.join("src"));
    let tests = sources(&here.join("tests"));
    for rule in rules {
        let cited = code
            .split(|letter: char| !letter.is_ascii_alphanumeric())
            .any(|word| word == format!("L{rule}"));
        assert!(cited, "no code cites L{rule}");
        assert!(
            tests.contains(&format!("fn l{rule}_")),
            "no test of L{rule}"
        );
    }
}

fn sources(folder: &Path) -> String {
    let mut folders = vec![folder.to_owned()];
    let files = iter::from_fn(|| {
        let folder = folders.pop()?;
        let mut text = String::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                text.push_str(&fs::read_to_string(path).unwrap());
            }
        }
        Some(text)
    });
    files.collect()
}
