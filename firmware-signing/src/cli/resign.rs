//! `resign`: the same content, another signer.

use std::ffi::OsString;
use std::fmt::{self, Display};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::inputs::{MAX_INPUT, certificates, name, only};
use super::options::{Chain, KeyAccess};
use super::report::{Report, Schema};
use crate::files::{self, Kind as FileKind};
use crate::key::{Reference, Signer, key_id};
use crate::pki::{Certificate, Date};
use crate::resign::Whole;
use crate::sign::SlotChain;
use crate::verify::{self, Trust};
use crate::{Failure, hex};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Resign {
    /// The bundle; every signature it has must hold
    bundle: PathBuf,
    /// The bundle with the new signature
    #[arg(long)]
    out: PathBuf,
    /// The new signer's private key: a file, a pkcs11: URI, or exec:PROGRAM
    #[arg(long, env = "COREWARDEN_KEY", hide_env_values = true)]
    key: OsString,
    #[command(flatten)]
    chain: Chain,
    /// Root certificate that has to vouch for the signer until now (repeat for more)
    #[arg(long = "from-root", value_name = "CERTIFICATE")]
    from_roots: Vec<PathBuf>,
    /// Replace an existing output
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    access: KeyAccess,
}

pub(super) fn run(arguments: &Resign) -> Result<Report, Failure> {
    let path = &arguments.bundle;
    let failed = Failure::at(path);
    let kind = FileKind::Output {
        force: arguments.force,
    };
    let reference = Reference::parse(&arguments.key)?;
    let inputs: Vec<_> = [&**path].into_iter().chain(reference.file()).collect();
    files::check_output(&arguments.out, kind, &inputs)?;
    let bytes = files::read(path, MAX_INPUT)?;
    let whole = Whole::read(&bytes).map_err(&failed)?;
    if let Some(trust) = trust(&arguments.from_roots)? {
        verify::authenticate(&bytes, &trust).map_err(&failed)?;
    }

    let mut chain = Vec::new();
    for path in &arguments.chain.certificates {
        chain.extend(certificates(path)?);
    }
    let at = arguments.chain.at.map_or_else(Date::now, Ok)?;
    let key = reference.open(&arguments.access, &chain)?;
    let slot = SlotChain::new(0, key.public_key(), key.certificates())?;
    let mut used = slot.certificates.iter();
    used.try_for_each(|certificate| certificate.check_dates(at))?;
    let signer = slot.certificates.first().map(Certificate::subject);

    let unsigned = whole.resign(vec![slot]).map_err(&failed)?;
    let signature = key.sign(&unsigned.message())?;
    let signed = unsigned.finish(&[signature])?;
    if let Some(trust) = trust(&arguments.chain.roots)? {
        verify::authenticate_parts(&signed.elf, &signed.trailer, &trust).map_err(&failed)?;
    }
    files::write(&arguments.out, kind, &[&signed.elf, &signed.trailer])?;
    Ok(Report::of(Answer {
        bundle: name(&arguments.out),
        digest: hex(&signed.digest),
        before: hex(whole.digest()),
        key_id: hex(&key_id(key.public_key())),
        signer: signer.unwrap_or_default(),
    }))
}

fn trust(roots: &[PathBuf]) -> Result<Option<Trust>, Failure> {
    let Some(first) = roots.first() else {
        return Ok(None);
    };
    let mut all = Vec::new();
    for path in roots {
        all.push(only(path)?);
    }
    let all: Vec<&[u8]> = all.iter().map(Certificate::der).collect();
    Ok(Some(Trust::new(&all).map_err(Failure::at(first))?))
}

#[derive(Debug, Serialize)]
struct Answer {
    bundle: String,
    digest: String,
    /// The digest that it had: certificates are part of what it covers.
    before: String,
    key_id: String,
    signer: String,
}

impl Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: signed anew, the content is the same", self.bundle)?;
        writeln!(f, "digest: {} (was {})", self.digest, self.before)?;
        writeln!(f, "signer: {} (key {})", self.signer, self.key_id)
    }
}

impl Schema for Answer {
    const NAME: &'static str = "corewarden-sign/resign";
}

const EXAMPLES: &str = "\
Examples:
  corewarden-sign resign motor-dev.cwfw --out motor.cwfw --key signer.key \\
      --cert signer.pem --cert product-ca.pem --root root.pem --from-root root.pem";
