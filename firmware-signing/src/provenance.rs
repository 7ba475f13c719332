//! Where a bundle came from, as an in-toto Statement v1 with SLSA's provenance predicate v1.
//!
//! No time is in it but the one that was given: the same build gives the same statement.

use certificate_chain::sha256;
use serde::Serialize;

use crate::{hex, uuid};

/// What is known about a signing.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// File name of the bundle.
    pub bundle: &'a str,
    /// Its bytes, one part after the other.
    pub bundle_parts: &'a [&'a [u8]],
    /// The bundle digest, which no signature changes.
    pub bundle_digest: &'a [u8; 48],
    /// The ELF that went into it: name and SHA-256.
    pub elf: (&'a str, [u8; 32]),
    /// Other files that it names: name and SHA-384.
    pub named: &'a [(&'a str, [u8; 48])],
    /// What was asked for.
    pub options: &'a crate::Options<'a>,
    /// SHA-256 of the signing key.
    pub key_id: [u8; 32],
    /// A URI for whoever ran the build.
    pub builder: &'a str,
    /// When it began, as RFC 3339 has it.
    pub started: Option<String>,
}

/// The statement as JSON.
pub fn statement(facts: &Facts<'_>) -> String {
    let options = facts.options;
    let whole = Statement {
        kind: "https://in-toto.io/Statement/v1",
        subject: [Resource {
            name: facts.bundle,
            digest: Digests {
                sha256: Some(hex(&sha256(facts.bundle_parts))),
                sha384: None,
            },
        }],
        predicate_type: "https://slsa.dev/provenance/v1",
        predicate: Predicate {
            build_definition: BuildDefinition {
                build_type: BUILD_TYPE,
                external_parameters: Parameters {
                    platform: options.platform.name(),
                    device_class: uuid(&options.platform.device_class().bytes()),
                    cores: options.cores,
                    security_version: options.security_version,
                    display_version: options.display_version,
                    keep_all: options.keep_all,
                },
                internal_parameters: Internal {
                    bundle_digest: hex(facts.bundle_digest),
                    key_id: hex(&facts.key_id),
                },
                resolved_dependencies: dependencies(facts),
            },
            run_details: RunDetails {
                builder: Builder {
                    id: facts.builder,
                    version: Version {
                        corewarden_sign: env!("CARGO_PKG_VERSION"),
                    },
                },
                metadata: facts
                    .started
                    .as_deref()
                    .map(|started_on| Metadata { started_on }),
            },
        },
    };
    // Strings, numbers and lists: this cannot fail to become JSON.
    let text = serde_json::to_string_pretty(&whole).unwrap_or_default();
    text + "\n"
}

/// Whether `text` has the form of a URI (RFC 3986, 3): a scheme, a colon, and no blanks.
pub fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let mut letters = scheme.bytes();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        && !rest.is_empty()
        && rest.bytes().all(|byte| byte.is_ascii_graphic())
}

fn dependencies<'a>(facts: &Facts<'a>) -> Vec<Resource<'a>> {
    let (name, digest) = &facts.elf;
    let elf = Resource {
        name,
        digest: Digests {
            sha256: Some(hex(digest)),
            sha384: None,
        },
    };
    let named = facts.named.iter().map(|(name, digest)| Resource {
        name,
        digest: Digests {
            sha256: None,
            sha384: Some(hex(digest)),
        },
    });
    std::iter::once(elf).chain(named).collect()
}

#[derive(Serialize)]
struct Statement<'a> {
    #[serde(rename = "_type")]
    kind: &'static str,
    subject: [Resource<'a>; 1],
    #[serde(rename = "predicateType")]
    predicate_type: &'static str,
    predicate: Predicate<'a>,
}

#[derive(Serialize)]
struct Resource<'a> {
    name: &'a str,
    digest: Digests,
}

#[derive(Serialize)]
struct Digests {
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha384: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Predicate<'a> {
    build_definition: BuildDefinition<'a>,
    run_details: RunDetails<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BuildDefinition<'a> {
    build_type: &'static str,
    external_parameters: Parameters<'a>,
    internal_parameters: Internal,
    resolved_dependencies: Vec<Resource<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Parameters<'a> {
    platform: &'a str,
    device_class: String,
    cores: &'a [u32],
    security_version: u32,
    display_version: &'a str,
    keep_all: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Internal {
    bundle_digest: String,
    key_id: String,
}

#[derive(Serialize)]
struct RunDetails<'a> {
    builder: Builder<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata<'a>>,
}

#[derive(Serialize)]
struct Builder<'a> {
    id: &'a str,
    version: Version,
}

#[derive(Serialize)]
struct Version {
    #[serde(rename = "corewarden-sign")]
    corewarden_sign: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    started_on: &'a str,
}

/// Names what the parameters mean; raised when one changes its meaning.
const BUILD_TYPE: &str = "urn:corewarden:sign:v1";
