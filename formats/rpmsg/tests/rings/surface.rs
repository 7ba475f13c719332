//! How much there is to know of this crate.

use std::fs;
use std::path::Path;

#[test]
fn the_crate_has_at_most_60_public_items() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    let text = fs::read_to_string(path).unwrap();
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    // Everything public is listed here: modules are private, and nothing public is declared in this file itself.
    assert_eq!(
        code.matches("pub ").count(),
        code.matches("pub use ").count()
    );
    let items: Vec<&str> = code
        .split("pub use ")
        .skip(1)
        .map(|list| list.split(';').next().unwrap())
        .map(|list| list.rsplit("::").next().unwrap())
        .flat_map(|list| list.trim_matches(['{', '}']).split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    assert!(items.contains(&"Link") && items.contains(&"Window"));
    assert!(items.len() > 30, "the list was not read: {items:?}");
    assert!(items.len() <= 60, "{} public items", items.len());
}
