//! Debian keeps libteec in the multiarch folder, which optee-teec-sys does not add.

use std::{env, path::PathBuf};

fn main() {
    println!("cargo:rerun-if-env-changed=OPTEE_CLIENT_EXPORT");
    if let Ok(export) = env::var("OPTEE_CLIENT_EXPORT") {
        let folder = PathBuf::from(export).join("usr/lib/aarch64-linux-gnu");
        println!("cargo:rustc-link-search=native={}", folder.display());
    }
}
