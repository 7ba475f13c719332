//! Devices that are not really there: four lines, a register file on I2C, an SPI loopback.

use core::convert::Infallible;
use core::sync::atomic::{AtomicBool, Ordering};

use embedded_hal::digital::{self, InputPin, OutputPin, StatefulOutputPin};
use embedded_hal::i2c::{self, ErrorKind, I2c, NoAcknowledgeSource};
use embedded_hal::spi::{self, SpiDevice};

/// Two wires, which keep their levels as long as the core runs.
pub(crate) static WIRES: [AtomicBool; 2] = [AtomicBool::new(false), AtomicBool::new(false)];

/// A pin at a wire.
#[derive(Debug)]
pub(crate) struct Pin(pub(crate) &'static AtomicBool);

impl digital::ErrorType for Pin {
    type Error = Infallible;
}

impl InputPin for Pin {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(self.0.load(Ordering::Relaxed))
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        self.is_high().map(|high| !high)
    }
}

impl OutputPin for Pin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.0.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.0.store(true, Ordering::Relaxed);
        Ok(())
    }
}

impl StatefulOutputPin for Pin {
    fn is_set_high(&mut self) -> Result<bool, Infallible> {
        self.is_high()
    }

    fn is_set_low(&mut self) -> Result<bool, Infallible> {
        self.is_low()
    }
}

/// One I2C device with 16 registers: the first byte written is the number of the one that is read or written next, modulo 16.
/// It refuses values above 0x7f.
#[derive(Debug, Default)]
pub(crate) struct Registers {
    values: [u8; 16],
    at: u8,
}

impl Registers {
    fn next(&mut self) -> &mut u8 {
        let at = self.at % 16;
        self.at = at + 1;
        &mut self.values[usize::from(at)]
    }
}

impl i2c::ErrorType for Registers {
    type Error = ErrorKind;
}

impl I2c for Registers {
    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [i2c::Operation<'_>],
    ) -> Result<(), ErrorKind> {
        if address != ADDRESS {
            return Err(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address));
        }
        // Writes that follow one another are one write.
        let mut first = true;
        for operation in operations {
            match operation {
                i2c::Operation::Read(into) => {
                    first = true;
                    for byte in into.iter_mut() {
                        *byte = *self.next();
                    }
                }
                i2c::Operation::Write(bytes) => {
                    for byte in *bytes {
                        if core::mem::take(&mut first) {
                            self.at = *byte;
                        } else if *byte > 0x7f {
                            return Err(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Data));
                        } else {
                            *self.next() = *byte;
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// An SPI device whose output is its input. Where nothing is sent it receives ones.
#[derive(Debug)]
pub(crate) struct Loopback;

impl spi::ErrorType for Loopback {
    type Error = Infallible;
}

impl SpiDevice for Loopback {
    fn transaction(&mut self, operations: &mut [spi::Operation<'_, u8>]) -> Result<(), Infallible> {
        for operation in operations {
            match operation {
                spi::Operation::Read(into) => into.fill(0xff),
                spi::Operation::Transfer(into, bytes) => {
                    into.fill(0xff);
                    for (to, from) in into.iter_mut().zip(*bytes) {
                        *to = *from;
                    }
                }
                // Nobody is there who would notice a pause.
                spi::Operation::Write(_)
                | spi::Operation::TransferInPlace(_)
                | spi::Operation::DelayNs(_) => {}
            }
        }
        Ok(())
    }
}

/// Where the registers are.
const ADDRESS: u8 = 0x48;
