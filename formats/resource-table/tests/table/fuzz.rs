//! The fuzz entry point, and its corpus replayed.

use std::fs;

use resource_table::{SharedView, Table};

use crate::sample::{platform, platform_with};

/// Judges any bytes in every way there is; what is accepted must hold what its type promises.
pub(crate) fn judge(bytes: &[u8]) {
    let _ = Table::from_section(bytes);
    let Ok(table) = Table::parse(bytes) else {
        return;
    };
    let drop = platform_with("other-entries = \"refuse\"", "other-entries = \"drop\"");
    for platform in [platform(), drop] {
        let core = platform.core(0).unwrap();
        if let Ok(published) = table.sanitise(core) {
            crate::properties::holds_what_it_promises(&published, core);
        }
        let _ = SharedView::read(&table, bytes, core);
    }
}

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
