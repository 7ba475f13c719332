//! The commands: files in, a report out.

use std::path::{Path, PathBuf};

use clap::CommandFactory;
use platform::Platform;

use super::args::{self, Arguments, KindName, RoleName};
use super::passphrase;
use super::report::{
    CertificateReport, Certificates, Inspection, Keygen, Report, Sign, Verification,
};
use crate::files::{self, Kind as FileKind};
use crate::key::{PrivateKey, Signer, key_id, read_public};
use crate::pki::{self, Certificate, Date, Kind, Role, Scope, Subject};
use crate::sign::unknown;
use crate::verify::{Device, Trust};
use crate::{
    Error, Failure, Options, hex, inspect as inspection, sign as signing, verify as judge,
};

pub(super) fn completions(shell: clap_complete::Shell) -> Report {
    let mut script = Vec::new();
    clap_complete::generate(
        shell,
        &mut Arguments::command(),
        "corewarden-sign",
        &mut script,
    );
    Report::Text(String::from_utf8_lossy(&script).into_owned())
}

pub(super) fn inspect(arguments: &args::Inspect) -> Result<Report, Failure> {
    let path = &arguments.file;
    let bytes = files::read(path, MAX_INPUT)?;
    let found = inspection::inspect(&bytes).map_err(Failure::at(path))?;
    Ok(Report::Inspect(Box::new(Inspection::new(
        name(path),
        &found,
    ))))
}

pub(super) fn keygen(arguments: &args::Keygen) -> Result<Report, Failure> {
    let path = &arguments.out;
    let public_kind = FileKind::Output {
        force: arguments.force,
    };
    files::check_output(path, FileKind::Key, &[])?;
    if let Some(public) = &arguments.public_out {
        files::check_output(public, public_kind, &[])?;
    }
    let passphrase = match arguments.no_password {
        true => None,
        false => Some(passphrase::new(&arguments.passphrase, path)?),
    };
    let key = PrivateKey::generate(arguments.algorithm)?;
    let pem = key.to_pem(passphrase.as_ref().map(|text| text.as_str()))?;
    files::write(path, FileKind::Key, &[pem.as_bytes()])?;
    if let Some(public) = &arguments.public_out {
        files::write(public, public_kind, &[key.public_pem()?.as_bytes()])?;
    }
    Ok(Report::Keygen(Keygen {
        key: name(path),
        public: arguments.public_out.as_deref().map(name),
        algorithm: key.algorithm().name(),
        key_id: hex(&key_id(key.public_key())),
        encrypted: passphrase.is_some(),
    }))
}

pub(super) fn pki_init(arguments: &args::Init) -> Result<Report, Failure> {
    check_certificate_output(&arguments.subject, &[&arguments.key])?;
    let key = private_key(&arguments.key, &arguments.passphrase)?;
    // A root that does not say is one for development.
    let scope = match arguments.role {
        RoleName::Development => None,
        RoleName::Release => {
            let scope = Scope::new(Kind::Root, &[], &[], u32::MAX, 1, Role::Release);
            Some(scope.map_err(Error::from)?)
        }
    };
    let subject = subject(&arguments.subject, None)?;
    let certificate = pki::issue_root(&subject, scope.as_ref(), &key)?;
    write_certificate(&certificate, &arguments.subject)
}

pub(super) fn pki_issue(arguments: &args::Issue) -> Result<Report, Failure> {
    let inputs = [&*arguments.key, &*arguments.issuer, &*arguments.issuer_key];
    check_certificate_output(&arguments.subject, &inputs)?;
    let public_key = read_public(&files::read_secret(&arguments.key, MAX_TEXT)?)
        .map_err(Failure::at(&arguments.key))?;
    let issuer = only(&arguments.issuer)?;
    let issuer_key = private_key(&arguments.issuer_key, &arguments.passphrase)?;
    let role = match arguments.role {
        RoleName::Development => Role::Development,
        RoleName::Release => Role::Release,
    };
    let (kind, days) = match arguments.kind {
        KindName::Leaf => (Kind::Leaf, 2 * 365),
        KindName::ProductCa => (Kind::ProductCa, 10 * 365),
    };
    let (mut cores, mut classes) = (arguments.cores.clone(), arguments.device_classes.clone());
    cores.sort_unstable();
    cores.dedup();
    classes.sort_unstable();
    classes.dedup();
    let (ceiling, generation) = (arguments.max_version, arguments.generation);
    let scope = Scope::new(kind, &cores, &classes, ceiling, generation, role);
    let scope = scope.map_err(Error::from)?;
    let subject = subject(&arguments.subject, Some(days))?;
    let above = (&issuer, &issuer_key as &dyn Signer);
    let certificate = match arguments.kind {
        KindName::Leaf => pki::issue_leaf(&subject, &public_key, &scope, above),
        KindName::ProductCa => pki::issue_product_ca(&subject, &public_key, &scope, above),
    };
    write_certificate(
        &certificate.map_err(Failure::at(&arguments.issuer))?,
        &arguments.subject,
    )
}

pub(super) fn pki_show(path: &Path) -> Result<Report, Failure> {
    Ok(Report::Certificates(Certificates {
        certificates: certificates(path)?
            .iter()
            .map(|certificate| CertificateReport::new(certificate, Some(name(path))))
            .collect(),
    }))
}

pub(super) fn sign(arguments: &args::Sign) -> Result<Report, Failure> {
    let elf_path = &arguments.elf;
    let out = arguments
        .out
        .clone()
        .unwrap_or_else(|| elf_path.with_extension("cwfw"));
    let kind = FileKind::Output {
        force: arguments.force,
    };
    files::check_output(&out, kind, &[elf_path, &arguments.key])?;

    let platform = platform_file(&arguments.target.platform)?;
    let mut cores = arguments
        .target
        .cores
        .iter()
        .map(|core| find_core(&platform, core).map(platform::Core::id))
        .collect::<Result<Vec<_>, _>>()
        .map_err(Failure::at(&arguments.target.platform))?;
    cores.sort_unstable();
    cores.dedup();
    let mut chain = Vec::new();
    for path in &arguments.certificates {
        chain.extend(certificates(path)?);
    }
    let roots = roots(&arguments.roots, &platform, &arguments.target.platform)?;
    let roots: Vec<&[u8]> = roots.iter().map(Certificate::der).collect();
    let build_id = arguments.build_id.as_deref().map(unhex).transpose()?;
    let key = private_key(&arguments.key, &arguments.passphrase)?;

    let elf = files::read(elf_path, MAX_INPUT)?;
    let options = Options {
        platform: &platform,
        cores: &cores,
        security_version: arguments.security_version,
        display_version: &arguments.display_version,
        build_id: build_id.as_deref(),
        keep_all: arguments.keep_all,
        at: Some(arguments.at.map_or_else(Date::now, Ok)?),
        roots: &roots,
    };
    let signed =
        signing::sign_in_parts(&elf, &options, &key, &chain).map_err(Failure::at(elf_path))?;
    files::write(&out, kind, &[&signed.elf, &signed.trailer])?;
    let signer = pki::order_chain(key.public_key(), &chain)?;
    Ok(Report::Sign(Sign {
        bundle: name(&out),
        digest: hex(&signed.digest),
        key_id: hex(&key_id(key.public_key())),
        signer: signer.first().map(Certificate::subject).unwrap_or_default(),
        platform: platform.name().to_owned(),
        cores,
        security_version: arguments.security_version,
        display_version: arguments.display_version.clone(),
        size: (signed.elf.len() + signed.trailer.len()) as u64,
        trailer_size: signed.trailer.len() as u64,
        stripped: (elf.len() - signed.elf.len()) as u64,
    }))
}

pub(super) fn verify(arguments: &args::Verify) -> Result<Report, Failure> {
    let path = &arguments.file;
    let failed = Failure::at(path);
    let bytes = files::read(path, MAX_INPUT)?;
    if arguments.roots.is_empty() {
        judge::check_integrity(&bytes).map_err(&failed)?;
        return Err(failed(Error::NoTrustAnchor));
    }
    let mut roots = Vec::new();
    for root in &arguments.roots {
        roots.push(only(root)?);
    }
    let roots: Vec<&[u8]> = roots.iter().map(Certificate::der).collect();
    let trust = Trust::new(&roots).map_err(Failure::at(&arguments.roots[0]))?;
    let device = arguments.platform.as_deref().zip(arguments.core.as_deref());
    let mut place = None;
    if let Some((file, core)) = device {
        let platform = platform_file(file)?;
        let core = find_core(&platform, core).map_err(Failure::at(file))?;
        let device = Device {
            platform: &platform,
            core,
            floor: arguments.floor,
        };
        judge::admit(&bytes, &trust, &device).map_err(&failed)?;
        place = Some((platform.name().to_owned(), core.id()));
    }
    let authentic = judge::authenticate(&bytes, &trust).map_err(&failed)?;
    let at = arguments.at.map_or_else(Date::now, Ok)?;
    authentic.check_dates(at).map_err(&failed)?;
    let signer = authentic
        .verified
        .signers()
        .next()
        .map(|(_, signer)| signer);
    let signer = signer.ok_or(Error::CertificateMissing)?;
    Ok(Report::Verify(Verification {
        file: name(path),
        judged: match place {
            Some(_) => "device",
            None => "signature",
        },
        core: place.as_ref().map(|(_, core)| *core),
        platform: place.map(|(platform, _)| platform),
        digest: hex(authentic.verified.digest()),
        key_id: hex(&signer.key_id),
        signer: authentic
            .chain
            .first()
            .map(Certificate::subject)
            .unwrap_or_default(),
        ceiling: signer.scope.ceiling(),
        security_version: authentic.manifest.security_version(),
        display_version: authentic.manifest.display_version().to_owned(),
        dates_at: at.to_string(),
    }))
}

fn subject(arguments: &args::Subject, default_days: Option<u32>) -> Result<Subject, Failure> {
    let not_before = arguments.not_before.map_or_else(Date::now, Ok)?;
    let days = arguments.days.or(default_days);
    Ok(Subject {
        name: arguments.name.clone(),
        not_before,
        not_after: match (arguments.not_after, days) {
            (Some(date), _) => date,
            (None, Some(days)) => not_before.plus_days(days),
            (None, None) => Date::NEVER,
        },
    })
}

fn check_certificate_output(subject: &args::Subject, inputs: &[&Path]) -> Result<(), Failure> {
    let kind = FileKind::Output {
        force: subject.force,
    };
    files::check_output(&subject.out, kind, inputs)
}

fn write_certificate(
    certificate: &Certificate,
    subject: &args::Subject,
) -> Result<Report, Failure> {
    let path = &subject.out;
    let kind = FileKind::Output {
        force: subject.force,
    };
    if path.extension().is_some_and(|extension| extension == "der") {
        files::write(path, kind, &[certificate.der()])?;
    } else {
        files::write(path, kind, &[certificate.to_pem()?.as_bytes()])?;
    }
    Ok(Report::Certificates(Certificates {
        certificates: vec![CertificateReport::new(certificate, Some(name(path)))],
    }))
}

fn private_key(path: &Path, source: &args::Passphrase) -> Result<PrivateKey, Failure> {
    let bytes = files::read_secret(path, MAX_TEXT)?;
    // The passphrase's own failure names the place it should have come from; it must not be lost.
    let mut refused = None;
    let key = PrivateKey::read(&bytes, || {
        passphrase::existing(source, path).map_err(|failure| {
            let error = failure.error;
            refused = Some(failure);
            error
        })
    });
    key.map_err(|error| refused.unwrap_or_else(|| Failure::at(path)(error)))
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, Failure> {
    Certificate::read_all(&files::read(path, MAX_TEXT)?).map_err(Failure::at(path))
}

/// The one certificate of a file.
fn only(path: &Path) -> Result<Certificate, Failure> {
    let mut all = certificates(path)?;
    match (all.pop(), all.is_empty()) {
        (Some(certificate), true) => Ok(certificate),
        _ => Err(Failure::at(path)(Error::CertificateMalformed).with_detail("more than one")),
    }
}

fn platform_file(path: &Path) -> Result<Platform, Failure> {
    let bytes = files::read(path, MAX_TEXT)?;
    let malformed =
        |detail: String| Failure::at(path)(Error::PlatformMalformed).with_detail(detail);
    let text = core::str::from_utf8(&bytes).map_err(|error| malformed(error.to_string()))?;
    let file: platform::File = toml::from_str(text).map_err(|error| {
        let line = error
            .span()
            .map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        malformed(format!("line {line}: {}", error.message()))
    })?;
    Platform::try_from(file).map_err(|error| Failure::at(path)(error.into()))
}

fn find_core<'a>(platform: &'a Platform, wanted: &str) -> Result<&'a platform::Core, Error> {
    let id = wanted.parse().ok();
    platform
        .cores()
        .iter()
        .find(|core| core.name() == wanted || Some(core.id()) == id)
        .ok_or(unknown(platform))
}

/// The roots that were given, or those that the platform file names: beside it, or in a folder above it.
fn roots(
    given: &[PathBuf],
    platform: &Platform,
    platform_path: &Path,
) -> Result<Vec<Certificate>, Failure> {
    if !given.is_empty() {
        return given.iter().map(|path| only(path)).collect();
    }
    let absolute = std::path::absolute(platform_path).map_err(Failure::io(platform_path))?;
    let mut roots = Vec::new();
    for root in platform.roots() {
        let found = absolute
            .ancestors()
            .skip(1)
            .map(|folder| folder.join(root.file()))
            .find(|path| path.is_file());
        let Some(path) = found else {
            return Err(Failure::at(platform_path)(Error::RootMissing)
                .with_detail(format!("{} is not there", root.file())));
        };
        roots.push(only(&path)?);
    }
    Ok(roots)
}

fn unhex(text: &str) -> Result<Vec<u8>, Error> {
    let digits = text
        .chars()
        .map(|digit| digit.to_digit(16))
        .collect::<Option<Vec<u32>>>()
        .filter(|digits| digits.len() % 2 == 0)
        .ok_or(Error::NotHexadecimal)?;
    // Two digits make at most 255.
    Ok(digits
        .chunks(2)
        .map(|pair| (pair[0] << 4 | pair[1]) as u8)
        .collect())
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

/// The largest ELF part and trailer there can be.
const MAX_INPUT: u64 = firmware_bundle::MAX_ELF + firmware_bundle::MAX_TRAILER as u64;
/// Keys, certificates, platform files.
const MAX_TEXT: u64 = 1 << 20;
