//! Who has each buffer of a driver, and which of them are free.

/// The buffers of a ring of at most `N`, as their driver knows them.
#[derive(Debug)]
pub(super) struct Book<const N: usize> {
    /// Who has each buffer: [`STOCK`], [`HELD`], or the peer, since the epoch that stands here.
    owners: [u16; N],
    /// What is given now is shown at the end of this epoch. Buffers of earlier ones, and those alone, are the peer's to return.
    epoch: u16,
    /// Buffers that nobody has; the one put aside last is used first, as it is still in the cache.
    stock: [u16; N],
    stocked: u16,
}

impl<const N: usize> Book<N> {
    /// All of `count` buffers in stock, the lowest on top.
    pub(super) fn new(count: u16) -> Self {
        let mut stock = [0; N];
        for (id, place) in (0..count).rev().zip(stock.iter_mut()) {
            *place = id;
        }
        Self {
            owners: [STOCK; N],
            epoch: 0,
            stock,
            stocked: count,
        }
    }

    #[inline]
    pub(super) fn has_stock(&self) -> bool {
        self.stocked != 0
    }

    /// A buffer from the stock, held from now on.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<u16> {
        let top = self.stocked.checked_sub(1)?;
        let id = *self.stock.get(usize::from(top))?;
        *self.owners.get_mut(usize::from(id))? = HELD;
        self.stocked = top;
        Some(id)
    }

    /// The number of a buffer that is the peer's to return. One question for three rules: the ring has this buffer, it was given,
    /// and what it was given with is shown.
    #[inline]
    pub(super) fn lent(&self, returned: u32) -> Option<u16> {
        let place = usize::try_from(returned).unwrap_or(usize::MAX);
        let owner = self.owners.get(place)?;
        match u16::try_from(returned) {
            Ok(id) if *owner < self.epoch => Some(id),
            _ => None,
        }
    }

    #[inline]
    pub(super) fn hold(&mut self, id: u16) {
        self.set(id, HELD);
    }

    #[inline]
    pub(super) fn is_held(&self, id: u16) -> bool {
        self.owners.get(usize::from(id)) == Some(&HELD)
    }

    /// Back into the stock, if it is held.
    #[inline]
    pub(super) fn keep(&mut self, id: u16) -> bool {
        let owner = self.owners.get_mut(usize::from(id));
        let place = self.stock.get_mut(usize::from(self.stocked));
        match (owner, place) {
            (Some(owner @ &mut HELD), Some(place)) => {
                *owner = STOCK;
                *place = id;
                self.stocked = self.stocked.wrapping_add(1);
                true
            }
            _ => false,
        }
    }

    /// Given to the peer, who knows of it at the end of the epoch.
    #[inline]
    pub(super) fn lend(&mut self, id: u16) {
        self.set(id, self.epoch);
    }

    #[inline]
    fn set(&mut self, id: u16, now: u16) {
        if let Some(owner) = self.owners.get_mut(usize::from(id)) {
            *owner = now;
        }
    }

    /// Everything given is shown.
    #[inline]
    pub(super) fn end_epoch(&mut self) {
        self.epoch = match self.epoch.wrapping_add(1) {
            LAST_EPOCH => self.first_epoch(),
            next => next,
        };
    }

    /// Epochs begin anew: all that is given is shown by now, and keeps its order before the next one.
    #[cold]
    fn first_epoch(&mut self) -> u16 {
        for owner in &mut self.owners {
            if *owner < LAST_EPOCH {
                *owner = 0;
            }
        }
        1
    }

    /// The ring is broken: there is nothing to take and nobody holds anything.
    #[cold]
    pub(super) fn forget(&mut self) {
        self.owners = [STOCK; N];
        self.stocked = 0;
    }
}

/// In our stock.
const STOCK: u16 = 0xffff;
/// In the hands of our caller.
const HELD: u16 = 0xfffe;
/// No owner is this or more but those two.
const LAST_EPOCH: u16 = 0xfffd;
