//! Builds a device into the TA: its platform file, the roots it pins, and OP-TEE's header.
//!
//! `COREWARDEN_PLATFORM` names the platform file, relative to the root of the source tree. What is embedded was
//! checked here by the same code that checks it again when the TA begins. `COREWARDEN_TEST_BUILD=1` adds the
//! commands of tests. `TA_DEV_KIT_DIR` is asked for only where the TA is linked.

mod device;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use optee_utee_build::{Builder, HeaderFileGenerator, TaConfig};

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            println!("cargo::error={reason}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rustc-check-cfg=cfg(corewarden_test)");
    if variable("COREWARDEN_TEST_BUILD").is_some_and(|value| value == "1") {
        println!("cargo::rustc-cfg=corewarden_test");
    }
    let out = PathBuf::from(variable("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let cores = embed_device(&out)?;
    link(&out, cores)
}

/// Writes `device.rs` for the platform file that is asked for, and tells how many cores that has.
fn embed_device(out: &Path) -> Result<usize, String> {
    let named = variable("COREWARDEN_PLATFORM").unwrap_or(DEFAULT_PLATFORM.to_owned());
    // As cargo says now, and not as it was when this was compiled: a clone that was moved must not read the old one.
    let manifest = variable("CARGO_MANIFEST_DIR").ok_or("cargo sets CARGO_MANIFEST_DIR")?;
    let root = Path::new(&manifest).join("..");
    let source = device::source(&root, &named, |path| {
        println!("cargo::rerun-if-changed={}", path.display());
    })?;
    write(&out.join("device.rs"), &source)?;
    device::cores(&root, &named)
}

/// OP-TEE's header (ta-api.md 1.1), and the linking of a TA where this is one.
fn link(out: &Path, cores: usize) -> Result<(), String> {
    let config = TaConfig::new_default_with_cargo_env(&ta_protocol::TA_UUID.to_string())
        .map_err(|error| format!("the TA's header: {error:?}"))?
        .ta_flags(SINGLE_INSTANCE | MULTI_SESSION | KEEP_ALIVE | DEVICE_ENUM)
        .ta_stack_size(STACK)
        .ta_data_size(heap(cores));
    if env::var("CARGO_CFG_TARGET_ARCH").as_deref() != Ok("aarch64") {
        let header = HeaderFileGenerator::new()
            .generate(&config)
            .map_err(|error| format!("the TA's header: {error:?}"))?;
        return write(&out.join("user_ta_header.rs"), &header);
    }
    let Some(kit) = variable("TA_DEV_KIT_DIR") else {
        return Err(
            "TA_DEV_KIT_DIR is not set: it names the TA dev kit of the OP-TEE that the TA is for, \
             such as .../usr/lib/optee-os-dev/vexpress-qemu_armv8a; `cargo xtask ta` fetches one"
                .to_owned(),
        );
    };
    if !Path::new(&kit).join("src/ta.ld.S").is_file() {
        return Err(format!(
            "TA_DEV_KIT_DIR={kit}: there is no src/ta.ld.S, so this is no TA dev kit"
        ));
    }
    // libc, which ring brings, asks the linker for the host's C libraries. A TA must never be bound to
    // them: empty linker scripts of their names come first in the search path.
    println!("cargo::rustc-link-search=native={}", out.display());
    for name in ["c", "m", "rt", "pthread", "util", "gcc_s"] {
        let script = out.join(format!("lib{name}.so"));
        write(&script, "/* empty: a TA links no host library */\n")?;
    }
    println!("cargo::rustc-link-arg=-nostartfiles");
    Builder::new(config)
        .build()
        .map_err(|error| format!("linking the TA: {error:?}"))?;
    let linker_script = out.join("ta.lds");
    drop_unwind_tables(&linker_script)?;
    make_old(&linker_script)
}

/// optee-utee-build asks cargo to watch the script that it has just written, so that the TA would be built anew at
/// every call; a script from long ago never looks changed.
fn make_old(file: &Path) -> Result<(), String> {
    fs::File::options()
        .write(true)
        .open(file)
        .and_then(|file| file.set_modified(std::time::UNIX_EPOCH))
        .map_err(|error| format!("{}: {error}", file.display()))
}

/// Nothing unwinds in a TA, and the tables for it take a tenth of its size.
fn drop_unwind_tables(linker_script: &Path) -> Result<(), String> {
    let script = fs::read_to_string(linker_script)
        .map_err(|error| format!("{}: {error}", linker_script.display()))?;
    let (before, after) = script
        .split_once("SECTIONS")
        .and_then(|(before, after)| Some((before, after.split_once('{')?.1)))
        .ok_or(format!("{}: no SECTIONS", linker_script.display()))?;
    let discard = "/DISCARD/ : { *(.eh_frame .eh_frame.* .eh_frame_hdr .gcc_except_table .gcc_except_table.*) }";
    println!("cargo::rustc-link-arg=-Wl,--no-eh-frame-hdr");
    write(
        linker_script,
        &format!("{before}SECTIONS {{\n {discard}\n{after}"),
    )
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

fn variable(name: &str) -> Option<String> {
    println!("cargo::rerun-if-env-changed={name}");
    env::var(name).ok().filter(|value| !value.is_empty())
}

const DEFAULT_PLATFORM: &str = "ta/platforms/qemu-virt.toml";
/// Counted in the TA's code: the deepest call, the judgement of a bundle, takes 32 KiB.
const STACK: u32 = 0x1_0000;
/// Bytes of heap for so many cores.
fn heap(cores: usize) -> u32 {
    let cores = u32::try_from(cores).unwrap_or(u32::MAX);
    HEAP.saturating_add(HEAP_PER_CORE.saturating_mul(cores.saturating_sub(HEAP_CORES)))
}

/// The trailer takes half of it, whatever the image; everything else, 37 KiB at its peak with three cores, fits into
/// the other half.
const HEAP: u32 = 0x2_0000;
/// Cores for which [`HEAP`] suffices.
const HEAP_CORES: u32 = 3;
/// What each core beyond them adds: its slot, with its resource table.
const HEAP_PER_CORE: u32 = 0x3000;
/// OP-TEE's TA flags (user_ta_header.h).
const SINGLE_INSTANCE: u32 = 1 << 2;
const MULTI_SESSION: u32 = 1 << 3;
const KEEP_ALIVE: u32 = 1 << 4;
const DEVICE_ENUM: u32 = 1 << 9;
