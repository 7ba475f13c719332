//! `rpmsg-gpio`: lines, one request for each reading and each change (rpmsg-services.md 3).

use core::cell::RefCell;

use embedded_hal::digital::{Error as _, ErrorType, InputPin, OutputPin, StatefulOutputPin};
use zerocopy::{FromBytes, IntoBytes};

use crate::MAX_MESSAGE;
use crate::client::{Draft, Exchange, Failure, Transport};
use crate::error::Error;
use crate::raw::{self, GpioRequest};
use crate::server::{Call, Refusal, Reply, reply};
use crate::status::Status;

/// The name of the service; an instance is `rpmsg-gpio-NAME` (rpmsg-services.md 1.1).
pub const SERVICE: &str = "rpmsg-gpio";

/// The direction of a line, numbered as VirtIO does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It is not in use.
    None,
    /// It is driven.
    Output,
    /// It is read.
    Input,
}

impl Direction {
    const fn number(self) -> u8 {
        match self {
            Direction::None => 0,
            Direction::Output => 1,
            Direction::Input => 2,
        }
    }
}

/// The lines of the other side.
///
/// ```
/// use embedded_hal::digital::{InputPin, StatefulOutputPin};
/// use rpmsg_services::gpio::{self, InputLine, OutputLine};
/// use rpmsg_services::{Failure, MAX_MESSAGE, Transport};
/// # use core::{cell::Cell, convert::Infallible};
/// # use embedded_hal::digital::{ErrorType, OutputPin};
/// # struct Wire<'a>(&'a Cell<bool>);
/// # impl ErrorType for Wire<'_> { type Error = Infallible; }
/// # impl InputPin for Wire<'_> {
/// #     fn is_high(&mut self) -> Result<bool, Infallible> { Ok(self.0.get()) }
/// #     fn is_low(&mut self) -> Result<bool, Infallible> { Ok(!self.0.get()) }
/// # }
/// # impl OutputPin for Wire<'_> {
/// #     fn set_low(&mut self) -> Result<(), Infallible> { self.0.set(false); Ok(()) }
/// #     fn set_high(&mut self) -> Result<(), Infallible> { self.0.set(true); Ok(()) }
/// # }
/// # impl StatefulOutputPin for Wire<'_> {
/// #     fn is_set_high(&mut self) -> Result<bool, Infallible> { Ok(self.0.get()) }
/// #     fn is_set_low(&mut self) -> Result<bool, Infallible> { Ok(!self.0.get()) }
/// # }
///
/// /// A transport without a way: the server, whose two pins are joined by a wire, is in the same program.
/// struct Direct<'a> { lamp: OutputLine<Wire<'a>>, sense: InputLine<Wire<'a>>, answer: Vec<u8> }
///
/// impl Transport for Direct<'_> {
///     type Error = &'static str;
///     fn send(&mut self, request: &[u8]) -> Result<(), Failure<Self::Error>> {
///         let mut room = [0; MAX_MESSAGE];
///         let reply = gpio::serve(&mut [&mut self.lamp, &mut self.sense], request, &mut room);
///         self.answer = reply.bytes().ok_or(Failure::Transport("nothing to answer"))?.to_vec();
///         Ok(())
///     }
///     fn receive(&mut self, answer: &mut [u8]) -> Result<usize, Failure<Self::Error>> {
///         answer[..self.answer.len()].copy_from_slice(&self.answer);
///         Ok(self.answer.len())
///     }
/// }
///
/// # let wire = Cell::new(false);
/// # let (lamp, sense) = (OutputLine(Wire(&wire)), InputLine(Wire(&wire)));
/// let lines = gpio::Client::new(Direct { lamp, sense, answer: Vec::new() });
/// let (mut lamp, mut sense) = (lines.output(0)?, lines.input(1)?);
/// assert!(sense.is_low()?);
/// lamp.toggle()?;
/// assert!(sense.is_high()?);
/// # Ok::<(), Failure<&'static str>>(())
/// ```
#[derive(Debug)]
pub struct Client<T> {
    /// The pins share it; they are of one thread.
    exchange: RefCell<Exchange<T>>,
}

/// A line that is read.
#[derive(Debug)]
pub struct Input<'a, T> {
    client: &'a Client<T>,
    line: u16,
}

/// A line that is driven.
#[derive(Debug)]
pub struct Output<'a, T> {
    client: &'a Client<T>,
    line: u16,
}

impl<T: Transport> Client<T> {
    /// Over this transport.
    pub const fn new(transport: T) -> Self {
        Self {
            exchange: RefCell::new(Exchange::new(transport)),
        }
    }

    /// The transport, to open it anew after a restart.
    pub fn transport(&mut self) -> &mut T {
        &mut self.exchange.get_mut().transport
    }

    /// The direction of a line.
    ///
    /// # Errors
    /// [`Status::LineUnknown`] where there is none of this number; all that can go wrong on the way.
    pub fn direction(&self, line: u16) -> Result<Direction, Failure<T::Error>> {
        match self.ask(raw::GPIO_DIRECTION, line, 0)? {
            0 => Ok(Direction::None),
            1 => Ok(Direction::Output),
            2 => Ok(Direction::Input),
            found => Err(Error::AnswerValue { found }.into()),
        }
    }

    /// A line that the other side reads.
    ///
    /// # Errors
    /// [`Error::Direction`] where it is none; as [`Client::direction`].
    pub fn input(&self, line: u16) -> Result<Input<'_, T>, Failure<T::Error>> {
        self.expect(line, Direction::Input)?;
        Ok(Input { client: self, line })
    }

    /// A line that the other side drives.
    ///
    /// # Errors
    /// As [`Client::input`].
    pub fn output(&self, line: u16) -> Result<Output<'_, T>, Failure<T::Error>> {
        self.expect(line, Direction::Output)?;
        Ok(Output { client: self, line })
    }

    fn expect(&self, line: u16, wanted: Direction) -> Result<(), Failure<T::Error>> {
        let direction = self.direction(line)?;
        if direction == wanted {
            return Ok(());
        }
        Err(Failure::Broken(Error::Direction {
            line,
            found: direction.number(),
            expected: wanted.number(),
        }))
    }

    fn level(&self, line: u16) -> Result<bool, Failure<T::Error>> {
        match self.ask(raw::GPIO_VALUE, line, 0)? {
            0 => Ok(false),
            1 => Ok(true),
            found => Err(Error::AnswerValue { found }.into()),
        }
    }

    fn set_level(&self, line: u16, high: bool) -> Result<(), Failure<T::Error>> {
        match self.ask(raw::GPIO_SET_VALUE, line, high.into())? {
            0 => Ok(()),
            found => Err(Error::AnswerValue { found }.into()),
        }
    }

    fn ask(&self, kind: u16, line: u16, value: u32) -> Result<u8, Failure<T::Error>> {
        let mut exchange = self.exchange.try_borrow_mut().map_err(|_| Error::Busy)?;
        let mut request = Draft::new(1, 1, size_of::<GpioRequest>())?;
        let body = GpioRequest {
            kind: kind.into(),
            line: line.into(),
            value: value.into(),
        };
        request.put(body.as_bytes());
        let mut answer = [0; MAX_MESSAGE];
        let value = exchange.ask(request, 1, &mut answer)?;
        Ok(value.first().copied().unwrap_or_default())
    }
}

impl<T: Transport> ErrorType for Input<'_, T> {
    type Error = Failure<T::Error>;
}

impl<T: Transport> InputPin for Input<'_, T> {
    fn is_high(&mut self) -> Result<bool, Failure<T::Error>> {
        self.client.level(self.line)
    }

    fn is_low(&mut self) -> Result<bool, Failure<T::Error>> {
        self.is_high().map(|high| !high)
    }
}

impl<T: Transport> ErrorType for Output<'_, T> {
    type Error = Failure<T::Error>;
}

impl<T: Transport> OutputPin for Output<'_, T> {
    fn set_low(&mut self) -> Result<(), Failure<T::Error>> {
        self.client.set_level(self.line, false)
    }

    fn set_high(&mut self) -> Result<(), Failure<T::Error>> {
        self.client.set_level(self.line, true)
    }
}

impl<T: Transport> StatefulOutputPin for Output<'_, T> {
    fn is_set_high(&mut self) -> Result<bool, Failure<T::Error>> {
        self.client.level(self.line)
    }

    fn is_set_low(&mut self) -> Result<bool, Failure<T::Error>> {
        self.is_set_high().map(|high| !high)
    }
}

/// A line as a server has it. Lines of different pins, which are of different types, stand in one list by this trait.
pub trait Line {
    /// Its direction.
    fn direction(&self) -> Direction;

    /// Its level.
    ///
    /// # Errors
    /// The status that the answer has.
    fn level(&mut self) -> Result<bool, Status>;

    /// Drives it.
    ///
    /// # Errors
    /// The status that the answer has: [`Status::WrongDirection`] where it is not driven.
    fn set_level(&mut self, high: bool) -> Result<(), Status>;
}

/// A pin to be read by the other side.
#[derive(Debug)]
pub struct InputLine<P>(pub P);

/// A pin to be driven by the other side.
#[derive(Debug)]
pub struct OutputLine<P>(pub P);

impl<P: InputPin> Line for InputLine<P> {
    fn direction(&self) -> Direction {
        Direction::Input
    }

    fn level(&mut self) -> Result<bool, Status> {
        let level = self.0.is_high();
        level.map_err(|error| Status::of_digital(error.kind()))
    }

    fn set_level(&mut self, _: bool) -> Result<(), Status> {
        Err(Status::WrongDirection)
    }
}

impl<P: StatefulOutputPin> Line for OutputLine<P> {
    fn direction(&self) -> Direction {
        Direction::Output
    }

    fn level(&mut self) -> Result<bool, Status> {
        let level = self.0.is_set_high();
        level.map_err(|error| Status::of_digital(error.kind()))
    }

    fn set_level(&mut self, high: bool) -> Result<(), Status> {
        let set = self.0.set_state(high.into());
        set.map_err(|error| Status::of_digital(error.kind()))
    }
}

/// Serves a request with these lines, which are numbered from 0 on.
pub fn serve<'a>(
    lines: &mut [&mut dyn Line],
    request: &[u8],
    answer: &'a mut [u8; MAX_MESSAGE],
) -> Reply<'a> {
    reply(request, answer, |call, room| run(lines, &call, room))
}

fn run(lines: &mut [&mut dyn Line], call: &Call<'_>, room: &mut [u8]) -> Result<usize, Refusal> {
    call.expect_operations(1, 1)?;
    call.expect_body(size_of::<GpioRequest>())?;
    let request = GpioRequest::read_from_bytes(call.body).map_err(|_| Status::Malformed)?;
    let kind = judge(&request)?;
    let line = lines.get_mut(usize::from(request.line.get()));
    let line = line.ok_or(Status::LineUnknown)?;
    let value = match kind {
        raw::GPIO_DIRECTION => line.direction().number(),
        raw::GPIO_VALUE => line.level()?.into(),
        raw::GPIO_SET_VALUE => {
            line.set_level(request.value.get() == 1)?;
            0
        }
        _ => return Err(Status::Unsupported.into()),
    };
    if let Some(place) = room.first_mut() {
        *place = value;
    }
    Ok(1)
}

/// The type of a request that keeps the rules (rpmsg-services.md 3.3).
fn judge(request: &GpioRequest) -> Result<u16, Error> {
    let found = request.kind.get();
    let limit = match found {
        raw::GPIO_NAMES | raw::GPIO_DIRECTION | raw::GPIO_VALUE => 0,
        raw::GPIO_SET_VALUE => 1,
        // Whatever they say is not done.
        raw::GPIO_SET_DIRECTION | raw::GPIO_IRQ_TYPE => u32::MAX,
        _ => return Err(Error::TypeUnknown { found }),
    };
    if request.value.get() > limit {
        let found = request.value.get();
        return Err(Error::ValueRange { found, limit });
    }
    Ok(found)
}
