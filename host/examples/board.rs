//! The side with the bus: hands out a link, and serves an I2C bus with a thermometer at it that is not really there.
//!
//! `cargo run -p corewarden --example board -- /tmp/board.link`, beside `--example sensor`. On Linux' own buses it is the same:
//! whatever implements embedded-hal's `I2c` can be served.

use std::path::Path;
use std::time::Duration;
use std::{env, thread};

use corewarden::hub::Options;
use corewarden::peer::{Meeting, Role, join};
use corewarden::place::Geometry;
use corewarden::services::{answer, i2c};
use corewarden::{Access, Error, Limit};
use embedded_hal::i2c::{
    ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation, SevenBitAddress,
};

fn main() -> Result<(), Error> {
    let path = env::args().nth(1).unwrap_or("/tmp/board.link".to_owned());
    let meeting = Meeting::at(Path::new(&path), Geometry::default(), Access::default())?;
    thread::spawn(
        move || {
            while let Ok(()) = meeting.attend(Duration::from_secs(1)) {}
        },
    );

    let forever = Limit::after(Duration::MAX);
    let hub = join(Path::new(&path), Role::Device, Options::default(), forever)?;
    let mut endpoint = hub.serve(i2c::SERVICE, forever)?;
    let mut bus = Thermometer;
    loop {
        let answered = answer(&endpoint, forever, |request, room| {
            i2c::serve::<SevenBitAddress, _>(&mut bus, request, room)
        });
        match answered {
            // The driver is gone: the next one finds the same service.
            Err(Error::PeerRestarted { .. }) => endpoint.reopen(forever)?,
            answered => drop(answered?),
        }
    }
}

/// An LM75 at address 0x48, of which every register says 21.5 degrees.
struct Thermometer;

impl ErrorType for Thermometer {
    type Error = ErrorKind;
}

impl I2c for Thermometer {
    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), ErrorKind> {
        if address != 0x48 {
            return Err(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address));
        }
        for operation in operations {
            if let Operation::Read(into) = operation {
                for (place, byte) in into.iter_mut().zip([43 >> 1, 43 << 7].iter().cycle()) {
                    *place = *byte;
                }
            }
        }
        Ok(())
    }
}
