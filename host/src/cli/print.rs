//! The one place that prints.

use std::io::{self, Write};

use serde::Serialize;

use super::failure::{Exit, Failure};
use super::report::{Refusal, Report};
use crate::error::Error;

/// Prints a result: reports to `out`, failures to `err`; with `json`, one document to `out` either way.
///
/// # Errors
/// What the writers say; whoever closed the pipe has seen enough.
pub fn print(
    result: &Result<Report, Failure>,
    json: bool,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<()> {
    match (result, json) {
        (Ok(report), false) => write!(out, "{report}")?,
        (Ok(report), true) => {
            let (schema, version) = report.schema();
            document(out, schema, version, report)?;
        }
        (Err(failure), false) => {
            writeln!(err, "corewarden: {}", failure.message)?;
            if let Some(hint) = &failure.hint {
                writeln!(err, "  hint: {hint}")?;
            }
        }
        (Err(failure), true) => document(out, "corewarden.error", 1, &ErrorBody::new(failure))?,
    }
    out.flush()
}

/// The exit code of a result: a ping that lost or changed messages is a fault of the peer.
#[must_use]
pub fn exit(result: &Result<Report, Failure>) -> Exit {
    match result {
        Ok(Report::Ping(ping)) if ping.right != ping.sent => Exit::Peer,
        Ok(_) => Exit::Done,
        Err(failure) => failure.exit,
    }
}

#[derive(Serialize)]
struct Document<'a, T> {
    schema: &'static str,
    version: u32,
    #[serde(flatten)]
    body: &'a T,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    exit_code: u8,
    message: &'a str,
    hint: Option<&'a str>,
    /// The library's error with its numbers, for scripts that ask for exactly one.
    error: Option<String>,
    refusal: Option<Refusal>,
}

impl<'a> ErrorBody<'a> {
    fn new(failure: &'a Failure) -> Self {
        let refusal = match failure.error {
            Some(Error::Refused {
                status,
                first,
                second,
                ..
            }) => Some(Refusal::new(status, first, second)),
            _ => None,
        };
        ErrorBody {
            exit_code: failure.exit.code(),
            message: &failure.message,
            hint: failure.hint.as_deref(),
            error: failure.error.map(|error| format!("{error:?}")),
            refusal,
        }
    }
}

fn document<T: Serialize>(
    out: &mut impl Write,
    schema: &'static str,
    version: u32,
    body: &T,
) -> io::Result<()> {
    let document = Document {
        schema,
        version,
        body,
    };
    serde_json::to_writer(&mut *out, &document).map_err(io::Error::from)?;
    writeln!(out)
}
