//! Debian's own tools do the downloading, from the mirrors and through the proxies that the machine is set up for.
//!
//! Pinned files are fetched by path, which needs no package lists. Only when one is gone, or when the pins are
//! renewed, is a private apt state made in the cache, with lists of the suites we need; the system's is never touched.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};

use crate::{
    Cache, Result,
    lock::{PinnedFile, RawFile, SOURCE},
    process::{read, run_logged, system_command},
};

/// Downloads `files` into `folder`, from each of the machine's mirrors in turn until all came. What did not come is
/// simply not there; the answer is what the tool said about it.
pub(crate) fn download(files: &[&PinnedFile], folder: &Path) -> Result<String> {
    let mut complaint = String::from("no mirror is configured");
    for base in mirrors()? {
        let missing: Vec<_> = files
            .iter()
            .filter(|file| !folder.join(file.name()).exists())
            .collect();
        if missing.is_empty() {
            break;
        }
        let mut command = system_command("/usr/lib/apt/apt-helper");
        as_ourselves(&mut command);
        command.arg("download-file");
        for file in missing {
            command
                .arg(format!("{base}/{}", file.path()))
                .arg(folder.join(file.name()))
                .arg(format!("SHA256:{}", file.sha256()));
        }
        let output = command
            .output()
            .context("cannot start apt-helper, which is part of apt")?;
        let text = String::from_utf8_lossy(&output.stderr);
        let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("E:")).collect();
        complaint = errors
            .iter()
            .take(COMPLAINTS)
            .copied()
            .collect::<Vec<_>>()
            .join("; ");
    }
    Ok(complaint)
}

/// Debian mirrors that the machine's apt is configured with, the likeliest first.
pub(crate) fn mirrors() -> Result<Vec<String>> {
    let text = read(system_command("apt-get").args(["update", "--print-uris"]))
        .context("cannot ask apt for the machine's mirrors")?;
    let found = mirrors_in(&text);
    if found.is_empty() {
        bail!("apt is configured with no Debian mirror (`apt-get update --print-uris` names none)");
    }
    Ok(found)
}

/// A private apt state with the lists of the suites that the pins come from.
pub(crate) struct PrivateApt {
    folder: PathBuf,
    base: String,
}

impl PrivateApt {
    /// Writes the state and reads the lists; takes some ten seconds and 60 MB.
    pub(crate) fn update(cache: &Cache) -> Result<Self> {
        let folder = cache.path().join("apt");
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(part))
                .with_context(|| format!("cannot create {}", folder.display()))?;
        }
        let mut outcome = Ok(());
        for base in mirrors()? {
            let signed = format!("signed-by={KEYRING}");
            let sources = format!(
                "deb [arch=amd64,arm64 {signed}] {base} trixie main\n\
                 deb [arch=amd64,arm64 {signed}] {base} sid main\n\
                 deb-src [{signed}] {base} trixie main\n\
                 deb-src [{signed}] {base} sid main\n"
            );
            fs::write(folder.join("sources.list"), sources)
                .context("cannot write the private sources list")?;
            let apt = Self {
                folder: folder.clone(),
                base,
            };
            outcome = run_logged(
                apt.command("apt-get").args(["update", "--error-on=any"]),
                &folder.join("update.log"),
            );
            if outcome.is_ok() {
                return Ok(apt);
            }
        }
        outcome.context("cannot read the package lists of trixie and sid")?;
        bail!("no mirror to read package lists from");
    }

    /// The versions of a package in `suite`, newest first as apt sorts them.
    pub(crate) fn versions(
        &self,
        name: &str,
        architecture: &str,
        suite: &str,
    ) -> Result<Vec<String>> {
        let package = if architecture == SOURCE {
            name.to_owned()
        } else {
            format!("{name}:{architecture}")
        };
        let text = read(self.command("apt-cache").args(["madison", &package]))?;
        let kind = if architecture == SOURCE {
            "Sources"
        } else {
            "Packages"
        };
        Ok(versions_in(&text, suite, kind))
    }

    /// Path, size and checksum of each file of one version, as the signed lists have them.
    pub(crate) fn files(
        &self,
        name: &str,
        architecture: &str,
        version: &str,
    ) -> Result<Vec<RawFile>> {
        if architecture == SOURCE {
            let mut command = self.command("apt-get");
            command.args(["--print-uris", "--download-only", "source"]);
            let text = read(command.arg(format!("{name}={version}")))?;
            let files = files_in(&text, &self.base);
            return some_files(files, name, version);
        }
        let wanted = [(name.to_owned(), version.to_owned())];
        let mut files = self.packages(&wanted, architecture)?;
        some_files(files.pop().into_iter().collect(), name, version)
    }

    /// The file of each of several binary packages, in their order; apt reads its lists only once for all.
    pub(crate) fn packages(
        &self,
        wanted: &[(String, String)],
        architecture: &str,
    ) -> Result<Vec<RawFile>> {
        let mut command = self.command("apt-get");
        command.args(["--print-uris", "download"]);
        for (name, version) in wanted {
            command.arg(format!("{name}:{architecture}={version}"));
        }
        let files = files_in(&read(&mut command)?, &self.base);
        wanted
            .iter()
            .map(|(name, version)| {
                let begin = format!("{name}_");
                let is_it = |file: &&RawFile| {
                    file.path
                        .rsplit('/')
                        .next()
                        .is_some_and(|last| last.starts_with(&begin))
                };
                let file = files.iter().find(is_it).cloned();
                file.with_context(|| format!("apt names no file of {name} {version}"))
            })
            .collect()
    }

    /// Names and versions of all packages that installing `name` into an empty amd64 system would bring.
    pub(crate) fn closure(&self, name: &str, suite: &str) -> Result<Vec<(String, String)>> {
        let mut command = self.command("apt-get");
        command
            .args([
                "-o",
                "APT::Architectures=amd64",
                "--no-install-recommends",
                "-s",
                "install",
            ])
            .args(["-o", &format!("APT::Default-Release={suite}")])
            .arg(format!("{name}/{suite}"));
        Ok(installed_in(&read(&mut command)?))
    }

    /// The first package of `name`'s dependencies whose name begins with `prefix`.
    pub(crate) fn dependency(&self, name: &str, version: &str, prefix: &str) -> Result<String> {
        let text = read(
            self.command("apt-cache")
                .args(["show", &format!("{name}={version}")]),
        )?;
        text.lines()
            .filter_map(|line| line.strip_prefix("Depends:"))
            .flat_map(|line| line.split([',', '|']))
            .filter_map(|item| item.split_whitespace().next())
            .find(|item| item.starts_with(prefix))
            .map(str::to_owned)
            .with_context(|| {
                format!("{name} {version} depends on nothing that begins with {prefix}")
            })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = system_command(program);
        as_ourselves(&mut command);
        let set = |name: &str, path: &str| format!("{name}={}", self.folder.join(path).display());
        for option in [
            set("Dir::Etc::sourcelist", "sources.list"),
            set("Dir::State::lists", "lists"),
            set("Dir::Cache", "cache"),
            // Container images switch these files off; without them every call reads all lists again, for seconds.
            "Dir::Cache::pkgcache=pkgcache.bin".to_owned(),
            "Dir::Cache::srcpkgcache=srcpkgcache.bin".to_owned(),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            "Dir::Etc::preferences=/dev/null".to_owned(),
            "Dir::Etc::preferencesparts=/dev/null".to_owned(),
            "Dir::State::status=/dev/null".to_owned(),
            "APT::Architecture=amd64".to_owned(),
            "APT::Architectures::=amd64".to_owned(),
            "APT::Architectures::=arm64".to_owned(),
            "APT::Get::List-Cleanup=0".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
        ] {
            command.args(["-o", &option]);
        }
        command
    }
}

/// The user's own folder may be closed to apt's `_apt` user; the files' checksums are judged by us in any case.
fn as_ourselves(command: &mut Command) {
    command.args(["-o", "APT::Sandbox::User=root"]);
}

/// Base addresses in the answer of `apt-get update --print-uris`: Debian's main archive, without security.
fn mirrors_in(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for line in text.lines() {
        let Some(address) = line
            .strip_prefix('\'')
            .and_then(|rest| rest.split('\'').next())
        else {
            continue;
        };
        let Some((base, rest)) = address.split_once("/dists/") else {
            continue;
        };
        let suite = rest.split('/').next().unwrap_or_default();
        if SUITES.contains(&suite)
            && rest.ends_with("Release")
            && !found.iter().any(|known| known == base)
        {
            found.push(base.to_owned());
        }
    }
    found
}

/// Versions in the answer of `apt-cache madison`, for one suite.
fn versions_in(text: &str, suite: &str, kind: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split('|').map(str::trim);
            let version = fields.nth(1)?;
            let mut words = fields.next()?.split_whitespace().skip(1);
            let from = words.next()?.split('/').next()?;
            (from == suite && words.any(|word| word == kind)).then(|| version.to_owned())
        })
        .collect()
}

/// Files in the answer of `--print-uris`: 'ADDRESS' NAME SIZE SHA256:SUM.
fn files_in(text: &str, base: &str) -> Vec<RawFile> {
    text.lines()
        .filter_map(|line| {
            let (address, rest) = line.strip_prefix('\'')?.split_once('\'')?;
            let mut fields = rest.split_whitespace().skip(1);
            let size = fields.next()?.parse().ok()?;
            let sha256 = fields.next()?.strip_prefix("SHA256:")?.to_owned();
            let path = address
                .strip_prefix(base)?
                .trim_start_matches('/')
                .replace("%2b", "+");
            Some(RawFile { path, size, sha256 })
        })
        .collect()
}

fn some_files(files: Vec<RawFile>, name: &str, version: &str) -> Result<Vec<RawFile>> {
    if files.is_empty() {
        bail!("apt names no file of {name} {version}");
    }
    Ok(files)
}

/// Packages in the answer of a simulated installation: `Inst NAME (VERSION ...)`.
fn installed_in(text: &str) -> Vec<(String, String)> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.strip_prefix("Inst ")?.split_whitespace();
            let name = words.next()?;
            let version = words.next()?.strip_prefix('(')?;
            Some((name.to_owned(), version.to_owned()))
        })
        .collect()
}

/// How much of what apt says is repeated: without a network it says the same of every file.
const COMPLAINTS: usize = 3;

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Suites that a mirror of Debian's main archive is configured under; a third party's archive has none of them.
const SUITES: [&str; 12] = [
    "bookworm",
    "bookworm-updates",
    "trixie",
    "trixie-updates",
    "forky",
    "oldstable",
    "stable",
    "stable-updates",
    "testing",
    "sid",
    "unstable",
    "oldstable-updates",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_are_those_of_the_main_archive_each_once() {
        let text = "'http://m.example/debian/dists/trixie/InRelease' m_dists_trixie_InRelease 0 \n\
                    'http://m.example/debian/dists/trixie-updates/InRelease' x 0 \n\
                    'http://m.example/debian-security/dists/trixie-security/InRelease' x 0 \n\
                    'http://other.example/repo/dists/nodistro/InRelease' x 0 \n\
                    'http://m.example/debian/dists/trixie/main/binary-amd64/Packages.xz' x 0 \n";
        assert_eq!(mirrors_in(text), ["http://m.example/debian"]);
    }

    #[test]
    fn versions_are_those_of_the_suite() {
        let text = " optee-os |   4.10.0-2 | http://m.example/debian sid/main Sources\n \
                     optee-os |    4.5.0-2 | http://m.example/debian trixie/main Sources\n";
        assert_eq!(versions_in(text, "sid", "Sources"), ["4.10.0-2"]);
        assert!(versions_in(text, "sid", "Packages").is_empty());
    }

    #[test]
    fn files_lose_the_mirrors_address() {
        let sum = "a".repeat(64);
        let text = format!(
            "Reading\n'http://m.example/debian/pool/main/z/zlib/zlib1g_1.3%2bx_arm64.deb' z.deb 88 SHA256:{sum}\n"
        );
        let files = files_in(&text, "http://m.example/debian");
        assert_eq!(files.len(), 1);
        assert_eq!(files[0].path, "pool/main/z/zlib/zlib1g_1.3+x_arm64.deb");
        assert_eq!((files[0].size, &files[0].sha256), (88, &sum));
    }

    #[test]
    fn a_simulated_installation_names_packages_and_versions() {
        let text = "Reading package lists...\nInst libc6 (2.41-12 Debian:13.7/stable [amd64])\nConf libc6 (2.41-12)\n";
        assert_eq!(
            installed_in(text),
            [("libc6".to_owned(), "2.41-12".to_owned())]
        );
    }
}
