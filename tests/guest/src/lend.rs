//! Pins and buses of a user's program, which it lends to the core over the sockets of `corewarden serve`.

use std::{convert::Infallible, path::Path, thread, time::Duration};

use anyhow::{Context, Result};
use corewarden::{
    Limit,
    client::Client,
    services::{
        MAX_MESSAGE, Reply,
        gpio::{self, InputLine, OutputLine},
        i2c, spi,
    },
};
use embedded_hal::{
    digital::{self, InputPin, OutputPin, StatefulOutputPin},
    i2c::{ErrorKind, I2c, NoAcknowledgeSource, Operation, SevenBitAddress},
    spi::{Operation as SpiOperation, SpiDevice},
};

use crate::memory::number;

/// Lends line 0, whose level is the number's lowest bit, line 1, a chip with the number in its first four bytes, and a device
/// that answers with each byte's complement. What the core changes is said, a line each; it ends with the link.
pub(crate) fn run(folder: &str, value: &str) -> Result<()> {
    let value = u32::try_from(number(value)?)?;
    let way = |service: &str| {
        let client = Client::connect(&Path::new(folder).join(service));
        client.with_context(|| service.to_owned())
    };
    let (lines, bus, device) = (way(gpio::SERVICE)?, way(i2c::SERVICE)?, way(spi::SERVICE)?);
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut input = InputLine(Pin(value & 1 == 1));
            let mut output = OutputLine(Pin(false));
            serve(&lines, |request, room| {
                gpio::serve(&mut [&mut input, &mut output], request, room)
            })
        });
        scope.spawn(move || {
            let mut chip = Chip([0; 8]);
            chip.0[..4].copy_from_slice(&value.to_be_bytes());
            serve(&bus, |request, room| {
                i2c::serve::<SevenBitAddress, _>(&mut chip, request, room)
            })
        });
        scope.spawn(move || {
            serve(&device, |request, room| {
                spi::serve(&mut [Complement], request, room)
            })
        });
        println!("lends");
    });
    Ok(())
}

/// Answers until the connection ends.
fn serve(
    client: &Client,
    mut serve: impl for<'a> FnMut(&[u8], &'a mut [u8; MAX_MESSAGE]) -> Reply<'a>,
) {
    let forever = Limit::after(Duration::MAX);
    while let Ok(request) = client.recv(forever) {
        let mut room = [0; MAX_MESSAGE];
        if let Some(answer) = serve(&request, &mut room).bytes()
            && client.send(answer, forever).is_err()
        {
            break;
        }
    }
}

/// A pin that says where it is set to.
struct Pin(bool);

impl digital::ErrorType for Pin {
    type Error = Infallible;
}

impl InputPin for Pin {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(self.0)
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        Ok(!self.0)
    }
}

impl OutputPin for Pin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.0 = false;
        println!("line set low");
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.0 = true;
        println!("line set high");
        Ok(())
    }
}

impl StatefulOutputPin for Pin {
    fn is_set_high(&mut self) -> Result<bool, Infallible> {
        Ok(self.0)
    }

    fn is_set_low(&mut self) -> Result<bool, Infallible> {
        Ok(!self.0)
    }
}

/// Eight bytes at address 0x50. A write's first byte says where the write, or the read after it, begins.
struct Chip([u8; 8]);

impl embedded_hal::i2c::ErrorType for Chip {
    type Error = ErrorKind;
}

impl I2c for Chip {
    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), ErrorKind> {
        if address != 0x50 {
            return Err(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address));
        }
        let mut at = 0;
        for operation in operations {
            match operation {
                Operation::Read(into) => {
                    for place in into.iter_mut() {
                        *place = self.0[at % 8];
                        at += 1;
                    }
                }
                Operation::Write([first, bytes @ ..]) => {
                    at = usize::from(*first);
                    for byte in bytes {
                        self.0[at % 8] = *byte;
                        at += 1;
                    }
                    if let [one, two, three, four] = bytes {
                        println!("chip given {one:02x}{two:02x}{three:02x}{four:02x}");
                    }
                }
                Operation::Write([]) => {}
            }
        }
        Ok(())
    }
}

/// An SPI device that answers each byte with its complement.
struct Complement;

impl embedded_hal::spi::ErrorType for Complement {
    type Error = Infallible;
}

impl SpiDevice for Complement {
    fn transaction(&mut self, operations: &mut [SpiOperation<'_, u8>]) -> Result<(), Infallible> {
        for operation in operations {
            if let SpiOperation::Transfer(into, bytes) = operation {
                println!("device sent {bytes:02x?}");
                for (to, from) in into.iter_mut().zip(bytes.iter()) {
                    *to = !*from;
                }
            } else if let SpiOperation::TransferInPlace(bytes) = operation {
                bytes.iter_mut().for_each(|byte| *byte = !*byte);
            }
        }
        Ok(())
    }
}
