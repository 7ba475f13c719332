//! `convert`: what OP-TEE's sign_rproc_fw signed becomes a bundle.

use std::fmt::{self, Display};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::inputs::{MAX_INPUT, MAX_TEXT, Plan, name};
use super::options::Content;
use super::report::{Report, Schema, list};
use super::signers::{Signing, SlotSigner};
use crate::elf::Image;
use crate::files::{self, Kind as FileKind};
use crate::key::key_id;
use crate::sign::sign_in_parts;
use crate::sign_rproc_fw::{PublicKey, SignedFirmware};
use crate::{Failure, hex};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Convert {
    /// A file that sign_rproc_fw.py made, format v1, with one image
    file: PathBuf,
    /// Public key (RSA or P-256) that its signature has to hold with
    #[arg(long, value_name = "KEY")]
    from_key: PathBuf,
    /// The bundle
    #[arg(long)]
    out: PathBuf,
    #[command(flatten)]
    content: Content,
    #[command(flatten)]
    signing: Signing,
    /// Replace an existing output
    #[arg(long)]
    force: bool,
}

pub(super) fn run(arguments: &Convert) -> Result<Report, Failure> {
    let path = &arguments.file;
    let kind = FileKind::Output {
        force: arguments.force,
    };
    let references = arguments.signing.references()?;
    let inputs = [&**path, &*arguments.from_key].into_iter();
    let inputs: Vec<_> = inputs.chain(references.files()).collect();
    files::check_output(&arguments.out, kind, &inputs)?;
    let from_key = PublicKey::read(&files::read(&arguments.from_key, MAX_TEXT)?)
        .map_err(Failure::at(&arguments.from_key))?;
    let bytes = files::read(path, MAX_INPUT)?;
    let failed = Failure::at(path);
    let firmware = SignedFirmware::parse(&bytes).map_err(&failed)?;
    let elf = firmware.verified(&from_key).map_err(&failed)?;
    let entry = Image::parse(elf).map_err(&failed)?.entry();

    let plan = Plan::read(&arguments.content, &arguments.signing.chain)?;
    let roots = plan.roots();
    let options = plan.options(&arguments.content, &roots);
    let given = [&*plan.given, &*plan.second_given];
    let signers = arguments.signing.open(&references, given, &plan.pinned)?;
    let signed = sign_in_parts(elf, &options, &signers.slots()).map_err(&failed)?;
    files::write(&arguments.out, kind, &[&signed.elf, &signed.trailer])?;
    Ok(Report::of(Answer {
        bundle: name(&arguments.out),
        digest: hex(&signed.digest),
        key_id: signers.first.key_id(),
        signer: signers.first.subject(),
        second_key_id: signers.second.as_ref().map(SlotSigner::key_id),
        second_signer: signers.second.as_ref().map(SlotSigner::subject),
        from: firmware.scheme().name(),
        from_key_id: hex(&key_id(from_key.der())),
        not_covered: vec![
            format!("entry point {entry:#x}"),
            "section headers: the place of the resource table, and the build id".to_owned(),
            "symbols and everything else outside of the segments".to_owned(),
        ],
        left_out: firmware
            .others()
            .iter()
            .map(|(kind, value)| Record {
                kind: *kind,
                value: hex(value),
            })
            .collect(),
    }))
}

#[derive(Debug, Serialize)]
struct Answer {
    bundle: String,
    digest: String,
    key_id: String,
    signer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    second_key_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    second_signer: Option<String>,
    /// How the file was signed, and by which key.
    from: &'static str,
    from_key_id: String,
    /// What the old signature did not cover, so that the new signer vouches for it first.
    not_covered: Vec<String>,
    /// Records of the file that a bundle has no place for.
    left_out: Vec<Record>,
}

#[derive(Debug, Serialize)]
struct Record {
    #[serde(rename = "type")]
    kind: u32,
    value: String,
}

impl Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: signed anew, was signed with {} by key {}",
            self.bundle, self.from, self.from_key_id
        )?;
        writeln!(f, "digest: {}", self.digest)?;
        writeln!(f, "signer: {} (key {})", self.signer, self.key_id)?;
        if let (Some(signer), Some(key_id)) = (&self.second_signer, &self.second_key_id) {
            writeln!(f, "second: {signer} (key {key_id})")?;
        }
        writeln!(
            f,
            "the old signature did not cover: {}",
            list(&self.not_covered)
        )?;
        self.left_out.iter().try_for_each(|record| {
            writeln!(f, "left out: record {:#x} ({})", record.kind, record.value)
        })
    }
}

impl Schema for Answer {
    const NAME: &'static str = "corewarden-sign/convert";
}

const EXAMPLES: &str = "\
Examples:
  corewarden-sign convert motor.sign --from-key old.pub --out motor.cwfw --platform board.toml \\
      --core m4 --security-version 3 --key signer.key --cert signer.pem --cert product-ca.pem \\
      --root root.pem

Verified are the old signature and every program header and segment. What it never covered, the
entry point and the section headers among it, is named: the new signer is the first to vouch for it.";
