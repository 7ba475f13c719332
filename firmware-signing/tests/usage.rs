//! Wrong usage, what is asked for where nobody can answer, and the list of exit codes.

mod folder;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use folder::{Desk, SIGN, ended, expect_line};

/// No terminal, no HOME, no environment at all: a locked key asks for nothing and waits for nobody.
#[test]
fn without_a_terminal_nobody_is_asked() {
    let desk = Desk::new();
    desk.write("word", "secret\n");
    let keygen = ["keygen", "--out", "locked.key", "--passphrase-file", "word"];
    assert_eq!(desk.run(&keygen, &[]).code, Some(0));
    let locked: PathBuf = desk.path("locked.key");
    for line in [
        "keygen --out new.key",
        "pki init --key locked.key --name CN=x --out made",
        "sign fw.elf --out made --platform board.toml --core m4 --key locked.key --cert dev-signer.pem --cert dev-product-ca.pem \
         --security-version 3",
    ] {
        let words: Vec<&str> = line.split_whitespace().collect();
        // A session of its own has no controlling terminal to fall back on.
        let mut command = Command::new("setsid");
        command
            .arg("--wait")
            .arg(env!("CARGO_BIN_EXE_corewarden-sign"))
            .args(&words)
            .current_dir(desk.path(""))
            .stdin(Stdio::null())
            .env_clear();
        let ended = ended(&mut command);
        expect_line(&ended, 6, "--passphrase-file", line);
    }
    assert!(locked.exists());
}

#[test]
fn wrong_usage_ends_with_2_and_is_json_for_programs() {
    let desk = Desk::new();
    for (line, says) in [
        ("", "no command given"),
        ("sing", "unrecognized subcommand 'sing'"),
        ("sign fw.elf", "required arguments were not provided"),
        ("verify fw.cwfw --flor 3", "unexpected argument '--flor'"),
        (
            "verify fw.cwfw --against device.json --floor 3",
            "cannot be used with",
        ),
        (
            "inspect fw.cwfw --platform board.toml",
            "required arguments were not provided",
        ),
    ] {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ended = desk.run(&words, &[]);
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{line}");
        let ended = desk.run(&words, &["--json"]);
        assert_eq!(ended.code, Some(2), "{line}");
        let failure: serde_json::Value = serde_json::from_str(&ended.out).expect("JSON");
        assert_eq!(failure["schema"], "corewarden-sign/failure");
        assert_eq!(failure["code"], 2);
        let error = failure["error"].as_str().unwrap_or_default();
        assert!(error.contains(says), "{line}: {error}");
        assert!(!error.contains('\n'), "{line}: {error}");
    }
    let long = "v".repeat(33);
    let mut words = vec![
        "sign",
        "fw.elf",
        "--out",
        "made",
        "--display-version",
        &long,
    ];
    words.extend(SIGN);
    let ended = desk.run(&words, &[]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(
        ended.err.contains("33 bytes of display version"),
        "{ended:?}"
    );
}

#[test]
fn an_unknown_core_is_named_beside_those_there_are() {
    let desk = Desk::new();
    for line in [
        "lint fw.elf --platform board.toml --core m7",
        "inspect fw.elf --platform board.toml --core m7",
        "verify fw.cwfw --root dev-root.pem --platform board.toml --core m7",
        "sign fw.elf --out made --platform board.toml --core m7 --key dev-signer.key.pem --cert dev-signer.pem --security-version 3",
    ] {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ended = desk.run(&words, &[]);
        expect_line(&ended, 2, "\"m7\" is none of m4 (0)", line);
    }
}

#[test]
fn the_help_and_the_document_give_the_exit_codes_the_same_meanings() {
    let desk = Desk::new();
    let help = desk.run(&["--help"], &[]).out;
    let (_, list) = help.split_once("Exit codes:\n").expect("a list");
    let listed: Vec<(&str, &str)> = list
        .lines()
        .filter_map(|line| line.trim().split_once("  "))
        .collect();
    let document = include_str!("../../docs/corewarden-sign-interface.md");
    let (_, table) = document.split_once("|---|---|\n").expect("a table");
    let written: Vec<(&str, &str)> = table
        .lines()
        .take_while(|line| line.starts_with('|'))
        .filter_map(|line| line.trim_matches(['|', ' ']).split_once(" | "))
        .collect();
    assert_eq!(listed, written);
    let codes: Vec<&str> = listed.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, ["0", "1", "2", "3", "4", "5", "6", "7", "8"]);
}
