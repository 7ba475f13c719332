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

pub(super) fn uuid(text: &str) -> Result<[u8; 16], Error> {
    let uuid = ta_protocol::Uuid::from_text(&text.to_ascii_lowercase()).ok_or(Error::NotUuid)?;
    Ok(uuid.bytes())
}
