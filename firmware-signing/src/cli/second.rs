//! The second signature, in slot 1: by another algorithm or another owner.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use zeroize::Zeroizing;

use super::options::SECOND;
use super::passphrase;
use crate::key::{Key, Reference, Secrets};
use crate::pki::Certificate;
use crate::{Error, Failure};

#[derive(Debug, Args)]
#[command(next_help_heading = SECOND)]
pub(super) struct Second {
    /// The second signer's private key, named like --key: the bundle is signed in slot 1 too
    #[arg(
        long,
        value_name = "KEY",
        env = "COREWARDEN_SECOND_KEY",
        hide_env_values = true
    )]
    second_key: Option<OsString>,
    #[command(flatten)]
    access: SecondAccess,
}

/// What opens the second key.
#[derive(Debug, Args)]
#[command(next_help_heading = SECOND)]
pub(super) struct SecondAccess {
    /// Environment variable that holds the second key's passphrase
    #[arg(long, value_name = "NAME", requires = "second_key", conflicts_with_all = ["second_passphrase_file", "second_passphrase_fd"])]
    second_passphrase_env: Option<String>,
    /// File whose first line is the second key's passphrase
    #[arg(
        long,
        value_name = "FILE",
        requires = "second_key",
        conflicts_with = "second_passphrase_fd"
    )]
    second_passphrase_file: Option<PathBuf>,
    /// Open file descriptor whose first line is the second key's passphrase
    #[arg(long, value_name = "NUMBER", requires = "second_key")]
    second_passphrase_fd: Option<u32>,
    /// Environment variable that holds the second token's PIN; where no option gives it, the file of pin-source= in the URI, then
    /// COREWARDEN_SECOND_PIN
    #[arg(long, value_name = "NAME", requires = "second_key", conflicts_with_all = ["second_pin_file", "second_pin_fd"])]
    second_pin_env: Option<String>,
    /// File whose first line is the second token's PIN
    #[arg(
        long,
        value_name = "FILE",
        requires = "second_key",
        conflicts_with = "second_pin_fd"
    )]
    second_pin_file: Option<PathBuf>,
    /// Open file descriptor whose first line is the second token's PIN
    #[arg(long, value_name = "NUMBER", requires = "second_key")]
    second_pin_fd: Option<u32>,
}

impl Second {
    /// Where the second key is, if there is one.
    pub(super) fn reference(&self) -> Result<Option<Reference>, Failure> {
        self.second_key.as_deref().map(Reference::parse).transpose()
    }

    /// What opens it.
    pub(super) fn access(&self) -> &SecondAccess {
        &self.access
    }
}

impl SecondAccess {
    /// Opens the second key. `given` are the certificates that were named for it; a program has `limit` for each answer.
    pub(super) fn open(
        &self,
        reference: &Reference,
        given: &[Certificate],
        limit: Duration,
    ) -> Result<Key, Failure> {
        reference.open(&SecondSecrets { of: self, limit }, given)
    }
}

/// The first key's passphrase or PIN is never tried on the second: it may belong to somebody else, and tokens count wrong tries.
struct SecondSecrets<'a> {
    of: &'a SecondAccess,
    limit: Duration,
}

impl Secrets for SecondSecrets<'_> {
    fn passphrase(&self, key: &Path) -> Result<Zeroizing<String>, Failure> {
        let (env, file) = (
            self.of.second_passphrase_env.as_deref(),
            self.of.second_passphrase_file.as_deref(),
        );
        let (fd, needed) = (self.of.second_passphrase_fd, Error::PassphraseNeeded);
        match passphrase::given(env, file, fd, needed)? {
            Some(passphrase) => Ok(passphrase),
            None => passphrase::ask(&format!("Passphrase of {}: ", key.display()), needed)
                .map_err(|error| Failure::at(key)(error).with_detail(OWN_OPTIONS)),
        }
    }

    fn pin(&self, token: &str, source: Option<&Path>) -> Result<Zeroizing<String>, Failure> {
        let (env, file) = (
            self.of.second_pin_env.as_deref(),
            self.of.second_pin_file.as_deref(),
        );
        if let Some(pin) = passphrase::given(env, file, self.of.second_pin_fd, Error::PinNeeded)? {
            return Ok(pin);
        }
        if let Some(source) = source {
            return passphrase::first_line(source);
        }
        if let Ok(pin) = std::env::var(PIN_VARIABLE) {
            return Ok(Zeroizing::new(pin));
        }
        passphrase::ask(&format!("PIN of the token {token:?}: "), Error::PinNeeded)
            .map_err(|error| Failure::from(error).with_detail(OWN_OPTIONS))
    }

    fn warn(&self, text: &str) {
        eprintln!("corewarden-sign: warning: {text}");
    }

    fn time_limit(&self) -> Duration {
        self.limit
    }
}

/// Read where nothing else is said.
const PIN_VARIABLE: &str = "COREWARDEN_SECOND_PIN";
const OWN_OPTIONS: &str = "the second key's options begin with --second-";
