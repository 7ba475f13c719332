//! Files that the command line names become keys, certificates and platforms.

use std::path::{Path, PathBuf};

use firmware_bundle::SbomDigest;
use platform::Platform;

use super::options::{Chain, Content};
use crate::pki::{Certificate, Date};
use crate::sign::unknown;
use crate::verify::Trust;
use crate::{Error, Failure, Options, files};

pub(super) fn certificates(path: &Path) -> Result<Vec<Certificate>, Failure> {
    Certificate::read_all(&files::read(path, MAX_TEXT)?).map_err(Failure::at(path))
}

/// The files that [`Content`] and [`Chain`] name, read.
pub(super) struct Plan {
    pub(super) platform: Platform,
    pub(super) cores: Vec<u32>,
    pub(super) given: Vec<Certificate>,
    pub(super) second_given: Vec<Certificate>,
    pub(super) sbom: Option<[u8; 48]>,
    /// Each with its slot.
    pub(super) pinned: Vec<(u8, Certificate)>,
    build_id: Option<Vec<u8>>,
    at: Date,
}

impl Plan {
    pub(super) fn read(content: &Content, chain: &Chain) -> Result<Self, Failure> {
        let path = &content.target.platform;
        let platform = platform_file(path)?;
        let mut cores = Vec::new();
        for core in &content.target.cores {
            let core = core_of(&platform, path, core)?;
            cores.push(core.id());
        }
        cores.sort_unstable();
        cores.dedup();
        Ok(Self {
            pinned: roots(chain.roots.files(), &platform, path)?,
            platform,
            cores,
            given: all_certificates(&chain.certificates)?,
            second_given: all_certificates(&chain.second_certificates)?,
            sbom: content.sbom.as_deref().map(sbom).transpose()?,
            build_id: content.build_id.as_deref().map(unhex).transpose()?,
            at: chain.at.map_or_else(Date::now, Ok)?,
        })
    }

    /// The roots, for [`Plan::options`].
    pub(super) fn roots(&self) -> Vec<(u8, &[u8])> {
        let pinned = self.pinned.iter();
        pinned.map(|(slot, root)| (*slot, root.der())).collect()
    }

    pub(super) fn options<'a>(
        &'a self,
        content: &'a Content,
        roots: &'a [(u8, &'a [u8])],
    ) -> Options<'a> {
        Options {
            platform: &self.platform,
            cores: &self.cores,
            security_version: content.security_version,
            display_version: &content.display_version,
            build_id: self.build_id.as_deref(),
            sbom: self.sbom.as_ref().map(SbomDigest::Sha384),
            keep_all: content.keep_all,
            at: Some(self.at),
            roots,
        }
    }
}

/// The certificates of several files.
pub(super) fn all_certificates(paths: &[PathBuf]) -> Result<Vec<Certificate>, Failure> {
    let mut all = Vec::new();
    for path in paths {
        all.extend(certificates(path)?);
    }
    Ok(all)
}

/// SHA-384 of a software bill of materials.
fn sbom(path: &Path) -> Result<[u8; 48], Failure> {
    let bytes = files::read(path, MAX_INPUT)?;
    if bytes.is_empty() {
        return Err(Failure::at(path)(Error::InputEmpty));
    }
    Ok(certificate_chain::sha384(&[&bytes]))
}

pub(super) fn unhex(text: &str) -> Result<Vec<u8>, Error> {
    let digits = text
        .chars()
        .map(|digit| digit.to_digit(16))
        .collect::<Option<Vec<u32>>>()
        .filter(|digits| digits.len() % 2 == 0)
        .ok_or(Error::NotHexadecimal)?;
    // Two digits make at most 255.
    Ok(digits
        .chunks(2)
        .map(|pair| (pair[0] << 4 | pair[1]) as u8)
        .collect())
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

/// A core of the platform file at `path`, by name or id.
pub(super) fn core_of<'a>(
    platform: &'a Platform,
    path: &Path,
    wanted: &str,
) -> Result<&'a platform::Core, Failure> {
    let id = wanted.parse().ok();
    let mut cores = platform.cores().iter();
    let found = cores.find(|core| core.name() == wanted || Some(core.id()) == id);
    found.ok_or_else(|| {
        let cores = platform.cores().iter();
        let cores: Vec<String> = cores
            .map(|core| format!("{} ({})", core.name(), core.id()))
            .collect();
        let detail = format!("{wanted:?} is none of {}", cores.join(", "));
        Failure::at(path)(unknown(platform)).with_detail(detail)
    })
}

/// The roots of each slot, as [`roots_of`] finds them.
pub(super) fn roots(
    given: [&[PathBuf]; 2],
    platform: &Platform,
    platform_path: &Path,
) -> Result<Vec<(u8, Certificate)>, Failure> {
    let mut roots = Vec::new();
    for (slot, given) in (0..).zip(given) {
        let of_slot = roots_of(slot, given, platform, platform_path)?;
        roots.extend(of_slot.into_iter().map(|root| (slot, root)));
    }
    Ok(roots)
}

/// The roots of one slot: those that were given for it, or else those that the platform file names, beside it or in a folder above it.
pub(super) fn roots_of(
    slot: u8,
    given: &[PathBuf],
    platform: &Platform,
    platform_path: &Path,
) -> Result<Vec<Certificate>, Failure> {
    if !given.is_empty() {
        return given.iter().map(|path| only(path)).collect();
    }
    let absolute = std::path::absolute(platform_path).map_err(Failure::io(platform_path))?;
    let named = platform.roots().iter().filter(|root| root.slot() == slot);
    let found = named.map(|root| {
        let mut places = absolute.ancestors().skip(1);
        let path = places.find_map(|folder| {
            let path = folder.join(root.file());
            path.is_file().then_some(path)
        });
        let missing = || {
            Failure::at(platform_path)(Error::RootMissing)
                .with_detail(format!("{} is not there", root.file()))
        };
        only(&path.ok_or_else(missing)?)
    });
    found.collect()
}

/// The roots that were given, each with its slot, and each one that can be trusted.
pub(super) fn given_roots(given: [&[PathBuf]; 2]) -> Result<Vec<(u8, Certificate)>, Failure> {
    let mut roots = Vec::new();
    for (slot, given) in (0..).zip(given) {
        for path in given {
            let root = only(path)?;
            // Each on its own, so that the file at fault is named.
            Trust::for_slots(&[(slot, root.der())]).map_err(Failure::at(path))?;
            roots.push((slot, root));
        }
    }
    Ok(roots)
}

/// Trust in the roots that were given; `None` where there are none.
pub(super) fn trust(roots: &[(u8, Certificate)]) -> Result<Option<Trust>, Failure> {
    let roots: Vec<(u8, &[u8])> = roots
        .iter()
        .map(|(slot, root)| (*slot, root.der()))
        .collect();
    match roots.is_empty() {
        true => Ok(None),
        false => Ok(Some(Trust::for_slots(&roots)?)),
    }
}

pub(super) fn name(path: &Path) -> String {
    // Somebody else chose it: it breaks no line and moves no terminal's cursor.
    path.display().to_string().replace(char::is_control, "?")
}

/// The largest ELF part and trailer there can be.
pub(super) const MAX_INPUT: u64 = firmware_bundle::MAX_ELF + firmware_bundle::MAX_TRAILER as u64;
/// Keys, certificates, platform files.
pub(super) const MAX_TEXT: u64 = 1 << 20;
