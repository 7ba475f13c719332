//! `inspect`: what a file is and says of itself.

use std::fmt::{self, Display};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::certificates::CertificateReport;
use super::inputs::{MAX_INPUT, name};
use super::report::{Report, Schema, list};
use crate::inspect::{self as inspection, Bundle, Found};
use crate::{Failure, elf, files, hex, uuid};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Inspect {
    /// A bundle, an ELF, or what sign_rproc_fw made
    file: PathBuf,
}

pub(super) fn run(arguments: &Inspect) -> Result<Report, Failure> {
    let path = &arguments.file;
    let bytes = files::read(path, MAX_INPUT)?;
    let found = inspection::inspect(&bytes).map_err(Failure::at(path))?;
    Ok(Report::of(Inspection::new(name(path), &found)))
}

#[derive(Debug, Serialize)]
struct Inspection {
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
    fn new(file: String, found: &Found<'_>) -> Self {
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

impl Schema for Inspection {
    const NAME: &'static str = "corewarden-sign/inspect";
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

const EXAMPLES: &str = "\
Examples:
  corewarden-sign inspect motor.cwfw
  corewarden-sign inspect motor.elf --json";
