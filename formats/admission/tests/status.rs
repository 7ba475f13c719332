//! Every refusal has a status: none is lost on its way to the normal world.

use std::collections::BTreeSet;

use admission::Refusal;
use certificate_chain::{Error as Chain, Field, Kind};
use firmware_bundle::{Algorithm, Error as Bundle, Part, Reserved};
use ta_protocol::Status;

fn bundles() -> Vec<Bundle> {
    let (part, slot, segment, size, kind) = (Part::Manifest, 1, 2, 3, 4);
    vec![
        Bundle::AlgorithmNotSupported {
            algorithm: Algorithm::MlDsa65,
        },
        Bundle::BareElf { length: 5 },
        Bundle::BuildIdLength { length: 65 },
        Bundle::CertificateCount { slot, count: 4 },
        Bundle::CertificateGap { slot },
        Bundle::CertificatesReserved,
        Bundle::ChainSize {
            slot,
            size,
            limit: 9,
        },
        Bundle::CoreCount { count: 0 },
        Bundle::CoreOrder {
            previous: 2,
            next: 1,
        },
        Bundle::DisplayVersionLength { length: 33 },
        Bundle::DisplayVersionText,
        Bundle::ElfSize { size, limit: 9 },
        Bundle::EmptyFile,
        Bundle::ExtensionCount { count: 33 },
        Bundle::ExtensionFlags { kind, flags: 2 },
        Bundle::ExtensionNotSupported {
            kind: Reserved::Requires,
        },
        Bundle::ExtensionOrder {
            previous: 2,
            next: 1,
        },
        Bundle::ExtensionReserved { kind },
        Bundle::ExtensionUnknown { kind },
        Bundle::ExtensionZero,
        Bundle::FileLength { parts: 1, file: 2 },
        Bundle::FileOverlap {
            first: 0,
            second: 1,
        },
        Bundle::FileRange {
            segment,
            end: 1,
            elf: 0,
        },
        Bundle::FileRangeEmpty { segment, offset: 1 },
        Bundle::FooterReserved,
        Bundle::ImageSize { size, limit: 2 },
        Bundle::ManifestFlags { flags: 2 },
        Bundle::ManifestReserved,
        Bundle::ManifestVersion { found: 2 },
        Bundle::NoCertificate { slot },
        Bundle::NoFooter { length: 7 },
        Bundle::Padding { part },
        Bundle::PartShort { part, size },
        Bundle::PartSize { part, size: 1 },
        Bundle::PartTail { part, excess: 1 },
        Bundle::SbomAlgorithm { id: 3 },
        Bundle::SbomCritical,
        Bundle::SbomLength { length: 15 },
        Bundle::SbomReserved,
        Bundle::SegmentCount { count: 0 },
        Bundle::SegmentFlags { segment, flags: 8 },
        Bundle::SegmentOrder { segment },
        Bundle::SegmentOverlap {
            segment,
            address: 1,
            end: 2,
        },
        Bundle::SegmentReserved { segment },
        Bundle::SegmentSize {
            segment,
            file: 2,
            memory: 1,
        },
        Bundle::SegmentWraps {
            segment,
            address: 1,
        },
        Bundle::SignRprocFw,
        Bundle::SignaturesSize {
            expected: 1,
            found: 2,
        },
        Bundle::SlotCount { count: 0 },
        Bundle::SlotOrder { slot },
        Bundle::TableAddress { address: 1 },
        Bundle::TableSize { size: 9, limit: 8 },
        Bundle::TailShort {
            needed: 2,
            given: 1,
        },
        Bundle::TrailerSize { size, limit: 2 },
        Bundle::UnknownAlgorithm { id: 4 },
        Bundle::UnknownSlot { slot },
        Bundle::UnknownVersion { found: 2 },
        Bundle::VectorTableAddress { address: 1 },
    ]
}

fn chains() -> Vec<Chain> {
    let certificate = Kind::ProductCa;
    let field = Field::KeyUsage;
    let error = certificate_chain::Certificate::parse(certificate, &[]);
    let Err(der @ Chain::Der { .. }) = error else {
        panic!("{error:?}");
    };
    vec![
        Chain::AlgorithmMismatch { certificate },
        Chain::AlgorithmNotSupported {
            certificate,
            algorithm: Algorithm::MlDsa65,
        },
        Chain::AlgorithmUnknown { certificate },
        Chain::AnyPurpose { certificate },
        Chain::BasicConstraints { certificate },
        Chain::CeilingAboveParent {
            certificate,
            ceiling: 2,
            parent: 1,
        },
        Chain::CertificateSignature { certificate },
        Chain::ChainLength { found: 3 },
        Chain::ClassOutsideParent {
            certificate,
            index: 1,
        },
        Chain::CoreOutsideParent {
            certificate,
            core: 1,
        },
        der,
        Chain::ExtensionTwice { certificate },
        Chain::ExtensionUnknown { certificate },
        Chain::HighS,
        Chain::Issuer { certificate },
        Chain::IssuerAlgorithm {
            certificate,
            named: Algorithm::Ed25519,
            key: Algorithm::EcdsaP384Sha384,
        },
        Chain::KeyForm { certificate },
        Chain::KeyStronger {
            certificate,
            key: Algorithm::EcdsaP384Sha384,
            issuer: Algorithm::Ed25519,
        },
        Chain::KeyUsage { certificate },
        Chain::Missing { certificate, field },
        Chain::NotCanonical { certificate },
        Chain::NotCritical { certificate, field },
        Chain::Purpose { certificate },
        Chain::RoleDiffers { certificate },
        Chain::RootCount { found: 0 },
        Chain::RootSlot { slot: 2 },
        Chain::ScopeEmpty { certificate },
        Chain::ScopeForm { certificate },
        Chain::ScopeLimit { certificate },
        Chain::ScopeOrder { certificate },
        Chain::ScopeVersion {
            certificate,
            found: 2,
        },
        Chain::Serial { certificate },
        Chain::Signature,
        Chain::SlotAlgorithm {
            named: Algorithm::EcdsaP256Sha256,
            key: Algorithm::Ed25519,
        },
        Chain::TooLong {
            certificate,
            size: 2,
            limit: 1,
        },
        Chain::TooManyElements { certificate },
        Chain::UniqueIdentifier { certificate },
        Chain::UnknownRoot,
        Chain::Version { certificate },
    ]
}

fn refusals() -> Vec<Refusal> {
    let (segment, address, boot) = (1, 2, 3);
    vec![
        Refusal::BootAddress { boot },
        Refusal::Bundle(Bundle::EmptyFile),
        Refusal::Chain {
            slot: 0,
            error: Chain::Signature,
        },
        Refusal::CoreNotInScope { core: 1 },
        Refusal::DevelopmentSigner,
        Refusal::DeviceClassNotInScope,
        Refusal::EntryOutside { entry: 1 },
        Refusal::OtherCore { core: 1 },
        Refusal::OtherDeviceClass,
        Refusal::SegmentInShared { segment, address },
        Refusal::SegmentOutside { segment, address },
        Refusal::SegmentWritableExecutable { segment, address },
        Refusal::SlotMissing { slot: 1 },
        Refusal::SlotsShareKey { slot: 1 },
        Refusal::Table(resource_table::Error::Version { version: 2 }),
        Refusal::TableNotOnItsPage { address, page: 4 },
        Refusal::VectorTableElsewhere { address, boot },
        Refusal::VectorTableMissing,
        Refusal::VectorTableOutside { address },
        Refusal::VersionAboveCeiling {
            version: 2,
            ceiling: 1,
        },
        Refusal::VersionBelowFloor {
            version: 1,
            floor: 2,
        },
    ]
}

/// The names of an enum's variants, from its source.
fn variants(source: &str, enumeration: &str) -> BTreeSet<String> {
    source
        .split(&format!("pub enum {enumeration} {{"))
        .nth(1)
        .and_then(|body| body.split("\n}").next())
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(char::is_uppercase))
        .map(name)
        .collect()
}

fn name(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric()).collect()
}

fn names<T: std::fmt::Debug>(all: &[T]) -> BTreeSet<String> {
    all.iter()
        .map(|error| name(&format!("{error:?}")))
        .collect()
}

#[test]
fn the_lists_of_this_test_name_every_error() {
    let bundle = include_str!("../../firmware-bundle/src/error.rs");
    assert_eq!(names(&bundles()), variants(bundle, "Error"));
    let chain = include_str!("../../certificate-chain/src/error.rs");
    assert_eq!(names(&chains()), variants(chain, "Error"));
    let refusal = include_str!("../src/refusal.rs");
    assert_eq!(names(&refusals()), variants(refusal, "Refusal"));
}

#[test]
fn every_error_becomes_a_status_that_travels() {
    let all = refusals()
        .into_iter()
        .chain(bundles().into_iter().map(Refusal::Bundle))
        .chain(
            chains()
                .into_iter()
                .map(|error| Refusal::Chain { slot: 0, error }),
        );
    for refusal in all {
        let (status, first, second) = (&refusal).into();
        assert_eq!((status, first, second), refusal.status());
        assert_eq!(Status::from_number(status.number()), Some(status));
        // A number that has no meaning is zero, and every error says in words what is wrong.
        let [one, two] = status.numbers();
        assert!(!one.is_empty() || first == 0, "{refusal:?}");
        assert!(!two.is_empty() || second == 0, "{refusal:?}");
        assert!(!refusal.to_string().is_empty());
    }
}

#[test]
fn statuses_tell_apart_what_users_must_tell_apart() {
    let status = |refusal: Refusal| refusal.status();
    let bundle = |error| status(Refusal::Bundle(error));
    let chain = |error| status(Refusal::Chain { slot: 0, error });
    assert_eq!(bundle(Bundle::EmptyFile), (Status::EmptyFile, 0, 0));
    assert_eq!(
        bundle(Bundle::BareElf { length: 9 }),
        (Status::BareElf, 9, 0)
    );
    assert_eq!(bundle(Bundle::SignRprocFw), (Status::LegacyFormat, 0, 0));
    assert_eq!(
        bundle(Bundle::NoFooter { length: 9 }),
        (Status::NotABundle, 9, 0)
    );
    assert_eq!(
        bundle(Bundle::SegmentOrder { segment: 4 }),
        (Status::ManifestMalformed, 705, 4)
    );
    assert_eq!(
        bundle(Bundle::ExtensionUnknown { kind: 77 }),
        (Status::ExtensionUnknown, 77, 0)
    );
    assert_eq!(chain(Chain::UnknownRoot), (Status::UnknownRoot, 0, 0));
    assert_eq!(chain(Chain::Signature), (Status::SignatureInvalid, 0, 0));
    let second = |error| status(Refusal::Chain { slot: 1, error });
    assert_eq!(second(Chain::UnknownRoot), (Status::UnknownRoot, 1, 0));
    assert_eq!(second(Chain::Signature), (Status::SignatureInvalid, 1, 0));
    assert_eq!(
        second(Chain::Issuer {
            certificate: Kind::ProductCa
        }),
        (Status::ChainInvalid, 1, 1)
    );
    assert_eq!(
        chain(Chain::KeyStronger {
            certificate: Kind::Leaf,
            key: Algorithm::EcdsaP384Sha384,
            issuer: Algorithm::EcdsaP256Sha256,
        }),
        (Status::CertificateMalformed, 0, 1118)
    );
    assert_eq!(
        chain(Chain::KeyUsage {
            certificate: Kind::ProductCa
        }),
        (Status::CertificateMalformed, 1, 1110)
    );
    assert_eq!(
        status(Refusal::VersionAboveCeiling {
            version: 9,
            ceiling: 7
        }),
        (Status::VersionAboveCeiling, 9, 7)
    );
    assert_eq!(
        status(Refusal::TableNotOnItsPage {
            address: 9,
            page: 7
        }),
        (Status::TableNotOnItsPage, 9, 7)
    );
}
