//! `trust-update make`: a root says what devices no longer trust.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ::trust_update::write::Description;
use ::trust_update::{Floor, Generation, Root, TrustUpdate};
use certificate_chain::Kind;
use clap::Args;

use super::super::inputs::{given_roots, name, only, unhex};
use super::super::options::{KeyAccess, uuid};
use super::super::report::Report;
use super::Answer;
use crate::files::{self, Kind as FileKind};
use crate::key::Reference;
use crate::pki::Certificate;
use crate::trust_update::{RootSigner, key_id_of, make};
use crate::{Error, Failure};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Make {
    /// File for the trust update
    #[arg(long)]
    out: PathBuf,
    /// The version of the list: higher than that of every update before
    #[arg(long, value_name = "NUMBER")]
    list_version: u32,
    /// The device class it is for
    #[arg(long, value_name = "UUID", value_parser = uuid)]
    device_class: [u8; 16],
    /// Signers below this product CA count only from this generation on (repeat for more)
    #[arg(long = "min-generation", value_name = "CERTIFICATE=NUMBER")]
    generations: Vec<OsString>,
    /// A signer that counts no more: its certificate, or its key id in hexadecimal (repeat for more)
    #[arg(long = "revoke", value_name = "CERTIFICATE|KEY_ID")]
    revoked: Vec<OsString>,
    /// The lowest security version that a core takes (repeat for more)
    #[arg(long = "floor", value_name = "CORE=NUMBER")]
    floors: Vec<OsString>,
    /// A root that devices pin for slot 0 from now on; with any, these are all there will be (repeat for more)
    #[arg(long = "keep-root", value_name = "CERTIFICATE")]
    roots: Vec<PathBuf>,
    /// The same for slot 1
    #[arg(long = "keep-second-root", value_name = "CERTIFICATE")]
    second_roots: Vec<PathBuf>,
    /// The private key of the root that signs: a file, a pkcs11: URI, or exec:PROGRAM
    #[arg(long, value_name = "KEY")]
    root_key: OsString,
    /// The certificate of the root that signs, which devices pin for slot 0
    #[arg(long, value_name = "CERTIFICATE")]
    root: PathBuf,
    /// Replace an existing output
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    access: KeyAccess,
}

pub(super) fn run(arguments: &Make) -> Result<Report, Failure> {
    let kind = FileKind::Output {
        force: arguments.force,
    };
    let reference = Reference::parse(&arguments.root_key)?;
    let inputs: Vec<_> = [&*arguments.root]
        .into_iter()
        .chain(reference.file())
        .collect();
    files::check_output(&arguments.out, kind, &inputs)?;
    let mut generations = Vec::new();
    for text in &arguments.generations {
        let (path, minimum) = pair(text)?;
        let path = Path::new(path);
        let product_ca = key_id_of(&only(path)?, Kind::ProductCa).map_err(Failure::at(path))?;
        generations.push(Generation {
            key_id: product_ca,
            minimum,
        });
    }
    generations.sort_by_key(|one| one.key_id);
    let mut revoked = Vec::new();
    for text in &arguments.revoked {
        revoked.push(signer(text)?);
    }
    revoked.sort_unstable();
    let mut floors = Vec::new();
    for text in &arguments.floors {
        let (core, minimum) = pair(text)?;
        let core = core.to_str().and_then(|core| core.parse().ok());
        let core = core.ok_or_else(|| malformed(text))?;
        floors.push(Floor { core, minimum });
    }
    floors.sort_by_key(|one| one.core);
    let mut certificates = given_roots([&arguments.roots, &arguments.second_roots])?;
    certificates.sort_by(|(slot, one), (other_slot, other)| {
        (slot, one.der()).cmp(&(other_slot, other.der()))
    });
    let roots: Vec<Root<'_>> = certificates
        .iter()
        .map(|(slot, certificate)| Root {
            slot: *slot,
            certificate: certificate.der(),
        })
        .collect();
    let root: Certificate = only(&arguments.root)?;
    let key = reference.open(&arguments.access, core::slice::from_ref(&root))?;
    let signer = RootSigner {
        slot: 0,
        key: &key,
        certificate: &root,
    };
    let bytes = make(
        &Description {
            list_version: arguments.list_version,
            device_class: arguments.device_class,
            generations: &generations,
            revoked: &revoked,
            floors: &floors,
            roots: &roots,
            signers: &[],
        },
        &[signer],
    )?;
    files::write(&arguments.out, kind, &[&bytes])?;
    let update = TrustUpdate::parse(&bytes).map_err(Error::from)?;
    let answer = Answer::new(name(&arguments.out), "signatures hold", &update)?;
    Ok(Report::of(answer))
}

/// `WHAT=NUMBER`
fn pair(text: &OsStr) -> Result<(&OsStr, u32), Failure> {
    let bytes = text.as_bytes();
    let equals = bytes.iter().rposition(|byte| *byte == b'=');
    let (what, number) = equals
        .and_then(|at| Some((bytes.get(..at)?, bytes.get(at + 1..)?)))
        .ok_or_else(|| malformed(text))?;
    let number = core::str::from_utf8(number).ok();
    let number = number.and_then(|number| number.parse().ok());
    Ok((
        OsStr::from_bytes(what),
        number.ok_or_else(|| malformed(text))?,
    ))
}

fn malformed(text: &OsStr) -> Failure {
    let text = text.to_string_lossy().escape_debug().to_string();
    Failure::from(Error::PairMalformed).with_detail(text)
}

/// A file's certificate, or 64 digits.
fn signer(text: &OsStr) -> Result<[u8; 32], Failure> {
    if let Some(digits) = text.to_str()
        && let Ok(key_id) = unhex(digits)
        && let Ok(key_id) = key_id.try_into()
    {
        return Ok(key_id);
    }
    let path = Path::new(text);
    key_id_of(&only(path)?, Kind::Leaf).map_err(Failure::at(path))
}

const EXAMPLES: &str = "\
Examples:
  corewarden-sign trust-update make --out new.cwtu --list-version 1 \\
      --device-class b5b9a2c6-68ab-4bbc-86f4-a2a11b1f1bb1 --min-generation product-ca.pem=2 \\
      --floor 0=3 --root root.pem --root-key root.key
  corewarden-sign trust-update make --out new.cwtu --list-version 2 \\
      --device-class b5b9a2c6-68ab-4bbc-86f4-a2a11b1f1bb1 --revoke signer.pem \\
      --root root.pem --root-key root.key";
