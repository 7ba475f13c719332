//! A platform file as it is read, before any rule is checked.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use ta_protocol::Uuid;

use crate::Core;

/// A platform file as serde reads it: nothing is proven until it became a [`crate::Platform`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct File {
    pub(crate) name: String,
    #[serde(
        serialize_with = "serialize_uuid",
        deserialize_with = "deserialize_uuid"
    )]
    pub(crate) device_class: Uuid,
    pub(crate) role: Role,
    pub(crate) pta_numbering: Numbering,
    pub(crate) required_slots: Vec<u8>,
    #[serde(rename = "root")]
    pub(crate) roots: Vec<Root>,
    #[serde(rename = "core")]
    pub(crate) cores: Vec<Core>,
}

/// Whether a device trusts development keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Development and release keys are trusted.
    Development,
    /// Only release keys are trusted.
    Release,
}

/// How a platform's PTA numbers its commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Numbering {
    /// As OP-TEE's own tree does (pta-api.md 2).
    Upstream,
}

/// A root certificate to pin at build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Root {
    pub(crate) file: String,
    pub(crate) slot: u8,
}

impl Root {
    /// The certificate's file, relative to the root of the source tree.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The signature slot it stands for.
    pub fn slot(&self) -> u8 {
        self.slot
    }
}

fn serialize_uuid<S: Serializer>(uuid: &Uuid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(uuid)
}

fn deserialize_uuid<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uuid, D::Error> {
    let text = String::deserialize(deserializer)?;
    Uuid::from_text(&text)
        .ok_or_else(|| de::Error::invalid_value(de::Unexpected::Str(&text), &"a lower-case UUID"))
}
