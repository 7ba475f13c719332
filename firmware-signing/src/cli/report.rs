//! What commands answer, as text for people and as JSON for programs.

use std::fmt::{self, Display, Write};

use clap::error::ErrorKind;
use serde::Serialize;

use crate::Failure;

/// The answer of a command.
pub(super) enum Report {
    /// What becomes text or JSON.
    Answer(Box<dyn Answer>),
    /// A script or page, the same for everybody.
    Text(String),
    /// An answer that is no failure, but ends with an exit code of its own.
    Verdict(Box<dyn Answer>, u8),
}

/// The name of the schema which a verb's JSON follows.
pub(super) trait Schema {
    /// `corewarden-sign/VERB`.
    const NAME: &'static str;
}

impl Report {
    /// The answer of a verb.
    pub(super) fn of(answer: impl Schema + Serialize + Display + 'static) -> Self {
        Self::Answer(Box::new(answer))
    }

    /// The answer of a verb that judges: 0 where all is well.
    pub(super) fn verdict(answer: impl Schema + Serialize + Display + 'static, code: u8) -> Self {
        Self::Verdict(Box::new(answer), code)
    }

    /// The exit code it ends with.
    pub(super) fn code(&self) -> u8 {
        match self {
            Self::Answer(_) | Self::Text(_) => 0,
            Self::Verdict(_, code) => *code,
        }
    }

    /// What of the command line is wrong.
    pub(super) fn usage(error: &clap::Error) -> Self {
        let text = error.render().to_string();
        // The first paragraph says what is wrong, the others show the usage.
        let said: Vec<&str> = text
            .lines()
            .map(str::trim)
            .take_while(|line| !line.is_empty())
            .collect();
        let said = match error.kind() {
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
                "no command given".to_owned()
            }
            _ => said.join(" "),
        };
        Self::of(FailureReport {
            code: USAGE,
            error: said.trim_start_matches("error: ").to_owned(),
            detail: None,
            file: None,
            advice: Some("see --help"),
        })
    }

    /// What failed, for programs; people read standard error.
    pub(super) fn failure(failure: &Failure) -> Self {
        Self::of(FailureReport {
            code: failure.error.exit_code(),
            error: failure.error.to_string(),
            detail: failure.detail().map(str::to_owned),
            file: failure.path().map(|path| path.display().to_string()),
            advice: failure.error.advice(),
        })
    }

    /// All of what goes to standard output.
    pub(super) fn text(&self, json: bool) -> String {
        match self {
            Self::Answer(answer) | Self::Verdict(answer, _) if json => answer.json(),
            Self::Answer(answer) | Self::Verdict(answer, _) => answer.to_string(),
            Self::Text(text) if json => Page { text }.json(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// A report of any verb.
pub(super) trait Answer: Display {
    fn json(&self) -> String;
}

impl<T: Schema + Serialize + Display> Answer for T {
    fn json(&self) -> String {
        let whole = Document {
            schema: T::NAME,
            version: SCHEMA_VERSION,
            report: self,
        };
        // Strings, numbers and lists: this cannot fail to become JSON.
        let text = serde_json::to_string_pretty(&whole).unwrap_or_default();
        text + "\n"
    }
}

#[derive(Serialize)]
struct Document<'a, T> {
    schema: &'static str,
    version: u32,
    #[serde(flatten)]
    report: &'a T,
}

/// A script or page for programs that want JSON whatever they ask for.
#[derive(Debug, Serialize)]
struct Page<'a> {
    text: &'a str,
}

impl Schema for Page<'_> {
    const NAME: &'static str = "corewarden-sign/text";
}

impl Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

#[derive(Debug, Serialize)]
struct FailureReport {
    code: u8,
    error: String,
    detail: Option<String>,
    file: Option<String>,
    advice: Option<&'static str>,
}

impl Schema for FailureReport {
    const NAME: &'static str = "corewarden-sign/failure";
}

impl Display for FailureReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.error)
    }
}

/// Items with commas between them.
pub(super) fn list(items: &[impl Display]) -> String {
    let mut text = String::new();
    for item in items {
        let comma = if text.is_empty() { "" } else { ", " };
        // Writing to a String cannot fail.
        let _ = write!(text, "{comma}{item}");
    }
    text
}

/// The exit code of a wrong command line.
pub(super) const USAGE: u8 = 2;
/// Fields are only added; a change of meaning raises it.
const SCHEMA_VERSION: u32 = 1;
