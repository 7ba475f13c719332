//! Certificates and their scopes.

use std::fmt::{self, Display};

use serde::Serialize;

use super::report::{Schema, list};
use crate::pki::{Certificate, Kind, Role, Scope};
use crate::{hex, uuid};

#[derive(Debug, Serialize)]
pub(super) struct Certificates {
    pub(super) certificates: Vec<CertificateReport>,
}

impl Schema for Certificates {
    const NAME: &'static str = "corewarden-sign/certificates";
}

impl Display for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.certificates.iter().try_for_each(|one| one.fmt(f))
    }
}

#[derive(Debug, Serialize)]
pub(super) struct CertificateReport {
    file: Option<String>,
    kind: &'static str,
    subject: String,
    issuer: String,
    serial: String,
    not_before: String,
    not_after: String,
    key_id: Option<String>,
    scope: Option<ScopeReport>,
    /// What of the profile it breaks.
    fault: Option<String>,
}

impl CertificateReport {
    pub(super) fn new(certificate: &Certificate, file: Option<String>) -> Self {
        let profile = certificate.profile();
        Self {
            file,
            kind: match certificate.kind() {
                Kind::Leaf => "leaf",
                Kind::ProductCa => "product-ca",
                Kind::Root => "root",
            },
            subject: certificate.subject(),
            issuer: certificate.issuer(),
            serial: certificate.serial(),
            not_before: certificate.not_before().to_string(),
            not_after: certificate.not_after().to_string(),
            key_id: certificate
                .public_key()
                .ok()
                .map(|key| hex(&crate::key::key_id(&key))),
            scope: profile
                .as_ref()
                .ok()
                .and_then(|profile| profile.scope().map(ScopeReport::new)),
            fault: profile.err().map(|error| error.to_string()),
        }
    }
}

impl Display for CertificateReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            writeln!(f, "{file}:")?;
        }
        writeln!(f, "  {}: {}", self.kind, self.subject)?;
        writeln!(f, "    issuer   {}", self.issuer)?;
        writeln!(f, "    serial   {}", self.serial)?;
        writeln!(f, "    valid    {} to {}", self.not_before, self.not_after)?;
        if let Some(key_id) = &self.key_id {
            writeln!(f, "    key id   {key_id}")?;
        }
        if let Some(scope) = &self.scope {
            writeln!(f, "    scope    {scope}")?;
        }
        if let Some(fault) = &self.fault {
            writeln!(f, "    breaks the profile: {fault}")?;
        }
        Ok(())
    }
}

#[derive(Debug, Serialize)]
struct ScopeReport {
    cores: Vec<u32>,
    device_classes: Vec<String>,
    max_security_version: u32,
    generation: u32,
    role: &'static str,
}

impl ScopeReport {
    fn new(scope: &Scope) -> Self {
        Self {
            cores: scope.cores().to_vec(),
            device_classes: scope.classes().iter().map(uuid).collect(),
            max_security_version: scope.ceiling(),
            generation: scope.generation(),
            role: match scope.role() {
                Role::Development => "development",
                Role::Release => "release",
            },
        }
    }
}

impl Display for ScopeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, cores {}, device classes {}, versions up to {}, generation {}",
            self.role,
            named(&self.cores),
            named(&self.device_classes),
            self.max_security_version,
            self.generation
        )
    }
}

/// The entries of a scope's list, which only a root may leave empty (bundle-format.md 11.13).
fn named(items: &[impl Display]) -> String {
    match items {
        [] => "as its product CAs say".to_owned(),
        items => list(items),
    }
}
