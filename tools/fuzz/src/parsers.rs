//! Everything that reads a format: any bytes are judged, and what is accepted holds what its type promises.

use std::sync::LazyLock;

use certificate_chain::{Certificate, Kind};
use firmware_bundle::{File, Footer, MAX_TRAILER, Plan, Trailer};
use platform::Platform;
use resource_table::{SharedView, Table};
use ta_protocol::{RootsReport, StateReport, Text, pta};
use trust_update::TrustUpdate;

/// A firmware bundle, up to where its signatures would be judged.
pub fn bundle(bytes: &[u8]) {
    let tail = bytes.len().saturating_sub(MAX_TRAILER);
    let file = File {
        length: bytes.len() as u64,
        head: &bytes[..bytes.len().min(64)],
        tail: &bytes[tail..],
    };
    let footer = Footer::of(&file);
    let Ok(trailer) = Trailer::of(&file) else {
        return;
    };
    assert_eq!(footer.as_ref(), Ok(trailer.footer()));
    let parts = trailer
        .signed_parts()
        .iter()
        .map(|part| part.len())
        .sum::<usize>();
    assert!(parts <= bytes.len(), "{parts} bytes are signed");
    let Ok(manifest) = trailer.unverified_manifest() else {
        return;
    };
    let mut plan = Plan::of(&manifest);
    let mut at = 0;
    while let Some(step) = plan.current() {
        assert!(
            step.size() > 0 && step.offset() >= at,
            "steps follow the file"
        );
        at = step.offset() + step.size();
        plan.advance();
    }
    // Every byte before the manifest is stepped over.
    assert!(
        at <= trailer.footer().manifest_offset(),
        "{at} bytes are stepped over"
    );
    for segment in manifest.segments() {
        assert!(segment.end() >= segment.loaded_end(), "{segment:?}");
        assert!(segment.file_end() <= manifest.elf_size(), "{segment:?}");
    }
    for extension in manifest.extensions() {
        assert!(!format!("{extension:?}").is_empty());
    }
}

/// A certificate, in each place of a chain.
pub fn certificate(bytes: &[u8]) {
    for kind in [Kind::Root, Kind::ProductCa, Kind::Leaf] {
        if let Ok(certificate) = Certificate::parse(kind, bytes) {
            assert_eq!(certificate.kind(), kind);
            let itself = certificate.issued_by(&certificate);
            assert!(itself.is_ok() || !format!("{itself:?}").is_empty());
            if let Some(scope) = certificate.scope() {
                assert_eq!(scope.within(kind, scope), Ok(()));
            }
        }
    }
}

/// A resource table, as the signer finds it, as the TA judges it, and as a client reads it back.
pub fn resource_table(bytes: &[u8]) {
    let _ = Table::from_section(bytes);
    let Ok(table) = Table::parse(bytes) else {
        return;
    };
    for core in PLATFORM.cores() {
        if let Ok(published) = table.sanitise(core) {
            let again = published.table().expect("what is published is a table");
            for vdev in again.vdevs() {
                assert!(core.table_policy().allows_vdev(vdev.id), "{vdev:?}");
            }
            let view = SharedView::read(&again, published.bytes(), core);
            assert!(
                view.is_ok(),
                "what was published is not read back: {view:?}"
            );
        }
        let _ = SharedView::read(&table, bytes, core);
    }
}

/// A trust update, up to where its signatures would be judged.
pub fn trust_update(bytes: &[u8]) {
    let Ok(update) = TrustUpdate::parse(bytes) else {
        return;
    };
    assert!(update.generations().count() <= trust_update::MAX_GENERATIONS.into());
    assert!(update.revoked().len() <= trust_update::MAX_REVOKED.into());
    assert!(update.floors().count() <= trust_update::MAX_FLOORS.into());
    assert!(update.roots().count() <= trust_update::MAX_ROOTS.into());
    assert!(update.signatures().count() <= trust_update::MAX_SIGNATURES.into());
}

/// What the TA and its clients tell each other: reports, regions, text.
pub fn protocol(bytes: &[u8]) {
    if let Ok(report) = StateReport::parse(bytes) {
        assert_eq!(StateReport::parse(&report.to_bytes()), Ok(report));
    }
    if let Ok(report) = RootsReport::parse(bytes) {
        assert!(report.roots().count() <= ta_protocol::MAX_ROOTS);
    }
    if let Some(text) = Text::<64>::new(bytes) {
        assert!(text.as_bytes().len() <= 64);
    }
    if let Some(region) = bytes.first_chunk().and_then(pta::Region::from_bytes) {
        assert_eq!(pta::Region::from_bytes(&region.to_bytes()), Some(region));
    }
}

/// The machine of the test bed.
static PLATFORM: LazyLock<Platform> = LazyLock::new(|| {
    let text = include_str!("../../../ta/platforms/qemu-virt.toml");
    let file = toml::from_str::<platform::File>(text).expect("a platform file");
    Platform::try_from(file).expect("a platform")
});
