//! `trust-update`: what devices no longer trust, made and shown.

mod inspect;
mod make;

use std::fmt::{self, Display};

use ::trust_update::TrustUpdate;
use clap::Subcommand;
use serde::Serialize;

use super::report::{Report, Schema};
use crate::pki::Certificate;
use crate::{Error, Failure, hex, key, uuid};

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum TrustUpdateCommand {
    /// Show a trust update; judge it by roots where they are given
    Inspect(inspect::Inspect),
    /// Make a trust update, signed by a root
    Make(Box<make::Make>),
}

pub(super) fn run(command: &TrustUpdateCommand) -> Result<Report, Failure> {
    match command {
        TrustUpdateCommand::Inspect(inspect) => inspect::run(inspect),
        TrustUpdateCommand::Make(make) => make::run(make),
    }
}

#[derive(Debug, Serialize)]
struct Answer {
    file: String,
    /// "not judged", or "signatures hold".
    trust: &'static str,
    list_version: u32,
    device_class: String,
    generations: Vec<Generation>,
    revoked: Vec<String>,
    floors: Vec<Floor>,
    roots: Vec<Root>,
    signatures: Vec<Signed>,
}

#[derive(Debug, Serialize)]
struct Generation {
    product_ca: String,
    minimum: u32,
}

#[derive(Debug, Serialize)]
struct Floor {
    core: u32,
    minimum: u32,
}

#[derive(Debug, Serialize)]
struct Root {
    slot: u8,
    subject: String,
    key_id: String,
}

#[derive(Debug, Serialize)]
struct Signed {
    slot: u8,
    algorithm: String,
    root: String,
}

impl Answer {
    fn new(file: String, trust: &'static str, update: &TrustUpdate<'_>) -> Result<Self, Error> {
        let mut roots = Vec::new();
        for root in update.roots() {
            let certificate = Certificate::from_der(root.certificate)?;
            roots.push(Root {
                slot: root.slot,
                subject: certificate.subject(),
                key_id: hex(&key::key_id(&certificate.public_key()?)),
            });
        }
        let generation = |one: ::trust_update::Generation| Generation {
            product_ca: hex(&one.key_id),
            minimum: one.minimum,
        };
        let floor = |one: ::trust_update::Floor| Floor {
            core: one.core,
            minimum: one.minimum,
        };
        let signed = |one: &::trust_update::Signature<'_>| Signed {
            slot: one.slot,
            algorithm: one.algorithm.to_string(),
            root: hex(&one.key_id),
        };
        Ok(Self {
            file,
            trust,
            list_version: update.list_version(),
            device_class: uuid(update.device_class()),
            generations: update.generations().map(generation).collect(),
            revoked: update.revoked().iter().map(|id| hex(id)).collect(),
            floors: update.floors().map(floor).collect(),
            roots,
            signatures: update.signatures().map(signed).collect(),
        })
    }
}

impl Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: list version {} for device class {}; {}",
            self.file, self.list_version, self.device_class, self.trust
        )?;
        for one in &self.generations {
            writeln!(
                f,
                "signers below product CA {} count from generation {}",
                one.product_ca, one.minimum
            )?;
        }
        for key_id in &self.revoked {
            writeln!(f, "signer {key_id} is revoked")?;
        }
        for one in &self.floors {
            writeln!(
                f,
                "core {} takes security version {} and above",
                one.core, one.minimum
            )?;
        }
        for one in &self.roots {
            writeln!(
                f,
                "root for slot {}: {} (key {})",
                one.slot, one.subject, one.key_id
            )?;
        }
        self.signatures.iter().try_for_each(|one| {
            writeln!(
                f,
                "signed by root {} for slot {}, {}",
                one.root, one.slot, one.algorithm
            )
        })
    }
}

impl Schema for Answer {
    const NAME: &'static str = "corewarden-sign/trust-update";
}

const EXAMPLES: &str = "\
Examples:
  corewarden-sign trust-update make --out new.cwtu --list-version 1 \\
      --device-class b5b9a2c6-68ab-4bbc-86f4-a2a11b1f1bb1 --floor 0=3 \\
      --root root.pem --root-key root.key
  corewarden-sign trust-update inspect update.cwtu --root root.pem";
