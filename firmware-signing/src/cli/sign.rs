//! `sign`: an ELF becomes a bundle.

use std::ffi::OsString;
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use certificate_chain::sha256;
use clap::Args;
use firmware_bundle::SbomDigest;
use serde::Serialize;

use super::inputs::{MAX_INPUT, Plan, name};
use super::options::{Chain, Content, KeyAccess, date};
use super::report::{Report, Schema, list};
use super::second::Second;
use crate::files::{self, Kind as FileKind, Staged};
use crate::key::{Reference, Secrets, Signer, key_id};
use crate::pki::{self, Certificate, Date};
use crate::provenance::{self, Facts};
use crate::sign::{self as signing, Slot};
use crate::{Error, Failure, Options, hex, release};

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
    #[command(flatten)]
    access: KeyAccess,
    #[command(flatten)]
    second: Second,
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
    let second = arguments.second.reference()?;
    let keys = [Some(&reference), second.as_ref()];
    let key_files = keys.into_iter().flatten().filter_map(Reference::file);
    let inputs: Vec<_> = [&**elf_path].into_iter().chain(key_files).collect();
    files::check_output(&out, kind, &inputs)?;
    if let Some(path) = &arguments.provenance {
        files::check_output(path, kind, &inputs)?;
        if *path == out {
            return Err(Failure::at(path)(Error::OutputIsInput));
        }
    }

    let plan = Plan::read(&arguments.content, &arguments.chain)?;
    if second.is_none() && !plan.second_given.is_empty() {
        return Err(Error::SecondKeyMissing.into());
    }
    let roots = plan.roots();
    let options = plan.options(&arguments.content, &roots);
    let key = reference.open(&arguments.access, &plan.given)?;
    let chain = pki::order_chain(key.public_key(), key.certificates())?;
    let limit = Secrets::time_limit(&arguments.access);
    let second = second
        .map(|reference| arguments.second.open(reference, &plan.second_given, limit))
        .transpose()?;
    if arguments.release {
        let pinned: Vec<Certificate> = plan.pinned.iter().map(|(_, root)| root.clone()).collect();
        let place = reference.to_string();
        release::check(&key, &chain, &pinned).map_err(Failure::at(Path::new(&place)))?;
        if let Some(second) = &second {
            let place = second.place();
            release::check(&second.key, &second.chain, &pinned)
                .map_err(Failure::at(Path::new(&place)))?;
        }
    }

    let elf = files::read(elf_path, MAX_INPUT)?;
    let mut slots = vec![Slot {
        number: 0,
        signer: &key,
        certificates: &chain,
    }];
    slots.extend(second.as_ref().map(|second| Slot {
        number: 1,
        signer: &second.key,
        certificates: &second.chain,
    }));
    let elf_size = elf.len();
    let elf_digest = arguments.provenance.as_ref().map(|_| sha256(&[&elf]));
    let signed = signing::sign_in_parts(elf, &options, &slots).map_err(Failure::at(elf_path))?;
    match arguments.provenance.as_ref().zip(elf_digest) {
        None => files::write(&out, kind, &[&signed.elf, &signed.trailer])?,
        Some((path, elf)) => {
            let statement = statement(arguments, elf, &options, &signed, (&out, key.public_key()));
            files::publish(vec![
                Staged::new(&out, kind, &[&signed.elf, &signed.trailer])?,
                Staged::new(path, kind, &[statement.as_bytes()])?,
            ])?;
        }
    }
    Ok(Report::of(Signed {
        bundle: name(&out),
        digest: hex(&signed.digest),
        key_id: hex(&key_id(key.public_key())),
        signer: chain.first().map(Certificate::subject).unwrap_or_default(),
        second_key_id: second
            .as_ref()
            .map(|second| hex(&key_id(second.key.public_key()))),
        second_signer: second
            .as_ref()
            .and_then(|second| second.chain.first().map(Certificate::subject)),
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
