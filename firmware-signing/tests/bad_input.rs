//! Every verb that takes a file, with every kind of bad file: one line that says what, where and what to do; the right exit code;
//! nothing left behind; never a panic.

mod folder;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use firmware_signing::sample::{Content, Elf, Section, Segment};
use folder::{Desk, Ended, SIGN, ended, firmware};

/// A place of a command line where a file is named; FILE stands for it.
struct Verb {
    line: &'static str,
    takes: Takes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Bundle,
    Certificate,
    Device,
    Elf,
    /// A bundle, an ELF and more.
    Image,
    Key,
    Platform,
}

const VERBS: &[Verb] = &[
    Verb {
        line: "csr --key FILE --name CN=x --out made",
        takes: Takes::Key,
    },
    Verb {
        line: "inspect FILE",
        takes: Takes::Image,
    },
    Verb {
        line: "inspect fw.cwfw --platform FILE --core m4",
        takes: Takes::Platform,
    },
    Verb {
        line: "lint FILE --platform board.toml --core m4",
        takes: Takes::Elf,
    },
    Verb {
        line: "lint fw.elf --platform FILE --core m4",
        takes: Takes::Platform,
    },
    Verb {
        line: "pki init --key FILE --name CN=x --out made",
        takes: Takes::Key,
    },
    Verb {
        line: "pki issue --kind leaf --key FILE --issuer dev-product-ca.pem --issuer-key dev-product-ca.key.pem --name CN=x \
               --core 0 --device-class 6f1d5e0c-6a0f-4b53-9c7d-2f0c0e5a7b11 --max-version 9 --out made",
        takes: Takes::Key,
    },
    Verb {
        line: "pki issue --kind leaf --key dev-signer.key.pem --issuer FILE --issuer-key dev-product-ca.key.pem --name CN=x \
               --core 0 --device-class 6f1d5e0c-6a0f-4b53-9c7d-2f0c0e5a7b11 --max-version 9 --out made",
        takes: Takes::Certificate,
    },
    Verb {
        line: "pki issue --kind leaf --key dev-signer.key.pem --issuer dev-product-ca.pem --issuer-key FILE --name CN=x \
               --core 0 --device-class 6f1d5e0c-6a0f-4b53-9c7d-2f0c0e5a7b11 --max-version 9 --out made",
        takes: Takes::Key,
    },
    Verb {
        line: "pki show FILE",
        takes: Takes::Certificate,
    },
    Verb {
        line: "sign FILE --out made --platform board.toml --core m4 --key dev-signer.key.pem --cert dev-signer.pem \
               --cert dev-product-ca.pem --security-version 3",
        takes: Takes::Elf,
    },
    Verb {
        line: "sign fw.elf --out made --platform FILE --core m4 --key dev-signer.key.pem --cert dev-signer.pem \
               --cert dev-product-ca.pem --security-version 3",
        takes: Takes::Platform,
    },
    Verb {
        line: "sign fw.elf --out made --platform board.toml --core m4 --key FILE --cert dev-signer.pem --cert dev-product-ca.pem \
               --security-version 3",
        takes: Takes::Key,
    },
    Verb {
        line: "sign fw.elf --out made --platform board.toml --core m4 --key dev-signer.key.pem --cert FILE --security-version 3",
        takes: Takes::Certificate,
    },
    Verb {
        line: "sign fw.elf --out made --platform board.toml --core m4 --key dev-signer.key.pem --cert dev-signer.pem \
               --cert dev-product-ca.pem --root FILE --security-version 3",
        takes: Takes::Certificate,
    },
    Verb {
        line: "verify FILE --root dev-root.pem",
        takes: Takes::Bundle,
    },
    Verb {
        line: "verify FILE --root dev-root.pem --platform board.toml --core m4",
        takes: Takes::Bundle,
    },
    Verb {
        line: "verify fw.cwfw --root FILE",
        takes: Takes::Certificate,
    },
    Verb {
        line: "verify fw.cwfw --root dev-root.pem --platform FILE --core m4",
        takes: Takes::Platform,
    },
    Verb {
        line: "verify FILE --root dev-root.pem --against device.json",
        takes: Takes::Bundle,
    },
    Verb {
        line: "verify fw.cwfw --root dev-root.pem --against FILE",
        takes: Takes::Device,
    },
    Verb {
        line: "verify fw.cwfw --root FILE --against device.json",
        takes: Takes::Certificate,
    },
];

impl Verb {
    /// The command line with the file in it.
    fn with(&self, file: &OsStr) -> Vec<OsString> {
        let words = self.line.split_whitespace();
        words
            .map(|word| {
                if word == "FILE" {
                    file.to_owned()
                } else {
                    word.into()
                }
            })
            .collect()
    }

    /// A file that it takes.
    fn good(&self) -> &'static str {
        match self.takes {
            Takes::Bundle | Takes::Image => "fw.cwfw",
            Takes::Certificate => "dev-root.pem",
            Takes::Device => "device.json",
            Takes::Elf => "fw.elf",
            Takes::Key => "dev-signer.key.pem",
            Takes::Platform => "board.toml",
        }
    }

    /// Whether it tells what a device would answer to the file.
    fn predicts(&self) -> bool {
        self.takes == Takes::Bundle && self.line.contains("--against")
    }

    /// The exit code for a file that cannot be read as what it should be.
    fn malformed(&self) -> i32 {
        if self.takes == Takes::Key { 6 } else { 3 }
    }
}

/// One line, naming the file and what to do, and no panic.
fn expect_line(ended: &Ended, code: i32, file: &str, what: &str) {
    assert_eq!(ended.code, Some(code), "{what}: {ended:?}");
    assert_eq!(ended.err.lines().count(), 1, "{what}: {ended:?}");
    assert!(
        ended.err.starts_with("corewarden-sign: "),
        "{what}: {ended:?}"
    );
    assert!(ended.err.contains(file), "{what} names {file}: {ended:?}");
    assert!(
        ended.err.contains("; "),
        "{what} says what to do: {ended:?}"
    );
    assert!(!ended.err.contains("panicked"), "{what}: {ended:?}");
}

/// Tries a file in every place of every verb; nothing is left behind.
fn everywhere(file: &str, code: impl Fn(&Verb) -> i32, make: impl Fn(&Desk, &Verb)) {
    let desk = Desk::new();
    for verb in VERBS {
        let what = verb.line.replace("FILE", file);
        make(&desk, verb);
        let before = desk.files();
        let ended = desk.run(&verb.with(OsStr::new(file)), &[]);
        if verb.predicts() && ended.out.contains("would refuse it") {
            // What a device says to it is the answer that was asked for.
            assert_eq!(ended.code, Some(code(verb)), "{what}: {ended:?}");
        } else {
            expect_line(&ended, code(verb), file, &what);
            assert_eq!(ended.out, "", "{what}");
        }
        assert_eq!(desk.files(), before, "{what} leaves nothing");
    }
}

#[test]
fn a_missing_file_ends_with_7_in_every_verb() {
    everywhere("nowhere", |_| 7, |_, _| {});
}

#[test]
fn a_folder_for_a_file_ends_with_7_in_every_verb() {
    everywhere(
        "folder",
        |_| 7,
        |desk, _| {
            let _ = fs::create_dir(desk.path("folder"));
        },
    );
}

#[test]
fn an_empty_file_is_malformed_in_every_verb() {
    everywhere("empty", Verb::malformed, |desk, _| desk.write("empty", ""));
}

/// More than any of them may have, and never read: 64 GiB take no time.
#[test]
fn a_huge_file_is_refused_unread_in_every_verb() {
    let begin = Instant::now();
    everywhere(
        "huge",
        |_| 3,
        |desk, _| {
            let file = File::create(desk.path("huge")).expect("created");
            file.set_len(64 << 30).expect("a sparse file");
        },
    );
    assert!(
        begin.elapsed() < Duration::from_secs(120),
        "{:?}",
        begin.elapsed()
    );
}

#[test]
fn a_truncated_file_is_malformed_in_every_verb() {
    everywhere("cut", Verb::malformed, |desk, verb| {
        let whole = desk.read(verb.good());
        let keep = match verb.takes {
            // In the middle of the resource table's bytes, or of the manifest.
            Takes::Elf | Takes::Image => 100,
            Takes::Bundle => whole.len() - 100,
            // The first table of the file is whole, the second is not.
            _ => whole.len() / 2,
        };
        desk.write("cut", &whole[..keep]);
    });
}

#[test]
fn noise_is_malformed_in_every_verb() {
    everywhere("noise", Verb::malformed, |desk, _| {
        let noise: Vec<u8> = (0..4096_u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        desk.write("noise", noise);
    });
}

#[test]
fn a_file_whose_name_is_no_utf8_and_breaks_lines_is_named_in_one_line() {
    let desk = Desk::new();
    let name = OsStr::from_bytes(b"fw\xff\n\x1b[2J.elf");
    for verb in VERBS {
        let ended = desk.run(&verb.with(name), &[]);
        expect_line(&ended, 7, "fw\u{fffd}??[2J.elf", verb.line);
    }
    // And where it is there, it is worked with.
    fs::copy(desk.path("fw.elf"), desk.path(name)).expect("copied");
    let sign = [OsStr::new("sign"), name];
    assert_eq!(desk.run(&sign, &SIGN).code, Some(0));
    let bundle = OsStr::from_bytes(b"fw\xff\n\x1b[2J.cwfw");
    assert_eq!(
        fs::read(desk.path(bundle)).expect("there"),
        desk.read("fw.cwfw")
    );
    for (verb, name) in [("inspect", bundle), ("inspect", name)] {
        let shown = desk.run(&[OsStr::new(verb), name], &["--json"]);
        assert_eq!(shown.code, Some(0), "{shown:?}");
        serde_json::from_str::<serde_json::Value>(&shown.out).expect("JSON");
        let shown = desk.run(&[OsStr::new(verb), name], &[]);
        assert!(!shown.out.contains('\x1b'), "{shown:?}");
    }
}

/// An ELF that is wrong in one way: what `sign` and `inspect` end with, what `lint` ends with, and what is said.
struct WrongElf {
    make: fn() -> Vec<u8>,
    codes: [i32; 3],
    says: &'static str,
}

/// Codes of `sign`, `inspect`, `lint`. What lint finds is its answer and goes to standard output.
const ELFS: &[WrongElf] = &[
    WrongElf {
        make: || b"MZ\x90\0 this is no ELF".to_vec(),
        codes: [3, 3, 3],
        says: "not ",
    },
    WrongElf {
        make: || {
            let mut elf = firmware().build();
            elf[5] = 2;
            elf
        },
        codes: [3, 3, 3],
        says: "big-endian",
    },
    WrongElf {
        make: || {
            let mut elf = firmware().build();
            elf[44..46].copy_from_slice(&u16::MAX.to_le_bytes());
            elf
        },
        codes: [3, 3, 3],
        says: "65535 program headers",
    },
    WrongElf {
        make: || {
            let mut elf = Elf::qemu_virt();
            elf.segments[1].address = 0x2100_0010;
            elf.build()
        },
        codes: [3, 3, 5],
        says: "segments 0 and 1 overlap",
    },
    WrongElf {
        make: || {
            let mut elf = Elf::qemu_virt();
            elf.segments[1].address = 0xffff_fff0;
            elf.build()
        },
        codes: [3, 3, 3],
        says: "segment 1 wraps",
    },
    WrongElf {
        make: || {
            let mut elf = Elf::qemu_virt();
            for segment in &mut elf.segments {
                segment.kind = 4;
            }
            elf.build()
        },
        codes: [3, 3, 3],
        says: "no LOAD segment",
    },
    WrongElf {
        make: || {
            let mut elf = firmware().build();
            // The name of section 1 in the section table, which ends the file.
            let table = elf.len() - 3 * 40;
            elf[table + 40..table + 44].copy_from_slice(&0x00ff_ffff_u32.to_le_bytes());
            elf
        },
        codes: [3, 3, 3],
        says: "outside the table of names",
    },
    WrongElf {
        make: || {
            let mut elf = firmware().build();
            elf[50..52].copy_from_slice(&999_u16.to_le_bytes());
            elf
        },
        codes: [3, 3, 3],
        says: "section 999 should hold the section names",
    },
    WrongElf {
        make: || {
            let mut elf = firmware().build();
            elf.truncate(elf.len() - 1);
            elf
        },
        codes: [3, 3, 3],
        says: "cut off",
    },
    WrongElf {
        make: || {
            let mut elf = Elf::qemu_virt();
            elf.segments[0].flags = 7;
            elf.build()
        },
        codes: [5, 5, 5],
        says: "both writable and executable",
    },
    WrongElf {
        make: || {
            let mut elf = Elf::qemu_virt();
            elf.segments
                .push(Segment::load(6, 0x3000_0000, vec![1; 16]));
            elf.build()
        },
        codes: [5, 0, 5],
        says: "in no private region",
    },
    WrongElf {
        make: || {
            let mut elf = firmware();
            elf.sections.push(Section {
                name: ".resource_table",
                kind: 1,
                flags: 2,
                address: 0x2120_0000,
                link: 0,
                info: 0,
                entry_size: 0,
                content: Content::Own(vec![0; 16]),
            });
            elf.build()
        },
        codes: [3, 3, 3],
        says: "are both .resource_table",
    },
];

#[test]
fn every_wrong_elf_is_named_by_sign_inspect_and_lint() {
    let desk = Desk::new();
    for wrong in ELFS {
        desk.write("wrong.elf", (wrong.make)());
        let lint = [
            "lint",
            "wrong.elf",
            "--platform",
            "board.toml",
            "--core",
            "m4",
        ];
        let commands = [
            desk.run(&["sign", "wrong.elf"], &SIGN),
            desk.run(&["inspect", "wrong.elf"], &[]),
            desk.run(&lint, &[]),
        ];
        for (ended, code) in commands.iter().zip(wrong.codes) {
            match (code, ended.out.is_empty()) {
                (0, _) => assert_eq!(ended.code, Some(0), "{ended:?}"),
                (5, false) => {
                    assert_eq!(ended.code, Some(5), "{ended:?}");
                    assert!(ended.out.contains(wrong.says), "{}: {ended:?}", wrong.says);
                    assert!(ended.out.contains("  fix: "), "{ended:?}");
                }
                _ => {
                    expect_line(ended, code, "wrong.elf", wrong.says);
                    assert!(ended.err.contains(wrong.says), "{}: {ended:?}", wrong.says);
                }
            }
        }
        assert!(!desk.files().contains(&"wrong.cwfw".to_owned()));
    }
}

/// Runs `pki` and insists that it succeeds.
fn pki(desk: &Desk, line: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let ended = desk.run(&words, &[]);
    assert_eq!(ended.code, Some(0), "{line}: {ended:?}");
}

/// A leaf for the development signer's key under the development product CA.
fn leaf(desk: &Desk, out: &str, more: &str) {
    pki(
        desk,
        &format!(
            "pki issue --kind leaf --key dev-signer.key.pem --issuer dev-product-ca.pem --issuer-key dev-product-ca.key.pem \
             --name CN=test --core 0 --device-class 6f1d5e0c-6a0f-4b53-9c7d-2f0c0e5a7b11 --max-version 9 --out {out} {more}"
        ),
    );
}

fn sign_with(desk: &Desk, key: &str, certificates: &[&str]) -> Ended {
    let mut words = vec![
        "sign",
        "fw.elf",
        "--out",
        "made",
        "--platform",
        "board.toml",
    ];
    words.extend(["--core", "m4", "--security-version", "3", "--key", key]);
    for certificate in certificates {
        words.extend(["--cert", certificate]);
    }
    desk.run(&words, &["--force"])
}

#[test]
fn certificates_that_do_not_fit_are_named() {
    let desk = Desk::new();
    let ca = "dev-product-ca.pem";

    let ended = sign_with(&desk, "dev-root.key.pem", &["dev-signer.pem", ca]);
    expect_line(&ended, 6, "is not the certificate's", "the wrong key");

    leaf(
        &desk,
        "old.pem",
        "--not-before 2020-01-01 --not-after 2021-01-01",
    );
    let ended = sign_with(&desk, "dev-signer.key.pem", &["old.pem", ca]);
    expect_line(&ended, 5, "expired on 2021-01-01", "an expired leaf");

    leaf(
        &desk,
        "early.pem",
        "--not-before 2040-01-01 --not-after 2041-01-01",
    );
    let ended = sign_with(&desk, "dev-signer.key.pem", &["early.pem", ca]);
    expect_line(
        &ended,
        5,
        "valid only from 2040-01-01",
        "a leaf that is not valid yet",
    );

    // GeneralizedTime from 2050 on (RFC 5280, 4.1.2.5), and the end of time.
    for end in ["2049-12-31T23:59:59Z", "2050-01-01", "2120-06-01", "never"] {
        leaf(&desk, "late.pem", &format!("--force --not-after {end}"));
        let ended = sign_with(&desk, "dev-signer.key.pem", &["late.pem", ca]);
        assert_eq!(ended.code, Some(0), "{end}: {ended:?}");
        let ended = desk.run(
            &[
                "verify",
                "made",
                "--root",
                "dev-root.pem",
                "--at",
                "2049-06-01",
            ],
            &[],
        );
        assert_eq!(ended.code, Some(0), "{end}: {ended:?}");
    }

    let ended = sign_with(&desk, "dev-signer.key.pem", &["dev-signer.pem"]);
    expect_line(&ended, 5, "--cert", "no product CA");
}

#[test]
fn a_chain_that_is_too_long_and_an_unknown_critical_extension_are_refused() {
    let desk = Desk::new();
    // OpenSSL issues what our own `pki` would not: a second CA, and an extension that nobody knows.
    desk.write(
        "ca.ext",
        "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n",
    );
    desk.write(
        "odd.ext",
        "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n1.2.3.4.5=critical,ASN1:UTF8String:odd\n",
    );
    for (extensions, out) in [("ca.ext", "second.pem"), ("odd.ext", "odd.pem")] {
        openssl(
            &desk,
            "req -new -key dev-signer.key.pem -subj /CN=made -out made.csr",
        );
        openssl(
            &desk,
            &format!(
                "x509 -req -in made.csr -CA dev-product-ca.pem -CAkey dev-product-ca.key.pem -set_serial 77 -days 99 \
                 -extfile {extensions} -out {out}"
            ),
        );
    }
    let ended = sign_with(
        &desk,
        "dev-signer.key.pem",
        &["odd.pem", "dev-product-ca.pem"],
    );
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert_eq!(ended.err.lines().count(), 1, "{ended:?}");
    assert!(ended.err.contains("extension"), "{ended:?}");

    // A leaf below the second CA, whose chain would be leaf, second CA, product CA, root.
    openssl(
        &desk,
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out leaf.key.pem",
    );
    openssl(
        &desk,
        "req -new -key leaf.key.pem -subj /CN=leaf -out leaf.csr",
    );
    desk.write(
        "leaf.ext",
        "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n",
    );
    openssl(
        &desk,
        "x509 -req -in leaf.csr -CA second.pem -CAkey dev-signer.key.pem -set_serial 78 -days 99 -extfile leaf.ext -out leaf.pem",
    );
    let ended = sign_with(
        &desk,
        "leaf.key.pem",
        &["leaf.pem", "second.pem", "dev-product-ca.pem"],
    );
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert_eq!(ended.err.lines().count(), 1, "{ended:?}");
    assert!(!desk.files().contains(&"made".to_owned()));
}

fn openssl(desk: &Desk, line: &str) {
    let output = Command::new("openssl")
        .args(line.split_whitespace())
        .current_dir(desk.path(""))
        .output()
        .expect("openssl runs");
    assert!(output.status.success(), "{line}: {output:?}");
}

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
        let kill = Command::new("kill")
            .args([&format!("-{signal}"), &child.id().to_string()])
            .stderr(Stdio::null())
            .status();
        kill.expect("kill runs");
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
fn a_bundle_that_lost_a_byte_says_that_it_may_be_cut_off() {
    let desk = Desk::new();
    let bundle = desk.read("fw.cwfw");
    desk.write("cut.cwfw", &bundle[..bundle.len() - 1]);
    let ended = desk.run(&["verify", "cut.cwfw", "--root", "dev-root.pem"], &[]);
    expect_line(&ended, 3, "cut off", "verify");
    let ended = desk.run(&["inspect", "cut.cwfw"], &[]);
    assert_eq!(ended.code, Some(0));
    assert!(ended.out.contains("cut off"), "{ended:?}");
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
