//! Pins and buses of the other side, and ours for it: embedded-hal over an endpoint.
//!
//! A [`Channel`] is the way from a client of `rpmsg-gpio`, `rpmsg-i2c` or `rpmsg-spi` (rpmsg-services.md) to its server, by an
//! endpoint of a hub or by the socket of a service that `corewarden serve` holds. The clients implement embedded-hal's
//! traits, so that whatever drives a sensor drives it behind a core as well. [`answer`] is the other role: Linux has the bus.
//!
//! # Example
//!
//! A program reads a sensor's register; both sides are in one program here, and the device's could be a core's as well.
//!
//! ```
//! # use std::convert::Infallible;
//! use std::time::Duration;
//!
//! use corewarden::doorbell::EventCounters;
//! use corewarden::hub::{Hub, Options};
//! use corewarden::place::{Geometry, Place};
//! use corewarden::services::{Channel, answer, i2c};
//! use corewarden::shared_memory::Window;
//! use corewarden::Limit;
//! use embedded_hal::i2c::{I2c, SevenBitAddress};
//! # use embedded_hal::i2c::{ErrorType, Operation};
//! # struct Sensor;
//! # impl ErrorType for Sensor { type Error = Infallible; }
//! # impl I2c for Sensor {
//! #     fn transaction(&mut self, _: u8, operations: &mut [Operation<'_>]) -> Result<(), Infallible> {
//! #         for operation in operations {
//! #             if let Operation::Read(into) = operation { into.fill(25); }
//! #         }
//! #         Ok(())
//! #     }
//! # }
//! # let geometry = Geometry::default();
//! # let (window, fd) = Window::memfd(geometry.window_size())?;
//! # let other = Window::map(&fd, 0, geometry.window_size())?;
//! # let (near, far) = EventCounters::pair()?;
//! let soon = || Limit::after(Duration::from_secs(20));
//!
//! let device = std::thread::spawn(move || {
//!     // let hub = ...
//! #   let place = Place::between_processes(&geometry, &other)?;
//! #   let hub = Hub::device(place, other, far, Options::default())?;
//!     let endpoint = hub.serve(i2c::SERVICE, soon())?;
//!     answer(&endpoint, soon(), |request, room| {
//!         i2c::serve::<SevenBitAddress, _>(&mut Sensor, request, room)
//!     })
//! });
//!
//! // let hub = ...
//! # let place = move |window: &Window| Place::between_processes(&geometry, window);
//! # let hub = Hub::driver(place, window, near, Options::default())?;
//! let endpoint = hub.connect(i2c::SERVICE, soon())?;
//! let mut bus = i2c::Client::new(Channel::new(endpoint, Duration::from_secs(20)));
//! let mut temperature = [0; 2];
//! bus.write_read(0x48_u8, &[0], &mut temperature)?;
//! assert_eq!(temperature, [25, 25]);
//! # device.join().unwrap()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::time::Duration;

pub use rpmsg_services::{
    Error as Rule, Failure, MAX_MESSAGE, MAX_OPERATIONS, Reply, Status, Transport, gpio, i2c, spi,
};

use crate::client::{Client, Reason};
use crate::error::Error;
use crate::hub::Endpoint;
use crate::limit::Limit;

/// The way to one server, with a time limit for each of its answers.
#[derive(Debug)]
pub struct Channel<W> {
    way: W,
    patience: Duration,
    limit: Limit<'static>,
}

impl<W> Channel<W> {
    /// Over an [`Endpoint`] or a [`Client`]; each request waits at most so long, for a free buffer and its answer together.
    pub fn new(way: W, patience: Duration) -> Self {
        Channel {
            way,
            patience,
            limit: Limit::after(patience),
        }
    }

    /// What it goes over; to open it anew after a restart.
    pub fn way(&mut self) -> &mut W {
        &mut self.way
    }

    fn begin(&mut self) -> Limit<'static> {
        self.limit = Limit::after(self.patience);
        self.limit
    }
}

impl Transport for Channel<Endpoint> {
    type Error = Error;

    fn send(&mut self, request: &[u8]) -> Result<(), Failure<Error>> {
        let limit = self.begin();
        self.way.send(request, limit).map_err(failure)
    }

    fn receive(&mut self, answer: &mut [u8]) -> Result<usize, Failure<Error>> {
        let message = self.way.recv(self.limit).map_err(failure)?;
        Ok(copy(&message.payload, answer))
    }
}

impl Transport for Channel<Client> {
    type Error = Error;

    fn send(&mut self, request: &[u8]) -> Result<(), Failure<Error>> {
        let limit = self.begin();
        self.way.send(request, limit).map_err(failure)
    }

    fn receive(&mut self, answer: &mut [u8]) -> Result<usize, Failure<Error>> {
        let message = self.way.recv(self.limit).map_err(failure)?;
        Ok(copy(&message, answer))
    }
}

/// Waits for the next request at an endpoint, has it served and sends the answer; what the answer said, or `None` where there
/// was nobody to answer.
///
/// # Errors
/// As [`Endpoint::recv`] and [`Endpoint::send_to`].
pub fn answer(
    endpoint: &Endpoint,
    limit: Limit<'_>,
    serve: impl for<'a> FnOnce(&[u8], &'a mut [u8; MAX_MESSAGE]) -> Reply<'a>,
) -> Result<Option<Status>, Error> {
    let request = endpoint.recv(limit)?;
    let mut room = [0; MAX_MESSAGE];
    let reply = serve(&request.payload, &mut room);
    if let Some(bytes) = reply.bytes() {
        endpoint.send_to(request.source, bytes, limit)?;
    }
    Ok(reply.status())
}

fn failure(error: Error) -> Failure<Error> {
    match error {
        Error::PeerRestarted { generation, .. } => Failure::PeerRestarted {
            generation: Some(generation),
        },
        Error::ServerClosed {
            reason: Reason::PeerRestarted,
        } => Failure::PeerRestarted { generation: None },
        Error::TimeLimit { milliseconds, .. } => Failure::TimeLimit { milliseconds },
        error => Failure::Transport(error),
    }
}

/// As much as there is room for; the whole length.
fn copy(message: &[u8], into: &mut [u8]) -> usize {
    for (to, from) in into.iter_mut().zip(message) {
        *to = *from;
    }
    message.len()
}
