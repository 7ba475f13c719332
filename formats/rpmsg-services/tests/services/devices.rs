//! Devices that a side could have: a register file on I2C, wires, and SPI devices. All of them record what they were asked.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use embedded_hal::{digital, i2c, spi};

/// One device on an I2C bus: 16 registers, the first byte written says which is read or written next. It takes no value
/// above 0x7f.
#[derive(Clone, Default)]
pub(crate) struct Registers {
    pub(crate) values: [u8; 16],
    pub(crate) transactions: Vec<(u16, Vec<String>)>,
    pub(crate) fails: Option<i2c::ErrorKind>,
    at: usize,
}

/// Where it is.
pub(crate) const ADDRESS: u8 = 0x48;
/// And where, on a bus of 10-bit addresses.
pub(crate) const LONG_ADDRESS: u16 = 0x2a5;

impl Registers {
    fn run(
        &mut self,
        address: u16,
        ours: u16,
        operations: &mut [i2c::Operation<'_>],
    ) -> Result<(), i2c::ErrorKind> {
        use i2c::NoAcknowledgeSource::{Address, Data};
        let asked = operations.iter().map(|operation| match operation {
            i2c::Operation::Read(into) => format!("read {}", into.len()),
            i2c::Operation::Write(bytes) => format!("write {bytes:x?}"),
        });
        self.transactions.push((address, asked.collect()));
        if address != ours {
            return Err(i2c::ErrorKind::NoAcknowledge(Address));
        }
        // Bytes of writes that follow one another are one write.
        let mut first = true;
        for operation in operations {
            match operation {
                i2c::Operation::Read(into) => {
                    first = true;
                    for byte in into.iter_mut() {
                        *byte = self.values[self.at % 16];
                        self.at += 1;
                    }
                }
                i2c::Operation::Write(bytes) => {
                    for byte in *bytes {
                        if std::mem::take(&mut first) {
                            self.at = usize::from(*byte);
                        } else if *byte > 0x7f {
                            return Err(i2c::ErrorKind::NoAcknowledge(Data));
                        } else {
                            self.values[self.at % 16] = *byte;
                            self.at += 1;
                        }
                    }
                }
            }
        }
        self.fails.map_or(Ok(()), Err)
    }
}

impl i2c::ErrorType for Registers {
    type Error = i2c::ErrorKind;
}

impl i2c::I2c for Registers {
    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [i2c::Operation<'_>],
    ) -> Result<(), i2c::ErrorKind> {
        self.run(address.into(), ADDRESS.into(), operations)
    }
}

impl i2c::I2c<i2c::TenBitAddress> for Registers {
    fn transaction(
        &mut self,
        address: u16,
        operations: &mut [i2c::Operation<'_>],
    ) -> Result<(), i2c::ErrorKind> {
        self.run(address, LONG_ADDRESS, operations)
    }
}

/// A wire; pins are its clones.
#[derive(Clone, Default)]
pub(crate) struct Wire {
    pub(crate) high: Rc<Cell<bool>>,
    pub(crate) broken: Rc<Cell<bool>>,
}

impl Wire {
    fn unless_broken<T>(&self, value: T) -> Result<T, digital::ErrorKind> {
        if self.broken.get() {
            return Err(digital::ErrorKind::Other);
        }
        Ok(value)
    }
}

impl digital::ErrorType for Wire {
    type Error = digital::ErrorKind;
}

impl digital::InputPin for Wire {
    fn is_high(&mut self) -> Result<bool, digital::ErrorKind> {
        self.unless_broken(self.high.get())
    }

    fn is_low(&mut self) -> Result<bool, digital::ErrorKind> {
        self.unless_broken(!self.high.get())
    }
}

impl digital::OutputPin for Wire {
    fn set_low(&mut self) -> Result<(), digital::ErrorKind> {
        self.unless_broken(()).map(|()| self.high.set(false))
    }

    fn set_high(&mut self) -> Result<(), digital::ErrorKind> {
        self.unless_broken(()).map(|()| self.high.set(true))
    }
}

impl digital::StatefulOutputPin for Wire {
    fn is_set_high(&mut self) -> Result<bool, digital::ErrorKind> {
        self.unless_broken(self.high.get())
    }

    fn is_set_low(&mut self) -> Result<bool, digital::ErrorKind> {
        self.unless_broken(!self.high.get())
    }
}

/// An SPI device that sends back what it gets, each byte changed by its own mask, and counts up where it gets nothing.
#[derive(Clone, Default)]
pub(crate) struct Loopback {
    pub(crate) mask: u8,
    pub(crate) transactions: Rc<RefCell<Vec<Vec<String>>>>,
    pub(crate) fails: Option<spi::ErrorKind>,
}

impl spi::ErrorType for Loopback {
    type Error = spi::ErrorKind;
}

impl spi::SpiDevice for Loopback {
    fn transaction(
        &mut self,
        operations: &mut [spi::Operation<'_, u8>],
    ) -> Result<(), spi::ErrorKind> {
        let asked = operations.iter_mut().map(|operation| match operation {
            spi::Operation::Read(into) => {
                for (number, byte) in into.iter_mut().enumerate() {
                    *byte = number as u8;
                }
                format!("read {}", into.len())
            }
            spi::Operation::Write(bytes) => format!("write {bytes:x?}"),
            spi::Operation::Transfer(into, bytes) => {
                for (to, from) in into.iter_mut().zip(*bytes) {
                    *to = *from ^ self.mask;
                }
                format!("transfer {} {bytes:x?}", into.len())
            }
            spi::Operation::TransferInPlace(bytes) => format!("in place {bytes:x?}"),
            spi::Operation::DelayNs(nanoseconds) => format!("delay {nanoseconds}"),
        });
        self.transactions.borrow_mut().push(asked.collect());
        self.fails.map_or(Ok(()), Err)
    }
}
