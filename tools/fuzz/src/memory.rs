//! A window that panics at the first access which is outside of its parts, unaligned, or a store to what is the peer's.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::atomic::Ordering;

use rpmsg::{Coherence, LinkLayout, SharedMemory, VringLayout, Window};

/// Descriptors of each ring.
pub(crate) const COUNT: u16 = 8;
/// Bytes of one buffer.
pub(crate) const BUFFER: u32 = 64;
/// Where the core sees the window.
const BASE: u64 = 0x2120_0000;
/// Parts lie apart, with bytes between them that belong to nobody.
const RINGS: [Parts; 2] = [Parts { at: 0x100 }, Parts { at: 0x400 }];
const BUFFERS: Range<u32> = 0x800..0x800 + 2 * COUNT as u32 * BUFFER;
/// All of it, the last part of which is nobody's.
pub(crate) const SIZE: u32 = 0xd00;

/// One ring's parts.
#[derive(Clone, Copy)]
pub(crate) struct Parts {
    at: u32,
}

impl Parts {
    /// Descriptors and available ring, behind which stands the index that the driver asks for.
    fn drivers(self) -> Range<u32> {
        self.at..self.at + 16 * u32::from(COUNT) + 6 + 2 * u32::from(COUNT)
    }

    fn devices(self) -> Range<u32> {
        let at = self.at + USED;
        at..at + 6 + 8 * u32::from(COUNT)
    }

    fn whole(self) -> Range<u32> {
        self.drivers().start..self.devices().end
    }
}

/// Where the four indices stand, the best words to lie with.
pub(crate) fn indices() -> [u32; 4] {
    let [one, two] = RINGS;
    let available = 16 * u32::from(COUNT) + 2;
    [
        one.at + available,
        one.at + USED + 2,
        two.at + available,
        two.at + USED + 2,
    ]
}

/// The bytes that both sides share.
pub(crate) struct Memory(RefCell<Vec<u8>>);

/// One side's way to them.
pub(crate) struct View<'a> {
    memory: &'a Memory,
    ours: Vec<Range<u32>>,
    readable: Vec<Range<u32>>,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self(RefCell::new(vec![0; SIZE as usize]))
    }

    pub(crate) fn driver(&self) -> View<'_> {
        // Rings whole: the driver writes them empty at attach.
        self.view(RINGS.map(Parts::whole))
    }

    pub(crate) fn device(&self) -> View<'_> {
        self.view(RINGS.map(Parts::devices))
    }

    fn view(&self, rings: [Range<u32>; 2]) -> View<'_> {
        let whole = RINGS.map(Parts::whole);
        View {
            memory: self,
            ours: rings.into_iter().chain([BUFFERS]).collect(),
            readable: whole.into_iter().chain([BUFFERS]).collect(),
        }
    }

    /// A word, whoever may write it.
    pub(crate) fn peek(&self, at: u32) -> [u8; 4] {
        let at = at as usize;
        let bytes = self.0.borrow();
        [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]
    }

    pub(crate) fn poke(&self, at: u32, bytes: &[u8]) {
        let at = at as usize;
        self.0.borrow_mut()[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

/// Both rings and the buffers.
pub(crate) fn layout() -> LinkLayout {
    let judged = || {
        let window = Window::new(BASE, 0x1000)?;
        let [one, two] = RINGS.map(|ring| BASE + u64::from(ring.at));
        let count = u32::from(COUNT);
        let to_driver = VringLayout::new(&window, one, count, ALIGN)?;
        let to_device = VringLayout::new(&window, two, count, ALIGN)?;
        let buffers = BASE + u64::from(BUFFERS.start);
        LinkLayout::new(
            window,
            to_driver,
            to_device,
            buffers,
            BUFFERS.end - BUFFERS.start,
        )
    };
    judged().expect("a layout of our own")
}

impl View<'_> {
    fn check(&self, parts: &[Range<u32>], what: &str, at: u32, len: usize, align: u32) -> usize {
        let end = at as usize + len;
        let inside = parts
            .iter()
            .any(|part| at >= part.start && end <= part.end as usize);
        assert!(
            inside && at.is_multiple_of(align),
            "{what} of {len} bytes at {at:#x}, which is outside, unaligned or not ours"
        );
        at as usize
    }

    fn load<const N: usize>(&self, at: u32) -> [u8; N] {
        let at = self.check(&self.readable, "load", at, N, N as u32);
        let bytes = self.memory.0.borrow();
        std::array::from_fn(|index| bytes[at + index])
    }

    fn store(&self, at: u32, bytes: &[u8], align: u32) {
        let at = self.check(&self.ours, "store", at, bytes.len(), align);
        self.memory.0.borrow_mut()[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

impl Coherence for View<'_> {}

impl SharedMemory for View<'_> {
    fn load_u16(&self, at: u32, _: Ordering) -> u16 {
        u16::from_le_bytes(self.load(at))
    }

    fn load_u32(&self, at: u32, _: Ordering) -> u32 {
        u32::from_le_bytes(self.load(at))
    }

    fn store_u16(&self, at: u32, value: u16, _: Ordering) {
        self.store(at, &value.to_le_bytes(), 2);
    }

    fn store_u32(&self, at: u32, value: u32, _: Ordering) {
        self.store(at, &value.to_le_bytes(), 4);
    }

    fn copy_in(&self, at: u32, from: &[u8]) {
        self.store(at, from, 4);
    }

    fn copy_out(&self, at: u32, into: &mut [u8]) {
        let at = self.check(&self.readable, "load", at, into.len(), 4);
        into.copy_from_slice(&self.memory.0.borrow()[at..at + into.len()]);
    }
}

/// Alignment of the used ring in its ring.
const ALIGN: u32 = 0x100;
const USED: u32 = 0x100;
