//! What both sides of a split ring keep and do alike: how far each has come, and who wants to be kicked.

use core::sync::atomic::Ordering;

use super::{Kick, Quirks};
use crate::error::Error;
use crate::layout::{Aligned, LinkLayout, Ring, VringLayout};
use crate::memory::SharedMemory;
use crate::raw;

/// One side's view of how far both have come.
///
/// The driver writes the available ring and reads the used one, the device the other way round; each side's index only ever
/// counts up. What we published ourselves is remembered here and never read back.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) ring: Ring,
    /// The ring's kick.
    kick: Kick,
    /// The peer's flag by which it asks not to be kicked, or none where it is not believed.
    heeded: u16,
    pub(super) layout: VringLayout,
    /// Where the half ring begins that we write: flags, index, entries.
    ours: Aligned<1>,
    /// And the one that the peer writes.
    theirs: Aligned<1>,
    /// Where either side says at which index it wants to be kicked, if that was agreed on.
    events: Option<Events>,
    /// Whether we want to be kicked.
    wanted: bool,
    /// Neither broken nor with event indices: then there is less to ask each time.
    plain: bool,
    /// The peer's index up to which we have taken.
    pub(super) taken: u16,
    /// The peer's index when last read.
    pub(super) peer: u16,
    /// How far the peer's index can be at most.
    limit: u16,
    /// Our index as published.
    pub(super) published: u16,
    /// The index our next entry has.
    pub(super) next: u16,
    /// What the peer did wrong last, until it is told; kept for ever once the ring is broken.
    refused: Option<Error>,
    broken: bool,
}

#[derive(Clone, Copy, Debug)]
struct Events {
    ours: u32,
    theirs: u32,
}

/// Where a side begins.
pub(super) struct Start {
    pub(super) ours: u32,
    pub(super) theirs: u32,
    pub(super) taken: u16,
    pub(super) limit: u16,
    pub(super) published: u16,
}

impl Side {
    pub(super) fn new(ring: Ring, link: &LinkLayout, quirks: Quirks, start: &Start) -> Self {
        let layout = link.ring(ring);
        // Each stands behind the half ring that its owner writes.
        let ours_is_available = start.ours == layout.available();
        let (ours, theirs) = match ours_is_available {
            true => (layout.used_event(), layout.available_event()),
            false => (layout.available_event(), layout.used_event()),
        };
        Self {
            events: link.event_index.then_some(Events { ours, theirs }),
            wanted: true,
            plain: !link.event_index,
            ring,
            kick: Kick::of(ring),
            heeded: match quirks.kick_always {
                true => 0,
                false => raw::RING_NO_KICK,
            },
            layout,
            ours: Aligned::new(start.ours),
            theirs: Aligned::new(start.theirs),
            taken: start.taken,
            peer: start.taken,
            limit: start.limit,
            published: start.published,
            next: start.published,
            refused: None,
            broken: false,
        }
    }

    /// The capacity check of both roles.
    pub(super) fn fits<const N: usize>(layout: &VringLayout) -> Result<(), Error> {
        let count = layout.count();
        if usize::from(count) <= N {
            return Ok(());
        }
        Err(Error::RingSize {
            count: u32::from(count),
            limit: u32::try_from(N).unwrap_or(u32::MAX),
        })
    }

    /// Whether the peer is known to have given anything that we have not taken.
    #[inline]
    pub(super) fn has_more(&self) -> bool {
        self.peer != self.taken
    }

    /// Whether the peer gave anything that we have not taken; its index is read only once we have taken all we know of. An index
    /// that cannot be breaks the ring.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) fn look<M: SharedMemory>(&mut self, memory: &M) -> bool {
        if self.has_more() {
            return true;
        }
        let index = match self.plain {
            true => self.index(memory),
            false => match self.asked_index(memory) {
                Some(index) => index,
                None => return false,
            },
        };
        if index.wrapping_sub(self.taken) > self.limit.wrapping_sub(self.taken) {
            self.misplaced(index);
            return false;
        }
        self.peer = index;
        self.has_more()
    }

    /// The peer kicks once for what we asked by an index; for the next one we ask again, and look again (L14).
    #[cold]
    fn asked_index<M: SharedMemory>(&mut self, memory: &M) -> Option<u16> {
        if self.broken {
            return None;
        }
        let index = self.index(memory);
        if index != self.taken || !self.wanted {
            return Some(index);
        }
        self.ask(memory);
        Some(self.index(memory))
    }

    /// The peer's index as it stands now.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn index<M: SharedMemory>(&self, memory: &M) -> u16 {
        let at = self.theirs.at().wrapping_add(raw::RING_INDEX);
        memory.invalidate(at, 2);
        memory.load_u16(at, Ordering::Acquire)
    }

    /// Tells the peer whether we want to be kicked: by the flag, or by the index at which.
    pub(super) fn ask<M: SharedMemory>(&mut self, memory: &M) {
        let flag = if self.wanted { 0 } else { raw::RING_NO_KICK };
        let (at, value) = match self.events {
            // The index behind us is the last one that the peer will reach.
            Some(events) => (events.ours, self.taken.wrapping_sub(flag)),
            None => (self.ours.at().wrapping_add(raw::RING_FLAGS), flag),
        };
        memory.store_u16(at, value, Ordering::Relaxed);
        memory.clean(at, 2);
        memory.fence();
    }

    #[cold]
    fn misplaced(&mut self, index: u16) {
        self.breaks(Error::PeerIndex {
            ring: self.ring,
            index,
            last: self.taken,
            outstanding: self.limit.wrapping_sub(self.taken),
        });
    }

    /// Shows the peer every entry written; how many those are.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) fn show<M: SharedMemory>(&mut self, memory: &M) -> u16 {
        let staged = self.next.wrapping_sub(self.published);
        if staged == 0 {
            return 0;
        }
        self.published = self.next;
        self.limit = self.limit.wrapping_add(staged);
        let index = self.ours.at().wrapping_add(raw::RING_INDEX);
        memory.store_u16(index, self.published, Ordering::Release);
        memory.clean(index, 2);
        staged
    }

    /// Our kick, if the peer wants to be kicked for what was shown.
    ///
    /// VirtIO 1.3, 2.7.13.4.1: index first, then the flags, with a full fence between, or both sides may sleep.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) fn kick<M: SharedMemory>(&self, memory: &M, shown: u16) -> Kick {
        if let Some(events) = self.events {
            return self.kick_at_an_index(memory, shown, events);
        }
        let flags = self.theirs.at().wrapping_add(raw::RING_FLAGS);
        memory.invalidate(flags, 2);
        match memory.load_u16(flags, Ordering::Relaxed) & self.heeded {
            0 => self.kick,
            _ => Kick::NONE,
        }
    }

    /// The same where event indices were agreed on.
    #[cold]
    fn kick_at_an_index<M: SharedMemory>(&self, memory: &M, shown: u16, events: Events) -> Kick {
        memory.invalidate(events.theirs, 2);
        let event = memory.load_u16(events.theirs, Ordering::Relaxed);
        // VirtIO 1.3, 2.7.10: whether this batch reached the index asked for.
        let reached = self.published.wrapping_sub(event).wrapping_sub(1) < shown;
        if reached || self.heeded == 0 {
            self.kick
        } else {
            Kick::NONE
        }
    }

    /// Asks the peer to kick us, or not to; whether there is something to take already.
    pub(super) fn wake<M: SharedMemory>(
        &mut self,
        memory: &M,
        wanted: bool,
    ) -> Result<bool, Error> {
        if !self.broken {
            self.wanted = wanted;
            self.ask(memory);
        }
        let found = self.look(memory);
        match self.refusal() {
            Some(error) => Err(error),
            None => Ok(found),
        }
    }

    /// Keeps what the peer did wrong for whoever asks why there is nothing to take.
    #[cold]
    pub(super) fn refuse(&mut self, error: Error) {
        self.refused = Some(error);
    }

    /// From now on every look and every gift fails with this error.
    #[cold]
    pub(super) fn breaks(&mut self, error: Error) {
        self.refused = Some(error);
        self.broken = true;
        self.plain = false;
        // Nothing is left to take without a look, and nothing to show.
        self.peer = self.taken;
        self.next = self.published;
    }

    #[inline]
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// What the peer did wrong, if anything; said once, or again and again where it broke the ring.
    #[inline]
    pub(super) fn refusal(&mut self) -> Option<Error> {
        if self.broken {
            return self.refused;
        }
        self.refused.take()
    }

    /// What is wrong with a buffer that comes back: nobody holds any of a broken ring's.
    #[cold]
    pub(super) fn not_held(&self, id: u16) -> Error {
        self.refused.unwrap_or(Error::NotHeld {
            ring: self.ring,
            id,
        })
    }
}
