//! `resign`: the same content, other signers.

use std::fmt::{self, Display};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::inputs::{MAX_INPUT, all_certificates, given_roots, name, trust};
use super::options::SECOND;
use super::report::{Report, Schema};
use super::signers::{Signing, SlotSigner};
use crate::files::{self, Kind as FileKind};
use crate::pki::Date;
use crate::resign::Whole;
use crate::sign::SlotChain;
use crate::{Failure, hex, verify};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Resign {
    /// The bundle; every signature it has must hold
    bundle: PathBuf,
    /// The bundle with the new signature
    #[arg(long)]
    out: PathBuf,
    #[command(flatten)]
    signing: Signing,
    /// Root certificate that has to vouch for the signer until now (repeat for more)
    #[arg(long = "from-root", value_name = "CERTIFICATE")]
    from_roots: Vec<PathBuf>,
    /// Root certificate that has to vouch for the second signer until now (repeat for more)
    #[arg(long = "second-from-root", value_name = "CERTIFICATE", help_heading = SECOND)]
    second_from_roots: Vec<PathBuf>,
    /// Replace an existing output
    #[arg(long)]
    force: bool,
}

pub(super) fn run(arguments: &Resign) -> Result<Report, Failure> {
    let path = &arguments.bundle;
    let failed = Failure::at(path);
    let kind = FileKind::Output {
        force: arguments.force,
    };
    let signing = &arguments.signing;
    let references = signing.references()?;
    let inputs: Vec<_> = [&**path].into_iter().chain(references.files()).collect();
    files::check_output(&arguments.out, kind, &inputs)?;
    let bytes = files::read(path, MAX_INPUT)?;
    let whole = Whole::read(&bytes).map_err(&failed)?;
    let from_roots = given_roots([&arguments.from_roots, &arguments.second_from_roots])?;
    if let Some(trust) = trust(&from_roots)? {
        verify::authenticate(&bytes, &trust).map_err(&failed)?;
    }

    let given = all_certificates(&signing.chain.certificates)?;
    let second_given = all_certificates(&signing.chain.second_certificates)?;
    let roots = given_roots(signing.chain.roots.files())?;
    let at = signing.chain.at.map_or_else(Date::now, Ok)?;
    let signers = signing.open(&references, [&given, &second_given], &roots)?;
    let mut slots = Vec::new();
    for slot in signers.slots() {
        let slot = SlotChain::new(slot.number, slot.signer.public_key(), slot.certificates)?;
        let mut used = slot.certificates.iter();
        used.try_for_each(|certificate| certificate.check_dates(at))?;
        slots.push(slot);
    }

    let unsigned = whole.resign(slots).map_err(&failed)?;
    let message = unsigned.message();
    let signatures = signers
        .slots()
        .iter()
        .map(|slot| slot.signer.sign(&message))
        .collect::<Result<Vec<_>, _>>()?;
    let signed = unsigned.finish(&signatures)?;
    if let Some(trust) = trust(&roots)? {
        verify::authenticate_parts(&signed.elf, &signed.trailer, &trust).map_err(&failed)?;
    }
    files::write(&arguments.out, kind, &[&signed.elf, &signed.trailer])?;
    Ok(Report::of(Answer {
        bundle: name(&arguments.out),
        digest: hex(&signed.digest),
        before: hex(whole.digest()),
        key_id: signers.first.key_id(),
        signer: signers.first.subject(),
        second_key_id: signers.second.as_ref().map(SlotSigner::key_id),
        second_signer: signers.second.as_ref().map(SlotSigner::subject),
    }))
}

#[derive(Debug, Serialize)]
struct Answer {
    bundle: String,
    digest: String,
    /// The digest that it had: certificates are part of what it covers.
    before: String,
    key_id: String,
    signer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    second_key_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    second_signer: Option<String>,
}

impl Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: signed anew, the content is the same", self.bundle)?;
        writeln!(f, "digest: {} (was {})", self.digest, self.before)?;
        writeln!(f, "signer: {} (key {})", self.signer, self.key_id)?;
        if let (Some(signer), Some(key_id)) = (&self.second_signer, &self.second_key_id) {
            writeln!(f, "second: {signer} (key {key_id})")?;
        }
        Ok(())
    }
}

impl Schema for Answer {
    const NAME: &'static str = "corewarden-sign/resign";
}

const EXAMPLES: &str = "\
Examples:
  corewarden-sign resign motor-dev.cwfw --out motor.cwfw --key signer.key \\
      --cert signer.pem --cert product-ca.pem --root root.pem --from-root root.pem";
