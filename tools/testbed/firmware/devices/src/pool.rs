#![no_std]
#![no_main]
//! Lends back what is lent to it, every bit turned and with a checksum of its own; lies about it where it is asked to
//! (rpmsg-pool.md).

use corewarden_firmware::echo::{Image, Serve, serve_with};
use corewarden_firmware::memory::Shared;
use corewarden_firmware::{board, trace};
use rpmsg::{
    Change, Device, DeviceQueue, Endpoint, Error, Event, Kick, LinkLayout, Quirks, Ring,
    ServiceName, Session, Window,
};
use rpmsg_pool::{Borrower, Lender, Loan, Notice, PoolLayout, Returned};

corewarden_firmware::image!(serve, Image::PLAIN);

fn serve(image: Image) -> ! {
    serve_with::<Pools>(image, ["pool version 1", "pool version 2"])
}

struct Pools {
    session: Session<Shared, DeviceQueue<{ board::DESCRIPTORS as usize }>, 2>,
    /// In the order of [`NAMES`].
    endpoints: [Endpoint; 2],
    announced: usize,
    lender: Lender<Shared, SLOTS>,
    borrower: Borrower<Shared, SLOTS>,
    /// What is to be lent back.
    loans: Queue<Loan, SLOTS>,
    notices: Queue<[u8; NOTICE], WAITING>,
    /// Who lends to us.
    peer: u32,
    /// The slot that a lie was about.
    lied_about: u16,
    /// The last one that we said.
    returned: Option<Returned>,
}

impl Serve for Pools {
    fn new(layout: LinkLayout, generation: u32) -> Result<Self, Error> {
        let link = Device::attach(Shared, layout, generation, Quirks::default())?;
        let mut session = Session::new(link);
        let (to_device, to_driver) = (pool(TO_DEVICE)?, pool(TO_DRIVER)?);
        Ok(Self {
            endpoints: [session.open(None)?, session.open(None)?],
            session,
            announced: 0,
            lender: Lender::new(Shared, to_driver, generation).map_err(no_slots)?,
            borrower: Borrower::new(Shared, to_device, generation).map_err(no_slots)?,
            loans: Queue::default(),
            notices: Queue::default(),
            peer: 0,
            lied_about: 0,
            returned: None,
        })
    }

    fn work(&mut self, _: &[u8], answered: &mut u32, _: &dyn Fn() -> bool) -> Result<(), Error> {
        while let Some(name) = NAMES.get(self.announced) {
            let endpoint = &self.endpoints[self.announced];
            self.session
                .announce(endpoint, ServiceName::new(name)?, Change::Created)?;
            self.announced += 1;
        }
        let mut room = [0; 64];
        for _ in 0..BATCH {
            while let Some(notice) = self.notices.first() {
                match self.session.send(&self.endpoints[0], self.peer, notice) {
                    Err(Error::NoBuffer { .. }) => {
                        return self.session.link().wake_on_buffer(true).map(drop);
                    }
                    sent => sent?,
                }
                self.notices.take();
            }
            self.lend_back(answered);
            match self.session.poll(&mut room)? {
                Some(Event::Message { header, copied }) => {
                    let message = &room[..copied];
                    if header.destination == self.endpoints[0].address() {
                        self.peer = header.source;
                        if self.take(message).is_err() {
                            trace::line("notice refused");
                        }
                    } else if let [lie, ..] = message {
                        self.lie(*lie)?;
                    }
                }
                Some(Event::Service(_)) => {}
                None if self.notices.first().is_none() => return Ok(()),
                None => {}
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Kick {
        self.session.flush()
    }
}

impl Pools {
    fn take(&mut self, message: &[u8]) -> Result<(), rpmsg_pool::Error> {
        match Notice::parse(message)? {
            Notice::Lent(lent) => match self.borrower.take(lent) {
                Ok(loan) => self.loans.put(loan),
                Err(error) => {
                    self.say(lent.refused());
                    return Err(error);
                }
            },
            Notice::Returned(returned) => {
                let taken = self.lender.take_back(returned);
                // What we said of another slot comes back as we said it.
                let honest = altered(returned, SLOT, &self.lied_about.to_le_bytes());
                match (taken, Notice::parse(&honest)?) {
                    (Err(_), Notice::Returned(honest)) => self.lender.take_back(honest)?,
                    (taken, _) => taken?,
                }
            }
        }
        Ok(())
    }

    /// Answers what was lent to us, as far as we have slots for it.
    fn lend_back(&mut self, answered: &mut u32) {
        while self.loans.first().is_some()
            && let Ok(slot) = self.lender.reserve()
            && let Some(loan) = self.loans.take()
        {
            let length = match self.turn(&loan, &slot) {
                Ok(length) => length,
                Err(_) => {
                    trace::line("slot refused");
                    0
                }
            };
            if let Ok(returned) = self.borrower.give_back(loan) {
                self.returned = Some(returned);
                self.say(returned);
            }
            if let Ok(lent) = self.lender.lend(slot, length) {
                self.say(lent);
                *answered = answered.wrapping_add(1);
            }
        }
    }

    /// Copies a payload with every bit turned, and its checksum anew; where the one that came is not that of what is read,
    /// the answer is the right one alone.
    fn turn(&self, loan: &Loan, slot: &rpmsg_pool::Slot) -> Result<u32, rpmsg_pool::Error> {
        let (mut read, mut written) = (START, START);
        let (mut stamp, mut piece) = ([0; 4], [0; PIECE]);
        let body = loan.length().saturating_sub(4);
        let mut at = 0;
        while at < loan.length() {
            let len = self.borrower.read(loan, at, &mut piece)?;
            for (byte, at) in piece[..len].iter_mut().zip(at..) {
                match at.checked_sub(body) {
                    None => {
                        read = step(read, *byte);
                        *byte = !*byte;
                        written = step(written, *byte);
                    }
                    Some(place) => {
                        let place = place as usize;
                        stamp[place] = *byte;
                        *byte = written.to_le_bytes()[place];
                    }
                }
            }
            self.lender.write(slot, at, &piece[..len])?;
            at += len as u32;
        }
        if stamp == read.to_le_bytes() {
            return Ok(loan.length());
        }
        self.lender.write(slot, 0, &read.to_le_bytes())?;
        Ok(4)
    }

    /// Breaks the rule of this number; for another one, asks for a new link.
    fn lie(&mut self, lie: u8) -> Result<(), Error> {
        match lie {
            3 => return self.send(&[1; NOTICE - 1]),
            4 => self.notices.put([3; NOTICE]),
            5 => drop(self.lie_about(SLOT, &(SLOTS as u16).to_le_bytes())),
            6 => drop(self.lie_about(LENGTH, &(SIZE + 1).to_le_bytes())),
            7 => drop(self.lie_about(SEQUENCE, &u32::MAX.to_le_bytes())),
            // The first is honest, and held while the second comes.
            8 => {
                let first = self.lie_about(KIND, &1_u16.to_le_bytes());
                self.lie_about(SLOT, &first.to_le_bytes());
            }
            9 => {
                if let Some(returned) = self.returned {
                    self.say(returned);
                }
            }
            _ => {
                return Err(Error::PeerIndex {
                    ring: Ring::ToDevice,
                    index: 0,
                    last: 0,
                    outstanding: 0,
                });
            }
        }
        Ok(())
    }

    /// Lends a slot, and says something else of it in one field; the slot.
    fn lie_about(&mut self, field: usize, value: &[u8]) -> u16 {
        let lent = self.lender.reserve().map(|slot| self.lender.lend(slot, 64));
        if let Ok(Ok(lent)) = lent {
            let honest = Notice::from(lent).to_bytes();
            self.lied_about = u16::from_le_bytes([honest[SLOT], honest[SLOT + 1]]);
            self.notices.put(altered(lent, field, value));
        }
        self.lied_about
    }

    fn say(&mut self, notice: impl Into<Notice>) {
        self.notices.put(notice.into().to_bytes());
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.session.send(&self.endpoints[0], self.peer, bytes)
    }
}

/// A notice with another value in one field.
fn altered(notice: impl Into<Notice>, field: usize, value: &[u8]) -> [u8; NOTICE] {
    let mut bytes = notice.into().to_bytes();
    bytes[field..field + value.len()].copy_from_slice(value);
    bytes
}

fn pool(offset: u32) -> Result<PoolLayout, Error> {
    let base = u64::from(board::WINDOW);
    let window = Window::new(base, board::WINDOW_SIZE)?;
    let address = base + u64::from(offset);
    PoolLayout::new(&window, address, SLOTS as u16, SIZE).map_err(no_slots)
}

/// This image's own mistake: it has no slots there.
fn no_slots(_: rpmsg_pool::Error) -> Error {
    Error::RingOutside {
        address: board::WINDOW.into(),
        len: SIZE,
    }
}

/// FNV-1a.
fn step(hash: u32, byte: u8) -> u32 {
    (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
}

/// First in, first out.
struct Queue<T, const N: usize> {
    places: [Option<T>; N],
    len: usize,
}

impl<T, const N: usize> Default for Queue<T, N> {
    fn default() -> Self {
        Self {
            places: [const { None }; N],
            len: 0,
        }
    }
}

impl<T, const N: usize> Queue<T, N> {
    /// One that finds no room is lost, and the test sees that it is missing.
    fn put(&mut self, value: T) {
        if let Some(place) = self.places.get_mut(self.len) {
            *place = Some(value);
            self.len += 1;
        }
    }

    fn first(&self) -> Option<&T> {
        self.places[0].as_ref()
    }

    fn take(&mut self) -> Option<T> {
        let first = self.places[0].take();
        self.places.rotate_left(1);
        self.len = self.len.saturating_sub(1);
        first
    }
}

const NAMES: [&str; 2] = ["corewarden-pool", "corewarden-lies"];
/// Where the slots are in the window, and what they are.
const TO_DEVICE: u32 = 0x80_0000;
const TO_DRIVER: u32 = 0xa0_0000;
const SLOTS: usize = 4;
const SIZE: u32 = 0x4_0000;
// Fields of a notice (rpmsg-pool.md, 2).
const KIND: usize = 0;
const SLOT: usize = 2;
const LENGTH: usize = 4;
const SEQUENCE: usize = 8;
const NOTICE: usize = 12;
/// Two for each slot of ours and each of the peer's, and lies.
const WAITING: usize = 20;
const PIECE: usize = 1024;
const START: u32 = 0x811c_9dc5;
const BATCH: usize = 64;
