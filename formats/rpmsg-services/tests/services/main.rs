//! Clients and servers of pins and buses: against each other, by hand, and against liars.

mod client;
mod devices;
mod gpio;
mod i2c;
mod liars;
mod rings;
mod rules;
mod script;
mod spi;
