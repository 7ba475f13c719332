//! Every rule of the bundle's normative text is cited by the code that keeps it and by a test that breaks it.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const DOCUMENT: &str = "bundle-format.md";
/// Where code that keeps the rules lies, and its tests.
const FOLDERS: &[&str] = &["formats", "firmware-signing", "ta/core"];

#[test]
fn every_rule_of_the_bundle_format_is_cited_by_code_and_by_a_test() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a workspace");
    let text = fs::read_to_string(workspace.join("docs").join(DOCUMENT)).expect("the document");
    let rules = rules(&text);
    assert!(rules.len() > 50, "only {} rules found", rules.len());
    let (mut code, mut tests) = (BTreeSet::new(), BTreeSet::new());
    for folder in FOLDERS {
        for file in rust_files(&workspace.join(folder)) {
            let text = fs::read_to_string(&file).expect("a source file is readable");
            let is_test = file.components().any(|part| part.as_os_str() == "tests");
            let split = if is_test {
                0
            } else {
                text.find("#[cfg(test)]").unwrap_or(text.len())
            };
            let (before, after) = text.split_at(split);
            code.extend(citations(before));
            tests.extend(citations(after));
        }
    }
    let missing =
        |cited: &BTreeSet<String>| -> Vec<_> { rules.difference(cited).cloned().collect() };
    assert_eq!(
        missing(&code),
        Vec::<String>::new(),
        "rules that no code cites"
    );
    assert_eq!(
        missing(&tests),
        Vec::<String>::new(),
        "rules that no test cites"
    );
}

#[test]
fn a_citation_may_name_several_rules() {
    let text =
        "// bundle-format.md 7.6, 7.7 and 8.1\n// other.md 1.1\n// bundle-format.md 2.1 to 2.3";
    let expected: BTreeSet<_> = ["7.6", "7.7", "8.1", "2.1", "2.2", "2.3"]
        .map(str::to_owned)
        .into();
    assert_eq!(citations(text), expected);
}

/// The numbers of the rules: what stands bold at the beginning of a line.
fn rules(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter_map(|line| line.strip_prefix("**")?.split_once("**"))
        .map(|(number, _)| number)
        .filter(|number| parse(number).is_some())
        .map(str::to_owned)
        .collect()
}

/// The rules that a text cites as `bundle-format.md N.N`, with `, N.N`, ` and N.N` and ` to N.N` behind it.
fn citations(text: &str) -> BTreeSet<String> {
    let mut cited = BTreeSet::new();
    for behind in text.split(DOCUMENT).skip(1) {
        let mut last = None;
        let mut range = false;
        for word in behind.split_whitespace() {
            match word {
                "and" | "or" => continue,
                "to" => {
                    range = true;
                    continue;
                }
                _ => {}
            }
            let ends = !word.ends_with(',');
            let Some((section, rule)) =
                parse(word.trim_end_matches([',', '.', ':', ';', ')', '"', '`']))
            else {
                break;
            };
            let first = match last {
                Some((from, start)) if range && from == section => start,
                _ => rule,
            };
            cited.extend((first..=rule).map(|rule| format!("{section}.{rule}")));
            (last, range) = (Some((section, rule)), false);
            if ends && !matches!(behind_word(behind, word), Some("and" | "or" | "to")) {
                break;
            }
        }
    }
    cited
}

/// The word that follows `word` in a text.
fn behind_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    text.split_once(word)?.1.split_whitespace().next()
}

fn parse(number: &str) -> Option<(u32, u32)> {
    let (section, rule) = number.split_once('.')?;
    Some((section.parse().ok()?, rule.parse().ok()?))
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
