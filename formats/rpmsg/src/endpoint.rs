//! Endpoints on a link: addresses, dispatch, and the name service's messages.

use crate::error::Error;
use crate::link::{Link, copy_out, size};
use crate::memory::SharedMemory;
use crate::name_service::{Announcement, Change, ServiceName};
use crate::raw::{self, Header};
use crate::ring::{Kick, Queue};

/// A link with at most `E` endpoints on it.
#[derive(Debug)]
pub struct Session<M, R, const E: usize, T = R> {
    link: Link<M, R, T>,
    /// Our addresses; [`raw::ANY_ADDRESS`] is none.
    open: [u32; E],
    next: u32,
}

/// An address of ours at which messages are received, in one generation of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    address: u32,
    generation: u32,
}

/// What [`Session::poll`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message for the open endpoint `header.destination`; its payload, as far as there was room, is in the caller's buffer.
    Message {
        /// From, to, and the payload's whole length.
        header: Header,
        /// Bytes copied.
        copied: usize,
    },
    /// The peer announces or withdraws a service.
    Service(Announcement),
}

impl Endpoint {
    /// The endpoint's address.
    pub const fn address(&self) -> u32 {
        self.address
    }
}

impl<M: SharedMemory, R: Queue, const E: usize, T: Queue> Session<M, R, E, T> {
    /// No endpoints yet.
    pub const fn new(link: Link<M, R, T>) -> Self {
        Self {
            link,
            open: [raw::ANY_ADDRESS; E],
            next: raw::DYNAMIC_ADDRESSES,
        }
    }

    /// The link under the endpoints.
    pub const fn link(&mut self) -> &mut Link<M, R, T> {
        &mut self.link
    }

    /// Opens an endpoint at a fixed address, or at the next free dynamic one.
    pub fn open(&mut self, address: Option<u32>) -> Result<Endpoint, Error> {
        let address = match address {
            Some(address) => self.fixed(address)?,
            None => self.dynamic(),
        };
        let home = home::<E>(address);
        let place = match self.open.get(home) {
            Some(&raw::ANY_ADDRESS) => Some(home),
            _ => self.open.iter().position(|at| *at == raw::ANY_ADDRESS),
        };
        let place = place.and_then(|place| self.open.get_mut(place));
        *place.ok_or(Error::EndpointsExhausted { limit: E })? = address;
        Ok(Endpoint {
            address,
            generation: self.link.generation(),
        })
    }

    /// Closes an endpoint; messages for it are refused from now on.
    pub fn close(&mut self, endpoint: Endpoint) -> Result<(), Error> {
        self.current(&endpoint)?;
        for place in &mut self.open {
            if *place == endpoint.address {
                *place = raw::ANY_ADDRESS;
            }
        }
        Ok(())
    }

    /// Tells the peer that an endpoint serves `name`, or no longer does, at the next flush.
    pub fn announce(
        &mut self,
        endpoint: &Endpoint,
        name: ServiceName,
        change: Change,
    ) -> Result<(), Error> {
        let message = Announcement {
            name,
            address: endpoint.address,
            change,
        };
        self.send(endpoint, raw::NAME_SERVICE_ADDRESS, &message.to_bytes())
    }

    /// Sends a copy of `bytes` from an endpoint, at the next flush.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub fn send(
        &mut self,
        endpoint: &Endpoint,
        destination: u32,
        bytes: &[u8],
    ) -> Result<(), Error> {
        self.current(endpoint)?;
        // No endpoint has the address that stands for none.
        if !stands_in(&self.open, endpoint.address) {
            return Err(Error::NoSuchEndpoint {
                address: endpoint.address,
            });
        }
        self.link.send(endpoint.address, destination, bytes)
    }

    /// The next message or announcement, if there is one; its buffer goes back at the next flush.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub fn poll(&mut self, into: &mut [u8]) -> Result<Option<Event>, Error> {
        let Self { link, open, .. } = self;
        // Apart from messages, which are what there are many of.
        let mut other = None;
        let message = link.next(|memory, ring, slot, header| {
            let message = if is_open(open, header.destination) {
                let copied = copy_out(memory, slot.at, header.len, into);
                Some(Event::Message { header, copied })
            } else {
                other = Some(service(memory, slot.at, header.destination, header.len));
                None
            };
            ring.pass(memory, slot.id, size(&slot));
            message
        });
        match message? {
            Some(None) => other.transpose(),
            message => Ok(message.flatten()),
        }
    }

    /// Publishes everything sent and received; who has to be kicked for it.
    #[inline]
    pub fn flush(&mut self) -> Kick {
        self.link.flush()
    }

    fn fixed(&self, address: u32) -> Result<u32, Error> {
        let reserved = address == raw::ANY_ADDRESS || address == raw::NAME_SERVICE_ADDRESS;
        if reserved || is_open(&self.open, address) {
            return Err(Error::AddressTaken { address });
        }
        Ok(address)
    }

    /// Not one that was in use lately, so that late messages for it find nobody rather than somebody else.
    fn dynamic(&mut self) -> u32 {
        // At most E addresses are in use, so one of E + 1 candidates is free.
        for _ in 0..=E {
            let address = self.next;
            self.next = match address.checked_add(1) {
                Some(next) if next != raw::ANY_ADDRESS => next,
                _ => raw::DYNAMIC_ADDRESSES,
            };
            if !is_open(&self.open, address) {
                return address;
            }
        }
        self.next
    }

    #[inline]
    fn current(&self, endpoint: &Endpoint) -> Result<(), Error> {
        if endpoint.generation == self.link.generation() {
            return Ok(());
        }
        Err(Error::PeerRestarted {
            handle: endpoint.generation,
            link: self.link.generation(),
        })
    }
}

/// What came for none of our endpoints: an announcement, or nothing.
#[cold]
fn service<M: SharedMemory>(
    memory: &M,
    at: u32,
    destination: u32,
    len: u16,
) -> Result<Event, Error> {
    if destination != raw::NAME_SERVICE_ADDRESS {
        return Err(Error::NoSuchEndpoint {
            address: destination,
        });
    }
    let mut bytes = [0; raw::ANNOUNCEMENT_SIZE];
    let copied = copy_out(memory, at, len, &mut bytes);
    if usize::from(len) != copied {
        return Err(Error::AnnouncementLength {
            len: u32::from(len),
        });
    }
    Announcement::parse(bytes.get(..copied).unwrap_or_default()).map(Event::Service)
}

/// Whether an address is one of ours: most stand in the place that [`home`] says.
#[inline]
fn is_open<const E: usize>(open: &[u32; E], address: u32) -> bool {
    address != raw::ANY_ADDRESS && stands_in(open, address)
}

#[inline]
fn stands_in<const E: usize>(open: &[u32; E], address: u32) -> bool {
    open.get(home::<E>(address)) == Some(&address) || is_elsewhere(open, address)
}

/// Two addresses can have one home, and the later one stands where there was room.
#[cold]
#[inline(never)]
fn is_elsewhere(open: &[u32], address: u32) -> bool {
    open.contains(&address)
}

/// The place at which an address stands if it can.
#[inline]
fn home<const E: usize>(address: u32) -> usize {
    usize::try_from(address)
        .ok()
        .and_then(|address| address.checked_rem(E))
        .unwrap_or(0)
}
