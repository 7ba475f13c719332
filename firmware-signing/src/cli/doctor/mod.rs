//! `doctor`: whether all that signing needs is there and fits together, before it is needed.

mod finding;
mod slot;
mod surroundings;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use finding::Findings;
use slot::{FIRST, SECOND_SLOT, Slot, try_slot};
use surroundings::{modules, settings, terminal};

use super::inputs::platform_file;
use super::options::{Chain, KeyAccess};
use super::report::Report;
use super::second::Second;
use crate::key::{Reference, Secrets, Signer};
use crate::pki::Date;
use crate::{Error, Failure};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Doctor {
    /// The private key to try: a file, a pkcs11: URI, or exec:PROGRAM
    #[arg(long, env = "COREWARDEN_KEY", hide_env_values = true)]
    key: Option<OsString>,
    #[command(flatten)]
    chain: Chain,
    /// The platform file (TOML) of the machine
    #[arg(
        long,
        value_name = "FILE",
        env = "COREWARDEN_PLATFORM",
        hide_env_values = true
    )]
    platform: Option<PathBuf>,
    /// A core the signer should be allowed to sign for, by name or id (repeat for more)
    #[arg(
        long = "core",
        value_name = "CORE",
        env = "COREWARDEN_CORE",
        hide_env_values = true
    )]
    cores: Vec<String>,
    #[command(flatten)]
    access: KeyAccess,
    #[command(flatten)]
    second: Second,
}

pub(super) fn run(arguments: &Doctor) -> Result<Report, Failure> {
    let chain = &arguments.chain;
    let at = chain.at.map_or_else(Date::now, Ok)?;
    let mut findings = Findings::default();
    settings(&mut findings);
    terminal(&mut findings);
    let platform = arguments.platform.as_deref();
    let platform = platform.and_then(|path| {
        let platform = findings.take("platform", platform_file(path))?;
        findings.ok(
            "platform",
            format!("{}: {}", path.display(), platform.name()),
        );
        Some((platform, path))
    });
    let first = arguments.key.as_deref().map(Reference::parse).transpose();
    let first = findings.take(FIRST.key, first).flatten();
    let second = findings
        .take(SECOND_SLOT.key, arguments.second.reference())
        .flatten();
    modules(&mut findings, first.as_ref(), second.as_ref());
    let limit = Secrets::time_limit(&arguments.access);
    let [roots, second_roots] = chain.roots.files();
    let first = Slot {
        labels: &FIRST,
        open: &|given| Some(first.as_ref()?.open(&arguments.access, given)),
        reference: first.as_ref(),
        certificates: &chain.certificates,
        roots,
    };
    let key = try_slot(
        &mut findings,
        &arguments.cores,
        &first,
        platform.as_ref(),
        at,
    );
    let asked = platform.as_ref().is_some_and(|(platform, _)| {
        let mut roots = platform.roots().iter();
        roots.any(|root| root.slot() == SECOND_SLOT.number)
    });
    if second.is_some() || !chain.second_certificates.is_empty() {
        let access = arguments.second.access();
        let second = Slot {
            labels: &SECOND_SLOT,
            open: &|given| Some(access.open(second.as_ref()?, given, limit)),
            reference: second.as_ref(),
            certificates: &chain.second_certificates,
            roots: second_roots,
        };
        let second = try_slot(
            &mut findings,
            &arguments.cores,
            &second,
            platform.as_ref(),
            at,
        );
        if let (Some(key), Some(second)) = (key, second)
            && key.public_key() == second.public_key()
        {
            let shared = admission::Refusal::SlotsShareKey {
                slot: SECOND_SLOT.number,
            };
            findings.fail(SECOND_SLOT.key, &Failure::from(Error::from(shared)));
        }
    } else if asked {
        findings.warn(
            SECOND_SLOT.key,
            "the platform asks for a second signature, and no --second-key is given",
        );
    }
    let code = findings.code;
    Ok(Report::verdict(findings, code))
}

const EXAMPLES: &str = "\
Examples:
  corewarden-sign doctor --key signer.key --root root.pem --platform board.toml --core m4
  corewarden-sign doctor --platform two-slots.toml --core m4 --key signer.key --root root.pem \\
      --second-key second.key --second-cert second.pem:second-ca.pem --second-root second-root.pem";
