//! Stamps: a product is fresh while the digest of all its inputs is the one written beside it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;

use crate::{Result, checksum::Hasher};

/// The digest of everything that a product is made from, in the making.
pub(super) struct Inputs(Hasher);

impl Inputs {
    pub(super) fn new() -> Self {
        Self(Hasher::new())
    }

    pub(super) fn text(mut self, text: &str) -> Self {
        self.0.part(text.as_bytes());
        self
    }

    pub(super) fn file(mut self, path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        self.0.part(&bytes);
        Ok(self)
    }

    /// Every file below `folder`, by name and contents.
    pub(super) fn folder(mut self, folder: &Path) -> Result<Self> {
        let mut files = Vec::new();
        collect(folder, &mut files)?;
        files.sort();
        for file in files {
            self = self
                .text(&file.strip_prefix(folder).unwrap_or(&file).to_string_lossy())
                .file(&file)?;
        }
        Ok(self)
    }

    pub(super) fn stamp(self) -> String {
        self.0.finish().to_string()
    }
}

/// Whether `product` was made from the inputs of `stamp`.
pub(super) fn is_fresh(product: &Path, stamp: &str) -> bool {
    product.exists() && fs::read_to_string(stamp_of(product)).is_ok_and(|found| found == stamp)
}

/// Says that `product` is not to be trusted until [`mark_fresh`]: an interrupted build must not look finished.
pub(super) fn mark_stale(product: &Path) -> Result<()> {
    let path = stamp_of(product);
    if path.exists() {
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}

/// Says what `product` was made from.
pub(super) fn mark_fresh(product: &Path, stamp: &str) -> Result<()> {
    let path = stamp_of(product);
    fs::write(&path, stamp).with_context(|| format!("cannot write {}", path.display()))
}

fn stamp_of(product: &Path) -> PathBuf {
    let mut name = product.as_os_str().to_owned();
    name.push(".stamp");
    PathBuf::from(name)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_changes_the_stamp() {
        let folder = tempfile::tempdir().unwrap();
        let stamp = || Inputs::new().folder(folder.path()).unwrap().stamp();
        fs::write(folder.path().join("a.c"), b"1").unwrap();
        let before = stamp();
        assert_eq!(before, stamp());
        fs::write(folder.path().join("a.c"), b"2").unwrap();
        assert_ne!(before, stamp());
    }

    #[test]
    fn a_product_is_fresh_only_while_its_stamp_is_right() {
        let folder = tempfile::tempdir().unwrap();
        let product = folder.path().join("flash.bin");
        fs::write(&product, b"image").unwrap();
        assert!(!is_fresh(&product, "one"));
        mark_fresh(&product, "one").unwrap();
        assert!(is_fresh(&product, "one") && !is_fresh(&product, "two"));
        mark_stale(&product).unwrap();
        assert!(!is_fresh(&product, "one"));
    }
}
