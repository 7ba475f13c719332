//! Payloads beyond a buffer, over an endpoint of a hub: lent in slots of the shared window, and given back.
//!
//! A [`Pool`] is one side of both directions (rpmsg-pool.md). To send, [`Pool::reserve`] a slot, write the payload where it will be
//! read, and [`Draft::lend`] it. To receive, [`Pool::recv`] a [`Loan`], read from it what is needed, and [`Loan::release`] it. Nothing is
//! copied on the way but into the slot and out of it. While all slots are with the peer a sender waits, as long as its limit allows; a
//! receiver holds its loans as long as it likes. A draft or loan that is dropped goes back by itself, and none outlives its pool:
//!
//! ```compile_fail,E0382
//! fn twice(loan: corewarden::pool::Loan<'_>) -> Result<(), corewarden::Error> {
//!     loan.release()?;
//!     loan.release()
//! }
//! ```
//! ```compile_fail,E0382
//! fn late(loan: corewarden::pool::Loan<'_>) -> Result<Vec<u8>, corewarden::Error> {
//!     loan.release()?;
//!     loan.to_vec()
//! }
//! ```
//! ```compile_fail,E0502
//! fn older(pool: &mut corewarden::pool::Pool, limit: corewarden::Limit<'_>) -> Result<Vec<u8>, corewarden::Error> {
//!     let loan = pool.recv(limit)?;
//!     pool.reopen(limit)?;
//!     loan.to_vec()
//! }
//! ```
//!
//! What the peer says wrongly is counted among the hub's lies and changes nothing; a loan that is refused goes back at once. Only
//! where the order of loans was broken (P7) is the pool over, until the link begins anew. When the peer restarts, every call fails
//! with [`Error::PeerRestarted`], what was lent or borrowed is over, and [`Pool::reopen`] has all slots again.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//!
//! use corewarden::doorbell::EventCounters;
//! use corewarden::hub::{Hub, Options};
//! use corewarden::place::{Geometry, Place};
//! use corewarden::pool::{Pool, Refused};
//! use corewarden::shared_memory::Window;
//! use corewarden::Limit;
//!
//! // Four slots of 1 MiB each way, beside the buffers of 512 bytes.
//! let geometry = Geometry { slots: 4, slot_size: 1 << 20, ..Geometry::default() };
//! let (window, fd) = Window::memfd(geometry.window_size())?;
//! let other = Window::map(&fd, 0, geometry.window_size())?;
//! let (near, far) = EventCounters::pair()?;
//! let soon = || Limit::after(Duration::from_secs(20));
//!
//! let device = std::thread::spawn(move || {
//!     let place = Place::between_processes(&geometry, &other)?;
//!     let hub = Hub::device(place, other, far, Options::default())?;
//!     let pool = Pool::new(hub.serve("pictures", soon())?)?;
//!     let picture = pool.recv(soon())?;
//!     let mut corner = [0; 4];
//!     picture.read(500_000, &mut corner)?;
//!     picture.release()?;
//!     pool.send(&corner, soon())?;
//!     pool.settle(soon())
//! });
//!
//! let place = move |window: &Window| Place::between_processes(&geometry, window);
//! let hub = Hub::driver(place, window, near, Options::default())?;
//! let pool = Pool::new(hub.connect("pictures", soon())?)?;
//! let mut picture = pool.reserve(soon())?;
//! for row in 0..1000 {
//!     picture.write(row * 1000, &[(row % 251) as u8; 1000])?;
//! }
//! picture.lend(1_000_000, soon()).map_err(Refused::reason)?;
//! assert_eq!(pool.recv(soon())?.to_vec()?, [(500 % 251) as u8; 4]);
//! device.join().unwrap()?;
//! # Ok::<(), corewarden::Error>(())
//! ```

mod handle;
mod state;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use self::handle::{Draft, Loan, Refused};
use self::state::State;
use crate::error::{Error, Waiting};
use crate::hub::{Endpoint, Hub, Post};
use crate::limit::Limit;

/// The pools of a link, over one endpoint of it; any number of threads may use them at once.
///
/// They live as long as the link (P10): taken into use once, they are taken until it begins anew, even if this is dropped.
pub struct Pool {
    endpoint: Endpoint,
    state: Mutex<State>,
}

impl Pool {
    /// Takes the pools of the endpoint's link into use. Everything that comes for the endpoint is a notice from now on.
    ///
    /// # Errors
    /// [`Error::NoPool`] where the link's place has none, [`Error::PoolTaken`] where they are taken, [`Error::PoolQueue`] where
    /// the hub's queues are too short to hold all notices that an honest peer may send, and where the endpoint's link is gone as
    /// [`Endpoint::recv`].
    pub fn new(endpoint: Endpoint) -> Result<Self, Error> {
        let state = Mutex::new(State::new(endpoint.take_pools()?)?);
        Ok(Pool { endpoint, state })
    }

    /// The hub that the endpoint belongs to.
    #[must_use]
    pub fn hub(&self) -> &Hub {
        self.endpoint.hub()
    }

    /// Bytes of the largest payload that can be sent.
    #[must_use]
    pub fn room(&self) -> u32 {
        self.state().room()
    }

    /// Slots of ours that the peer has.
    #[must_use]
    pub fn lent(&self) -> usize {
        self.state().lender.lent()
    }

    /// Slots of the peer's that we have.
    #[must_use]
    pub fn held(&self) -> usize {
        self.state().borrower.held()
    }

    /// A slot to write a payload into, once one is free.
    ///
    /// # Errors
    /// [`Error::TimeLimit`] where the peer gives none back, [`Error::Pool`] or [`Error::MessagesLost`] where the pool is over (P7),
    /// and where the link is gone as [`Endpoint::recv`].
    pub fn reserve(&self, limit: Limit<'_>) -> Result<Draft<'_>, Error> {
        let slot = self.attend(limit, Waiting::Slot, |state, post| {
            state.take_in(post)?;
            state.reserve()
        })?;
        Ok(Draft::new(self, slot))
    }

    /// A slot to write a payload into, if one is free.
    ///
    /// # Errors
    /// As [`Pool::reserve`], without its time limit.
    pub fn try_reserve(&self) -> Result<Option<Draft<'_>>, Error> {
        let slot = self.look(|state, post| {
            post.pump()?;
            state.take_in(post)?;
            state.reserve()
        })?;
        Ok(slot.map(|slot| Draft::new(self, slot)))
    }

    /// Copies a payload into a slot and lends it: at most [`Pool::room`] bytes, and at least one.
    ///
    /// # Errors
    /// As [`Pool::reserve`] and [`Draft::lend`].
    pub fn send(&self, payload: &[u8], limit: Limit<'_>) -> Result<(), Error> {
        let mut draft = self.reserve(limit)?;
        draft.write(0, payload)?;
        // What fits a slot has a length of 32 bits.
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        draft.lend(length, limit).map_err(Refused::reason)
    }

    /// Waits for the next payload of the peer's.
    ///
    /// # Errors
    /// As [`Pool::reserve`].
    pub fn recv(&self, limit: Limit<'_>) -> Result<Loan<'_>, Error> {
        let loan = self.attend(limit, Waiting::Loan, |state, post| {
            state.take_in(post)?;
            Ok(state.loans.pop_front())
        })?;
        Ok(Loan::new(self, loan))
    }

    /// The next payload of the peer's, if it is there.
    ///
    /// # Errors
    /// As [`Pool::recv`], without its time limit.
    pub fn try_recv(&self) -> Result<Option<Loan<'_>>, Error> {
        let loan = self.look(|state, post| {
            post.pump()?;
            state.take_in(post)?;
            Ok(state.loans.pop_front())
        })?;
        Ok(loan.map(|loan| Loan::new(self, loan)))
    }

    /// Waits until the peer has been told of everything that was given back, and has given back everything that was lent: what it
    /// holds when this side ends is lost to it.
    ///
    /// # Errors
    /// As [`Pool::reserve`].
    pub fn settle(&self, limit: Limit<'_>) -> Result<(), Error> {
        self.attend(limit, Waiting::SendBuffer, |state, post| {
            post.alive()?;
            Ok(state.tell(post)?.then_some(()))
        })?;
        self.attend(limit, Waiting::Slot, |state, post| {
            state.take_in(post)?;
            Ok((state.lender.lent() == 0).then_some(()))
        })
    }

    /// The same pools on the link that there is now, every slot free: what was lent before is over, and what was not taken is
    /// gone.
    ///
    /// # Errors
    /// As [`Endpoint::reopen`] and [`Pool::new`].
    pub fn reopen(&mut self, limit: Limit<'_>) -> Result<(), Error> {
        self.endpoint.reopen(limit)?;
        let state = State::new(self.endpoint.take_pools()?)?;
        self.state = Mutex::new(state);
        Ok(())
    }

    fn attend<T>(
        &self,
        limit: Limit<'_>,
        waiting: Waiting,
        mut look: impl FnMut(&mut State, &mut Post<'_>) -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        // The state is locked behind the hub, never the other way round.
        let look = |post: &mut Post<'_>| look(&mut self.state(), post);
        self.endpoint.attend(limit, waiting, look)
    }

    fn look<T>(
        &self,
        look: impl FnOnce(&mut State, &mut Post<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.endpoint.look(|post| look(&mut self.state(), post))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here can panic half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
