//! `keygen`: a private key, and its public half.

use std::fmt::{self, Display};
use std::path::PathBuf;

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::inputs::name;
use super::options::Passphrase;
use super::passphrase;
use super::report::{Report, Schema};
use crate::files::{self, Kind as FileKind};
use crate::key::{Algorithm, PrivateKey, Signer, key_id};
use crate::{Failure, hex};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Keygen {
    /// File for the private key: PKCS#8 PEM, mode 0600, never overwritten
    #[arg(long)]
    out: PathBuf,
    /// For which signatures
    #[arg(long, value_enum, default_value_t)]
    algorithm: Algorithm,
    /// File for the public half as PEM
    #[arg(long)]
    public_out: Option<PathBuf>,
    /// Do not encrypt the key
    #[arg(long, conflicts_with_all = ["passphrase_env", "passphrase_file", "passphrase_fd"])]
    no_password: bool,
    /// Replace an existing --public-out
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    passphrase: Passphrase,
}

pub(super) fn run(arguments: &Keygen) -> Result<Report, Failure> {
    let path = &arguments.out;
    let public_kind = FileKind::Output {
        force: arguments.force,
    };
    files::check_output(path, FileKind::Key, &[])?;
    if let Some(public) = &arguments.public_out {
        files::check_output(public, public_kind, &[])?;
    }
    let passphrase = match arguments.no_password {
        true => None,
        false => Some(passphrase::new(&arguments.passphrase, path)?),
    };
    let key = PrivateKey::generate(arguments.algorithm)?;
    let pem = key.to_pem(passphrase.as_ref().map(|text| text.as_str()))?;
    files::write(path, FileKind::Key, &[pem.as_bytes()])?;
    if let Some(public) = &arguments.public_out {
        files::write(public, public_kind, &[key.public_pem()?.as_bytes()])?;
    }
    Ok(Report::of(Made {
        key: name(path),
        public: arguments.public_out.as_deref().map(name),
        algorithm: key.algorithm().name(),
        key_id: hex(&key_id(key.public_key())),
        encrypted: passphrase.is_some(),
    }))
}

#[derive(Debug, Serialize)]
struct Made {
    key: String,
    public: Option<String>,
    algorithm: &'static str,
    key_id: String,
    encrypted: bool,
}

impl Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.encrypted {
            "encrypted"
        } else {
            "not encrypted"
        };
        writeln!(f, "{}: {} key, {how}", self.key, self.algorithm)?;
        if let Some(public) = &self.public {
            writeln!(f, "{public}: its public half")?;
        }
        writeln!(f, "key id: {}", self.key_id)
    }
}

impl Schema for Made {
    const NAME: &'static str = "corewarden-sign/keygen";
}

impl ValueEnum for Algorithm {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let value = PossibleValue::new(self.name());
        Some(match self {
            Self::EcdsaP256 => value.alias("p256"),
            Self::EcdsaP384 => value.alias("p384"),
            Self::Ed25519 => value,
        })
    }
}

const EXAMPLES: &str = "\
Examples:
  corewarden-sign keygen --out signer.key --public-out signer.pub --passphrase-env KEY_PASSPHRASE
  corewarden-sign keygen --out build.key --algorithm ed25519 --no-password";
