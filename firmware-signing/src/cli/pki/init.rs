//! `pki init`: a root certificate.

use std::ffi::OsString;

use clap::Args;

use super::{RoleName, Subject, check_certificate_output, subject, write_certificate};
use crate::cli::options::KeyAccess;
use crate::cli::report::Report;
use crate::key::Reference;
use crate::pki::{self, Kind, Role, Scope};
use crate::{Error, Failure};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Init {
    /// The root's private key: a file, a pkcs11: URI, or exec:PROGRAM
    #[arg(long, env = "COREWARDEN_KEY", hide_env_values = true)]
    key: OsString,
    #[command(flatten)]
    subject: Subject,
    /// For which kind of device; every certificate below has the same
    #[arg(long, value_enum, default_value_t = RoleName::Development)]
    role: RoleName,
    #[command(flatten)]
    access: KeyAccess,
}

pub(super) fn run(arguments: &Init) -> Result<Report, Failure> {
    let reference = Reference::parse(&arguments.key)?;
    let inputs: Vec<_> = reference.file().into_iter().collect();
    check_certificate_output(&arguments.subject, &inputs)?;
    let key = reference.open(&arguments.access, &[])?;
    // A root that does not say is one for development.
    let scope = match arguments.role {
        RoleName::Development => None,
        RoleName::Release => {
            let scope = Scope::new(Kind::Root, &[], &[], u32::MAX, 1, Role::Release);
            Some(scope.map_err(Error::from)?)
        }
    };
    let subject = subject(&arguments.subject, None)?;
    let certificate = pki::issue_root(&subject, scope.as_ref(), &key)?;
    write_certificate(&certificate, &arguments.subject)
}

const EXAMPLES: &str = "\
Examples:
  corewarden-sign pki init --key root.key --name CN=Example-root,O=Example --out root.pem
  corewarden-sign pki init --key root.key --name CN=Example-root,O=Example --out root.der \\
      --role release --not-before 2026-01-01 --not-after never";
