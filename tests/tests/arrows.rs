//! The arrows between our crates: who may depend on whom. DESIGN.md, "Which crate may use which?".
//!
//! A new arrow is a decision about trust. It is added here and in DESIGN.md, or not at all.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Every crate of ours and the crates of ours it may use in what it ships.
const ARROWS: &[(&str, &[&str])] = &[
    ("ta-protocol", &[]),
    ("platform", &["ta-protocol"]),
    ("resource-table", &["platform", "ta-protocol"]),
    ("firmware-bundle", &[]),
    ("certificate-chain", &["firmware-bundle"]),
    (
        "admission",
        &[
            "certificate-chain",
            "firmware-bundle",
            "platform",
            "resource-table",
            "ta-protocol",
        ],
    ),
    ("rpmsg", &[]),
    ("rpmsg-pool", &["rpmsg"]),
    ("rpmsg-services", &[]),
    ("trust-update", &["firmware-bundle"]),
    (
        "ta-core",
        &[
            "admission",
            "certificate-chain",
            "firmware-bundle",
            "platform",
            "resource-table",
            "ta-protocol",
        ],
    ),
    (
        "corewarden-ta",
        &[
            "admission",
            "certificate-chain",
            "firmware-bundle",
            "platform",
            "ta-core",
            "ta-protocol",
        ],
    ),
    (
        "corewarden",
        &[
            "platform",
            "resource-table",
            "rpmsg",
            "rpmsg-pool",
            "rpmsg-services",
            "ta-protocol",
        ],
    ),
    ("corewarden-async", &["corewarden", "rpmsg"]),
    (
        "firmware-signing",
        &[
            "admission",
            "certificate-chain",
            "firmware-bundle",
            "platform",
            "resource-table",
            "rpmsg",
            "ta-protocol",
            "trust-update",
        ],
    ),
];

/// Crates that exist to build, run and test the product; nothing of the product uses them.
const TOOLS: &[&str] = &[
    "testbed",
    "xtask",
    "bench",
    "rings",
    "tests",
    "guest",
    "simulator",
    "interleavings",
    "fuzz",
    "fuzz-libfuzzer",
];

/// Crates in which the word `unsafe` may appear in code, and why.
const UNSAFE: &[(&str, &str)] = &[
    ("corewarden-ta", "entry points and GlobalPlatform calls"),
    ("corewarden", "the shared_memory module"),
    ("testbed", "the supervisor's process and mapping code"),
    (
        "guest",
        "attacks on memory as root would make them, and kexec_load",
    ),
];

#[test]
fn the_product_has_only_the_arrows_listed() {
    let allowed: BTreeMap<_, BTreeSet<_>> = ARROWS
        .iter()
        .map(|(from, to)| (*from, to.iter().copied().collect()))
        .collect();
    for package in packages() {
        if TOOLS.contains(&package.name.as_str()) {
            continue;
        }
        let listed = allowed
            .get(package.name.as_str())
            .unwrap_or_else(|| panic!("{} is in no list of arrows.rs", package.name));
        for target in &package.uses {
            assert!(
                listed.contains(target.as_str()),
                "{} -> {target} is not an arrow that arrows.rs lists",
                package.name
            );
        }
    }
}

#[test]
fn no_crate_has_cargo_features() {
    for package in packages() {
        assert!(
            package.features.is_empty(),
            "{} has features {:?}: behaviour is not chosen by features here",
            package.name,
            package.features
        );
    }
}

#[test]
fn unsafe_stands_only_where_it_is_listed() {
    for package in packages() {
        let listed = UNSAFE.iter().any(|(name, _)| *name == package.name);
        for file in rust_files(&package.folder.join("src")) {
            let text = fs::read_to_string(&file).expect("a source file is readable");
            let uses = text.lines().any(|line| {
                let code = line.split("//").next().unwrap_or_default();
                code.split(|c: char| !c.is_alphanumeric() && c != '_')
                    .any(|word| word == "unsafe")
                    && !code.contains("#[unsafe(")
            });
            assert!(
                listed || !uses,
                "{} contains unsafe code; arrows.rs lists where it may stand",
                file.display()
            );
        }
    }
}

struct Package {
    name: String,
    folder: PathBuf,
    uses: Vec<String>,
    features: Vec<String>,
}

fn packages() -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo metadata starts");
    assert!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let list = metadata["packages"].as_array().expect("packages");
    let ours: BTreeSet<_> = list.iter().map(|p| text(&p["name"])).collect();
    list.iter()
        .map(|package| Package {
            name: text(&package["name"]),
            folder: Path::new(&text(&package["manifest_path"]))
                .parent()
                .expect("a manifest lies in a folder")
                .to_path_buf(),
            uses: package["dependencies"]
                .as_array()
                .expect("dependencies")
                .iter()
                .filter(|d| d["kind"] != "dev")
                .map(|d| text(&d["name"]))
                .filter(|name| ours.contains(name))
                .collect(),
            features: package["features"]
                .as_object()
                .expect("features")
                .keys()
                .cloned()
                .collect(),
        })
        .collect()
}

fn text(value: &serde_json::Value) -> String {
    value.as_str().expect("a string").to_owned()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .map(|entry| entry.expect("a readable folder").path())
        .flat_map(|path| {
            if path.is_dir() {
                rust_files(&path)
            } else if path.extension().is_some_and(|e| e == "rs") {
                vec![path]
            } else {
                Vec::new()
            }
        })
        .collect()
}
