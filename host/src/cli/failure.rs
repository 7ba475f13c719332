//! Why a command failed, for people and for scripts.

use std::path::Path;

use crate::error::{DoorbellOperation, Error};

/// The exit codes, one per kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// Wrong usage.
    Usage,
    /// A file is wrong.
    File,
    /// The TA refused.
    Refused,
    /// No OP-TEE, no TA, or one that does not keep to its interface.
    NoTa,
    /// The core or its firmware.
    Peer,
    /// A file or device cannot be opened, read or mapped.
    System,
    /// Ctrl-C.
    Interrupted,
}

impl Exit {
    /// The number the process ends with.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Usage => 2,
            Exit::File => 3,
            Exit::Refused => 4,
            Exit::NoTa => 5,
            Exit::Peer => 6,
            Exit::System => 7,
            Exit::Interrupted => 130,
        }
    }
}

/// A command that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The library's error, where it was one.
    pub error: Option<Error>,
}

impl Failure {
    pub(super) fn platform_unreadable(path: &Path, error: &std::io::Error) -> Self {
        Failure {
            exit: Exit::System,
            message: format!("cannot read the platform file {}: {error}", path.display()),
            hint: Some("name the file that describes this machine with --platform".to_owned()),
            error: None,
        }
    }

    pub(super) fn platform_wrong(path: &Path, reason: impl std::fmt::Display) -> Self {
        Failure {
            exit: Exit::File,
            message: format!("the platform file {} is wrong: {reason}", path.display()),
            hint: None,
            error: None,
        }
    }

    pub(super) fn bundle_unreadable(path: &Path, error: &std::io::Error) -> Self {
        Failure {
            exit: Exit::System,
            message: format!("cannot read {}: {error}", path.display()),
            hint: None,
            error: None,
        }
    }

    pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        Self::bundle_unreadable(path, error)
    }

    pub(super) fn unwritable(path: &Path, error: &std::io::Error) -> Self {
        Failure {
            exit: Exit::System,
            message: format!("cannot write {}: {error}", path.display()),
            hint: None,
            error: None,
        }
    }

    pub(super) fn file_wrong(message: String) -> Self {
        Failure {
            exit: Exit::File,
            message,
            hint: None,
            error: None,
        }
    }

    pub(super) fn usage(message: String) -> Self {
        Failure {
            exit: Exit::Usage,
            message,
            hint: None,
            error: None,
        }
    }

    /// The same failure, with what it was about in front.
    pub(super) fn about(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure {
            exit: exit_of(error),
            message: error.to_string(),
            hint: error.hint().map(str::to_owned),
            error: Some(error),
        }
    }
}

fn exit_of(error: Error) -> Exit {
    match error {
        Error::Platform(_) | Error::PlatformCore { .. } => Exit::File,
        Error::Refused { .. } | Error::RefusedUnnamed { .. } => Exit::Refused,
        Error::AnswerMalformed { .. }
        | Error::FileRange { .. }
        | Error::FileTwice { .. }
        | Error::NoTa { .. }
        | Error::NoTeeClient => Exit::NoTa,
        Error::Doorbell {
            operation: DoorbellOperation::Open,
            ..
        }
        | Error::DoorbellMissing
        | Error::FileRead { .. }
        | Error::Socket { .. }
        | Error::Terminal { .. }
        | Error::Window { .. } => Exit::System,
        Error::CoreCrashed
        | Error::CoreState { .. }
        | Error::Displaced { .. }
        | Error::Doorbell { .. }
        | Error::EndpointClosed
        | Error::Invitation
        | Error::InvitationVersion { .. }
        | Error::LinkBroken(_)
        | Error::MessagesLost { .. }
        | Error::NoPeer { .. }
        | Error::NoPool
        | Error::NoRpmsgDevice
        | Error::PeerRestarted { .. }
        | Error::Pool(_)
        | Error::PoolQueue { .. }
        | Error::PoolTaken
        | Error::ResourceTable(_)
        | Error::Rpmsg(_)
        | Error::ServerClosed { .. }
        | Error::ServiceWithdrawn { .. }
        | Error::TimeLimit { .. }
        | Error::WindowSize { .. } => Exit::Peer,
        Error::Interrupted => Exit::Interrupted,
    }
}
