//! A transport of which the test says what comes back for each request.

use std::collections::VecDeque;

use rpmsg_services::{Error, Failure, MAX_MESSAGE, Reply, Status, Transport};

/// `answer` takes each request and gives what the other side sends for it: nothing, an answer, or many.
pub(crate) struct Script<F> {
    pub(crate) answer: F,
    pub(crate) sent: Vec<Vec<u8>>,
    queue: VecDeque<Vec<u8>>,
}

impl<F: FnMut(&[u8]) -> Vec<Vec<u8>>> Script<F> {
    pub(crate) fn new(answer: F) -> Self {
        Script {
            answer,
            sent: Vec::new(),
            queue: VecDeque::new(),
        }
    }
}

impl<F: FnMut(&[u8]) -> Vec<Vec<u8>>> Transport for Script<F> {
    type Error = &'static str;

    fn send(&mut self, request: &[u8]) -> Result<(), Failure<Self::Error>> {
        self.sent.push(request.to_vec());
        self.queue.extend((self.answer)(request));
        Ok(())
    }

    fn receive(&mut self, answer: &mut [u8]) -> Result<usize, Failure<Self::Error>> {
        let message = self.queue.pop_front();
        let message = message.ok_or(Failure::TimeLimit { milliseconds: 5 })?;
        let copied = message.len().min(answer.len());
        answer[..copied].copy_from_slice(&message[..copied]);
        Ok(message.len())
    }
}

/// What a server did with a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) bytes: Option<Vec<u8>>,
    pub(crate) status: Option<Status>,
    pub(crate) refused: Option<Error>,
}

impl Done {
    /// Serves into a room in which an earlier answer lies.
    pub(crate) fn by(serve: impl for<'a> FnOnce(&'a mut [u8; MAX_MESSAGE]) -> Reply<'a>) -> Self {
        let mut room = [0xee; MAX_MESSAGE];
        let reply = serve(&mut room);
        Done {
            bytes: reply.bytes().map(<[u8]>::to_vec),
            status: reply.status(),
            refused: reply.refused(),
        }
    }

    /// That the rule was named, and answered with this status and nothing else.
    #[track_caller]
    pub(crate) fn expect_refused(&self, request: &[u8], status: Status, rule: Error) {
        assert_eq!(self.refused, Some(rule), "{request:x?}");
        self.expect_status(request, status);
    }

    #[track_caller]
    pub(crate) fn expect_status(&self, request: &[u8], status: Status) {
        let head = [1, status.number(), request[2], request[3]];
        assert_eq!(self.bytes.as_deref(), Some(&head[..]), "{request:x?}");
        assert_eq!(self.status, Some(status));
    }
}
