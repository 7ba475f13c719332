//! One link and its endpoints' queues, as a machine that never waits.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use rpmsg::{
    Announcement, Change, Event, Kick, NAME_SERVICE_ADDRESS, RestartSign, ServiceName, Services,
};
use rpmsg_pool::PoolLayout;

use super::counters::{Counters, Seen, Traffic, Watcher};
use super::inbox::{Inbox, Item, add};
use super::pause::{Pause, SHORT};
use super::side::{DESCRIPTORS, Lane, Side, Turn, largest_message};
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
    /// Why none is begun, and until when.
    away: Option<(Error, Instant)>,
    /// Nothing is done before this, unless the device says that it is another one than this.
    rest: Option<(Instant, Option<u32>)>,
    pause: Pause,
    /// Somebody waits for a buffer to send in; kicks for returned ones are on.
    buffer_wanted: bool,
    /// Endpoints that are closed, and whose withdrawal has found no buffer yet.
    withdrawals: Vec<(rpmsg::Endpoint, ServiceName)>,
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
            away: None,
            rest: None,
            pause: Pause::default(),
            buffer_wanted: false,
            withdrawals: Vec::new(),
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
        if let Some((why, until)) = self.away {
            if Instant::now() < until {
                return Err(why);
            }
            self.away = None;
        }
        if let Some((until, device)) = self.rest {
            let same = self.side.device_generation(&self.memory) == device;
            if same && Instant::now() < until {
                return Ok(());
            }
            self.rest = None;
        }
        for _ in 0..STEPS {
            let turn = self.side.step(&self.memory, &*self.bell, &self.options)?;
            match turn {
                Turn::Rest => return Ok(()),
                Turn::Up(lane, generation, agreed) => {
                    self.counters.agreed = agreed;
                    self.lane = Some(lane);
                    self.generation = generation;
                    self.pause.link_begins(Instant::now());
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
                    let displaced = Error::Displaced { generation };
                    self.end(displaced);
                    let until = self.pause.begins(Instant::now(), SHORT);
                    self.away = until.map(|until| (displaced, until));
                    return Err(displaced);
                }
                Turn::Contested => {
                    self.rest();
                    return Ok(());
                }
                Turn::Trouble(error) => {
                    self.trouble = Some(error);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Takes in what has come, a batch at most.
    ///
    /// Where every queue is full the messages stay in the ring, which holds up the peer; where any has room, the others
    /// hold up nothing.
    pub(super) fn pump(&mut self) -> Result<(), Error> {
        self.step()?;
        let mut room = std::mem::take(&mut self.room);
        // A watcher's panic may have taken it.
        room.resize(largest_message(&self.memory), 0);
        let outcome = self.take_in_batch(&mut room);
        self.room = room;
        outcome?;
        self.withdraw()?;
        self.look_for_buffer()?;
        self.flush()
    }

    /// Gives way to a peer that breaks links or to another device: not the first time, as both may be over with that.
    fn rest(&mut self) {
        let until = self.pause.begins(Instant::now(), Duration::ZERO);
        let device = self.side.device_generation(&self.memory);
        self.rest = until.map(|until| (until, device));
    }

    /// Has those who wait for a buffer try again once there is one; who finds none then asks anew.
    fn look_for_buffer(&mut self) -> Result<bool, Error> {
        let (true, Some(lane)) = (self.buffer_wanted, &mut self.lane) else {
            return Ok(false);
        };
        let found = match lane.wake_on_buffer(true) {
            Ok(true) => lane.wake_on_buffer(false).map(|_| true),
            outcome => outcome,
        };
        match found {
            Ok(found) => {
                self.buffer_wanted = !found;
                self.news |= found;
                Ok(found)
            }
            Err(error) => self.lie(error).map(|()| true),
        }
    }

    /// Takes announcements back, as far as there are buffers for that.
    fn withdraw(&mut self) -> Result<(), Error> {
        while let Some((inner, name)) = self.withdrawals.pop() {
            let told = self.with_buffer(|lane| lane.announce(&inner, name, Change::Destroyed));
            if told == Ok(false) {
                self.withdrawals.push((inner, name));
                break;
            }
            if let Some(lane) = &mut self.lane {
                // It is of this link, as they are forgotten with it.
                let _ = lane.close(inner);
            }
            match told {
                Ok(_) => self.show_service(true, name, inner.address(), Change::Destroyed),
                Err(error) => self.lie(error)?,
            }
        }
        Ok(())
    }

    /// Asks the peer for kicks; `true` where there is something to do already and nobody may sleep
    /// (rpmsg-lifecycle.md, L14).
    pub(super) fn prepare_sleep(&mut self) -> Result<bool, Error> {
        let full = self.is_full();
        let Some(lane) = &mut self.lane else {
            return Ok(false);
        };
        let outcome = if full {
            Ok(false)
        } else {
            lane.wake_on_message(true)
        };
        match outcome {
            Ok(true) => Ok(true),
            Ok(false) => self.look_for_buffer(),
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

    /// How long a sleep may be: peers without generations come and go without a ring (L10), and our own time limits ring
    /// no bell either.
    pub(super) fn slice(&self) -> Duration {
        let look = match (self.side.is_driver(), &self.lane) {
            (true, Some(_)) => self.options.look.saturating_mul(5),
            _ => self.options.look,
        };
        let now = Instant::now();
        let away = self.away.map(|(_, until)| until);
        let rest = self.rest.map(|(until, _)| until);
        let next = away.or(rest).or(self.side.next_turn());
        match next {
            Some(next) => look.min(next.saturating_duration_since(now).max(SHORTEST)),
            None => look,
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
        // A name is withdrawn before it is announced again.
        self.withdraw()?;
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
                let told = self.with_buffer(|lane| lane.announce(&inner, name, Change::Created));
                if told != Ok(true) {
                    if let Some(lane) = &mut self.lane {
                        // Ours since a moment ago, so it can be closed.
                        let _ = lane.close(inner);
                    }
                    return match told {
                        Ok(_) => Ok(None),
                        Err(error) if error.breaks_link() => self.lie(error).map(|()| None),
                        Err(error) => Err(Error::Rpmsg(error)),
                    };
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
            wakers: Vec::new(),
            received: Traffic::default(),
            sent: Traffic::default(),
        });
        if let Some(name) = announced {
            self.show_service(true, name, inner.address(), Change::Created);
        }
        self.flush()?;
        Ok(Some((id, inner.address())))
    }

    /// Closes an endpoint for which nobody will ask any more.
    pub(super) fn remove(&mut self, id: u64) -> Result<(), Error> {
        let closed = self.close(id);
        self.inboxes.retain(|inbox| inbox.id != id);
        closed
    }

    /// Closes an endpoint, and takes its announcement back once there is a buffer for that. It is told so from now on, unless it
    /// was told of its link's end already.
    pub(super) fn close(&mut self, id: u64) -> Result<(), Error> {
        let inbox = self.inbox(id)?;
        inbox.queue.clear();
        inbox.queued = 0;
        // All other ends are those of its link.
        let (None | Some(Error::ServiceWithdrawn { .. })) = inbox.ended else {
            return Ok(());
        };
        inbox.ended = Some(Error::EndpointClosed);
        let (inner, announced) = (inbox.inner, inbox.announced);
        match (announced, &mut self.lane) {
            (Some(name), Some(_)) => {
                self.withdrawals.push((inner, name));
                self.withdraw()?;
                self.flush()
            }
            (None, Some(lane)) => lane.close(inner).map_err(Error::Rpmsg),
            (_, None) => Ok(()),
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
        match self.with_buffer(|lane| lane.send(&inner, to, payload)) {
            Ok(true) => {}
            Ok(false) => return Ok(false),
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
        Ok(true)
    }

    /// A call that needs a buffer to send in; `false` where none is free. What a driver offers and is none has gone back, is
    /// counted as its lie, and the next one is tried; after more than any ring has, others get their turn.
    fn with_buffer(
        &mut self,
        mut send: impl FnMut(&mut Lane) -> Result<(), rpmsg::Error>,
    ) -> Result<bool, rpmsg::Error> {
        for _ in 0..DESCRIPTORS {
            let Some(lane) = &mut self.lane else {
                return Ok(false);
            };
            match send(lane) {
                Ok(()) => return Ok(true),
                Err(rpmsg::Error::NoBuffer { .. }) => break,
                Err(error) if is_unfit(&error) => self.note(error),
                Err(error) => return Err(error),
            }
        }
        self.want_buffer();
        Ok(false)
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
    }

    pub(super) fn wake_inbox(&mut self, id: u64, waker: &Waker) -> Result<(), Error> {
        add(&mut self.inbox(id)?.wakers, waker);
        Ok(())
    }

    pub(super) fn wake_at_news(&mut self, waker: &Waker) {
        add(&mut self.wakers, waker);
    }

    pub(super) fn have_news(&mut self) {
        self.news = true;
    }

    /// Whether there was news since the last call, and who is to be woken for it.
    pub(super) fn news(&mut self) -> (bool, Vec<Waker>) {
        if !std::mem::take(&mut self.news) {
            return (false, Vec::new());
        }
        let mut wakers = std::mem::take(&mut self.wakers);
        for inbox in &mut self.inboxes {
            if !inbox.queue.is_empty() || inbox.ended.is_some() {
                wakers.append(&mut inbox.wakers);
            }
        }
        (true, wakers)
    }

    pub(super) fn all_wakers(&mut self) -> Vec<Waker> {
        let mut wakers = std::mem::take(&mut self.wakers);
        for inbox in &mut self.inboxes {
            wakers.append(&mut inbox.wakers);
        }
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

    /// Whether nothing is to be taken in, as there is no room for it at any endpoint.
    fn is_full(&self) -> bool {
        let limit = self.options.queue;
        let mut live = self
            .inboxes
            .iter()
            .filter(|inbox| inbox.ended.is_none())
            .peekable();
        live.peek().is_some() && live.all(|inbox| inbox.queued >= limit)
    }

    fn want_buffer(&mut self) {
        self.counters.no_buffer += u64::from(!self.buffer_wanted);
        self.buffer_wanted = true;
    }

    fn take_in_batch(&mut self, room: &mut [u8]) -> Result<(), Error> {
        for _ in 0..BATCH {
            if self.is_full() {
                break;
            }
            let Some(lane) = &mut self.lane else {
                break;
            };
            match lane.poll(room) {
                Ok(None) => break,
                Ok(Some(event)) => self.take_in(event, room, self.options.queue),
                Err(rpmsg::Error::NoSuchEndpoint { .. }) => self.counters.unclaimed += 1,
                Err(error) => self.lie(error)?,
            }
        }
        Ok(())
    }

    /// What a peer published before it restarted, where its successor has left the rings alone so far. What waited in the ring
    /// for room has that now: it is no more than the ring holds.
    fn take_in_the_last(&mut self, sign: RestartSign) {
        if !self.side.keeps_the_last(sign) {
            return;
        }
        let mut room = vec![0; largest_message(&self.memory)];
        while let Some(lane) = &mut self.lane {
            match lane.poll(&mut room) {
                Ok(None) => break,
                Ok(Some(event)) => self.take_in(event, &room, usize::MAX),
                Err(rpmsg::Error::NoSuchEndpoint { .. }) => self.counters.unclaimed += 1,
                Err(error) if error.breaks_link() => break,
                Err(error) => self.note(error),
            }
        }
    }

    fn take_in(&mut self, event: Event, room: &[u8], limit: usize) {
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
                let Announcement {
                    name,
                    address,
                    change,
                } = announcement;
                self.show_service(false, name, address, change);
                if let Err(error) = self.services.apply(&announcement) {
                    self.note(error);
                    return;
                }
                if change == Change::Destroyed {
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
        // The signs of a restart are one, however they were found; the link that has begun since is another.
        let links = self.counters.links;
        self.step()?;
        if self.lane.is_none() || self.counters.links != links {
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
                // It is the driver who sets the pace.
                if self.side.is_driver() {
                    self.trouble = Some(Error::LinkBroken(error));
                    self.rest();
                }
            }
        }
        self.side.renew(&self.memory, &*self.bell, &self.options)
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
        self.withdrawals.clear();
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

    /// A message of the name service. Who sent one is not known here; nobody announces another's address.
    fn show_service(&mut self, outgoing: bool, name: ServiceName, address: u32, change: Change) {
        let announcement = Announcement {
            name,
            address,
            change,
        };
        self.show(Seen::Message {
            outgoing,
            source: address,
            destination: NAME_SERVICE_ADDRESS,
            payload: &announcement.to_bytes(),
        });
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

/// Whether a buffer to send in is none, which its driver says and not the one who sends (rpmsg-rings.md, R3 and R6).
fn is_unfit(error: &rpmsg::Error) -> bool {
    matches!(
        error,
        rpmsg::Error::BufferMisaligned { .. }
            | rpmsg::Error::BufferOutside { .. }
            | rpmsg::Error::BufferTooSmall { .. }
            | rpmsg::Error::DescriptorChained { .. }
            | rpmsg::Error::DescriptorReadOnly { .. }
    )
}

const SERVICES: usize = 64;
/// Messages taken in at once: after so many, others get their turn.
const BATCH: usize = 64;
const STEPS: u32 = 8;
/// A sleep until a point in time lasts at least this long, or many would end before it.
const SHORTEST: Duration = Duration::from_millis(1);
