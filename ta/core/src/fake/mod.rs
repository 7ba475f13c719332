//! Fakes of all actors, which behave as the real parties do.
//!
//! [`Board`] is the PTA with memory, reset lines and a core behind it; [`Source`] and [`Sink`] are a
//! client's buffers; [`Clock`] stands still until told. Tests, the simulator and the host library's tests
//! use them. They may panic: they are never part of a TA.

#![expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::expect_used,
    reason = "test support: a wrong use of a fake is a defect of the test and may panic"
)]

mod board;
mod buffers;

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;

use certificate_chain::Checker;
use firmware_bundle::MAX_TRAILER;

pub use self::board::{Board, Call, Counters, Model, Plain, Variant};
pub use self::buffers::{Reads, Sink, Source};
use crate::actors::{self, Actors, Cast};
use crate::{Device, Slot, Storage, Ta};

/// The family of fakes. Only the cryptography is real: certificate-chain's.
#[derive(Debug)]
pub struct Parties;

impl Actors for Parties {
    type Source = Source;
    type Sink = Sink;
    type Memory = Board;
    type Reset = Board;
    type Clock = Clock;
    type Signatures = Checker;
    type Sha256 = Sha256;
}

/// The cast around one board.
pub fn cast(board: &Board, clock: &Clock, signatures: Checker) -> Cast<Parties> {
    Cast {
        memory: board.clone(),
        reset: board.clone(),
        clock: clock.clone(),
        signatures,
    }
}

/// A TA around one board, with memory that is never given back.
pub fn ta(device: Device<'static>, cast: Cast<Parties>) -> Ta<'static, Parties> {
    let cores = device.platform.cores().len();
    let slots: Vec<_> = (0..cores).map(|_| Slot::new()).collect();
    let storage = Storage {
        slots: Vec::leak(slots),
        trailer: Box::leak(Box::new([0; MAX_TRAILER])),
    };
    Ta::new(device, cast, storage).expect("one slot for each core")
}

/// SHA-256 over bytes that are kept until the end.
#[derive(Debug)]
pub struct Sha256(Vec<u8>);

impl actors::Sha256 for Sha256 {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn update(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn finish(self) -> [u8; 32] {
        certificate_chain::sha256(&[&self.0])
    }
}

/// A clock that a test moves.
#[derive(Clone, Debug, Default)]
pub struct Clock(Rc<Cell<u64>>);

impl Clock {
    /// A clock at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets time pass.
    pub fn advance(&self, milliseconds: u64) {
        self.0.set(self.0.get() + milliseconds);
    }
}

impl actors::Clock for Clock {
    fn now(&self) -> u64 {
        self.0.get()
    }
}
