//! `attach`: signatures come back, and prepared bundles become bundles.

use std::ffi::{OsStr, OsString};
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::inputs::{MAX_INPUT, MAX_TEXT, name, trust};
use super::options::KeyAccess;
use super::report::{Report, Schema};
use crate::files::{self, Kind as FileKind, Staged};
use crate::key::{Key, Reference, Signer};
use crate::request::{self, Image, Prepared, Request};
use crate::sign::{Signed, SlotChain};
use crate::verify;
use crate::{Error, Failure};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Attach {
    /// Requests that `prepare` wrote; the prepared bundles lie beside them
    #[arg(required = true, value_name = "REQUEST")]
    requests: Vec<PathBuf>,
    /// Folder of the signature files; where it is left out, the request's
    #[arg(long, value_name = "FOLDER", conflicts_with = "key")]
    signatures: Option<PathBuf>,
    /// Sign all of it with this private key instead (a file, a pkcs11: URI, or exec:PROGRAM): one login for the whole ceremony
    // No environment variable: whether a key signs is said each time.
    #[arg(long)]
    key: Option<OsString>,
    /// Root certificate to judge the results by (repeat for more)
    #[arg(
        long = "root",
        value_name = "CERTIFICATE",
        env = "COREWARDEN_ROOT",
        hide_env_values = true,
        value_delimiter = ':'
    )]
    roots: Vec<PathBuf>,
    /// Root certificate to judge second signatures by (repeat for more)
    #[arg(
        long = "second-root",
        value_name = "CERTIFICATE",
        env = "COREWARDEN_SECOND_ROOT",
        hide_env_values = true,
        value_delimiter = ':'
    )]
    second_roots: Vec<PathBuf>,
    /// Folder for the bundles, made if it is not there; where it is left out, the request's
    #[arg(long, value_name = "FOLDER")]
    out_dir: Option<PathBuf>,
    /// Replace existing outputs
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    access: KeyAccess,
}

pub(super) fn run(arguments: &Attach) -> Result<Report, Failure> {
    let kind = FileKind::Output {
        force: arguments.force,
    };
    let work = work(arguments)?;
    for one in &work {
        files::check_output(&one.out, kind, &[&one.prepared])?;
    }
    let trust = trust([&arguments.roots, &arguments.second_roots])?;
    let key = match &arguments.key {
        Some(name) => Some(open(name, &arguments.access, &work)?),
        None => None,
    };

    if let Some(folder) = &arguments.out_dir {
        std::fs::create_dir_all(folder).map_err(Failure::io(folder))?;
    }
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
        let signed = one.sign(prepared, key.as_ref())?;
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

/// Opens the key once, for all images: the certificates of the first say whose it is to be.
fn open(name: &OsStr, access: &KeyAccess, work: &[Work]) -> Result<Key, Failure> {
    let reference = Reference::parse(name)?;
    let mut given = Vec::new();
    if let Some(first) = work.first() {
        let bytes = files::read(&first.prepared, MAX_INPUT)?;
        let prepared = Prepared::read(&bytes).map_err(Failure::at(&first.prepared))?;
        let slots = prepared.slots().iter();
        given.extend(slots.flat_map(|slot| slot.certificates.clone()));
    }
    reference.open(access, &given)
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
    fn sign<'a>(&self, prepared: Prepared<'a>, key: Option<&Key>) -> Result<Signed<'a>, Failure> {
        let message = prepared.message();
        let mut signatures = Vec::new();
        for slot in prepared.slots() {
            signatures.push(match key {
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
  corewarden-sign attach request/request.json pump/request.json --key signer.key --out-dir release";
