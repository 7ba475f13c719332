//! What the documents say of the tree itself: folders, links, licences, keys, and what can be linked into the TA.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

#[test]
fn every_folder_and_link_of_the_documents_exists() {
    let mut checked = 0;
    for document in documents() {
        let folder = document.parent().expect("a document lies in a folder");
        for target in links(&read(&document)) {
            checked += 1;
            assert!(
                folder.join(&target).exists(),
                "{} names {target}, which is not there",
                document.display()
            );
        }
    }
    assert!(checked > 10, "only {checked} links found");
    let readme = read(&workspace().join("README.md"));
    let folders: Vec<_> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(folder, _)| folder)
        .collect();
    assert!(folders.len() > 10, "only {} folders found", folders.len());
    for folder in folders {
        assert!(workspace().join(folder).is_dir(), "no folder {folder}");
    }
}

#[test]
fn every_crate_takes_lints_and_licence_from_the_workspace() {
    for manifest in manifests() {
        let file: toml::Table = toml::from_str(&read(&manifest)).expect("a manifest is TOML");
        let inherited = |section: &toml::Value, key: &str| {
            section
                .get(key)
                .and_then(|value| value.get("workspace"))
                .and_then(toml::Value::as_bool)
                == Some(true)
        };
        for key in ["license", "edition", "rust-version", "publish"] {
            assert!(
                inherited(&file["package"], key),
                "{}: {key}",
                manifest.display()
            );
        }
        let lints = file.get("lints").and_then(|lints| lints.get("workspace"));
        assert_eq!(
            lints.and_then(toml::Value::as_bool),
            Some(true),
            "{}: lints",
            manifest.display()
        );
    }
    for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
        assert!(read(&workspace().join(licence)).len() > 500, "{licence}");
    }
}

#[test]
fn only_the_ta_and_libfuzzers_programs_are_outside_of_the_default_members() {
    let file: toml::Table =
        toml::from_str(&read(&workspace().join("Cargo.toml"))).expect("a manifest is TOML");
    let list = |name: &str| -> BTreeSet<String> {
        let members = file["workspace"][name].as_array().expect("a list");
        members
            .iter()
            .map(|member| member.as_str().expect("a folder").to_owned())
            .collect()
    };
    let (all, tested) = (list("members"), list("default-members"));
    let outside: Vec<_> = all.difference(&tested).collect();
    assert_eq!(outside, ["ta", "tools/fuzz/libfuzzer"]);
    assert!(tested.is_subset(&all));
}

#[test]
fn what_goes_into_op_tee_is_bsd_licensed() {
    let folder = workspace().join("tools/testbed/pta");
    for file in entries(&folder) {
        if file.extension().is_some_and(|e| e == "c" || e == "h") {
            let first = read(&file).lines().next().unwrap_or_default().to_owned();
            assert!(
                first.contains("SPDX-License-Identifier: BSD-2-Clause"),
                "{}",
                file.display()
            );
        }
    }
    let licence = read(&workspace().join("tools/testbed/LICENSE-BSD-2-Clause"));
    assert!(licence.contains("Redistribution and use in source and binary forms"));
}

#[test]
fn ci_runs_the_check_that_the_readme_names() {
    let program = read(&workspace().join(".ci/run"));
    let command = "cargo xtask check";
    assert!(program.contains(command), "{program}");
    assert!(read(&workspace().join("README.md")).contains(command));
}

#[test]
fn neither_an_elf_parser_nor_rpmsg_is_linked_into_the_trusted_application() {
    for package in ["ta-core", "corewarden-ta"] {
        let linked = linked(package);
        assert!(
            linked.contains("firmware-bundle"),
            "{package} links {linked:?}"
        );
        for absent in [
            "goblin",
            "object",
            "elf",
            "rpmsg",
            "corewarden",
            "simulator",
        ] {
            assert!(!linked.contains(absent), "{package} links {absent}");
        }
    }
    let signer = linked("firmware-signing");
    assert!(
        signer.contains("goblin"),
        "a parser is found where there is one"
    );
}

#[test]
fn every_development_key_says_so_in_its_name() {
    let keys = workspace().join("keys");
    let mut count = 0;
    for file in entries(&keys) {
        let name = file.file_name().expect("a name").to_string_lossy();
        if name == "README.md" {
            continue;
        }
        count += 1;
        assert!(name.starts_with("dev-"), "{name}");
    }
    assert!(count > 5, "only {count} files in {}", keys.display());
}

/// The packages that are linked into a library or program, itself included.
fn linked(package: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--edges", "normal", "--prefix", "none"])
        .args(["--package", package, "--format", "{p}"])
        .current_dir(workspace())
        .output()
        .expect("cargo tree starts");
    assert!(
        output.status.success(),
        "cargo tree: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect()
}

/// The folders and files that a document's links lead to.
fn links(text: &str) -> Vec<String> {
    text.split("](")
        .skip(1)
        .filter_map(|behind| behind.split(')').next())
        .filter(|target| !target.contains("://") && !target.starts_with('#'))
        .map(|target| target.split('#').next().unwrap_or(target).to_owned())
        .collect()
}

fn documents() -> Vec<PathBuf> {
    [
        workspace(),
        workspace().join("docs"),
        workspace().join("keys"),
    ]
    .iter()
    .flat_map(|folder| entries(folder))
    .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
    .collect()
}

/// The manifests of the workspace's members.
fn manifests() -> Vec<PathBuf> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(workspace())
        .output()
        .expect("cargo metadata starts");
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| PathBuf::from(package["manifest_path"].as_str().expect("a path")))
        .collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .expect("a folder of the workspace")
        .map(|entry| entry.expect("a readable folder").path())
        .collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
