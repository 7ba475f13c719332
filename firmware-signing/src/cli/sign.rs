//! `sign`: an ELF becomes a bundle.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use certificate_chain::sha256;
use clap::Args;
use firmware_bundle::SbomDigest;
use serde::Serialize;

use super::inputs::{MAX_INPUT, Plan, name};
use super::options::{Content, date};
use super::report::{Report, Schema, list};
use super::signers::{Signing, SlotSigner};
use crate::files::{self, Kind as FileKind, Staged};
use crate::key::{Signer, key_id};
use crate::pki::Date;
use crate::provenance::{self, Facts};
use crate::sign::sign_in_parts;
use crate::{Error, Failure, Options, hex};

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
    #[command(flatten)]
    signing: Signing,
    /// File for a statement of where the bundle came from: in-toto, with SLSA's provenance
    #[arg(long, value_name = "FILE", requires = "builder_id")]
    provenance: Option<PathBuf>,
    /// URI of whoever runs the build, for --provenance
    #[arg(long, value_name = "URI", requires = "provenance", value_parser = builder)]
    builder_id: Option<String>,
    /// When the build began, for --provenance; left out, no time is in it
    #[arg(long, value_name = "DATE", requires = "provenance", value_parser = date)]
    build_time: Option<Date>,
    /// Replace an existing output
    #[arg(long)]
    force: bool,
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
    let references = arguments.signing.references()?;
    let inputs: Vec<_> = [&**elf_path]
        .into_iter()
        .chain(references.files())
        .collect();
    files::check_output(&out, kind, &inputs)?;
    if let Some(path) = &arguments.provenance {
        files::check_output(path, kind, &inputs)?;
        if *path == out {
            return Err(Failure::at(path)(Error::OutputIsInput));
        }
    }

    let plan = Plan::read(&arguments.content, &arguments.signing.chain)?;
    let roots = plan.roots();
    let options = plan.options(&arguments.content, &roots);
    let given = [&*plan.given, &*plan.second_given];
    let signers = arguments.signing.open(&references, given, &plan.pinned)?;

    let elf = files::read(elf_path, MAX_INPUT)?;
    let elf_size = elf.len();
    let elf_digest = arguments.provenance.as_ref().map(|_| sha256(&[&elf]));
    let signed = sign_in_parts(elf, &options, &signers.slots()).map_err(Failure::at(elf_path))?;
    match arguments.provenance.as_ref().zip(elf_digest) {
        None => files::write(&out, kind, &[&signed.elf, &signed.trailer])?,
        Some((path, elf)) => {
            let public_key = signers.first.key.public_key();
            let statement = statement(arguments, elf, &options, &signed, (&out, public_key));
            files::publish(vec![
                Staged::new(&out, kind, &[&signed.elf, &signed.trailer])?,
                Staged::new(path, kind, &[statement.as_bytes()])?,
            ])?;
        }
    }
    Ok(Report::of(Signed {
        bundle: name(&out),
        digest: hex(&signed.digest),
        key_id: signers.first.key_id(),
        signer: signers.first.subject(),
        second_key_id: signers.second.as_ref().map(SlotSigner::key_id),
        second_signer: signers.second.as_ref().map(SlotSigner::subject),
        platform: plan.platform.name().to_owned(),
        cores: plan.cores.clone(),
        security_version: options.security_version,
        display_version: options.display_version.to_owned(),
        sbom: plan.sbom.map(|digest| hex(&digest)),
        size: (signed.elf.len() + signed.trailer.len()) as u64,
        trailer_size: signed.trailer.len() as u64,
        stripped: (elf_size - signed.elf.len()) as u64,
    }))
}

fn statement(
    arguments: &Sign,
    elf: [u8; 32],
    options: &Options<'_>,
    signed: &crate::Signed<'_>,
    (out, public_key): (&Path, &[u8]),
) -> String {
    let file_name = |path: &Path| {
        let name = path.file_name().unwrap_or(path.as_os_str());
        name.to_string_lossy().into_owned()
    };
    let elf_name = file_name(&arguments.elf);
    let sbom = arguments.content.sbom.as_deref().map(file_name);
    let digest = match options.sbom {
        Some(SbomDigest::Sha384(digest)) => Some(*digest),
        _ => None,
    };
    let named: Vec<(&str, [u8; 48])> = sbom.as_deref().zip(digest).into_iter().collect();
    provenance::statement(&Facts {
        bundle: &file_name(out),
        bundle_parts: &[&signed.elf, &signed.trailer],
        bundle_digest: &signed.digest,
        elf: (&elf_name, elf),
        named: &named,
        options,
        key_id: key_id(public_key),
        builder: arguments.builder_id.as_deref().unwrap_or_default(),
        started: arguments.build_time.map(|time| time.to_string()),
    })
}

fn builder(text: &str) -> Result<String, Error> {
    match provenance::is_uri(text) {
        true => Ok(text.to_owned()),
        false => Err(Error::BuilderNotUri),
    }
}

#[derive(Debug, Serialize)]
struct Signed {
    bundle: String,
    digest: String,
    key_id: String,
    signer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    second_key_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    second_signer: Option<String>,
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
        if let (Some(signer), Some(key_id)) = (&self.second_signer, &self.second_key_id) {
            writeln!(f, "second: {signer} (key {key_id})")?;
        }
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
      --display-version 1.4.0-rc2 --out motor-1.4.0.cwfw
  corewarden-sign sign motor.elf --platform two-slots.toml --core m4 --security-version 3 \\
      --key signer.key --cert signer.pem:product-ca.pem --root root.pem \\
      --second-key second.key --second-cert second.pem:second-ca.pem --second-root second-root.pem";
