//! Numbered messages to the core's services, while core and Linux restart around them.
//!
//! The echo answers in order, so each answer must be the whole of the oldest message that has none yet: one that was lost,
//! doubled, changed or left over from another life ends the program. Only a restart that the library reports excuses the
//! messages that were under way, which are counted then.

use std::{collections::VecDeque, io::stdin, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use corewarden::{
    Error, Limit,
    hub::{Endpoint, Hub, Options},
    services::{Channel, Failure, i2c},
    shared_memory::Window,
};
use embedded_hal::i2c::I2c;

use crate::{
    link::{PATIENCE, features, hub_at},
    memory::number,
};

/// Does the steps that come as lines of standard input, with messages that are numbered from `first` on; a line of output
/// for each. `over`: split rings, whatever the core offers, or a window that the kernel gives as `uio0`.
pub(crate) fn run(core: &str, first: &str, over: &[&str]) -> Result<()> {
    let (features, window) = match over {
        [] => (features(), None),
        ["split"] => (Options::default().features, None),
        ["uio"] => (features(), Some(Window::uio("uio0", 1)?)),
        _ => bail!("there are no links over {over:?}"),
    };
    let mut talk = Talk {
        hub: hub_at(u32::try_from(number(core)?)?, features, window, Ok)?,
        echo: None,
        next: u32::try_from(number(first)?)?,
        flying: VecDeque::new(),
        answered: 0,
        lost: 0,
        told: 0,
    };
    for step in stdin().lines() {
        let step = step?;
        let (name, count) = step.split_once(' ').unwrap_or((&step, "0"));
        let count = number(count)?;
        match name {
            "send" => talk.send(count)?,
            "receive" => talk.receive(count)?,
            "fill" => talk.fill()?,
            "restarted" => talk.restarted()?,
            "stream" => talk.stream(count)?,
            "i2c" => talk.registers(count)?,
            _ => bail!("unknown step {step}"),
        }
        println!(
            "talk {step}: sent={} answered={} flying={} lost={} told={} generation={:#x}",
            talk.answered + talk.lost + talk.flying.len() as u64,
            talk.answered,
            talk.flying.len(),
            talk.lost,
            talk.told,
            talk.hub.generation().unwrap_or(0)
        );
    }
    Ok(())
}

struct Talk {
    hub: Hub,
    echo: Option<Endpoint>,
    /// The number of the next message.
    next: u32,
    /// The numbers of those that have no answer yet.
    flying: VecDeque<u32>,
    answered: u64,
    /// Messages that were under way at a restart that was told.
    lost: u64,
    /// Restarts that were told.
    told: u64,
}

impl Talk {
    fn send(&mut self, count: u64) -> Result<()> {
        (0..count).try_for_each(|_| Ok(self.send_one()?))
    }

    fn receive(&mut self, count: u64) -> Result<()> {
        (0..count).try_for_each(|_| self.receive_one()?.map_err(Into::into))
    }

    /// Sends without taking an answer until the core has no buffer left, neither for messages nor for its answers.
    fn fill(&mut self) -> Result<()> {
        loop {
            let number = self.next;
            match self.echo()?.send(&message(number), Limit::after(FULL)) {
                Ok(()) => {
                    self.flying.push_back(number);
                    self.next += 1;
                }
                Err(Error::TimeLimit { .. }) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes what was answered before a restart, is told of it, finds the old handle dead, and opens it anew.
    fn restarted(&mut self) -> Result<()> {
        let generation = loop {
            match self.receive_one()? {
                Ok(()) => {}
                Err(Error::PeerRestarted { generation, .. }) => break generation,
                Err(error) => return Err(error.into()),
            }
        };
        let unsent = message(self.next);
        let echo = self.echo()?;
        for again in [
            echo.recv(Limit::after(PATIENCE)).map(drop),
            echo.send(&unsent, Limit::after(PATIENCE)),
        ] {
            let gone = matches!(again, Err(Error::PeerRestarted { .. }));
            ensure!(gone, "an old handle says {again:?}");
        }
        echo.reopen(Limit::after(PATIENCE))?;
        self.lost += self.flying.len() as u64;
        self.flying.clear();
        self.told += 1;
        let now = self.hub.generation();
        ensure!(now != Some(generation), "the generation stays {now:?}");
        Ok(())
    }

    /// Sends and receives with messages under way all the time until so many restarts were told, and some messages more.
    fn stream(&mut self, told: u64) -> Result<()> {
        let mut left = AFTERWARDS;
        while left > 0 || !self.flying.is_empty() {
            left -= u64::from(left > 0 && self.told >= told);
            let outcome = if left > 0 && self.flying.len() < WINDOW {
                self.send_one()
            } else {
                self.receive_one()?
            };
            match outcome {
                Ok(()) => {}
                Err(Error::PeerRestarted { .. }) => self.restarted()?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Writes and reads registers behind the core's I2C bus until so many restarts were told, and some more.
    fn registers(&mut self, told: u64) -> Result<()> {
        let open = |hub: &Hub| -> Result<_> {
            let endpoint = hub.connect(i2c::SERVICE, Limit::after(PATIENCE))?;
            Ok(i2c::Client::new(Channel::new(endpoint, PATIENCE)))
        };
        let mut bus = open(&self.hub)?;
        let mut left = AFTERWARDS;
        while left > 0 {
            left -= u64::from(self.told >= told);
            let value = self.answered as u8 & 0x7f;
            // One request that goes around all registers, as a core that restarts between two has forgotten the first.
            let mut request = [value; 17];
            request[0] = 3;
            let mut read = [0; 16];
            match bus.write_read(0x48_u8, &request, &mut read) {
                Ok(()) => {
                    ensure!(read == [value; 16], "wrote {value:#x}, read {read:x?}");
                    self.answered += 1;
                }
                Err(Failure::PeerRestarted { .. }) => {
                    let again = bus.read(0x48_u8, &mut [0]);
                    let gone = matches!(again, Err(Failure::PeerRestarted { .. }));
                    ensure!(gone, "an old handle says {again:?}");
                    self.lost += 1;
                    self.told += 1;
                    bus = open(&self.hub)?;
                }
                Err(failure) => bail!("after {} requests: {failure:?}", self.answered),
            }
        }
        Ok(())
    }

    fn send_one(&mut self) -> Result<(), Error> {
        let number = self.next;
        self.echo()?
            .send(&message(number), Limit::after(PATIENCE))?;
        self.flying.push_back(number);
        self.next += 1;
        Ok(())
    }

    /// The outer error is a lie, the inner one what the library says.
    fn receive_one(&mut self) -> Result<Result<(), Error>> {
        let answer = match self.echo()?.recv(Limit::after(PATIENCE)) {
            Ok(answer) => answer.payload,
            Err(error) => return Ok(Err(error)),
        };
        let oldest = self.flying.pop_front();
        let oldest = oldest.with_context(|| format!("an answer to nothing: {answer:x?}"))?;
        ensure!(
            answer == message(oldest),
            "not the answer to {oldest}: {answer:x?}"
        );
        self.answered += 1;
        Ok(Ok(()))
    }

    fn echo(&mut self) -> Result<&mut Endpoint, Error> {
        match &mut self.echo {
            Some(echo) => Ok(echo),
            none => Ok(none.insert(
                self.hub
                    .connect("corewarden-echo", Limit::after(PATIENCE))?,
            )),
        }
    }
}

/// A message whose every byte says which it is.
fn message(number: u32) -> Vec<u8> {
    let length = 4 + number.wrapping_mul(2_654_435_761) as usize % (LONGEST - 3);
    let pattern = (0_u8..=255)
        .cycle()
        .map(|at| at.wrapping_mul(181) ^ number as u8);
    let stamp = number.to_le_bytes();
    stamp.into_iter().chain(pattern).take(length).collect()
}

/// Messages under way in a stream.
const WINDOW: usize = 100;
/// Messages or requests after the last restart.
const AFTERWARDS: u64 = 500;
/// As long nobody takes anything where everything is full.
const FULL: Duration = Duration::from_millis(500);
const LONGEST: usize = 496;
