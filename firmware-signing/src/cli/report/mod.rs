//! What commands answer, as text for people and as JSON for programs.

mod certificates;
mod inspection;

use std::fmt::{self, Display, Write};

use serde::Serialize;

pub(super) use certificates::{CertificateReport, Certificates};
pub(super) use inspection::Inspection;

use crate::Failure;

/// The answer of a command.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Report {
    Certificates(Certificates),
    Failure(FailureReport),
    Inspect(Box<Inspection>),
    Keygen(Keygen),
    Sign(Sign),
    #[serde(skip)]
    Text(String),
    Verify(Verification),
}

impl Report {
    /// What failed, for programs; people read standard error.
    pub(super) fn failure(failure: &Failure) -> Self {
        Self::Failure(FailureReport {
            code: failure.error.exit_code(),
            error: failure.error.to_string(),
            detail: failure.detail().map(str::to_owned),
            file: failure.path().map(|path| path.display().to_string()),
            advice: failure.error.advice(),
        })
    }

    /// All of what goes to standard output.
    pub(super) fn text(&self, json: bool) -> String {
        if let Self::Text(text) = self {
            return text.clone();
        }
        if json {
            let whole = Document {
                schema: self.schema(),
                version: SCHEMA_VERSION,
                report: self,
            };
            // Strings, numbers and lists: this cannot fail to become JSON.
            let text = serde_json::to_string_pretty(&whole).unwrap_or_default();
            return text + "\n";
        }
        self.to_string()
    }

    const fn schema(&self) -> &'static str {
        match self {
            Self::Certificates(_) => "corewarden-sign/certificates",
            Self::Failure(_) => "corewarden-sign/failure",
            Self::Inspect(_) => "corewarden-sign/inspect",
            Self::Keygen(_) => "corewarden-sign/keygen",
            Self::Sign(_) => "corewarden-sign/sign",
            Self::Text(_) => "corewarden-sign/text",
            Self::Verify(_) => "corewarden-sign/verify",
        }
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificates(report) => report.fmt(f),
            Self::Failure(report) => writeln!(f, "{}", report.error),
            Self::Inspect(report) => report.fmt(f),
            Self::Keygen(report) => report.fmt(f),
            Self::Sign(report) => report.fmt(f),
            Self::Text(text) => f.write_str(text),
            Self::Verify(report) => report.fmt(f),
        }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    version: u32,
    #[serde(flatten)]
    report: &'a Report,
}

#[derive(Debug, Serialize)]
pub(super) struct FailureReport {
    code: u8,
    error: String,
    detail: Option<String>,
    file: Option<String>,
    advice: Option<&'static str>,
}

#[derive(Debug, Serialize)]
pub(super) struct Keygen {
    pub(super) key: String,
    pub(super) public: Option<String>,
    pub(super) algorithm: &'static str,
    pub(super) key_id: String,
    pub(super) encrypted: bool,
}

impl Display for Keygen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.encrypted {
            "encrypted"
        } else {
            "not encrypted"
        };
        writeln!(f, "{}: {} key, {how}", self.key, self.algorithm)?;
        if let Some(public) = &self.public {
            writeln!(f, "{public}: its public half")?;
        }
        writeln!(f, "key id: {}", self.key_id)
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Sign {
    pub(super) bundle: String,
    pub(super) digest: String,
    pub(super) key_id: String,
    pub(super) signer: String,
    pub(super) platform: String,
    pub(super) cores: Vec<u32>,
    pub(super) security_version: u32,
    pub(super) display_version: String,
    pub(super) size: u64,
    pub(super) trailer_size: u64,
    /// Bytes of the ELF that were left out.
    pub(super) stripped: u64,
}

impl Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: signed for core {} of {}, security version {}",
            self.bundle,
            list(&self.cores),
            self.platform,
            self.security_version
        )?;
        writeln!(f, "digest: {}", self.digest)?;
        writeln!(f, "signer: {} (key {})", self.signer, self.key_id)?;
        writeln!(
            f,
            "size:   {} bytes, {} of them manifest, certificates and signature; {} bytes of the ELF left out",
            self.size, self.trailer_size, self.stripped
        )
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Verification {
    pub(super) file: String,
    /// "device" where a platform and core were given, else "signature".
    pub(super) judged: &'static str,
    pub(super) platform: Option<String>,
    pub(super) core: Option<u32>,
    pub(super) digest: String,
    pub(super) key_id: String,
    pub(super) signer: String,
    pub(super) ceiling: u32,
    pub(super) security_version: u32,
    pub(super) display_version: String,
    pub(super) dates_at: String,
}

impl Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.core, &self.platform) {
            (Some(core), Some(platform)) => {
                writeln!(f, "{}: core {core} of {platform} accepts it", self.file)?;
            }
            _ => writeln!(
                f,
                "{}: integrity and signature hold; not judged for a device (give --platform and --core)",
                self.file
            )?,
        }
        writeln!(f, "digest:  {}", self.digest)?;
        writeln!(f, "signer:  {} (key {})", self.signer, self.key_id)?;
        writeln!(
            f,
            "version: {} {:?}, the signer may sign up to {}",
            self.security_version, self.display_version, self.ceiling
        )?;
        writeln!(
            f,
            "dates:   the certificates are valid at {}",
            self.dates_at
        )
    }
}

fn list(items: &[impl Display]) -> String {
    let mut text = String::new();
    for item in items {
        let comma = if text.is_empty() { "" } else { ", " };
        // Writing to a String cannot fail.
        let _ = write!(text, "{comma}{item}");
    }
    text
}

/// Fields are only added; a change of meaning raises it.
const SCHEMA_VERSION: u32 = 1;
