//! What all servers do: judge the head, answer with a status.

use zerocopy::FromBytes;

use crate::MAX_MESSAGE;
use crate::error::Error;
use crate::raw::{self, Head};
use crate::status::Status;

/// What to send back for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    bytes: &'a [u8],
    status: Option<Status>,
    refused: Option<Error>,
}

impl<'a> Reply<'a> {
    /// The answer; `None` where the request has no head, so that there is nothing to answer.
    pub fn bytes(&self) -> Option<&'a [u8]> {
        self.status.map(|_| self.bytes)
    }

    /// What the answer says.
    pub const fn status(&self) -> Option<Status> {
        self.status
    }

    /// The rule that the request breaks, if it breaks one.
    pub const fn refused(&self) -> Option<Error> {
        self.refused
    }
}

/// A request whose head keeps the rules of rpmsg-services.md 2.
pub(crate) struct Call<'a> {
    pub(crate) operations: usize,
    /// What follows the head.
    pub(crate) body: &'a [u8],
}

impl Call<'_> {
    /// That the body has exactly these bytes (rpmsg-services.md 2.3).
    pub(crate) fn expect_body(&self, expected: usize) -> Result<(), Error> {
        if self.body.len() == expected {
            return Ok(());
        }
        Err(Error::RequestLength {
            found: self.body.len().saturating_add(raw::HEAD),
            expected: expected.saturating_add(raw::HEAD),
        })
    }

    pub(crate) fn expect_operations(&self, least: usize, most: usize) -> Result<(), Error> {
        if (least..=most).contains(&self.operations) {
            return Ok(());
        }
        Err(Error::OperationCount {
            found: self.operations,
            least,
            most,
        })
    }
}

/// That so many bytes fit behind the head of an answer (rpmsg-services.md 2.3).
pub(crate) fn expect_room(bytes: usize) -> Result<(), Error> {
    if bytes <= raw::ROOM {
        return Ok(());
    }
    Err(Error::AnswerTooLong {
        found: bytes.saturating_add(raw::HEAD),
        limit: MAX_MESSAGE,
    })
}

/// Why nothing, or not all, was done.
pub(crate) enum Refusal {
    Device(Status),
    Rule(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal::Rule(error)
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Refusal::Device(status)
    }
}

/// Answers a request; `serve` does the work and tells how many bytes it put into the room behind the head.
pub(crate) fn reply<'a>(
    request: &[u8],
    answer: &'a mut [u8; MAX_MESSAGE],
    serve: impl FnOnce(Call<'_>, &mut [u8]) -> Result<usize, Refusal>,
) -> Reply<'a> {
    // What an earlier answer held is nobody's business (rpmsg-services.md 2.8).
    answer.fill(0);
    let head = Head::read_from_prefix(request);
    let (Ok((head, body)), Some((place, room))) = (head, answer.split_first_chunk_mut()) else {
        return Reply {
            bytes: &[],
            status: None,
            refused: Some(Error::RequestTooShort {
                found: request.len(),
            }),
        };
    };
    let outcome = judge(head, request.len()).and_then(|()| {
        let operations = usize::from(head.word);
        serve(Call { operations, body }, room)
    });
    let (status, len, refused) = match outcome {
        Ok(len) => (Status::Done, len, None),
        Err(Refusal::Device(status)) => (status, 0, None),
        Err(Refusal::Rule(error)) => (Status::of_refused(error), 0, Some(error)),
    };
    let [low, high] = head.sequence.to_bytes();
    *place = [raw::VERSION, status.number(), low, high];
    Reply {
        bytes: answer
            .get(..len.saturating_add(raw::HEAD))
            .unwrap_or_default(),
        status: Some(status),
        refused,
    }
}

fn judge(head: Head, len: usize) -> Result<(), Refusal> {
    if head.version != raw::VERSION {
        let found = head.version;
        return Err(Error::RequestVersion { found }.into());
    }
    if len > MAX_MESSAGE {
        let (found, limit) = (len, MAX_MESSAGE);
        return Err(Error::RequestTooLong { found, limit }.into());
    }
    Ok(())
}
