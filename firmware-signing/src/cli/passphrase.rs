//! Where passphrases and PINs come from: never from an argument, which every process can read.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use super::options::{KeyAccess, Passphrase};
use crate::key::Secrets;
use crate::{Error, Failure, files};

impl Secrets for KeyAccess {
    fn passphrase(&self, key: &Path) -> Result<Zeroizing<String>, Failure> {
        existing(&self.passphrase, key)
    }

    fn pin(&self, token: &str, source: Option<&Path>) -> Result<Zeroizing<String>, Failure> {
        let (env, file) = (self.pin_env.as_deref(), self.pin_file.as_deref());
        if let Some(pin) = given(env, file, self.pin_fd, Error::PinNeeded)? {
            return Ok(pin);
        }
        if let Some(source) = source {
            return first_line(source);
        }
        if let Ok(pin) = std::env::var(PIN_VARIABLE) {
            return Ok(Zeroizing::new(pin));
        }
        ask(&format!("PIN of the token {token:?}: "), Error::PinNeeded).map_err(Failure::from)
    }

    fn warn(&self, text: &str) {
        eprintln!("corewarden-sign: warning: {text}");
    }

    fn time_limit(&self) -> Duration {
        Duration::from_secs(self.signer_timeout)
    }
}

/// The passphrase of an existing key: from where the user said, else from the terminal, if there is one.
fn existing(source: &Passphrase, key: &Path) -> Result<Zeroizing<String>, Failure> {
    if let Some(passphrase) = of(source)? {
        return Ok(passphrase);
    }
    ask(
        &format!("Passphrase of {}: ", key.display()),
        Error::PassphraseNeeded,
    )
    .map_err(Failure::at(key))
}

/// The passphrase for a new key, asked for twice.
pub(super) fn new(source: &Passphrase, key: &Path) -> Result<Zeroizing<String>, Failure> {
    let passphrase = match of(source)? {
        Some(passphrase) => passphrase,
        None => {
            let ask = |prompt: &str| ask(prompt, Error::PassphraseNeeded).map_err(Failure::at(key));
            let first = ask(&format!("New passphrase for {}: ", key.display()))?;
            if first != ask("Once more: ")? {
                return Err(Failure::at(key)(Error::PassphraseUnusable));
            }
            first
        }
    };
    if passphrase.is_empty() {
        return Err(Failure::at(key)(Error::PassphraseUnusable));
    }
    Ok(passphrase)
}

fn of(source: &Passphrase) -> Result<Option<Zeroizing<String>>, Failure> {
    given(
        source.passphrase_env.as_deref(),
        source.passphrase_file.as_deref(),
        source.passphrase_fd,
        Error::PassphraseNeeded,
    )
}

/// The secret from the one place that was named, if one was.
pub(super) fn given(
    env: Option<&str>,
    file: Option<&Path>,
    fd: Option<u32>,
    needed: Error,
) -> Result<Option<Zeroizing<String>>, Failure> {
    if let Some(name) = env {
        let value = std::env::var(name).map_err(|_| {
            Failure::from(needed).with_detail(format!("the environment variable {name} is not set"))
        })?;
        return Ok(Some(Zeroizing::new(value)));
    }
    match (file, fd) {
        (Some(path), _) => first_line(path).map(Some),
        (None, Some(number)) => first_line(&PathBuf::from(format!("/dev/fd/{number}"))).map(Some),
        (None, None) => Ok(None),
    }
}

pub(super) fn first_line(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let bytes = files::read_secret(path, 4096)?;
    let text =
        core::str::from_utf8(&bytes).map_err(|_| Failure::at(path)(Error::PassphraseUnusable))?;
    let line = text.lines().next().unwrap_or_default();
    Ok(Zeroizing::new(line.to_owned()))
}

pub(super) fn ask(prompt: &str, needed: Error) -> Result<Zeroizing<String>, Error> {
    if !std::io::stdin().is_terminal() {
        return Err(needed);
    }
    rpassword::prompt_password(prompt)
        .map(Zeroizing::new)
        .map_err(|_| needed)
}

/// Read where nothing else is said.
const PIN_VARIABLE: &str = "COREWARDEN_PIN";
