//! The lock file: every Debian file that the test bed is made of, by name, version and SHA-256.
//!
//! It names paths below a mirror, never a mirror: which one to ask is the machine's own configuration.

use std::{
    collections::BTreeSet,
    fmt,
    path::{Component, Path},
};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::{Error, Result, Sha256, checksum::Hasher};

mod update;
mod wanted;

pub use update::update;

/// Holding a `Lock` tells you that every entry is well formed, that none repeats another, that every group has one,
/// and that no path leaves the archive's pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    entries: Vec<Entry>,
}

impl Lock {
    /// The lock file of this source tree.
    pub fn committed() -> Result<Self> {
        Self::from_toml(include_str!("../testbed.lock.toml"))
    }

    /// Reads a lock file.
    pub fn from_toml(text: &str) -> Result<Self> {
        let raw: RawLock = toml::from_str(text).context("the lock file is not as it should be")?;
        if raw.version != VERSION {
            return Err(Error::LockVersion {
                found: raw.version,
                expected: VERSION,
            }
            .into());
        }
        Self::new(raw.entries)
    }

    /// Checks entries and makes them a lock.
    pub(crate) fn new(entries: Vec<RawEntry>) -> Result<Self> {
        let mut seen = BTreeSet::new();
        let entries = entries
            .into_iter()
            .enumerate()
            .map(|(index, raw)| {
                let name = raw.name.clone();
                let checked =
                    Entry::check(index, raw).with_context(|| format!("entry `{name}`"))?;
                if !seen.insert((checked.group, checked.name.clone())) {
                    return Err(Error::LockDuplicate { entry: index })
                        .with_context(|| format!("entry `{name}`"));
                }
                Ok(checked)
            })
            .collect::<Result<Vec<_>>>()?;
        let missing = Group::ALL
            .iter()
            .filter(|group| !entries.iter().any(|entry| entry.group == **group))
            .count();
        if missing > 0 {
            let groups = Group::ALL.len();
            return Err(Error::LockGroupMissing { missing, groups }.into());
        }
        Ok(Self { entries })
    }

    /// The text of the lock file, the same for the same entries.
    pub fn to_toml(&self) -> Result<String> {
        let raw = RawLock {
            version: VERSION,
            entries: self.entries.iter().map(Entry::to_raw).collect(),
        };
        let text = toml::to_string(&raw).context("cannot write the lock file")?;
        Ok(format!("{HEADER}{text}"))
    }

    /// Checks one entry by itself.
    pub(crate) fn entry(raw: RawEntry) -> Result<Entry> {
        Ok(Entry::check(0, raw)?)
    }

    /// All entries, in the order of the file.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entries of one group.
    pub fn group(&self, group: Group) -> impl Iterator<Item = &Entry> {
        self.entries
            .iter()
            .filter(move |entry| entry.group == group)
    }

    /// A number that changes whenever a file of the group does.
    pub(crate) fn key(&self, group: Group) -> String {
        let mut hasher = Hasher::new();
        for file in self.group(group).flat_map(Entry::files) {
            hasher.part(file.path.as_bytes());
            hasher.part(file.sha256.to_string().as_bytes());
        }
        hasher.finish().to_string().split_at(16).0.to_owned()
    }
}

/// What a set of packages is for; each is unpacked into a folder of its own.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// QEMU and the libraries it runs with.
    Qemu,
    /// What Linux runs in the machine, and the TA dev kit.
    Userland,
    /// The kernel and its modules.
    Kernel,
    /// OP-TEE's source.
    OpteeOs,
    /// Trusted Firmware-A's source.
    TrustedFirmware,
}

impl Group {
    /// Every group.
    pub const ALL: [Self; 5] = [
        Self::Qemu,
        Self::Userland,
        Self::Kernel,
        Self::OpteeOs,
        Self::TrustedFirmware,
    ];

    /// The group's name in the lock file and in the cache.
    pub fn name(self) -> &'static str {
        match self {
            Self::Qemu => "qemu",
            Self::Userland => "userland",
            Self::Kernel => "kernel",
            Self::OpteeOs => "optee-os",
            Self::TrustedFirmware => "trusted-firmware",
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One package, binary or source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    name: String,
    version: String,
    architecture: String,
    suite: String,
    series: Option<String>,
    group: Group,
    files: Vec<PinnedFile>,
}

impl Entry {
    /// The package's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The pinned version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// `amd64`, `arm64` or `source`.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// The suite it came from.
    pub fn suite(&self) -> &str {
        &self.suite
    }

    /// What it is for.
    pub fn group(&self) -> Group {
        self.group
    }

    /// The files to download: one for a binary package, several for a source.
    pub fn files(&self) -> &[PinnedFile] {
        &self.files
    }

    /// What a replacement's upstream version must begin with.
    pub(crate) fn series(&self) -> &str {
        self.series
            .as_deref()
            .unwrap_or(upstream_version(&self.version))
    }

    /// Whether `version` may stand in for the pinned one: it is of the same series.
    pub(crate) fn accepts(&self, version: &str) -> bool {
        let found = upstream_version(version);
        let series = self.series();
        found
            .strip_prefix(series)
            .is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_digit()))
    }

    /// For a kernel, whose package's name changes with every update: the package that depends on the current one, and
    /// what the current one's name begins with.
    pub(crate) fn kernel_meta_package(&self) -> Option<(&'static str, &'static str)> {
        (self.group == Group::Kernel).then_some((wanted::KERNEL.name, wanted::KERNEL_PREFIX))
    }

    fn check(index: usize, raw: RawEntry) -> std::result::Result<Self, Error> {
        let field = Error::LockField { entry: index };
        let architecture_known = matches!(raw.architecture.as_str(), "amd64" | "arm64" | SOURCE);
        let texts = [&raw.name, &raw.version, &raw.suite];
        let series = raw.series.iter();
        if !architecture_known
            || !texts.into_iter().chain(series).all(|text| plain(text))
            || raw.files.is_empty()
        {
            return Err(field);
        }
        let files = raw
            .files
            .into_iter()
            .map(|file| PinnedFile::check(index, file))
            .collect::<std::result::Result<_, _>>()?;
        Ok(Self {
            name: raw.name,
            version: raw.version,
            architecture: raw.architecture,
            suite: raw.suite,
            series: raw.series,
            group: raw.group,
            files,
        })
    }

    fn to_raw(&self) -> RawEntry {
        RawEntry {
            name: self.name.clone(),
            version: self.version.clone(),
            architecture: self.architecture.clone(),
            suite: self.suite.clone(),
            series: self.series.clone(),
            group: self.group,
            files: self
                .files
                .iter()
                .map(|file| RawFile {
                    path: file.path.clone(),
                    size: file.size,
                    sha256: file.sha256.to_string(),
                })
                .collect(),
        }
    }
}

/// One file of the archive's pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedFile {
    path: String,
    size: u64,
    sha256: Sha256,
}

impl PinnedFile {
    /// Path below the mirror's base address.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The file's own name.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The digest its bytes must have.
    pub fn sha256(&self) -> Sha256 {
        self.sha256
    }

    fn check(index: usize, raw: RawFile) -> std::result::Result<Self, Error> {
        let normal = Path::new(&raw.path)
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if !raw.path.starts_with("pool/") || !normal || !raw.path.split('/').all(plain) {
            return Err(Error::LockPath { entry: index });
        }
        let sha256 = raw
            .sha256
            .parse()
            .map_err(|_| Error::LockChecksum { entry: index })?;
        Ok(Self {
            path: raw.path,
            size: raw.size,
            sha256,
        })
    }
}

/// The lock file as TOML has it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLock {
    version: u32,
    #[serde(rename = "package")]
    entries: Vec<RawEntry>,
}

/// One `[[package]]`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawEntry {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) architecture: String,
    pub(crate) suite: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) series: Option<String>,
    pub(crate) group: Group,
    pub(crate) files: Vec<RawFile>,
}

/// One file of a `[[package]]`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawFile {
    pub(crate) path: String,
    pub(crate) size: u64,
    pub(crate) sha256: String,
}

/// The upstream part of a Debian version: without epoch and revision.
pub(crate) fn upstream_version(version: &str) -> &str {
    let without_epoch = version.split_once(':').map_or(version, |(_, rest)| rest);
    without_epoch
        .rsplit_once('-')
        .map_or(without_epoch, |(upstream, _)| upstream)
}

/// Debian's names, versions and suites use these characters; so no entry can become an option or a path.
fn plain(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.chars().all(|c| {
            c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-' | '~' | ':' | '_' | '%')
        })
}

pub(crate) const SOURCE: &str = "source";

const VERSION: u32 = 1;
const HEADER: &str = "\
# Every Debian file that the test bed is made of. Written by `cargo xtask lock --update`; do not edit by hand.
# `series`: what the upstream version of a replacement must begin with, where the pinned file is gone from its suite.

";

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(name: &str, group: Group) -> RawEntry {
        RawEntry {
            name: name.to_owned(),
            version: "1:2.3+ds-4".to_owned(),
            architecture: "amd64".to_owned(),
            suite: "trixie".to_owned(),
            series: None,
            group,
            files: vec![RawFile {
                path: format!("pool/main/x/{name}_2.3.deb"),
                size: 3,
                sha256: Sha256::of(b"abc").to_string(),
            }],
        }
    }

    fn all() -> Vec<RawEntry> {
        Group::ALL
            .iter()
            .map(|group| raw(group.name(), *group))
            .collect()
    }

    fn refusal(change: impl FnOnce(&mut Vec<RawEntry>)) -> Option<Error> {
        let mut entries = all();
        change(&mut entries);
        Lock::new(entries)
            .err()
            .and_then(|error| error.downcast_ref::<Error>().copied())
    }

    #[test]
    fn the_committed_lock_is_well_formed_and_written_back_the_same() {
        let lock = Lock::committed().unwrap();
        assert_eq!(
            lock.to_toml().unwrap(),
            include_str!("../testbed.lock.toml")
        );
    }

    #[test]
    fn a_lock_survives_its_own_text() {
        let lock = Lock::new(all()).unwrap();
        assert_eq!(Lock::from_toml(&lock.to_toml().unwrap()).unwrap(), lock);
    }

    #[test]
    fn another_version_of_the_lock_file_is_refused() {
        let text = Lock::new(all())
            .unwrap()
            .to_toml()
            .unwrap()
            .replace("version = 1\n", "version = 2\n");
        let error = Lock::from_toml(&text).unwrap_err();
        assert_eq!(
            error.downcast_ref(),
            Some(&Error::LockVersion {
                found: 2,
                expected: 1
            })
        );
    }

    #[test]
    fn paths_that_leave_the_pool_are_refused() {
        for path in [
            "/etc/passwd",
            "pool/../../etc",
            "dists/x",
            "pool//x",
            "pool/a b",
            "pool/-o",
        ] {
            let error = refusal(|entries| entries[1].files[0].path = path.to_owned());
            assert_eq!(error, Some(Error::LockPath { entry: 1 }), "{path}");
        }
    }

    #[test]
    fn names_that_look_like_options_are_refused() {
        let error = refusal(|entries| entries[2].name = "-oDir::Etc=/x".to_owned());
        assert_eq!(error, Some(Error::LockField { entry: 2 }));
    }

    #[test]
    fn malformed_sums_are_refused() {
        let error = refusal(|entries| entries[0].files[0].sha256.make_ascii_uppercase());
        assert_eq!(error, Some(Error::LockChecksum { entry: 0 }));
    }

    #[test]
    fn a_repeated_entry_is_refused() {
        let error = refusal(|entries| entries.push(raw("qemu", Group::Qemu)));
        assert_eq!(error, Some(Error::LockDuplicate { entry: 5 }));
    }

    #[test]
    fn an_empty_group_is_refused() {
        let error = refusal(|entries| {
            entries.remove(0);
        });
        assert_eq!(
            error,
            Some(Error::LockGroupMissing {
                missing: 1,
                groups: 5
            })
        );
    }

    #[test]
    fn a_replacement_is_of_the_same_series() {
        let mut entries = all();
        entries[0].series = Some("10.0".to_owned());
        let lock = Lock::new(entries).unwrap();
        assert!(lock.entries[0].accepts("1:10.0.14+ds-1"));
        assert!(!lock.entries[0].accepts("1:10.01-1"));
        assert!(!lock.entries[0].accepts("1:10.2.1-1"));
        assert!(lock.entries[1].accepts("1:2.3+ds-5"));
        assert!(!lock.entries[1].accepts("1:2.3.1-1"));
    }

    #[test]
    fn the_upstream_version_has_no_epoch_and_no_revision() {
        assert_eq!(upstream_version("1:10.0.13+ds-0+deb13u1"), "10.0.13+ds");
        assert_eq!(upstream_version("2.43-7"), "2.43");
        assert_eq!(upstream_version("5"), "5");
    }
}
