//! One signature slot: its key, its certificates, its root, and what its signer may sign.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use platform::Platform;

use super::finding::Findings;
use crate::cli::inputs::{certificates, core_of, only, roots_of};
use crate::key::{Custody, Key, Reference, Signer, key_id, published};
use crate::pki::{self, Certificate, Date, Kind, Role};
use crate::{Error, Failure, hex};

/// What the findings about a slot are called.
pub(super) struct Labels {
    pub(super) number: u8,
    pub(super) key: &'static str,
    pub(super) certificates: &'static str,
    pub(super) roots: &'static str,
    pub(super) cores: &'static str,
}

/// Opens a key, if there is one, with the certificates that were given for it.
pub(super) type Open<'a> = dyn Fn(&[Certificate]) -> Option<Result<Key, Failure>> + 'a;

/// Who is to sign a slot, and who vouches for it.
pub(super) struct Slot<'a> {
    pub(super) labels: &'a Labels,
    pub(super) reference: Option<&'a Reference>,
    pub(super) open: &'a Open<'a>,
    pub(super) certificates: &'a [PathBuf],
    pub(super) roots: &'a [PathBuf],
}

/// Tries all that one slot needs.
pub(super) fn try_slot(
    findings: &mut Findings,
    wanted: &[String],
    slot: &Slot<'_>,
    platform: Option<&(Platform, &Path)>,
    at: Date,
) -> Option<Key> {
    let labels = slot.labels;
    let mut given = Vec::new();
    for path in slot.certificates {
        given.extend(
            findings
                .take(labels.certificates, certificates(path))
                .unwrap_or_default(),
        );
    }
    let key = key(findings, slot, &given);
    let pinned = pinned(findings, slot, platform);
    let all = key.as_ref().map_or(&given[..], Key::certificates);
    let chain = chain(findings, labels, key.as_ref(), all, at);
    trust(findings, labels, &chain, &pinned, at);
    if let Some((platform, path)) = &platform {
        cores(findings, labels, wanted, platform, path, &chain);
    }
    key
}

/// Opens the key and lets it sign something.
fn key(findings: &mut Findings, slot: &Slot<'_>, given: &[Certificate]) -> Option<Key> {
    let (about, reference) = (slot.labels.key, slot.reference?);
    let key = findings.take(about, (slot.open)(given)?)?;
    let place = reference.to_string();
    let id = key_id(key.public_key());
    if findings
        .take(
            about,
            key.sign(TRIAL).map_err(Failure::at(Path::new(&place))),
        )
        .is_some()
    {
        findings.ok(
            about,
            format!(
                "{place}: signs with {}, key {}",
                key.algorithm().name(),
                hex(&id)
            ),
        );
    }
    if key.custody() == Custody::PlainFile {
        findings.warn(
            about,
            format!("{place}: not encrypted; `sign --release` refuses it"),
        );
    }
    if let Some(name) = published(&id) {
        findings.warn(
            about,
            format!("{place}: {name}, a published test key; `sign --release` refuses it"),
        );
    }
    let mode = reference.file().and_then(|path| path.metadata().ok());
    if let Some(mode) = mode.map(|metadata| metadata.permissions().mode() & 0o777)
        && mode & 0o077 != 0
    {
        findings.warn(
            about,
            format!("{place}: its mode is {mode:03o}, so others can read it: chmod 600"),
        );
    }
    Some(key)
}

/// The certificates from the signer's upwards, each judged by the profile and its dates.
fn chain(
    findings: &mut Findings,
    labels: &Labels,
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
    let ordered = findings.take(labels.certificates, ordered.map_err(Failure::from));
    let chain = ordered.unwrap_or_default();
    for certificate in &chain {
        judge(findings, labels, certificate, at);
    }
    chain
}

fn judge(findings: &mut Findings, labels: &Labels, certificate: &Certificate, at: Date) {
    let subject = certificate.subject();
    let place = Path::new(&subject);
    let profile = certificate.profile().map_err(Failure::at(place));
    let Some(profile) = findings.take(labels.certificates, profile) else {
        return;
    };
    let dates = certificate.check_dates(at).map_err(Failure::at(place));
    if findings.take(labels.certificates, dates).is_none() {
        return;
    }
    let until = certificate.not_after();
    if until < at.plus_days(SOON) {
        findings.warn(
            labels.certificates,
            format!("{subject}: ends on {until}, within {SOON} days"),
        );
    } else {
        findings.ok(
            labels.certificates,
            format!("{subject}: valid until {until}"),
        );
    }
    if profile
        .scope()
        .is_some_and(|scope| scope.role() == Role::Development)
    {
        findings.warn(
            labels.certificates,
            format!("{subject}: for development; `sign --release` refuses it"),
        );
    }
}

/// The roots that were given or that the platform file names.
fn pinned(
    findings: &mut Findings,
    slot: &Slot<'_>,
    platform: Option<&(Platform, &Path)>,
) -> Vec<Certificate> {
    // A root of one slot says nothing of the other.
    let found = match platform {
        Some((platform, path)) => roots_of(slot.labels.number, slot.roots, platform, path),
        None => slot.roots.iter().map(|path| only(path)).collect(),
    };
    findings.take(slot.labels.roots, found).unwrap_or_default()
}

/// Whether a root signed the uppermost certificate.
fn trust(
    findings: &mut Findings,
    labels: &Labels,
    chain: &[Certificate],
    pinned: &[Certificate],
    at: Date,
) {
    for root in pinned {
        judge(findings, labels, root, at);
    }
    let Some(top) = chain.last() else {
        return;
    };
    if pinned.is_empty() {
        findings.warn(
            labels.roots,
            "none given, so nothing tells whether a device trusts the signer",
        );
        return;
    }
    for pair in chain.windows(2) {
        if let [below, above] = pair
            && !below.is_issued_by(above)
        {
            findings.fail(
                labels.roots,
                &Failure::at(Path::new(&below.subject()))(Error::Chain(
                    certificate_chain::Error::Signature,
                )),
            );
        }
    }
    match pinned.iter().find(|root| top.is_issued_by(root)) {
        Some(root) => findings.ok(
            labels.roots,
            format!("{} signed {}", root.subject(), top.subject()),
        ),
        None => findings.fail(
            labels.roots,
            &Failure::at(Path::new(&top.subject()))(Error::Chain(
                certificate_chain::Error::UnknownRoot,
            )),
        ),
    }
}

/// Whether the signer may sign for the cores of the platform.
fn cores(
    findings: &mut Findings,
    labels: &Labels,
    wanted: &[String],
    platform: &Platform,
    path: &Path,
    chain: &[Certificate],
) {
    let scope = chain.first().and_then(|leaf| leaf.profile().ok());
    let scope = scope.as_ref().and_then(|profile| profile.scope());
    for wanted in wanted {
        let core = core_of(platform, path, wanted);
        let Some(core) = findings.take(labels.cores, core) else {
            continue;
        };
        let Some(scope) = scope else {
            continue;
        };
        let here = scope.cores().contains(&core.id())
            && scope.classes().contains(&platform.device_class().bytes());
        if here {
            findings.ok(
                labels.cores,
                format!(
                    "{} ({}): the signer may sign up to version {}",
                    core.name(),
                    core.id(),
                    scope.ceiling()
                ),
            );
        } else {
            let failure = Failure::from(Error::SignerNotForCore { core: core.id() });
            findings.fail(labels.cores, &failure);
        }
    }
}

/// What a key is asked to sign: no message that any device takes for a bundle's.
const TRIAL: &[u8] = b"corewarden-sign doctor: a trial, which signs nothing";
/// Days before its end at which a certificate is warned about.
const SOON: u32 = 30;

pub(super) const FIRST: Labels = Labels {
    number: 0,
    key: "key",
    certificates: "certificates",
    roots: "roots",
    cores: "cores",
};
pub(super) const SECOND_SLOT: Labels = Labels {
    number: 1,
    key: "second key",
    certificates: "second certs",
    roots: "second roots",
    cores: "second cores",
};
