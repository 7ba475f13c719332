//! Lets the linker find Debian's TEE client library.
//!
//! `optee-teec-sys` looks in `$OPTEE_CLIENT_EXPORT/usr/lib` only; Debian's packages keep it in the multiarch folder below.

use std::env;
use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=OPTEE_CLIENT_EXPORT");
    if let Some(export) = env::var_os("OPTEE_CLIENT_EXPORT") {
        let libraries = PathBuf::from(export).join("usr/lib/aarch64-linux-gnu");
        if libraries.is_dir() {
            println!("cargo:rustc-link-search=native={}", libraries.display());
        }
    }
}
