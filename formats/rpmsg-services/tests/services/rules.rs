//! Every rule of docs/rpmsg-services.md is cited by code and by a test.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const DOCUMENT: &str = "rpmsg-services.md ";

#[test]
fn every_rule_of_the_services_is_cited_by_code_and_by_a_test() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(here.join("../../docs/rpmsg-services.md")).unwrap();
    let rules: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("**")?.split_once("**"))
        .filter_map(|(number, _)| parse(number))
        .collect();
    assert!(rules.len() > 20, "only {} rules found", rules.len());
    let code = citations(&here.join("src"));
    let tests = citations(&here.join("tests/services"));
    let missing = |cited: &BTreeSet<_>| rules.difference(cited).copied().collect::<Vec<_>>();
    assert_eq!(missing(&code), [], "rules that no code cites");
    assert_eq!(missing(&tests), [], "rules that no test cites");
    assert!(
        code.is_subset(&rules) && tests.is_subset(&rules),
        "rules that are not there"
    );
}

/// What stands behind the document's name: `4.2`, `3.2, 4.2 and 5.2`, `4.3 to 4.5`.
fn citations(folder: &Path) -> BTreeSet<(u32, u32)> {
    let mut cited = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        for behind in text.split(DOCUMENT).skip(1) {
            let (mut last, mut range) = (None, false);
            for word in behind.split_whitespace() {
                match word {
                    "and" => continue,
                    "to" => {
                        range = true;
                        continue;
                    }
                    _ => {}
                }
                let number = word.trim_end_matches([',', '.', ':', ';', ')']);
                let Some((section, rule)) = parse(number) else {
                    break;
                };
                let from = match last {
                    Some((same, from)) if range && same == section => from,
                    _ => rule,
                };
                cited.extend((from..=rule).map(|rule| (section, rule)));
                (last, range) = (Some((section, rule)), false);
                if !word.ends_with(',') && !goes_on(behind, word) {
                    break;
                }
            }
        }
    }
    cited
}

fn goes_on(behind: &str, word: &str) -> bool {
    let rest = behind.split_once(word).map_or("", |(_, rest)| rest);
    matches!(rest.split_whitespace().next(), Some("and" | "to"))
}

fn parse(number: &str) -> Option<(u32, u32)> {
    let (section, rule) = number.split_once('.')?;
    Some((section.parse().ok()?, rule.parse().ok()?))
}
