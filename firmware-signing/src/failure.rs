//! An [`Error`] with its place: what the command line reports.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::Error;

/// What went wrong, in which file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong.
    pub error: Error,
    place: Box<Place>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Place {
    path: Option<PathBuf>,
    detail: Option<String>,
}

impl Failure {
    /// For `map_err`: the error happened in `path`.
    pub fn at(path: &Path) -> impl Fn(Error) -> Self {
        move |error| {
            let mut failure = Self::from(error);
            failure.place.path = Some(path.to_owned());
            failure
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

    /// The same with a place, where it has none of its own.
    #[must_use]
    pub fn in_place(mut self, path: &Path) -> Self {
        self.place.path.get_or_insert_with(|| path.to_owned());
        self
    }

    /// The same with more to say: a line number, a field, a name.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.place.detail = Some(detail.into());
        self
    }

    /// The file it is about.
    pub fn path(&self) -> Option<&Path> {
        self.place.path.as_deref()
    }

    /// What else there is to say.
    pub fn detail(&self) -> Option<&str> {
        self.place.detail.as_deref()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            error,
            place: Box::default(),
        }
    }
}

impl fmt::Display for Failure {
    /// One line: where, what, what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = self.path() {
            write!(f, "{}: ", one_line(&path.display().to_string()))?;
        }
        write!(f, "{}", self.error)?;
        if let Some(detail) = self.detail() {
            write!(f, " ({})", one_line(detail))?;
        }
        if let Some(advice) = self.error.advice() {
            write!(f, "; {advice}")?;
        }
        Ok(())
    }
}

/// Names are somebody else's: none breaks the line or moves a terminal's cursor.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, "?")
}

impl std::error::Error for Failure {}
