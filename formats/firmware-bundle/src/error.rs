//! Why a file is not a bundle of version 1, with the numbers.

use crate::{Algorithm, Reserved};

/// The parts of the trailer (bundle-format.md 1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Slots and their chains.
    Certificates,
    /// What is signed about the image.
    Manifest,
    /// The zeros between the ELF part and the manifest.
    Padding,
    /// One raw signature for each slot.
    Signatures,
}

impl Part {
    /// The part's number in messages and in the second number of a status: 0 padding, 1 manifest, 2 certificates, 3 signatures.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Part::Padding => 0,
            Part::Manifest => 1,
            Part::Certificates => 2,
            Part::Signatures => 3,
        }
    }
}

impl core::fmt::Display for Part {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Part::Certificates => "certificates",
            Part::Manifest => "manifest",
            Part::Padding => "gap before the manifest",
            Part::Signatures => "signatures",
        })
    }
}

/// One variant for each rule of docs/bundle-format.md, sections 1 to 9.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// bundle-format.md 3.7
    #[error("{algorithm} signatures are not supported yet")]
    AlgorithmNotSupported {
        /// What the slot names.
        algorithm: Algorithm,
    },
    /// bundle-format.md 1.3
    #[error("an ELF file, but not a firmware bundle (or stripped or cut off after signing?)")]
    BareElf {
        /// The file's.
        length: u64,
    },
    /// bundle-format.md 5.6
    #[error("the build id has {length} bytes, more than 64")]
    BuildIdLength {
        /// As the manifest says.
        length: u8,
    },
    /// bundle-format.md 3.8, met by the writer only: the format has no room for it.
    #[error("{count} certificates for slot {slot}, more than 3")]
    CertificateCount {
        /// Slot number.
        slot: u8,
        /// As described.
        count: u64,
    },
    /// bundle-format.md 3.8
    #[error("slot {slot} has a certificate after an absent one")]
    CertificateGap {
        /// Slot number.
        slot: u8,
    },
    /// bundle-format.md 3.3
    #[error("reserved bytes of the certificates part are not zero")]
    CertificatesReserved,
    /// bundle-format.md 3.9
    #[error("the chain of slot {slot} has {size} bytes, more than {limit}")]
    ChainSize {
        /// Slot number.
        slot: u8,
        /// All its certificates.
        size: u64,
        /// [`crate::MAX_CHAIN`].
        limit: u64,
    },
    /// bundle-format.md 6.1
    #[error("{count} core ids, not 1 to 16")]
    CoreCount {
        /// As the manifest says.
        count: u16,
    },
    /// bundle-format.md 6.2
    #[error("core id {next} follows core id {previous}")]
    CoreOrder {
        /// The id before.
        previous: u32,
        /// The id that is not above it.
        next: u32,
    },
    /// bundle-format.md 5.5
    #[error("the display version has {length} bytes, more than 32")]
    DisplayVersionLength {
        /// As the manifest says.
        length: u8,
    },
    /// bundle-format.md 5.5
    #[error("the display version is not printable UTF-8")]
    DisplayVersionText,
    /// bundle-format.md 1.6
    #[error("the ELF part has {size} bytes, not 1 to {limit}")]
    ElfSize {
        /// As the footer says.
        size: u64,
        /// [`crate::MAX_ELF`].
        limit: u64,
    },
    /// bundle-format.md 1.2
    #[error("an empty file")]
    EmptyFile,
    /// bundle-format.md 9.1
    #[error("{count} extensions, more than 32")]
    ExtensionCount {
        /// As the manifest says.
        count: u16,
    },
    /// bundle-format.md 9.3
    #[error("extension {kind:#x} has flags {flags:#x}")]
    ExtensionFlags {
        /// Its type.
        kind: u32,
        /// With a bit that has no meaning.
        flags: u32,
    },
    /// bundle-format.md 9.5
    #[error("the extension \"{kind}\" is not supported yet")]
    ExtensionNotSupported {
        /// Its type.
        kind: Reserved,
    },
    /// bundle-format.md 9.2
    #[error("extension {next:#x} follows extension {previous:#x}")]
    ExtensionOrder {
        /// The type before.
        previous: u32,
        /// The type that is not above it.
        next: u32,
    },
    /// bundle-format.md 9.3
    #[error("reserved bytes of extension {kind:#x} are not zero")]
    ExtensionReserved {
        /// Its type.
        kind: u32,
    },
    /// bundle-format.md 9.4
    #[error("unknown critical extension {kind:#x}")]
    ExtensionUnknown {
        /// Its type.
        kind: u32,
    },
    /// bundle-format.md 9.2
    #[error("an extension has type 0")]
    ExtensionZero,
    /// bundle-format.md 1.5
    #[error("the parts take {parts} bytes, the file has {file} (cut, or added to?)")]
    FileLength {
        /// Sum of all parts.
        parts: u64,
        /// What was presented.
        file: u64,
    },
    /// bundle-format.md 7.8
    #[error("segments {first} and {second} share bytes of the file")]
    FileOverlap {
        /// Index of the lower one.
        first: u8,
        /// Index of the other.
        second: u8,
    },
    /// bundle-format.md 7.7
    #[error("segment {segment} ends at {end:#x} of the file, the ELF part at {elf:#x}")]
    FileRange {
        /// Its index.
        segment: u8,
        /// Its end, `u64::MAX` where it wraps.
        end: u64,
        /// The ELF part's size.
        elf: u64,
    },
    /// bundle-format.md 7.9
    #[error("segment {segment} takes nothing from the file, but at offset {offset:#x}")]
    FileRangeEmpty {
        /// Its index.
        segment: u8,
        /// Which should be zero.
        offset: u64,
    },
    /// bundle-format.md 2.3
    #[error("reserved bits of the footer are not zero")]
    FooterReserved,
    /// bundle-format.md 7.10
    #[error("the segments take {size} bytes from the file, more than {limit}")]
    ImageSize {
        /// Their sum.
        size: u64,
        /// [`crate::MAX_IMAGE`].
        limit: u64,
    },
    /// bundle-format.md 5.3
    #[error("manifest flags {flags:#x}")]
    ManifestFlags {
        /// With a bit that has no meaning.
        flags: u16,
    },
    /// bundle-format.md 5.4
    #[error("reserved bytes of the manifest are not zero")]
    ManifestReserved,
    /// bundle-format.md 5.2
    #[error("manifest version {found}, not 1")]
    ManifestVersion {
        /// As the manifest says.
        found: u16,
    },
    /// bundle-format.md 3.8
    #[error("slot {slot} has no certificate")]
    NoCertificate {
        /// Slot number.
        slot: u8,
    },
    /// bundle-format.md 1.12
    #[error("not a firmware bundle: no footer ends this file of length {length} (cut off?)")]
    NoFooter {
        /// The file's.
        length: u64,
    },
    /// bundle-format.md 1.10
    #[error("{part}: padding is not zero")]
    Padding {
        /// Where.
        part: Part,
    },
    /// bundle-format.md 1.9
    #[error("{part}: ends after {size} bytes, before what it announces")]
    PartShort {
        /// Which.
        part: Part,
        /// Its size.
        size: u64,
    },
    /// bundle-format.md 1.8
    #[error("{part}: {size} bytes, which is zero or no multiple of 16")]
    PartSize {
        /// Which.
        part: Part,
        /// As the footer says.
        size: u32,
    },
    /// bundle-format.md 1.9
    #[error("{part}: {excess} bytes behind its last entry")]
    PartTail {
        /// Which.
        part: Part,
        /// How many.
        excess: u64,
    },
    /// bundle-format.md 9.6
    #[error("the SBOM digest has hash {id}, neither SHA-256 (1) nor SHA-384 (2)")]
    SbomAlgorithm {
        /// As the manifest says.
        id: u16,
    },
    /// bundle-format.md 9.7
    #[error("the extension \"SBOM digest\" is marked critical")]
    SbomCritical,
    /// bundle-format.md 9.6
    #[error("the SBOM digest takes {length} bytes, which its hash does not")]
    SbomLength {
        /// Bytes of the extension's value.
        length: u32,
    },
    /// bundle-format.md 9.6
    #[error("reserved bytes of the SBOM digest are not zero")]
    SbomReserved,
    /// bundle-format.md 7.1
    #[error("{count} segments, not 1 to 32")]
    SegmentCount {
        /// As the manifest says.
        count: u16,
    },
    /// bundle-format.md 7.2
    #[error("segment {segment} has flags {flags:#x}")]
    SegmentFlags {
        /// Its index.
        segment: u8,
        /// None, or one without meaning.
        flags: u32,
    },
    /// bundle-format.md 7.5
    #[error("segment {segment} is not above the one before")]
    SegmentOrder {
        /// Its index.
        segment: u8,
    },
    /// bundle-format.md 7.6
    #[error("segment {segment} begins at {address:#x}, the one before ends at {end:#x}")]
    SegmentOverlap {
        /// Its index.
        segment: u8,
        /// Where it begins.
        address: u64,
        /// Where the one before ends.
        end: u64,
    },
    /// bundle-format.md 7.2
    #[error("reserved bytes of segment {segment} are not zero")]
    SegmentReserved {
        /// Its index.
        segment: u8,
    },
    /// bundle-format.md 7.3
    #[error("segment {segment} has {file} bytes for {memory} bytes of memory")]
    SegmentSize {
        /// Its index.
        segment: u8,
        /// Bytes in the file.
        file: u64,
        /// Bytes in memory.
        memory: u64,
    },
    /// bundle-format.md 7.4
    #[error("segment {segment} at {address:#x} runs past the end of the address space")]
    SegmentWraps {
        /// Its index.
        segment: u8,
        /// Where it begins.
        address: u64,
    },
    /// bundle-format.md 1.4
    #[error("signed by sign_rproc_fw (format v1), which is not loaded: convert it")]
    SignRprocFw,
    /// bundle-format.md 4.1
    #[error("the signatures have {found} bytes, the slots ask for {expected}")]
    SignaturesSize {
        /// By the slots' algorithms.
        expected: u64,
        /// The part's size.
        found: u64,
    },
    /// bundle-format.md 3.2
    #[error("{count} signature slots, not 1 or 2")]
    SlotCount {
        /// As the certificates part says.
        count: u16,
    },
    /// bundle-format.md 3.4
    #[error("signature slot {slot} is not above the one before")]
    SlotOrder {
        /// Slot number.
        slot: u8,
    },
    /// bundle-format.md 8.2
    #[error("a resource table address, {address:#x}, without a table")]
    TableAddress {
        /// Which should be zero.
        address: u64,
    },
    /// bundle-format.md 8.1
    #[error("the resource table has {size} bytes, more than {limit}")]
    TableSize {
        /// As the manifest says.
        size: u32,
        /// [`crate::MAX_TABLE`].
        limit: u32,
    },
    /// bundle-format.md 1.11
    #[error("{given} bytes of the file's end were presented, its trailer has {needed}")]
    TailShort {
        /// The trailer's size.
        needed: u64,
        /// What was presented.
        given: u64,
    },
    /// bundle-format.md 1.7
    #[error("the trailer has {size} bytes, more than {limit}")]
    TrailerSize {
        /// By the footer.
        size: u64,
        /// [`crate::MAX_TRAILER`].
        limit: u64,
    },
    /// bundle-format.md 3.6
    #[error("unknown signature algorithm {id:#x}")]
    UnknownAlgorithm {
        /// As the slot says.
        id: u16,
    },
    /// bundle-format.md 3.4
    #[error("unknown signature slot {slot}")]
    UnknownSlot {
        /// As the slot says.
        slot: u8,
    },
    /// bundle-format.md 2.2
    #[error("bundle format version {found}, not 1")]
    UnknownVersion {
        /// As the footer says.
        found: u16,
    },
    /// bundle-format.md 5.7
    #[error("a vector table address, {address:#x}, which the flags do not announce")]
    VectorTableAddress {
        /// Which should be zero.
        address: u64,
    },
}

impl Error {
    /// The rule that is broken, as a number: 706 is bundle-format.md 7.6.
    #[must_use]
    pub fn rule(&self) -> u16 {
        match self {
            Error::EmptyFile => 102,
            Error::BareElf { .. } => 103,
            Error::SignRprocFw => 104,
            Error::FileLength { .. } => 105,
            Error::ElfSize { .. } => 106,
            Error::TrailerSize { .. } => 107,
            Error::PartSize { .. } => 108,
            Error::PartShort { .. } | Error::PartTail { .. } => 109,
            Error::Padding { .. } => 110,
            Error::TailShort { .. } => 111,
            Error::NoFooter { .. } => 112,
            Error::UnknownVersion { .. } => 202,
            Error::FooterReserved => 203,
            Error::SlotCount { .. } => 302,
            Error::CertificatesReserved => 303,
            Error::SlotOrder { .. } | Error::UnknownSlot { .. } => 304,
            Error::UnknownAlgorithm { .. } => 306,
            Error::AlgorithmNotSupported { .. } => 307,
            Error::CertificateCount { .. }
            | Error::CertificateGap { .. }
            | Error::NoCertificate { .. } => 308,
            Error::ChainSize { .. } => 309,
            Error::SignaturesSize { .. } => 401,
            Error::ManifestVersion { .. } => 502,
            Error::ManifestFlags { .. } => 503,
            Error::ManifestReserved => 504,
            Error::DisplayVersionLength { .. } | Error::DisplayVersionText => 505,
            Error::BuildIdLength { .. } => 506,
            Error::VectorTableAddress { .. } => 507,
            Error::CoreCount { .. } => 601,
            Error::CoreOrder { .. } => 602,
            Error::SegmentCount { .. } => 701,
            Error::SegmentFlags { .. } | Error::SegmentReserved { .. } => 702,
            Error::SegmentSize { .. } => 703,
            Error::SegmentWraps { .. } => 704,
            Error::SegmentOrder { .. } => 705,
            Error::SegmentOverlap { .. } => 706,
            Error::FileRange { .. } => 707,
            Error::FileOverlap { .. } => 708,
            Error::FileRangeEmpty { .. } => 709,
            Error::ImageSize { .. } => 710,
            Error::TableSize { .. } => 801,
            Error::TableAddress { .. } => 802,
            Error::ExtensionCount { .. } => 901,
            Error::ExtensionOrder { .. } | Error::ExtensionZero => 902,
            Error::ExtensionFlags { .. } | Error::ExtensionReserved { .. } => 903,
            Error::ExtensionUnknown { .. } => 904,
            Error::ExtensionNotSupported { .. } => 905,
            Error::SbomAlgorithm { .. } | Error::SbomLength { .. } | Error::SbomReserved => 906,
            Error::SbomCritical => 907,
        }
    }
}
