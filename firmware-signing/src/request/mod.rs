//! Signing in two steps: what is to be signed goes out in one request, signatures come back (docs/two-step-signing.md).
//!
//! Everything in a request can be derived from the prepared bundles beside it, and whoever attaches signatures does so: a request that was
//! edited, for a nicer summary or another message, is refused.

mod signature;
mod unsigned;

use std::collections::BTreeSet;

use ring::digest::{SHA256, SHA384, digest};
use serde::{Deserialize, Serialize};

pub use signature::accept;
pub use unsigned::{Prepared, Wrapped, is_unsigned};

use crate::key::{Algorithm, key_id};
use crate::pki::Certificate;
use crate::sign::SlotChain;
use crate::{Error, hex, uuid};

/// What is to be signed, for any number of images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// [`SCHEMA`].
    pub schema: String,
    /// [`VERSION`].
    pub version: u32,
    /// The images, by name.
    pub images: Vec<Image>,
}

/// One image of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Names the files that belong to it.
    pub name: String,
    /// What it is, for people.
    pub summary: Summary,
    /// The bundle digest, in hexadecimal.
    pub digest: String,
    /// The 64 bytes to sign, in hexadecimal.
    pub message: String,
    /// The file that holds them.
    pub message_file: String,
    /// The prepared bundle.
    pub prepared: String,
    /// The bundle to come.
    pub bundle: String,
    /// The signatures that are asked for.
    pub signatures: Vec<Wanted>,
}

/// A signature that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// The signature slot.
    pub slot: u8,
    /// The algorithm's name.
    pub algorithm: String,
    /// The hash of the algorithm: none for Ed25519, which takes the message as it is.
    pub hash: Option<String>,
    /// The message's hash, for those who sign nothing else.
    pub hashed_message: Option<String>,
    /// SHA-256 of the key that has to sign.
    pub key_id: String,
    /// The subject of its certificate.
    pub signer: String,
    /// The file in which the signature is looked for.
    pub signature_file: String,
}

/// What an image is, for the people who decide whether to sign it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// The device class as a UUID.
    pub device_class: String,
    /// The cores it may run on.
    pub cores: Vec<u32>,
    /// The version that may never go down on a device.
    pub security_version: u32,
    /// The version people read.
    pub display_version: String,
    /// The build id in hexadecimal.
    pub build_id: String,
    /// The entry point in hexadecimal.
    pub entry: String,
    /// Number of segments.
    pub segments: u64,
    /// Bytes that are loaded from the file.
    pub loaded_bytes: u64,
    /// Bytes of memory it takes.
    pub memory_bytes: u64,
}

impl Request {
    /// A request for these images.
    pub fn new(images: Vec<Image>) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            version: VERSION,
            images,
        }
    }

    /// Reads a request and judges its names; what it says of the images is for [`Image::check`] to say. The text tells where it is wrong.
    pub fn read(bytes: &[u8]) -> Result<Self, (Error, String)> {
        let malformed = |detail: String| (Error::RequestMalformed, detail);
        // Another version may have other fields, so its number is looked at first.
        let marks: Marks =
            serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
        if marks.schema != SCHEMA {
            return Err(malformed(format!("the schema is not {SCHEMA}")));
        }
        if marks.version != VERSION {
            let found = marks.version;
            return Err((Error::RequestVersion { found }, String::new()));
        }
        let request: Self =
            serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
        let count = request.images.len();
        if count == 0 || count > MAX_IMAGES {
            return Err(malformed(format!("{count} images, not 1 to {MAX_IMAGES}")));
        }
        let names = request.images.iter().map(|image| image.name.as_str());
        check_names(names)?;
        Ok(request)
    }

    /// The file.
    pub fn to_json(&self) -> String {
        // Strings, numbers and lists: this cannot fail to become JSON.
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        text + "\n"
    }
}

impl Image {
    /// Describes a prepared bundle.
    pub fn of(name: &str, prepared: &Prepared<'_>) -> Result<Self, Error> {
        let manifest = prepared.manifest()?;
        let message = prepared.message();
        let summary = Summary {
            device_class: uuid(manifest.device_class()),
            cores: manifest.core_ids().collect(),
            security_version: manifest.security_version(),
            display_version: manifest.display_version().to_owned(),
            build_id: hex(manifest.build_id()),
            entry: format!("{:#x}", manifest.entry()),
            segments: manifest.segments().count() as u64,
            loaded_bytes: manifest.segments().map(|segment| segment.file_size).sum(),
            memory_bytes: manifest.segments().map(|segment| segment.memory_size).sum(),
        };
        let wanted = |slot: &SlotChain| Wanted::of(name, slot, &message);
        Ok(Self {
            summary,
            digest: hex(prepared.digest()),
            message: hex(&message),
            message_file: format!("{name}.message"),
            prepared: prepared_name(name),
            bundle: format!("{name}.cwfw"),
            signatures: prepared
                .slots()
                .iter()
                .map(wanted)
                .collect::<Result<_, _>>()?,
            name: name.to_owned(),
        })
    }

    /// Judges what the request says by the prepared bundle. The text names what differs.
    pub fn check(&self, prepared: &Prepared<'_>) -> Result<(), (Error, String)> {
        let derived = Self::of(&self.name, prepared).map_err(|error| (error, String::new()))?;
        let differs = [
            ("summary", self.summary != derived.summary),
            ("digest", self.digest != derived.digest),
            ("message", self.message != derived.message),
            ("signatures", self.signatures != derived.signatures),
            ("names of files", *self != derived),
        ];
        match differs.iter().find(|(_, differs)| *differs) {
            Some((field, _)) => Err((
                Error::RequestDiffers,
                format!("image {}: {field}", self.name),
            )),
            None => Ok(()),
        }
    }
}

impl Wanted {
    fn of(name: &str, slot: &SlotChain, message: &[u8]) -> Result<Self, Error> {
        let hash = match slot.algorithm {
            Algorithm::EcdsaP256 => Some(("sha256", &SHA256)),
            Algorithm::EcdsaP384 => Some(("sha384", &SHA384)),
            Algorithm::Ed25519 => None,
        };
        Ok(Self {
            slot: slot.number,
            algorithm: slot.algorithm.name().to_owned(),
            hash: hash.map(|(name, _)| name.to_owned()),
            hashed_message: hash.map(|(_, hash)| hex(digest(hash, message).as_ref())),
            key_id: hex(&key_id(&slot.public_key()?)),
            signer: slot
                .certificates
                .first()
                .map(Certificate::subject)
                .unwrap_or_default(),
            signature_file: format!("{name}.slot{}.sig", slot.number),
        })
    }
}

/// The name of an image's prepared bundle.
pub fn prepared_name(name: &str) -> String {
    format!("{name}.prepared")
}

/// Names become names of files, in one folder, on any machine: they are plain, and each stands once.
pub fn check_names<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), (Error, String)> {
    let mut seen = BTreeSet::new();
    for name in names {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte);
        let fits = name.len() <= MAX_NAME && name.bytes().all(plain);
        if !fits || name.is_empty() || name.starts_with(['.', '-']) {
            return Err((Error::RequestName, name.escape_debug().to_string()));
        }
        // A file system may not tell upper from lower case.
        if !seen.insert(name.to_ascii_lowercase()) {
            return Err((Error::RequestNameTwice, name.to_owned()));
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Marks {
    schema: String,
    version: u32,
}

/// The name of the request's schema.
pub const SCHEMA: &str = "corewarden-sign/request";
/// The version of the schema: it is raised when a field comes, goes or changes its meaning.
pub const VERSION: u32 = 1;
/// The name of the request's file.
pub const FILE_NAME: &str = "request.json";
/// Images of one request.
pub const MAX_IMAGES: usize = 4096;
/// Bytes of a name.
pub const MAX_NAME: usize = 128;
