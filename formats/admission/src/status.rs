//! What crosses the world boundary: one status and two numbers.

use certificate_chain::Error as Chain;
use firmware_bundle::{Error as Bundle, SbomDigest};
use ta_protocol::Status;

use crate::Refusal;

impl Refusal {
    /// The status and its two numbers (ta-api.md 6).
    #[must_use]
    pub fn status(&self) -> (Status, u64, u64) {
        match *self {
            Refusal::BootAddress { boot } => (Status::BootAddress, boot, 0),
            Refusal::Bundle(error) => bundle(&error),
            Refusal::Chain { slot, error } => chain(slot, &error),
            Refusal::CoreNotInScope { core } => (Status::CoreNotInScope, core.into(), 0),
            Refusal::DevelopmentSigner => (Status::DevelopmentSigner, 0, 0),
            Refusal::DeviceClassNotInScope => (Status::DeviceClassNotInScope, 0, 0),
            Refusal::EntryOutside { entry } => (Status::EntryOutside, entry, 0),
            Refusal::OtherCore { core } => (Status::OtherCore, core.into(), 0),
            Refusal::OtherDeviceClass => (Status::OtherDeviceClass, 0, 0),
            Refusal::SegmentInShared { segment, address } => {
                (Status::SegmentInShared, segment.into(), address)
            }
            Refusal::SegmentOutside { segment, address } => {
                (Status::SegmentOutside, segment.into(), address)
            }
            Refusal::SegmentWritableExecutable { segment, address } => {
                (Status::SegmentWritableExecutable, segment.into(), address)
            }
            Refusal::SlotMissing { slot } => (Status::SlotMissing, slot.into(), 0),
            Refusal::SlotsShareKey { slot } => (Status::SlotsShareKey, slot.into(), 0),
            Refusal::Table(error) => error.status(),
            Refusal::TableNotOnItsPage { address, page } => {
                (Status::TableNotOnItsPage, address, page)
            }
            Refusal::VectorTableElsewhere { address, boot } => (Status::VectorTable, address, boot),
            Refusal::VectorTableMissing => (Status::VectorTableMissing, 0, 0),
            Refusal::VectorTableOutside { address } => (Status::VectorTableOutside, address, 0),
            Refusal::VersionAboveCeiling { version, ceiling } => {
                (Status::VersionAboveCeiling, version.into(), ceiling.into())
            }
            Refusal::VersionBelowFloor { version, floor } => {
                (Status::VersionBelowFloor, version.into(), floor.into())
            }
        }
    }
}

impl From<&Refusal> for (Status, u64, u64) {
    fn from(refusal: &Refusal) -> Self {
        refusal.status()
    }
}

fn bundle(error: &Bundle) -> (Status, u64, u64) {
    let rule = u64::from(error.rule());
    let footer = |value| (Status::FooterMalformed, rule, value);
    let trailer = |value| (Status::TrailerMalformed, rule, value);
    let manifest = |value| (Status::ManifestMalformed, rule, value);
    match *error {
        Bundle::AlgorithmNotSupported { algorithm } => {
            (Status::AlgorithmUnsupported, algorithm.id().into(), 0)
        }
        Bundle::BareElf { length } => (Status::BareElf, length, 0),
        Bundle::BuildIdLength { length } => manifest(length.into()),
        Bundle::CertificateCount { count, .. } => trailer(count),
        Bundle::CertificateGap { slot } => trailer(slot.into()),
        Bundle::CertificatesReserved => trailer(0),
        Bundle::ChainSize { size, .. } => trailer(size),
        Bundle::CoreCount { count } => manifest(count.into()),
        Bundle::CoreOrder { next, .. } => manifest(next.into()),
        Bundle::DisplayVersionLength { length } => manifest(length.into()),
        Bundle::DisplayVersionText => manifest(0),
        Bundle::ElfSize { size, .. } => footer(size),
        Bundle::EmptyFile => (Status::EmptyFile, 0, 0),
        Bundle::ExtensionCount { count } => manifest(count.into()),
        Bundle::ExtensionFlags { kind, .. } => manifest(kind.into()),
        Bundle::ExtensionNotSupported { kind } => {
            (Status::ExtensionUnsupported, kind.kind().into(), 0)
        }
        Bundle::ExtensionOrder { next, .. } => manifest(next.into()),
        Bundle::ExtensionReserved { kind } => manifest(kind.into()),
        Bundle::ExtensionUnknown { kind } => (Status::ExtensionUnknown, kind.into(), 0),
        Bundle::ExtensionZero => manifest(0),
        Bundle::FileLength { parts, .. } => footer(parts),
        Bundle::FileOverlap { second, .. } => manifest(second.into()),
        Bundle::FileRange { segment, .. } => manifest(segment.into()),
        Bundle::FileRangeEmpty { segment, .. } => manifest(segment.into()),
        Bundle::FooterReserved => footer(0),
        Bundle::ImageSize { size, .. } => manifest(size),
        Bundle::ManifestFlags { flags } => manifest(flags.into()),
        Bundle::ManifestReserved => manifest(0),
        Bundle::ManifestVersion { found } => (Status::FormatVersion, found.into(), 0),
        Bundle::NoCertificate { slot } => trailer(slot.into()),
        Bundle::NoFooter { length } => (Status::NotABundle, length, 0),
        Bundle::Padding { part } => trailer(part.number().into()),
        Bundle::PartShort { part, .. } => trailer(part.number().into()),
        Bundle::PartSize { size, .. } => footer(size.into()),
        Bundle::PartTail { part, .. } => trailer(part.number().into()),
        Bundle::SbomAlgorithm { id } => manifest(id.into()),
        Bundle::SbomCritical => manifest(SbomDigest::KIND.into()),
        Bundle::SbomLength { length } => manifest(length.into()),
        Bundle::SbomReserved => manifest(SbomDigest::KIND.into()),
        Bundle::SegmentCount { count } => manifest(count.into()),
        Bundle::SegmentFlags { segment, .. } => manifest(segment.into()),
        Bundle::SegmentOrder { segment } => manifest(segment.into()),
        Bundle::SegmentOverlap {
            segment, address, ..
        } => (Status::SegmentsOverlap, segment.into(), address),
        Bundle::SegmentReserved { segment } => manifest(segment.into()),
        Bundle::SegmentSize { segment, .. } => manifest(segment.into()),
        Bundle::SegmentWraps { segment, .. } => manifest(segment.into()),
        Bundle::SignRprocFw => (Status::LegacyFormat, 0, 0),
        Bundle::SignaturesSize { found, .. } => trailer(found),
        Bundle::SlotCount { count } => trailer(count.into()),
        Bundle::SlotOrder { slot } => trailer(slot.into()),
        Bundle::TableAddress { address } => manifest(address),
        Bundle::TableSize { size, limit } => (Status::TableTooLarge, size.into(), limit.into()),
        Bundle::TailShort { given, .. } => trailer(given),
        Bundle::TrailerSize { size, limit } => (Status::TrailerTooLarge, size, limit),
        Bundle::UnknownAlgorithm { id } => trailer(id.into()),
        Bundle::UnknownSlot { slot } => trailer(slot.into()),
        Bundle::UnknownVersion { found } => (Status::FormatVersion, found.into(), 0),
        Bundle::VectorTableAddress { address } => manifest(address),
    }
}

fn chain(slot: u8, error: &Chain) -> (Status, u64, u64) {
    let rule = u64::from(error.rule());
    let malformed = |certificate: certificate_chain::Kind| {
        (
            Status::CertificateMalformed,
            certificate.number().into(),
            rule,
        )
    };
    let invalid = |certificate: certificate_chain::Kind| {
        (
            Status::ChainInvalid,
            certificate.number().into(),
            slot.into(),
        )
    };
    let exceeds = |certificate: certificate_chain::Kind| {
        (
            Status::ScopeExceedsParent,
            certificate.number().into(),
            slot.into(),
        )
    };
    match *error {
        Chain::AlgorithmMismatch { certificate }
        | Chain::AlgorithmUnknown { certificate }
        | Chain::AnyPurpose { certificate }
        | Chain::BasicConstraints { certificate }
        | Chain::Der { certificate, .. }
        | Chain::ExtensionTwice { certificate }
        | Chain::KeyForm { certificate }
        | Chain::KeyStronger { certificate, .. }
        | Chain::KeyUsage { certificate }
        | Chain::Missing { certificate, .. }
        | Chain::NotCanonical { certificate }
        | Chain::NotCritical { certificate, .. }
        | Chain::Purpose { certificate }
        | Chain::ScopeEmpty { certificate }
        | Chain::ScopeForm { certificate }
        | Chain::ScopeLimit { certificate }
        | Chain::ScopeOrder { certificate }
        | Chain::ScopeVersion { certificate, .. }
        | Chain::Serial { certificate }
        | Chain::TooLong { certificate, .. }
        | Chain::TooManyElements { certificate }
        | Chain::UniqueIdentifier { certificate }
        | Chain::Version { certificate } => malformed(certificate),
        Chain::AlgorithmNotSupported { algorithm, .. } => (
            Status::AlgorithmUnsupported,
            algorithm.id().into(),
            slot.into(),
        ),
        Chain::CeilingAboveParent { certificate, .. }
        | Chain::ClassOutsideParent { certificate, .. }
        | Chain::CoreOutsideParent { certificate, .. }
        | Chain::RoleDiffers { certificate } => exceeds(certificate),
        Chain::CertificateSignature { certificate }
        | Chain::Issuer { certificate }
        | Chain::IssuerAlgorithm { certificate, .. } => invalid(certificate),
        Chain::ChainLength { found } => (Status::ChainLength, found, 0),
        Chain::ExtensionUnknown { certificate } => (
            Status::CriticalExtension,
            certificate.number().into(),
            slot.into(),
        ),
        Chain::HighS => (Status::SignatureHighS, slot.into(), 0),
        // About the platform's own roots, which are judged when the TA is built and when it starts.
        Chain::RootCount { found } => (Status::PlatformInvalid, rule, found),
        Chain::RootSlot { slot } => (Status::PlatformInvalid, rule, slot.into()),
        Chain::Signature | Chain::SlotAlgorithm { .. } => {
            (Status::SignatureInvalid, slot.into(), 0)
        }
        Chain::UnknownRoot => (Status::UnknownRoot, slot.into(), 0),
    }
}
