//! Every verb that takes a file, with every kind of bad file: one line that says what, where and what to do; the right exit code;
//! nothing left behind; never a panic.

mod folder;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use firmware_signing::sample::{Content, Elf, Section, Segment};
use folder::verbs::{Takes, VERBS, Verb};
use folder::{Desk, Ended, SIGN, expect_line, firmware};

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
        } else if verb.lists() {
            expect_listed(&ended, code(verb), file, &what);
        } else {
            expect_line(&ended, code(verb), file, &what);
            assert_eq!(ended.out, "", "{what}");
        }
        assert_eq!(desk.files(), before, "{what} leaves nothing");
    }
}

/// The same in the list of what `doctor` finds.
fn expect_listed(ended: &Ended, code: i32, file: &str, what: &str) {
    assert_eq!(ended.code, Some(code), "{what}: {ended:?}");
    assert_eq!(ended.err, "", "{what}");
    let mut lines = ended.out.lines();
    let found = lines.find(|line| line.starts_with("fail") && line.contains(file));
    let found = found.unwrap_or_else(|| panic!("{what} names {file}: {ended:?}"));
    assert!(found.contains("; "), "{what} says what to do: {ended:?}");
    for line in ended.out.lines() {
        let verdict = line.split(' ').next().unwrap_or_default();
        assert!(["ok", "warn", "fail"].contains(&verdict), "{what}: {line}");
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
        let shown = "fw\u{fffd}??[2J.elf";
        if verb.lists() {
            expect_listed(&ended, 7, shown, verb.line);
        } else if verb.names_images() {
            expect_line(&ended, 2, "fw\u{fffd}\\n\\u{1b}[2J", verb.line);
        } else {
            expect_line(&ended, 7, shown, verb.line);
        }
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

/// An ELF that is wrong in one way: what `sign` and `prepare`, `inspect`, and `lint` end with, and what is said.
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
fn every_wrong_elf_is_named_by_every_verb_that_takes_one() {
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
        let prepare = [&PREPARE[..], &SIGN[..4], &SIGN[6..]].concat();
        let commands = [
            desk.run(&["sign", "wrong.elf"], &SIGN),
            desk.run(&prepare, &[]),
            desk.run(&["inspect", "wrong.elf"], &[]),
            desk.run(&lint, &[]),
        ];
        let [sign, inspect, lint] = wrong.codes;
        for (ended, code) in commands.iter().zip([sign, sign, inspect, lint]) {
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
        for made in ["made", "wrong.cwfw"] {
            assert!(!desk.files().contains(&made.to_owned()), "{}", wrong.says);
        }
    }
}

/// What stands before the options of `sign`, of which `prepare` takes all but the key.
const PREPARE: [&str; 4] = ["prepare", "wrong.elf", "--out-dir", "made"];

#[test]
fn a_request_that_fails_takes_the_folders_with_it_that_it_made() {
    let desk = Desk::new();
    desk.write("wrong.elf", "MZ");
    fs::create_dir(desk.path("there")).expect("a folder");
    for (folder, first) in [
        ("new", "new"),
        ("new/one/below", "new"),
        ("there/new", "there/new"),
    ] {
        // The first one is on the disk already when the second one fails.
        let words = ["prepare", "fw.elf", "wrong.elf", "--out-dir", folder];
        let ended = desk.run(&words, &[&SIGN[..4], &SIGN[6..]].concat());
        expect_line(&ended, 3, "wrong.elf", folder);
        assert!(!desk.path(first).exists(), "{folder}");
    }
    let words = ["prepare", "fw.elf", "wrong.elf", "--out-dir", "there"];
    let ended = desk.run(&words, &[&SIGN[..4], &SIGN[6..]].concat());
    expect_line(&ended, 3, "wrong.elf", "there");
    let left = fs::read_dir(desk.path("there")).expect("it was there, and stays");
    assert_eq!(left.count(), 0);
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
