//! From the lock file to unpacked folders: download what is missing, verify, unpack, and nothing the second time.
//!
//! A file's SHA-256 is checked after its download and again before it is unpacked; an unpacked folder appears under
//! its final name only when it is complete. When all groups are there nothing is downloaded and no network is needed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

use crate::{
    Assets, Cache, Error, Lock, Progress, Qemu, Result, Sha256,
    cache::Exclusive,
    lock::{Entry, Group, PinnedFile},
};

pub(crate) mod apt;
mod replace;
pub(crate) mod unpack;

/// Brings everything that `lock` names into the cache and unpacks it.
pub fn obtain(cache: &Cache, lock: &Lock, progress: Progress<'_>) -> Result<Assets> {
    let system_qemu = system_qemu(lock);
    let groups: Vec<Group> = Group::ALL
        .into_iter()
        .filter(|group| *group != Group::Qemu || system_qemu.is_none())
        .collect();
    let missing = |groups: &[Group]| -> Vec<Group> {
        let absent = |group: &Group| !unpacked(cache, lock, *group).is_dir();
        groups.iter().copied().filter(absent).collect()
    };
    if !missing(&groups).is_empty() {
        let guard = cache.exclusive()?;
        // Another process may have done it while this one waited.
        let missing = missing(&groups);
        let entries: Vec<&Entry> = missing
            .iter()
            .flat_map(|group| lock.group(*group))
            .collect();
        let had = download(cache, &guard, &entries, progress)?;
        if !missing.is_empty() {
            unpack::groups(cache, &guard, lock, &missing, &had, progress)?;
        }
    }
    for group in &groups {
        warn_of_replacements(&unpacked(cache, lock, *group), progress);
    }
    assets(cache, lock, system_qemu)
}

/// A package's files as they are in the cache, and the version they are of.
#[derive(Clone, Debug)]
pub(crate) struct Had {
    pub(crate) name: String,
    pub(crate) group: Group,
    /// Absent where the pinned version was had.
    pub(crate) replaced_by: Option<String>,
    pub(crate) files: Vec<PathBuf>,
}

/// Brings the files of `entries` into the download folder, each verified now.
pub(crate) fn download(
    cache: &Cache,
    guard: &Exclusive,
    entries: &[&Entry],
    progress: Progress<'_>,
) -> Result<Vec<Had>> {
    let folder = downloads(cache);
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut missing: Vec<&PinnedFile> = Vec::new();
    for file in entries.iter().flat_map(|entry| entry.files()) {
        let path = folder.join(file.name());
        if !path.exists() {
            missing.push(file);
        } else if let Err(error) = verify(&path, file) {
            progress(&format!(
                "WARNING: {}: {error}; it is downloaded again",
                path.display()
            ));
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
            missing.push(file);
        }
    }
    let mut complaint = String::new();
    if !missing.is_empty() {
        let size: u64 = missing.iter().map(|file| file.size()).sum();
        progress(&format!(
            "downloading {} files, {} MB",
            missing.len(),
            size.div_ceil(1_000_000)
        ));
        let partial = cache.partial(guard, "download")?;
        complaint = apt::download(&missing, &partial)?;
        for file in &missing {
            keep_if_right(&partial, &folder, file, progress)?;
        }
    }
    let mut had = Vec::new();
    let mut gone = Vec::new();
    for entry in entries {
        if entry
            .files()
            .iter()
            .all(|file| folder.join(file.name()).exists())
        {
            had.push(Had {
                name: entry.name().to_owned(),
                group: entry.group(),
                replaced_by: None,
                files: entry
                    .files()
                    .iter()
                    .map(|file| folder.join(file.name()))
                    .collect(),
            });
        } else {
            gone.push(*entry);
        }
    }
    if !gone.is_empty() {
        had.extend(
            replace::newer_versions(cache, guard, &gone, progress)
                .with_context(|| format!("pinned files could not be had; apt says: {complaint}"))?,
        );
    }
    Ok(had)
}

/// Checks that `path` holds what the lock file says.
pub(crate) fn verify(path: &Path, file: &PinnedFile) -> Result<()> {
    let size = fs::metadata(path)
        .with_context(|| format!("cannot read {}", path.display()))?
        .len();
    if size != file.size() || Sha256::of_file(path)? != file.sha256() {
        let expected = file.size();
        return Err(Error::ChecksumDiffers { size, expected }.into());
    }
    Ok(())
}

/// Moves a file that just came into the download folder, if it is the right one.
pub(crate) fn keep_if_right(
    partial: &Path,
    folder: &Path,
    file: &PinnedFile,
    progress: Progress<'_>,
) -> Result<()> {
    let came = partial.join(file.name());
    if !came.exists() {
        return Ok(());
    }
    match verify(&came, file) {
        Ok(()) => fs::rename(&came, folder.join(file.name()))
            .with_context(|| format!("cannot move {} into the cache", file.name())),
        Err(error) => {
            progress(&format!("WARNING: {} was refused: {error}", file.name()));
            Ok(())
        }
    }
}

pub(crate) fn downloads(cache: &Cache) -> PathBuf {
    cache.path().join("downloads")
}

/// The folder of a group; it exists only when it is complete.
pub(crate) fn unpacked(cache: &Cache, lock: &Lock, group: Group) -> PathBuf {
    let layout = unpack::layout(group);
    cache
        .path()
        .join("unpacked")
        .join(format!("{group}-{}-{layout}", lock.key(group)))
}

/// The system's QEMU where it is of the pinned series.
fn system_qemu(lock: &Lock) -> Option<Qemu> {
    let pinned = lock
        .group(Group::Qemu)
        .find(|entry| entry.name() == "qemu-system-arm")?;
    Qemu::of_system(pinned.series())
}

/// Says again, at every use, that something else than the pinned version is in use.
fn warn_of_replacements(folder: &Path, progress: Progress<'_>) {
    let text = fs::read_to_string(folder.join(unpack::REPLACEMENTS)).unwrap_or_default();
    for line in text.lines() {
        progress(&format!(
            "WARNING: not the pinned version: {line}; `cargo xtask lock --update` renews the pins"
        ));
    }
}

fn assets(cache: &Cache, lock: &Lock, system_qemu: Option<Qemu>) -> Result<Assets> {
    let folder = |group| unpacked(cache, lock, group);
    let userland = folder(Group::Userland);
    let kernel = folder(Group::Kernel);
    let dev_kit = userland.join("usr/lib/optee-os-dev/vexpress-qemu_armv8a");
    let assets = Assets {
        qemu: system_qemu.unwrap_or_else(|| Qemu::Unpacked(folder(Group::Qemu))),
        kernel: kernel.join("vmlinuz"),
        modules: unpack::MODULES
            .iter()
            .map(|name| kernel.join(format!("{name}.ko")))
            .collect(),
        client_export: userland.join(unpack::CLIENT_EXPORT),
        c_ta: dev_kit.join("ta/80a4c275-0a47-4905-8285-1486a9771a08.ta"),
        dev_kit,
        userland,
        optee_source: folder(Group::OpteeOs).join(unpack::SOURCE_TREE),
        trusted_firmware_source: folder(Group::TrustedFirmware).join(unpack::SOURCE_TREE),
        cache: cache.clone(),
    };
    let expected = [
        &assets.kernel,
        &assets.client_export,
        &assets.c_ta,
        &assets.dev_kit,
        &assets.optee_source,
        &assets.trusted_firmware_source,
    ];
    for path in expected.into_iter().chain(&assets.modules) {
        if !path.exists() {
            bail!(
                "{} is missing: remove {} and start again",
                path.display(),
                cache.path().display()
            );
        }
    }
    Ok(assets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_the_pinned_one_is_refused() {
        let lock = Lock::committed().unwrap();
        let file = &lock.entries()[0].files()[0];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(file.name());
        fs::write(&path, b"something else").unwrap();
        let error = verify(&path, file).unwrap_err();
        let expected = file.size();
        assert_eq!(
            error.downcast_ref(),
            Some(&Error::ChecksumDiffers { size: 14, expected })
        );
    }

    #[test]
    fn a_wrong_download_never_reaches_the_download_folder() {
        let lock = Lock::committed().unwrap();
        let file = &lock.entries()[0].files()[0];
        let partial = tempfile::tempdir().unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(partial.path().join(file.name()), b"something else").unwrap();
        keep_if_right(partial.path(), folder.path(), file, &|_| ()).unwrap();
        assert!(!folder.path().join(file.name()).exists());
    }
}
