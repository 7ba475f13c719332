//! `exec:PROGRAM`: a program of the user's that signs, for key services of every kind. docs/signing-program.md.
//!
//! One request in JSON goes to its standard input, one answer is read from its standard output; what it says on standard error goes to ours.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use base64ct::{Base64, Encoding};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};

use super::file::read_public;
use super::reference::{Custody, Key};
use super::{Algorithm, Secrets, Signer, key_id, pem_blocks};
use crate::pki::{Certificate, Kind};
use crate::signals::Held;
use crate::{Error, Failure, hex};

/// A program which signs, and which key it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    path: PathBuf,
    hint: Option<String>,
}

impl Program {
    /// Reads what stands behind `exec:`: a path or a name on the PATH, and after a `#` a hint for it.
    pub(super) fn parse(text: &OsStr) -> Result<Self, Failure> {
        let bytes = text.as_bytes();
        let (path, hint) = match bytes.iter().position(|byte| *byte == b'#') {
            Some(at) => (&bytes[..at], Some(&bytes[at + 1..])),
            None => (bytes, None),
        };
        if path.is_empty() {
            return Err(Failure::at(Path::new("exec:"))(Error::KeyNameEmpty));
        }
        let path = PathBuf::from(OsStr::from_bytes(path));
        let hint = hint
            .map(|hint| String::from_utf8(hint.to_vec()))
            .transpose();
        let hint = hint.map_err(|_| {
            Failure::at(&path)(Error::ProgramAnswer).with_detail("the hint is not UTF-8")
        })?;
        Ok(Self { path, hint })
    }

    /// Asks once: the request goes in, at most [`MAX_ANSWER`] bytes come out within `limit`.
    fn ask(&self, request: &Request<'_>, limit: Duration) -> Result<Vec<u8>, Error> {
        let not_started = |error: std::io::Error| Error::ProgramNotStarted {
            kind: error.kind(),
            os: error.raw_os_error(),
        };
        // Strings and numbers: this cannot fail to become JSON.
        let mut text = serde_json::to_vec(request).unwrap_or_default();
        text.push(b'\n');
        let mut command = Command::new(&self.path);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        // In a group of its own it is ended with all that it started. At a terminal it stays in ours: who is in another group may not ask
        // there, and is not reached by Ctrl-C.
        let alone = File::open("/dev/tty").is_err();
        if alone {
            command.process_group(0);
        }
        let mut child = command.spawn().map_err(not_started)?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let mut child = Running {
            child,
            alone,
            end: Instant::now() + limit,
            limit,
            held: Held::new(),
        };
        let (Some(input), Some(output)) = (input, output) else {
            return Err(Error::ProgramAnswer);
        };
        let answer = child.exchange(input, text, output);
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                child.kill();
                return Err(error);
            }
        };
        child.wait()?;
        Ok(answer)
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exec:{}", self.path.display())?;
        if let Some(hint) = &self.hint {
            write!(f, "#{hint}")?;
        }
        Ok(())
    }
}

/// Opens the key behind a program. Its public half is the given certificate's, or else the program is asked for it.
pub(super) fn open(
    program: &Program,
    secrets: &dyn Secrets,
    given: &[Certificate],
) -> Result<Key, Failure> {
    let place = PathBuf::from(program.to_string());
    let failed = Failure::at(&place);
    let limit = secrets.time_limit();
    let (public_key, certificates) = match its_own(given) {
        Some(own) => (own.public_key().map_err(&failed)?, given.to_vec()),
        None => {
            let request = Request::new(program, "public-key");
            let answer = program.ask(&request, limit).map_err(&failed)?;
            let (public_key, found) = read_public_key(&answer).map_err(&failed)?;
            match given {
                [] => (public_key, found),
                given => (public_key, given.to_vec()),
            }
        }
    };
    let algorithm = Algorithm::of_public_key(&public_key).map_err(&failed)?;
    let signer = ProgramKey {
        program: program.clone(),
        limit,
        algorithm,
        public_key,
    };
    Ok(Key::new(Box::new(signer), certificates, Custody::Program))
}

/// Which of the certificates is that of the key: the only one, or the only leaf.
fn its_own(given: &[Certificate]) -> Option<&Certificate> {
    if let [only] = given {
        return Some(only);
    }
    let mut leaves = given.iter().filter(|one| one.kind() == Kind::Leaf);
    leaves.next().filter(|_| leaves.next().is_none())
}

struct ProgramKey {
    program: Program,
    limit: Duration,
    algorithm: Algorithm,
    public_key: Vec<u8>,
}

impl Signer for ProgramKey {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let digest = match self.algorithm {
            Algorithm::EcdsaP256 => Some(&ring::digest::SHA256),
            Algorithm::EcdsaP384 => Some(&ring::digest::SHA384),
            Algorithm::Ed25519 => None,
        };
        let request = Request {
            algorithm: Some(self.algorithm.name()),
            key_id: Some(hex(&key_id(&self.public_key))),
            public_key: Some(Base64::encode_string(&self.public_key)),
            message: Some(Base64::encode_string(message)),
            digest: digest
                .map(|hash| ring::digest::digest(hash, message))
                .map(|digest| Base64::encode_string(digest.as_ref())),
            ..Request::new(&self.program, "sign")
        };
        let answer = self.program.ask(&request, self.limit)?;
        let signature = read_signature(&answer)?;
        // Services answer with ECDSA signatures in DER or raw; the one that verifies tells which it is.
        let raw = self.algorithm.signature_from_certificate(&signature);
        for candidate in [Ok(signature), raw].into_iter().flatten() {
            if self
                .algorithm
                .check(&self.public_key, message, &candidate)
                .is_ok()
            {
                return self.algorithm.normalise(&candidate);
            }
        }
        Err(Error::SignatureNotOfKey {
            key: key_id(&self.public_key),
        })
    }
}

/// What a program is asked. Fields are only added; a change of meaning raises the version.
#[derive(Serialize)]
struct Request<'a> {
    schema: &'static str,
    version: u32,
    operation: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    algorithm: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
}

impl<'a> Request<'a> {
    fn new(program: &'a Program, operation: &'static str) -> Self {
        Self {
            schema: "corewarden-sign/signing-program",
            version: 1,
            operation,
            hint: program.hint.as_deref(),
            algorithm: None,
            key_id: None,
            public_key: None,
            message: None,
            digest: None,
        }
    }
}

#[derive(Deserialize)]
struct SignAnswer {
    signature: String,
}

#[derive(Deserialize)]
struct PublicKeyAnswer {
    #[serde(default)]
    public_key: Option<String>,
    #[serde(default)]
    certificates: Vec<String>,
}

/// `{"signature": "..."}` or base64 alone.
fn read_signature(answer: &[u8]) -> Result<Vec<u8>, Error> {
    let answer = answer.trim_ascii();
    if answer.is_empty() {
        return Err(Error::ProgramAnswerEmpty);
    }
    if answer.first() == Some(&b'{') {
        let answer: SignAnswer =
            serde_json::from_slice(answer).map_err(|_| Error::ProgramAnswer)?;
        return base64(answer.signature.as_bytes());
    }
    base64(answer)
}

/// JSON with `public_key` and `certificates`, or PEM alone: a public key, certificates, or both.
fn read_public_key(answer: &[u8]) -> Result<(Vec<u8>, Vec<Certificate>), Error> {
    let answer = answer.trim_ascii();
    if answer.is_empty() {
        return Err(Error::ProgramAnswerEmpty);
    }
    let text = core::str::from_utf8(answer).map_err(|_| Error::ProgramAnswer)?;
    let (key, pem) = if text.starts_with('{') {
        let answer: PublicKeyAnswer =
            serde_json::from_str(text).map_err(|_| Error::ProgramAnswer)?;
        (answer.public_key, answer.certificates.join("\n"))
    } else {
        (None, text.to_owned())
    };
    let (mut keys, mut certificates) = (Vec::new(), Vec::new());
    match key {
        Some(pem) if pem.contains("-----BEGIN") => keys.push(public(pem.as_bytes())?),
        Some(plain) => keys.push(public(&base64(plain.as_bytes())?)?),
        None => {}
    }
    for block in pem_blocks(&pem) {
        let (label, der) =
            der::pem::decode_vec(block.as_bytes()).map_err(|_| Error::ProgramAnswer)?;
        match label {
            "PUBLIC KEY" => keys.push(public(&der)?),
            "CERTIFICATE" => certificates.push(Certificate::from_der(&der)?),
            _ => return Err(Error::ProgramAnswer),
        }
    }
    if keys.is_empty() {
        keys.extend(
            its_own(&certificates)
                .map(Certificate::public_key)
                .transpose()?,
        );
    }
    match keys.pop() {
        Some(key) if keys.is_empty() => Ok((key, certificates)),
        _ => Err(Error::ProgramAnswer),
    }
}

/// A public key of ours; a program that hands out private ones is not asked for them.
fn public(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    match read_public(bytes) {
        Ok(key) => Ok(key),
        Err(Error::KeyAlgorithm) => Err(Error::KeyAlgorithm),
        Err(_) => Err(Error::ProgramAnswer),
    }
}

/// Base64 with padding, in lines or not.
fn base64(text: &[u8]) -> Result<Vec<u8>, Error> {
    let packed: Vec<u8> = text
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    core::str::from_utf8(&packed)
        .ok()
        .and_then(|text| Base64::decode_vec(text).ok())
        .ok_or(Error::ProgramAnswer)
}

/// A program that has been started and is not waited for longer than agreed.
struct Running {
    child: Child,
    /// Whether it leads a process group of its own.
    alone: bool,
    end: Instant,
    limit: Duration,
    /// A signal that would end us ends it first.
    held: Held,
}

impl Running {
    fn exchange(
        &mut self,
        mut input: ChildStdin,
        text: Vec<u8>,
        output: ChildStdout,
    ) -> Result<Vec<u8>, Error> {
        // Whether it reads all of the request is the program's business: a failure here shows in its answer.
        thread::spawn(move || input.write_all(&text));
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut answer = Vec::new();
            // One more than allowed tells a long answer from a fitting one.
            let read = output.take(MAX_ANSWER + 1).read_to_end(&mut answer);
            // Nobody listens any more when the time is over.
            let _ = sender.send(read.map(|_| answer));
        });
        loop {
            match receiver.recv_timeout(self.left()?.min(LOOK)) {
                Ok(Ok(answer)) if answer.len() as u64 > MAX_ANSWER => {
                    return Err(Error::ProgramAnswerTooLong { limit: MAX_ANSWER });
                }
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => {
                    return Err(Error::ProgramNotStarted {
                        kind: error.kind(),
                        os: error.raw_os_error(),
                    });
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(Error::ProgramAnswer),
            }
        }
    }

    /// Waits for its end, which has to be a success.
    fn wait(&mut self) -> Result<(), Error> {
        loop {
            let status = match self.child.try_wait() {
                Ok(status) => status,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    return Err(Error::ProgramNotStarted {
                        kind: error.kind(),
                        os: error.raw_os_error(),
                    });
                }
            };
            match status {
                Some(status) if status.success() => return Ok(()),
                Some(status) => {
                    return Err(match (status.code(), status.signal()) {
                        (Some(code), _) => Error::ProgramExit { code },
                        (None, signal) => Error::ProgramKilled {
                            signal: signal.unwrap_or_default(),
                        },
                    });
                }
                None => {
                    self.left().inspect_err(|_| self.kill())?;
                    // It has closed its output, so it is about to end.
                    thread::sleep(Duration::from_millis(1));
                }
            }
        }
    }

    /// The time that it still has.
    fn left(&self) -> Result<Duration, Error> {
        if self.held.came() {
            return Err(Error::Interrupted);
        }
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::ProgramTooSlow {
                seconds: self.limit.as_secs(),
            });
        }
        Ok(left)
    }

    /// Ends it, and all that it started where it leads a group.
    fn kill(&mut self) {
        // It may have ended in this moment; then there is nothing left to do. Until it is waited for, its number is nobody else's.
        if self.alone {
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How long a signal waits at most.
const LOOK: Duration = Duration::from_millis(50);
/// No signature and no chain of certificates is longer.
const MAX_ANSWER: u64 = 1 << 16;
