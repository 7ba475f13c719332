//! `rpmsg-spi`: transactions with SPI devices (rpmsg-services.md 5).

use core::array;

use embedded_hal::spi::{Error as _, ErrorType, Operation, SpiDevice};
use zerocopy::{FromBytes, IntoBytes};

use crate::client::{Draft, Exchange, Failure, Transport, deal};
use crate::error::Error;
use crate::raw::{self, SpiHead, SpiOperation};
use crate::server::{Call, Refusal, Reply, expect_room, reply};
use crate::status::Status;
use crate::{MAX_MESSAGE, MAX_OPERATIONS};

/// The name of the service; an instance is `rpmsg-spi-NAME` (rpmsg-services.md 1.1).
pub const SERVICE: &str = "rpmsg-spi";

/// A device at an SPI bus of the other side, which has selected its mode, its frequency and its chip select line.
///
/// ```
/// use embedded_hal::spi::{Operation, SpiDevice};
/// use rpmsg_services::{Failure, MAX_MESSAGE, Transport, spi};
/// # use core::convert::Infallible;
/// # use embedded_hal::spi::ErrorType;
/// # struct Loopback;
/// # impl ErrorType for Loopback { type Error = Infallible; }
/// # impl SpiDevice for Loopback {
/// #     fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), Infallible> {
/// #         for operation in operations {
/// #             if let Operation::Transfer(into, from) = operation { into.copy_from_slice(from); }
/// #         }
/// #         Ok(())
/// #     }
/// # }
///
/// /// A transport without a way: the server is in the same program.
/// struct Direct<D> { devices: [D; 1], answer: Vec<u8> }
///
/// impl<D: SpiDevice> Transport for Direct<D> {
///     type Error = &'static str;
///     fn send(&mut self, request: &[u8]) -> Result<(), Failure<Self::Error>> {
///         let mut room = [0; MAX_MESSAGE];
///         let reply = spi::serve(&mut self.devices, request, &mut room);
///         self.answer = reply.bytes().ok_or(Failure::Transport("nothing to answer"))?.to_vec();
///         Ok(())
///     }
///     fn receive(&mut self, answer: &mut [u8]) -> Result<usize, Failure<Self::Error>> {
///         answer[..self.answer.len()].copy_from_slice(&self.answer);
///         Ok(self.answer.len())
///     }
/// }
///
/// let mut device = spi::Client::new(Direct { devices: [Loopback], answer: Vec::new() }, 0);
/// let mut bytes = *b"there and back";
/// device.transfer_in_place(&mut bytes)?;
/// assert_eq!(&bytes, b"there and back");
/// # Ok::<(), Failure<&'static str>>(())
/// ```
#[derive(Debug)]
pub struct Client<T> {
    exchange: Exchange<T>,
    chip_select: u8,
}

impl<T: Transport> Client<T> {
    /// The device at a chip select, over this transport.
    pub const fn new(transport: T, chip_select: u8) -> Self {
        Self {
            exchange: Exchange::new(transport),
            chip_select,
        }
    }

    /// The transport, to open it anew after a restart.
    pub const fn transport(&mut self) -> &mut T {
        &mut self.exchange.transport
    }
}

impl<T: Transport> ErrorType for Client<T> {
    type Error = Failure<T::Error>;
}

impl<T: Transport> SpiDevice for Client<T> {
    fn transaction(
        &mut self,
        operations: &mut [Operation<'_, u8>],
    ) -> Result<(), Failure<T::Error>> {
        let (mut written, mut read, mut delays) = (0_usize, 0_usize, 0_u64);
        for operation in &*operations {
            let (write, into, delay) = shape(operation);
            written = written.saturating_add(write);
            read = read.saturating_add(into);
            delays = delays.saturating_add(delay.into());
        }
        expect_room(read)?;
        expect_patience(delays)?;
        let heads = operations.len().saturating_mul(size_of::<SpiOperation>());
        let body = heads.saturating_add(size_of::<SpiHead>());
        let body = body.saturating_add(written);
        let mut request = Draft::new(operations.len(), MAX_OPERATIONS, body)?;
        let head = SpiHead {
            chip_select: self.chip_select,
            bits_per_word: raw::SPI_BITS,
            reserved: 0.into(),
        };
        request.put(head.as_bytes());
        for operation in &*operations {
            let (write, read, delay) = shape(operation);
            // Bounded above by what fits into a message.
            let short = |length| u16::try_from(length).unwrap_or(u16::MAX).into();
            let head = SpiOperation {
                write: short(write),
                read: short(read),
                delay: delay.into(),
            };
            request.put(head.as_bytes());
        }
        for operation in &*operations {
            match operation {
                Operation::Write(bytes) | Operation::Transfer(_, bytes) => request.put(bytes),
                Operation::TransferInPlace(bytes) => request.put(bytes),
                Operation::Read(_) | Operation::DelayNs(_) => {}
            }
        }
        let mut answer = [0; MAX_MESSAGE];
        let mut data = self.exchange.ask(request, read, &mut answer)?;
        for operation in operations {
            match operation {
                Operation::Read(into)
                | Operation::Transfer(into, _)
                | Operation::TransferInPlace(into) => deal(&mut data, into),
                Operation::Write(_) | Operation::DelayNs(_) => {}
            }
        }
        Ok(())
    }
}

/// Bytes to write, bytes to read, nanoseconds to wait.
fn shape(operation: &Operation<'_, u8>) -> (usize, usize, u32) {
    match operation {
        Operation::Read(into) => (0, into.len(), 0),
        Operation::Write(bytes) => (bytes.len(), 0, 0),
        Operation::Transfer(into, bytes) => (bytes.len(), into.len(), 0),
        Operation::TransferInPlace(bytes) => (bytes.len(), bytes.len(), 0),
        Operation::DelayNs(nanoseconds) => (0, 0, *nanoseconds),
    }
}

/// Serves a request with the devices of a bus, the place of each being its chip select. Devices of several types go as
/// `&mut dyn SpiDevice<Error = E>`.
pub fn serve<'a, D: SpiDevice>(
    devices: &mut [D],
    request: &[u8],
    answer: &'a mut [u8; MAX_MESSAGE],
) -> Reply<'a> {
    reply(request, answer, |call, room| run(devices, &call, room))
}

/// No device is touched before all of the request is judged (rpmsg-services.md 2.4).
fn run<D: SpiDevice>(
    devices: &mut [D],
    call: &Call<'_>,
    room: &mut [u8],
) -> Result<usize, Refusal> {
    call.expect_operations(0, MAX_OPERATIONS)?;
    let heads = call.operations.saturating_mul(size_of::<SpiOperation>());
    let fixed = heads.saturating_add(size_of::<SpiHead>());
    let parts = SpiHead::read_from_prefix(call.body).ok();
    let parts = parts.and_then(|(head, rest)| {
        let heads = <[SpiOperation]>::ref_from_prefix_with_elems(rest, call.operations);
        heads.ok().map(|(heads, data)| (head, heads, data))
    });
    let Some((head, heads, data)) = parts else {
        return Err(call
            .expect_body(fixed)
            .err()
            .map_or(Status::Malformed.into(), Refusal::Rule));
    };
    judge(head, heads)?;
    let sum = |length: fn(&SpiOperation) -> u16| {
        let lengths = heads.iter().map(length);
        lengths.fold(0_usize, |sum, length| sum.saturating_add(length.into()))
    };
    let (written, read) = (sum(|head| head.write.get()), sum(|head| head.read.get()));
    call.expect_body(fixed.saturating_add(written))?;
    expect_room(read)?;
    let device = devices.get_mut(usize::from(head.chip_select));
    let device = device.ok_or(Status::LineUnknown)?;

    // What is read goes into the answer as it comes (rpmsg-services.md 5.5).
    let (mut data, mut room) = (data, room);
    let mut operations: [Operation<'_, u8>; MAX_OPERATIONS] =
        array::from_fn(|_| Operation::DelayNs(0));
    for (operation, head) in operations.iter_mut().zip(heads) {
        let lengths = (usize::from(head.write.get()), usize::from(head.read.get()));
        let (bytes, rest) = data.split_at_checked(lengths.0).unwrap_or_default();
        data = rest;
        let (into, rest) = room.split_at_mut_checked(lengths.1).unwrap_or_default();
        room = rest;
        *operation = match lengths {
            (0, 0) => Operation::DelayNs(head.delay.get()),
            (_, 0) => Operation::Write(bytes),
            (0, _) => Operation::Read(into),
            _ => Operation::Transfer(into, bytes),
        };
    }
    let operations = operations.get_mut(..heads.len()).unwrap_or_default();
    let outcome = device.transaction(operations);
    outcome.map_err(|error| Status::of_spi(error.kind()))?;
    Ok(read)
}

/// rpmsg-services.md 5.2 to 5.4.
fn judge(head: SpiHead, heads: &[SpiOperation]) -> Result<(), Error> {
    if head.bits_per_word != raw::SPI_BITS {
        let found = head.bits_per_word;
        return Err(Error::BitsPerWord { found });
    }
    if head.reserved.get() != 0 {
        let found = head.reserved.get();
        return Err(Error::Reserved { found });
    }
    let mut delays = 0_u64;
    for (operation, head) in heads.iter().enumerate() {
        let delay = head.delay.get();
        let moves = head.write.get() != 0 || head.read.get() != 0;
        if moves && delay != 0 {
            return Err(Error::DelayWithBytes { operation, delay });
        }
        delays = delays.saturating_add(delay.into());
    }
    expect_patience(delays)
}

fn expect_patience(found: u64) -> Result<(), Error> {
    if found <= u64::from(raw::SPI_DELAYS) {
        return Ok(());
    }
    let limit = raw::SPI_DELAYS;
    Err(Error::DelayTooLong { found, limit })
}
