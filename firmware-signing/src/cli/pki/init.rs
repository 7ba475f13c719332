//! `pki init`: a root certificate.

use std::path::PathBuf;

use clap::Args;

use super::{RoleName, Subject, check_certificate_output, subject, write_certificate};
use crate::cli::inputs::private_key;
use crate::cli::options::Passphrase;
use crate::cli::report::Report;
use crate::pki::{self, Kind, Role, Scope};
use crate::{Error, Failure};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Init {
    /// The root's private key
    #[arg(long, env = "COREWARDEN_KEY", hide_env_values = true)]
    key: PathBuf,
    #[command(flatten)]
    subject: Subject,
    /// For which kind of device; every certificate below has the same
    #[arg(long, value_enum, default_value_t = RoleName::Development)]
    role: RoleName,
    #[command(flatten)]
    passphrase: Passphrase,
}

pub(super) fn run(arguments: &Init) -> Result<Report, Failure> {
    check_certificate_output(&arguments.subject, &[&arguments.key])?;
    let key = private_key(&arguments.key, &arguments.passphrase)?;
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
