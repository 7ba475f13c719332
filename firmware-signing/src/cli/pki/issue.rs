//! `pki issue`: a product CA's or a signer's certificate.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::{RoleName, Subject, check_certificate_output, subject, write_certificate};
use crate::cli::inputs::{MAX_TEXT, only};
use crate::cli::options::{KeyAccess, uuid};
use crate::cli::report::Report;
use crate::csr::Request;
use crate::files;
use crate::key::{Reference, Signer, read_public};
use crate::pki::{self, Kind, Role, Scope};
use crate::{Error, Failure};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Issue {
    /// What the certificate is for
    #[arg(long, value_enum)]
    kind: KindName,
    /// The key it is for: a certificate request, its public half, or the unencrypted private key
    #[arg(long)]
    key: PathBuf,
    /// The issuer's certificate
    #[arg(
        long,
        value_name = "CERTIFICATE",
        env = "COREWARDEN_ISSUER",
        hide_env_values = true
    )]
    issuer: PathBuf,
    /// The issuer's private key: a file, a pkcs11: URI, or exec:PROGRAM
    #[arg(
        long,
        value_name = "KEY",
        env = "COREWARDEN_ISSUER_KEY",
        hide_env_values = true
    )]
    issuer_key: OsString,
    #[command(flatten)]
    subject: Subject,
    /// A core it may sign for (repeat for more)
    #[arg(long = "core", value_name = "ID", required = true)]
    cores: Vec<u32>,
    /// A device class it may sign for (repeat for more)
    #[arg(long = "device-class", value_name = "UUID", required = true, value_parser = uuid)]
    device_classes: Vec<[u8; 16]>,
    /// The highest security version it may sign
    #[arg(
        long,
        value_name = "VERSION",
        long_help = "The highest security version it may sign.\n\nThere is no default: devices remember the highest version they ran, so a \
                     stolen key without a ceiling could sign the highest number there is, and no later firmware would ever be accepted again."
    )]
    max_version: Option<u32>,
    /// Generation of the signer, which a trust update can retire
    #[arg(long, default_value_t = 1)]
    generation: u32,
    /// For which kind of device
    #[arg(long, value_enum, default_value_t = RoleName::Development)]
    role: RoleName,
    #[command(flatten)]
    access: KeyAccess,
}

pub(super) fn run(arguments: &Issue) -> Result<Report, Failure> {
    let ceiling = arguments.max_version.ok_or(Error::CeilingMissing)?;
    let reference = Reference::parse(&arguments.issuer_key)?;
    let inputs = [&*arguments.key, &*arguments.issuer];
    let inputs: Vec<_> = inputs.into_iter().chain(reference.file()).collect();
    check_certificate_output(&arguments.subject, &inputs)?;
    let public_key = asking_key(&arguments.key)?;
    let issuer = only(&arguments.issuer)?;
    let issuer_key = reference.open(&arguments.access, core::slice::from_ref(&issuer))?;
    let role = match arguments.role {
        RoleName::Development => Role::Development,
        RoleName::Release => Role::Release,
    };
    let (kind, days) = match arguments.kind {
        KindName::Leaf => (Kind::Leaf, 2 * 365),
        KindName::ProductCa => (Kind::ProductCa, 10 * 365),
    };
    let (mut cores, mut classes) = (arguments.cores.clone(), arguments.device_classes.clone());
    cores.sort_unstable();
    cores.dedup();
    classes.sort_unstable();
    classes.dedup();
    let scope = Scope::new(kind, &cores, &classes, ceiling, arguments.generation, role);
    let scope = scope.map_err(Error::from)?;
    let subject = subject(&arguments.subject, Some(days))?;
    let above = (&issuer, &issuer_key as &dyn Signer);
    let certificate = match arguments.kind {
        KindName::Leaf => pki::issue_leaf(&subject, &public_key, &scope, above),
        KindName::ProductCa => pki::issue_product_ca(&subject, &public_key, &scope, above),
    };
    write_certificate(
        &certificate.map_err(Failure::at(&arguments.issuer))?,
        &arguments.subject,
    )
}

fn asking_key(path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = files::read_secret(path, MAX_TEXT)?;
    let failed = Failure::at(path);
    if Request::is_one(&bytes) {
        let request = Request::read(&bytes).map_err(failed)?;
        return Ok(request.public_key().to_vec());
    }
    read_public(&bytes).map_err(failed)
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum KindName {
    Leaf,
    ProductCa,
}

const EXAMPLES: &str = "\
Examples:
  corewarden-sign pki issue --kind product-ca --key ca.pub --out ca.pem --name CN=Motor-CA \\
      --issuer root.pem --issuer-key root.key --max-version 1000 \\
      --core 0 --device-class 6f1d5e0c-6a0f-4b53-9c7d-2f0c0e5a7b11
  corewarden-sign pki issue --kind leaf --key signer.pub --out signer.pem --name CN=Signer-1 \\
      --issuer product-ca.pem --issuer-key product-ca.key --max-version 100 --days 365 \\
      --core 0 --device-class 6f1d5e0c-6a0f-4b53-9c7d-2f0c0e5a7b11";
