//! One link and its endpoints' queues, as a machine that never waits.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use rpmsg::{Change, Event, Kick, RestartSign, ServiceName, Services};
use rpmsg_pool::PoolLayout;

use super::counters::{Counters, EndpointCounters, Seen, Traffic, Watcher};
use super::side::{Lane, Side, Turn, largest_message};
use super::{Message, Options};
use crate::doorbell::Doorbell;
use crate::error::Error;
use crate::shared_memory::Window;

/// A link's state, in the hands of one caller at a time.
pub(super) struct Node {
    memory: Window,
    bell: Arc<dyn Doorbell>,
    options: Options,
    side: Side,
    lane: Option<Lane>,
    generation: u32,
    services: Services<SERVICES>,
    inboxes: Vec<Inbox>,
    next_id: u64,
    /// Why there is no link, where that is known.
    trouble: Option<Error>,
    /// Why there never will be one again.
    fault: Option<Error>,
    /// Somebody waits for a buffer to send in; kicks for returned ones are on.
    buffer_wanted: bool,
    /// Something happened for which others wait.
    news: bool,
    wakers: Vec<Waker>,
    room: Vec<u8>,
    counters: Counters,
    /// Messages both ways up to the last flush.
    flushed: u64,
    watcher: Option<Watcher>,
    /// The pools of this link are somebody's, or were (rpmsg-pool.md, P10).
    pools_taken: bool,
}

struct Inbox {
    id: u64,
    inner: rpmsg::Endpoint,
    peer: Option<u32>,
    /// Connected to a service of the peer, which may be withdrawn.
    bound: bool,
    announced: Option<ServiceName>,
    label: Option<ServiceName>,
    queue: VecDeque<Item>,
    queued: usize,
    lost: u64,
    ended: Option<Error>,
    waker: Option<Waker>,
    received: Traffic,
    sent: Traffic,
}

enum Item {
    Message(Message),
    /// So many messages found no room here.
    Lost(u64),
}

/// The slots of one link, by our side of it.
pub(crate) struct LinkPools {
    pub(crate) memory: Window,
    pub(crate) generation: u32,
    pub(crate) outgoing: PoolLayout,
    pub(crate) incoming: PoolLayout,
}

/// What a new endpoint is for.
pub(super) enum Purpose {
    /// Only itself.
    Plain(Option<u32>),
    /// A service of the peer.
    Client(ServiceName, u32),
    /// A service of ours.
    Server(ServiceName),
}

impl Node {
    pub(super) fn new(
        memory: Window,
        bell: Arc<dyn Doorbell>,
        options: Options,
        side: Side,
    ) -> Self {
        let role = if side.is_driver() { "driver" } else { "device" };
        Node {
            room: vec![0; largest_message(&memory)],
            memory,
            bell,
            options,
            side,
            lane: None,
            generation: 0,
            services: Services::new(),
            inboxes: Vec::new(),
            next_id: 0,
            trouble: None,
            fault: None,
            buffer_wanted: false,
            news: false,
            wakers: Vec::new(),
            counters: Counters {
                role: role.to_owned(),
                ..Counters::default()
            },
            flushed: 0,
            watcher: None,
            pools_taken: false,
        }
    }

    /// Looks after the link's life: what a batch begins with (rpmsg-lifecycle.md, L8).
    pub(super) fn step(&mut self) -> Result<(), Error> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        for _ in 0..STEPS {
            let turn = self.side.step(&self.memory, &*self.bell, &self.options)?;
            match turn {
                Turn::Rest => return Ok(()),
                Turn::Up(lane, generation) => {
                    self.lane = Some(lane);
                    self.generation = generation;
                    self.trouble = None;
                    self.pools_taken = false;
                    self.news = true;
                    self.counters.links += 1;
                    self.show(Seen::Up);
                    return Ok(());
                }
                Turn::Down(sign) => {
                    self.take_in_the_last(sign);
                    self.end(Error::PeerRestarted {
                        generation: self.generation,
                        sign: Some(sign),
                    });
                }
                Turn::Displaced => {
                    let generation = self.generation;
                    self.end(Error::Displaced { generation });
                    self.fault = Some(Error::Displaced { generation });
                    return Err(Error::Displaced { generation });
                }
                Turn::Trouble(error) => {
                    self.trouble = Some(error);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Takes in what has come, a batch at most, for an endpoint or for all.
    ///
    /// Where the caller's own queue is full, or every queue, the messages stay in the ring, which holds up the peer; where
    /// others have room they must not wait.
    pub(super) fn pump(&mut self, caller: Option<u64>) -> Result<(), Error> {
        self.step()?;
        let mut room = std::mem::take(&mut self.room);
        let outcome = self.take_in_batch(caller, &mut room);
        self.room = room;
        outcome.and_then(|()| self.flush())
    }

    /// Asks the peer for kicks; `true` where there is something to do already and nobody may sleep
    /// (rpmsg-lifecycle.md, L14).
    pub(super) fn prepare_sleep(&mut self) -> Result<bool, Error> {
        let full = self.is_full(None);
        let Some(lane) = &mut self.lane else {
            return Ok(false);
        };
        let mut outcome = if full {
            Ok(false)
        } else {
            lane.wake_on_message(true)
        };
        if outcome == Ok(false) && self.buffer_wanted {
            outcome = lane.wake_on_buffer(true);
            // Whoever waits for a buffer tries again.
            self.news |= outcome == Ok(true);
        }
        match outcome {
            Ok(ready) => Ok(ready),
            Err(error) => self.lie(error).map(|()| true),
        }
    }

    /// Asks the peer for no kicks, as we look ourselves all the time.
    pub(super) fn prepare_spin(&mut self) -> Result<(), Error> {
        match self.lane.as_mut().map(|lane| lane.wake_on_message(false)) {
            Some(Err(error)) => self.lie(error),
            _ => Ok(()),
        }
    }

    /// How long nobody may sleep at most: peers without generations come and go without a ring (L10).
    pub(super) fn slice(&self) -> Duration {
        if self.side.is_driver() && self.lane.is_some() {
            Duration::from_millis(50)
        } else {
            Duration::from_millis(10)
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.lane.is_some()
    }

    pub(super) fn generation(&self) -> u32 {
        self.generation
    }

    pub(super) fn trouble(&self) -> Option<Error> {
        self.trouble
    }

    pub(super) fn service(&self, name: &ServiceName) -> Option<u32> {
        self.services.address_of(name)
    }

    pub(super) fn services(&self) -> impl Iterator<Item = (ServiceName, u32)> + '_ {
        self.services.iter()
    }

    /// Opens an endpoint; `None` while there is no link, or no buffer for the announcement.
    pub(super) fn open(&mut self, purpose: &Purpose) -> Result<Option<(u64, u32)>, Error> {
        let Some(lane) = &mut self.lane else {
            return Ok(None);
        };
        let fixed = match purpose {
            Purpose::Plain(address) => *address,
            _ => None,
        };
        let inner = lane.open(fixed).map_err(Error::Rpmsg)?;
        let (mut peer, mut label, mut announced) = (None, None, None);
        match *purpose {
            Purpose::Plain(_) => {}
            Purpose::Client(name, address) => {
                peer = Some(address);
                label = Some(name);
            }
            Purpose::Server(name) => {
                match lane.announce(&inner, name, Change::Created) {
                    Ok(()) => {}
                    Err(error) => {
                        // Ours since a moment ago, so it can be closed.
                        let _ = lane.close(inner);
                        return match error {
                            rpmsg::Error::NoBuffer { .. } => {
                                self.want_buffer();
                                Ok(None)
                            }
                            error => self.lie(error).map(|()| None),
                        };
                    }
                }
                label = Some(name);
                announced = Some(name);
            }
        }
        let id = self.next_id;
        self.next_id += 1;
        self.inboxes.push(Inbox {
            id,
            inner,
            peer,
            bound: peer.is_some(),
            announced,
            label,
            queue: VecDeque::new(),
            queued: 0,
            lost: 0,
            ended: None,
            waker: None,
            received: Traffic::default(),
            sent: Traffic::default(),
        });
        self.flush()?;
        Ok(Some((id, inner.address())))
    }

    /// Closes an endpoint, and takes its announcement back as far as there is a buffer for that.
    pub(super) fn close(&mut self, id: u64) {
        let Some(at) = self.inboxes.iter().position(|inbox| inbox.id == id) else {
            return;
        };
        let inbox = self.inboxes.swap_remove(at);
        if let (None, Some(lane)) = (inbox.ended, &mut self.lane) {
            if let Some(name) = inbox.announced {
                // The peer has no buffer for the news: it will hear of it by silence.
                let _ = lane.announce(&inbox.inner, name, Change::Destroyed);
            }
            // It is of this link, as it has not ended.
            let _ = lane.close(inbox.inner);
            let _ = self.flush();
        }
    }

    /// The next message of an endpoint, if there is one.
    pub(super) fn take(&mut self, id: u64) -> Result<Option<Message>, Error> {
        let limit = self.options.queue;
        let inbox = self.inbox(id)?;
        match inbox.queue.pop_front() {
            Some(Item::Message(message)) => {
                let was_full = inbox.queued >= limit;
                inbox.queued -= 1;
                // Whoever looks after the link may have left messages in the ring for want of room.
                self.news |= was_full;
                Ok(Some(message))
            }
            Some(Item::Lost(messages)) => Err(Error::MessagesLost { messages }),
            None => match inbox.ended {
                Some(ended) => Err(ended),
                None => Ok(None),
            },
        }
    }

    /// Fails where an endpoint's link is gone.
    pub(super) fn alive(&mut self, id: u64) -> Result<(), Error> {
        self.step()?;
        match self.inbox(id)?.ended {
            Some(ended) => Err(ended),
            None => Ok(()),
        }
    }

    /// The pools of an endpoint's link, once.
    pub(super) fn take_pools(&mut self, id: u64) -> Result<LinkPools, Error> {
        self.alive(id)?;
        let place = self.side.place();
        let pools = place.and_then(|place| place.pools).ok_or(Error::NoPool)?;
        let needed = usize::from(pools.to_device.count()) + usize::from(pools.to_driver.count());
        let queue = self.options.queue;
        if queue < needed {
            return Err(Error::PoolQueue { queue, needed });
        }
        if std::mem::replace(&mut self.pools_taken, true) {
            return Err(Error::PoolTaken);
        }
        let (outgoing, incoming) = match self.side {
            Side::Device { .. } => (pools.to_driver, pools.to_device),
            Side::Driver { .. } => (pools.to_device, pools.to_driver),
        };
        Ok(LinkPools {
            memory: self.memory.clone(),
            generation: self.generation,
            outgoing,
            incoming,
        })
    }

    /// Puts one message into the ring, for the next flush; `false` where no buffer is free.
    pub(super) fn put(&mut self, id: u64, to: Option<u32>, payload: &[u8]) -> Result<bool, Error> {
        let inbox = self.inbox(id)?;
        if let Some(ended) = inbox.ended {
            return Err(ended);
        }
        let address = inbox.inner.address();
        let to = to.or(inbox.peer).ok_or(Error::NoPeer { address })?;
        let inner = inbox.inner;
        let Some(lane) = &mut self.lane else {
            return Ok(false);
        };
        match lane.send(&inner, to, payload) {
            Ok(()) => {}
            Err(rpmsg::Error::NoBuffer { .. }) => {
                self.counters.no_buffer += 1;
                self.want_buffer();
                return Ok(false);
            }
            Err(error) if error.breaks_link() => {
                self.lie(error)?;
                return self.put(id, Some(to), payload);
            }
            Err(error) => return Err(Error::Rpmsg(error)),
        }
        self.counters.sent.add(payload.len());
        self.inbox(id)?.sent.add(payload.len());
        self.show(Seen::Message {
            outgoing: true,
            source: address,
            destination: to,
            payload,
        });
        if self.buffer_wanted {
            // Returned buffers are looked for when needed; nobody has to ring for them.
            self.buffer_wanted = false;
            if let Some(lane) = &mut self.lane
                && let Err(error) = lane.wake_on_buffer(false)
            {
                self.lie(error)?;
            }
        }
        Ok(true)
    }

    /// Publishes what was put and taken, and rings where the peer wants that.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        let moved = self.counters.sent.messages + self.counters.received.messages;
        let kick = match &mut self.lane {
            Some(lane) => lane.flush(),
            None => Kick::NONE,
        };
        if self.flushed != moved {
            self.flushed = moved;
            self.counters.batches += 1;
            self.counters.kicks.spared += u64::from(!kick.is_needed());
        }
        if !kick.is_needed() {
            return Ok(());
        }
        self.counters.kicks.rung += 1;
        self.show(Seen::Kick { outgoing: true });
        self.side.ring(kick, &*self.bell)
    }

    pub(super) fn heard(&mut self) {
        self.counters.kicks.heard += 1;
        self.show(Seen::Kick { outgoing: false });
        if self.buffer_wanted {
            self.news = true;
        }
    }

    pub(super) fn wake_inbox(&mut self, id: u64, waker: &Waker) -> Result<(), Error> {
        self.inbox(id)?.waker = Some(waker.clone());
        Ok(())
    }

    pub(super) fn wake_at_news(&mut self, waker: &Waker) {
        if !self.wakers.iter().any(|known| known.will_wake(waker)) {
            self.wakers.push(waker.clone());
        }
    }

    pub(super) fn have_news(&mut self) {
        self.news = true;
    }

    /// Whether there was news since the last call, and who is to be woken for it.
    pub(super) fn news(&mut self) -> (bool, Vec<Waker>) {
        let news = std::mem::take(&mut self.news);
        if !news {
            return (false, Vec::new());
        }
        let mut wakers = std::mem::take(&mut self.wakers);
        for inbox in &mut self.inboxes {
            if !inbox.queue.is_empty() || inbox.ended.is_some() {
                wakers.extend(inbox.waker.take());
            }
        }
        (true, wakers)
    }

    pub(super) fn all_wakers(&mut self) -> Vec<Waker> {
        let mut wakers = std::mem::take(&mut self.wakers);
        wakers.extend(
            self.inboxes
                .iter_mut()
                .filter_map(|inbox| inbox.waker.take()),
        );
        wakers
    }

    pub(super) fn counters(&self) -> Counters {
        Counters {
            generation: if self.is_up() { self.generation } else { 0 },
            services: self
                .services()
                .map(|(name, address)| (name.to_string(), address))
                .collect(),
            endpoints: self.inboxes.iter().map(Inbox::counters).collect(),
            ..self.counters.clone()
        }
    }

    pub(super) fn watch(&mut self, watcher: Option<Watcher>) {
        self.watcher = watcher;
    }

    pub(super) fn peer_of(&self, id: u64) -> Option<u32> {
        self.inboxes.iter().find(|inbox| inbox.id == id)?.peer
    }

    fn inbox(&mut self, id: u64) -> Result<&mut Inbox, Error> {
        let generation = self.generation;
        let inbox = self.inboxes.iter_mut().find(|inbox| inbox.id == id);
        // Handles close their inbox when they go, so each has one.
        inbox.ok_or(Error::PeerRestarted {
            generation,
            sign: None,
        })
    }

    /// Whether nothing is to be taken in: for want of room at the caller's endpoint, or at all of them.
    fn is_full(&self, caller: Option<u64>) -> bool {
        let mut live = self
            .inboxes
            .iter()
            .filter(|inbox| inbox.ended.is_none())
            .peekable();
        let limit = self.options.queue;
        let all = live.peek().is_some() && live.clone().all(|inbox| inbox.queued >= limit);
        let own = live.any(|inbox| Some(inbox.id) == caller && inbox.queued >= limit);
        all || own
    }

    fn want_buffer(&mut self) {
        self.buffer_wanted = true;
    }

    fn take_in_batch(&mut self, caller: Option<u64>, room: &mut [u8]) -> Result<(), Error> {
        for _ in 0..BATCH {
            if self.is_full(caller) {
                break;
            }
            let Some(lane) = &mut self.lane else {
                break;
            };
            match lane.poll(room) {
                Ok(None) => break,
                Ok(Some(event)) => self.take_in(event, room),
                Err(rpmsg::Error::NoSuchEndpoint { .. }) => self.counters.unclaimed += 1,
                Err(error) => self.lie(error)?,
            }
        }
        Ok(())
    }

    /// What a device published before it restarted. Its successor leaves the rings alone until the driver has prepared them
    /// anew (L7), so they still say what they said; a driver's successor may have gone on at its time limit (L5).
    fn take_in_the_last(&mut self, sign: RestartSign) {
        if sign != RestartSign::Generation || !self.side.is_driver() {
            return;
        }
        let mut room = vec![0; largest_message(&self.memory)];
        while let Some(lane) = &mut self.lane {
            match lane.poll(&mut room) {
                Ok(None) => break,
                Ok(Some(event)) => self.take_in(event, &room),
                Err(rpmsg::Error::NoSuchEndpoint { .. }) => self.counters.unclaimed += 1,
                Err(error) if error.breaks_link() => break,
                Err(error) => self.note(error),
            }
        }
    }

    fn take_in(&mut self, event: Event, room: &[u8]) {
        self.news = true;
        match event {
            Event::Message { header, copied } => {
                let payload = room.get(..copied).unwrap_or_default();
                self.counters.received.add(copied);
                self.show(Seen::Message {
                    outgoing: false,
                    source: header.source,
                    destination: header.destination,
                    payload,
                });
                let limit = self.options.queue;
                let inbox = self
                    .inboxes
                    .iter_mut()
                    .filter(|inbox| inbox.ended.is_none())
                    .find(|inbox| inbox.inner.address() == header.destination);
                match inbox {
                    Some(inbox) => inbox.push(header.source, payload, limit),
                    None => self.counters.unclaimed += 1,
                }
            }
            Event::Service(announcement) => {
                if let Err(error) = self.services.apply(&announcement) {
                    self.note(error);
                    return;
                }
                let address = announcement.address;
                if announcement.change == Change::Destroyed {
                    for inbox in &mut self.inboxes {
                        if inbox.bound && inbox.peer == Some(address) && inbox.ended.is_none() {
                            inbox.ended = Some(Error::ServiceWithdrawn { address });
                        }
                    }
                }
            }
        }
    }

    /// A rule was broken: by a message, which is dropped, or by the rings, which ends the link.
    fn lie(&mut self, error: rpmsg::Error) -> Result<(), Error> {
        if !error.breaks_link() {
            self.note(error);
            return Ok(());
        }
        // The signs of a restart are one, however they were found.
        self.step()?;
        if self.lane.is_none() {
            return Ok(());
        }
        let generation = self.generation;
        match error.restart_sign() {
            Some(sign) => self.end(Error::PeerRestarted {
                generation,
                sign: Some(sign),
            }),
            None => {
                self.note(error);
                self.end(Error::LinkBroken(error));
            }
        }
        self.side.renew(&self.memory, &*self.bell)
    }

    pub(super) fn note(&mut self, error: impl fmt::Display) {
        self.counters.lies += 1;
        self.counters.last_lie = Some(error.to_string());
    }

    /// The link is over: what was received stays, what was opened is told.
    fn end(&mut self, why: Error) {
        if self.lane.take().is_none() {
            return;
        }
        self.counters.restarts += 1;
        self.services = Services::new();
        self.buffer_wanted = false;
        self.news = true;
        for inbox in &mut self.inboxes {
            match inbox.ended {
                // The end of everything says more than the end of one service.
                None | Some(Error::ServiceWithdrawn { .. }) => inbox.ended = Some(why),
                Some(_) => {}
            }
        }
        self.show(Seen::Down);
    }

    fn show(&mut self, seen: Seen<'_>) {
        if let Some(watcher) = &mut self.watcher {
            watcher(self.generation, seen);
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Nobody is left to hear of a doorbell that failed; the words in memory are what counts.
        let _ = self.side.leave(&self.memory, &*self.bell);
    }
}

impl Inbox {
    /// Queues a message, or a note of its loss where the owner is too slow: others must not wait for it.
    fn push(&mut self, source: u32, payload: &[u8], limit: usize) {
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

    fn counters(&self) -> EndpointCounters {
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

const SERVICES: usize = 64;
/// Messages taken in at once: after so many, others get their turn.
const BATCH: usize = 64;
const STEPS: u32 = 8;
