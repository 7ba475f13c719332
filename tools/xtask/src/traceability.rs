//! docs/traceability.md names a proof for every promise; this checks that each proof exists and ran.

use std::{collections::BTreeSet, fs};

use anyhow::{Context, Result, bail};

use ::tests::images::workspace;

/// Fails unless every proof that docs/traceability.md names is among `ran`.
pub(crate) fn check(ran: &BTreeSet<String>) -> Result<()> {
    let path = workspace().join("docs/traceability.md");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let proofs = proofs(&text);
    if proofs.is_empty() {
        bail!("{} names no proof at all", path.display());
    }
    let missing: Vec<_> = proofs
        .iter()
        .filter(|proof| !ran.contains(**proof))
        .copied()
        .collect();
    if !missing.is_empty() {
        bail!(
            "{} names proofs that do not exist or did not run:\n  {}",
            path.display(),
            missing.join("\n  ")
        );
    }
    println!("    traceability: {} proofs, all ran", proofs.len());
    Ok(())
}

/// The names of the tests that passed, in libtest's output: the last part of each path.
pub(crate) fn passed(lines: &[String]) -> BTreeSet<String> {
    lines
        .iter()
        .filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... ok"))
        .map(|name| name.split(" - ").next().unwrap_or(name))
        .filter_map(|path| path.rsplit("::").next())
        .map(str::to_owned)
        .collect()
}

/// The names between backticks in the last column of each table row.
fn proofs(text: &str) -> BTreeSet<&str> {
    text.lines()
        .filter(|line| line.starts_with('|') && !line.starts_with("|---"))
        .filter_map(|line| line.trim_end_matches('|').rsplit('|').next())
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proofs_are_the_names_between_backticks_of_the_last_column() {
        let text = "| what `not_this` | `a_test`, `another` |\n|---|---|\ntext `nor_this`\n";
        assert_eq!(proofs(text), BTreeSet::from(["a_test", "another"]));
    }

    #[test]
    fn only_tests_that_passed_count() {
        let lines = [
            "test ring::driver::a_lie_is_refused ... ok",
            "test ring::driver::another ... FAILED",
            "test third ... ignored",
        ]
        .map(str::to_owned);
        assert_eq!(
            passed(&lines),
            BTreeSet::from(["a_lie_is_refused".to_owned()])
        );
    }

    #[test]
    fn a_proof_that_did_not_run_fails_the_check() {
        let text = fs::read_to_string(workspace().join("docs/traceability.md")).unwrap();
        let all: BTreeSet<_> = proofs(&text).into_iter().map(str::to_owned).collect();
        assert!(check(&all).is_ok(), "all ran");
        for absent in &all {
            let mut ran = all.clone();
            ran.remove(absent);
            let error = check(&ran).unwrap_err().to_string();
            let named: Vec<_> = error.lines().skip(1).map(str::trim).collect();
            assert_eq!(named, [absent], "the one that did not run is named");
        }
    }
}
