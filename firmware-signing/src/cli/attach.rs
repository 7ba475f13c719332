//! `attach`: signatures come back, and prepared bundles become bundles.

use std::ffi::OsString;
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::inputs::{MAX_INPUT, MAX_TEXT, given_roots, name, trust};
use super::options::{KeyAccess, Roots, SECOND};
use super::report::{Report, Schema};
use super::second::SecondAccess;
use crate::files::{self, Folder, Kind as FileKind, Staged};
use crate::key::{Key, Reference, Secrets, Signer};
use crate::pki::Certificate;
use crate::request::{self, Image, Prepared, Request};
use crate::sign::{Signed, SlotChain};
use crate::{Error, Failure, release, verify};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Attach {
    /// Requests that `prepare` wrote; the prepared bundles lie beside them
    #[arg(required = true, value_name = "REQUEST")]
    requests: Vec<PathBuf>,
    /// Folder of the signature files; where it is left out, the request's
    #[arg(long, value_name = "FOLDER")]
    signatures: Option<PathBuf>,
    /// Sign slot 0 of all images with this private key instead (a file, a pkcs11: URI, or exec:PROGRAM): one login for the whole ceremony
    // No environment variable: whether a key signs is said each time.
    #[arg(long)]
    key: Option<OsString>,
    /// Sign slot 1 of all images with this private key instead, named like --key
    #[arg(long, value_name = "KEY", help_heading = SECOND)]
    second_key: Option<OsString>,
    #[command(flatten)]
    roots: Roots,
    /// Refuse what does not sign a release: published test keys, development certificates and roots, unencrypted key files
    #[arg(long)]
    release: bool,
    /// Folder for the bundles, made if it is not there; where it is left out, the request's
    #[arg(long, value_name = "FOLDER")]
    out_dir: Option<PathBuf>,
    /// Replace existing outputs
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    access: KeyAccess,
    #[command(flatten)]
    second_access: SecondAccess,
}

pub(super) fn run(arguments: &Attach) -> Result<Report, Failure> {
    let kind = FileKind::Output {
        force: arguments.force,
    };
    let work = work(arguments)?;
    for one in &work {
        files::check_output(&one.out, kind, &[&one.prepared])?;
    }
    let roots = given_roots(arguments.roots.files())?;
    let trust = trust(&roots)?;
    let roots: Vec<Certificate> = roots.into_iter().map(|(_, root)| root).collect();
    let keys = Keys::open(arguments, &work)?;

    let _made = match &arguments.out_dir {
        Some(folder) => Some(Folder::make(folder)?),
        None => None,
    };
    // Every bundle is whole and on the disk before the first gets its name.
    let mut staged = Vec::with_capacity(work.len());
    let mut bundles = Vec::with_capacity(work.len());
    for one in &work {
        let bytes = files::read(&one.prepared, MAX_INPUT)?;
        let failed = Failure::at(&one.prepared);
        let prepared = Prepared::read(&bytes).map_err(&failed)?;
        one.image
            .check(&prepared)
            .map_err(|(error, detail)| Failure::at(&one.request)(error).with_detail(detail))?;
        if arguments.release {
            for slot in prepared.slots() {
                judge(slot, &keys, &roots).map_err(&failed)?;
            }
        }
        let signed = one.sign(prepared, &keys)?;
        if let Some(trust) = &trust {
            verify::authenticate_parts(&signed.elf, &signed.trailer, trust).map_err(&failed)?;
        }
        staged.push(Staged::new(
            &one.out,
            kind,
            &[&signed.elf, &signed.trailer],
        )?);
        bundles.push(Bundle {
            bundle: name(&one.out),
            digest: crate::hex(&signed.digest),
        });
    }
    files::publish(staged)?;
    Ok(Report::of(Answer { bundles }))
}

/// The keys that sign slots here, by slot; the signatures of the other slots are read from files.
struct Keys([Option<Key>; 2]);

impl Keys {
    /// Opens each key once, for all images: the certificates of the first say whose it is to be.
    fn open(arguments: &Attach, work: &[Work]) -> Result<Self, Failure> {
        let slots = match work.first() {
            Some(first) => {
                let bytes = files::read(&first.prepared, MAX_INPUT)?;
                let prepared = Prepared::read(&bytes).map_err(Failure::at(&first.prepared))?;
                prepared.slots().to_vec()
            }
            None => Vec::new(),
        };
        let of = |number: u8| slots.iter().find(|slot| slot.number == number);
        let given = |number| of(number).map_or(&[][..], |slot| &slot.certificates);
        let limit = Secrets::time_limit(&arguments.access);
        let reference = |name: &Option<OsString>| name.as_deref().map(Reference::parse).transpose();
        let first = match reference(&arguments.key)? {
            Some(reference) => Some(reference.open(&arguments.access, given(0))?),
            None => None,
        };
        let second = match reference(&arguments.second_key)? {
            Some(_) if of(1).is_none() => return Err(Error::SecondSlotMissing.into()),
            Some(reference) => Some(arguments.second_access.open(&reference, given(1), limit)?),
            None => None,
        };
        let keys = Self([first, second]);
        let from_file = |slot: &SlotChain| keys.of(slot).is_none();
        if arguments.signatures.is_some() && !slots.iter().any(from_file) {
            return Err(Error::SignaturesUnused.into());
        }
        Ok(keys)
    }

    fn of(&self, slot: &SlotChain) -> Option<&Key> {
        self.0.get(usize::from(slot.number))?.as_ref()
    }
}

/// Refuses a slot that does not sign a release: by its key, where that is here, and by its certificates.
fn judge(slot: &SlotChain, keys: &Keys, roots: &[Certificate]) -> Result<(), Error> {
    match keys.of(slot) {
        Some(key) => release::check(key, &slot.certificates, roots),
        None => release::check_certificates(&slot.certificates, roots),
    }
}

/// One image with the files that belong to it.
struct Work {
    request: PathBuf,
    image: Image,
    prepared: PathBuf,
    signatures: PathBuf,
    out: PathBuf,
}

fn work(arguments: &Attach) -> Result<Vec<Work>, Failure> {
    let mut work = Vec::new();
    for path in &arguments.requests {
        let bytes = files::read(path, MAX_REQUEST)?;
        let request = Request::read(&bytes)
            .map_err(|(error, detail)| Failure::at(path)(error).with_detail(detail))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let beside = |other: &Option<PathBuf>| other.clone().unwrap_or(folder.to_owned());
        for image in request.images {
            work.push(Work {
                request: path.clone(),
                prepared: folder.join(request::prepared_name(&image.name)),
                signatures: beside(&arguments.signatures),
                out: beside(&arguments.out_dir).join(format!("{}.cwfw", image.name)),
                image,
            });
        }
    }
    let mut outs: Vec<&Path> = work.iter().map(|one| one.out.as_path()).collect();
    outs.sort_unstable();
    match outs.windows(2).find(|two| two[0] == two[1]) {
        Some(two) => Err(Failure::at(two[0])(Error::RequestNameTwice)),
        None => Ok(work),
    }
}

impl Work {
    fn sign<'a>(&self, prepared: Prepared<'a>, keys: &Keys) -> Result<Signed<'a>, Failure> {
        let message = prepared.message();
        let mut signatures = Vec::new();
        for slot in prepared.slots() {
            signatures.push(match keys.of(slot) {
                Some(key) => by(key, slot, &message).map_err(Failure::at(&self.prepared))?,
                None => self.read(slot, &message)?,
            });
        }
        let finished = prepared.finish(&signatures);
        finished.map_err(Failure::at(&self.prepared))
    }

    fn read(&self, slot: &SlotChain, message: &[u8; 64]) -> Result<Vec<u8>, Failure> {
        let file = format!("{}.slot{}.sig", self.image.name, slot.number);
        let path = self.signatures.join(file);
        let bytes = files::read(&path, MAX_TEXT)?;
        let public_key = slot.public_key()?;
        request::accept(slot.number, slot.algorithm, &public_key, message, &bytes)
            .map_err(Failure::at(&path))
    }
}

fn by(key: &dyn Signer, slot: &SlotChain, message: &[u8; 64]) -> Result<Vec<u8>, Error> {
    let public_key = slot.public_key()?;
    if key.public_key() != public_key {
        return Err(Error::KeyNotOfCertificate {
            key: crate::key::key_id(key.public_key()),
            certificate: crate::key::key_id(&public_key),
        });
    }
    key.sign(message)
}

#[derive(Debug, Serialize)]
struct Answer {
    bundles: Vec<Bundle>,
}

#[derive(Debug, Serialize)]
struct Bundle {
    bundle: String,
    digest: String,
}

impl Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bundles
            .iter()
            .try_for_each(|one| writeln!(f, "{}: signed (digest {})", one.bundle, one.digest))
    }
}

impl Schema for Answer {
    const NAME: &'static str = "corewarden-sign/attach";
}

/// A request of the most images there may be, with long names.
const MAX_REQUEST: u64 = 32 << 20;
const EXAMPLES: &str = "\
Examples:
  corewarden-sign attach request/request.json --root root.pem
  corewarden-sign attach request/request.json --signatures signatures --out-dir release
  corewarden-sign attach request/request.json pump/request.json --key signer.key --out-dir release
  corewarden-sign attach both/request.json --key signer.key --root root.pem \\
      --second-key second.key --second-root second-root.pem

Each slot is signed by its key, where one is named, and else by the signature file in the folder.";
