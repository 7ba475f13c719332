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
    clippy::panic,
    reason = "test support: a wrong use of a fake is a defect of the test and may panic"
)]

mod board;
mod buffers;

use alloc::rc::Rc;
use core::cell::Cell;
use core::marker::PhantomData;

use firmware_bundle::SignatureCheck;

pub use self::board::{Board, Call, Counters, Model, Plain, Variant};
pub use self::buffers::{Reads, Sink, Source};
use crate::actors::{self, Actors, Cast};

/// Fakes of everything but the cryptography: `C` checks signatures, `H` is SHA-256.
#[derive(Debug)]
pub struct Parties<C, H>(PhantomData<(C, H)>);

impl<C: SignatureCheck, H: actors::Sha256> Actors for Parties<C, H> {
    type Source = Source;
    type Sink = Sink;
    type Memory = Board<H>;
    type Reset = Board<H>;
    type Clock = Clock;
    type Signatures = C;
    type Sha256 = H;
}

/// The cast around one board.
pub fn cast<C: SignatureCheck, H: actors::Sha256>(
    board: &Board<H>,
    clock: &Clock,
    signatures: C,
) -> Cast<Parties<C, H>> {
    Cast {
        memory: board.clone(),
        reset: board.clone(),
        clock: clock.clone(),
        signatures,
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
