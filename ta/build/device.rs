//! The source text that embeds a device: its platform file, and the roots it pins.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use platform::{File, Platform, Role};

/// Checks the platform file `named`, relative to `root`, and its roots, and writes both down as Rust. `reads` is
/// told of every file.
pub(crate) fn source(root: &Path, named: &str, reads: impl Fn(&Path)) -> Result<String, String> {
    let read = |named: &str| {
        let path = root.join(named);
        reads(&path);
        fs::read(&path).map_err(|error| format!("{named}: {error}"))
    };
    let text = String::from_utf8(read(named)?).map_err(|error| format!("{named}: {error}"))?;
    let file: File = toml::from_str(&text).map_err(|error| format!("{named}: {error}"))?;
    let bytes = postcard::to_allocvec(&file).map_err(|error| format!("{named}: {error}"))?;
    let platform = Platform::try_from(file).map_err(|error| format!("{named}: {error}"))?;

    let mut source =
        format!("const PLATFORM: &[u8] = &{bytes:?};\nconst ROOTS: &[(u8, &[u8])] = &[\n");
    for root in platform.roots() {
        let der = der_of(root.file(), read(root.file())?)?;
        let pinned = certificate_chain::Root::parse(root.slot(), &der)
            .map_err(|error| format!("{}: {error}", root.file()))?;
        let development = pinned.role() == certificate_chain::Role::Development;
        if development && platform.role() == Role::Release {
            return Err(format!(
                "{named}: a release TA cannot pin {}, which is a development root",
                root.file()
            ));
        }
        writeln!(source, "    ({}, &{der:?}),", root.slot()).map_err(|error| error.to_string())?;
    }
    source.push_str("];\n");
    Ok(source)
}

/// How many cores the platform file that is asked for describes.
pub(crate) fn cores(root: &Path, named: &str) -> Result<usize, String> {
    let text = fs::read_to_string(root.join(named)).map_err(|error| format!("{named}: {error}"))?;
    let file: File = toml::from_str(&text).map_err(|error| format!("{named}: {error}"))?;
    let platform = Platform::try_from(file).map_err(|error| format!("{named}: {error}"))?;
    Ok(platform.cores().len())
}

/// A certificate as DER, from a file in PEM or DER.
fn der_of(named: &str, bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    if bytes.first() == Some(&DER_SEQUENCE) {
        return Ok(bytes);
    }
    let (label, der) = der::pem::decode_vec(&bytes).map_err(|error| format!("{named}: {error}"))?;
    match label {
        "CERTIFICATE" => Ok(der),
        label => Err(format!("{named}: a {label}, not a certificate")),
    }
}

/// The first byte of every certificate in DER.
const DER_SEQUENCE: u8 = 0x30;
