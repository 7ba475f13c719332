//! The servers of pins and buses, with any bytes as a request.

use embedded_hal::i2c::{self, I2c, SevenBitAddress};
use embedded_hal::spi::{self, SpiDevice};
use rpmsg_services::gpio::{Direction, Line};
use rpmsg_services::{MAX_MESSAGE, MAX_OPERATIONS, Reply, Status};

/// Each server judges the same bytes. Where it refuses them nothing has been touched, and what it answers fits a message.
pub fn services(request: &[u8]) {
    let mut answer = [0xee; MAX_MESSAGE];
    let (mut input, mut output) = (Fake::default(), Fake::default());
    let mut lines: [&mut dyn Line; 2] = [&mut input, &mut output];
    let reply = rpmsg_services::gpio::serve(&mut lines, request, &mut answer);
    let refused = judge(&reply);
    assert!(
        !refused || input.touched + output.touched == 0,
        "{request:02x?}"
    );

    let mut bus = Fake::default();
    let reply = rpmsg_services::i2c::serve::<SevenBitAddress, _>(&mut bus, request, &mut answer);
    assert!(!judge(&reply) || bus.touched == 0, "{request:02x?}");

    let mut devices = [Fake::default(), Fake::default()];
    let reply = rpmsg_services::spi::serve(&mut devices, request, &mut answer);
    let refused = judge(&reply);
    let [one, other] = devices;
    assert!(
        !refused || one.touched + other.touched == 0,
        "{request:02x?}"
    );
    // A transaction is one device's.
    assert!(one.touched == 0 || other.touched == 0, "{request:02x?}");
}

/// Whether a rule is broken.
fn judge(reply: &Reply<'_>) -> bool {
    assert_eq!(
        reply.bytes().is_some(),
        reply.status().is_some(),
        "{reply:?}"
    );
    if let Some(bytes) = reply.bytes() {
        assert!((4..=MAX_MESSAGE).contains(&bytes.len()), "{reply:?}");
    }
    reply.refused().is_some()
}

/// A pin, a bus and a device, which only count.
#[derive(Default)]
struct Fake {
    touched: usize,
}

impl Fake {
    fn touch(&mut self, operations: usize, bytes: usize) {
        assert!(operations <= MAX_OPERATIONS, "{operations} operations");
        assert!(bytes <= 2 * MAX_MESSAGE, "{bytes} bytes");
        self.touched += 1;
    }
}

impl Line for Fake {
    fn direction(&self) -> Direction {
        Direction::Output
    }

    fn level(&mut self) -> Result<bool, Status> {
        self.touch(1, 0);
        Ok(true)
    }

    fn set_level(&mut self, _: bool) -> Result<(), Status> {
        self.touch(1, 0);
        Ok(())
    }
}

impl i2c::ErrorType for Fake {
    type Error = std::convert::Infallible;
}

impl I2c for Fake {
    fn transaction(
        &mut self,
        _: SevenBitAddress,
        operations: &mut [i2c::Operation<'_>],
    ) -> Result<(), Self::Error> {
        let bytes = operations.iter().map(|operation| match operation {
            i2c::Operation::Read(into) => into.len(),
            i2c::Operation::Write(bytes) => bytes.len(),
        });
        self.touch(operations.len(), bytes.sum());
        Ok(())
    }
}

impl spi::ErrorType for Fake {
    type Error = std::convert::Infallible;
}

impl SpiDevice for Fake {
    fn transaction(
        &mut self,
        operations: &mut [spi::Operation<'_, u8>],
    ) -> Result<(), <Self as spi::ErrorType>::Error> {
        let bytes = operations.iter().map(|operation| match operation {
            spi::Operation::Read(into) => into.len(),
            spi::Operation::Write(bytes) => bytes.len(),
            spi::Operation::Transfer(into, bytes) => into.len() + bytes.len(),
            spi::Operation::TransferInPlace(bytes) => bytes.len(),
            spi::Operation::DelayNs(_) => 0,
        });
        self.touch(operations.len(), bytes.sum());
        Ok(())
    }
}
