//! Where a passphrase comes from: never from an argument, which every process can read.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::options::Passphrase;
use crate::{Error, Failure, files};

/// The passphrase of an existing key: from where the user said, else from the terminal, if there is one.
pub(super) fn existing(source: &Passphrase, key: &Path) -> Result<Zeroizing<String>, Failure> {
    if let Some(passphrase) = given(source)? {
        return Ok(passphrase);
    }
    ask(&format!("Passphrase of {}: ", key.display())).map_err(Failure::at(key))
}

/// The passphrase for a new key, asked for twice.
pub(super) fn new(source: &Passphrase, key: &Path) -> Result<Zeroizing<String>, Failure> {
    let passphrase = match given(source)? {
        Some(passphrase) => passphrase,
        None => {
            let first = ask(&format!("New passphrase for {}: ", key.display()));
            let first = first.map_err(Failure::at(key))?;
            let second = ask("Once more: ").map_err(Failure::at(key))?;
            if first != second {
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

fn given(source: &Passphrase) -> Result<Option<Zeroizing<String>>, Failure> {
    if let Some(name) = &source.passphrase_env {
        let value = std::env::var(name).map_err(|_| {
            Failure::from(Error::PassphraseNeeded)
                .with_detail(format!("the environment variable {name} is not set"))
        })?;
        return Ok(Some(Zeroizing::new(value)));
    }
    let path = match (&source.passphrase_file, source.passphrase_fd) {
        (Some(path), _) => path.clone(),
        (None, Some(number)) => PathBuf::from(format!("/dev/fd/{number}")),
        (None, None) => return Ok(None),
    };
    let bytes = files::read_secret(&path, 4096)?;
    let text =
        core::str::from_utf8(&bytes).map_err(|_| Failure::at(&path)(Error::PassphraseUnusable))?;
    let line = text.lines().next().unwrap_or_default();
    Ok(Some(Zeroizing::new(line.to_owned())))
}

fn ask(prompt: &str) -> Result<Zeroizing<String>, Error> {
    if !std::io::stdin().is_terminal() {
        return Err(Error::PassphraseNeeded);
    }
    rpassword::prompt_password(prompt)
        .map(Zeroizing::new)
        .map_err(|_| Error::PassphraseNeeded)
}
