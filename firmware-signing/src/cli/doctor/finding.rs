//! What `doctor` found, line by line.

use std::fmt::{self, Display};

use serde::Serialize;

use crate::Failure;
use crate::cli::report::Schema;

/// What was found, line by line.
#[derive(Debug, Default, Serialize)]
pub(super) struct Findings {
    findings: Vec<Finding>,
    #[serde(skip)]
    pub(super) code: u8,
}

#[derive(Debug, Serialize)]
struct Finding {
    about: &'static str,
    verdict: &'static str,
    text: String,
}

impl Findings {
    pub(super) fn ok(&mut self, about: &'static str, text: impl Into<String>) {
        self.add(about, "ok", text.into());
    }

    pub(super) fn warn(&mut self, about: &'static str, text: impl Into<String>) {
        self.add(about, "warn", text.into());
    }

    /// The first failure gives the exit code.
    pub(super) fn fail(&mut self, about: &'static str, failure: &Failure) {
        if self.code == 0 {
            self.code = failure.error.exit_code();
        }
        self.add(about, "fail", failure.to_string());
    }

    /// What a check gave, or a failure that is written down.
    pub(super) fn take<T>(&mut self, about: &'static str, result: Result<T, Failure>) -> Option<T> {
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
            // Names of files and in certificates are somebody else's: none breaks the line or moves a terminal's cursor.
            let text = finding.text.replace(char::is_control, "?");
            writeln!(f, "{:4}  {:12}  {text}", finding.verdict, finding.about)?;
        }
        Ok(())
    }
}

impl Schema for Findings {
    const NAME: &'static str = "corewarden-sign/doctor";
}
