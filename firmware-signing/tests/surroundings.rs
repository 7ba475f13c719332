//! What the program takes from its surroundings: the terminal for colours, the environment for options.

mod ceremony;

use std::process::{Command, Output, Stdio};

use ceremony::{Desk, SIGN, expect, text};

/// Runs a line on a terminal of its own (util-linux' `script` makes it), or into a pipe.
fn shown(desk: &Desk, terminal: bool, line: &str, settings: &[(&str, &str)]) -> String {
    let shell = format!("\"$PROGRAM\" {line}");
    let mut command = if terminal {
        let mut command = Command::new("script");
        command.args(["--quiet", "--return", "--command", &shell, "/dev/null"]);
        command
    } else {
        let mut command = Command::new("sh");
        command.args(["-c", &shell]);
        command
    };
    command
        .current_dir(desk.folder())
        .stdin(Stdio::null())
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("PROGRAM", env!("CARGO_BIN_EXE_corewarden-sign"))
        .envs(settings.iter().copied());
    let all = expect(command.output().expect("it runs"), 0);
    assert!(!all.is_empty(), "{line} says something");
    all
}

const MAP: &str = "inspect fw.elf --platform board.toml --core m4";
const XTERM: (&str, &str) = ("TERM", "xterm");

#[test]
fn colours_are_on_a_terminal_only() {
    let desk = Desk::new();
    assert!(shown(&desk, true, MAP, &[XTERM]).contains("\x1b["));
    for line in [MAP, "--help", "inspect --help"] {
        let piped = shown(&desk, false, line, &[XTERM]);
        assert!(!piped.contains('\x1b'), "{line}: {piped:?}");
    }
    // Nor does anything that is not for eyes have any.
    let json = shown(&desk, true, &format!("{MAP} --json"), &[XTERM]);
    assert!(!json.contains('\x1b'), "{json:?}");
}

#[test]
fn no_color_and_terminals_that_have_none_are_heeded() {
    let desk = Desk::new();
    for settings in [
        &[XTERM, ("NO_COLOR", "1")][..],
        &[("TERM", "dumb")],
        // What the terminal can do is not known.
        &[],
    ] {
        let plain = shown(&desk, true, MAP, settings);
        assert!(!plain.contains('\x1b'), "{settings:?}: {plain:?}");
    }
    for line in ["--help", "sign --help"] {
        let plain = shown(&desk, true, line, &[XTERM, ("NO_COLOR", "1")]);
        assert!(!plain.contains('\x1b'), "{line}: {plain:?}");
    }
    // https://no-color.org: set, and not empty.
    assert!(shown(&desk, true, MAP, &[XTERM, ("NO_COLOR", "")]).contains("\x1b["));
}

/// A desk with `fw.cwfw`, signed with security version 3.
fn signed() -> Desk {
    let desk = Desk::new();
    desk.authorities("development");
    desk.expect(0, "keygen --no-password --out leaf.key");
    desk.certify("leaf", "leaf.key", "development");
    desk.expect(0, &format!("{SIGN} --key leaf.key --root root.pem"));
    desk
}

#[test]
fn a_jobs_settings_are_those_of_sign_and_verify_alike() {
    let desk = signed();
    let run = |line: &str, settings: &[(&str, &str)]| -> Output {
        let mut command = desk.command(line);
        command.envs(settings.iter().copied());
        command.output().expect("it runs")
    };
    let job = [
        ("COREWARDEN_PLATFORM", "board.toml"),
        ("COREWARDEN_CORE", "m4"),
        ("COREWARDEN_KEY", "leaf.key"),
        ("COREWARDEN_CERT", "leaf.pem:ca.pem"),
        ("COREWARDEN_ROOT", "root.pem"),
    ];
    expect(run("sign fw.elf --security-version 3 --force", &job), 0);
    // It judges as that core would, and not the signature alone.
    let all = expect(run("verify fw.cwfw", &job), 0);
    assert!(all.contains("core 0 of qemu-virt accepts it"), "{all}");
    expect(run("verify fw.cwfw --floor 4", &job), 5);
    let all = expect(run("verify fw.cwfw --core m9", &job), 2);
    assert!(all.contains("no core of this id or name"), "{all}");
    // Empty is as good as not set.
    let empty = [("COREWARDEN_PLATFORM", ""), ("COREWARDEN_CORE", ""), job[4]];
    let all = expect(run("verify fw.cwfw", &empty), 0);
    assert!(all.contains("not judged for a device"), "{all}");
    // A device's own report stands above a job's settings, but not beside what the line says.
    desk.write("device.json", "{}");
    let against = "verify fw.cwfw --against device.json";
    let all = expect(run(against, &job), 3);
    assert!(all.contains("device.json"), "{all}");
    let output = run(&format!("{against} --core m4"), &job);
    assert!(text(&output.stderr).contains("cannot be used with"));
}

#[test]
fn half_a_device_to_judge_for_is_wrong_usage() {
    let desk = signed();
    let verify = "verify fw.cwfw --root root.pem";
    for (more, said) in [
        (
            "--platform board.toml",
            "no core named; name one with --core",
        ),
        (
            "--core m4",
            "no platform named; name its file with --platform",
        ),
        (
            "--floor 3",
            "no platform named; name its file with --platform",
        ),
    ] {
        let all = desk.expect(2, &format!("{verify} {more}"));
        assert_eq!(all.trim_end(), format!("corewarden-sign: {said}"), "{more}");
    }
    desk.expect(
        0,
        &format!("{verify} --platform board.toml --core m4 --floor 3"),
    );
}
