//! `doctor`: whether all that signing needs is there and fits together, before it is needed.

use std::ffi::OsString;
use std::fmt::{self, Display};
use std::io::IsTerminal;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory};
use platform::Platform;
use serde::Serialize;

use super::inputs::{certificates, core_of, platform_file, roots};
use super::options::{KeyAccess, date};
use super::report::{Report, Schema, list};
use crate::key::{Custody, Key, Reference, Signer, key_id, modules_for, published, survey};
use crate::pki::{self, Certificate, Date, Kind, Role};
use crate::{Error, Failure, hex};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Doctor {
    /// The private key to try: a file, a pkcs11: URI, or exec:PROGRAM
    #[arg(long, env = "COREWARDEN_KEY", hide_env_values = true)]
    key: Option<OsString>,
    /// Certificates of the signer and its product CA; where they are left out, those beside the key file or on the token
    #[arg(
        long = "cert",
        value_name = "CERTIFICATE",
        env = "COREWARDEN_CERT",
        hide_env_values = true,
        value_delimiter = ':'
    )]
    certificates: Vec<PathBuf>,
    /// Root certificate; where it is left out, the one the platform file names
    #[arg(
        long = "root",
        value_name = "CERTIFICATE",
        env = "COREWARDEN_ROOT",
        hide_env_values = true,
        value_delimiter = ':'
    )]
    roots: Vec<PathBuf>,
    /// The platform file (TOML) of the machine
    #[arg(
        long,
        value_name = "FILE",
        env = "COREWARDEN_PLATFORM",
        hide_env_values = true
    )]
    platform: Option<PathBuf>,
    /// A core the signer should be allowed to sign for, by name or id (repeat for more)
    #[arg(
        long = "core",
        value_name = "CORE",
        env = "COREWARDEN_CORE",
        hide_env_values = true
    )]
    cores: Vec<String>,
    /// Judge the certificates' dates at this moment instead of now
    #[arg(long, value_name = "DATE", value_parser = date)]
    at: Option<Date>,
    #[command(flatten)]
    access: KeyAccess,
}

pub(super) fn run(arguments: &Doctor) -> Result<Report, Failure> {
    let at = arguments.at.map_or_else(Date::now, Ok)?;
    let mut findings = Findings::default();
    settings(&mut findings);
    terminal(&mut findings);
    let reference = arguments.key.as_deref().map(Reference::parse).transpose();
    let reference = findings.take("key", reference).flatten();
    if !matches!(reference, Some(Reference::File(_) | Reference::Program(_))) {
        modules(&mut findings, reference.as_ref());
    }
    let mut given = Vec::new();
    for path in &arguments.certificates {
        given.extend(
            findings
                .take("certificates", certificates(path))
                .unwrap_or_default(),
        );
    }
    let key = reference.and_then(|reference| key(&mut findings, &reference, arguments, &given));
    let platform = arguments.platform.as_deref();
    let platform = platform.and_then(|path| {
        let platform = findings.take("platform", platform_file(path))?;
        findings.ok(
            "platform",
            format!("{}: {}", path.display(), platform.name()),
        );
        Some((platform, path))
    });
    let pinned = pinned(&mut findings, arguments, platform.as_ref());
    let all = key.as_ref().map_or(&given[..], Key::certificates);
    let chain = chain(&mut findings, key.as_ref(), all, at);
    trust(&mut findings, &chain, &pinned, at);
    if let Some((platform, path)) = &platform {
        cores(&mut findings, arguments, platform, path, &chain);
    }
    let code = findings.code;
    Ok(Report::verdict(findings, code))
}

/// Which options take their value from the environment, never what it is.
fn settings(findings: &mut Findings) {
    let mut read: Vec<String> = Vec::new();
    environment_of(&super::Arguments::command(), &mut read);
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

fn terminal(findings: &mut Findings) {
    findings.ok(
        "terminal",
        if std::io::stdin().is_terminal() {
            "there is one: passphrases and PINs that are not given are asked for"
        } else {
            "there is none: passphrases and PINs come from the environment, a file or a descriptor"
        },
    );
}

/// The PKCS#11 modules and what is in their slots.
fn modules(findings: &mut Findings, reference: Option<&Reference>) {
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

/// Opens the key and lets it sign something.
fn key(
    findings: &mut Findings,
    reference: &Reference,
    arguments: &Doctor,
    given: &[Certificate],
) -> Option<Key> {
    let key = findings.take("key", reference.open(&arguments.access, given))?;
    let place = reference.to_string();
    let id = key_id(key.public_key());
    if findings
        .take(
            "key",
            key.sign(TRIAL).map_err(Failure::at(Path::new(&place))),
        )
        .is_some()
    {
        findings.ok(
            "key",
            format!(
                "{place}: signs with {}, key {}",
                key.algorithm().name(),
                hex(&id)
            ),
        );
    }
    if key.custody() == Custody::PlainFile {
        findings.warn(
            "key",
            format!("{place}: not encrypted; `sign --release` refuses it"),
        );
    }
    if let Some(name) = published(&id) {
        findings.warn(
            "key",
            format!("{place}: {name}, a published test key; `sign --release` refuses it"),
        );
    }
    let mode = reference.file().and_then(|path| path.metadata().ok());
    if let Some(mode) = mode.map(|metadata| metadata.permissions().mode() & 0o777)
        && mode & 0o077 != 0
    {
        findings.warn(
            "key",
            format!("{place}: its mode is {mode:03o}, so others can read it: chmod 600"),
        );
    }
    Some(key)
}

/// The certificates from the signer's upwards, each judged by the profile and its dates.
fn chain(
    findings: &mut Findings,
    key: Option<&Key>,
    certificates: &[Certificate],
    at: Date,
) -> Vec<Certificate> {
    let leaf = certificates.iter().find(|one| one.kind() == Kind::Leaf);
    let leaf = leaf.and_then(|one| one.public_key().ok());
    let own = key.map(|key| key.public_key().to_vec()).or(leaf);
    let ordered = match own {
        Some(own) => pki::order_chain(&own, certificates),
        None => Ok(Vec::new()),
    };
    let ordered = findings.take("certificates", ordered.map_err(Failure::from));
    let chain = ordered.unwrap_or_default();
    for certificate in &chain {
        judge(findings, certificate, at);
    }
    chain
}

fn judge(findings: &mut Findings, certificate: &Certificate, at: Date) {
    let subject = certificate.subject();
    let place = Path::new(&subject);
    let profile = certificate.profile().map_err(Failure::at(place));
    let Some(profile) = findings.take("certificates", profile) else {
        return;
    };
    let dates = certificate.check_dates(at).map_err(Failure::at(place));
    if findings.take("certificates", dates).is_none() {
        return;
    }
    let until = certificate.not_after();
    if until < at.plus_days(SOON) {
        findings.warn(
            "certificates",
            format!("{subject}: ends on {until}, within {SOON} days"),
        );
    } else {
        findings.ok("certificates", format!("{subject}: valid until {until}"));
    }
    if profile
        .scope()
        .is_some_and(|scope| scope.role() == Role::Development)
    {
        findings.warn(
            "certificates",
            format!("{subject}: for development; `sign --release` refuses it"),
        );
    }
}

/// The roots that were given or that the platform file names.
fn pinned(
    findings: &mut Findings,
    arguments: &Doctor,
    platform: Option<&(Platform, &Path)>,
) -> Vec<Certificate> {
    let found = match platform {
        // It is the first key that is tried here, so the second slot's roots say nothing of it.
        Some((platform, path)) => roots([&arguments.roots, &[]], platform, path).map(|roots| {
            let first = roots.into_iter().filter(|(slot, _)| *slot == 0);
            first.map(|(_, root)| root).collect()
        }),
        None => arguments
            .roots
            .iter()
            .map(|path| super::inputs::only(path))
            .collect(),
    };
    findings.take("roots", found).unwrap_or_default()
}

/// Whether a root signed the uppermost certificate.
fn trust(findings: &mut Findings, chain: &[Certificate], pinned: &[Certificate], at: Date) {
    for root in pinned {
        judge(findings, root, at);
    }
    let Some(top) = chain.last() else {
        return;
    };
    if pinned.is_empty() {
        findings.warn(
            "roots",
            "none given, so nothing tells whether a device trusts the signer",
        );
        return;
    }
    for pair in chain.windows(2) {
        if let [below, above] = pair
            && !below.is_issued_by(above)
        {
            findings.fail(
                "roots",
                &Failure::at(Path::new(&below.subject()))(Error::Chain(
                    certificate_chain::Error::Signature,
                )),
            );
        }
    }
    match pinned.iter().find(|root| top.is_issued_by(root)) {
        Some(root) => findings.ok(
            "roots",
            format!("{} signed {}", root.subject(), top.subject()),
        ),
        None => findings.fail(
            "roots",
            &Failure::at(Path::new(&top.subject()))(Error::Chain(
                certificate_chain::Error::UnknownRoot,
            )),
        ),
    }
}

/// Whether the signer may sign for the cores of the platform.
fn cores(
    findings: &mut Findings,
    arguments: &Doctor,
    platform: &Platform,
    path: &Path,
    chain: &[Certificate],
) {
    let scope = chain.first().and_then(|leaf| leaf.profile().ok());
    let scope = scope.as_ref().and_then(|profile| profile.scope());
    for wanted in &arguments.cores {
        let core = core_of(platform, path, wanted);
        let Some(core) = findings.take("cores", core) else {
            continue;
        };
        let Some(scope) = scope else {
            continue;
        };
        let here = scope.cores().contains(&core.id())
            && scope.classes().contains(&platform.device_class().bytes());
        if here {
            findings.ok(
                "cores",
                format!(
                    "{} ({}): the signer may sign up to version {}",
                    core.name(),
                    core.id(),
                    scope.ceiling()
                ),
            );
        } else {
            let failure = Failure::from(Error::SignerNotForCore { core: core.id() });
            findings.fail("cores", &failure);
        }
    }
}

/// What was found, line by line.
#[derive(Debug, Default, Serialize)]
struct Findings {
    findings: Vec<Finding>,
    #[serde(skip)]
    code: u8,
}

#[derive(Debug, Serialize)]
struct Finding {
    about: &'static str,
    verdict: &'static str,
    text: String,
}

impl Findings {
    fn ok(&mut self, about: &'static str, text: impl Into<String>) {
        self.add(about, "ok", text.into());
    }

    fn warn(&mut self, about: &'static str, text: impl Into<String>) {
        self.add(about, "warn", text.into());
    }

    /// The first failure gives the exit code.
    fn fail(&mut self, about: &'static str, failure: &Failure) {
        if self.code == 0 {
            self.code = failure.error.exit_code();
        }
        self.add(about, "fail", failure.to_string());
    }

    /// What a check gave, or a failure that is written down.
    fn take<T>(&mut self, about: &'static str, result: Result<T, Failure>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(failure) => {
                self.fail(about, &failure);
                None
            }
        }
    }

    fn add(&mut self, about: &'static str, verdict: &'static str, text: String) {
        self.findings.push(Finding {
            about,
            verdict,
            text,
        });
    }
}

impl Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(
                f,
                "{:4}  {:12}  {}",
                finding.verdict, finding.about, finding.text
            )?;
        }
        Ok(())
    }
}

impl Schema for Findings {
    const NAME: &'static str = "corewarden-sign/doctor";
}

/// What a key is asked to sign: no message that any device takes for a bundle's.
const TRIAL: &[u8] = b"corewarden-sign doctor: a trial, which signs nothing";
/// Days before its end at which a certificate is warned about.
const SOON: u32 = 30;
/// Read by name, not as an option.
const BY_NAME: [&str; 2] = ["COREWARDEN_PIN", "COREWARDEN_PKCS11_MODULE"];
const EXAMPLES: &str = "\
Examples:
  corewarden-sign doctor --key signer.key --root root.pem --platform board.toml --core m4";
