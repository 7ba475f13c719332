//! A handle to one address of a link.

use std::task::{Context, Poll};

use super::node::{LinkPools, Node, Purpose};
use super::{Hub, Message};
use crate::error::{Error, Waiting};
use crate::limit::Limit;

/// An address of ours in one generation of a link; it is closed when this is dropped.
///
/// Any number of threads may use it at once.
pub struct Endpoint {
    hub: Hub,
    id: u64,
    address: u32,
    purpose: Purpose,
}

impl Endpoint {
    pub(super) fn new(hub: Hub, id: u64, address: u32, purpose: Purpose) -> Self {
        Endpoint {
            hub,
            id,
            address,
            purpose,
        }
    }

    /// Our address.
    #[must_use]
    pub fn address(&self) -> u32 {
        self.address
    }

    /// The address that [`Endpoint::send`] sends to, where it is known.
    #[must_use]
    pub fn peer(&self) -> Option<u32> {
        self.hub.shared.lock().node.peer_of(self.id)
    }

    /// The hub that the endpoint belongs to.
    #[must_use]
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Waits for the next message.
    ///
    /// # Errors
    /// [`Error::TimeLimit`] where none comes; [`Error::MessagesLost`] at the place of messages that found the queue full,
    /// after which it goes on; [`Error::PeerRestarted`], [`Error::LinkBroken`] or [`Error::ServiceWithdrawn`] where none
    /// can come any more.
    pub fn recv(&self, limit: Limit<'_>) -> Result<Message, Error> {
        let shared = &self.hub.shared;
        shared.wait(limit, Waiting::Message, |node| node.take(self.id))
    }

    /// The next message, if it is there.
    ///
    /// # Errors
    /// As [`Endpoint::recv`].
    pub fn try_recv(&self) -> Result<Option<Message>, Error> {
        self.hub.shared.now(|node| match node.take(self.id)? {
            Some(message) => Ok(Some(message)),
            None => {
                node.pump()?;
                node.take(self.id)
            }
        })
    }

    /// Sends to the peer, and waits for a free buffer if need be.
    ///
    /// # Errors
    /// [`Error::NoPeer`] where nobody has sent to this endpoint and it is connected to no service, otherwise as
    /// [`Endpoint::send_to`].
    pub fn send(&self, payload: &[u8], limit: Limit<'_>) -> Result<(), Error> {
        self.send_one(None, payload, limit)
    }

    /// Sends to an address, and waits for a free buffer if need be.
    ///
    /// # Errors
    /// [`Error::TimeLimit`] where no buffer becomes free, [`Error::Rpmsg`] where the message is too long, and where the
    /// endpoint's link is gone as [`Endpoint::recv`].
    pub fn send_to(&self, to: u32, payload: &[u8], limit: Limit<'_>) -> Result<(), Error> {
        self.send_one(Some(to), payload, limit)
    }

    fn send_one(&self, to: Option<u32>, payload: &[u8], limit: Limit<'_>) -> Result<(), Error> {
        let shared = &self.hub.shared;
        shared.wait(limit, Waiting::SendBuffer, |node| {
            let sent = put(node, self.id, to, payload)?;
            node.flush()?;
            Ok(sent.then_some(()))
        })
    }

    /// Sends many messages to the peer with one kick, or one for each time that the buffers run out.
    ///
    /// # Errors
    /// As [`Endpoint::send`]; the messages before the one that failed are sent.
    pub fn send_all<'m>(
        &self,
        payloads: impl IntoIterator<Item = &'m [u8]>,
        limit: Limit<'_>,
    ) -> Result<(), Error> {
        // Before the hub is held: what the iterator does is the caller's business.
        let mut payloads = payloads.into_iter().collect::<Vec<_>>().into_iter();
        let shared = &self.hub.shared;
        shared.wait(limit, Waiting::SendBuffer, |node| {
            node.step()?;
            let outcome = loop {
                let Some(payload) = payloads.as_slice().first() else {
                    break Ok(Some(()));
                };
                match node.put(self.id, None, payload) {
                    Ok(true) => payloads.next(),
                    Ok(false) => break Ok(None),
                    Err(error) => break Err(error),
                };
            };
            node.flush()?;
            outcome
        })
    }

    /// Sends to an address, or to the peer, if a buffer is free.
    ///
    /// # Errors
    /// As [`Endpoint::send`].
    pub fn try_send(&self, to: Option<u32>, payload: &[u8]) -> Result<bool, Error> {
        self.hub
            .shared
            .now(|node| try_put(node, self.id, to, payload))
    }

    /// [`Endpoint::try_recv`] for tasks: the task is woken when there is something. Until then its waker is kept, so whose tasks
    /// give up often lets them wait by one waker, as `corewarden_async` does.
    pub fn poll_recv(&self, context: &mut Context<'_>) -> Poll<Result<Message, Error>> {
        let taken = self.hub.shared.now(|node| {
            if let Some(message) = node.take(self.id)? {
                return Ok(Some(message));
            }
            node.pump()?;
            let message = node.take(self.id)?;
            if message.is_none() {
                node.wake_inbox(self.id, context.waker())?;
            }
            Ok(message)
        });
        ready(taken)
    }

    /// [`Endpoint::try_send`] for tasks: the task is woken when a buffer may be free; its waker is kept as in
    /// [`Endpoint::poll_recv`].
    pub fn poll_send(
        &self,
        to: Option<u32>,
        payload: &[u8],
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        let sent = self.hub.shared.now(|node| {
            let sent = try_put(node, self.id, to, payload)?;
            if !sent {
                node.wake_at_news(context.waker());
            }
            Ok(sent.then_some(()))
        });
        ready(sent)
    }

    /// Repeats a look at the endpoint's messages and the ring's buffers until it has what it looks for. Whoever else looks so
    /// is woken for what one of them took.
    pub(crate) fn attend<T>(
        &self,
        limit: Limit<'_>,
        waiting: Waiting,
        mut look: impl FnMut(&mut Post<'_>) -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        let shared = &self.hub.shared;
        shared.wait(limit, waiting, |node| {
            let outcome = look(&mut Post { node, id: self.id });
            node.flush()?;
            outcome
        })
    }

    /// One such look, without waiting.
    pub(crate) fn look<T>(
        &self,
        look: impl FnOnce(&mut Post<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.hub.shared.now(|node| {
            let outcome = look(&mut Post { node, id: self.id });
            node.flush()?;
            outcome
        })
    }

    /// Lets whoever wants the hub have it, between two looks of many.
    pub(crate) fn give_way(&self) {
        self.hub.shared.give_way();
    }

    /// The pools of the endpoint's link, which can be taken once.
    pub(crate) fn take_pools(&self) -> Result<LinkPools, Error> {
        self.hub.shared.now(|node| node.take_pools(self.id))
    }

    /// The same endpoint on the link that there is now: connected to the service of the same name, or serving it again.
    /// What the old one had not taken is gone. Where this fails it can be called again; other calls say why there is no link, or
    /// [`Error::EndpointClosed`].
    ///
    /// # Errors
    /// As [`Hub::connect`], [`Hub::serve`] and [`Hub::open`].
    pub fn reopen(&mut self, limit: Limit<'_>) -> Result<(), Error> {
        self.close();
        let hub = self.hub.clone();
        *self = match &self.purpose {
            Purpose::Plain(address) => hub.open(*address, limit)?,
            Purpose::Client(name, _) => hub.connect(name.as_str(), limit)?,
            Purpose::Server(name) => hub.serve(name.as_str(), limit)?,
        };
        Ok(())
    }

    /// [`Endpoint::reopen`] without waiting: `None` where there is no link yet, or the service is not announced.
    ///
    /// # Errors
    /// As [`Endpoint::reopen`], without its time limit.
    pub fn try_reopen(&mut self) -> Result<Option<()>, Error> {
        self.close();
        self.hub.pump()?;
        let opened = match &self.purpose {
            Purpose::Plain(address) => self.hub.try_open(*address)?,
            Purpose::Client(name, _) => self.hub.try_connect(name.as_str())?,
            Purpose::Server(name) => self.hub.try_serve(name.as_str())?,
        };
        Ok(opened.map(|endpoint| *self = endpoint))
    }

    fn close(&self) {
        // A doorbell that failed fails for whoever is left, too.
        let _ = self.hub.shared.now(|node| node.close(self.id));
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        let _ = self.hub.shared.now(|node| node.remove(self.id));
    }
}

/// An endpoint, for the time of one look at it.
pub(crate) struct Post<'a> {
    node: &'a mut Node,
    id: u64,
}

impl Post<'_> {
    /// Fails where the link is gone.
    pub(crate) fn alive(&mut self) -> Result<(), Error> {
        self.node.alive(self.id)
    }

    /// Takes in what has come for everybody.
    pub(crate) fn pump(&mut self) -> Result<(), Error> {
        self.node.pump()
    }

    /// As [`Endpoint::try_recv`], of what was taken in.
    pub(crate) fn take(&mut self) -> Result<Option<Message>, Error> {
        let message = self.node.take(self.id)?;
        if message.is_some() {
            self.node.have_news();
        }
        Ok(message)
    }

    /// Puts a message into the ring, to the peer where no address is named; `false` where no buffer is free.
    pub(crate) fn put(&mut self, to: Option<u32>, payload: &[u8]) -> Result<bool, Error> {
        put(self.node, self.id, to, payload)
    }

    /// Counts a broken rule.
    pub(crate) fn note(&mut self, error: rpmsg_pool::Error) {
        self.node.note(error);
    }

    /// Lets everybody who waits look again.
    pub(crate) fn have_news(&mut self) {
        self.node.have_news();
    }
}

/// Looks whether the link is still that of the endpoint before it sends (rpmsg-lifecycle.md, L8).
fn put(node: &mut Node, id: u64, to: Option<u32>, payload: &[u8]) -> Result<bool, Error> {
    node.step()?;
    node.put(id, to, payload)
}

fn try_put(node: &mut Node, id: u64, to: Option<u32>, payload: &[u8]) -> Result<bool, Error> {
    let mut sent = put(node, id, to, payload)?;
    if !sent {
        node.pump()?;
        sent = put(node, id, to, payload)?;
    }
    node.flush()?;
    Ok(sent)
}

fn ready<T>(outcome: Result<Option<T>, Error>) -> Poll<Result<T, Error>> {
    match outcome {
        Ok(Some(value)) => Poll::Ready(Ok(value)),
        Ok(None) => Poll::Pending,
        Err(error) => Poll::Ready(Err(error)),
    }
}
