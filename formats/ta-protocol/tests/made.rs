//! What is made from the Rust definitions: the C headers and the status table of docs/ta-api.md.
//!
//! `UPDATE=1 cargo test -p ta-protocol` makes them anew; otherwise a difference is a failure.

use std::{fs, path::PathBuf, process::Command};

use ta_protocol::{
    Command as TaCommand, CoreState, Parameter, RootsReport, StateReport, Status, header, pta,
};

#[test]
fn the_c_header_of_the_ta_is_what_the_rust_definitions_say() {
    compare("include/corewarden_ta.h", &header::ta().to_string());
}

#[test]
fn the_c_header_of_the_pta_is_what_the_rust_definitions_say() {
    compare("include/corewarden_pta.h", &header::pta().to_string());
}

#[test]
fn the_status_table_of_the_text_is_what_the_list_says() {
    let text = fs::read_to_string(path("../../docs/ta-api.md")).unwrap();
    let (head, rest) = text.split_once("<!-- begin: ").unwrap();
    let (note, rest) = rest.split_once("-->\n").unwrap();
    let (_, tail) = rest.split_once("<!-- end -->").unwrap();
    let mut table = String::from(
        "\n| status | name | commands 1 to 6 | meaning | first number | second number |\n|---|---|---|---|---|---|\n",
    );
    for status in Status::ALL {
        let [first, second] = status.numbers();
        table += &format!(
            "| {:#010x} | `{}` | {} | {} | {first} | {second} |\n",
            status.number(),
            status.name(),
            status.global_platform_name(),
            status.text(),
        );
    }
    let expected = format!("{head}<!-- begin: {note}-->\n{table}\n<!-- end -->{tail}");
    compare("../../docs/ta-api.md", &expected);
}

#[test]
fn the_texts_give_every_command_its_slots() {
    let ta = fs::read_to_string(path("../../docs/ta-api.md")).unwrap();
    for command in TaCommand::ALL {
        let [zero, one, two, three] = command.parameters();
        if command.is_upstream() {
            // The text says once that slot 0 names the core, and slot 3 is never used.
            let number = command.number().to_string();
            assert_eq!((zero, three), (Parameter::ValueInput, Parameter::None));
            assert_eq!(slots(&ta, &number, command.name()), [one, two], "{command}");
        } else {
            let number = format!("{:#x}", command.number());
            let given = slots(&ta, &number, command.name());
            assert_eq!(given, command.parameters(), "{command}");
        }
    }
    let text = fs::read_to_string(path("../../docs/pta-api.md")).unwrap();
    let (_, extension) = text.split_once("## 3. ").unwrap();
    for command in pta::Extension::ALL {
        let number = match command {
            pta::Extension::Counters => "0xF000".to_owned(),
            _ => command.number().to_string(),
        };
        let given = slots(extension, &number, command.name());
        assert_eq!(given, command.parameters(), "{command}");
    }
}

#[test]
fn the_table_of_states_has_each_command_in_each_state_once() {
    let text = fs::read_to_string(path("../../docs/ta-api.md")).unwrap();
    let (_, table) = text
        .split_once("| state | command | status | next |")
        .unwrap();
    let rows: Vec<Vec<_>> = table.lines().skip(2).map_while(cells).collect();
    let expected = CoreState::ALL
        .iter()
        .flat_map(|state| TaCommand::ALL.iter().map(move |command| (state, command)));
    assert_eq!(rows.len(), expected.clone().count());
    for (row, (state, command)) in rows.iter().zip(expected) {
        let [found_state, found_command, status, next] = row[..] else {
            panic!("{row:?}");
        };
        assert_eq!((found_state, found_command), (state.name(), command.name()));
        let next = CoreState::from_name(next).unwrap();
        match Status::from_name(status) {
            // ta-api.md 1.7
            Some(_) => assert_eq!(next, *state, "{state} {command}"),
            None => assert_eq!(status, "Success", "{state} {command}"),
        }
    }
}

#[test]
fn a_c_compiler_lays_the_headers_out_as_rust_does() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("check.c");
    fs::write(
        &source,
        CHECK.replace("STATE_LENGTH", &StateReport::LENGTH.to_string()),
    )
    .unwrap();
    assert_eq!(RootsReport::length(1), Some(8 + 36));
    let output = Command::new("cc")
        .args([
            "-Wall",
            "-Wextra",
            "-Werror",
            "-std=c11",
            "-pedantic",
            "-c",
            "-I",
        ])
        .arg(path("include"))
        .arg("-o")
        .arg(folder.path().join("check.o"))
        .arg(&source)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The parameter types in the row of a command, without what is said of them.
fn slots(text: &str, number: &str, name: &str) -> Vec<Parameter> {
    let row = text
        .lines()
        .filter_map(cells)
        .find(|row| row[..2] == [number, name]);
    let row = row.unwrap_or_else(|| panic!("no row | {number} | {name} |"));
    let kind = |cell: &&str| Parameter::from_name(cell.split(':').next().unwrap()).unwrap();
    row[2..].iter().map(kind).collect()
}

/// The cells of a table's row; `None` for any other line.
fn cells(line: &str) -> Option<Vec<&str>> {
    let row = line.strip_prefix('|')?.strip_suffix('|')?;
    Some(row.split('|').map(str::trim).collect())
}

fn compare(name: &str, expected: &str) {
    let path = path(name);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, expected).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{name} is not what the Rust definitions say: UPDATE=1 cargo test -p ta-protocol"
    );
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

const CHECK: &str = r#"
#include <assert.h>
#include <stddef.h>
#include <corewarden_pta.h>
#include <corewarden_ta.h>

struct uuid { uint32_t low; uint16_t mid; uint16_t high; uint8_t node[8]; };
const struct uuid ta = COREWARDEN_TA_UUID;
const struct uuid pta[] = { COREWARDEN_PTA_UUID, COREWARDEN_PTA_UPSTREAM_UUID, COREWARDEN_PTA_CALLER_UUID };

static_assert(sizeof(struct corewarden_ta_state) == STATE_LENGTH, "state");
static_assert(offsetof(struct corewarden_ta_state, security_version) == 24, "state");
static_assert(offsetof(struct corewarden_ta_state, bundle_digest) == 32, "state");
static_assert(offsetof(struct corewarden_ta_state, signer_key_id) == 80, "state");
static_assert(offsetof(struct corewarden_ta_state, display_version) == 112, "state");
static_assert(offsetof(struct corewarden_ta_state, build_id) == 144, "state");
static_assert(sizeof(struct corewarden_ta_roots) == 8, "roots");
static_assert(sizeof(struct corewarden_ta_root) == 36, "root");
static_assert(sizeof(struct corewarden_pta_region) == 32, "region");
static_assert(offsetof(struct corewarden_pta_region, access) == 24, "region");
static_assert(COREWARDEN_TA_CMD_LOAD_FW == 1 && COREWARDEN_TA_CMD_RELEASE_FW == 6, "commands");
static_assert(COREWARDEN_TA_CMD_VERSION == 0x100 && COREWARDEN_TA_CMD_LOAD_CONTINUE == 0x106, "commands");
static_assert(COREWARDEN_TA_BAD_PARAMETERS == 0x80000001, "statuses");
static_assert(COREWARDEN_TA_CORE_OFF == 0 && COREWARDEN_TA_CORE_STOPPING == 6, "states");
static_assert(COREWARDEN_TA_LOGIN_KERNEL == 0x80000000, "logins");
static_assert(COREWARDEN_PTA_UPSTREAM_LOAD_SEGMENT_SHA256 == 3 && COREWARDEN_PTA_UPSTREAM_RELEASE == 9, "upstream");
static_assert(COREWARDEN_PTA_ISOLATE == 2 && COREWARDEN_PTA_COUNTERS == 0xf000, "extension");
static_assert(COREWARDEN_PTA_STOPPING == 4 && COREWARDEN_PTA_RECORD_SIZE == 256, "extension");
"#;
