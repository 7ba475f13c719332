//! What the TA's build embeds, and what it refuses to.

#[path = "../../build/device.rs"]
mod device;

use std::fs;
use std::path::{Path, PathBuf};

const PLATFORM: &str = "ta/platforms/qemu-virt.toml";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A source tree of its own, with the platform file changed.
fn tree(change: impl Fn(String) -> String) -> tempfile::TempDir {
    let tree = tempfile::tempdir().unwrap();
    for folder in ["ta/platforms", "keys"] {
        fs::create_dir_all(tree.path().join(folder)).unwrap();
    }
    let text = fs::read_to_string(root().join(PLATFORM)).unwrap();
    fs::write(tree.path().join(PLATFORM), change(text)).unwrap();
    let pem = fs::read(root().join("keys/dev-root.pem")).unwrap();
    fs::write(tree.path().join("keys/dev-root.pem"), pem).unwrap();
    tree
}

fn source(tree: &Path) -> Result<String, String> {
    device::source(tree, PLATFORM, |_| {})
}

#[test]
fn the_platform_file_and_its_roots_are_embedded() {
    let text = source(&root()).unwrap();
    assert!(text.starts_with("const PLATFORM: &[u8] = &["), "{text}");
    assert!(
        text.contains("const ROOTS: &[(u8, &[u8])] = &[\n    (0, &[48, 130,"),
        "{text}"
    );
}

#[test]
fn a_root_in_der_is_embedded_as_one_in_pem() {
    let tree = tree(|text| text.replace("dev-root.pem", "dev-root.der"));
    let pem = fs::read(root().join("keys/dev-root.pem")).unwrap();
    let (_, der) = der::pem::decode_vec(&pem).unwrap();
    fs::write(tree.path().join("keys/dev-root.der"), der).unwrap();
    let roots = |text: String| text.split_once("const ROOTS").unwrap().1.to_owned();
    assert_eq!(
        roots(source(tree.path()).unwrap()),
        roots(source(&root()).unwrap())
    );
}

#[test]
fn a_release_ta_with_a_development_root_is_not_built() {
    let tree = tree(|text| text.replace("\"development\"", "\"release\""));
    assert_eq!(
        source(tree.path()).unwrap_err(),
        "ta/platforms/qemu-virt.toml: a release TA cannot pin keys/dev-root.pem, which is a development root"
    );
}

#[test]
fn a_missing_root_and_one_that_is_no_certificate_are_named() {
    let missing = tree(|text| text.replace("dev-root.pem", "none.pem"));
    let error = source(missing.path()).unwrap_err();
    assert!(error.starts_with("keys/none.pem: "), "{error}");
    let key = tree(|text| text);
    let pem = fs::read(root().join("keys/dev-root.key.pem")).unwrap();
    fs::write(key.path().join("keys/dev-root.pem"), pem).unwrap();
    let error = source(key.path()).unwrap_err();
    assert_eq!(error, "keys/dev-root.pem: a PRIVATE KEY, not a certificate");
}

#[test]
fn a_platform_file_that_breaks_a_rule_is_not_embedded() {
    let tree = tree(|text| text.replace("size = 0x200000", "size = 0x200001"));
    let error = source(tree.path()).unwrap_err();
    assert!(
        error.starts_with("ta/platforms/qemu-virt.toml: "),
        "{error}"
    );
}

#[test]
fn every_file_that_is_read_is_told_so_that_a_change_builds_anew() {
    let read = std::cell::RefCell::new(Vec::new());
    device::source(&root(), PLATFORM, |path| {
        read.borrow_mut().push(path.to_owned())
    })
    .unwrap();
    let expected = [PLATFORM, "keys/dev-root.pem"].map(|named| root().join(named));
    assert_eq!(read.into_inner(), expected);
}

#[test]
fn the_cores_of_a_platform_file_are_counted_for_the_heap() {
    assert_eq!(device::cores(&root(), PLATFORM), Ok(1));
    let test = "ta/platforms/qemu-virt-test.toml";
    assert_eq!(device::cores(&root(), test), Ok(3));
    assert!(device::cores(&root(), "ta/platforms/missing.toml").is_err());
}
