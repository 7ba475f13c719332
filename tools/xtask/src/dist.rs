//! `cargo xtask dist`: what a release is made of: a tar.gz and packages for Debian.

mod legacy;
mod trial;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use tests::images::workspace;

use crate::{
    cargo_tool::CargoTool,
    run::{cargo, execute, say},
};

pub(crate) use trial::run_all;

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask dist\n  cargo xtask dist --without-arm64   # needs no downloads but cargo-deb"
)]
pub(crate) struct Args {
    /// Leave out corewarden's package for arm64, which is cross-built against what the test bed downloads.
    #[arg(long)]
    without_arm64: bool,
    /// Then install, use and remove what was made, in folders of its own.
    #[arg(long, conflicts_with = "without_arm64")]
    r#try: bool,
    /// Install missing packages of this machine without asking.
    #[arg(long)]
    yes: bool,
}

/// What was made.
struct Products {
    tar: PathBuf,
    signer: PathBuf,
    /// corewarden's package for arm64.
    corewarden: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    crate::run::ensure_packages(args.yes)?;
    if args.r#try {
        return run_all().map(drop);
    }
    let products = make(!args.without_arm64)?;
    let all = [
        Some(products.tar),
        Some(products.signer),
        products.corewarden,
    ];
    for path in all.into_iter().flatten() {
        println!("{}", path.display());
    }
    Ok(())
}

/// corewarden-sign as it is shipped.
pub(crate) fn release_signer() -> Result<PathBuf> {
    execute(&mut cargo([
        "build",
        "--quiet",
        "--release",
        "--package",
        "firmware-signing",
    ]))?;
    Ok(workspace().join("target/release/corewarden-sign"))
}

fn make(arm64: bool) -> Result<Products> {
    let out = workspace().join("target/dist");
    if out.exists() {
        fs::remove_dir_all(&out).with_context(|| out.display().to_string())?;
    }
    let stage = out.join(SIGNER);
    lay_out(&release_signer()?, &stage)?;
    let machine = std::env::consts::ARCH;
    let tar = out.join(format!("{SIGNER}-{VERSION}-{machine}-linux.tar.gz"));
    pack(&stage, &tar)?;
    let signer = package("firmware-signing", SIGNER, &out, &[])?;
    let corewarden = if arm64 {
        let cache = testbed::Cache::open()?;
        let assets = testbed::fetch::obtain(&cache, &testbed::Lock::committed()?, &say)?;
        testbed::Builder::new(&workspace(), &assets, &say)?.cli()?;
        let target = ["--target", "aarch64-unknown-linux-gnu"];
        Some(package("host", "corewarden", &out, &target)?)
    } else {
        None
    };
    Ok(Products {
        tar,
        signer,
        corewarden,
    })
}

/// The program with everything that belongs to it, as below `/usr`.
fn lay_out(program: &Path, stage: &Path) -> Result<()> {
    let own = stage.join("bin").join(SIGNER);
    for folder in ["bin", MAN, DOC] {
        fs::create_dir_all(stage.join(folder))?;
    }
    execute(Command::new("strip").arg("-o").args([&own, program]))?;
    let mut pages = Command::new(&own);
    let written = pages.args(["man", "--out-dir"]).arg(stage.join(MAN));
    read(written)?;
    for (shell, path) in COMPLETIONS {
        let path = stage.join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, read(Command::new(&own).args(["completions", shell]))?)?;
    }
    for document in DOCUMENTS {
        let from = workspace().join(document);
        let name = from.file_name().context("a document has a name")?;
        fs::copy(&from, stage.join(DOC).join(name)).with_context(|| from.display().to_string())?;
    }
    Ok(())
}

/// A tar.gz that depends on names and contents only: sorted, of one time, owned by root.
fn pack(stage: &Path, to: &Path) -> Result<()> {
    let mut files = BTreeMap::new();
    collect(stage, Path::new(""), &mut files)?;
    let folder = format!("{SIGNER}-{VERSION}");
    let file = File::create(to).with_context(|| to.display().to_string())?;
    let gzip = GzBuilder::new().write(file, Compression::default());
    let mut tar = tar::Builder::new(gzip);
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(if name.starts_with("bin/") {
            0o755
        } else {
            0o644
        });
        header.set_mtime(TIME);
        header.set_username("root")?;
        header.set_groupname("root")?;
        tar.append_data(&mut header, format!("{folder}/{name}"), &*bytes)?;
    }
    tar.into_inner()?.finish()?.flush()?;
    Ok(())
}

fn collect(root: &Path, below: &Path, files: &mut BTreeMap<String, Vec<u8>>) -> Result<()> {
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        let name = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            collect(root, &name, files)?;
        } else {
            files.insert(name.display().to_string(), fs::read(entry.path())?);
        }
    }
    Ok(())
}

/// Debian's package `name`, of the crate in `folder`; its contents stand in that crate's Cargo.toml.
fn package(folder: &str, name: &str, out: &Path, more: &[&str]) -> Result<PathBuf> {
    let mut command = Command::new(CARGO_DEB.path()?);
    command
        .args(["--quiet", "--no-build", "--no-strip", "--no-dbgsym"])
        .args(["--locked", "--offline", "--compress-system", "--fast"])
        .arg("--manifest-path")
        .arg(workspace().join(folder).join("Cargo.toml"))
        .arg("--output")
        .arg(out)
        .args(more)
        .env("SOURCE_DATE_EPOCH", TIME.to_string())
        .current_dir(workspace());
    read(&mut command)?;
    let prefix = format!("{name}_");
    for entry in fs::read_dir(out)? {
        let path = entry?.path();
        let file = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if file.starts_with(&prefix) && file.ends_with(".deb") {
            return Ok(path);
        }
    }
    anyhow::bail!("cargo-deb made no package {name} in {}", out.display())
}

/// What `command` prints; a failure repeats what it said.
fn read(command: &mut Command) -> Result<Vec<u8>> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {command:?}"))?;
    anyhow::ensure!(
        output.status.success(),
        "{command:?} ended with {}:\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output.stdout)
}

const SIGNER: &str = "corewarden-sign";
const VERSION: &str = env!("CARGO_PKG_VERSION");
const CARGO_DEB: CargoTool = CargoTool {
    name: "cargo-deb",
    version: "3.8.0",
    // Not optimised: it moves a few megabytes, and xz does the compression.
    options: &["--debug"],
    takes: "a minute",
};
/// 1980-01-01: the time of everything in the packages, early enough for every file system and late enough for zip.
const TIME: u64 = 315_532_800;
const MAN: &str = "share/man/man1";
const DOC: &str = "share/doc/corewarden-sign";
const COMPLETIONS: [(&str, &str); 5] = [
    ("bash", "share/bash-completion/completions/corewarden-sign"),
    ("elvish", "share/doc/corewarden-sign/corewarden-sign.elv"),
    (
        "fish",
        "share/fish/vendor_completions.d/corewarden-sign.fish",
    ),
    (
        "powershell",
        "share/doc/corewarden-sign/corewarden-sign.ps1",
    ),
    ("zsh", "share/zsh/vendor-completions/_corewarden-sign"),
];
const DOCUMENTS: [&str; 6] = [
    "CHANGELOG.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "docs/bundle-format.md",
    "docs/comparison.md",
    "docs/corewarden-sign.md",
];
