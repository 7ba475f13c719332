//! Every seed of every target, a short search, and that a search finds what there is to find.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use fuzz::{Seed, TARGETS, Target, search};

#[test]
fn every_seed_of_every_fuzz_target_is_judged_without_a_panic() {
    for target in TARGETS {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{}", target.name);
        for seed in seeds {
            assert!(!seed.reason.is_empty(), "{}", target.name);
            (target.run)(&seed.bytes);
        }
        // Whatever the seeds are, nothing is something.
        (target.run)(&[]);
    }
}

#[test]
fn every_file_of_the_corpus_is_a_seed_of_a_target() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut count = 0;
    for folder in fs::read_dir(corpus).unwrap() {
        for file in fs::read_dir(folder.unwrap().path()).unwrap() {
            let file = file.unwrap().path();
            let seed = Seed::parse(&fs::read_to_string(&file).unwrap());
            let used = TARGETS
                .iter()
                .any(|target| (target.seeds)().contains(&seed));
            assert!(used, "{} is no seed of any target", file.display());
            count += 1;
        }
    }
    assert!(count >= 10, "{count} files");
}

#[test]
fn a_short_search_from_the_seeds_finds_nothing() {
    for target in TARGETS {
        let mut tried = 0;
        let finding = search(&target, 1, |so_far| {
            tried = so_far;
            so_far >= INPUTS
        });
        assert_eq!(finding.unwrap(), None, "{}", target.name);
        assert_eq!(tried, INPUTS, "{}", target.name);
    }
}

#[test]
fn a_search_finds_a_planted_panic_again_and_again_and_keeps_it() {
    let planted = Target {
        name: "planted",
        run: |input| {
            assert!(
                !input.windows(2).any(|pair| pair == [0xff, 0x08]),
                "planted"
            )
        },
        seeds: || vec![Seed::parse("# two words\n01 02 03 04\n05 06 07 08")],
    };
    let found = search(&planted, 7, |tried| tried >= 1_000_000).unwrap();
    let again = search(&planted, 7, |tried| tried >= 1_000_000).unwrap();
    let finding = found.clone().expect("the planted panic");
    assert!(finding.input.windows(2).any(|pair| pair == [0xff, 0x08]));
    assert_eq!(found, again);
    let folder = tempfile::tempdir().unwrap();
    let file = finding.keep(folder.path(), "planted", 7).unwrap();
    let kept = Seed::parse(&fs::read_to_string(file).unwrap());
    assert_eq!(kept.bytes, finding.input);
}

#[test]
fn every_fuzz_target_has_a_program_of_libfuzzer_which_compiles() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("libfuzzer");
    let programs = fs::read_dir(package.join("src/bin")).unwrap();
    let programs: BTreeSet<_> = programs
        .map(|file| file.unwrap().path().file_stem().unwrap().to_owned())
        .collect();
    let targets: BTreeSet<_> = TARGETS.iter().map(|target| target.name.into()).collect();
    assert_eq!(programs, targets);
    let output = Command::new(env!("CARGO"))
        .args(["check", "--quiet", "--package", "fuzz-libfuzzer"])
        .current_dir(package)
        // Nothing is linked, so libFuzzer itself need not be built, for which a C++ compiler would have to be there.
        .env("CUSTOM_LIBFUZZER_PATH", "/nonexistent/libfuzzer.a")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// For each target, in some seconds without optimisation.
const INPUTS: u64 = 400;
