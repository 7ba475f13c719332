//! The program `corewarden` itself: usage, exit codes, and what it prints where.

use std::process::{Command, Stdio};

use assert_cmd::cargo::CommandCargoExt;
use serde_json::Value;

/// Runs the program: exit code, standard output, standard error.
fn corewarden(arguments: &[&str]) -> (i32, String, String) {
    let output = program().args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn program() -> Command {
    Command::cargo_bin("corewarden").unwrap()
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_is_right() {
    for arguments in [
        &[][..],
        &["dance"],
        &["load"],
        &["start", "--core", "x"],
        &["attach", "--ping", "0"],
        &["attach", "--size", "9"],
    ] {
        let (code, out, err) = corewarden(arguments);
        assert_eq!(code, 2, "{arguments:?}");
        assert_eq!(out, "", "{arguments:?}");
        assert!(err.contains("--help") || err.contains("Usage"), "{err}");
    }
}

#[test]
fn help_names_every_exit_code_and_gives_examples() {
    let (code, help, _) = corewarden(&["--help"]);
    assert_eq!(code, 0);
    for line in [
        "    0  ", "    2  ", "    3  ", "    4  ", "    5  ", "    6  ", "    7  ", "  130  ",
    ] {
        assert!(help.contains(line), "{line:?}");
    }
    for command in [
        "status",
        "load",
        "start",
        "stop",
        "release",
        "attach",
        "rsc-table",
        "completions",
    ] {
        let (code, help, _) = corewarden(&[command, "--help"]);
        assert_eq!(code, 0);
        assert!(help.contains("Example"), "{command}");
    }
}

#[cfg(not(target_arch = "aarch64"))]
#[test]
fn a_build_without_tee_client_says_so_with_5() {
    for command in ["status", "start", "stop", "release", "rsc-table"] {
        let (code, out, err) = corewarden(&[command]);
        assert_eq!((code, out.as_str()), (5, ""));
        assert!(err.starts_with("corewarden: this build has no TEE client\n"));
        assert!(err.contains("hint: "));
    }
}

#[cfg(not(target_arch = "aarch64"))]
#[test]
fn an_error_as_json_is_one_document_on_standard_output() {
    let (code, out, err) = corewarden(&["--json", "status"]);
    assert_eq!((code, err.as_str()), (5, ""));
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(document["schema"], "corewarden.error");
    assert_eq!(document["version"], 1);
    assert_eq!(document["exit_code"], 5);
    assert_eq!(document["message"], "this build has no TEE client");
    assert_eq!(document["error"], "NoTeeClient");
    assert_eq!(document["refusal"], Value::Null);
}

#[test]
fn a_bundle_that_cannot_be_read_ends_with_7() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.cwfw");
    for path in [missing.as_path(), folder.path()] {
        let (code, _, err) = corewarden(&["load", path.to_str().unwrap()]);
        assert_eq!(code, 7);
        assert!(err.contains(path.to_str().unwrap()), "{err}");
    }
}

#[test]
fn a_bundle_too_long_for_one_piece_ends_with_2_and_says_how_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("large.cwfw");
    let large = std::fs::File::create(&file).unwrap();
    large.set_len((8 << 20) + 1).unwrap();
    let (code, _, err) = corewarden(&["load", "--whole", file.to_str().unwrap()]);
    assert_eq!(code, 2);
    assert!(err.contains("load without --whole"), "{err}");
}

#[test]
fn a_platform_file_is_missing_with_7_and_wrong_with_3() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("platform.toml");
    let attach = |core: &str| {
        corewarden(&[
            "attach",
            "--core",
            core,
            "--platform",
            file.to_str().unwrap(),
        ])
    };
    assert_eq!(attach("0").0, 7);
    let good = include_str!("../../ta/platforms/qemu-virt.toml");
    let cases = [
        ("name = ", "TOML parse error"),
        (
            &good.replace("size = 0x200000", "size = 0x200001"),
            "unaligned",
        ),
    ];
    for (text, reason) in cases {
        std::fs::write(&file, text).unwrap();
        let (code, _, err) = attach("0");
        assert_eq!(code, 3);
        assert!(err.contains(reason), "{err}");
    }
    std::fs::write(&file, good).unwrap();
    let (code, _, err) = attach("9");
    assert_eq!(code, 3);
    assert!(err.contains("has no core 9"), "{err}");
}

#[test]
fn completions_are_printed_for_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let (code, script, _) = corewarden(&["completions", shell]);
        assert_eq!(code, 0);
        assert!(script.contains("rsc-table"), "{shell}");
    }
}

#[test]
fn a_pipe_that_nobody_reads_is_no_fault() {
    let mut child = program()
        .args(["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert_eq!(output.status.code(), Some(0));
}
