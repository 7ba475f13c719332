//! `verify --against`: what one device would answer.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::inputs::{MAX_TEXT, certificates, name};
use super::report::{Report, Schema};
use crate::against::{Answer, DeviceReport, Prediction};
use crate::{Failure, files};

pub(super) fn predict(
    path: &Path,
    bundle: &[u8],
    device: &Path,
    roots: &[PathBuf],
) -> Result<Report, Failure> {
    let report = DeviceReport::parse(&files::read(device, MAX_TEXT)?, None);
    let report = report.map_err(Failure::at(device))?;
    let mut given = Vec::new();
    for root in roots {
        given.extend(certificates(root)?);
    }
    let prediction = report
        .predict(bundle, &given)
        .map_err(Failure::at(device))?;
    let answer = Predicted {
        file: name(path),
        device: name(device),
        platform: report.platform().name().to_owned(),
        core: report.core(),
        answer: word(prediction.answer),
        refusal: Refusal::of(prediction.answer),
        why: prediction.refused.map(|error| error.to_string()),
        now: prediction.now.map(|now| Now {
            answer: word(now),
            refusal: Refusal::of(now),
        }),
    };
    Ok(Report::verdict(answer, code(&prediction)))
}

/// That of the refused bundle; a policy of the device refuses as any other.
fn code(prediction: &Prediction) -> u8 {
    match (prediction.answer, prediction.refused) {
        (Answer::Loads, _) => 0,
        (Answer::Refuses { .. }, Some(error)) => error.exit_code(),
        (Answer::Refuses { .. }, None) => 5,
    }
}

fn word(answer: Answer) -> &'static str {
    match answer {
        Answer::Loads => "loads",
        Answer::Refuses { .. } => "refuses",
    }
}

#[derive(Debug, Serialize)]
struct Predicted {
    file: String,
    device: String,
    platform: String,
    core: u32,
    /// "loads" or "refuses": what the TA answers while the core is off.
    answer: &'static str,
    refusal: Option<Refusal>,
    /// The refusal in the words of this tool, which has the file at hand.
    why: Option<String>,
    /// What it answers in the state the report was made in, where that is something else.
    now: Option<Now>,
}

#[derive(Debug, Serialize)]
struct Now {
    answer: &'static str,
    refusal: Option<Refusal>,
}

/// As `corewarden --json` prints a refusal of the TA.
#[derive(Debug, Serialize)]
struct Refusal {
    status: &'static str,
    number: u32,
    first: u64,
    second: u64,
    text: String,
}

impl Refusal {
    fn of(answer: Answer) -> Option<Self> {
        let Answer::Refuses { status, numbers } = answer else {
            return None;
        };
        let [first, second] = numbers;
        Some(Self {
            status: status.name(),
            number: status.number(),
            first,
            second,
            text: status.explain(first, second).to_string(),
        })
    }
}

impl Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:#x}): {}", self.status, self.number, self.text)
    }
}

impl Schema for Predicted {
    const NAME: &'static str = "corewarden-sign/verify-against";
}

impl Display for Predicted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            platform,
            core,
            ..
        } = self;
        match &self.refusal {
            None => writeln!(f, "{file}: core {core} of {platform} would load it")?,
            Some(refusal) => {
                writeln!(f, "{file}: core {core} of {platform} would refuse it")?;
                writeln!(f, "  {refusal}")?;
            }
        }
        if let Some(why) = &self.why {
            writeln!(f, "  {why}")?;
        }
        match &self.now {
            Some(Now {
                refusal: Some(refusal),
                ..
            }) => writeln!(
                f,
                "in the state that {} shows it refuses every other load: {refusal}; stop and release the core first",
                self.device
            ),
            Some(Now { refusal: None, .. }) => writeln!(f, "it is loaded already"),
            None => Ok(()),
        }
    }
}
