//! Renewing the pins: ask the suites, download what they have, keep what QEMU really links to.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use anyhow::Context;

use super::{Entry, Lock, RawEntry, RawFile, upstream_version, wanted, wanted::Wanted};
use crate::{
    Cache, Progress, Result,
    fetch::{apt::PrivateApt, download, unpack},
    process::{read, system_command},
};

/// The lock file as it would be written today; everything it names is then in the cache's download folder.
pub fn update(cache: &Cache, progress: Progress<'_>) -> Result<Lock> {
    progress("reading the package lists of trixie and sid");
    let guard = cache.exclusive()?;
    let apt = PrivateApt::update(cache)?;
    let mut raw = Vec::new();
    for package in wanted::PACKAGES.iter().chain(wanted::SOURCES) {
        raw.push(pin(&apt, package)?);
    }
    raw.push(pin_kernel(&apt)?);
    progress("finding the libraries that QEMU needs");
    let closure = pin_closure(&apt)?;
    let entries = closure
        .iter()
        .cloned()
        .map(Lock::entry)
        .collect::<Result<Vec<_>>>()?;
    let had = download(cache, &guard, &entries.iter().collect::<Vec<_>>(), progress)?;
    let tree = cache.partial(&guard, "closure")?;
    for part in &had {
        unpack::package(&part.files[0], &tree)?;
    }
    let linked = linked_libraries(&tree)?;
    for entry in closure {
        let part = had.iter().find(|part| part.name == entry.name);
        let part = part.with_context(|| format!("{} was not downloaded", entry.name))?;
        if wanted::QEMU_PARTS.contains(&entry.name.as_str()) || provides(&part.files[0], &linked)? {
            raw.push(entry);
        }
    }
    raw.sort_by(|a, b| (a.group, &a.name).cmp(&(b.group, &b.name)));
    let lock = Lock::new(raw)?;
    let entries: Vec<&Entry> = lock.entries().iter().collect();
    download(cache, &guard, &entries, progress)?;
    Ok(lock)
}

fn pin(apt: &PrivateApt, wanted: &Wanted) -> Result<RawEntry> {
    let fits = |version: &String| {
        wanted
            .series
            .is_none_or(|series| upstream_version(version).starts_with(series))
    };
    let version = apt
        .versions(wanted.name, wanted.architecture, wanted.suite)?
        .into_iter()
        .find(fits)
        .with_context(|| {
            format!(
                "{} has no {} of the series that is known to work",
                wanted.suite, wanted.name
            )
        })?;
    entry(apt, wanted, wanted.name, version)
}

fn pin_kernel(apt: &PrivateApt) -> Result<RawEntry> {
    let meta = pin(apt, &wanted::KERNEL)?;
    let package = format!("{}:{}", meta.name, meta.architecture);
    let name = apt.dependency(&package, &meta.version, wanted::KERNEL_PREFIX)?;
    entry(apt, &wanted::KERNEL, &name, meta.version)
}

/// Libraries and data among what an installation of QEMU would bring; accounts, scripts and the like are left out.
fn pin_closure(apt: &PrivateApt) -> Result<Vec<RawEntry>> {
    let is_part = |name: &str| wanted::QEMU_PARTS.contains(&name);
    let mut packages = apt.closure(wanted::QEMU.name, wanted::QEMU.suite)?;
    packages
        .retain(|(name, _)| is_part(name) || name.starts_with("lib") || name.starts_with("zlib"));
    let files = apt.packages(&packages, wanted::QEMU.architecture)?;
    let entries = packages
        .into_iter()
        .zip(files)
        .map(|((name, version), file)| {
            let series = if is_part(&name) {
                wanted::QEMU.series
            } else {
                None
            };
            let wanted = Wanted {
                series,
                ..wanted::QEMU
            };
            described(&wanted, name, version, vec![file])
        });
    Ok(entries.collect())
}

fn entry(apt: &PrivateApt, wanted: &Wanted, name: &str, version: String) -> Result<RawEntry> {
    let files = apt.files(name, wanted.architecture, &version)?;
    Ok(described(wanted, name.to_owned(), version, files))
}

fn described(wanted: &Wanted, name: String, version: String, files: Vec<RawFile>) -> RawEntry {
    RawEntry {
        name,
        architecture: wanted.architecture.to_owned(),
        suite: wanted.suite.to_owned(),
        series: Some(
            wanted
                .series
                .map_or_else(|| default_series(&version), str::to_owned),
        ),
        group: wanted.group,
        files,
        version,
    }
}

/// The first two numbers of the upstream version: what security updates of a stable suite keep.
fn default_series(version: &str) -> String {
    let upstream = upstream_version(version);
    let mut numbers = upstream.split(['.', '+', '~']);
    let first = numbers.next().unwrap_or(upstream);
    match numbers.next() {
        Some(second)
            if upstream.as_bytes().get(first.len()) == Some(&b'.') && is_number(second) =>
        {
            format!("{first}.{second}")
        }
        _ => first.to_owned(),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit())
}

/// File names of the libraries that both emulators load, by the word of their own loader.
fn linked_libraries(tree: &Path) -> Result<BTreeSet<PathBuf>> {
    let libraries = tree.join("usr/lib/x86_64-linux-gnu");
    let mut found = BTreeSet::from([PathBuf::from("ld-linux-x86-64.so.2")]);
    for program in ["qemu-system-aarch64", "qemu-system-arm"] {
        let mut command = std::process::Command::new(libraries.join("ld-linux-x86-64.so.2"));
        command.arg("--library-path").arg(&libraries).arg("--list");
        let text = read(command.arg(tree.join("usr/bin").join(program)))?;
        for path in text
            .lines()
            .filter_map(|line| line.split_once("=> "))
            .map(|(_, rest)| rest)
        {
            let path = Path::new(path.split_whitespace().next().unwrap_or_default());
            if path.starts_with(tree) {
                found.extend(path.file_name().map(PathBuf::from));
            }
        }
    }
    Ok(found)
}

/// Whether a package has one of the libraries.
fn provides(package: &Path, libraries: &BTreeSet<PathBuf>) -> Result<bool> {
    let listing = read(system_command("dpkg-deb").arg("--contents").arg(package))?;
    let is_one = |line: &str| {
        let name = line
            .split(" -> ")
            .next()
            .and_then(|left| left.rsplit('/').next());
        name.is_some_and(|name| libraries.contains(Path::new(name)))
    };
    Ok(listing.lines().any(is_one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_is_the_first_two_numbers() {
        for (version, series) in [
            ("2.41-12+deb13u4", "2.41"),
            ("1:1.3.dfsg+really1.3.1-1+b1", "1.3"),
            ("6.5+20250216-2", "6.5"),
            ("81-1", "81"),
            ("5+2-1", "5"),
            ("2:3.110-1+deb13u4", "3.110"),
        ] {
            assert_eq!(default_series(version), series, "{version}");
        }
    }
}
