//! The queue of one endpoint.

use std::collections::VecDeque;
use std::task::Waker;

use rpmsg::ServiceName;

use super::counters::{EndpointCounters, Traffic};
use crate::error::Error;

/// A message that came to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who sent it.
    pub source: u32,
    /// What it says.
    pub payload: Vec<u8>,
}

/// What has come for an endpoint, and how it stands with its link.
pub(super) struct Inbox {
    pub(super) id: u64,
    pub(super) inner: rpmsg::Endpoint,
    pub(super) peer: Option<u32>,
    /// Connected to a service of the peer, which may be withdrawn.
    pub(super) bound: bool,
    pub(super) announced: Option<ServiceName>,
    pub(super) label: Option<ServiceName>,
    pub(super) queue: VecDeque<Item>,
    pub(super) queued: usize,
    pub(super) lost: u64,
    pub(super) ended: Option<Error>,
    pub(super) wakers: Vec<Waker>,
    pub(super) received: Traffic,
    pub(super) sent: Traffic,
}

pub(super) enum Item {
    Message(Message),
    /// So many messages found no room here.
    Lost(u64),
}

impl Inbox {
    /// Queues a message, or a note of its loss where the owner is too slow: others must not wait for it.
    pub(super) fn push(&mut self, source: u32, payload: &[u8], limit: usize) {
        self.received.add(payload.len());
        if !self.bound {
            // A service talks to whoever talked to it first, until told otherwise.
            self.peer.get_or_insert(source);
        }
        if self.queued < limit {
            self.queued += 1;
            self.queue.push_back(Item::Message(Message {
                source,
                payload: payload.to_vec(),
            }));
            return;
        }
        self.lost += 1;
        match self.queue.back_mut() {
            Some(Item::Lost(messages)) => *messages += 1,
            _ => self.queue.push_back(Item::Lost(1)),
        }
    }

    pub(super) fn counters(&self) -> EndpointCounters {
        EndpointCounters {
            address: self.inner.address(),
            service: self.label.map(|name| name.to_string()),
            received: self.received,
            sent: self.sent,
            queued: self.queued,
            lost: self.lost,
        }
    }
}

/// Adds a waker that is not there yet.
pub(super) fn add(wakers: &mut Vec<Waker>, waker: &Waker) {
    if !wakers.iter().any(|known| known.will_wake(waker)) {
        wakers.push(waker.clone());
    }
}
