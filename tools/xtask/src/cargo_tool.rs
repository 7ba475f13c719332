//! Programs of others that cargo installs: one version each, built once into the cache.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result};

use crate::run::{cargo, execute, say};

/// A program on crates.io.
pub(crate) struct CargoTool {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    /// For `cargo install`.
    pub(crate) options: &'static [&'static str],
    /// How long building it takes, for the one who waits.
    pub(crate) takes: &'static str,
}

impl CargoTool {
    /// The program, which is built if it is not there.
    pub(crate) fn path(&self) -> Result<PathBuf> {
        let Self { name, version, .. } = self;
        let folder = testbed::Cache::open()?.path().join(name).join(version);
        let program = folder.join("bin").join(name);
        // The cache may have been filled on a newer system, with a C library that is not here.
        let runs = Command::new(&program)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if !runs {
            say(&format!("building {name}, once; this takes {}", self.takes));
            let version = format!("={version}");
            let mut install = cargo(["install", "--quiet", "--locked", "--force"]);
            install
                .args(["--no-default-features", name, "--version", &version])
                .args(self.options)
                .arg("--root")
                .arg(&folder);
            execute(&mut install).with_context(|| format!("{name} cannot be had"))?;
        }
        Ok(program)
    }
}
