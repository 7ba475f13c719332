//! The memory both sides see, and nothing else about the machine.
//!
//! Two actors: [`SharedMemory`] is the words and bytes of one window, addressed by offset; [`Coherence`] is the path between this
//! processor and that memory, which needs work only where caches are not kept coherent by hardware.

use core::array;
use core::sync::atomic::{self, Ordering};

/// The bytes of a shared window, addressed by their offset from its start.
///
/// The engine only uses offsets inside the [`Window`](crate::Window) it was given, aligned to the width of the access; it never
/// relies on a value staying the same between two loads. Implementations make each access exactly once, undivided, and by means
/// that the compiler may not repeat (volatile or atomic): a value that was judged must be the one that is used.
pub trait SharedMemory: Coherence {
    /// Loads the 16 bits at `at` (a multiple of 2); `order` is `Relaxed` or `Acquire`.
    fn load_u16(&self, at: u32, order: Ordering) -> u16;

    /// Loads the 32 bits at `at` (a multiple of 4); `order` is `Relaxed` or `Acquire`.
    fn load_u32(&self, at: u32, order: Ordering) -> u32;

    /// Stores 16 bits at `at` (a multiple of 2); `order` is `Relaxed` or `Release`.
    fn store_u16(&self, at: u32, value: u16, order: Ordering);

    /// Stores 32 bits at `at` (a multiple of 4); `order` is `Relaxed` or `Release`.
    fn store_u32(&self, at: u32, value: u32, order: Ordering);

    /// Loads `N` words from `at` (a multiple of 4) on, each once, `Relaxed`, in any order.
    #[inline]
    fn load_words<const N: usize>(&self, at: u32) -> [u32; N] {
        array::from_fn(|index| self.load_u32(word(at, index), Ordering::Relaxed))
    }

    /// Stores `N` words from `at` (a multiple of 4) on, each once, `Relaxed`, in any order.
    #[inline]
    fn store_words<const N: usize>(&self, at: u32, words: [u32; N]) {
        for (index, value) in words.into_iter().enumerate() {
            self.store_u32(word(at, index), value, Ordering::Relaxed);
        }
    }

    /// Copies `from` to `at` (a multiple of 4), by aligned accesses only and never outside the range.
    fn copy_in(&self, at: u32, from: &[u8]);

    /// Stores four words at `at` (a multiple of 4) and copies `payload` behind them, as the two calls for it would.
    #[inline]
    fn store_message(&self, at: u32, header: [u32; 4], payload: &[u8]) {
        self.store_words(at, header);
        self.copy_in(word(at, 4), payload);
    }

    /// Fills `into` from `at` (a multiple of 4), by aligned accesses only and never outside the range.
    fn copy_out(&self, at: u32, into: &mut [u8]);
}

/// What it takes that the peer sees our stores and we see the peer's; the defaults fit coherent normal memory.
pub trait Coherence {
    /// A full fence: every access before it happens before every access after it, for the peer as well.
    fn fence(&self) {
        atomic::fence(Ordering::SeqCst);
    }

    /// Writes our cached lines of `len` bytes from `at` back to where the peer reads.
    fn clean(&self, _at: u32, _len: u32) {}

    /// Drops our cached lines of `len` bytes from `at`, so that the next load sees what the peer wrote.
    fn invalidate(&self, _at: u32, _len: u32) {}
}

/// Where word `index` behind `at` is.
#[inline]
fn word(at: u32, index: usize) -> u32 {
    at.wrapping_add(u32::try_from(index).unwrap_or(u32::MAX).wrapping_mul(4))
}

impl<M: SharedMemory> SharedMemory for &M {
    #[inline]
    fn load_u16(&self, at: u32, order: Ordering) -> u16 {
        (**self).load_u16(at, order)
    }

    #[inline]
    fn load_u32(&self, at: u32, order: Ordering) -> u32 {
        (**self).load_u32(at, order)
    }

    #[inline]
    fn store_u16(&self, at: u32, value: u16, order: Ordering) {
        (**self).store_u16(at, value, order);
    }

    #[inline]
    fn store_u32(&self, at: u32, value: u32, order: Ordering) {
        (**self).store_u32(at, value, order);
    }

    #[inline]
    fn load_words<const N: usize>(&self, at: u32) -> [u32; N] {
        (**self).load_words(at)
    }

    #[inline]
    fn store_words<const N: usize>(&self, at: u32, words: [u32; N]) {
        (**self).store_words(at, words);
    }

    #[inline]
    fn copy_in(&self, at: u32, from: &[u8]) {
        (**self).copy_in(at, from);
    }

    #[inline]
    fn store_message(&self, at: u32, header: [u32; 4], payload: &[u8]) {
        (**self).store_message(at, header, payload);
    }

    #[inline]
    fn copy_out(&self, at: u32, into: &mut [u8]) {
        (**self).copy_out(at, into);
    }
}

impl<M: Coherence + ?Sized> Coherence for &M {
    #[inline]
    fn fence(&self) {
        (**self).fence();
    }

    #[inline]
    fn clean(&self, at: u32, len: u32) {
        (**self).clean(at, len);
    }

    #[inline]
    fn invalidate(&self, at: u32, len: u32) {
        (**self).invalidate(at, len);
    }
}
