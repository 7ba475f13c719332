//! The certificates that lie beside a key file: the key's own, by its public key, and the ones above it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::files;
use crate::pki::{Certificate, Kind};

/// The certificate for `public_key` from a file of the key's stem, and the chain above it from that file or its folder.
///
/// Nothing found is no error here: what is missing is named by whoever needs it.
pub(super) fn certificates(key: &Path, public_key: &[u8]) -> Vec<Certificate> {
    let own = named_alike(key)
        .into_iter()
        .map(|path| read(&path))
        .find(|all| all.iter().any(|one| is_of(one, public_key)));
    let Some(mut found) = own else {
        return Vec::new();
    };
    // From the signer upwards; a chain has three certificates at most.
    let Some(mut below) = found.iter().find(|one| is_of(one, public_key)).cloned() else {
        return found;
    };
    for _ in 0..2 {
        if below.kind() == Kind::Root {
            break;
        }
        let above = found.iter().find(|one| below.is_issued_by(one)).cloned();
        let above = above.or_else(|| {
            in_folder(key)
                .iter()
                .flat_map(|path| read(path))
                .find(|one| below.is_issued_by(one))
        });
        let Some(above) = above else {
            break;
        };
        if !found.contains(&above) {
            found.push(above.clone());
        }
        below = above;
    }
    found
}

fn is_of(certificate: &Certificate, public_key: &[u8]) -> bool {
    certificate.public_key().is_ok_and(|key| key == public_key)
}

/// `signer.key.pem` has the stems `signer.key` and `signer`; its certificate is `signer.pem` or `signer.crt`, or within the key's file.
fn named_alike(key: &Path) -> Vec<PathBuf> {
    let mut paths = vec![key.to_owned()];
    let mut stem = key.to_owned();
    while stem.extension().is_some() {
        stem.set_extension("");
        for extension in EXTENSIONS {
            let mut name = stem.clone().into_os_string();
            name.push(".");
            name.push(extension);
            paths.push(PathBuf::from(name));
        }
    }
    if key.extension().is_none() {
        paths.extend(EXTENSIONS.map(|extension| key.with_extension(extension)));
    }
    paths
}

fn in_folder(key: &Path) -> Vec<PathBuf> {
    let folder = match key.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries
        .take(MAX_ENTRIES)
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            let extension = path.extension().and_then(|extension| extension.to_str());
            extension.is_some_and(|extension| EXTENSIONS.contains(&extension)) && path.is_file()
        })
        .collect();
    // A folder has no order of its own, and the answer must not depend on it.
    paths.sort();
    paths
}

/// The certificates of a file, between keys and whatever else is in it.
fn read(path: &Path) -> Vec<Certificate> {
    let Ok(bytes) = files::read_secret(path, MAX_FILE) else {
        return Vec::new();
    };
    if let Ok(certificate) = Certificate::from_der(&bytes) {
        return vec![certificate];
    }
    let text = core::str::from_utf8(&bytes).unwrap_or_default();
    super::pem_blocks(text)
        .into_iter()
        .filter_map(|block| match der::pem::decode_vec(block.as_bytes()) {
            Ok(("CERTIFICATE", der)) => Certificate::from_der(&der).ok(),
            _ => None,
        })
        .collect()
}

const EXTENSIONS: [&str; 4] = ["pem", "crt", "cer", "der"];
/// A folder with more is no place for keys.
const MAX_ENTRIES: usize = 1024;
const MAX_FILE: u64 = 1 << 16;
