//! What lies around the keys: settings, the terminal, and PKCS#11 modules with their tokens.

use std::io::IsTerminal;
use std::path::Path;

use clap::CommandFactory;

use super::finding::Findings;
use crate::cli::report::list;
use crate::key::{Reference, modules_for, survey};
use crate::{Error, Failure};

/// Which options take their value from the environment, never what it is.
pub(super) fn settings(findings: &mut Findings) {
    let mut read: Vec<String> = Vec::new();
    environment_of(&crate::cli::Arguments::command(), &mut read);
    read.extend(BY_NAME.map(str::to_owned));
    let mut set: Vec<String> = std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with("COREWARDEN_"))
        .collect();
    set.sort();
    let (known, unknown): (Vec<_>, Vec<_>) = set.into_iter().partition(|name| read.contains(name));
    findings.ok(
        "settings",
        match known.as_slice() {
            [] => "no option is taken from the environment".to_owned(),
            known => format!("taken from the environment: {}", list(known)),
        },
    );
    for name in unknown {
        findings.warn(
            "settings",
            format!("{name} is set, but nothing reads it; check its spelling"),
        );
    }
}

fn environment_of(command: &clap::Command, found: &mut Vec<String>) {
    for argument in command.get_arguments() {
        found.extend(
            argument
                .get_env()
                .and_then(|name| name.to_str())
                .map(str::to_owned),
        );
    }
    for below in command.get_subcommands() {
        environment_of(below, found);
    }
}

pub(super) fn terminal(findings: &mut Findings) {
    findings.ok(
        "terminal",
        if std::io::stdin().is_terminal() {
            "there is one: passphrases and PINs that are not given are asked for"
        } else {
            "there is none: passphrases and PINs come from the environment, a file or a descriptor"
        },
    );
}

/// The PKCS#11 modules and what is in their slots, for each token that is named.
pub(super) fn modules(
    findings: &mut Findings,
    first: Option<&Reference>,
    second: Option<&Reference>,
) {
    for reference in modules_of(first, second) {
        modules_for_one(findings, reference);
    }
}

/// Whose modules are looked at: those of each token that is named, or the usual ones where no key says that there is no need for them.
fn modules_of<'a>(
    first: Option<&'a Reference>,
    second: Option<&'a Reference>,
) -> Vec<Option<&'a Reference>> {
    let named = [first, second].into_iter().flatten();
    let tokens: Vec<_> = named
        .filter(|reference| matches!(reference, Reference::Token(_)))
        .map(Some)
        .collect();
    match (tokens.is_empty(), first) {
        (true, None) => vec![None],
        _ => tokens,
    }
}

fn modules_for_one(findings: &mut Findings, reference: Option<&Reference>) {
    let uri = match reference {
        Some(Reference::Token(uri)) => Some(&**uri),
        _ => None,
    };
    let Some((modules, chosen)) = findings.take("module", modules_for(uri)) else {
        return;
    };
    if modules.is_empty() {
        match uri {
            None => findings.ok("module", "no PKCS#11 module; none is needed for key files"),
            Some(_) => findings.fail("module", &Failure::from(Error::ModuleMissing)),
        }
    }
    for path in modules {
        let name = path.display();
        match survey(&path) {
            // Only a module that somebody named has to be usable.
            Err(failure) if !chosen => findings.warn("module", failure.to_string()),
            Err(failure) => findings.fail("module", &failure),
            Ok(found) if found.is_empty() => findings.ok("module", format!("{name}: no token")),
            Ok(found) => {
                findings.ok("module", name.to_string());
                for token in found {
                    match token.warning {
                        _ if token.locked => {
                            let failed = Failure::at(Path::new(&token.name));
                            findings.fail("token", &failed(Error::PinLocked));
                        }
                        None => findings.ok("token", token.name),
                        Some(warning) => {
                            findings.warn("token", format!("{}: {warning}", token.name));
                        }
                    }
                }
            }
        }
    }
}

/// Read by name, not as an option.
const BY_NAME: [&str; 3] = [
    "COREWARDEN_PIN",
    "COREWARDEN_PKCS11_MODULE",
    "COREWARDEN_SECOND_PIN",
];
