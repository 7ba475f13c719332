//! What one side knows of its pools, and what it does with a notice.

use std::collections::VecDeque;

use rpmsg_pool::{Borrower, Lender, Notice, Slot};

use crate::error::Error;
use crate::hub::{LinkPools, Message, Post};
use crate::shared_memory::Window;

pub(super) struct State {
    pub(super) lender: Lender<Window, SLOTS>,
    pub(super) borrower: Borrower<Window, SLOTS>,
    /// What was lent to us and not yet asked for.
    pub(super) loans: VecDeque<Borrowed>,
    /// Notices that wait for a buffer, and for whom they are.
    returns: VecDeque<(u32, [u8; 12])>,
    /// How many of these may wait before the peer is listened to no more.
    patience: usize,
    room: u32,
    /// Why there is no going on.
    over: Option<Error>,
}

/// A loan, and who lent it.
pub(super) struct Borrowed {
    pub(super) from: u32,
    pub(super) loan: rpmsg_pool::Loan,
}

impl State {
    pub(super) fn new(pools: LinkPools) -> Result<Self, Error> {
        let LinkPools {
            memory,
            generation,
            outgoing,
            incoming,
        } = pools;
        Ok(State {
            lender: Lender::new(memory.clone(), outgoing, generation).map_err(Error::Pool)?,
            borrower: Borrower::new(memory, incoming, generation).map_err(Error::Pool)?,
            loans: VecDeque::new(),
            returns: VecDeque::new(),
            patience: incoming.count().into(),
            room: outgoing.size(),
            over: None,
        })
    }

    pub(super) fn room(&self) -> u32 {
        self.room
    }

    /// A free slot, if there is one.
    pub(super) fn reserve(&mut self) -> Result<Option<Slot>, Error> {
        match self.lender.reserve() {
            Ok(slot) => Ok(Some(slot)),
            Err(rpmsg_pool::Error::NoSlot { .. }) => Ok(None),
            Err(error) => Err(Error::Pool(error)),
        }
    }

    /// Takes in the notices that have come. A peer that lends wrongly and listens to no answer is heard no more until it does.
    pub(super) fn take_in(&mut self, post: &mut Post<'_>) -> Result<(), Error> {
        loop {
            self.tell(post)?;
            if let Some(over) = self.over {
                return Err(over);
            }
            if self.returns.len() >= self.patience {
                return Ok(());
            }
            match post.take() {
                Ok(Some(message)) => {
                    if let Err(error) = self.judge(&message) {
                        post.note(error);
                    }
                }
                Ok(None) => return Ok(()),
                // Some of the lost ones may have been loans.
                Err(error @ Error::MessagesLost { .. }) => self.over = Some(error),
                Err(error) => return Err(error),
            }
        }
    }

    /// Tells the peer what was given back, as far as there are buffers; whether nothing waits any more.
    pub(super) fn tell(&mut self, post: &mut Post<'_>) -> Result<bool, Error> {
        while let Some((to, notice)) = self.returns.front() {
            if !post.put(Some(*to), notice)? {
                return Ok(false);
            }
            self.returns.pop_front();
        }
        Ok(true)
    }

    pub(super) fn give_back(&mut self, borrowed: Borrowed) {
        let Borrowed { from, loan } = borrowed;
        // It is of this pool and held, or there were no handle.
        if let Ok(returned) = self.borrower.give_back(loan) {
            let notice = Notice::from(returned).to_bytes();
            self.returns.push_back((from, notice));
        }
    }

    fn judge(&mut self, message: &Message) -> Result<(), rpmsg_pool::Error> {
        match Notice::parse(&message.payload)? {
            Notice::Returned(returned) => self.lender.take_back(returned),
            Notice::Lent(lent) => {
                let from = message.source;
                match self.borrower.take(lent) {
                    Ok(loan) => self.loans.push_back(Borrowed { from, loan }),
                    Err(error @ rpmsg_pool::Error::Sequence { .. }) => {
                        self.over = Some(Error::Pool(error));
                        return Err(error);
                    }
                    Err(error) => {
                        let notice = Notice::from(lent.refused()).to_bytes();
                        self.returns.push_back((from, notice));
                        return Err(error);
                    }
                }
                Ok(())
            }
        }
    }
}

/// The most slots that a pool can have (P1).
const SLOTS: usize = 256;
