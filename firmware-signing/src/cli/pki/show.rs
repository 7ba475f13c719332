//! `pki show`: certificates, for people to read.

use std::path::PathBuf;

use clap::Args;

use crate::Failure;
use crate::cli::certificates::{CertificateReport, Certificates};
use crate::cli::inputs::{certificates, name};
use crate::cli::report::Report;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Show {
    /// PEM (any number of certificates) or DER
    #[arg(required = true, value_name = "CERTIFICATE")]
    files: Vec<PathBuf>,
}

pub(super) fn run(arguments: &Show) -> Result<Report, Failure> {
    let mut shown = Vec::new();
    for path in &arguments.files {
        let of_file = certificates(path)?;
        let reports = of_file.iter();
        shown.extend(reports.map(|one| CertificateReport::new(one, Some(name(path)))));
    }
    Ok(Report::of(Certificates {
        certificates: shown,
    }))
}

const EXAMPLES: &str = "\
Examples:
  corewarden-sign pki show signer.pem product-ca.pem
  corewarden-sign pki show product-ca.pem --json";
