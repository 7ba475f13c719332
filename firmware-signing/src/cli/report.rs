//! What commands answer, as text for people and as JSON for programs.

use std::fmt::{self, Display, Write};

use serde::Serialize;

use crate::inspect::{Bundle, Found};
use crate::pki::{Certificate, Kind, Role, Scope};
use crate::{Failure, elf, hex, uuid};

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
pub(super) struct Certificates {
    pub(super) certificates: Vec<CertificateReport>,
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
            list(&self.cores),
            list(&self.device_classes),
            self.max_security_version,
            self.generation
        )
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

#[derive(Debug, Serialize)]
pub(super) struct Inspection {
    file: String,
    /// "bundle", "elf" or "sign-rproc-fw-v1".
    kind: &'static str,
    /// Always this: nobody's signature was judged.
    trust: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle: Option<BundleReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    elf: Option<ElfReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sign_rproc_fw: Option<SignRprocFwReport>,
}

impl Inspection {
    pub(super) fn new(file: String, found: &Found<'_>) -> Self {
        let mut report = Self {
            file,
            kind: "bundle",
            trust: "not judged",
            bundle: None,
            elf: None,
            sign_rproc_fw: None,
        };
        match found {
            Found::Bundle(bundle) => report.bundle = Some(BundleReport::new(bundle)),
            Found::Elf(image) => {
                report.kind = "elf";
                report.elf = Some(ElfReport::new(image));
            }
            Found::SignRprocFw(header) => {
                report.kind = "sign-rproc-fw-v1";
                report.sign_rproc_fw = Some(SignRprocFwReport {
                    version: header.version,
                    tlv_size: header.tlv_size,
                    signature_size: header.signature_size,
                    images_size: header.images_size,
                });
            }
        }
        report
    }
}

impl Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file)?;
        if let Some(bundle) = &self.bundle {
            writeln!(
                f,
                "a firmware bundle; its signature is not judged here (see `verify`)"
            )?;
            bundle.fmt(f)?;
        }
        if let Some(elf) = &self.elf {
            writeln!(
                f,
                "an ELF, but not a firmware bundle (or stripped after signing?)"
            )?;
            elf.fmt(f)?;
        }
        if let Some(header) = &self.sign_rproc_fw {
            writeln!(
                f,
                "signed by OP-TEE's sign_rproc_fw, format v{}; no device of ours takes it, sign its ELF anew",
                header.version
            )?;
            writeln!(
                f,
                "  {} bytes of TLVs, {} of signature, {} of images",
                header.tlv_size, header.signature_size, header.images_size
            )?;
        }
        Ok(())
    }
}

#[derive(Debug, Serialize)]
struct BundleReport {
    digest: String,
    integrity: bool,
    fault: Option<String>,
    device_class: String,
    cores: Vec<u32>,
    security_version: u32,
    display_version: String,
    build_id: String,
    entry: u64,
    vector_table: Option<u64>,
    segments: Vec<SegmentReport>,
    resource_table: Option<TableReport>,
    elf_size: u64,
    trailer_size: u64,
    slots: Vec<SlotReport>,
    certificates: Vec<CertificateReport>,
}

impl BundleReport {
    fn new(bundle: &Bundle<'_>) -> Self {
        let manifest = &bundle.manifest;
        Self {
            digest: hex(&bundle.digest),
            integrity: bundle.integrity.is_ok(),
            fault: bundle.integrity.err().map(|error| error.to_string()),
            device_class: uuid(manifest.device_class()),
            cores: manifest.core_ids().collect(),
            security_version: manifest.security_version(),
            display_version: manifest.display_version().to_owned(),
            build_id: hex(manifest.build_id()),
            entry: manifest.entry(),
            vector_table: manifest.vector_table(),
            segments: manifest
                .segments()
                .map(|segment| SegmentReport {
                    address: segment.address,
                    memory_size: segment.memory_size,
                    file_offset: segment.file_offset,
                    file_size: segment.file_size,
                    access: access(
                        segment.access.readable(),
                        segment.access.writable(),
                        segment.access.executable(),
                    ),
                })
                .collect(),
            resource_table: manifest
                .resource_table()
                .map(|(address, table)| TableReport {
                    address,
                    size: table.len() as u64,
                }),
            elf_size: manifest.elf_size(),
            trailer_size: bundle.trailer_size as u64,
            slots: bundle
                .slots
                .iter()
                .map(|(slot, algorithm)| SlotReport {
                    slot: *slot,
                    algorithm: algorithm.to_string(),
                })
                .collect(),
            certificates: bundle
                .chain
                .iter()
                .map(|certificate| CertificateReport::new(certificate, None))
                .collect(),
        }
    }
}

impl Display for BundleReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  digest            {}", self.digest)?;
        match &self.fault {
            None => writeln!(
                f,
                "  integrity         every byte is what the manifest says"
            )?,
            Some(fault) => writeln!(f, "  integrity         BROKEN: {fault}")?,
        }
        writeln!(f, "  device class      {}", self.device_class)?;
        writeln!(f, "  cores             {}", list(&self.cores))?;
        writeln!(f, "  security version  {}", self.security_version)?;
        writeln!(f, "  display version   {:?}", self.display_version)?;
        writeln!(f, "  build id          {}", self.build_id)?;
        writeln!(f, "  entry             {:#x}", self.entry)?;
        if let Some(address) = self.vector_table {
            writeln!(f, "  vector table      {address:#x}")?;
        }
        map(f, &self.segments, self.resource_table.as_ref())?;
        for slot in &self.slots {
            writeln!(f, "  signature slot {}: {}", slot.slot, slot.algorithm)?;
        }
        self.certificates.iter().try_for_each(|one| one.fmt(f))
    }
}

#[derive(Debug, Serialize)]
struct ElfReport {
    machine: &'static str,
    entry: u64,
    build_id: Option<String>,
    segments: Vec<SegmentReport>,
    resource_table: Option<TableReport>,
}

impl ElfReport {
    fn new(image: &elf::Image<'_>) -> Self {
        Self {
            machine: image.machine().name(),
            entry: image.entry(),
            build_id: image.build_id().map(hex),
            segments: image
                .segments()
                .iter()
                .map(|segment| SegmentReport {
                    address: segment.address,
                    memory_size: segment.memory_size,
                    file_offset: segment.file.start as u64,
                    file_size: segment.file.len() as u64,
                    access: access(segment.readable, segment.writable, segment.executable),
                })
                .collect(),
            resource_table: image.resource_table().map(|table| TableReport {
                address: table.address,
                size: table.file.len() as u64,
            }),
        }
    }
}

impl Display for ElfReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  machine           {}", self.machine)?;
        writeln!(f, "  entry             {:#x}", self.entry)?;
        if let Some(build_id) = &self.build_id {
            writeln!(f, "  build id          {build_id}")?;
        }
        map(f, &self.segments, self.resource_table.as_ref())
    }
}

#[derive(Debug, Serialize)]
struct SegmentReport {
    address: u64,
    memory_size: u64,
    file_offset: u64,
    file_size: u64,
    access: String,
}

#[derive(Debug, Serialize)]
struct TableReport {
    address: u64,
    size: u64,
}

#[derive(Debug, Serialize)]
struct SlotReport {
    slot: u8,
    algorithm: String,
}

#[derive(Debug, Serialize)]
struct SignRprocFwReport {
    version: u32,
    tlv_size: u32,
    signature_size: u32,
    images_size: u32,
}

fn map(
    f: &mut fmt::Formatter<'_>,
    segments: &[SegmentReport],
    table: Option<&TableReport>,
) -> fmt::Result {
    for segment in segments {
        writeln!(
            f,
            "  {:#012x}..{:#012x}  {}  {:#x} bytes from {:#x} of the file",
            segment.address,
            segment.address.saturating_add(segment.memory_size),
            segment.access,
            segment.file_size,
            segment.file_offset
        )?;
    }
    if let Some(table) = table {
        let end = table.address.saturating_add(table.size);
        writeln!(f, "  {:#012x}..{end:#012x}  resource table", table.address)?;
    }
    Ok(())
}

fn access(readable: bool, writable: bool, executable: bool) -> String {
    [(readable, 'r'), (writable, 'w'), (executable, 'x')]
        .into_iter()
        .map(|(may, letter)| if may { letter } else { '-' })
        .collect()
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
