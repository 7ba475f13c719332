//! Clients and servers of pins and buses, with devices and transports that do anything.

use core::hint::black_box;

use embedded_hal::digital::{self, InputPin, StatefulOutputPin};
use embedded_hal::i2c::{self as hal_i2c, I2c, SevenBitAddress, TenBitAddress};
use embedded_hal::spi::{self as hal_spi, SpiDevice};
use rpmsg_services::gpio::{InputLine, Line, OutputLine};
use rpmsg_services::{Failure, MAX_MESSAGE, Reply, Transport, gpio, i2c, spi};

/// A pin, a bus, a device or a transport.
pub struct Any {
    digital: Result<bool, digital::ErrorKind>,
    i2c: Result<(), hal_i2c::ErrorKind>,
    spi: Result<(), hal_spi::ErrorKind>,
    transport: Result<usize, Failure<u32>>,
}

impl digital::ErrorType for Any {
    type Error = digital::ErrorKind;
}

impl InputPin for Any {
    fn is_high(&mut self) -> Result<bool, digital::ErrorKind> {
        black_box(self.digital)
    }

    fn is_low(&mut self) -> Result<bool, digital::ErrorKind> {
        black_box(self.digital)
    }
}

impl digital::OutputPin for Any {
    fn set_low(&mut self) -> Result<(), digital::ErrorKind> {
        black_box(self.digital).map(drop)
    }

    fn set_high(&mut self) -> Result<(), digital::ErrorKind> {
        black_box(self.digital).map(drop)
    }
}

impl StatefulOutputPin for Any {
    fn is_set_high(&mut self) -> Result<bool, digital::ErrorKind> {
        black_box(self.digital)
    }

    fn is_set_low(&mut self) -> Result<bool, digital::ErrorKind> {
        black_box(self.digital)
    }
}

impl hal_i2c::ErrorType for Any {
    type Error = hal_i2c::ErrorKind;
}

impl<A: hal_i2c::AddressMode> I2c<A> for Any {
    fn transaction(
        &mut self,
        address: A,
        operations: &mut [hal_i2c::Operation<'_>],
    ) -> Result<(), hal_i2c::ErrorKind> {
        black_box((address, operations));
        black_box(self.i2c)
    }
}

impl hal_spi::ErrorType for Any {
    type Error = hal_spi::ErrorKind;
}

impl SpiDevice for Any {
    fn transaction(
        &mut self,
        operations: &mut [hal_spi::Operation<'_, u8>],
    ) -> Result<(), hal_spi::ErrorKind> {
        black_box(operations);
        black_box(self.spi)
    }
}

impl Transport for Any {
    type Error = u32;

    fn send(&mut self, request: &[u8]) -> Result<(), Failure<u32>> {
        black_box(request);
        black_box(self.transport).map(drop)
    }

    fn receive(&mut self, answer: &mut [u8]) -> Result<usize, Failure<u32>> {
        black_box(answer);
        black_box(self.transport)
    }
}

#[unsafe(no_mangle)]
pub fn serve_gpio<'a>(
    input: &mut InputLine<Any>,
    output: &mut OutputLine<Any>,
    request: &[u8],
    answer: &'a mut [u8; MAX_MESSAGE],
) -> Reply<'a> {
    let mut lines: [&mut dyn Line; 2] = [input, output];
    look(gpio::serve(black_box(&mut lines), request, answer))
}

#[unsafe(no_mangle)]
pub fn serve_i2c<'a>(
    bus: &mut Any,
    request: &[u8],
    answer: &'a mut [u8; MAX_MESSAGE],
    long: bool,
) -> Reply<'a> {
    if long {
        return look(i2c::serve::<TenBitAddress, _>(bus, request, answer));
    }
    look(i2c::serve::<SevenBitAddress, _>(bus, request, answer))
}

#[unsafe(no_mangle)]
pub fn serve_spi<'a>(
    devices: &mut [Any],
    request: &[u8],
    answer: &'a mut [u8; MAX_MESSAGE],
) -> Reply<'a> {
    look(spi::serve(devices, request, answer))
}

fn look(reply: Reply<'_>) -> Reply<'_> {
    black_box((reply.bytes(), reply.status(), reply.refused()));
    reply
}

#[unsafe(no_mangle)]
pub fn ask_gpio(client: &mut gpio::Client<Any>, line: u16) -> Result<bool, Failure<u32>> {
    black_box(client.transport());
    let level = client.input(line)?.is_high()?;
    let mut output = client.output(line)?;
    output.toggle()?;
    Ok(level && output.is_set_high()?)
}

#[unsafe(no_mangle)]
pub fn ask_i2c(
    client: &mut i2c::Client<Any>,
    address: u16,
    operations: &mut [hal_i2c::Operation<'_>],
) -> Result<(), Failure<u32>> {
    let [short, _] = address.to_le_bytes();
    client.transaction(short, operations)?;
    client.transaction(address, operations)
}

#[unsafe(no_mangle)]
pub fn ask_spi(
    client: &mut spi::Client<Any>,
    operations: &mut [hal_spi::Operation<'_, u8>],
) -> Result<(), Failure<u32>> {
    client.transaction(operations)
}
