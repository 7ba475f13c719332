//! An [`Error`] with its place: what the command line reports.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::Error;

/// What went wrong, in which file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong.
    pub error: Error,
    /// The file it is about.
    pub path: Option<PathBuf>,
    /// More from the reader of that file: a line number, a field.
    pub detail: Option<String>,
}

impl Failure {
    /// For `map_err`: the error happened in `path`.
    pub fn at(path: &Path) -> impl Fn(Error) -> Self {
        move |error| Self {
            error,
            path: Some(path.to_owned()),
            detail: None,
        }
    }

    /// For `map_err`: the operating system refused `path`.
    pub fn io(path: &Path) -> impl Fn(std::io::Error) -> Self {
        move |error| {
            Self::at(path)(Error::File {
                kind: error.kind(),
                os: error.raw_os_error(),
            })
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            error,
            path: None,
            detail: None,
        }
    }
}

impl fmt::Display for Failure {
    /// One line: where, what, what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{}: ", path.display())?;
        }
        write!(f, "{}", self.error)?;
        if let Some(detail) = &self.detail {
            write!(f, " ({detail})")?;
        }
        if let Some(advice) = self.error.advice() {
            write!(f, "; {advice}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}
