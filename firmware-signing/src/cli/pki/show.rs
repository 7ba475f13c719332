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
    certificate: PathBuf,
}

pub(super) fn run(arguments: &Show) -> Result<Report, Failure> {
    let path = &arguments.certificate;
    Ok(Report::of(Certificates {
        certificates: certificates(path)?
            .iter()
            .map(|certificate| CertificateReport::new(certificate, Some(name(path))))
            .collect(),
    }))
}

const EXAMPLES: &str = "\
Examples:
  corewarden-sign pki show signer.pem
  corewarden-sign pki show product-ca.pem --json";
