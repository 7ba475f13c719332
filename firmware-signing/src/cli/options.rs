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

pub(super) fn date(text: &str) -> Result<Date, Error> {
    text.parse()
}

pub(super) fn uuid(text: &str) -> Result<[u8; 16], Error> {
    let uuid = ta_protocol::Uuid::from_text(&text.to_ascii_lowercase()).ok_or(Error::NotUuid)?;
    Ok(uuid.bytes())
}
