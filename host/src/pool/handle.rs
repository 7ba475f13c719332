//! A slot that is written, and one that is read.

use rpmsg_pool::{Notice, Slot};

use super::Pool;
use super::state::Borrowed;
use crate::error::{Error, Waiting};
use crate::limit::Limit;

/// A slot to write a payload into; it is free again when this is dropped.
///
/// Holding one tells you that nobody reads the slot, as far as the peer keeps its word.
#[must_use = "a payload is sent when it is lent"]
pub struct Draft<'p> {
    pool: &'p Pool,
    slot: Option<Slot>,
}

impl<'p> Draft<'p> {
    pub(super) fn new(pool: &'p Pool, slot: Slot) -> Self {
        Draft {
            pool,
            slot: Some(slot),
        }
    }

    /// Copies `bytes` to their place, from `offset` (a multiple of 4) on.
    ///
    /// # Errors
    /// [`Error::Pool`] where they do not fit, and where the link is gone as [`crate::hub::Endpoint::recv`].
    pub fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Error> {
        let Some(slot) = &self.slot else {
            return Ok(());
        };
        // All or nothing: the end is refused before the start is written.
        let (start, end) = bytes.split_at(bytes.len() - bytes.len() % PIECE);
        let at = |index: usize| place(offset, index);
        // While the hub is held no other link begins, on which somebody else may have the slot.
        let write = |at, piece| {
            self.pool.look(|state, post| {
                post.alive()?;
                state.lender.write(slot, at, piece).map_err(Error::Pool)
            })
        };
        write(at(start.len()), end)?;
        for (number, piece) in start.chunks(PIECE).enumerate().rev() {
            self.pool.endpoint.give_way();
            write(at(number * PIECE), piece)?;
        }
        Ok(())
    }

    /// Lends the first `length` bytes to the peer, and waits for a buffer for the notice if need be. What lies there and was not
    /// written is what lay there before.
    ///
    /// # Errors
    /// [`Error::Pool`] where the length is none (P6), [`Error::TimeLimit`] where no buffer becomes free, [`Error::NoPeer`] where
    /// nobody has sent to the endpoint and it is connected to no service, and where the link is gone as
    /// [`crate::hub::Endpoint::recv`]. The draft comes back with it.
    pub fn lend(mut self, length: u32, limit: Limit<'_>) -> Result<(), Refused<Self>> {
        let pool = self.pool;
        let lent = pool.attend(limit, Waiting::SendBuffer, |state, post| {
            state.take_in(post)?;
            let Some(slot) = self.slot.take() else {
                return Ok(Some(()));
            };
            let lent = match state.lender.lend(slot, length) {
                Ok(lent) => lent,
                Err(rpmsg_pool::Refused { error, handle }) => {
                    self.slot = Some(handle);
                    return Err(Error::Pool(error));
                }
            };
            // Notices go out in the order of their numbers, so one that finds no buffer must not have a number yet.
            let sent = post.put(None, &Notice::from(lent).to_bytes());
            if sent != Ok(true) {
                self.slot = state.lender.recall(lent).ok();
            }
            Ok(sent?.then_some(()))
        });
        lent.map_err(|error| Refused {
            error,
            handle: self,
        })
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            let _ = self.pool.endpoint.look(|post| {
                // It is of this pool and reserved, or there were no handle.
                let _ = self.pool.state().lender.abandon(slot);
                post.have_news();
                Ok(())
            });
        }
    }
}

/// A payload of the peer's, still in its slot, which goes back when this is dropped.
///
/// Holding one tells you that its bytes lie inside the pool; the peer may still change them, so what is read twice may differ: judge
/// what was copied out.
pub struct Loan<'p> {
    pool: &'p Pool,
    borrowed: Option<Borrowed>,
}

impl<'p> Loan<'p> {
    pub(super) fn new(pool: &'p Pool, borrowed: Borrowed) -> Self {
        Loan {
            pool,
            borrowed: Some(borrowed),
        }
    }

    /// Bytes of the payload.
    #[must_use]
    pub fn length(&self) -> u32 {
        match &self.borrowed {
            Some(borrowed) => borrowed.loan.length(),
            None => 0,
        }
    }

    /// Copies from `offset` (a multiple of 4) on into `into`; how many bytes there were. What was read is of the time of the loan: a
    /// peer that restarted meanwhile may have written to the slot.
    ///
    /// # Errors
    /// [`Error::Pool`] where the offset is none, and where the link is gone as [`crate::hub::Endpoint::recv`].
    pub fn read(&self, offset: u32, into: &mut [u8]) -> Result<usize, Error> {
        let Some(Borrowed { loan, .. }) = &self.borrowed else {
            return Ok(0);
        };
        let mut read = 0;
        for piece in into.chunks_mut(PIECE) {
            let borrower = &self.pool.state().borrower;
            let copied = borrower.read(loan, place(offset, read), piece);
            read += copied.map_err(Error::Pool)?;
        }
        self.pool.endpoint.look(|post| post.alive())?;
        Ok(read)
    }

    /// Copies all of it.
    ///
    /// # Errors
    /// As [`Loan::read`].
    pub fn to_vec(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; usize::try_from(self.length()).unwrap_or(usize::MAX)];
        let read = self.read(0, &mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Gives it back. Where no buffer is free for the notice, it goes out with a later call of the pool, or by [`Pool::settle`].
    ///
    /// # Errors
    /// Where the link is gone as [`crate::hub::Endpoint::recv`]: then the peer has it already.
    pub fn release(mut self) -> Result<(), Error> {
        self.give_back()
    }

    fn give_back(&mut self) -> Result<(), Error> {
        let Some(borrowed) = self.borrowed.take() else {
            return Ok(());
        };
        self.pool.look(|state, post| {
            state.give_back(borrowed);
            post.alive()?;
            state.tell(post)?;
            Ok(())
        })
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        // Where it fails the link is over, and the loan with it.
        let _ = self.give_back();
    }
}

/// A call that took a handle and did nothing: here it is again.
pub struct Refused<H> {
    /// Why.
    pub error: Error,
    /// What was handed in.
    pub handle: H,
}

impl<H> std::fmt::Debug for Refused<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(f)
    }
}

impl<H> Refused<H> {
    /// Why, for whoever gives up: the handle is dropped.
    #[must_use]
    pub fn reason(self) -> Error {
        self.error
    }
}

/// The offset of a byte; what is too far is refused as such.
fn place(offset: u32, index: usize) -> u32 {
    let index = u32::try_from(index).unwrap_or(u32::MAX);
    // Not the last value, which is no multiple of 4 where the offset is one.
    offset.saturating_add(index).min(u32::MAX - 3)
}

/// So many bytes are copied at a time: whoever else wants the pool, or the hub while a draft is written, waits no longer.
const PIECE: usize = 0x4000;
