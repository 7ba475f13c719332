//! One ring, seen from the driver's side or from the device's.
//!
//! Both sides do the same three things with a ring: take a buffer, give it back, show what was given. For the driver a buffer
//! comes from its own stock or from what was returned and is offered; for the device it is the other way round. The private state
//! of either side is all that decides; the ring in shared memory is only how it is told, which is what kinds of rings differ in.

mod book;
mod device;
mod driver;
mod packed;
mod side;
mod split;
pub(crate) mod wire;

pub use device::DeviceQueue;
pub use driver::DriverQueue;
pub use packed::Packed;
pub use split::Split;

use crate::layout::Ring;

/// One side of a ring: [`DriverQueue`] or [`DeviceQueue`], which are all there are.
pub trait Queue: engine::Engine {}

impl<const N: usize, K: RingKind> Queue for DriverQueue<N, K> {}
impl<const N: usize, K: RingKind> Queue for DeviceQueue<N, K> {}

/// A kind of ring: [`Split`] or [`Packed`], which are all there are.
pub trait RingKind: wire::Wire {}

impl<const EVENTS: bool> RingKind for Split<EVENTS> {}
impl RingKind for Packed {}

/// Which rings' peers want to be told that there is something new.
///
/// Nothing was sent yet: whoever holds this rings the doorbell with the ring's notify id.
#[must_use = "the peer may sleep until its doorbell rings"]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kick(u8);

impl Kick {
    /// Nobody has to be told anything.
    pub const NONE: Self = Self(0);

    /// Whether any doorbell has to be rung.
    pub const fn is_needed(self) -> bool {
        self.0 != 0
    }

    /// Whether this ring's doorbell has to be rung.
    pub const fn wants(self, ring: Ring) -> bool {
        self.0 & Self::of(ring).0 != 0
    }

    /// Both kicks in one.
    #[inline]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This ring's alone.
    #[inline]
    pub(crate) const fn of(ring: Ring) -> Self {
        match ring {
            Ring::ToDriver => Self(1),
            Ring::ToDevice => Self(2),
        }
    }
}

/// Departures of known peers from VirtIO; all off by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quirks {
    /// Kick even where the peer asks not to be: rpmsg-lite's master sets NO_INTERRUPT for ever, and needs interrupts.
    pub kick_always: bool,
    /// Ring 1 starts with every buffer in the used ring, as rpmsg-lite's master prepares it.
    pub used_ring_prefilled: bool,
}

pub(crate) mod engine {
    use super::Kick;
    use crate::error::Error;
    use crate::layout::{Area, Ring};
    use crate::memory::SharedMemory;

    /// A buffer in our hands: in the buffer area, word-aligned, at least a header long.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Slot {
        pub id: u16,
        pub at: u32,
        /// Bytes behind a header.
        pub room: u32,
        /// Bytes the peer says it put there; unchecked.
        pub filled: u32,
    }

    /// Why there is nothing to take.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Nothing {
        /// The peer gave nothing more.
        Left,
        /// What it gave breaks a rule; [`Engine::refusal`] says which.
        Refused,
    }

    /// What both sides of a ring can do.
    pub trait Engine {
        /// Which ring it is.
        fn ring(&self) -> Ring;

        /// A buffer which is ours, if there is one: it is held, passed on or put aside before anything else is asked.
        fn take<M: SharedMemory>(&mut self, memory: &M, area: &Area) -> Result<Slot, Nothing>;

        /// Why nothing is found where the peer gave nothing more, or will never again.
        fn nothing(&self) -> Nothing;

        /// What the peer did wrong, if that is why there is nothing.
        fn refusal(&self, why: Nothing) -> Option<Error>;

        /// Remembers that a buffer just taken is in our caller's hands.
        fn hold(&mut self, id: u16);

        /// Puts a buffer that is held aside, unused, for the next `take`.
        fn keep(&mut self, slot: Slot) -> Result<(), Error>;

        /// Hands a buffer that is held, with `len` bytes, to the peer, at the next `show`.
        fn give<M: SharedMemory>(&mut self, memory: &M, id: u16, len: u32) -> Result<(), Error>;

        /// The same for a buffer that was just taken, of which nobody else has heard: there is nothing to ask.
        fn pass<M: SharedMemory>(&mut self, memory: &M, id: u16, len: u32);

        /// Shows the peer everything given; how many buffers that were.
        fn show<M: SharedMemory>(&mut self, memory: &M) -> u16;

        /// The ring's kick, if the peer wants to be kicked for the `shown` buffers of [`Engine::show`]; after a full fence.
        fn kick<M: SharedMemory>(&self, memory: &M, shown: u16) -> Kick;

        /// Whether it is broken, which it stays.
        fn is_broken(&self) -> bool;

        /// Asks the peer to kick us from now on, or not to; not on a broken ring.
        fn wish<M: SharedMemory>(&mut self, memory: &M, wanted: bool);

        /// Whether there is something to take; never on a broken ring.
        fn is_ready<M: SharedMemory>(&mut self, memory: &M) -> bool;
    }
}
