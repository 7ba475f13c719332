//! `pki`: certificates, made and shown.

mod init;
mod issue;
mod show;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};

use super::certificates::{CertificateReport, Certificates};
use super::inputs::name;
use super::options::date;
use super::report::Report;
use crate::Failure;
use crate::files::{self, Kind as FileKind};
use crate::pki::{self, Certificate, Date};

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum Pki {
    /// Make a root certificate, which signs itself
    Init(init::Init),
    /// Issue a product CA's or a signer's certificate
    Issue(issue::Issue),
    /// Show certificates
    Show(show::Show),
}

pub(super) fn run(command: &Pki) -> Result<Report, Failure> {
    match command {
        Pki::Init(init) => init::run(init),
        Pki::Issue(issue) => issue::run(issue),
        Pki::Show(show) => show::run(show),
    }
}

#[derive(Debug, Args)]
struct Subject {
    /// Name for people, as RFC 4514 writes it: CN=...,O=...
    #[arg(long)]
    name: String,
    /// First moment of validity: 2026-11-20, 2026-11-20T12:00:00Z; now where it is left out
    #[arg(long, value_name = "DATE", value_parser = date)]
    not_before: Option<Date>,
    /// Last moment of validity: a date or never
    #[arg(long, value_name = "DATE", value_parser = date, conflicts_with = "days")]
    not_after: Option<Date>,
    /// Days of validity
    #[arg(long)]
    days: Option<u32>,
    /// File for the certificate: PEM, or DER where the name ends in .der
    #[arg(long)]
    out: PathBuf,
    /// Replace an existing output
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RoleName {
    Development,
    Release,
}

fn subject(arguments: &Subject, default_days: Option<u32>) -> Result<pki::Subject, Failure> {
    let not_before = arguments.not_before.map_or_else(Date::now, Ok)?;
    let days = arguments.days.or(default_days);
    Ok(pki::Subject {
        name: arguments.name.clone(),
        not_before,
        not_after: match (arguments.not_after, days) {
            (Some(date), _) => date,
            (None, Some(days)) => not_before.plus_days(days),
            (None, None) => Date::NEVER,
        },
    })
}

fn check_certificate_output(subject: &Subject, inputs: &[&Path]) -> Result<(), Failure> {
    let kind = FileKind::Output {
        force: subject.force,
    };
    files::check_output(&subject.out, kind, inputs)
}

fn write_certificate(certificate: &Certificate, subject: &Subject) -> Result<Report, Failure> {
    let path = &subject.out;
    let kind = FileKind::Output {
        force: subject.force,
    };
    if path.extension().is_some_and(|extension| extension == "der") {
        files::write(path, kind, &[certificate.der()])?;
    } else {
        files::write(path, kind, &[certificate.to_pem()?.as_bytes()])?;
    }
    Ok(Report::of(Certificates {
        certificates: vec![CertificateReport::new(certificate, Some(name(path)))],
    }))
}

const EXAMPLES: &str = "\
Examples:
  corewarden-sign pki show root.pem
  corewarden-sign help pki issue";
