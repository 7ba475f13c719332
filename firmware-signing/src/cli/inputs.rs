//! Files that the command line names become keys, certificates and platforms.

use std::path::{Path, PathBuf};

use platform::Platform;

use crate::pki::Certificate;
use crate::sign::unknown;
use crate::{Error, Failure, files};

pub(super) fn certificates(path: &Path) -> Result<Vec<Certificate>, Failure> {
    Certificate::read_all(&files::read(path, MAX_TEXT)?).map_err(Failure::at(path))
}

/// The one certificate of a file.
pub(super) fn only(path: &Path) -> Result<Certificate, Failure> {
    let mut all = certificates(path)?;
    match (all.pop(), all.is_empty()) {
        (Some(certificate), true) => Ok(certificate),
        _ => Err(Failure::at(path)(Error::CertificateMalformed).with_detail("more than one")),
    }
}

pub(super) fn platform_file(path: &Path) -> Result<Platform, Failure> {
    let bytes = files::read(path, MAX_TEXT)?;
    let malformed =
        |detail: String| Failure::at(path)(Error::PlatformMalformed).with_detail(detail);
    let text = core::str::from_utf8(&bytes).map_err(|error| malformed(error.to_string()))?;
    let file: platform::File = toml::from_str(text).map_err(|error| {
        let line = error
            .span()
            .map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        malformed(format!("line {line}: {}", error.message()))
    })?;
    Platform::try_from(file).map_err(|error| Failure::at(path)(error.into()))
}

pub(super) fn find_core<'a>(
    platform: &'a Platform,
    wanted: &str,
) -> Result<&'a platform::Core, Error> {
    let id = wanted.parse().ok();
    platform
        .cores()
        .iter()
        .find(|core| core.name() == wanted || Some(core.id()) == id)
        .ok_or(unknown(platform))
}

/// The roots that were given, or those that the platform file names: beside it, or in a folder above it.
pub(super) fn roots(
    given: &[PathBuf],
    platform: &Platform,
    platform_path: &Path,
) -> Result<Vec<Certificate>, Failure> {
    if !given.is_empty() {
        return given.iter().map(|path| only(path)).collect();
    }
    let absolute = std::path::absolute(platform_path).map_err(Failure::io(platform_path))?;
    let mut roots = Vec::new();
    for root in platform.roots() {
        let found = absolute
            .ancestors()
            .skip(1)
            .map(|folder| folder.join(root.file()))
            .find(|path| path.is_file());
        let Some(path) = found else {
            return Err(Failure::at(platform_path)(Error::RootMissing)
                .with_detail(format!("{} is not there", root.file())));
        };
        roots.push(only(&path)?);
    }
    Ok(roots)
}

pub(super) fn name(path: &Path) -> String {
    path.display().to_string()
}

/// The largest ELF part and trailer there can be.
pub(super) const MAX_INPUT: u64 = firmware_bundle::MAX_ELF + firmware_bundle::MAX_TRAILER as u64;
/// Keys, certificates, platform files.
pub(super) const MAX_TEXT: u64 = 1 << 20;
