//! Hands the linker its script, and makes the padding that stands for a larger firmware.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=link.ld");
    println!("cargo::rerun-if-env-changed=COREWARDEN_IMAGE_SIZE");
    println!("cargo::rerun-if-env-changed=COREWARDEN_CRASH_MS");
    // By name alone: cargo remembers this line, and the clone may move.
    println!("cargo::rustc-link-arg-bins=-Tlink.ld");
    // Segments are aligned by the script; the file needs no more.
    println!("cargo::rustc-link-arg-bins=-zmax-page-size=4096");
    println!("cargo::rustc-link-arg-bins=--build-id=sha1");
    // What is counted is the program alone.
    println!("cargo::rustc-link-arg-bin=smallest=--build-id=none");

    let bulk = number("COREWARDEN_IMAGE_SIZE", 0).saturating_sub(WITHOUT_PADDING);
    let crash_ms = number("COREWARDEN_CRASH_MS", 1000);
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("bulk.bin"), noise(bulk)).expect("OUT_DIR is writable");
    fs::write(out.join("crash_ms.rs"), format!("{crash_ms}\n")).expect("OUT_DIR is writable");
}

fn number(name: &str, default: usize) -> usize {
    match env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is not a number: {text}")),
        Err(_) => default,
    }
}

/// Bytes that do not compress, the same on every build.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .collect()
}

/// What the image loads without any padding, about.
const WITHOUT_PADDING: usize = 0x3000;
