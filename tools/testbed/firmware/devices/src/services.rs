//! The services `rpmsg-gpio`, `rpmsg-i2c` and `rpmsg-spi` with the devices of this image, `rpmsg-raw`, which says what it is
//! told, and `rpmsg-tty`, a terminal.

use corewarden_firmware::board;
use corewarden_firmware::echo::{Image, Serve, serve_with};
use corewarden_firmware::memory::Shared;
use embedded_hal::i2c::SevenBitAddress;
use rpmsg::{
    Change, Device, DeviceQueue, Endpoint, Error, Event, Kick, LinkLayout, Quirks, ServiceName,
    Session,
};
use rpmsg_services::gpio::{self, InputLine, OutputLine};
use rpmsg_services::{Failure, MAX_MESSAGE, i2c, spi};

use crate::devices::{Loopback, Pin, Registers, WIRES};
use crate::errand::{self, Means};
use crate::terminal::Terminal;
use crate::text::Text;

/// Serves for ever.
pub(crate) fn serve(image: Image) -> ! {
    serve_with::<Services>(image, ["devices version 1", "devices version 2"])
}

pub(crate) struct Services {
    pub(crate) session:
        Session<Shared, DeviceQueue<{ board::DESCRIPTORS as usize }>, { NAMES.len() + 1 }>,
    /// In the order of [`NAMES`].
    endpoints: [Endpoint; NAMES.len()],
    /// So many of them are announced.
    announced: usize,
    /// From where Linux' services are used. It goes with a request that was given up, whose answer may still come.
    borrower: Option<Endpoint>,
    /// What Linux has announced.
    pub(crate) lent: rpmsg::Services<8>,
    /// An answer for which there was no buffer yet.
    waiting: Option<Waiting>,
    pub(crate) request: [u8; LARGEST],
    answer: [u8; ROOM],
    registers: Registers,
    terminal: Terminal,
}

/// An answer: from which endpoint, to whom, and what of the room is still to be sent.
struct Waiting {
    from: usize,
    to: u32,
    at: usize,
    end: usize,
}

/// What came of a turn.
pub(crate) enum Turn {
    /// A message was answered, or needed no answer.
    Done,
    /// Nothing can be done.
    Idle,
    /// A message for none of the services lies in the room of requests.
    Other { from: u32, to: u32, len: usize },
}

impl Serve for Services {
    fn new(layout: LinkLayout, generation: u32) -> Result<Self, Error> {
        let link = Device::attach(Shared, layout, generation, Quirks::default())?;
        let mut session = Session::new(link);
        Ok(Self {
            endpoints: [
                session.open(None)?,
                session.open(None)?,
                session.open(None)?,
                session.open(None)?,
                session.open(None)?,
            ],
            session,
            announced: 0,
            borrower: None,
            lent: rpmsg::Services::new(),
            waiting: None,
            request: [0; LARGEST],
            answer: [0; ROOM],
            registers: Registers::default(),
            terminal: Terminal::default(),
        })
    }

    fn work(&mut self, _: &[u8], answered: &mut u32, runs: &dyn Fn() -> bool) -> Result<(), Error> {
        while let Some(name) = NAMES.get(self.announced) {
            let endpoint = &self.endpoints[self.announced];
            let name = ServiceName::new(name)?;
            let sent = self.session.announce(endpoint, name, Change::Created);
            if !self.is_sent(sent)? {
                return Ok(());
            }
            self.announced += 1;
        }
        for _ in 0..BATCH {
            let idle = matches!(self.turn(answered)?, Turn::Idle);
            match self.terminal.order {
                Some(who) if self.waiting.is_none() => {
                    self.terminal.order = None;
                    self.errand(who, answered, runs)?;
                }
                _ if idle => return Ok(()),
                _ => {}
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Kick {
        self.session.flush()
    }
}

impl Services {
    /// Sends what waits, and does what the next message asks for.
    pub(crate) fn turn(&mut self, answered: &mut u32) -> Result<Turn, Error> {
        while let Some(waiting) = &mut self.waiting {
            let endpoint = &self.endpoints[waiting.from];
            let end = waiting.end.min(waiting.at + MAX_MESSAGE);
            let part = &self.answer[waiting.at..end];
            let sent = self.session.send(endpoint, waiting.to, part);
            if !self.is_sent(sent)? {
                return Ok(Turn::Idle);
            }
            match &mut self.waiting {
                Some(waiting) if end < waiting.end => waiting.at = end,
                _ => {
                    self.waiting = None;
                    *answered = answered.wrapping_add(1);
                }
            }
        }
        match self.session.poll(&mut self.request)? {
            Some(Event::Message { header, copied }) => {
                let (from, to) = (header.source, header.destination);
                let is_at = |endpoint: &Endpoint| endpoint.address() == to;
                match self.endpoints.iter().position(is_at) {
                    Some(service) => self.answer(service, from, copied),
                    None => {
                        let len = copied;
                        return Ok(Turn::Other { from, to, len });
                    }
                }
            }
            Some(Event::Service(announcement)) => self.lent.apply(&announcement)?,
            None => return Ok(Turn::Idle),
        }
        Ok(Turn::Done)
    }

    /// Does what a message asks for, and keeps the answer.
    fn answer(&mut self, service: usize, source: u32, len: usize) {
        let (request, answer) = (&self.request[..len], &mut self.answer);
        let Some(room) = answer.first_chunk_mut() else {
            return;
        };
        let reply = match NAMES[service] {
            gpio::SERVICE => {
                let [one, other] = &WIRES;
                let (mut out_0, mut in_2) = (OutputLine(Pin(one)), InputLine(Pin(one)));
                let (mut out_1, mut in_3) = (OutputLine(Pin(other)), InputLine(Pin(other)));
                gpio::serve(
                    &mut [&mut out_0, &mut out_1, &mut in_2, &mut in_3],
                    request,
                    room,
                )
            }
            i2c::SERVICE => i2c::serve::<SevenBitAddress, _>(&mut self.registers, request, room),
            spi::SERVICE => spi::serve(&mut [Loopback], request, room),
            name => {
                let mut text = Text::new(answer);
                match name {
                    TERMINAL => self.terminal.typed(source, request, &mut text),
                    _ => text.put(request),
                }
                let end = text.len();
                return self.say(service, source, end);
            }
        };
        if let Some(end) = reply.bytes().map(<[u8]>::len) {
            self.say(service, source, end);
        }
    }

    /// So many bytes of the room are the answer.
    fn say(&mut self, from: usize, to: u32, end: usize) {
        let at = 0;
        self.waiting = (end > 0).then_some(Waiting { from, to, at, end });
    }

    /// Uses what Linux lends, and tells the terminal.
    fn errand(
        &mut self,
        who: u32,
        answered: &mut u32,
        runs: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        let mut bytes = [0; 256];
        let mut said = Text::new(&mut bytes);
        let mut means = Means {
            services: self,
            answered,
            runs,
        };
        let outcome = errand::run(&mut means, &mut said);
        if outcome.is_err()
            && let Some(endpoint) = self.borrower.take()
        {
            self.session.close(endpoint)?;
        }
        match outcome {
            Ok(()) => {}
            // The link is gone, and so is the terminal's other end.
            Err(Failure::PeerRestarted { .. }) => return Ok(()),
            Err(Failure::Transport(error)) if error.breaks_link() => return Err(error),
            Err(failure) => said.say(format_args!("{failure}\r\n")),
        }
        let (end, terminal) = (said.len(), NAMES.iter().position(|name| *name == TERMINAL));
        // Answers to what came meanwhile were sent, or are lost.
        self.answer[..end].copy_from_slice(&bytes[..end]);
        self.say(terminal.unwrap_or_default(), who, end);
        Ok(())
    }

    pub(crate) fn borrower(&mut self) -> Result<Endpoint, Error> {
        match self.borrower {
            Some(endpoint) => Ok(endpoint),
            None => Ok(*self.borrower.insert(self.session.open(None)?)),
        }
    }

    /// Whether there was a buffer to send in; if not, its return wakes us.
    pub(crate) fn is_sent(&mut self, sent: Result<(), Error>) -> Result<bool, Error> {
        match sent {
            Ok(()) => Ok(true),
            Err(Error::NoBuffer { .. }) => {
                self.session.link().wake_on_buffer(true)?;
                Ok(false)
            }
            // The answer is longer than the driver's buffer; it gets none.
            Err(error @ Error::PayloadTooLong { .. }) => {
                self.waiting = None;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }
}

/// The services, by their endpoints' places.
const NAMES: [&str; 5] = [
    gpio::SERVICE,
    i2c::SERVICE,
    spi::SERVICE,
    "rpmsg-raw",
    TERMINAL,
];
const TERMINAL: &str = "rpmsg-tty";
/// More than any request may have, so that a longer one is seen to be too long.
const LARGEST: usize = MAX_MESSAGE + 16;
/// A terminal says up to three bytes for one.
const ROOM: usize = 3 * LARGEST;
const BATCH: usize = 64;
