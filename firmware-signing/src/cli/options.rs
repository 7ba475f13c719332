//! Options that several verbs share.

use std::path::PathBuf;

use clap::Args;

use crate::Error;
use crate::pki::Date;

#[derive(Debug, Args)]
pub(super) struct Target {
    /// The platform file (TOML) of the machine
    #[arg(
        long,
        value_name = "FILE",
        env = "COREWARDEN_PLATFORM",
        hide_env_values = true
    )]
    pub(super) platform: PathBuf,
    /// The core, by name or id (repeat for more)
    #[arg(
        long = "core",
        value_name = "CORE",
        env = "COREWARDEN_CORE",
        hide_env_values = true,
        required = true
    )]
    pub(super) cores: Vec<String>,
}

/// What a bundle says besides its image.
#[derive(Debug, Args)]
pub(super) struct Content {
    #[command(flatten)]
    pub(super) target: Target,
    /// The version that may never go down on a device
    #[arg(
        long,
        value_name = "NUMBER",
        env = "COREWARDEN_SECURITY_VERSION",
        hide_env_values = true
    )]
    pub(super) security_version: u32,
    /// The version people read, at most 32 bytes
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        env = "COREWARDEN_DISPLAY_VERSION",
        hide_env_values = true,
        value_parser = display_version
    )]
    pub(super) display_version: String,
    /// Build id in hexadecimal; where it is left out, the ELF's own
    #[arg(long, value_name = "HEX")]
    pub(super) build_id: Option<String>,
    /// Software bill of materials, whose SHA-384 becomes part of what is signed
    #[arg(long, value_name = "FILE")]
    pub(super) sbom: Option<PathBuf>,
    /// Keep what is neither loaded nor needed to map addresses to names
    #[arg(long)]
    pub(super) keep_all: bool,
}

/// Under which the options of slot 1 stand.
pub(super) const SECOND: &str = "Second signature";

/// Who vouches for the signers, and when.
#[derive(Debug, Args)]
pub(super) struct Chain {
    /// Certificates of the signer and its product CA, in any order (repeat for more files); where they are left out, those beside the key
    /// file or on the token
    #[arg(
        long = "cert",
        value_name = "CERTIFICATE",
        env = "COREWARDEN_CERT",
        hide_env_values = true,
        value_delimiter = ':'
    )]
    pub(super) certificates: Vec<PathBuf>,
    /// Certificates of the second signer and its product CA (repeat for more files); found like those of the first where they are left out
    #[arg(
        long = "second-cert",
        value_name = "CERTIFICATE",
        env = "COREWARDEN_SECOND_CERT",
        hide_env_values = true,
        value_delimiter = ':',
        help_heading = SECOND
    )]
    pub(super) second_certificates: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) roots: Roots,
    /// Judge the certificates' dates at this moment instead of now
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(super) at: Option<Date>,
}

/// Who is trusted.
#[derive(Debug, Args)]
pub(super) struct Roots {
    /// Root certificate to judge by (repeat for more); where it is left out, convert, doctor, prepare and sign take those that the
    /// platform file names
    #[arg(
        long = "root",
        value_name = "CERTIFICATE",
        env = "COREWARDEN_ROOT",
        hide_env_values = true,
        value_delimiter = ':'
    )]
    roots: Vec<PathBuf>,
    /// Root certificate to judge second signatures by (repeat for more); found like the first where it is left out
    #[arg(
        long = "second-root",
        value_name = "CERTIFICATE",
        env = "COREWARDEN_SECOND_ROOT",
        hide_env_values = true,
        value_delimiter = ':',
        help_heading = SECOND
    )]
    second_roots: Vec<PathBuf>,
}

impl Roots {
    /// By slot.
    pub(super) fn files(&self) -> [&[PathBuf]; 2] {
        [&self.roots, &self.second_roots]
    }
}

#[derive(Debug, Args)]
pub(super) struct Passphrase {
    /// Environment variable that holds the key's passphrase
    #[arg(long, value_name = "NAME", conflicts_with_all = ["passphrase_file", "passphrase_fd"])]
    pub(super) passphrase_env: Option<String>,
    /// File whose first line is the key's passphrase
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase_fd")]
    pub(super) passphrase_file: Option<PathBuf>,
    /// Open file descriptor whose first line is the key's passphrase
    #[arg(long, value_name = "NUMBER")]
    pub(super) passphrase_fd: Option<u32>,
}

/// What opens a private key, wherever it is.
#[derive(Debug, Args)]
pub(super) struct KeyAccess {
    #[command(flatten)]
    pub(super) passphrase: Passphrase,
    /// Environment variable that holds the token's PIN; where no --pin option is given, the file of pin-source= in the URI, then COREWARDEN_PIN
    #[arg(long, value_name = "NAME", conflicts_with_all = ["pin_file", "pin_fd"])]
    pub(super) pin_env: Option<String>,
    /// File whose first line is the token's PIN
    #[arg(long, value_name = "FILE", conflicts_with = "pin_fd")]
    pub(super) pin_file: Option<PathBuf>,
    /// Open file descriptor whose first line is the token's PIN
    #[arg(long, value_name = "NUMBER")]
    pub(super) pin_fd: Option<u32>,
    /// Seconds that a signing program (exec:PROGRAM) has for one answer
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(super) signer_timeout: u64,
}

pub(super) fn date(text: &str) -> Result<Date, Error> {
    text.parse()
}

/// What a manifest would refuse later is wrong usage here.
pub(super) fn display_version(text: &str) -> Result<String, Error> {
    if text.len() > firmware_bundle::MAX_DISPLAY_VERSION || text.chars().any(char::is_control) {
        return Err(Error::DisplayVersion { length: text.len() });
    }
    Ok(text.to_owned())
}

pub(super) fn uuid(text: &str) -> Result<[u8; 16], Error> {
    let uuid = ta_protocol::Uuid::from_text(&text.to_ascii_lowercase()).ok_or(Error::NotUuid)?;
    Ok(uuid.bytes())
}
