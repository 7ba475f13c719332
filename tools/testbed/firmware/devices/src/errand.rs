//! The other role: the core uses pins and buses of Linux, by the traits that a driver of a sensor is written for.

use corewarden_firmware::echo::ring;
use corewarden_firmware::startup::{sleep, uptime_ms};
use embedded_hal::digital::{InputPin, OutputPin};
use embedded_hal::i2c::I2c;
use embedded_hal::spi::SpiDevice;
use rpmsg::{Endpoint, Error, ServiceName};
use rpmsg_services::{Failure, Transport, gpio, i2c, spi};

use crate::services::{Services, Turn};
use crate::text::Text;

/// What an errand is done with.
pub(crate) struct Means<'a> {
    pub(crate) services: &'a mut Services,
    /// Answers sent so far.
    pub(crate) answered: &'a mut u32,
    /// Whether the link still runs.
    pub(crate) runs: &'a dyn Fn() -> bool,
}

/// Uses everything that Linux lends, and says what came of it. Each part shows that both sides did theirs: what was read is
/// said here, and what was written is known to the core alone.
pub(crate) fn run(means: &mut Means<'_>, said: &mut Text<'_>) -> Result<(), Failure<Error>> {
    let lines = gpio::Client::new(means.way(gpio::SERVICE)?);
    let high = lines.input(0)?.is_high()?;
    lines.output(1)?.set_state((!high).into())?;
    let (level, other) = if high {
        ("high", "low")
    } else {
        ("low", "high")
    };
    said.say(format_args!("line 0 is {level}, line 1 set {other}\r\n"));

    let mut bus = i2c::Client::new(means.way(i2c::SERVICE)?);
    let (mut found, given) = ([0; 4], uptime_ms().to_be_bytes());
    bus.write_read(CHIP, &[0], &mut found)?;
    let [one, two, three, four] = given;
    bus.write(CHIP, &[4, one, two, three, four])?;
    let hex = u32::from_be_bytes;
    said.say(format_args!(
        "i2c has {:08x}, given {:08x}\r\n",
        hex(found),
        hex(given)
    ));

    let mut device = spi::Client::new(means.way(spi::SERVICE)?, 0);
    let mut back = given;
    device.transfer_in_place(&mut back)?;
    said.say(format_args!(
        "spi sent {:08x}, received {:08x}\r\n",
        hex(given),
        hex(back)
    ));
    Ok(())
}

impl Means<'_> {
    /// The way to a service that Linux has announced.
    fn way(&mut self, service: &str) -> Result<Way<'_>, Failure<Error>> {
        let name = ServiceName::new(service).map_err(Failure::Transport)?;
        // Nobody has announced it: as nobody who answers.
        let missing = Failure::TimeLimit { milliseconds: 0 };
        let peer = self.services.lent.address_of(&name).ok_or(missing)?;
        Ok(Way {
            endpoint: self.services.borrower().map_err(Failure::Transport)?,
            peer,
            since: uptime_ms(),
            services: &mut *self.services,
            answered: &mut *self.answered,
            runs: self.runs,
        })
    }
}

/// The way to one server.
struct Way<'a> {
    services: &'a mut Services,
    answered: &'a mut u32,
    runs: &'a dyn Fn() -> bool,
    endpoint: Endpoint,
    peer: u32,
    since: u32,
}

impl Way<'_> {
    /// Sleeps, unless there is a reason to give up.
    fn wait(&mut self) -> Result<(), Failure<Error>> {
        ring(self.services.session.flush());
        if !(self.runs)() {
            return Err(Failure::PeerRestarted { generation: None });
        }
        if uptime_ms().wrapping_sub(self.since) > PATIENCE_MS {
            return Err(Failure::TimeLimit {
                milliseconds: PATIENCE_MS.into(),
            });
        }
        sleep();
        Ok(())
    }
}

impl Transport for Way<'_> {
    type Error = Error;

    fn send(&mut self, request: &[u8]) -> Result<(), Failure<Error>> {
        self.since = uptime_ms();
        loop {
            let sent = self
                .services
                .session
                .send(&self.endpoint, self.peer, request);
            if self.services.is_sent(sent).map_err(Failure::Transport)? {
                return Ok(());
            }
            self.wait()?;
        }
    }

    /// Others are served meanwhile.
    fn receive(&mut self, answer: &mut [u8]) -> Result<usize, Failure<Error>> {
        loop {
            match self.services.turn(self.answered) {
                Ok(Turn::Other { from, to, len })
                    if from == self.peer && to == self.endpoint.address() =>
                {
                    let received = self.services.request[..len].iter();
                    for (place, byte) in answer.iter_mut().zip(received) {
                        *place = *byte;
                    }
                    return Ok(len);
                }
                Ok(Turn::Idle) => self.wait()?,
                Ok(Turn::Done | Turn::Other { .. }) => {}
                Err(error) if error.breaks_link() => return Err(Failure::Transport(error)),
                // Of somebody else's message; it was dropped.
                Err(_) => {}
            }
        }
    }
}

/// The chip at Linux' bus.
const CHIP: u8 = 0x50;
const PATIENCE_MS: u32 = 5000;
