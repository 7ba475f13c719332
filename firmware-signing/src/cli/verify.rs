//! `verify`: a bundle, judged by a root certificate and as a device would.

use std::fmt::{self, Display};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::against;
use super::inputs::{MAX_INPUT, core_of, given_roots, name, platform_file, trust};
use super::options::{Roots, date};
use super::report::{Report, Schema};
use crate::pki::{Certificate, Date, Kind};
use crate::verify::{self as judge, Device};
use crate::{Error, Failure, files, hex};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Verify {
    /// The bundle
    file: PathBuf,
    #[command(flatten)]
    roots: Roots,
    /// The platform file (TOML) of the machine to judge for; goes with --core [env: COREWARDEN_PLATFORM]
    // Read from the environment by hand: as clap's, a job's settings would forbid --against, as the options do.
    #[arg(long, value_name = "FILE")]
    platform: Option<PathBuf>,
    /// The core to judge for, by name or id; goes with --platform [env: COREWARDEN_CORE]
    #[arg(long, value_name = "CORE")]
    core: Option<String>,
    /// The lowest security version the device still takes; 0 where it is left out
    #[arg(long, value_name = "NUMBER")]
    floor: Option<u32>,
    /// Judge the certificates' dates at this moment instead of now
    #[arg(long, value_name = "DATE", value_parser = date)]
    at: Option<Date>,
    /// What `corewarden status --json` printed on a device: predict what that device answers
    // The device has a platform, a core and a floor of its own, and compares no dates.
    #[arg(long, value_name = "DEVICE.JSON", conflicts_with_all = ["platform", "core", "floor", "at"])]
    against: Option<PathBuf>,
}

pub(super) fn run(arguments: &Verify) -> Result<Report, Failure> {
    let path = &arguments.file;
    let failed = Failure::at(path);
    let bytes = files::read(path, MAX_INPUT)?;
    if let Some(device) = &arguments.against {
        let roots = arguments.roots.files().concat();
        return against::predict(path, &bytes, device, &roots);
    }
    let Some(trust) = trust(&given_roots(arguments.roots.files())?)? else {
        judge::check_integrity(&bytes).map_err(&failed)?;
        return Err(failed(Error::NoTrustAnchor));
    };
    let mut place = None;
    if let Some((file, core)) = device(arguments)? {
        let platform = platform_file(&file)?;
        let core = core_of(&platform, &file, &core)?;
        let device = Device {
            platform: &platform,
            core,
            floor: arguments.floor.unwrap_or_default(),
        };
        judge::admit(&bytes, &trust, &device).map_err(&failed)?;
        place = Some((platform.name().to_owned(), core.id()));
    }
    let authentic = judge::authenticate(&bytes, &trust).map_err(&failed)?;
    let at = arguments.at.map_or_else(Date::now, Ok)?;
    authentic.check_dates(at).map_err(&failed)?;
    // A bundle's second signer comes behind the certificates of the first.
    let mut leaves = authentic
        .chain
        .iter()
        .filter(|one| one.kind() == Kind::Leaf);
    let mut signers = authentic.verified.signers().map(|(_, signer)| signer);
    let signer = signers.next().ok_or(Error::CertificateMissing)?;
    let leaf = leaves.next().map(Certificate::subject);
    let second = signers.next().zip(leaves.next());
    let ceilings = authentic
        .verified
        .signers()
        .map(|(_, signer)| signer.scope.ceiling());
    Ok(Report::of(Verification {
        file: name(path),
        judged: match place {
            Some(_) => "device",
            None => "signature",
        },
        core: place.as_ref().map(|(_, core)| *core),
        platform: place.map(|(platform, _)| platform),
        digest: hex(authentic.verified.digest()),
        key_id: hex(&signer.key_id),
        signer: leaf.unwrap_or_default(),
        second_key_id: second.map(|(signer, _)| hex(&signer.key_id)),
        second_signer: second.map(|(_, leaf)| leaf.subject()),
        ceiling: ceilings.min().unwrap_or_default(),
        security_version: authentic.manifest.security_version(),
        display_version: authentic.manifest.display_version().to_owned(),
        dates_at: at.to_string(),
    }))
}

/// The platform file and the core to judge for, by options or the environment. One without the other, or a floor without either,
/// would be a false "accepted" if it were ignored.
fn device(arguments: &Verify) -> Result<Option<(PathBuf, String)>, Failure> {
    let said = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let platform = arguments.platform.clone();
    let platform = platform.or_else(|| said("COREWARDEN_PLATFORM").map(PathBuf::from));
    let core = arguments.core.clone();
    let core = core.or_else(|| Some(said("COREWARDEN_CORE")?.to_string_lossy().into_owned()));
    match (platform, core) {
        (Some(platform), Some(core)) => Ok(Some((platform, core))),
        (None, None) if arguments.floor.is_none() => Ok(None),
        (None, _) => Err(Error::PlatformMissing.into()),
        (Some(_), None) => Err(Error::CoreMissing.into()),
    }
}

#[derive(Debug, Serialize)]
struct Verification {
    file: String,
    /// "device" where a platform and core were given, else "signature".
    judged: &'static str,
    platform: Option<String>,
    core: Option<u32>,
    digest: String,
    key_id: String,
    signer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    second_key_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    second_signer: Option<String>,
    /// The lower one, where there are two signers.
    ceiling: u32,
    security_version: u32,
    display_version: String,
    dates_at: String,
}

impl Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.core, &self.platform) {
            (Some(core), Some(platform)) => {
                writeln!(f, "{}: core {core} of {platform} accepts it", self.file)?;
            }
            _ => writeln!(
                f,
                "{}: integrity and signature hold; not judged for a device (give --platform and --core)",
                self.file
            )?,
        }
        writeln!(f, "digest:  {}", self.digest)?;
        writeln!(f, "signer:  {} (key {})", self.signer, self.key_id)?;
        if let (Some(signer), Some(key_id)) = (&self.second_signer, &self.second_key_id) {
            writeln!(f, "second:  {signer} (key {key_id})")?;
        }
        writeln!(
            f,
            "version: {} {:?}, the signer may sign up to {}",
            self.security_version, self.display_version, self.ceiling
        )?;
        writeln!(
            f,
            "dates:   the certificates are valid at {}",
            self.dates_at
        )
    }
}

impl Schema for Verification {
    const NAME: &'static str = "corewarden-sign/verify";
}

const EXAMPLES: &str = "\
Examples:
  corewarden-sign verify motor.cwfw --root root.pem
  corewarden-sign verify motor.cwfw --root root.pem --platform board.toml --core m4 --floor 3
  corewarden-sign verify motor.cwfw --root root.pem --against device.json";
