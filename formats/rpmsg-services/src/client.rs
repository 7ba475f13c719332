//! What all clients do: one request, one answer, and what may go wrong between them.

use core::fmt::Debug;

use embedded_hal::{digital, i2c, spi};
use zerocopy::FromBytes;

use crate::MAX_MESSAGE;
use crate::error::Error;
use crate::raw::{self, Head};
use crate::status::Status;

/// A way to one server: an endpoint with an address to send to, and a time limit.
pub trait Transport {
    /// What else can go wrong with it.
    type Error: Debug;

    /// Sends a request. The time for its answer begins.
    ///
    /// # Errors
    /// [`Failure::PeerRestarted`], [`Failure::TimeLimit`], [`Failure::Transport`].
    fn send(&mut self, request: &[u8]) -> Result<(), Failure<Self::Error>>;

    /// Waits for the next message, for as long as is left since the last request was sent, and copies of it what there is
    /// room for. Its whole length.
    ///
    /// # Errors
    /// As [`Transport::send`].
    fn receive(&mut self, answer: &mut [u8]) -> Result<usize, Failure<Self::Error>>;
}

impl<T: Transport> Transport for &mut T {
    type Error = T::Error;

    fn send(&mut self, request: &[u8]) -> Result<(), Failure<T::Error>> {
        T::send(self, request)
    }

    fn receive(&mut self, answer: &mut [u8]) -> Result<usize, Failure<T::Error>> {
        T::receive(self, answer)
    }
}

/// Why a client has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure<E> {
    /// What was asked for, or the answer, breaks a rule of the format.
    #[error("{0}")]
    Broken(Error),
    /// The server's side of the link restarted; open the endpoint anew.
    #[error("the peer restarted: open the endpoint anew")]
    PeerRestarted {
        /// The generation of the link that is gone, where the transport knows it.
        generation: Option<u32>,
    },
    /// The server did not do it, and said why.
    #[error("the server refused: {0}")]
    Refused(Status),
    /// No answer in time. It may have been done all the same.
    #[error("no answer for {milliseconds} ms")]
    TimeLimit {
        /// How long.
        milliseconds: u64,
    },
    /// The transport failed.
    #[error("the transport failed: {0:?}")]
    Transport(E),
}

impl<E> From<Error> for Failure<E> {
    fn from(error: Error) -> Self {
        Failure::Broken(error)
    }
}

// The kinds of rpmsg-services.md 7.1.
impl<E: Debug> digital::Error for Failure<E> {
    fn kind(&self) -> digital::ErrorKind {
        digital::ErrorKind::Other
    }
}

impl<E: Debug> i2c::Error for Failure<E> {
    fn kind(&self) -> i2c::ErrorKind {
        match self {
            Failure::Refused(status) => status.to_i2c(),
            _ => i2c::ErrorKind::Other,
        }
    }
}

impl<E: Debug> spi::Error for Failure<E> {
    fn kind(&self) -> spi::ErrorKind {
        match self {
            Failure::Refused(status) => status.to_spi(),
            _ => spi::ErrorKind::Other,
        }
    }
}

/// A request being written.
pub(crate) struct Draft {
    bytes: [u8; MAX_MESSAGE],
    len: usize,
}

impl Draft {
    /// For a request whose body has so many bytes.
    pub(crate) fn new(operations: usize, most: usize, body: usize) -> Result<Self, Error> {
        let count = u8::try_from(operations).ok();
        let count = count.filter(|_| operations <= most);
        let count = count.ok_or(Error::OperationCount {
            found: operations,
            least: 0,
            most,
        })?;
        let found = body.saturating_add(raw::HEAD);
        if found > MAX_MESSAGE {
            let limit = MAX_MESSAGE;
            return Err(Error::RequestTooLong { found, limit });
        }
        let mut bytes = [0; MAX_MESSAGE];
        if let Some(place) = bytes.first_chunk_mut() {
            *place = [raw::VERSION, count];
        }
        Ok(Self {
            bytes,
            len: raw::HEAD,
        })
    }

    /// What was counted for [`Draft::new`], piece by piece.
    pub(crate) fn put(&mut self, part: &[u8]) {
        let end = self.len.saturating_add(part.len());
        let place = self.bytes.get_mut(self.len..end).unwrap_or_default();
        for (to, from) in place.iter_mut().zip(part) {
            *to = *from;
        }
        self.len = end;
    }

    fn number(&mut self, sequence: u16) {
        if let Some(place) = self.bytes.get_mut(2..raw::HEAD) {
            place.copy_from_slice(&sequence.to_le_bytes());
        }
    }
}

/// One request after the other over a transport (rpmsg-services.md 1.2).
#[derive(Debug)]
pub(crate) struct Exchange<T> {
    pub(crate) transport: T,
    sequence: u16,
    /// So many requests before the next one have had no answer, which may still come.
    unanswered: u16,
}

impl<T: Transport> Exchange<T> {
    pub(crate) const fn new(transport: T) -> Self {
        Self {
            transport,
            sequence: 0,
            unanswered: 0,
        }
    }

    /// Sends a request and waits for its answer, whose `expected` bytes behind the head it gives.
    pub(crate) fn ask<'a>(
        &mut self,
        mut request: Draft,
        expected: usize,
        answer: &'a mut [u8; MAX_MESSAGE],
    ) -> Result<&'a [u8], Failure<T::Error>> {
        self.sequence = self.sequence.wrapping_add(1);
        request.number(self.sequence);
        let outcome = self.answer_to(&request, answer);
        self.unanswered = match outcome {
            // Messages keep their order: what had no answer so far will have none.
            Ok(_) | Err(Failure::PeerRestarted { .. }) => 0,
            Err(_) => self.unanswered.saturating_add(1).min(MAX_UNANSWERED),
        };
        let (status, len) = outcome?;
        let answer: &'a [u8] = answer;
        let body = answer.get(raw::HEAD..len).unwrap_or_default();
        judge(status, body, expected)
    }

    /// The status and the length of the answer.
    fn answer_to(
        &mut self,
        request: &Draft,
        answer: &mut [u8; MAX_MESSAGE],
    ) -> Result<(u8, usize), Failure<T::Error>> {
        let bytes = request.bytes.get(..request.len).unwrap_or_default();
        self.transport.send(bytes)?;
        let mut skipped = 0;
        loop {
            let found = self.transport.receive(answer)?;
            if found > MAX_MESSAGE {
                let limit = MAX_MESSAGE;
                return Err(Error::AnswerTooLong { found, limit }.into());
            }
            let received = answer.get(..found).unwrap_or_default();
            let Ok((head, _)) = Head::read_from_prefix(received) else {
                return Err(Error::AnswerTooShort { found }.into());
            };
            if head.version != raw::VERSION {
                let found = head.version;
                return Err(Error::AnswerVersion { found }.into());
            }
            let (number, expected) = (head.sequence.get(), self.sequence);
            if number == expected {
                return Ok((head.word, found));
            }
            // The answer to a request that was given up; each can come once.
            let age = expected.wrapping_sub(number);
            if age > self.unanswered || skipped >= self.unanswered {
                let found = number;
                return Err(Error::AnswerSequence { found, expected }.into());
            }
            skipped = skipped.saturating_add(1);
        }
    }
}

fn judge<E>(status: u8, body: &[u8], expected: usize) -> Result<&[u8], Failure<E>> {
    let known = Status::from_number(status);
    let known = known.ok_or(Error::AnswerStatus { found: status })?;
    let expected = match known {
        Status::Done => expected,
        _ => 0,
    };
    if body.len() != expected {
        return Err(Failure::Broken(Error::AnswerLength {
            found: body.len().saturating_add(raw::HEAD),
            expected: expected.saturating_add(raw::HEAD),
        }));
    }
    match known {
        Status::Done => Ok(body),
        refused => Err(Failure::Refused(refused)),
    }
}

/// Copies the next bytes of an answer out.
pub(crate) fn deal(data: &mut &[u8], into: &mut [u8]) {
    if let Some((here, rest)) = data.split_at_checked(into.len()) {
        into.copy_from_slice(here);
        *data = rest;
    }
}

/// So many late answers are told from wrong ones.
const MAX_UNANSWERED: u16 = 64;
