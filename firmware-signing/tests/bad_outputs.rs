//! Outputs that cannot be written, and runs that are cut short: the whole file or nothing, and the right exit code.

mod folder;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use firmware_signing::sample::{Content, Section};
use folder::verbs::VERBS;
use folder::{Desk, SIGN, ended, expect_line, firmware};

#[test]
fn outputs_that_cannot_be_written_end_with_7_and_leave_nothing() {
    let desk = Desk::new();
    // Root may write everywhere, but not there.
    for out in ["/proc/made", "/dev/full", "nowhere/made", "fw.elf/made"] {
        for line in [
            format!("sign fw.elf --force --out {out} {}", SIGN.join(" ")),
            format!("inspect fw.cwfw --force --svg {out}"),
            format!("pki init --force --key dev-root.key.pem --name CN=x --out {out}"),
        ] {
            let words: Vec<&str> = line.split_whitespace().collect();
            let before = desk.files();
            let ended = desk.run(&words, &[]);
            assert_eq!(ended.code, Some(7), "{line}: {ended:?}");
            assert_eq!(ended.err.lines().count(), 1, "{line}: {ended:?}");
            assert_eq!(desk.files(), before, "{line}");
        }
    }
    for out in ["/proc/made.key", "nowhere/made.key"] {
        let ended = desk.run(&["keygen", "--no-password", "--out", out], &[]);
        assert_eq!(ended.code, Some(7), "{ended:?}");
    }
}

/// A disk that is full after the first blocks, for everybody and without a file system of its own: a limit to the size of files.
#[test]
fn a_disk_that_fills_up_midway_ends_with_7_and_leaves_nothing() {
    let desk = Desk::new();
    let before = desk.files();
    let sign = format!("sign fw.elf --out made {}", SIGN.join(" "));
    for line in [&sign, "inspect fw.cwfw --svg made"] {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &format!("ulimit -f 1; exec \"$0\" {line}")])
            .arg(env!("CARGO_BIN_EXE_corewarden-sign"))
            .current_dir(desk.path(""))
            .stdin(Stdio::null())
            .env_clear();
        let ended = ended(&mut shell);
        expect_line(&ended, 7, "made", line);
        assert!(ended.err.contains("make room"), "{ended:?}");
        assert_eq!(desk.files(), before, "{line}");
    }
}

#[test]
fn an_output_that_is_the_input_or_exists_ends_with_8() {
    let desk = Desk::new();
    let elf = desk.read("fw.elf");
    fs::hard_link(desk.path("fw.elf"), desk.path("linked.elf")).expect("linked");
    std::os::unix::fs::symlink("fw.elf", desk.path("link.elf")).expect("linked");
    for out in ["fw.elf", "./fw.elf", "link.elf", "dev-signer.key.pem"] {
        let ended = desk.run(&["sign", "fw.elf", "--force", "--out", out], &SIGN);
        expect_line(&ended, 8, "the output is the input", out);
    }
    let ended = desk.run(&["inspect", "fw.elf", "--force", "--svg", "fw.elf"], &[]);
    expect_line(&ended, 8, "the output is the input", "inspect");
    for (line, out) in [
        ("sign fw.elf --out", "fw.cwfw"),
        ("inspect fw.elf --svg", "board.toml"),
        ("keygen --no-password --out", "dev-signer.key.pem"),
        (
            "pki init --key dev-root.key.pem --name CN=x --out",
            "dev-root.pem",
        ),
    ] {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        words.push(out);
        let more: &[&str] = if words[0] == "sign" { &SIGN } else { &[] };
        let before = desk.read(out);
        let ended = desk.run(&words, more);
        expect_line(&ended, 8, out, line);
        assert_eq!(desk.read(out), before, "{line}");
    }
    assert_eq!(desk.read("fw.elf"), elf);
}

/// Whenever the signal comes: the whole bundle and nothing else, or nothing at all.
#[test]
fn an_interrupted_sign_leaves_the_whole_bundle_or_nothing() {
    let desk = Desk::new();
    let mut large = firmware();
    large.sections.push(Section {
        name: ".comment",
        kind: 1,
        flags: 0,
        address: 0,
        link: 0,
        info: 0,
        entry_size: 0,
        content: Content::Own(vec![0x5a; 24 << 20]),
    });
    desk.write("large.elf", large.build());
    let mut interrupted = 0;
    let before = desk.files();
    for round in 0..40_u32 {
        let mut command =
            desk.command(&["sign", "large.elf", "--keep-all", "--out", "made"], &SIGN);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it starts");
        let signal = ["INT", "TERM", "HUP"][round as usize % 3];
        // Every other round once the temporary file is there; the others anywhere.
        let deadline = Instant::now() + Duration::from_secs(60);
        while round % 2 == 0
            && desk.files().len() == before.len()
            && child.try_wait().expect("it is ours").is_none()
            && Instant::now() < deadline
        {
            thread::yield_now();
        }
        if round % 2 == 1 {
            thread::sleep(Duration::from_millis(u64::from(round) * 5));
        }
        // The shell's own: a small system has no program of that name. Who ended before is not there to be told.
        let kill = Command::new("sh")
            .args(["-c", &format!("kill -{signal} {}", child.id())])
            .stderr(Stdio::null())
            .status();
        kill.expect("sh runs");
        let status = child.wait().expect("it ends");
        let mut expected = before.clone();
        if desk.path("made").exists() {
            let made = desk.read("made");
            assert!(made.ends_with(b"CWFW"), "{signal}: a whole bundle");
            expected.push("made".to_owned());
            expected.sort();
        } else {
            assert!(status.signal().is_some(), "{signal}: {status:?}");
            interrupted += 1;
        }
        assert_eq!(desk.files(), expected, "{signal}, round {round}");
        let _ = fs::remove_file(desk.path("made"));
        if interrupted >= 6 && round >= 11 {
            return;
        }
    }
    assert!(interrupted > 0, "no round was interrupted before the end");
}

#[test]
fn a_signal_that_is_ignored_stays_ignored() {
    let desk = Desk::new();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "trap '' HUP; \"$0\" sign \"$@\" & wait $!"])
        .arg(env!("CARGO_BIN_EXE_corewarden-sign"))
        .args(["fw.elf", "--out", "made"])
        .args(SIGN)
        .current_dir(desk.path(""))
        .stdin(Stdio::null());
    let ended = ended(&mut shell);
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn a_pipe_that_closes_early_is_no_failure_of_any_verb() {
    let desk = Desk::new();
    for verb in VERBS {
        let words = verb.with(OsStr::new(verb.good()));
        let _ = fs::remove_file(desk.path("made"));
        let expected = desk.run(&words, &[]).code;
        let _ = fs::remove_file(desk.path("made"));
        let mut command = desk.command(&words, &[]);
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let ended = ended(command.stdout(writer));
        assert_eq!(ended.code, expected, "{}: {ended:?}", verb.line);
        assert!(!ended.err.contains("panicked"), "{ended:?}");
    }
}

#[test]
fn a_standard_output_that_is_full_ends_with_7() {
    let desk = Desk::new();
    let mut answered = 0;
    for verb in VERBS {
        let words = verb.with(OsStr::new(verb.good()));
        let _ = fs::remove_file(desk.path("made"));
        if desk.run(&words, &[]).code != Some(0) {
            // It has nothing to say there.
            continue;
        }
        let _ = fs::remove_file(desk.path("made"));
        let mut command = desk.command(&words, &[]);
        let full = File::options().write(true).open("/dev/full");
        let ended = ended(command.stdout(full.expect("it opens")));
        assert_eq!(ended.code, Some(7), "{}: {ended:?}", verb.line);
        assert_eq!(ended.err.lines().count(), 1, "{ended:?}");
        answered += 1;
    }
    assert!(answered > VERBS.len() * 3 / 4, "{answered}");
}
