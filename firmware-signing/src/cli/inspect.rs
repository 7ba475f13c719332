//! `inspect`: what a file is and says of itself.

use std::fmt::{self, Display};
use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::certificates::CertificateReport;
use super::inputs::{MAX_INPUT, core_of, name, platform_file};
use super::report::{Report, Schema, list};
use crate::files::Kind as FileKind;
use crate::inspect::{self as inspection, Bundle, Found};
use crate::picture::{Look, Picture, Zone};
use crate::{Error, Failure, elf, files, hex, uuid};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Inspect {
    /// A bundle, an ELF, or what sign_rproc_fw or MCUboot's imgtool made
    file: PathBuf,
    /// The platform file (TOML) of the machine: draw all of the core's memory
    #[arg(long, value_name = "FILE", requires = "core")]
    platform: Option<PathBuf>,
    /// The core, by name or id
    #[arg(long, value_name = "CORE", requires = "platform")]
    core: Option<String>,
    /// Write the memory map as a figure to this file
    #[arg(long, value_name = "OUT.SVG")]
    svg: Option<PathBuf>,
    /// Replace an existing figure
    #[arg(long, requires = "svg")]
    force: bool,
    /// Print a bundle's digest and nothing else: the same whoever signed it, and whenever
    #[arg(long, conflicts_with = "svg")]
    digest: bool,
}

pub(super) fn run(arguments: &Inspect) -> Result<Report, Failure> {
    let path = &arguments.file;
    let kind = FileKind::Output {
        force: arguments.force,
    };
    if let Some(svg) = &arguments.svg {
        files::check_output(svg, kind, &[path])?;
    }
    let platform = match &arguments.platform {
        Some(file) => Some((platform_file(file)?, file)),
        None => None,
    };
    let core = match (&platform, &arguments.core) {
        (Some((platform, file)), Some(core)) => Some(core_of(platform, file, core)?),
        _ => None,
    };
    let bytes = files::read(path, MAX_INPUT)?;
    let found = inspection::inspect(&bytes).map_err(Failure::at(path))?;
    let shown = path
        .file_name()
        .map_or_else(|| name(path), |name| name.to_string_lossy().into_owned());
    let picture = match &found {
        Found::Bundle(bundle) => Some(Picture::of_bundle(&shown, bundle, core)),
        Found::Elf(image) => Some(Picture::of_elf(&shown, image, core)),
        Found::Mcuboot(_) | Found::SignRprocFw(_) => None,
    };
    if arguments.digest {
        let Found::Bundle(bundle) = &found else {
            return Err(Failure::at(path)(Error::NoDigest));
        };
        return Ok(Report::of(Digest {
            file: name(path),
            digest: hex(&bundle.digest),
        }));
    }
    if let Some(svg) = &arguments.svg {
        let picture = picture
            .as_ref()
            .ok_or_else(|| Failure::at(path)(Error::NoMemoryMap))?;
        files::write(svg, kind, &[picture.svg().as_bytes()])?;
    }
    let mut report = Inspection::new(name(path), &found);
    report.svg = arguments.svg.as_deref().map(name);
    report.map = picture
        .iter()
        .flat_map(|picture| &picture.zones)
        .flat_map(BandReport::of)
        .collect();
    report.picture = picture;
    Ok(Report::of(report))
}

/// `inspect --digest`.
#[derive(Debug, Serialize)]
struct Digest {
    file: String,
    digest: String,
}

impl Schema for Digest {
    const NAME: &'static str = "corewarden-sign/inspect-digest";
}

impl Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.digest)
    }
}

#[derive(Debug, Serialize)]
struct Inspection {
    file: String,
    /// "bundle", "elf", "mcuboot" or "sign-rproc-fw-v1".
    kind: &'static str,
    /// Always this: nobody's signature was judged.
    trust: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle: Option<BundleReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    elf: Option<ElfReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sign_rproc_fw: Option<SignRprocFwReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mcuboot: Option<McubootReport>,
    /// What lies where, by address.
    map: Vec<BandReport>,
    /// The figure that was written.
    svg: Option<String>,
    #[serde(skip)]
    picture: Option<Picture>,
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
            mcuboot: None,
            map: Vec::new(),
            svg: None,
            picture: None,
        };
        match found {
            Found::Bundle(bundle) => report.bundle = Some(BundleReport::new(bundle)),
            Found::Elf(image) => {
                report.kind = "elf";
                report.elf = Some(ElfReport::new(image));
            }
            Found::Mcuboot(header) => {
                report.kind = "mcuboot";
                let (major, minor, revision, build) = header.version;
                report.mcuboot = Some(McubootReport {
                    load_address: header.load_address,
                    header_size: header.header_size,
                    image_size: header.image_size,
                    version: format!("{major}.{minor}.{revision}+{build}"),
                    signed: header.has_tlvs,
                });
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
                "an ELF, but not a firmware bundle (or stripped or cut off after signing?); sign it with `sign`"
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
        if let Some(header) = &self.mcuboot {
            writeln!(
                f,
                "an image for the boot loader MCUboot, version {}{}; no device of ours takes it, sign the ELF that it was made of",
                header.version,
                if header.signed {
                    ""
                } else {
                    ", cut off or never signed"
                }
            )?;
            writeln!(
                f,
                "  {} bytes of header, {} of image, load address {:#x}",
                header.header_size, header.image_size, header.load_address
            )?;
        }
        if let Some(picture) = &self.picture {
            f.write_str(&picture.draw(look()))?;
        }
        if let Some(svg) = &self.svg {
            writeln!(f, "figure: {svg}")?;
        }
        Ok(())
    }
}

/// What standard output can show; colours only where somebody looks at them (https://no-color.org).
fn look() -> Look {
    let said = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let terminal = std::io::stdout().is_terminal();
    let columns = said("COLUMNS").and_then(|columns| columns.parse().ok());
    let measured = || terminal_size::terminal_size().map(|(width, _)| width.0.into());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(said);
    let locale = locale.unwrap_or_default().to_lowercase();
    Look {
        width: columns.or_else(measured).unwrap_or(80),
        unicode: locale.contains("utf-8") || locale.contains("utf8"),
        colour: terminal
            && said("NO_COLOR").is_none()
            && said("TERM").is_some_and(|term| term != "dumb"),
    }
}

/// One stretch of memory for programs.
#[derive(Debug, Serialize)]
struct BandReport {
    zone: String,
    from: u64,
    to: u64,
    kind: &'static str,
    label: String,
    writers: &'static str,
}

impl BandReport {
    fn of(zone: &Zone) -> impl Iterator<Item = Self> {
        zone.bands.iter().map(|band| Self {
            zone: zone.name.clone(),
            from: band.from,
            to: band.to,
            kind: band.kind.name(),
            label: band.label.clone(),
            writers: band.writers.name(),
        })
    }
}

#[derive(Debug, Serialize)]
struct McubootReport {
    load_address: u32,
    header_size: u16,
    image_size: u32,
    version: String,
    signed: bool,
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
        Ok(())
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

fn access(readable: bool, writable: bool, executable: bool) -> String {
    [(readable, 'r'), (writable, 'w'), (executable, 'x')]
        .into_iter()
        .map(|(may, letter)| if may { letter } else { '-' })
        .collect()
}

const EXAMPLES: &str = "\
Examples:
  corewarden-sign inspect motor.cwfw
  corewarden-sign inspect motor.elf --json
  corewarden-sign inspect motor.cwfw --digest
  corewarden-sign inspect motor.cwfw --platform board.toml --core m4 --svg motor.svg";
