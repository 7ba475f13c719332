//! The standard libraries of the targets that the machine runs; rustup does not fetch them by itself.

use std::{env, fs, path::Path, process::Command};

use anyhow::{Context, bail};

use super::{AARCH64, CORTEX_M};
use crate::{Progress, Result, process::read};

/// Adds what is missing. Costs two calls of rustc and no network when all is there.
pub(super) fn ensure_targets(workspace: &Path, progress: Progress<'_>) -> Result<()> {
    let missing: Vec<&str> = [AARCH64, CORTEX_M]
        .into_iter()
        .filter(|target| !is_installed(workspace, target))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let toolchain = toolchain_name(workspace)?;
    progress(&format!(
        "rustup target add --toolchain {toolchain} {}",
        missing.join(" ")
    ));
    let added = read(
        Command::new("rustup")
            .args(["target", "add", "--toolchain", &toolchain])
            .args(&missing),
    );
    match added {
        Ok(_) => Ok(()),
        Err(error) => bail!(
            "no Rust standard library for {}, and rustup could not add it: {error:#}\n\
             Debian has the arm64 one as packages: `dpkg --add-architecture arm64 && apt-get update && apt-get install \
             rustc-web cargo-web libstd-rust-web-dev:arm64`, to be used with RUSTUP_TOOLCHAIN=/usr. \
             For {CORTEX_M} no Debian suite has one: with rust-web-src, RUSTC_BOOTSTRAP=1 and \
             CARGO_UNSTABLE_BUILD_STD=core it is built from source.",
            missing.join(" and ")
        ),
    }
}

fn is_installed(workspace: &Path, target: &str) -> bool {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = Command::new(rustc);
    command
        .current_dir(workspace)
        .args(["--print", "target-libdir", "--target", target]);
    let Ok(folder) = read(&mut command) else {
        return false;
    };
    fs::read_dir(folder.trim()).is_ok_and(|mut files| {
        files.any(|file| {
            file.is_ok_and(|file| file.file_name().to_string_lossy().starts_with("libcore-"))
        })
    })
}

/// The version that rust-toolchain.toml pins; rustup wants it by name.
fn toolchain_name(workspace: &Path) -> Result<String> {
    let path = workspace.join("rust-toolchain.toml");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let file: toml::Table =
        toml::from_str(&text).with_context(|| format!("cannot read {}", path.display()))?;
    file.get("toolchain")
        .and_then(|table| table.get("channel"))
        .and_then(toml::Value::as_str)
        .map(str::to_owned)
        .with_context(|| format!("{} names no channel", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pinned_toolchain_is_read_from_its_file() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(
            folder.path().join("rust-toolchain.toml"),
            "[toolchain]\nchannel = \"1.95.0\"\n",
        )
        .unwrap();
        assert_eq!(toolchain_name(folder.path()).unwrap(), "1.95.0");
    }
}
