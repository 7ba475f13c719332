//! The one folder that downloads, unpacked packages and slow builds live in.
//!
//! Everything in it appears by a rename of a finished thing, and whoever changes it holds the lock file; so two
//! programs can share it, and one that dies leaves only a `.partial` folder that the next one removes.

use std::{
    env,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

use crate::Result;

/// The cache folder.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// The folder that `COREWARDEN_CACHE` names, or `corewarden` in the user's cache folder.
    pub fn open() -> Result<Self> {
        let set = |name| {
            env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let root = if let Some(root) = set("COREWARDEN_CACHE") {
            root
        } else if let Some(folder) = set("XDG_CACHE_HOME") {
            folder.join("corewarden")
        } else if let Some(home) = set("HOME") {
            home.join(".cache/corewarden")
        } else {
            bail!("no folder for downloads: set COREWARDEN_CACHE, XDG_CACHE_HOME or HOME");
        };
        Self::at(&root)
    }

    /// A cache in `root`, which is created if need be.
    pub fn at(root: &Path) -> Result<Self> {
        fs::create_dir_all(root)
            .with_context(|| format!("cannot create the cache folder {}", root.display()))?;
        let root = root
            .canonicalize()
            .with_context(|| format!("cannot resolve {}", root.display()))?;
        Ok(Self { root })
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Waits until nobody else changes the cache; the guard ends with its value, or with the process.
    pub(crate) fn exclusive(&self) -> Result<Exclusive> {
        let mut guard = Exclusive::on(&self.root.join("lock"))?;
        let leftovers = self.root.join(PARTIAL);
        if leftovers.exists() {
            fs::remove_dir_all(&leftovers)
                .with_context(|| format!("cannot remove {}", leftovers.display()))?;
        }
        guard.scratch = Some(leftovers);
        Ok(guard)
    }

    /// An empty folder for unfinished work, on the same file system; needs the guard, which says nobody else is here.
    pub(crate) fn partial(&self, _guard: &Exclusive, name: &str) -> Result<PathBuf> {
        let folder = self.root.join(PARTIAL).join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(folder)
    }
}

/// Holding an `Exclusive` tells you that no other process holds one on the same file.
#[derive(Debug)]
pub(crate) struct Exclusive {
    #[expect(dead_code, reason = "held for its lock, which ends when it closes")]
    file: File,
    scratch: Option<PathBuf>,
}

impl Drop for Exclusive {
    fn drop(&mut self) {
        if let Some(scratch) = &self.scratch {
            // What is left is removed by the next one at the latest.
            let _ = fs::remove_dir_all(scratch);
        }
    }
}

impl Exclusive {
    /// Waits for the lock on `path`.
    pub(crate) fn on(path: &Path) -> Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
        }
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        let locked = match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                eprintln!(
                    "    waiting for another program, which holds {}",
                    path.display()
                );
                file.lock()
            }
            Err(TryLockError::Error(error)) => Err(error),
            Ok(()) => Ok(()),
        };
        locked.with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(Self {
            file,
            scratch: None,
        })
    }
}

const PARTIAL: &str = ".partial";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_of_a_dead_process_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path()).unwrap();
        let guard = cache.exclusive().unwrap();
        let partial = cache.partial(&guard, "work").unwrap();
        fs::write(partial.join("half"), b"half").unwrap();
        drop(guard);
        let _guard = cache.exclusive().unwrap();
        assert!(!partial.exists());
    }

    #[test]
    fn the_second_process_waits_for_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path()).unwrap();
        let guard = cache.exclusive().unwrap();
        let other = File::options()
            .write(true)
            .open(folder.path().join("lock"))
            .unwrap();
        assert!(other.try_lock().is_err());
        drop(guard);
        assert!(other.try_lock().is_ok());
    }
}
