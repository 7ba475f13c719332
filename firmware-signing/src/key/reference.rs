//! One syntax wherever a key is named: a path, a `pkcs11:` URI, or `exec:PROGRAM`.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use super::program::{self, Program};
use super::uri::SCHEME;
use super::{Algorithm, PrivateKey, Signer, TokenUri, beside, token};
use crate::pki::Certificate;
use crate::{Error, Failure, files};

/// A key by its name: where it is, and so how it is asked to sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// A file.
    File(PathBuf),
    /// A program which signs: `exec:PROGRAM`, or `exec:PROGRAM#HINT`.
    Program(Program),
    /// A key on a token.
    Token(Box<TokenUri>),
}

impl Reference {
    /// Reads a name. A file whose name begins like one of the others is written with `./` in front.
    pub fn parse(name: &OsStr) -> Result<Self, Failure> {
        let bytes = name.as_bytes();
        if let Some(program) = bytes.strip_prefix(b"exec:") {
            return Program::parse(OsStr::from_bytes(program)).map(Self::Program);
        }
        if bytes.starts_with(SCHEME.as_bytes()) {
            let uri = name
                .to_str()
                .ok_or_else(|| Failure::from(Error::UriMalformed).with_detail("it is not UTF-8"))?;
            return Ok(Self::Token(Box::new(TokenUri::parse(uri)?)));
        }
        if name.is_empty() {
            return Err(Failure::at(Path::new(""))(Error::KeyNameEmpty));
        }
        Ok(Self::File(PathBuf::from(name)))
    }

    /// The file it is, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Program(_) | Self::Token(_) => None,
        }
    }

    /// Opens the key. `given` are the certificates the user named; without any, those that lie with the key are found.
    pub fn open(&self, secrets: &dyn Secrets, given: &[Certificate]) -> Result<Key, Failure> {
        match self {
            Self::File(path) => file(path, secrets, given),
            Self::Program(program) => program::open(program, secrets, given),
            Self::Token(uri) => token::open(uri, secrets, given),
        }
    }
}

impl fmt::Display for Reference {
    /// The name as it may be shown: without the query of a URI.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Program(program) => program.fmt(f),
            Self::Token(uri) => f.write_str(uri.shown()),
        }
    }
}

/// What opens a key, asked for when it is needed and not before.
pub trait Secrets {
    /// The passphrase of the key file `key`.
    fn passphrase(&self, key: &Path) -> Result<Zeroizing<String>, Failure>;

    /// The PIN of the token with this label; `source` is the file that the URI names.
    fn pin(&self, token: &str, source: Option<&Path>) -> Result<Zeroizing<String>, Failure>;

    /// Tells the user something that is no error.
    fn warn(&self, text: &str);

    /// How long a program may take for one answer.
    fn time_limit(&self) -> Duration;
}

/// Holding a `Key` tells you that it can be asked to sign, and that whatever it signs was verified with its public half.
pub struct Key {
    signer: Checked,
    certificates: Vec<Certificate>,
    custody: Custody,
}

/// Who keeps a private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Custody {
    /// A file which a passphrase opens.
    EncryptedFile,
    /// A file which anybody who may read it can use.
    PlainFile,
    /// A program, which asks whom it likes.
    Program,
    /// A token.
    Token,
}

impl Custody {
    /// The name used in reports and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EncryptedFile => "encrypted-file",
            Self::PlainFile => "plain-file",
            Self::Program => "program",
            Self::Token => "token",
        }
    }
}

impl Key {
    pub(super) fn new(
        signer: Box<dyn Signer>,
        certificates: Vec<Certificate>,
        custody: Custody,
    ) -> Self {
        Self {
            signer: Checked(signer),
            certificates,
            custody,
        }
    }

    /// The certificates that were given, or else those that lie with the key: the signer's own and the ones above it, in any order.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// Who keeps it.
    pub const fn custody(&self) -> Custody {
        self.custody
    }
}

impl Signer for Key {
    fn algorithm(&self) -> Algorithm {
        self.signer.algorithm()
    }

    fn public_key(&self) -> &[u8] {
        self.signer.public_key()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.signer.sign(message)
    }
}

/// Believes a signature when it holds, wherever it came from; tokens have given wrong ones.
struct Checked(Box<dyn Signer>);

impl Signer for Checked {
    fn algorithm(&self) -> Algorithm {
        self.0.algorithm()
    }

    fn public_key(&self) -> &[u8] {
        self.0.public_key()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let algorithm = self.algorithm();
        let signature = self.0.sign(message)?;
        algorithm.check(self.public_key(), message, &signature)?;
        algorithm.normalise(&signature)
    }
}

fn file(path: &Path, secrets: &dyn Secrets, given: &[Certificate]) -> Result<Key, Failure> {
    let bytes = files::read_secret(path, MAX_KEY)?;
    // The passphrase's own failure names the place it should have come from; it must not be lost.
    let (mut refused, mut custody) = (None, Custody::PlainFile);
    let key = PrivateKey::read(&bytes, || {
        custody = Custody::EncryptedFile;
        secrets.passphrase(path).map_err(|failure| {
            let error = failure.error;
            refused = Some(failure);
            error
        })
    });
    let key = key.map_err(|error| {
        let error = match (error, PrivateKey::published_rsa(&bytes)) {
            (Error::KeyAlgorithm, Some(name)) => Error::KeyPublished { name },
            (error, _) => error,
        };
        refused.unwrap_or_else(|| Failure::at(path)(error))
    })?;
    let certificates = match given {
        [] => beside::certificates(path, key.public_key()),
        given => given.to_vec(),
    };
    Ok(Key::new(Box::new(key), certificates, custody))
}

/// No key file is longer.
const MAX_KEY: u64 = 1 << 20;
