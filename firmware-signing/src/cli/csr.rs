//! `csr`: a certificate request for a key, wherever the key is.

use std::ffi::OsString;
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::inputs::name;
use super::options::KeyAccess;
use super::report::{Report, Schema};
use crate::csr::Request;
use crate::files::{self, Kind as FileKind};
use crate::key::{Reference, Signer, key_id};
use crate::{Failure, hex};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Csr {
    /// The private key that wants a certificate: a file, a pkcs11: URI, or exec:PROGRAM
    #[arg(long, env = "COREWARDEN_KEY", hide_env_values = true)]
    key: OsString,
    /// Name for people, as RFC 4514 writes it: CN=...,O=...
    #[arg(long)]
    name: String,
    /// File for the request: PKCS#10 as PEM, or DER where the name ends in .der
    #[arg(long)]
    out: PathBuf,
    /// Replace an existing output
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    access: KeyAccess,
}

pub(super) fn run(arguments: &Csr) -> Result<Report, Failure> {
    let path = &arguments.out;
    let kind = FileKind::Output {
        force: arguments.force,
    };
    let reference = Reference::parse(&arguments.key)?;
    let inputs: Vec<_> = reference.file().into_iter().collect();
    files::check_output(path, kind, &inputs)?;
    let key = reference.open(&arguments.access, &[])?;
    let place = reference.to_string();
    let request = Request::new(&arguments.name, &key).map_err(Failure::at(Path::new(&place)))?;
    if path.extension().is_some_and(|extension| extension == "der") {
        files::write(path, kind, &[&request.to_der()?])?;
    } else {
        files::write(path, kind, &[request.to_pem()?.as_bytes()])?;
    }
    Ok(Report::of(Asked {
        request: name(path),
        subject: request.subject(),
        algorithm: key.algorithm().name(),
        key_id: hex(&key_id(key.public_key())),
        custody: key.custody().name(),
    }))
}

#[derive(Debug, Serialize)]
struct Asked {
    request: String,
    subject: String,
    algorithm: &'static str,
    key_id: String,
    custody: &'static str,
}

impl Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: request for {}", self.request, self.subject)?;
        writeln!(f, "key id: {} ({})", self.key_id, self.algorithm)
    }
}

impl Schema for Asked {
    const NAME: &'static str = "corewarden-sign/csr";
}

const EXAMPLES: &str = "\
Examples:
  corewarden-sign csr --key signer.key --name CN=Signer-1,O=Motors --out signer.csr";
