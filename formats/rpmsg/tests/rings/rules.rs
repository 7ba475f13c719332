//! Every rule of the normative texts is cited by code and by a test.

use std::path::Path;
use std::{fs, iter};

/// A text, the letter before its numbers, and how many rules it has.
const TEXTS: [(&str, char, u32); 3] = [
    ("rpmsg-features.md", 'F', 13),
    ("rpmsg-lifecycle.md", 'L', 15),
    ("rpmsg-rings.md", 'R', 18),
];
/// Who keeps them.
const CRATES: [&str; 2] = ["formats/rpmsg", "host"];

#[test]
fn every_rule_of_the_texts_is_cited_by_code_and_by_a_test() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |part| CRATES.map(|name| sources(&workspace.join(name).join(part)));
    let (code, tests) = (read("src").concat(), read("tests").concat());
    for (text, letter, count) in TEXTS {
        let text = fs::read_to_string(workspace.join("docs").join(text)).unwrap();
        let number = |line: &str| {
            let rest = line.strip_prefix("**")?.strip_prefix(letter)?;
            rest.split_once(".**")?.0.parse().ok()
        };
        let rules: Vec<u32> = text.lines().filter_map(number).collect();
        assert_eq!(rules, (1..=count).collect::<Vec<_>>());
        for rule in rules {
            let cited = code
                .split(|letter: char| !letter.is_ascii_alphanumeric())
                .any(|word| word == format!("{letter}{rule}"));
            assert!(cited, "no code cites {letter}{rule}");
            let test = format!("fn {}{rule}_", letter.to_ascii_lowercase());
            assert!(tests.contains(&test), "no test of {letter}{rule}");
        }
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
