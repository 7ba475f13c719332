//! Where PKCS#11 modules lie.

use std::path::{Path, PathBuf};

use crate::{Error, Failure};

/// The module somebody named: in the URI, by its path or its name, or in the environment.
pub(crate) fn chosen(path: Option<&Path>, name: Option<&str>) -> Result<Option<PathBuf>, Failure> {
    if let Some(path) = path {
        return present(path.to_owned()).map(Some);
    }
    if let Some(name) = name {
        // RFC 7512, 2.3: a name without what comes before and after it in the file's.
        let names = [format!("{name}.so"), format!("lib{name}.so")];
        let found = folders()
            .into_iter()
            .flat_map(|folder| {
                names
                    .iter()
                    .map(move |name| folder.join(name))
                    .collect::<Vec<_>>()
            })
            .find(|path| path.is_file());
        let missing = || {
            Failure::from(Error::ModuleMissing).with_detail(format!("no {}", names.join(" or ")))
        };
        return found.map(Some).ok_or_else(missing);
    }
    match VARIABLES
        .iter()
        .find_map(|name| std::env::var_os(name).filter(|value| !value.is_empty()))
    {
        Some(path) => present(PathBuf::from(path)).map(Some),
        None => Ok(None),
    }
}

/// The modules that are tried where none was named, the one that knows all others first.
pub(crate) fn usual() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for name in USUAL {
        let path = folders()
            .into_iter()
            .map(|folder| folder.join(name))
            .find(|path| path.is_file());
        found.extend(path);
    }
    found
}

fn present(path: PathBuf) -> Result<PathBuf, Failure> {
    if path.is_file() {
        return Ok(path);
    }
    Err(Failure::at(&path)(Error::ModuleMissing))
}

/// Debian's folders, then everybody else's.
fn folders() -> Vec<PathBuf> {
    let triplet = match std::env::consts::ARCH {
        "arm" => "arm-linux-gnueabihf".to_owned(),
        "x86" => "i386-linux-gnu".to_owned(),
        other => format!("{other}-linux-gnu"),
    };
    let mut folders = Vec::new();
    for base in [
        format!("/usr/lib/{triplet}"),
        "/usr/lib64".to_owned(),
        "/usr/lib".to_owned(),
        "/usr/local/lib".to_owned(),
    ] {
        let base = PathBuf::from(base);
        for below in ["", "pkcs11", "softhsm"] {
            folders.push(base.join(below));
        }
    }
    folders
}

/// Ours, then the one that other tools read.
const VARIABLES: [&str; 2] = ["COREWARDEN_PKCS11_MODULE", "PKCS11_MODULE_PATH"];
const USUAL: [&str; 4] = [
    "p11-kit-proxy.so",
    "opensc-pkcs11.so",
    "libykcs11.so",
    "libsofthsm2.so",
];
