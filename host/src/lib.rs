//! Attach to coprocessors that the secure world controls, and talk RPMsg with them.
//!
//! [`ta`] asks the trusted application: load, start, stop, what runs. [`hub`] takes a running core's link into use and gives
//! endpoints on it, over a [`shared_memory`] window and a [`doorbell`]. Whatever the core or the shared memory says
//! is judged; a restart of the core is reported, not hidden.
//!
//! # Example
//!
//! An application that asks a service of a running core, on the machine itself:
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use corewarden::cli::{Machine, ThisMachine};
//! use corewarden::hub::{Hub, Options};
//! use corewarden::place::{Place, Target};
//! use corewarden::ta::Client;
//! use corewarden::{Error, Limit};
//!
//! fn ask(core: &platform::Core, question: &[u8]) -> Result<Vec<u8>, Error> {
//!     let patience = Duration::from_secs(2);
//!     let mut machine = ThisMachine::default();
//!     let mut client = Client::open(machine.transport()?, core.id())?;
//!     let (state, table) = (client.state()?, client.master_table()?);
//!     let target = Target {
//!         core,
//!         master: &table.bytes,
//!         starts: state.start_counter,
//!         device: 0,
//!         handshake: patience,
//!     };
//!     let (window, doorbell) = (machine.window(core)?, machine.doorbell(core)?);
//!     let place = Place::find(&target, &window)?;
//!     let hub = Hub::driver(move |_| Ok(place), window, doorbell, Options::default())?;
//!     let echo = hub.connect("corewarden-echo", Limit::after(2 * patience))?;
//!     echo.send(question, Limit::after(patience))?;
//!     let answer = echo.recv(Limit::after(patience))?;
//!     Ok(answer.payload)
//! }
//! ```

mod agreement;
pub mod capture;
pub mod cli;
pub mod client;
pub mod doorbell;
mod error;
pub mod hub;
mod limit;
pub mod peer;
pub mod place;
pub mod pool;
pub mod serve;
pub mod services;
pub mod shared_memory;
mod socket;
pub mod ta;

pub use agreement::Agreed;
pub use error::{
    DoorbellOperation, Error, Request, SocketOperation, TerminalOperation, Waiting, WindowOperation,
};
pub use limit::Limit;
pub use socket::Access;
