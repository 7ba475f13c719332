//! When a pinned version has left its suite: the next one of the same series, and a loud word about it.

use anyhow::{Context, bail};

use super::{Had, apt, downloads, keep_if_right};
use crate::{
    Cache, Lock, Progress, Result,
    cache::Exclusive,
    lock::{Entry, PinnedFile, RawEntry},
};

/// Finds and downloads a stand-in for each of `gone`, or says which cannot be had at all.
pub(super) fn newer_versions(
    cache: &Cache,
    guard: &Exclusive,
    gone: &[&Entry],
    progress: Progress<'_>,
) -> Result<Vec<Had>> {
    let names: Vec<_> = gone
        .iter()
        .map(|entry| format!("{} {}", entry.name(), entry.version()))
        .collect();
    let shown = if names.len() > NAMES_SHOWN {
        format!(
            "{} and {} more",
            names[..NAMES_SHOWN].join(", "),
            names.len() - NAMES_SHOWN
        )
    } else {
        names.join(", ")
    };
    progress(&format!(
        "not to be had: {shown}; looking for later versions"
    ));
    let apt = apt::PrivateApt::update(cache).with_context(|| {
        format!(
            "neither in {} nor from a mirror: {shown}",
            downloads(cache).display()
        )
    })?;
    let mut stand_ins = Vec::new();
    for entry in gone {
        stand_ins.push(stand_in(&apt, entry)?);
    }
    let partial = cache.partial(guard, "replacements")?;
    let files: Vec<&PinnedFile> = stand_ins.iter().flat_map(Entry::files).collect();
    let complaint = apt::download(&files, &partial)?;
    let folder = downloads(cache);
    for file in &files {
        keep_if_right(&partial, &folder, file, progress)?;
    }
    let mut had = Vec::new();
    for (entry, stand_in) in gone.iter().zip(stand_ins) {
        if !stand_in
            .files()
            .iter()
            .all(|file| folder.join(file.name()).exists())
        {
            bail!(
                "{} {} cannot be had: {complaint}",
                stand_in.name(),
                stand_in.version()
            );
        }
        let (name, version) = (entry.name(), entry.version());
        progress(&format!(
            "WARNING: {name} {version} is gone; {} is used in its place",
            stand_in.version()
        ));
        had.push(Had {
            name: name.to_owned(),
            group: entry.group(),
            replaced_by: Some(stand_in.version().to_owned()),
            files: stand_in
                .files()
                .iter()
                .map(|file| folder.join(file.name()))
                .collect(),
        });
    }
    Ok(had)
}

/// The newest version in the entry's own suite that is of its series.
fn stand_in(apt: &apt::PrivateApt, entry: &Entry) -> Result<Entry> {
    let (name, architecture, suite) = (entry.name(), entry.architecture(), entry.suite());
    let (name, version) = if let Some((meta, prefix)) = entry.kernel_meta_package() {
        let version = newest(apt, entry, meta)?;
        let real = apt.dependency(&format!("{meta}:{architecture}"), &version, prefix)?;
        (real, version)
    } else {
        (name.to_owned(), newest(apt, entry, name)?)
    };
    let files = apt.files(&name, architecture, &version)?;
    Lock::entry(RawEntry {
        name,
        version,
        architecture: architecture.to_owned(),
        suite: suite.to_owned(),
        series: Some(entry.series().to_owned()),
        group: entry.group(),
        files,
    })
}

fn newest(apt: &apt::PrivateApt, entry: &Entry, name: &str) -> Result<String> {
    let (suite, series) = (entry.suite(), entry.series());
    apt.versions(name, entry.architecture(), suite)?
        .into_iter()
        .find(|version| entry.accepts(version))
        .with_context(|| {
            format!(
                "{suite} has no {name} of the series {series} any more: `cargo xtask lock --update` renews the pins, \
                 or copy the pinned file into the cache's folder `downloads`"
            )
        })
}

/// Enough to recognise the case; without a network all names would be listed.
const NAMES_SHOWN: usize = 4;
