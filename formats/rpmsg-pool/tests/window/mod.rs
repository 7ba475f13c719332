//! A window which ends the test at the first access that is not allowed.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::sync::atomic::Ordering;

use rpmsg::{Coherence, SharedMemory, Window};

/// Where the core sees it.
pub(crate) const BASE: u64 = 0x2120_0000;
pub(crate) const SIZE: u32 = 0x8_0000;

pub(crate) fn window() -> Window {
    Window::new(BASE, SIZE).expect("a window")
}

/// The memory, and the part of it that may be touched.
pub(crate) struct Shared {
    bytes: RefCell<Vec<u8>>,
    allowed: Cell<(u32, u32)>,
}

impl Shared {
    pub(crate) fn new() -> Self {
        Self {
            bytes: RefCell::new(vec![0; SIZE as usize]),
            allowed: Cell::new((0, 0)),
        }
    }

    pub(crate) fn allow(&self, range: Range<u32>) {
        self.allowed.set((range.start, range.end));
    }

    /// What lies there, for the test itself.
    pub(crate) fn bytes(&self, range: Range<u32>) -> Vec<u8> {
        self.bytes.borrow()[range.start as usize..range.end as usize].to_vec()
    }

    fn range(&self, at: u32, len: usize, align: u32) -> Range<usize> {
        let (start, end) = self.allowed.get();
        let last = u64::from(at) + len as u64;
        assert!(
            at.is_multiple_of(align) && at >= start && last <= u64::from(end),
            "{len} bytes at {at:#x}, {start:#x} to {end:#x} are allowed"
        );
        at as usize..at as usize + len
    }
}

impl Coherence for Shared {
    fn clean(&self, at: u32, len: u32) {
        self.range(at, len as usize, 1);
    }

    fn invalidate(&self, at: u32, len: u32) {
        self.range(at, len as usize, 1);
    }
}

impl SharedMemory for Shared {
    fn load_u16(&self, at: u32, _: Ordering) -> u16 {
        let range = self.range(at, 2, 2);
        u16::from_le_bytes(self.bytes.borrow()[range].try_into().expect("2 bytes"))
    }

    fn load_u32(&self, at: u32, _: Ordering) -> u32 {
        let range = self.range(at, 4, 4);
        u32::from_le_bytes(self.bytes.borrow()[range].try_into().expect("4 bytes"))
    }

    fn store_u16(&self, at: u32, value: u16, _: Ordering) {
        let range = self.range(at, 2, 2);
        self.bytes.borrow_mut()[range].copy_from_slice(&value.to_le_bytes());
    }

    fn store_u32(&self, at: u32, value: u32, _: Ordering) {
        let range = self.range(at, 4, 4);
        self.bytes.borrow_mut()[range].copy_from_slice(&value.to_le_bytes());
    }

    fn copy_in(&self, at: u32, from: &[u8]) {
        let range = self.range(at, from.len(), 4);
        self.bytes.borrow_mut()[range].copy_from_slice(from);
    }

    fn copy_out(&self, at: u32, into: &mut [u8]) {
        let range = self.range(at, into.len(), 4);
        into.copy_from_slice(&self.bytes.borrow()[range]);
    }
}
