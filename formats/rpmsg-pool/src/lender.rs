//! The side that writes slots and lends them.

use rpmsg::SharedMemory;

use crate::error::{Error, Refused};
use crate::layout::PoolLayout;
use crate::notice::{Lent, Returned};

/// The lender of a pool with room for `N` slots.
///
/// Nothing that it knows of its slots lies in the window: a borrower can break no more than the loans it got.
#[derive(Debug)]
pub struct Lender<M, const N: usize> {
    memory: M,
    layout: PoolLayout,
    generation: u32,
    /// The number of the last loan; 0 before the first (P7).
    last: u32,
    states: [State; N],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free,
    Reserved,
    Lent { sequence: u32 },
}

/// A slot to write a payload into.
///
/// Holding one tells you that nobody else uses the slot, as far as the borrower keeps its word. Who lends it has it no more:
///
/// ```
/// fn fill<M: rpmsg::SharedMemory>(pool: &mut rpmsg_pool::Lender<M, 4>, slot: rpmsg_pool::Slot) {
///     let _ = pool.write(&slot, 0, &[1]);
///     let _ = pool.lend(slot, 64);
/// }
/// ```
/// ```compile_fail,E0382
/// fn fill<M: rpmsg::SharedMemory>(pool: &mut rpmsg_pool::Lender<M, 4>, slot: rpmsg_pool::Slot) {
///     let _ = pool.lend(slot, 64);
///     let _ = pool.write(&slot, 0, &[1]);
/// }
/// ```
#[must_use = "a dropped slot is lost until the pool is made anew: lend or abandon it"]
#[derive(Debug, PartialEq, Eq)]
pub struct Slot {
    number: u16,
    generation: u32,
}

impl<M: SharedMemory, const N: usize> Lender<M, N> {
    /// All slots free. `generation` marks the handles, and changes with the link's (P10).
    pub fn new(memory: M, layout: PoolLayout, generation: u32) -> Result<Self, Error> {
        layout.check_capacity(N)?;
        Ok(Self {
            memory,
            layout,
            generation,
            last: 0,
            states: [State::Free; N],
        })
    }

    /// A slot to write.
    pub fn reserve(&mut self) -> Result<Slot, Error> {
        let count = self.layout.count();
        let mut slots = (0..count).zip(&mut self.states);
        let free = slots.find(|(_, state)| **state == State::Free);
        let (number, state) = free.ok_or(Error::NoSlot { count })?;
        *state = State::Reserved;
        Ok(Slot {
            number,
            generation: self.generation,
        })
    }

    /// Writes `bytes` into a slot from `offset` (a multiple of 4) on.
    pub fn write(&self, slot: &Slot, offset: u32, bytes: &[u8]) -> Result<(), Error> {
        self.check(slot)?;
        let size = self.layout.size();
        let at = self.layout.place(slot.number, offset, bytes.len(), size)?;
        self.memory.copy_in(at, bytes);
        Ok(())
    }

    /// Lends the first `length` bytes of a slot. The notice has to reach the borrower, in order, however long a full ring takes; or
    /// the loan is recalled before the next one is made.
    pub fn lend(&mut self, slot: Slot, length: u32) -> Result<Lent, Refused<Slot>> {
        match self.loan(&slot, length) {
            Ok(lent) => Ok(lent),
            Err(error) => Err(Refused::new(error, slot)),
        }
    }

    /// Undoes the last [`Lender::lend`], whose notice did not go out: its number is free for the next one (P7).
    pub fn recall(&mut self, lent: Lent) -> Result<Slot, Error> {
        let Lent { slot, sequence, .. } = lent;
        if sequence != self.last {
            let last = self.last;
            return Err(Error::Sequence { sequence, last });
        }
        if self.state(slot) != Some(State::Lent { sequence }) {
            return Err(Error::NotHeld { slot });
        }
        self.set(slot, State::Reserved);
        self.last = sequence.wrapping_sub(1);
        Ok(Slot {
            number: slot,
            generation: self.generation,
        })
    }

    /// Puts a slot back unlent.
    pub fn abandon(&mut self, slot: Slot) -> Result<(), Refused<Slot>> {
        if let Err(error) = self.check(&slot) {
            return Err(Refused::new(error, slot));
        }
        self.set(slot.number, State::Free);
        Ok(())
    }

    /// Takes back what the borrower gave back.
    pub fn take_back(&mut self, returned: Returned) -> Result<(), Error> {
        let Returned { slot, sequence } = returned;
        let count = self.layout.count();
        if slot >= count {
            return Err(Error::Slot { slot, count });
        }
        // The number tells the loan that is given back from one that was before it (P9).
        if self.state(slot) != Some(State::Lent { sequence }) {
            return Err(Error::NotHeld { slot });
        }
        self.set(slot, State::Free);
        Ok(())
    }

    /// Slots that are lent now.
    pub fn lent(&self) -> usize {
        let lent = |state: &&State| matches!(state, State::Lent { .. });
        // Not `count`, which looks for an overflow, and would panic.
        let lent = self.states.iter().filter(lent);
        lent.fold(0_usize, |sum, _| sum.saturating_add(1))
    }

    fn loan(&mut self, slot: &Slot, length: u32) -> Result<Lent, Error> {
        self.check(slot)?;
        let slot = slot.number;
        let at = self.layout.loan(slot, length)?;
        self.memory.clean(at, length);
        self.last = self.last.wrapping_add(1);
        let sequence = self.last;
        self.set(slot, State::Lent { sequence });
        Ok(Lent {
            slot,
            length,
            sequence,
        })
    }

    fn check(&self, slot: &Slot) -> Result<(), Error> {
        if slot.generation != self.generation {
            return Err(Error::OtherGeneration {
                handle: slot.generation,
                current: self.generation,
            });
        }
        // A handle of another pool can be of the same generation.
        if self.state(slot.number) != Some(State::Reserved) {
            return Err(Error::NotHeld { slot: slot.number });
        }
        Ok(())
    }

    fn state(&self, slot: u16) -> Option<State> {
        self.states.get(usize::from(slot)).copied()
    }

    fn set(&mut self, slot: u16, new: State) {
        if let Some(state) = self.states.get_mut(usize::from(slot)) {
            *state = new;
        }
    }
}
