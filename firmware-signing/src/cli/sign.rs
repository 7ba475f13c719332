//! `sign`: an ELF becomes a bundle.

use std::ffi::OsString;
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::inputs::{MAX_INPUT, certificates, find_core, name, platform_file, roots};
use super::options::{KeyAccess, Target, date};
use super::report::{Report, Schema, list};
use crate::files::{self, Kind as FileKind};
use crate::key::{Reference, Signer, key_id};
use crate::pki::{self, Certificate, Date};
use crate::{Error, Failure, Options, hex, release, sign as signing};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Sign {
    /// The ELF that the linker wrote
    elf: PathBuf,
    /// The bundle; where it is left out, the ELF's name with .cwfw
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    target: Target,
    /// The signer's private key: a file, a pkcs11: URI, or exec:PROGRAM
    #[arg(long, env = "COREWARDEN_KEY", hide_env_values = true)]
    key: OsString,
    /// Certificates of the signer and its product CA, in any order (repeat for more files); where they are left out, those beside the key
    /// file or on the token
    #[arg(
        long = "cert",
        value_name = "CERTIFICATE",
        env = "COREWARDEN_CERT",
        hide_env_values = true,
        value_delimiter = ':'
    )]
    certificates: Vec<PathBuf>,
    /// Root certificate to judge the result by; where it is left out, the one the platform file names
    #[arg(
        long = "root",
        value_name = "CERTIFICATE",
        env = "COREWARDEN_ROOT",
        hide_env_values = true,
        value_delimiter = ':'
    )]
    roots: Vec<PathBuf>,
    /// The version that may never go down on a device
    #[arg(
        long,
        value_name = "NUMBER",
        env = "COREWARDEN_SECURITY_VERSION",
        hide_env_values = true
    )]
    security_version: u32,
    /// The version people read, at most 32 bytes
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        env = "COREWARDEN_DISPLAY_VERSION",
        hide_env_values = true
    )]
    display_version: String,
    /// Build id in hexadecimal; where it is left out, the ELF's own
    #[arg(long, value_name = "HEX")]
    build_id: Option<String>,
    /// Keep what is neither loaded nor needed to map addresses to names
    #[arg(long)]
    keep_all: bool,
    /// Judge the certificates' dates at this moment instead of now
    #[arg(long, value_name = "DATE", value_parser = date)]
    at: Option<Date>,
    /// Refuse what does not sign a release: published test keys, development certificates, unencrypted key files
    #[arg(long)]
    release: bool,
    /// Replace an existing output
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    access: KeyAccess,
}

pub(super) fn run(arguments: &Sign) -> Result<Report, Failure> {
    let elf_path = &arguments.elf;
    let out = arguments
        .out
        .clone()
        .unwrap_or_else(|| elf_path.with_extension("cwfw"));
    let kind = FileKind::Output {
        force: arguments.force,
    };
    let reference = Reference::parse(&arguments.key)?;
    let inputs: Vec<_> = [&**elf_path].into_iter().chain(reference.file()).collect();
    files::check_output(&out, kind, &inputs)?;

    let platform = platform_file(&arguments.target.platform)?;
    let mut cores = arguments
        .target
        .cores
        .iter()
        .map(|core| find_core(&platform, core).map(platform::Core::id))
        .collect::<Result<Vec<_>, _>>()
        .map_err(Failure::at(&arguments.target.platform))?;
    cores.sort_unstable();
    cores.dedup();
    let mut given = Vec::new();
    for path in &arguments.certificates {
        given.extend(certificates(path)?);
    }
    let pinned = roots(&arguments.roots, &platform, &arguments.target.platform)?;
    let roots: Vec<&[u8]> = pinned.iter().map(Certificate::der).collect();
    let build_id = arguments.build_id.as_deref().map(unhex).transpose()?;
    let key = reference.open(&arguments.access, &given)?;
    let chain = pki::order_chain(key.public_key(), key.certificates())?;
    if arguments.release {
        let place = reference.to_string();
        release::check(&key, &chain, &pinned).map_err(Failure::at(Path::new(&place)))?;
    }

    let elf = files::read(elf_path, MAX_INPUT)?;
    let options = Options {
        platform: &platform,
        cores: &cores,
        security_version: arguments.security_version,
        display_version: &arguments.display_version,
        build_id: build_id.as_deref(),
        keep_all: arguments.keep_all,
        at: Some(arguments.at.map_or_else(Date::now, Ok)?),
        roots: &roots,
    };
    let signed =
        signing::sign_in_parts(&elf, &options, &key, &chain).map_err(Failure::at(elf_path))?;
    files::write(&out, kind, &[&signed.elf, &signed.trailer])?;
    Ok(Report::of(Signed {
        bundle: name(&out),
        digest: hex(&signed.digest),
        key_id: hex(&key_id(key.public_key())),
        signer: chain.first().map(Certificate::subject).unwrap_or_default(),
        platform: platform.name().to_owned(),
        cores,
        security_version: arguments.security_version,
        display_version: arguments.display_version.clone(),
        size: (signed.elf.len() + signed.trailer.len()) as u64,
        trailer_size: signed.trailer.len() as u64,
        stripped: (elf.len() - signed.elf.len()) as u64,
    }))
}

#[derive(Debug, Serialize)]
struct Signed {
    bundle: String,
    digest: String,
    key_id: String,
    signer: String,
    platform: String,
    cores: Vec<u32>,
    security_version: u32,
    display_version: String,
    size: u64,
    trailer_size: u64,
    /// Bytes of the ELF that were left out.
    stripped: u64,
}

impl Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: signed for core {} of {}, security version {}",
            self.bundle,
            list(&self.cores),
            self.platform,
            self.security_version
        )?;
        writeln!(f, "digest: {}", self.digest)?;
        writeln!(f, "signer: {} (key {})", self.signer, self.key_id)?;
        writeln!(
            f,
            "size:   {} bytes, {} of them manifest, certificates and signature; {} bytes of the ELF left out",
            self.size, self.trailer_size, self.stripped
        )
    }
}

impl Schema for Signed {
    const NAME: &'static str = "corewarden-sign/sign";
}

fn unhex(text: &str) -> Result<Vec<u8>, Error> {
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

const EXAMPLES: &str = "\
Examples:
  corewarden-sign sign motor.elf --platform board.toml --core m4 --security-version 3 \\
      --key signer.key --cert signer.pem --cert product-ca.pem --root root.pem
  corewarden-sign sign motor.elf --platform board.toml --core m4 --security-version 3 \\
      --key signer.key --cert signer.pem:product-ca.pem --root root.pem \\
      --display-version 1.4.0-rc2 --out motor-1.4.0.cwfw";
