//! `rpmsg-i2c`: transactions on an I2C bus (rpmsg-services.md 4).

use core::array;
use core::fmt::Debug;

use embedded_hal::i2c::{
    AddressMode, Error as _, ErrorType, I2c, Operation, SevenBitAddress, TenBitAddress,
};
use zerocopy::{FromBytes, IntoBytes};

use crate::client::{Draft, Exchange, Failure, Transport, deal};
use crate::error::Error;
use crate::raw::{self, I2cOperation};
use crate::server::{Call, Refusal, Reply, expect_room, reply};
use crate::status::Status;
use crate::{MAX_MESSAGE, MAX_OPERATIONS};

/// The name of the service; an instance is `rpmsg-i2c-NAME` (rpmsg-services.md 1.1).
pub const SERVICE: &str = "rpmsg-i2c";

/// A 7-bit or a 10-bit address.
pub trait Address: AddressMode + Copy + Debug {
    /// The address field, VirtIO's (rpmsg-services.md 4.3); `None` where no device can have the address.
    fn to_field(self) -> Option<u16>;

    /// The address in a field, if it is one of this kind.
    fn from_field(field: u16) -> Option<Self>;

    /// Its number.
    fn number(self) -> u16;
}

impl Address for SevenBitAddress {
    fn to_field(self) -> Option<u16> {
        let field = u16::from(self).checked_shl(1)?;
        Self::from_field(field).map(|_| field)
    }

    fn from_field(field: u16) -> Option<Self> {
        let [address, 0] = field.to_le_bytes() else {
            return None;
        };
        // What looks so on the bus is the first half of a 10-bit address.
        let is_seven_bits = address & 1 == 0 && address & TEN_BIT_MASK != TEN_BIT;
        is_seven_bits.then_some(address >> 1)
    }

    fn number(self) -> u16 {
        self.into()
    }
}

impl Address for TenBitAddress {
    fn to_field(self) -> Option<u16> {
        let [low, high] = self.to_le_bytes();
        (high <= 3).then(|| u16::from_le_bytes([TEN_BIT | high << 1, low]))
    }

    fn from_field(field: u16) -> Option<Self> {
        let [first, low] = field.to_le_bytes();
        let is_ten_bits = first & TEN_BIT_MASK == TEN_BIT;
        is_ten_bits.then(|| u16::from_le_bytes([low, first >> 1 & 3]))
    }

    fn number(self) -> u16 {
        self
    }
}

/// An I2C bus of the other side.
///
/// ```
/// use embedded_hal::i2c::{I2c, SevenBitAddress};
/// use rpmsg_services::{Failure, MAX_MESSAGE, Transport, i2c};
/// # use core::convert::Infallible;
/// # use embedded_hal::i2c::{ErrorType, Operation};
/// # struct Sensor;
/// # impl ErrorType for Sensor { type Error = Infallible; }
/// # impl I2c for Sensor {
/// #     fn transaction(&mut self, _: u8, operations: &mut [Operation<'_>]) -> Result<(), Infallible> {
/// #         for operation in operations {
/// #             if let Operation::Read(into) = operation { into.fill(25); }
/// #         }
/// #         Ok(())
/// #     }
/// # }
///
/// /// A transport without a way: the server is in the same program.
/// struct Direct<D> { bus: D, answer: Vec<u8> }
///
/// impl<D: I2c> Transport for Direct<D> {
///     type Error = &'static str;
///     fn send(&mut self, request: &[u8]) -> Result<(), Failure<Self::Error>> {
///         let mut room = [0; MAX_MESSAGE];
///         let reply = i2c::serve::<SevenBitAddress, _>(&mut self.bus, request, &mut room);
///         self.answer = reply.bytes().ok_or(Failure::Transport("nothing to answer"))?.to_vec();
///         Ok(())
///     }
///     fn receive(&mut self, answer: &mut [u8]) -> Result<usize, Failure<Self::Error>> {
///         answer[..self.answer.len()].copy_from_slice(&self.answer);
///         Ok(self.answer.len())
///     }
/// }
///
/// let mut bus = i2c::Client::new(Direct { bus: Sensor, answer: Vec::new() });
/// let mut temperature = [0; 2];
/// bus.write_read(0x48_u8, &[0], &mut temperature)?;
/// assert_eq!(temperature, [25, 25]);
/// # Ok::<(), Failure<&'static str>>(())
/// ```
#[derive(Debug)]
pub struct Client<T> {
    exchange: Exchange<T>,
}

impl<T: Transport> Client<T> {
    /// Over this transport.
    pub const fn new(transport: T) -> Self {
        Self {
            exchange: Exchange::new(transport),
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

impl<T: Transport, A: Address> I2c<A> for Client<T> {
    fn transaction(
        &mut self,
        address: A,
        operations: &mut [Operation<'_>],
    ) -> Result<(), Failure<T::Error>> {
        let Some(last) = operations.len().checked_sub(1) else {
            return Ok(());
        };
        let number = address.number();
        let field = address.to_field();
        let address = field.ok_or(Error::AddressRange { address: number })?;
        let (mut written, mut read) = (0_usize, 0_usize);
        for operation in &*operations {
            match operation {
                Operation::Read(into) => read = read.saturating_add(into.len()),
                Operation::Write(bytes) => written = written.saturating_add(bytes.len()),
            }
        }
        expect_room(read)?;
        let heads = operations.len().saturating_mul(size_of::<I2cOperation>());
        let body = heads.saturating_add(written);
        let mut request = Draft::new(operations.len(), MAX_OPERATIONS, body)?;
        for (index, operation) in operations.iter().enumerate() {
            let (bytes, direction) = match operation {
                Operation::Read(into) => (into.len(), raw::I2C_READ),
                Operation::Write(bytes) => (bytes.len(), 0),
            };
            let more = if index < last { raw::I2C_FAIL_NEXT } else { 0 };
            let head = I2cOperation {
                address: address.into(),
                // Bounded above by what fits into a message.
                length: u16::try_from(bytes).unwrap_or(u16::MAX).into(),
                flags: (direction | more).into(),
            };
            request.put(head.as_bytes());
        }
        for operation in &*operations {
            if let Operation::Write(bytes) = operation {
                request.put(bytes);
            }
        }
        let mut answer = [0; MAX_MESSAGE];
        let mut data = self.exchange.ask(request, read, &mut answer)?;
        for operation in operations {
            if let Operation::Read(into) = operation {
                deal(&mut data, into);
            }
        }
        Ok(())
    }
}

/// Serves a request on a bus.
pub fn serve<'a, A: Address, D: I2c<A>>(
    bus: &mut D,
    request: &[u8],
    answer: &'a mut [u8; MAX_MESSAGE],
) -> Reply<'a> {
    reply(request, answer, |call, room| run(bus, &call, room))
}

/// Nothing happens on the bus before all of the request is judged (rpmsg-services.md 2.4).
fn run<A: Address, D: I2c<A>>(
    bus: &mut D,
    call: &Call<'_>,
    room: &mut [u8],
) -> Result<usize, Refusal> {
    call.expect_operations(1, MAX_OPERATIONS)?;
    let heads = <[I2cOperation]>::ref_from_prefix_with_elems(call.body, call.operations);
    let Ok((heads, data)) = heads else {
        let heads = call.operations.saturating_mul(size_of::<I2cOperation>());
        return Err(call
            .expect_body(heads)
            .err()
            .map_or(Status::Malformed.into(), Refusal::Rule));
    };
    let address = judge(heads)?;
    let sum = |reads: bool| {
        let chosen = heads.iter().filter(|head| is_read(head) == reads);
        chosen.fold(0_usize, |sum, head| {
            sum.saturating_add(head.length.get().into())
        })
    };
    let (written, read) = (sum(false), sum(true));
    call.expect_body(size_of_val(heads).saturating_add(written))?;
    expect_room(read)?;
    let address = A::from_field(address).ok_or(Status::Unsupported)?;

    // What is read goes into the answer as it comes (rpmsg-services.md 4.6).
    let (mut data, mut room) = (data, room);
    let mut operations: [Operation<'_>; MAX_OPERATIONS] = array::from_fn(|_| Operation::Write(&[]));
    for (operation, head) in operations.iter_mut().zip(heads) {
        let length = usize::from(head.length.get());
        if is_read(head) {
            let (into, rest) = room.split_at_mut_checked(length).unwrap_or_default();
            (*operation, room) = (Operation::Read(into), rest);
        } else {
            let (bytes, rest) = data.split_at_checked(length).unwrap_or_default();
            (*operation, data) = (Operation::Write(bytes), rest);
        }
    }
    let operations = operations.get_mut(..heads.len()).unwrap_or_default();
    let outcome = bus.transaction(address, operations);
    outcome.map_err(|error| Status::of_i2c(error.kind()))?;
    Ok(read)
}

/// The address of all operations (rpmsg-services.md 4.3 to 4.5).
fn judge(heads: &[I2cOperation]) -> Result<u16, Error> {
    let first = heads.first().map_or(0, |head| head.address.get());
    for (operation, head) in heads.iter().enumerate() {
        let (found, flags) = (head.address.get(), head.flags.get());
        if SevenBitAddress::from_field(found).is_none()
            && TenBitAddress::from_field(found).is_none()
        {
            return Err(Error::AddressEncoding { found });
        }
        if found != first {
            return Err(Error::AddressChanges {
                operation,
                first,
                found,
            });
        }
        if flags & !(raw::I2C_FAIL_NEXT | raw::I2C_READ) != 0 {
            return Err(Error::FlagsUnknown { operation, flags });
        }
        let is_last = operation.saturating_add(1) == heads.len();
        if is_last == (flags & raw::I2C_FAIL_NEXT != 0) {
            return Err(Error::FailNext { operation, flags });
        }
    }
    Ok(first)
}

fn is_read(head: &I2cOperation) -> bool {
    head.flags.get() & raw::I2C_READ != 0
}

/// How the first byte of a 10-bit address begins on the bus.
const TEN_BIT: u8 = 0b1111_0000;
/// The bits of that byte which are the same for all of them.
const TEN_BIT_MASK: u8 = 0b1111_1001;
