//! `lint`: everything that would keep an ELF from running on a core.

use std::fmt::{self, Display};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::inputs::{MAX_INPUT, core_of, name, platform_file};
use super::report::{Report, Schema};
use crate::lint::{self, Finding, Severity};
use crate::{Failure, files};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Lint {
    /// The ELF that the linker wrote
    elf: PathBuf,
    /// The platform file (TOML) of the machine
    #[arg(
        long,
        value_name = "FILE",
        env = "COREWARDEN_PLATFORM",
        hide_env_values = true
    )]
    platform: PathBuf,
    /// The core, by name or id
    #[arg(
        long,
        value_name = "CORE",
        env = "COREWARDEN_CORE",
        hide_env_values = true
    )]
    core: String,
    /// Let warnings end with 5 too
    #[arg(long)]
    strict: bool,
}

pub(super) fn run(arguments: &Lint) -> Result<Report, Failure> {
    let platform = platform_file(&arguments.platform)?;
    let core = core_of(&platform, &arguments.platform, &arguments.core)?;
    let elf = files::read(&arguments.elf, MAX_INPUT)?;
    let findings = lint::lint(&elf, core).map_err(Failure::at(&arguments.elf))?;
    let count = |severity| {
        let of = findings.iter().filter(|one| one.severity() == severity);
        of.count()
    };
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let wrong = errors > 0 || arguments.strict && warnings > 0;
    let report = LintReport {
        file: name(&arguments.elf),
        platform: platform.name().to_owned(),
        core: core.id(),
        errors,
        warnings,
        findings: findings.into_iter().map(FindingReport::from).collect(),
    };
    Ok(Report::verdict(report, if wrong { REFUSED } else { 0 }))
}

#[derive(Debug, Serialize)]
struct LintReport {
    file: String,
    platform: String,
    core: u32,
    errors: usize,
    warnings: usize,
    findings: Vec<FindingReport>,
}

#[derive(Debug, Serialize)]
struct FindingReport {
    rule: &'static str,
    severity: Severity,
    message: String,
    from: Option<u64>,
    to: Option<u64>,
    fix: String,
}

impl From<Finding> for FindingReport {
    fn from(finding: Finding) -> Self {
        Self {
            rule: finding.rule.name(),
            severity: finding.severity(),
            from: finding.addresses.map(|(from, _)| from),
            to: finding.addresses.map(|(_, to)| to),
            message: finding.message,
            fix: finding.fix,
        }
    }
}

impl Schema for LintReport {
    const NAME: &'static str = "corewarden-sign/lint";
}

impl Display for LintReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(
                f,
                "{}: {} [{}]: {}",
                self.file,
                finding.severity.name(),
                finding.rule,
                finding.message
            )?;
            writeln!(f, "  fix: {}", finding.fix)?;
        }
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        let what = match (self.errors, self.warnings) {
            (0, 0) => "nothing to find fault with".to_owned(),
            (errors, warnings) => format!(
                "{errors} error{}, {warnings} warning{}",
                plural(errors),
                plural(warnings)
            ),
        };
        writeln!(
            f,
            "{}: {what} on core {} of {}",
            self.file, self.core, self.platform
        )
    }
}

/// As for a bundle that a core refuses.
const REFUSED: u8 = 5;

const EXAMPLES: &str = "\
Errors are what `sign` would refuse, and end with 5; warnings end with 0, or with 5 under --strict.

Examples:
  corewarden-sign lint motor.elf --platform board.toml --core m4";
