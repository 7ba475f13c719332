//! No panic is in our formats and the TA's logic: linked alone, they do not reach the panic handler.
//!
//! `tests/no-panic` is the library that is linked; its panic handler calls a function that exists nowhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn formats_and_ta_core_link_without_a_panic_handler() {
    let linked = link("none");
    assert!(linked.success, "{}", linked.messages);
    let library = fs::read(target().join("release/libno_panic.so")).unwrap();
    for entry in [
        "ta_invoke",
        "ta_open",
        "admit",
        "bundle_trailer",
        "table_judge",
        "update_parse",
        "update_verify",
        "driver_poll",
        "device_poll",
        "pool_lend",
        "pool_take",
        "serve_gpio",
        "serve_i2c",
        "serve_spi",
        "ask_gpio",
        "ask_i2c",
        "ask_spi",
    ] {
        let name = [b"\0", entry.as_bytes(), b"\0"].concat();
        let found = library.windows(name.len()).any(|window| window == name);
        assert!(found, "{entry} was not linked, so nothing is proven of it");
    }
}

#[test]
fn a_planted_index_panic_is_found() {
    assert_found("index");
}

#[test]
fn a_planted_overflow_is_found() {
    assert_found("overflow");
}

#[test]
fn a_panic_planted_behind_an_actor_of_ta_core_is_found() {
    assert_found("ta");
}

#[track_caller]
fn assert_found(plant: &str) {
    let linked = link(plant);
    assert!(!linked.success, "the planted panic was not found");
    assert!(linked.messages.contains(MISSING), "{}", linked.messages);
}

struct Linked {
    success: bool,
    messages: String,
}

fn link(plant: &str) -> Linked {
    let crate_folder = root().join("tests/no-panic");
    // The versions that are proven are those of the workspace.
    let lock = fs::read(root().join("Cargo.lock")).unwrap();
    let kept = crate_folder.join("Cargo.lock");
    let turn = fs::File::create(target().join("turn")).unwrap();
    turn.lock().unwrap();
    fs::write(kept, lock).unwrap();
    let output = Command::new(env!("CARGO"))
        .current_dir(&crate_folder)
        .env_remove("RUSTFLAGS")
        .args(["rustc", "--quiet", "--release", "--target-dir"])
        .arg(target())
        .args(["--", "-C", "link-arg=-Wl,-z,defs", "--cfg"])
        .arg(format!("plant=\"{plant}\""))
        .output()
        .unwrap();
    Linked {
        success: output.status.success(),
        messages: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A target folder of its own, so that no lock is waited for that the caller holds.
fn target() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-panic");
    fs::create_dir_all(&folder).unwrap();
    folder
}

const MISSING: &str = "corewarden_code_that_can_panic_is_linked_in";
