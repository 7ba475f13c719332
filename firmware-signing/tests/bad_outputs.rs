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

/// Verbs that write a file; OUT stands for it.
const FILES: [&str; 9] = [
    "convert fw.sign --from-key old.pub --platform board.toml --core m4 --key dev-signer.key.pem --cert dev-signer.pem \
     --cert dev-product-ca.pem --security-version 3 --out OUT",
    "csr --key dev-root.key.pem --name CN=x --out OUT",
    "inspect fw.cwfw --svg OUT",
    "pki init --key dev-root.key.pem --name CN=x --out OUT",
    "pki issue --kind leaf --key dev-signer.key.pem --issuer dev-product-ca.pem --issuer-key dev-product-ca.key.pem --name CN=x \
     --core 0 --device-class 6f1d5e0c-6a0f-4b53-9c7d-2f0c0e5a7b11 --max-version 9 --out OUT",
    "resign fw.cwfw --key dev-signer.key.pem --cert dev-signer.pem --cert dev-product-ca.pem --out OUT",
    "sign fw.elf --platform board.toml --core m4 --key dev-signer.key.pem --cert dev-signer.pem --cert dev-product-ca.pem \
     --security-version 3 --out OUT",
    "strip fw.cwfw --out OUT",
    "trust-update make --list-version 2 --device-class 6f1d5e0c-6a0f-4b53-9c7d-2f0c0e5a7b11 --floor 0=1 --root dev-root.pem \
     --root-key dev-root.key.pem --out OUT",
];

/// Verbs that write into a folder, and make it.
const FOLDERS: [&str; 2] = [
    "attach asked/request.json --key dev-signer.key.pem --out-dir OUT",
    "prepare fw.elf --platform board.toml --core m4 --cert dev-signer.pem --cert dev-product-ca.pem --security-version 3 --out-dir OUT",
];

/// The words of a verb with the place of its output.
fn to(line: &str, out: &str) -> Vec<String> {
    let words = line.split_whitespace();
    words
        .map(|word| if word == "OUT" { out } else { word }.to_owned())
        .collect()
}

#[test]
fn outputs_that_cannot_be_written_end_with_7_and_leave_nothing() {
    let desk = Desk::new();
    let refused = |line: &str, out: &str, force: &[&str]| {
        let before = desk.files();
        let ended = desk.run(&to(line, out), force);
        assert_eq!(ended.code, Some(7), "{line} {out}: {ended:?}");
        assert_eq!(ended.err.lines().count(), 1, "{line} {out}: {ended:?}");
        assert_eq!(desk.files(), before, "{line} {out}");
    };
    // Root may write everywhere, but not there.
    for out in ["/proc/made", "/dev/full", "nowhere/made", "fw.elf/made"] {
        for line in FILES {
            refused(line, out, &["--force"]);
        }
    }
    for out in ["/proc/made", "/dev/full", "fw.elf/made"] {
        for line in FOLDERS {
            refused(line, out, &["--force"]);
        }
        refused("man --out-dir OUT", out, &[]);
    }
    for out in ["/proc/made.key", "nowhere/made.key"] {
        refused("keygen --no-password --out OUT", out, &[]);
    }
}

/// A disk that is full after the first blocks, for everybody and without a file system of its own: a limit to the size of files.
#[test]
fn a_disk_that_fills_up_midway_ends_with_7_and_leaves_nothing() {
    let desk = Desk::new();
    let before = desk.files();
    // What they make is longer than the limit.
    let long = FILES.iter().filter(|line| {
        let short = ["csr ", "pki ", "trust-update "];
        !short.iter().any(|verb| line.starts_with(verb))
    });
    for line in long.chain(&FOLDERS) {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", "ulimit -f 1; exec \"$0\" \"$@\""])
            .arg(env!("CARGO_BIN_EXE_corewarden-sign"))
            .args(to(line, "made"))
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
    for (verb, input) in [
        ("convert ", "fw.sign"),
        ("convert ", "old.pub"),
        ("convert ", "dev-signer.key.pem"),
        ("csr ", "dev-root.key.pem"),
        ("inspect ", "fw.cwfw"),
        ("pki init ", "dev-root.key.pem"),
        ("pki issue ", "dev-product-ca.key.pem"),
        ("resign ", "fw.cwfw"),
        ("resign ", "dev-signer.key.pem"),
        ("strip ", "fw.cwfw"),
        ("trust-update ", "dev-root.pem"),
        ("trust-update ", "dev-root.key.pem"),
    ] {
        let line = FILES.iter().find(|line| line.starts_with(verb));
        let line = line.expect("a verb that writes a file");
        let before = desk.read(input);
        let ended = desk.run(&to(line, input), &["--force"]);
        expect_line(&ended, 8, "the output is the input", line);
        assert_eq!(desk.read(input), before, "{line}");
    }
    // The ELF of an image has the name that its prepared bundle would get.
    fs::copy(desk.path("fw.elf"), desk.path("fw.message")).expect("copied");
    fs::copy(desk.path("fw.elf"), desk.path("fw")).expect("copied");
    let prepare = FOLDERS[1].replacen("fw.elf", "fw.message fw", 1);
    let ended = desk.run(&to(&prepare, "."), &["--force"]);
    expect_line(&ended, 8, "the output is the input", "prepare");
    // Without --force nothing is written over, and over a key not even with it.
    desk.write("there", "mine");
    for line in FILES {
        let ended = desk.run(&to(line, "there"), &[]);
        expect_line(&ended, 8, "there", line);
        assert_eq!(desk.read("there"), b"mine", "{line}");
    }
    let key = desk.read("dev-signer.key.pem");
    let keygen = ["keygen", "--no-password", "--out", "dev-signer.key.pem"];
    expect_line(&desk.run(&keygen, &[]), 8, "dev-signer.key.pem", "keygen");
    assert_eq!(desk.read("dev-signer.key.pem"), key);
    let request = desk.read("asked/request.json");
    let ended = desk.run(&to(FOLDERS[1], "asked"), &[]);
    expect_line(&ended, 8, "request.json", "prepare");
    assert_eq!(desk.read("asked/request.json"), request);
    fs::create_dir(desk.path("bundles")).expect("a folder");
    desk.write("bundles/fw.cwfw", "mine");
    let ended = desk.run(&to(FOLDERS[0], "bundles"), &[]);
    expect_line(&ended, 8, "fw.cwfw", "attach");
    assert_eq!(desk.read("bundles/fw.cwfw"), b"mine");
    assert_eq!(desk.read("fw.elf"), elf);
}

/// Whenever the signal comes: the whole bundle and nothing else, or nothing at all.
#[test]
fn an_interrupted_sign_leaves_the_whole_bundle_or_nothing() {
    let desk = Desk::new();
    desk.write("large.elf", large());
    let sign = ["sign", "large.elf", "--keep-all", "--out", "made"];
    interrupt(&desk, &[&sign[..], &SIGN].concat(), || {
        assert!(desk.read("made").ends_with(b"CWFW"), "a whole bundle");
    });
}

#[test]
fn an_interrupted_prepare_leaves_the_whole_request_or_nothing() {
    let desk = Desk::new();
    desk.write("large.elf", large());
    let prepare = ["prepare", "fw.elf", "large.elf", "--keep-all"];
    let prepare = [&prepare[..], &["--out-dir", "made"], &SIGN[..4], &SIGN[6..]].concat();
    interrupt(&desk, &prepare, || {
        let request = desk.read("made/request.json");
        let request: serde_json::Value = serde_json::from_slice(&request).expect("JSON");
        let images = request["images"].as_array().expect("a list");
        assert_eq!(images.len(), 2);
        let files = fs::read_dir(desk.path("made")).expect("a folder");
        assert_eq!(files.count(), 5, "a prepared bundle and a message for each");
    });
}

/// 24 MiB of what `--keep-all` keeps.
fn large() -> Vec<u8> {
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
    large.build()
}

/// Runs what makes `made` again and again, and sends signals at different times.
fn interrupt(desk: &Desk, words: &[&str], whole: impl Fn()) {
    let mut interrupted = 0;
    let before = desk.files();
    for round in 0..40_u32 {
        let mut command = desk.command(words, &[]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it starts");
        let signal = ["INT", "TERM", "HUP"][round as usize % 3];
        // Every other round once the temporary file or folder is there; the others anywhere.
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
            whole();
            expected.push("made".to_owned());
            expected.sort();
        } else {
            assert!(status.signal().is_some(), "{signal}: {status:?}");
            interrupted += 1;
        }
        assert_eq!(desk.files(), expected, "{signal}, round {round}");
        desk.remove_made();
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
        desk.remove_made();
        let expected = desk.run(&words, &[]).code;
        desk.remove_made();
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
        desk.remove_made();
        if desk.run(&words, &[]).code != Some(0) {
            // It has nothing to say there.
            continue;
        }
        desk.remove_made();
        let mut command = desk.command(&words, &[]);
        let full = File::options().write(true).open("/dev/full");
        let ended = ended(command.stdout(full.expect("it opens")));
        assert_eq!(ended.code, Some(7), "{}: {ended:?}", verb.line);
        assert_eq!(ended.err.lines().count(), 1, "{ended:?}");
        answered += 1;
    }
    assert!(answered > VERBS.len() * 3 / 4, "{answered}");
}
