//! The fuzz entry point, and its corpus replayed.

use std::fs;

use platform::{Core, File, Platform};
use proptest::prelude::{any, proptest};

#[test]
fn the_corpus_is_judged_without_a_panic() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus");
    let mut replayed = 0;
    for file in fs::read_dir(folder).unwrap() {
        judge(&fs::read(file.unwrap().path()).unwrap());
        replayed += 1;
    }
    assert!(replayed >= 6, "{replayed} files in {folder}");
}

proptest! {
    #[test]
    fn any_bytes_are_judged_without_a_panic(bytes in any::<Vec<u8>>()) {
        judge(&bytes);
    }

    #[test]
    fn any_numbers_in_a_good_file_are_judged_without_a_panic(
        (place, value) in (0..15_usize, any::<u64>()),
    ) {
        let text = include_str!("../../../ta/platforms/qemu-virt.toml");
        let (start, hex) = text.match_indices("0x").nth(place).unwrap();
        let digits = text[start + hex.len()..].find(|c: char| !c.is_ascii_hexdigit()).unwrap();
        let after = &text[start + hex.len() + digits..];
        judge(format!("{}{:#x}{after}", &text[..start], value >> 1).as_bytes());
        judge(format!("{}{:#x}{after}", &text[..start], (value >> 1) & !0xfff).as_bytes());
    }
}

/// Reads the bytes as text and as the embedded form; what is accepted must hold what its type promises.
fn judge(bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).ok();
    let files = [
        text.and_then(|text| toml::from_str::<File>(text).ok()),
        postcard::from_bytes::<File>(bytes).ok(),
    ];
    for platform in files.into_iter().flatten().flat_map(Platform::try_from) {
        for core in platform.cores() {
            holds_what_it_promises(core);
        }
    }
}

fn holds_what_it_promises(core: &Core) {
    let window = core.shared();
    for region in core.private_regions() {
        let (start, last) = (region.device(), region.device() + region.size() - 1);
        assert_eq!(core.to_physical(start, 1), Some(region.physical()));
        assert_eq!(
            core.to_physical(last, 1),
            Some(region.physical() + region.size() - 1)
        );
        assert!(!core.touches_shared(start, region.size()));
        assert!(last < window.device() || start >= window.device() + window.size());
    }
    for area in [window.table(), window.vrings(), window.buffers()] {
        let span = window.device_span_of(area).unwrap();
        assert!(window.device_span().unwrap().contains(&span));
    }
}
