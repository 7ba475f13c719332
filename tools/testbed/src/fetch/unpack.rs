//! Packages into folders, one per group, each complete or absent.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use anyhow::{Context, anyhow, bail};

use super::{Had, unpacked};
use crate::{
    Cache, Lock, Progress, Result,
    cache::Exclusive,
    lock::Group,
    process::{read, system_command},
};

/// Unpacks `missing` groups out of the files in `had`.
pub(super) fn groups(
    cache: &Cache,
    guard: &Exclusive,
    lock: &Lock,
    missing: &[Group],
    had: &[Had],
    progress: Progress<'_>,
) -> Result<()> {
    progress("unpacking");
    // Sources are one long job each and packages many short ones: side by side they take half the time.
    thread::scope(|scope| {
        let works: Vec<_> = missing
            .iter()
            .map(|group| {
                let parts: Vec<&Had> = had.iter().filter(|part| part.group == *group).collect();
                let partial = cache.partial(guard, group.name());
                let target = unpacked(cache, lock, *group);
                scope.spawn(move || {
                    one_group(*group, &parts, &partial?, &target)
                        .with_context(|| format!("cannot unpack {group}"))
                })
            })
            .collect();
        works
            .into_iter()
            .try_for_each(|work| work.join().map_err(|_| anyhow!("unpacking panicked"))?)
    })
}

/// Unpacks one binary package into `into`.
pub(crate) fn package(file: &Path, into: &Path) -> Result<()> {
    read(system_command("dpkg-deb").arg("-x").arg(file).arg(into)).map(drop)
}

fn one_group(group: Group, parts: &[&Had], partial: &Path, target: &Path) -> Result<()> {
    let work = partial.join("tree");
    fs::create_dir(&work)?;
    for part in parts {
        match group {
            Group::Qemu | Group::Userland => package(&part.files[0], &work)?,
            Group::Kernel => kernel(&part.files[0], partial, &work)?,
            Group::OpteeOs | Group::TrustedFirmware => source(part, &work)?,
        }
    }
    if group == Group::Userland {
        client_export(&work)?;
    }
    let replaced: Vec<String> = parts
        .iter()
        .filter_map(|part| {
            part.replaced_by
                .as_ref()
                .map(|version| format!("{} {version}", part.name))
        })
        .collect();
    if !replaced.is_empty() {
        fs::write(work.join(REPLACEMENTS), replaced.join("\n"))?;
    }
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::rename(&work, target)
        .with_context(|| format!("cannot move {} into place", target.display()))
}

/// Of the kernel's 90 MB only the image and the modules are taken, the latter without their compression.
fn kernel(package: &Path, partial: &Path, into: &Path) -> Result<()> {
    let scratch = partial.join("kernel");
    fs::create_dir_all(&scratch)?;
    let mut producer = system_command("dpkg-deb");
    producer.arg("--fsys-tarfile").arg(package);
    let mut consumer = system_command("tar");
    consumer
        .arg("-x")
        .arg("-C")
        .arg(&scratch)
        .args(["--wildcards", "./boot/vmlinuz-*"]);
    for name in MODULES {
        consumer.arg(format!("*/{name}.ko.xz"));
    }
    piped(&mut producer, &mut consumer)?;
    let mut found = Vec::new();
    walk(&scratch, &mut found)?;
    let by_name = |wanted: &dyn Fn(&str) -> bool| -> Result<&PathBuf> {
        let is = |path: &&PathBuf| {
            path.file_name()
                .and_then(|name| name.to_str())
                .is_some_and(wanted)
        };
        found
            .iter()
            .find(is)
            .context("the kernel package lacks a part")
    };
    fs::rename(
        by_name(&|name| name.starts_with("vmlinuz-"))?,
        into.join("vmlinuz"),
    )?;
    for name in MODULES {
        let module = by_name(&|found| found == format!("{name}.ko.xz"))?;
        let output = system_command("xz")
            .args(["--decompress", "--stdout"])
            .arg(module)
            .output()
            .context("cannot start xz")?;
        if !output.status.success() {
            bail!("xz refused {}", module.display());
        }
        fs::write(into.join(format!("{name}.ko")), output.stdout)?;
    }
    Ok(())
}

fn source(part: &Had, into: &Path) -> Result<()> {
    let description = part
        .files
        .iter()
        .find(|file| file.extension().is_some_and(|extension| extension == "dsc"))
        .with_context(|| format!("{} has no .dsc", part.name))?;
    // The signature needs a keyring that hosts lack; the checksums of all files were judged against the lock file.
    let mut command = system_command("dpkg-source");
    command
        .args(["--no-check", "--extract"])
        .arg(description)
        .arg(into.join(SOURCE_TREE));
    read(&mut command).map(drop)
}

/// The linker looks for `libteec.so` in `usr/lib`, Debian has it in a folder of the architecture's.
fn client_export(userland: &Path) -> Result<()> {
    let folder = userland.join(CLIENT_EXPORT).join("usr/lib");
    fs::create_dir_all(&folder)?;
    for name in ["libteec.so", "libteec.so.2"] {
        symlink(
            format!("../../../usr/lib/aarch64-linux-gnu/{}", "libteec.so.2"),
            folder.join(name),
        )?;
    }
    Ok(())
}

/// Runs `producer | consumer`; both must succeed.
fn piped(producer: &mut Command, consumer: &mut Command) -> Result<()> {
    let mut first = producer
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {:?}", producer.get_program()))?;
    let output = first.stdout.take().context("no pipe")?;
    let second = consumer
        .stdin(output)
        .output()
        .with_context(|| format!("cannot start {:?}", consumer.get_program()));
    let first = first.wait()?;
    let second = second?;
    if !first.success() || !second.status.success() {
        bail!(
            "{producer:?} | {consumer:?} ended with {first} and {}: {}",
            second.status,
            String::from_utf8_lossy(&second.stderr).trim()
        );
    }
    Ok(())
}

/// Plain files below `folder`.
fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), found)?;
        } else {
            found.push(entry.path());
        }
    }
    Ok(())
}

/// Modules that Linux needs for the TEE, in the order of loading, and those of a UIO device; virtio's are built in.
pub(crate) const MODULES: [&str; 4] = ["tee", "optee", "uio", "uio_cif"];
pub(crate) const CLIENT_EXPORT: &str = "client";
pub(crate) const SOURCE_TREE: &str = "source";
pub(crate) const REPLACEMENTS: &str = "not-the-pinned-versions";

/// Changes when the same packages of a group are unpacked in another way.
pub(crate) const fn layout(group: Group) -> u32 {
    match group {
        Group::Kernel => 2,
        Group::Qemu | Group::Userland | Group::OpteeOs | Group::TrustedFirmware => 1,
    }
}
