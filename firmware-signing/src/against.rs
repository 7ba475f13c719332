//! What one device would answer to a bundle, from what it says of itself: `corewarden status --json`.
//!
//! The device's TA and this prediction ask the same judge (formats/admission) about the same bytes, so they answer with the same status
//! and the same two numbers. What the device itself reports (roots, required slots, role, floor) wins over what its platform file says.

use admission::Device;
use certificate_chain::Kind;
use firmware_bundle::{File, Plan, Step};
use platform::{Control, Platform};
use serde::Deserialize;
use serde_json::{Value, json};
use ta_protocol::{Command, CoreState, Login, MAX_TAIL, Status};

use crate::Error;
use crate::pki::Certificate;
use crate::verify::{Trust, check_digests, file};

/// A device as it describes itself.
#[derive(Clone, Debug)]
pub struct DeviceReport {
    platform: Platform,
    core: u32,
    floor: u32,
    state: CoreState,
    /// Digest of the bundle that is loaded, in hexadecimal.
    loaded: Option<String>,
    roots: Vec<TrustedRoot>,
}

/// A root key that the device trusts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustedRoot {
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub key_id: [u8; 32],
    /// The slot it stands for.
    pub slot: u8,
}

/// What the TA answers to a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It loads the bundle.
    Loads,
    /// It refuses the bundle with a status and two numbers (ta-api.md 6).
    Refuses {
        /// Why.
        status: Status,
        /// The two numbers.
        numbers: [u64; 2],
    },
}

/// A prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prediction {
    /// What the TA answers while the core is off.
    pub answer: Answer,
    /// What it answers in the state that the report was made in, where that is something else.
    pub now: Option<Answer>,
    /// The same in the tool's own words, where the bundle is refused.
    pub refused: Option<Error>,
}

impl DeviceReport {
    /// Reads what `corewarden status --json` printed. The platform is the report's own, or `platform` where that has none.
    ///
    /// # Errors
    /// What is missing in it, or wrong.
    pub fn parse(json: &[u8], platform: Option<&platform::File>) -> Result<Self, Error> {
        let document: Document =
            serde_json::from_slice(json).map_err(|error| Error::DeviceMalformed {
                line: error.line(),
                column: error.column(),
            })?;
        if document.schema != SCHEMA || document.version != VERSION {
            return Err(Error::DeviceSchema {
                version: document.version,
            });
        }
        let mut states = CoreState::ALL.iter().copied();
        let state = states.find(|state| state.name() == document.state);
        let roots = document.trusted.roots.iter();
        let platform = match platform {
            Some(file) => serde_json::to_value(file).ok(),
            None => document.platform,
        };
        let mut platform = platform
            .filter(Value::is_object)
            .ok_or(Error::DevicePlatformMissing)?;
        platform["role"] = json!(if document.development {
            "development"
        } else {
            "release"
        });
        platform["required-slots"] = json!(document.trusted.required_slots);
        // Only their slots count here; that each has a name of its own is a rule of platform files.
        platform["root"] = roots
            .clone()
            .enumerate()
            .map(|(index, root)| json!({ "file": index.to_string(), "slot": root.slot }))
            .collect();
        let platform: platform::File = serde_json::from_value(platform)
            .map_err(|_| Error::DeviceField { field: "platform" })?;
        let platform = Platform::try_from(platform)?;
        let roots = roots
            .map(|root| {
                Some(TrustedRoot {
                    key_id: digest(&root.key_id)?,
                    slot: root.slot,
                })
            })
            .collect::<Option<Vec<_>>>();
        Ok(Self {
            core: document.core,
            floor: document.floor,
            state: state.ok_or(Error::DeviceField { field: "state" })?,
            loaded: document.bundle.map(|bundle| bundle.digest),
            roots: roots.ok_or(Error::DeviceField {
                field: "trusted.roots.key_id",
            })?,
            platform,
        })
    }

    /// The platform with what the device says of itself in it.
    #[must_use]
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// The core that the report is about.
    #[must_use]
    pub fn core(&self) -> u32 {
        self.core
    }

    /// Whom the device trusts.
    #[must_use]
    pub fn roots(&self) -> &[TrustedRoot] {
        &self.roots
    }

    /// What the device's TA answers when this bundle is loaded piece by piece, as `corewarden load` does.
    ///
    /// The device reports the ids of its root keys only, so their certificates have to be given; others are not used.
    ///
    /// # Errors
    /// [`Error::DeviceRootMissing`] where the answer depends on a root whose certificate was not given.
    pub fn predict(&self, bundle: &[u8], given: &[Certificate]) -> Result<Prediction, Error> {
        let core = self.platform.core(self.core);
        let core = core.ok_or(Error::CoreUnknown {
            count: self.platform.cores().len(),
        })?;
        if core.control() == Control::AttachOnly {
            let command = Command::LoadBegin.number().into();
            return Ok(Prediction::policy(
                Status::AttachOnly,
                [self.core.into(), command],
            ));
        }
        if !core.allows(Login::Public) {
            let numbers = [Login::Public.number().into(), self.core.into()];
            return Ok(Prediction::policy(Status::LoginNotAllowed, numbers));
        }
        let (trust, missing) = self.trust(given)?;
        let device = Device {
            platform: &self.platform,
            core,
            floor: self.floor,
        };
        let presented = as_presented(bundle);
        match admission::admit(&presented, trust.checker(), &device) {
            Err(refusal) => {
                if let Some(key_id) = missing
                    && depends_on_roots(&refusal)
                {
                    return Err(Error::DeviceRootMissing { key_id });
                }
                let (status, first, second) = refusal.status();
                let answer = Answer::Refuses {
                    status,
                    numbers: [first, second],
                };
                Ok(Prediction {
                    answer,
                    now: self.now(answer, None),
                    refused: Some(refusal.into()),
                })
            }
            Ok(admitted) => {
                let broken = check_digests(&[bundle], admitted.manifest()).err();
                let answer = match broken {
                    Some(error) => digest_refused(&error, Plan::of(admitted.manifest())),
                    None => Answer::Loads,
                };
                Ok(Prediction {
                    answer,
                    now: self.now(answer, Some(admitted.digest())),
                    refused: broken,
                })
            }
        }
    }

    /// The certificates of the roots that the device trusts, each for its slot; and a root without one.
    fn trust(&self, given: &[Certificate]) -> Result<(Trust, Option<[u8; 32]>), Error> {
        let mut found = Vec::new();
        let mut missing = None;
        for root in &self.roots {
            let certificate = given.iter().find(|certificate| {
                let key = certificate.public_key();
                key.is_ok_and(|key| crate::key::key_id(&key) == root.key_id)
            });
            match certificate {
                Some(certificate) => found.push((root.slot, certificate.der())),
                None => missing = missing.or(Some(root.key_id)),
            }
        }
        match missing {
            Some(key_id) if found.is_empty() => Err(Error::DeviceRootMissing { key_id }),
            _ => Ok((Trust::for_slots(&found)?, missing)),
        }
    }

    /// What the state that the core was in makes of an answer (ta-api.md 5.2, 3.1).
    fn now(&self, answer: Answer, digest: Option<&[u8; 48]>) -> Option<Answer> {
        let core = u64::from(self.core);
        let load = Command::LoadBegin.number().into();
        let refuses = |status, numbers| Some(Answer::Refuses { status, numbers });
        match self.state {
            CoreState::Off => None,
            CoreState::Loaded => {
                let digest = crate::hex(digest?);
                if self.loaded.as_ref() == Some(&digest) {
                    // It is compared by its trailer and not loaded anew.
                    return Some(Answer::Loads).filter(|now| *now != answer);
                }
                refuses(Status::OtherBundleLoaded, [core, 0])
            }
            CoreState::Loading => refuses(Status::LoadInProgress, [core, 0]),
            CoreState::Starting | CoreState::Running | CoreState::Crashed | CoreState::Stopping => {
                refuses(Status::BadState, [self.state.number().into(), load])
            }
        }
    }
}

impl Prediction {
    /// Refused whatever the bundle is.
    fn policy(status: Status, numbers: [u64; 2]) -> Self {
        Self {
            answer: Answer::Refuses { status, numbers },
            now: None,
            refused: None,
        }
    }
}

/// The file as a client presents it that loads piece by piece: of a longer one the TA sees the end only.
fn as_presented(bundle: &[u8]) -> File<'_> {
    let whole = bundle.len() as u64 <= u64::from(MAX_TAIL);
    File {
        head: if whole { bundle } else { &[] },
        ..file(bundle)
    }
}

/// Whether one more root could change the answer: nobody vouches for the product CA.
fn depends_on_roots(refusal: &admission::Refusal) -> bool {
    use certificate_chain::Error as Chain;
    matches!(
        refusal,
        admission::Refusal::Chain {
            error: Chain::UnknownRoot
                | Chain::CertificateSignature {
                    certificate: Kind::ProductCa
                }
                | Chain::Issuer {
                    certificate: Kind::ProductCa
                },
            ..
        }
    )
}

/// A chunk is named by its number among all chunks and its device address.
fn digest_refused(error: &Error, plan: Plan) -> Answer {
    let refuses = |status, numbers| Answer::Refuses { status, numbers };
    let Error::DigestOfChunk { offset: broken, .. } = *error else {
        return refuses(Status::RestDigest, [0, 0]);
    };
    let chunks = plan.filter_map(|step| match step {
        Step::Chunk {
            offset, address, ..
        } => Some((offset, address)),
        Step::Rest { .. } => None,
    });
    let mut numbered = (0..).zip(chunks);
    match numbered.find(|(_, (offset, _))| *offset == broken) {
        Some((chunk, (_, address))) => refuses(Status::ChunkDigest, [chunk, address]),
        None => refuses(Status::RestDigest, [0, 0]),
    }
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let bytes = text.as_bytes();
    if bytes.len() != 64 {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(bytes.chunks(2)) {
        let pair = core::str::from_utf8(pair).ok()?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(digest)
}

/// What of the document is needed here; the rest may be anything.
#[derive(Deserialize)]
struct Document {
    schema: String,
    version: u32,
    core: u32,
    state: String,
    development: bool,
    floor: u32,
    bundle: Option<Loaded>,
    platform: Option<Value>,
    trusted: Trusted,
}

#[derive(Deserialize)]
struct Loaded {
    digest: String,
}

#[derive(Deserialize)]
struct Trusted {
    required_slots: Vec<u8>,
    roots: Vec<Root>,
}

#[derive(Deserialize)]
struct Root {
    key_id: String,
    slot: u8,
}

/// The schema that `corewarden status --json` names, and the version that is known here.
const SCHEMA: &str = "corewarden.status";
pub(crate) const VERSION: u32 = 1;
