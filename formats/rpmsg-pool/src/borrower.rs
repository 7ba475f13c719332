//! The side that reads what was lent to it, and gives it back.

use rpmsg::SharedMemory;

use crate::error::{Error, Refused};
use crate::layout::PoolLayout;
use crate::notice::{Lent, Returned};

/// The borrower of a pool with room for `N` slots.
#[derive(Debug)]
pub struct Borrower<M, const N: usize> {
    memory: M,
    layout: PoolLayout,
    generation: u32,
    /// The number of the last loan; 0 before the first (P7).
    last: u32,
    /// The number of the loan by which each slot is held.
    held: [Option<u32>; N],
}

/// Bytes that were lent, still in their slot.
///
/// Holding one tells you that they lie inside the pool; the lender may still change them, so what is read twice may differ. Who gives
/// it back has it no more, neither to read nor to give back:
///
/// ```
/// fn read_it<M: rpmsg::SharedMemory>(pool: &mut rpmsg_pool::Borrower<M, 4>, loan: rpmsg_pool::Loan) {
///     let _ = pool.read(&loan, 0, &mut [0; 4]);
///     let _ = pool.give_back(loan);
/// }
/// ```
/// ```compile_fail,E0382
/// fn read_it<M: rpmsg::SharedMemory>(pool: &mut rpmsg_pool::Borrower<M, 4>, loan: rpmsg_pool::Loan) {
///     let _ = pool.give_back(loan);
///     let _ = pool.read(&loan, 0, &mut [0; 4]);
/// }
/// ```
/// ```compile_fail,E0382
/// fn twice<M: rpmsg::SharedMemory>(pool: &mut rpmsg_pool::Borrower<M, 4>, loan: rpmsg_pool::Loan) {
///     let _ = pool.give_back(loan);
///     let _ = pool.give_back(loan);
/// }
/// ```
#[must_use = "a dropped loan keeps its slot from the lender until the pool is made anew: give it back"]
#[derive(Debug, PartialEq, Eq)]
pub struct Loan {
    slot: u16,
    length: u32,
    sequence: u32,
    generation: u32,
}

impl Loan {
    /// Bytes that were lent.
    pub const fn length(&self) -> u32 {
        self.length
    }
}

impl<M: SharedMemory, const N: usize> Borrower<M, N> {
    /// Nothing held. `generation` marks the handles, and changes with the link's (P10).
    pub fn new(memory: M, layout: PoolLayout, generation: u32) -> Result<Self, Error> {
        layout.check_capacity(N)?;
        Ok(Self {
            memory,
            layout,
            generation,
            last: 0,
            held: [None; N],
        })
    }

    /// Takes what was lent.
    ///
    /// What is refused by another error than [`Error::Sequence`] is counted all the same, and answered by [`Lent::refused`] (P7).
    pub fn take(&mut self, lent: Lent) -> Result<Loan, Error> {
        let Lent {
            slot,
            length,
            sequence,
        } = lent;
        if sequence != self.last.wrapping_add(1) {
            return Err(Error::Sequence {
                sequence,
                last: self.last,
            });
        }
        self.last = sequence;
        let count = self.layout.count();
        let of = usize::from(slot);
        let held = (slot < count).then(|| self.held.get_mut(of)).flatten();
        let held = held.ok_or(Error::Slot { slot, count })?;
        if held.is_some() {
            return Err(Error::Repeated { slot });
        }
        let at = self.layout.loan(slot, length)?;
        *held = Some(sequence);
        self.memory.invalidate(at, length);
        Ok(Loan {
            slot,
            length,
            sequence,
            generation: self.generation,
        })
    }

    /// Copies from `offset` (a multiple of 4) on into `into`; how many bytes there were.
    pub fn read(&self, loan: &Loan, offset: u32, into: &mut [u8]) -> Result<usize, Error> {
        self.check(loan)?;
        if offset & 3 != 0 {
            return Err(Error::Misaligned { offset });
        }
        let rest = usize::try_from(loan.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let len = rest.min(into.len());
        if let Some(into) = into.get_mut(..len)
            && !into.is_empty()
        {
            let at = self.layout.place(loan.slot, offset, len, loan.length)?;
            self.memory.copy_out(at, into);
        }
        Ok(len)
    }

    /// Gives a loan back. The notice has to reach the lender, however long a full ring takes.
    pub fn give_back(&mut self, loan: Loan) -> Result<Returned, Refused<Loan>> {
        if let Err(error) = self.check(&loan) {
            return Err(Refused::new(error, loan));
        }
        let Loan { slot, sequence, .. } = loan;
        if let Some(held) = self.held.get_mut(usize::from(slot)) {
            *held = None;
        }
        Ok(Returned { slot, sequence })
    }

    /// Slots that are held now.
    pub fn held(&self) -> usize {
        // As the lender counts.
        let held = self.held.iter().flatten();
        held.fold(0_usize, |sum, _| sum.saturating_add(1))
    }

    fn check(&self, loan: &Loan) -> Result<(), Error> {
        if loan.generation != self.generation {
            return Err(Error::OtherGeneration {
                handle: loan.generation,
                current: self.generation,
            });
        }
        // A handle of another pool can be of the same generation.
        let held = self.held.get(usize::from(loan.slot)).copied().flatten();
        if held != Some(loan.sequence) {
            return Err(Error::NotHeld { slot: loan.slot });
        }
        Ok(())
    }
}
