//! Taking a running core's link into use, and endpoints on it.
//!
//! An [`Attachment`] is the driver's role of one RPMsg device. Everything fixed comes from the master resource table that
//! the secure world keeps and from the platform file; of the shared copy only what both sides change, read once and
//! checked. The rings are written anew once the firmware has left them alone (rpmsg-lifecycle.md). When the firmware
//! starts again, every call fails with [`Error::PeerRestarted`] and the rings are not touched any more: what is to be done
//! with messages that were under way is the caller's decision, and so is attaching again.

use std::collections::VecDeque;
use std::time::Duration;

use rpmsg::{
    Driver, DriverLife, DriverQueue, DriverStep, Event, Features, Quirks, Ring, ServiceName,
    Services, Session,
};

use crate::agreement::Agreed;
use crate::doorbell::Doorbell;
use crate::error::{Error, Waiting};
use crate::limit::Limit;
use crate::place::Place;
pub use crate::place::Target;
use crate::shared_memory::SharedMemory;

/// A service that the firmware announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: ServiceName,
    /// Where it is served.
    pub address: u32,
}

/// An address of ours, in one generation of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    inner: rpmsg::Endpoint,
    generation: u32,
}

impl Endpoint {
    /// The address.
    #[must_use]
    pub fn address(&self) -> u32 {
        self.inner.address()
    }
}

/// A message that came to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who sent it.
    pub source: u32,
    /// What it says.
    pub payload: Vec<u8>,
}

/// Lies and leftovers that did no harm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Oddities {
    /// Messages that broke a rule and were dropped; the last rule is in [`Oddities::last`].
    pub lies: u64,
    /// Messages for an address at which nobody listens.
    pub unclaimed: u64,
    /// Messages that came faster than they were received.
    pub overrun: u64,
    /// The last rule that was broken.
    pub last: Option<rpmsg::Error>,
    /// Where the core changed what it may not change in the shared resource table.
    pub table_changed_at: Option<u32>,
}

/// A link to the firmware of a running core.
pub struct Attachment<M: SharedMemory + Clone, D: Doorbell> {
    memory: M,
    doorbell: D,
    place: Place,
    generation: u32,
    live: Option<Live<M>>,
    services: Services<SERVICES>,
    inboxes: Vec<Inbox>,
    /// For one message.
    room: Vec<u8>,
    agreed: Agreed,
    oddities: Oddities,
}

struct Live<M> {
    life: DriverLife,
    session: Box<Session<M, DriverQueue<DESCRIPTORS>, ENDPOINTS>>,
}

struct Inbox {
    address: u32,
    messages: VecDeque<Message>,
}

impl<M: SharedMemory + Clone, D: Doorbell> Attachment<M, D> {
    /// Takes the link into use.
    ///
    /// # Errors
    /// [`Error::ResourceTable`] where the master or the shared copy of the table breaks a rule, [`Error::NoRpmsgDevice`]
    /// where the firmware has no such device, [`Error::Rpmsg`] where its rings cannot be used.
    pub fn new(
        target: &Target<'_>,
        memory: M,
        doorbell: D,
        limit: Limit<'_>,
    ) -> Result<Self, Error> {
        let place = Place::find(target, &memory)?;
        // rpmsg-lifecycle.md, L3 to L6.
        let mut life = DriverLife::begin(&memory, place.status, target.starts);
        place.ring_all(&doorbell)?;
        let handshake = limit.again(target.handshake);
        while life.step(&memory) != DriverStep::Prepare {
            match handshake.slice(SLICE, Waiting::Handshake) {
                Ok(slice) => {
                    limit.slice(slice, Waiting::Handshake)?;
                    doorbell.wait(slice)?;
                }
                Err(Error::TimeLimit { .. }) => life.wait_no_longer(&memory),
                Err(error) => return Err(error),
            }
        }
        let generation = life.generation();
        let agreement = place.terms.agree(&memory, Features::default());
        let agreement = agreement.map_err(Error::Rpmsg)?;
        let sizes = agreement.sizes().unwrap_or(BUFFER_SIZE.into());
        let mut link = Driver::<M, DESCRIPTORS>::attach(
            memory.clone(),
            place.layout(&agreement),
            sizes,
            generation,
            Quirks::default(),
        )
        .map_err(Error::Rpmsg)?;
        place.terms.accept(&memory, &place.status, &agreement);
        // Publishes the offered buffers; the kick for them is the one below, which the device cannot miss.
        let _ = link.flush();
        life.ready(&memory);
        place.ring_all(&doorbell)?;
        let oddities = Oddities {
            table_changed_at: place.table_changed_at,
            ..Oddities::default()
        };
        Ok(Attachment {
            memory,
            doorbell,
            place,
            generation,
            live: Some(Live {
                life,
                session: Box::new(Session::new(link)),
            }),
            services: Services::new(),
            inboxes: Vec::new(),
            room: vec![0; usize::try_from(sizes.to_driver).unwrap_or(usize::MAX)],
            agreed: Agreed::new(agreement.features(), Some(sizes)),
            oddities,
        })
    }

    /// The generation of this link.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// What was agreed on with the firmware.
    #[must_use]
    pub fn agreed(&self) -> &Agreed {
        &self.agreed
    }

    /// What was odd so far.
    #[must_use]
    pub fn oddities(&self) -> Oddities {
        self.oddities
    }

    /// The services announced so far.
    pub fn services(&self) -> impl Iterator<Item = Service> + '_ {
        self.services
            .iter()
            .map(|(name, address)| Service { name, address })
    }

    /// Waits until the firmware has announced a service of this name.
    ///
    /// # Errors
    /// [`Error::TimeLimit`] where it does not, [`Error::Rpmsg`] where the name cannot be one.
    pub fn service(&mut self, name: &str, limit: Limit<'_>) -> Result<Service, Error> {
        let name = ServiceName::new(name).map_err(Error::Rpmsg)?;
        loop {
            self.pump()?;
            if let Some(address) = self.services.address_of(&name) {
                return Ok(Service { name, address });
            }
            self.sleep(limit, Waiting::Service)?;
        }
    }

    /// Opens an endpoint at this address, or at a free one.
    ///
    /// # Errors
    /// [`Error::Rpmsg`] where the address is taken or there are too many endpoints.
    pub fn open(&mut self, address: Option<u32>) -> Result<Endpoint, Error> {
        let opened = self.live()?.session.open(address);
        let inner = opened.map_err(rpmsg_error)?;
        self.inboxes.push(Inbox {
            address: inner.address(),
            messages: VecDeque::new(),
        });
        Ok(Endpoint {
            inner,
            generation: self.generation,
        })
    }

    /// Closes an endpoint; its messages are dropped.
    ///
    /// # Errors
    /// [`Error::PeerRestarted`] where it belongs to an earlier link.
    pub fn close(&mut self, endpoint: Endpoint) -> Result<(), Error> {
        let closed = self.live()?.session.close(endpoint.inner);
        self.inboxes
            .retain(|inbox| inbox.address != endpoint.address());
        closed.map_err(rpmsg_error)
    }

    /// Sends one message and rings the doorbell where the firmware wants that; waits for a free buffer if need be.
    ///
    /// # Errors
    /// [`Error::TimeLimit`] where no buffer becomes free, [`Error::Rpmsg`] where the message is too long.
    pub fn send(
        &mut self,
        from: Endpoint,
        to: u32,
        payload: &[u8],
        limit: Limit<'_>,
    ) -> Result<(), Error> {
        let mut waited = false;
        loop {
            self.check_peer()?;
            match self.live()?.session.send(&from.inner, to, payload) {
                Ok(()) if waited => {
                    // Returned buffers are looked for when needed; nobody has to ring for them.
                    let asleep = self.live()?.session.link().wake_on_buffer(false);
                    asleep.map_err(|error| self.broken(error))?;
                    return self.flush();
                }
                Ok(()) => return self.flush(),
                Err(rpmsg::Error::NoBuffer { .. }) => {}
                Err(error) => return Err(self.broken(error)),
            }
            waited = true;
            self.pump()?;
            let wake = self.live()?.session.link().wake_on_buffer(true);
            if !wake.map_err(|error| self.broken(error))? {
                self.doorbell
                    .wait(limit.slice(SLICE, Waiting::SendBuffer)?)?;
            }
        }
    }

    /// The next message for an endpoint; waits for it if need be.
    ///
    /// # Errors
    /// [`Error::TimeLimit`] where none comes, [`Error::PeerRestarted`] where none can come any more.
    pub fn receive(&mut self, endpoint: Endpoint, limit: Limit<'_>) -> Result<Message, Error> {
        loop {
            if let Some(message) = self.received(endpoint)? {
                return Ok(message);
            }
            self.pump()?;
            if let Some(message) = self.received(endpoint)? {
                return Ok(message);
            }
            self.sleep(limit, Waiting::Message)?;
        }
    }

    /// Lets go of the link.
    ///
    /// # Errors
    /// [`Error::Doorbell`] where the firmware could not be told.
    pub fn detach(mut self) -> Result<(), Error> {
        self.let_go()
    }

    /// Takes in everything that has come, without waiting.
    ///
    /// # Errors
    /// [`Error::PeerRestarted`] or [`Error::Rpmsg`] where the link is gone.
    pub fn pump(&mut self) -> Result<(), Error> {
        self.check_peer()?;
        let mut room = std::mem::take(&mut self.room);
        let taken = self.take_in_batch(&mut room);
        self.room = room;
        taken.and_then(|()| self.flush())
    }

    fn take_in_batch(&mut self, room: &mut [u8]) -> Result<(), Error> {
        // A peer that sends faster than we take must not keep us here.
        for _ in 0..DESCRIPTORS {
            match self.live()?.session.poll(room) {
                Ok(None) => break,
                Ok(Some(event)) => self.take_in(event, room),
                Err(rpmsg::Error::NoSuchEndpoint { .. }) => self.oddities.unclaimed += 1,
                Err(error) if error.breaks_link() => return Err(self.broken(error)),
                Err(error) => {
                    self.oddities.lies += 1;
                    self.oddities.last = Some(error);
                }
            }
        }
        Ok(())
    }

    fn take_in(&mut self, event: Event, room: &[u8]) {
        match event {
            Event::Message { header, copied } => {
                let inbox = self
                    .inboxes
                    .iter_mut()
                    .find(|inbox| inbox.address == header.destination);
                match (inbox, room.get(..copied)) {
                    (Some(inbox), Some(payload)) if inbox.messages.len() < INBOX => {
                        inbox.messages.push_back(Message {
                            source: header.source,
                            payload: payload.to_vec(),
                        });
                    }
                    (Some(_), _) => self.oddities.overrun += 1,
                    (None, _) => self.oddities.unclaimed += 1,
                }
            }
            Event::Service(announcement) => {
                if let Err(error) = self.services.apply(&announcement) {
                    self.oddities.lies += 1;
                    self.oddities.last = Some(error);
                }
            }
        }
    }

    fn received(&mut self, endpoint: Endpoint) -> Result<Option<Message>, Error> {
        if endpoint.generation != self.generation {
            return Err(Error::PeerRestarted {
                generation: endpoint.generation,
                sign: None,
            });
        }
        let address = endpoint.address();
        let inbox = self
            .inboxes
            .iter_mut()
            .find(|inbox| inbox.address == address);
        match inbox {
            Some(inbox) => Ok(inbox.messages.pop_front()),
            None => Err(Error::Rpmsg(rpmsg::Error::NoSuchEndpoint { address })),
        }
    }

    /// Waits for a ring, unless there is something to take in already.
    fn sleep(&mut self, limit: Limit<'_>, waiting: Waiting) -> Result<(), Error> {
        let slice = limit.slice(SLICE, waiting)?;
        let wake = self.live()?.session.link().wake_on_message(true);
        if !wake.map_err(|error| self.broken(error))? {
            self.doorbell.wait(slice)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        let kick = self.live()?.session.flush();
        for ring in [Ring::ToDriver, Ring::ToDevice] {
            if kick.wants(ring) {
                self.doorbell.ring(self.place.notify_id(ring))?;
            }
        }
        Ok(())
    }

    fn check_peer(&mut self) -> Result<(), Error> {
        let memory = &self.memory;
        let Some(live) = &mut self.live else {
            return self.live().map(|_| ());
        };
        if let DriverStep::Restart(sign) = live.life.step(memory) {
            // Without a word to the table page: it may be another firmware's by now (rpmsg-lifecycle.md, L12).
            self.live = None;
            return Err(Error::PeerRestarted {
                generation: self.generation,
                sign: Some(sign),
            });
        }
        Ok(())
    }

    fn live(&mut self) -> Result<&mut Live<M>, Error> {
        self.live.as_mut().ok_or(Error::PeerRestarted {
            generation: self.generation,
            sign: None,
        })
    }

    /// What an error of the engine means for the link: the signs of a restart are one, however they were found.
    fn broken(&mut self, error: rpmsg::Error) -> Error {
        if !error.breaks_link() {
            return rpmsg_error(error);
        }
        if let Err(restarted) = self.check_peer() {
            return restarted;
        }
        // Whether the index was a restart or a lie, this link is over, and the device is told so.
        let _ = self.let_go();
        match error.restart_sign() {
            Some(sign) => Error::PeerRestarted {
                generation: self.generation,
                sign: Some(sign),
            },
            None => Error::Rpmsg(error),
        }
    }

    fn let_go(&mut self) -> Result<(), Error> {
        let Some(mut live) = self.live.take() else {
            return Ok(());
        };
        if let DriverStep::Restart(_) = live.life.step(&self.memory) {
            return Ok(());
        }
        live.life.detach(&self.memory);
        self.place.ring_all(&self.doorbell)
    }
}

impl<M: SharedMemory + Clone, D: Doorbell> Drop for Attachment<M, D> {
    fn drop(&mut self) {
        // Nobody is left to hear of a doorbell that failed; the status byte is what counts.
        let _ = self.let_go();
    }
}

fn rpmsg_error(error: rpmsg::Error) -> Error {
    match error {
        rpmsg::Error::PeerRestarted { handle, .. } => Error::PeerRestarted {
            generation: handle,
            sign: None,
        },
        error => Error::Rpmsg(error),
    }
}

/// How long a single wait may be: a flag that calls it off, or a peer that restarts without a ring, is seen after this.
const SLICE: Duration = Duration::from_millis(50);
/// The longest ring a resource table may have.
const DESCRIPTORS: usize = resource_table::MAX_DESCRIPTORS as usize;
const ENDPOINTS: usize = 64;
const SERVICES: usize = 64;
/// Messages that wait for one endpoint; more are dropped and counted.
const INBOX: usize = 1024;
/// Linux' buffer size, which firmware expects that asks for none.
const BUFFER_SIZE: u32 = 512;
