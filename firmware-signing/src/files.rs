//! Reading with a limit, writing at once or not at all.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use crate::signals::Held;
use crate::{Error, Failure};

/// Who may read an output, and what happens to a file that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A private key: mode 0600, never written over another file.
    Key,
    /// Anything else; written over another file only where `force` says so.
    Output {
        /// Whether a file that is there already may be replaced.
        force: bool,
    },
}

/// Reads a file of at most `limit` bytes.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    let file = File::open(path).map_err(Failure::io(path))?;
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    if size > limit {
        return Err(Failure::at(path)(Error::InputTooLarge { limit }));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size.min(limit)).unwrap_or(0));
    // One more than allowed: a pipe or a growing file does not tell its size beforehand.
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(Failure::io(path))?;
    if bytes.len() as u64 > limit {
        return Err(Failure::at(path)(Error::InputTooLarge { limit }));
    }
    Ok(bytes)
}

/// The same for what must not stay in memory.
pub fn read_secret(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, Failure> {
    read(path, limit).map(Zeroizing::new)
}

/// Refuses before any work is done what [`write()`] would refuse after it.
pub fn check_output(path: &Path, kind: Kind, inputs: &[&Path]) -> Result<(), Failure> {
    let Ok(metadata) = fs::metadata(path) else {
        return Ok(());
    };
    let canonical = fs::canonicalize(path).ok();
    if canonical.is_some()
        && inputs
            .iter()
            .any(|input| fs::canonicalize(input).ok() == canonical)
    {
        return Err(Failure::at(path)(Error::OutputIsInput));
    }
    match kind {
        Kind::Key => Err(Failure::at(path)(Error::KeyExists)),
        Kind::Output { force: false } if metadata.is_file() => {
            Err(Failure::at(path)(Error::OutputExists))
        }
        Kind::Output { .. } => Ok(()),
    }
}

/// Writes all `parts` one after the other: a reader finds the whole new file or what was there before.
pub fn write(path: &Path, kind: Kind, parts: &[&[u8]]) -> Result<(), Failure> {
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) && kind != Kind::Key {
        // A pipe or a device cannot be replaced by a file.
        let failed = Failure::io(path);
        let mut file = File::options().write(true).open(path).map_err(&failed)?;
        return parts
            .iter()
            .try_for_each(|part| file.write_all(part))
            .map_err(&failed);
    }
    publish(vec![Staged::new(path, kind, parts)?])
}

/// A file that is on the disk already, but has not its name yet; without [`publish`] it vanishes.
#[derive(Debug)]
pub struct Staged {
    path: PathBuf,
    kind: Kind,
    temporary: NamedTempFile,
    /// Dropped last, when the temporary file has its name or is gone.
    _held: Held,
}

impl Staged {
    /// Writes all `parts` one after the other, for `path`.
    pub fn new(path: &Path, kind: Kind, parts: &[&[u8]]) -> Result<Self, Failure> {
        let failed = Failure::io(path);
        let folder = folder_of(path);
        // Asked here because `tempfile` hides the system's own words.
        fs::metadata(folder).map_err(Failure::io(folder))?;
        let mode = match kind {
            Kind::Key => 0o600,
            Kind::Output { .. } => 0o666,
        };
        let held = Held::new();
        let mut temporary = tempfile::Builder::new()
            .permissions(Permissions::from_mode(mode))
            .tempfile_in(folder)
            .map_err(&failed)?;
        for piece in parts.iter().flat_map(|part| part.chunks(PIECE)) {
            if held.came() {
                return Err(Failure::at(path)(Error::Interrupted));
            }
            temporary.write_all(piece).map_err(&failed)?;
        }
        temporary.as_file().sync_all().map_err(&failed)?;
        if held.came() {
            return Err(Failure::at(path)(Error::Interrupted));
        }
        Ok(Self {
            path: path.to_owned(),
            kind,
            temporary,
            _held: held,
        })
    }
}

/// Gives files their names: everything that can go wrong with their bytes has gone wrong before.
pub fn publish(files: Vec<Staged>) -> Result<(), Failure> {
    let mut folders = BTreeSet::new();
    for staged in files {
        let path = &staged.path;
        folders.insert(folder_of(path).to_owned());
        let persisted = match staged.kind {
            Kind::Output { force: true } => staged.temporary.persist(path),
            Kind::Key | Kind::Output { force: false } => staged.temporary.persist_noclobber(path),
        };
        match persisted {
            Ok(_) => {}
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(Failure::at(path)(match staged.kind {
                    Kind::Key => Error::KeyExists,
                    Kind::Output { .. } => Error::OutputExists,
                }));
            }
            Err(error) => return Err(Failure::io(path)(error.error)),
        }
    }
    // The renames themselves last only once the folder is on the disk.
    for folder in folders {
        File::open(&folder)
            .and_then(|open| open.sync_all())
            .map_err(Failure::io(&folder))?;
    }
    Ok(())
}

/// A folder for outputs. What was made for it goes again where no output came.
#[derive(Debug)]
pub struct Folder {
    /// The folders that were not there, the deepest first.
    made: Vec<PathBuf>,
    /// Dropped last, when what was made in vain is gone.
    _held: Held,
}

impl Folder {
    /// Makes `path` and what is missing above it.
    pub fn make(path: &Path) -> Result<Self, Failure> {
        let missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
        let made = path.ancestors().take_while(missing);
        let folder = Self {
            made: made.map(Path::to_owned).collect(),
            _held: Held::new(),
        };
        fs::create_dir_all(path).map_err(Failure::io(path))?;
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Only an empty folder can be removed; the first that is not keeps those above it.
        let _ = self.made.iter().try_for_each(fs::remove_dir);
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// What is written between two looks at whether somebody wants the program to end.
const PIECE: usize = 1 << 20;
