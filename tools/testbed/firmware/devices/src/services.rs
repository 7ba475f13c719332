//! The services `rpmsg-gpio`, `rpmsg-i2c` and `rpmsg-spi` with the devices of this image.

use corewarden_firmware::board;
use corewarden_firmware::echo::{Image, Serve, serve_with};
use corewarden_firmware::memory::Shared;
use embedded_hal::i2c::SevenBitAddress;
use rpmsg::{
    Change, Device, DeviceQueue, Endpoint, Error, Event, Kick, LinkLayout, Quirks, ServiceName,
    Session,
};
use rpmsg_services::gpio::{self, InputLine, OutputLine};
use rpmsg_services::{MAX_MESSAGE, i2c, spi};

use crate::devices::{Loopback, Pin, Registers, WIRES};

/// Serves for ever.
pub(crate) fn serve(image: Image) -> ! {
    serve_with::<Services>(image, ["devices version 1", "devices version 2"])
}

struct Services {
    session: Session<Shared, DeviceQueue<{ board::DESCRIPTORS as usize }>, 3>,
    /// In the order of [`NAMES`].
    endpoints: [Endpoint; 3],
    /// So many of them are announced.
    announced: usize,
    /// An answer for which there was no buffer yet: from which endpoint, to whom, its length.
    waiting: Option<(usize, u32, usize)>,
    request: [u8; LARGEST],
    answer: [u8; MAX_MESSAGE],
    registers: Registers,
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
            ],
            session,
            announced: 0,
            waiting: None,
            request: [0; LARGEST],
            answer: [0; MAX_MESSAGE],
            registers: Registers::default(),
        })
    }

    fn work(&mut self, _: &[u8], answered: &mut u32) -> Result<(), Error> {
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
            if let Some((from, to, len)) = self.waiting {
                let endpoint = &self.endpoints[from];
                let sent = self.session.send(endpoint, to, &self.answer[..len]);
                if !self.is_sent(sent)? {
                    return Ok(());
                }
                self.waiting = None;
                *answered = answered.wrapping_add(1);
            }
            match self.session.poll(&mut self.request)? {
                Some(Event::Message { header, copied }) => {
                    self.answer(header.source, header.destination, copied);
                }
                Some(Event::Service(_)) => {}
                None => return Ok(()),
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Kick {
        self.session.flush()
    }
}

impl Services {
    /// Does what a message asks for, and keeps the answer.
    fn answer(&mut self, source: u32, destination: u32, len: usize) {
        let is_at = |endpoint: &Endpoint| endpoint.address() == destination;
        let Some(service) = self.endpoints.iter().position(is_at) else {
            return;
        };
        let (request, room) = (&self.request[..len], &mut self.answer);
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
            _ => spi::serve(&mut [Loopback], request, room),
        };
        self.waiting = reply.bytes().map(|bytes| (service, source, bytes.len()));
    }

    /// Whether there was a buffer to send in; if not, its return wakes us.
    fn is_sent(&mut self, sent: Result<(), Error>) -> Result<bool, Error> {
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
const NAMES: [&str; 3] = [gpio::SERVICE, i2c::SERVICE, spi::SERVICE];
/// More than any request may have, so that a longer one is seen to be too long.
const LARGEST: usize = MAX_MESSAGE + 16;
const BATCH: usize = 64;
