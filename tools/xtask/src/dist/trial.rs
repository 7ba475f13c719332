//! What was made is tried: unpacked, installed into a root of its own, used, and removed.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use firmware_signing::sample::Elf;
use tests::images::workspace;

use super::{Products, SIGNER, legacy, make, pack, read};
use crate::run::execute;

/// A trial of what `cargo xtask dist` makes.
struct Trial {
    name: &'static str,
    run: fn(&Products) -> Result<()>,
}

const TRIALS: [Trial; 4] = [
    Trial {
        name: "the_tar_of_the_signer_is_reproducible_and_works",
        run: tar,
    },
    Trial {
        name: "the_package_of_the_signer_is_installed_used_and_removed",
        run: signer,
    },
    Trial {
        name: "the_package_for_arm64_has_the_contents_listed",
        run: corewarden,
    },
    Trial {
        name: "files_of_optees_own_script_become_bundles",
        run: legacy::run,
    },
];

/// Makes everything and tries it; the names of the trials.
pub(crate) fn run_all() -> Result<BTreeSet<String>> {
    let products = make(true)?;
    for trial in TRIALS {
        (trial.run)(&products).context(trial.name)?;
        println!("    {}", trial.name);
    }
    Ok(TRIALS.map(|trial| trial.name.to_owned()).into())
}

fn tar(products: &Products) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let again = folder.path().join("again.tar.gz");
    // The same contents from another place, written at another time.
    let moved = folder.path().join("moved");
    let stage = workspace().join("target/dist").join(SIGNER);
    execute(Command::new("cp").arg("-r").args([&stage, &moved]))?;
    pack(&moved, &again)?;
    ensure!(
        fs::read(&again)? == fs::read(&products.tar)?,
        "two tars differ"
    );
    let mut unpack = Command::new("tar");
    unpack
        .arg("-xzf")
        .arg(&products.tar)
        .arg("-C")
        .arg(folder.path());
    execute(&mut unpack)?;
    let root = fs::read_dir(folder.path())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.join("bin").is_dir() && path != &moved)
        .context("a folder in the tar")?;
    complete(&root, "")
}

fn signer(products: &Products) -> Result<()> {
    let root = tempfile::tempdir()?;
    let database = root.path().join("var/lib/dpkg");
    for folder in ["info", "updates"] {
        fs::create_dir_all(database.join(folder))?;
    }
    for file in ["available", "status"] {
        fs::write(database.join(file), "")?;
    }
    let depends = read(
        Command::new("dpkg-deb")
            .arg("-f")
            .arg(&products.signer)
            .arg("Depends"),
    )?;
    let depends = String::from_utf8(depends)?;
    ensure!(depends.contains("libc6"), "it depends on {depends:?}");
    // The private root has no C library; whether it is there is the matter of real ones.
    execute(
        dpkg(root.path())?
            .args(["--force-depends", "--install"])
            .arg(&products.signer),
    )?;
    complete(&root.path().join("usr"), ".gz")?;
    execute(dpkg(root.path())?.args(["--purge", SIGNER]))?;
    let left = files(root.path())?;
    let left: Vec<_> = left
        .iter()
        .filter(|path| !path.starts_with("var/"))
        .collect();
    ensure!(left.is_empty(), "these are left after removal: {left:?}");
    Ok(())
}

fn corewarden(products: &Products) -> Result<()> {
    let package = products.corewarden.as_ref().context("it was made")?;
    let field = |name: &str| -> Result<String> {
        let value = read(Command::new("dpkg-deb").arg("-f").arg(package).arg(name))?;
        Ok(String::from_utf8(value)?.trim().to_owned())
    };
    ensure!(
        field("Architecture")? == "arm64",
        "{}",
        field("Architecture")?
    );
    ensure!(
        field("Depends")?.contains("libteec"),
        "{}",
        field("Depends")?
    );
    let folder = tempfile::tempdir()?;
    execute(
        Command::new("dpkg-deb")
            .arg("-x")
            .arg(package)
            .arg(folder.path()),
    )?;
    let listed: BTreeSet<_> = files(folder.path())?;
    let expected: BTreeSet<_> = COREWARDEN.map(PathBuf::from).into();
    ensure!(listed == expected, "it contains {listed:?}");
    let program = fs::read(folder.path().join("usr/bin/corewarden"))?;
    // ELF of 64 bits; e_machine 183 is AArch64.
    ensure!(
        program.starts_with(b"\x7fELF\x02") && program.get(18) == Some(&183),
        "no arm64 ELF"
    );
    Ok(())
}

/// All that belongs to the signer is below `usr`, and it signs.
fn complete(usr: &Path, gz: &str) -> Result<()> {
    let program = usr.join("bin").join(SIGNER);
    for name in [
        format!("share/man/man1/corewarden-sign.1{gz}"),
        format!("share/man/man1/corewarden-sign-sign.1{gz}"),
        format!("share/man/man1/corewarden-sign-pki-issue.1{gz}"),
        "share/bash-completion/completions/corewarden-sign".to_owned(),
        "share/fish/vendor_completions.d/corewarden-sign.fish".to_owned(),
        "share/zsh/vendor-completions/_corewarden-sign".to_owned(),
        "share/doc/corewarden-sign/LICENSE-APACHE".to_owned(),
        "share/doc/corewarden-sign/LICENSE-MIT".to_owned(),
        "share/doc/corewarden-sign/bundle-format.md".to_owned(),
        "share/doc/corewarden-sign/corewarden-sign.md".to_owned(),
    ] {
        let path = usr.join(&name);
        ensure!(path.is_file(), "{name} is missing");
    }
    let desk = tempfile::tempdir()?;
    fs::write(desk.path().join("motor.elf"), Elf::qemu_virt().build())?;
    let at = |name: &str| workspace().join(name);
    let mut sign = Command::new(&program);
    sign.args([
        "sign",
        "motor.elf",
        "--core",
        "m4",
        "--security-version",
        "3",
        "--platform",
    ])
    .arg(at("ta/platforms/qemu-virt.toml"))
    .arg("--key")
    .arg(at("keys/dev-signer.key.pem"))
    .arg("--cert")
    .arg(at("keys/dev-signer.pem"))
    .arg("--cert")
    .arg(at("keys/dev-product-ca.pem"));
    let mut verify = Command::new(&program);
    verify
        .args(["verify", "motor.cwfw", "--root"])
        .arg(at("keys/dev-root.pem"));
    for command in [&mut sign, &mut verify] {
        read(command.env_clear().current_dir(desk.path()))?;
    }
    Ok(())
}

/// dpkg on a root of its own; who is not root becomes it in a user namespace, for the owners of files.
fn dpkg(root: &Path) -> Result<Command> {
    let is_root = fs::metadata("/proc/self")?.uid() == 0;
    let mut command = if is_root {
        Command::new("dpkg")
    } else {
        let mut unshare = Command::new("unshare");
        unshare.args(["--map-root-user", "dpkg"]);
        unshare
    };
    let mut option = std::ffi::OsString::from("--root=");
    option.push(root);
    command
        .arg(option)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdout(std::process::Stdio::null());
    Ok(command)
}

/// Every file below `root`, by its path from there.
fn files(root: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut found = std::collections::BTreeMap::new();
    super::collect(root, Path::new(""), &mut found)?;
    Ok(found.into_keys().map(PathBuf::from).collect())
}

const COREWARDEN: [&str; 7] = [
    "usr/bin/corewarden",
    "usr/share/doc/corewarden/CHANGELOG.md",
    "usr/share/doc/corewarden/LICENSE-APACHE",
    "usr/share/doc/corewarden/LICENSE-MIT",
    "usr/share/doc/corewarden/copyright",
    "usr/share/doc/corewarden/rpmsg-lifecycle.md",
    "usr/share/doc/corewarden/ta-api.md",
];
