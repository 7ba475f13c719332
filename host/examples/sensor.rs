//! Reads a thermometer at an I2C bus of the other side of a link, by a driver that knows nothing of links.
//!
//! `cargo run -p corewarden --example sensor -- /tmp/board.link`, beside `--example board`. Towards a core it is the same but
//! for how the hub is made: the example of the crate says where a core's window and doorbell are.

use std::path::Path;
use std::time::Duration;
use std::{env, error};

use corewarden::Limit;
use corewarden::hub::Options;
use corewarden::peer::{Role, join};
use corewarden::services::{Channel, i2c};
use embedded_hal::i2c::I2c;

fn main() -> Result<(), Box<dyn error::Error>> {
    let path = env::args().nth(1).unwrap_or("/tmp/board.link".to_owned());
    let seconds = Duration::from_secs(10);
    let patience = Limit::after(seconds);

    let hub = join(Path::new(&path), Role::Driver, Options::default(), patience)?;
    let endpoint = hub.connect(i2c::SERVICE, patience)?;
    let mut sensor = Lm75 {
        bus: i2c::Client::new(Channel::new(endpoint, seconds)),
        address: 0x48,
    };
    let halves = sensor.half_degrees()?;
    println!("{:.1} °C", f32::from(halves) / 2.0);
    Ok(())
}

/// An LM75, at whatever bus.
struct Lm75<B> {
    bus: B,
    address: u8,
}

impl<B: I2c> Lm75<B> {
    /// The temperature is a signed number of 9 bits at the top of register 0.
    fn half_degrees(&mut self) -> Result<i16, B::Error> {
        let mut register = [0; 2];
        self.bus.write_read(self.address, &[0], &mut register)?;
        Ok(i16::from_be_bytes(register) >> 7)
    }
}
