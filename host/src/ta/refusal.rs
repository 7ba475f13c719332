//! From the code of a refusal to its reason.

use ta_protocol::{Command, MAX_SESSIONS, Status, global_platform};

use super::transport::{Failure, Origin};
use crate::error::{Error, Request};

pub(super) fn explains(status: Status, code: u32) -> bool {
    status.number() == code || status.global_platform() == code
}

pub(super) fn refusal_by_code(command: Command, failure: Failure) -> Error {
    match Status::from_number(failure.code) {
        Some(status) if failure.origin == Origin::TrustedApplication => Error::Refused {
            request: Request::Command(command),
            status,
            first: 0,
            second: 0,
        },
        _ => Error::RefusedUnnamed {
            request: Request::Command(command),
            code: failure.code,
            origin: failure.origin,
        },
    }
}

/// There is no session to ask for the reason, so it is told from the code; only these three can come here.
pub(super) fn refused_session(core: u32, failure: Failure) -> Error {
    let request = Request::OpenSession;
    let (status, first) = match failure.code {
        global_platform::ACCESS_DENIED => (Status::LoginNotAllowed, 0),
        global_platform::BUSY => (Status::TooManySessions, MAX_SESSIONS.into()),
        global_platform::NOT_SUPPORTED => (Status::UnknownCore, core.into()),
        code => {
            return Error::RefusedUnnamed {
                request,
                code,
                origin: failure.origin,
            };
        }
    };
    let second = if status == Status::LoginNotAllowed {
        core
    } else {
        0
    };
    Error::Refused {
        request,
        status,
        first,
        second: second.into(),
    }
}

pub(super) fn no_ta(failure: Failure) -> Error {
    Error::NoTa {
        code: failure.code,
        origin: failure.origin,
    }
}
