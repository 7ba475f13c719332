//! What the supervisor has seen so far, shared with the thread that waits for it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::error::Ended;
use super::reset::Core;

/// A line of Linux' console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Time since the start of the machine.
    pub at: Duration,
    /// The line without its end.
    pub text: String,
}

/// Something that happened to the board or the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Time since the start of the machine.
    pub at: Duration,
    /// What happened.
    pub what: Happening,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// The whole board was reset.
    BoardReset,
    /// The core ended by itself.
    CoreDied(Ended),
    /// The secure world put the core into reset.
    CoreHeld,
    /// The secure world released the core.
    CoreReleased,
    /// The core runs, so long after its release.
    CoreUp(Duration),
    /// A orderly power-off or QEMU's end.
    Ended(Ended),
}

/// Doorbells since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rings {
    /// Bytes of Linux for which the core's interrupt was pulsed.
    pub to_core: u64,
    /// Bytes of the core handed to Linux.
    pub to_linux: u64,
    /// Bytes dropped, because nobody was there or too many were waiting.
    pub dropped: u64,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) lines: Vec<Line>,
    /// The line that has no end yet: a prompt.
    pub(super) partial: String,
    pub(super) events: Vec<Event>,
    pub(super) core: Core,
    pub(super) core_id: Option<u32>,
    pub(super) rings: Rings,
    pub(super) ended: Option<Ended>,
    /// The supervisor's thread is gone.
    pub(super) closed: bool,
}

#[derive(Debug)]
pub(super) struct Journal {
    pub(super) start: Instant,
    state: Mutex<State>,
    changed: Condvar,
}

impl Journal {
    pub(super) fn new(start: Instant) -> Self {
        Self {
            start,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    pub(super) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    pub(super) fn read(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held leaves whole values: they are pushed, never half written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.read());
        self.changed.notify_all();
        result
    }

    /// Counts doorbells. Nobody waits for their number, and to wake somebody for each would slow them down.
    pub(super) fn count(&self, count: impl FnOnce(&mut Rings)) {
        count(&mut self.read().rings);
    }

    /// Waits until `look` finds something, the run has ended and `look` found nothing in all of it, or time is up.
    pub(super) fn wait<T>(
        &self,
        within: Duration,
        mut look: impl FnMut(&State) -> Option<T>,
    ) -> Waited<T> {
        let until = Instant::now() + within;
        let mut state = self.read();
        loop {
            if let Some(found) = look(&state) {
                return Waited::Found(found);
            }
            if state.closed {
                return Waited::Ended(state.ended);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Waited::TimeUp;
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

pub(super) enum Waited<T> {
    Ended(Option<Ended>),
    Found(T),
    TimeUp,
}
