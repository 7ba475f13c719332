//! The project's own command, as a user runs it: what needs no download and no QEMU.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

/// The steps of the story, in its order.
const STORY: [&str; 13] = [
    "keys", "sign", "inspect", "attacks", "boot", "load", "start", "table", "echo", "stop",
    "refuse", "refuse", "refuse",
];

#[test]
fn the_demo_in_one_process_tells_the_whole_story_and_says_that_it_is_simulated() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let output = xtask(&["demo", "--sim"], &cache, &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("SIMULATED"), "{text}");

    let steps: Vec<_> = text.lines().filter_map(step).collect();
    let numbers: Vec<_> = (1..=STORY.len()).collect();
    let names: Vec<_> = steps.iter().map(|step| step.name).collect();
    assert_eq!(names, STORY);
    let counted: Vec<_> = steps.iter().map(|step| step.number).collect();
    assert_eq!(counted, numbers);
    assert!(
        steps.iter().all(|step| step.timed),
        "every step says how long it took: {text}"
    );
    for words in [
        "100 of 100 RPMsg messages came back right",
        "its private memory is all zeros",
        "flipped byte: ChunkDigest: ",
        "foreign root: UnknownRoot: ",
        "version above the ceiling: VersionAboveCeiling: ",
    ] {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
    assert!(!cache.exists(), "nothing is fetched");
}

#[test]
fn without_a_terminal_nothing_is_installed_unless_told_to() {
    // To dpkg-query this is a machine without any package.
    let folder = tempfile::tempdir().unwrap();
    let packages = folder.path().join("dpkg");
    fs::create_dir_all(packages.join("info")).unwrap();
    fs::write(packages.join("status"), "").unwrap();
    let cache = folder.path().join("cache");
    for command in ["demo", "e2e", "ta", "testbed", "bench", "check"] {
        let output = xtask(
            &[command],
            &cache,
            &[("DPKG_ADMINDIR", &packages.display().to_string())],
        );
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{command}: {errors}");
        // Who may not install at all is told what is missing; who may is asked, and here nobody answers.
        let refused = errors.contains("no terminal to ask on; say --yes")
            && errors.contains("nothing was installed");
        assert!(
            refused || errors.contains("neither root nor sudo"),
            "{command}: {errors}"
        );
        assert!(errors.contains(" make "), "{command} names them: {errors}");
        assert!(!cache.exists(), "{command} fetches nothing before");
    }
}

#[test]
fn wrong_usage_is_refused_and_help_names_every_command() {
    let cache = Path::new("/nonexistent");
    let output = xtask(&["frobnicate"], cache, &[]);
    assert_eq!(output.status.code(), Some(2));
    let output = xtask(&["lock"], cache, &[]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && errors.contains("lock --update"));
    let output = xtask(&["--help"], cache, &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    for command in [
        "demo", "check", "e2e", "ta", "testbed", "bench", "soak", "fuzz", "miri", "lock", "dist",
    ] {
        let named = text
            .lines()
            .any(|line| line.split_whitespace().next() == Some(command));
        assert!(named, "{command} is not in {text}");
    }
}

#[test]
fn a_closed_pipe_ends_the_demo_without_a_panic() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["demo", "--sim"])
        .stdin(Stdio::null())
        .stdout(writer)
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(
        errors.contains("Broken pipe") && !errors.contains("panicked"),
        "{errors}"
    );
}

/// Runs the command with a cache of its own, without CI's standing consent, and with nobody at the keyboard.
fn xtask(arguments: &[&str], cache: &Path, environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(arguments)
        .env("COREWARDEN_CACHE", cache)
        .env_remove("CI")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

struct Step<'a> {
    number: usize,
    name: &'a str,
    timed: bool,
}

/// `  1. keys       1.4 ms  words`, or nothing.
fn step(line: &str) -> Option<Step<'_>> {
    let (number, rest) = line.trim_start().split_once(". ")?;
    let number = number.parse().ok()?;
    let mut words = rest.split_whitespace();
    let (name, time, unit) = (words.next()?, words.next()?, words.next()?);
    let timed = time.parse::<f64>().is_ok() && ["ms", "s"].contains(&unit);
    Some(Step {
        number,
        name,
        timed,
    })
}
