//! `sign`: an ELF becomes a bundle.

use std::ffi::OsString;
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::inputs::{MAX_INPUT, Plan, name};
use super::options::{Chain, Content, KeyAccess};
use super::report::{Report, Schema, list};
use crate::files::{self, Kind as FileKind};
use crate::key::{Reference, Signer, key_id};
use crate::pki::{self, Certificate};
use crate::{Failure, hex, release, sign as signing};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Sign {
    /// The ELF that the linker wrote
    elf: PathBuf,
    /// The bundle; where it is left out, the ELF's name with .cwfw
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    content: Content,
    /// The signer's private key: a file, a pkcs11: URI, or exec:PROGRAM
    #[arg(long, env = "COREWARDEN_KEY", hide_env_values = true)]
    key: OsString,
    #[command(flatten)]
    chain: Chain,
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

    let plan = Plan::read(&arguments.content, &arguments.chain)?;
    let roots = plan.roots();
    let options = plan.options(&arguments.content, &roots);
    let key = reference.open(&arguments.access, &plan.given)?;
    let chain = pki::order_chain(key.public_key(), key.certificates())?;
    if arguments.release {
        let place = reference.to_string();
        release::check(&key, &chain, &plan.pinned).map_err(Failure::at(Path::new(&place)))?;
    }

    let elf = files::read(elf_path, MAX_INPUT)?;
    let signed =
        signing::sign_in_parts(&elf, &options, &key, &chain).map_err(Failure::at(elf_path))?;
    files::write(&out, kind, &[&signed.elf, &signed.trailer])?;
    Ok(Report::of(Signed {
        bundle: name(&out),
        digest: hex(&signed.digest),
        key_id: hex(&key_id(key.public_key())),
        signer: chain.first().map(Certificate::subject).unwrap_or_default(),
        platform: plan.platform.name().to_owned(),
        cores: plan.cores.clone(),
        security_version: options.security_version,
        display_version: options.display_version.to_owned(),
        sbom: plan.sbom.map(|digest| hex(&digest)),
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
    /// SHA-384 of the software bill of materials.
    sbom: Option<String>,
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

const EXAMPLES: &str = "\
Examples:
  corewarden-sign sign motor.elf --platform board.toml --core m4 --security-version 3 \\
      --key signer.key --cert signer.pem --cert product-ca.pem --root root.pem
  corewarden-sign sign motor.elf --platform board.toml --core m4 --security-version 3 \\
      --key signer.key --cert signer.pem:product-ca.pem --root root.pem \\
      --display-version 1.4.0-rc2 --out motor-1.4.0.cwfw";
