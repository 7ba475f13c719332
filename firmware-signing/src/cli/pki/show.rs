//! `pki show`: certificates, for people to read.

use std::path::PathBuf;

use clap::Args;

use crate::Failure;
use crate::cli::certificates::{CertificateReport, Certificates};
use crate::cli::inputs::{certificates, name};
use crate::cli::report::Report;

#[derive(Debug, Args)]
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
