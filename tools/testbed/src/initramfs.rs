//! What Linux in the machine sees: busybox, the TEE's user space, and what the caller adds.
//!
//! The archive depends on its contents only: entries are sorted, and there are no times, owners or inode numbers of
//! the host in it.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Context;
use flate2::{Compression, GzBuilder};

use crate::{Assets, Result};

mod newc;

use newc::Node;

/// An initial file system in the making.
#[derive(Clone, Debug)]
pub struct Initramfs {
    nodes: BTreeMap<String, Node>,
}

impl Initramfs {
    /// What every boot needs: shell, C library, modules, tee-supplicant and an `/init` that brings the TEE up.
    pub fn new(assets: &Assets) -> Result<Self> {
        let mut image = Self::empty();
        let userland = &assets.userland;
        for program in ["usr/bin/busybox", "usr/sbin/tee-supplicant"] {
            image = image.copied(program, 0o755, &userland.join(program))?;
        }
        for library in LIBRARIES {
            let name = format!("usr/lib/aarch64-linux-gnu/{library}");
            let from = userland.join(&name);
            image = image.copied(&name, 0o755, &from)?;
        }
        let loader = "usr/lib/ld-linux-aarch64.so.1";
        image = image.copied(loader, 0o755, &loader_of(userland))?;
        for module in &assets.modules {
            let name = module
                .file_name()
                .and_then(|name| name.to_str())
                .context("a module without a name")?;
            image = image.copied(&format!("usr/lib/modules/{name}"), 0o644, module)?;
        }
        image.add("init", Node::file(0o755, INIT.as_bytes().to_vec()));
        Ok(image)
    }

    /// Adds a file; one of the same name is replaced. `path` is relative to the root, or begins with a slash.
    #[must_use]
    pub fn file(mut self, path: &str, mode: u32, bytes: Vec<u8>) -> Self {
        self.add(path.trim_start_matches('/'), Node::file(mode, bytes));
        self
    }

    /// Adds the script that is run instead of an interactive shell; the machine is switched off after it.
    #[must_use]
    pub fn script(self, bytes: Vec<u8>) -> Self {
        self.file(SCRIPT, 0o755, bytes)
    }

    /// The compressed archive.
    pub fn build(&self) -> Result<Vec<u8>> {
        let archive = newc::archive(&self.nodes)?;
        let mut encoder = GzBuilder::new().write(Vec::new(), Compression::fast());
        encoder
            .write_all(&archive)
            .context("cannot compress the initramfs")?;
        encoder.finish().context("cannot compress the initramfs")
    }

    /// Folders and links only.
    fn empty() -> Self {
        let mut image = Self {
            nodes: BTreeMap::new(),
        };
        for folder in FOLDERS {
            image.add(folder, Node::Folder);
        }
        for (link, target) in [
            ("bin", "usr/bin"),
            ("lib", "usr/lib"),
            ("sbin", "usr/sbin"),
            ("usr/bin/sh", "busybox"),
        ] {
            image.add(link, Node::Link(target.to_owned()));
        }
        image
    }

    fn copied(self, name: &str, mode: u32, from: &Path) -> Result<Self> {
        let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        Ok(self.file(name, mode, bytes))
    }

    /// Adds a node and the folders above it. A path through a top-level link goes to where the link points.
    fn add(&mut self, path: &str, node: Node) {
        let path = match path.split_once('/') {
            Some((first @ ("bin" | "lib" | "sbin"), rest)) => format!("usr/{first}/{rest}"),
            _ => path.to_owned(),
        };
        let mut above = Path::new(&path).parent();
        while let Some(folder) = above
            .and_then(Path::to_str)
            .filter(|folder| !folder.is_empty())
        {
            self.nodes.entry(folder.to_owned()).or_insert(Node::Folder);
            above = Path::new(folder).parent();
        }
        self.nodes.insert(path, node);
    }
}

/// Debian keeps the loader in the architecture's folder, with a link beside it in `usr/lib`.
fn loader_of(userland: &Path) -> PathBuf {
    userland.join("usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1")
}

/// What tee-supplicant and our programs link to, and libm for whatever a test brings.
const LIBRARIES: [&str; 5] = [
    "libc.so.6",
    "libgcc_s.so.1",
    "libm.so.6",
    "libteec.so.2",
    "libz.so.1",
];

const FOLDERS: [&str; 10] = [
    "dev",
    "etc/corewarden",
    "proc",
    "root",
    "run",
    "sys",
    "tmp",
    "usr/lib/optee_armtz",
    "usr/lib/tee-supplicant/plugins",
    "var/lib/optee-client/data/tee",
];

const SCRIPT: &str = "etc/corewarden/script";

const INIT: &str = include_str!("initramfs/init.sh");

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn the_same_contents_give_the_same_bytes() {
        let one = Initramfs::empty()
            .file("/a", 0o644, b"1".to_vec())
            .script(b"true".to_vec());
        let two = Initramfs::empty()
            .script(b"true".to_vec())
            .file("a", 0o644, b"1".to_vec());
        assert_eq!(one.build().unwrap(), two.build().unwrap());
    }

    #[test]
    fn a_file_below_a_link_goes_where_the_link_points() {
        let image = Initramfs::empty().file("/lib/optee_armtz/x.ta", 0o444, vec![1]);
        assert!(image.nodes.contains_key("usr/lib/optee_armtz/x.ta"));
        assert!(matches!(image.nodes["lib"], Node::Link(_)));
    }

    #[test]
    fn folders_of_an_added_file_are_made() {
        let image = Initramfs::empty().file("opt/deep/file", 0o644, Vec::new());
        assert!(matches!(image.nodes["opt"], Node::Folder));
        assert!(matches!(image.nodes["opt/deep"], Node::Folder));
    }

    #[test]
    fn the_archive_is_inside_the_compression() {
        let mut archive = Vec::new();
        let bytes = Initramfs::empty().build().unwrap();
        GzDecoder::new(bytes.as_slice())
            .read_to_end(&mut archive)
            .unwrap();
        assert!(archive.starts_with(b"070701"));
    }
}
