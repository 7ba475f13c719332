//! A window that panics at the first access which is outside of its parts, unaligned, or a store to what is the peer's.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::atomic::Ordering;

use rpmsg::{Coherence, LinkLayout, Ring, SharedMemory, VringLayout, Window};

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

/// What the rings are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Split,
    Packed,
}

impl Parts {
    /// Descriptors and what the driver asks for, behind the available ring if there is one.
    fn drivers(self, kind: Kind) -> Vec<Range<u32>> {
        let descriptors = 16 * u32::from(COUNT);
        let behind = match kind {
            Kind::Split => 6 + 2 * u32::from(COUNT),
            Kind::Packed => 4,
        };
        Vec::from([(); 1].map(|()| self.at..self.at + descriptors + behind))
    }

    /// The used ring; or descriptors, and what the device asks for.
    fn devices(self, kind: Kind) -> Vec<Range<u32>> {
        let end = self.at + 16 * u32::from(COUNT);
        let used = self.at + USED;
        match kind {
            Kind::Split => Vec::from([(); 1].map(|()| used..used + 6 + 8 * u32::from(COUNT))),
            Kind::Packed => vec![self.at..end, end + 4..end + 8],
        }
    }

    /// All of it: the driver writes it empty at attach.
    fn whole(self, kind: Kind) -> Range<u32> {
        let ends = self.devices(kind).into_iter().map(|part| part.end);
        self.at..ends.max().unwrap_or_default()
    }
}

/// Where the words stand that are best to lie with: four indices, or number and marks of the first descriptors.
pub(crate) fn indices(kind: Kind) -> [u32; 4] {
    let [one, two] = RINGS;
    let available = 16 * u32::from(COUNT) + 2;
    match kind {
        Kind::Split => [
            one.at + available,
            one.at + USED + 2,
            two.at + available,
            two.at + USED + 2,
        ],
        Kind::Packed => [one.at + 12, one.at + 14, two.at + 12, two.at + 14],
    }
}

/// The bytes that both sides share.
pub(crate) struct Memory {
    bytes: RefCell<Vec<u8>>,
    pub(crate) kind: Kind,
    event_index: bool,
}

/// One side's way to them.
pub(crate) struct View<'a> {
    memory: &'a Memory,
    ours: Vec<Range<u32>>,
    readable: Vec<Range<u32>>,
}

impl Memory {
    /// For rings on which kicks are asked for by flags, and for others by event indices.
    pub(crate) fn both(kind: Kind) -> [Self; 2] {
        [false, true].map(|event_index| Self {
            bytes: RefCell::new(vec![0; SIZE as usize]),
            kind,
            event_index,
        })
    }

    pub(crate) fn driver(&self) -> View<'_> {
        self.view(RINGS.map(|ring| vec![ring.whole(self.kind)]).concat())
    }

    pub(crate) fn device(&self) -> View<'_> {
        self.view(RINGS.map(|ring| ring.devices(self.kind)).concat())
    }

    /// One side of a symmetric link, which sends in this ring.
    pub(crate) fn symmetric(&self, sending: Ring) -> View<'_> {
        let [to_driver, to_device] = RINGS;
        let (sends, receives) = match sending {
            Ring::ToDevice => (to_device, to_driver),
            Ring::ToDriver => (to_driver, to_device),
        };
        let mut ours = receives.devices(self.kind);
        ours.push(sends.whole(self.kind));
        self.view(ours)
    }

    fn view(&self, mut ours: Vec<Range<u32>>) -> View<'_> {
        ours.push(BUFFERS);
        let parts = |ring: Parts| [ring.drivers(self.kind), ring.devices(self.kind)].concat();
        let mut readable = RINGS.map(parts).concat();
        readable.push(BUFFERS);
        View {
            memory: self,
            ours,
            readable,
        }
    }

    /// Both rings and the buffers.
    pub(crate) fn layout(&self) -> LinkLayout {
        let judged = || {
            let window = Window::new(BASE, 0x1000)?;
            let ring = |parts: Parts| {
                let (at, count) = (BASE + u64::from(parts.at), u32::from(COUNT));
                match self.kind {
                    Kind::Split => VringLayout::new(&window, at, count, ALIGN),
                    Kind::Packed => VringLayout::packed(&window, at, count),
                }
            };
            let [to_driver, to_device] = RINGS.map(ring);
            let buffers = BASE + u64::from(BUFFERS.start);
            let size = BUFFERS.end - BUFFERS.start;
            LinkLayout::new(window, to_driver?, to_device?, buffers, size)
        };
        let layout = judged().expect("a layout of our own");
        match self.event_index {
            true => layout.with_event_index(),
            false => layout,
        }
    }

    /// A word, whoever may write it.
    pub(crate) fn peek(&self, at: u32) -> [u8; 4] {
        let at = at as usize;
        let bytes = self.bytes.borrow();
        [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]
    }

    pub(crate) fn poke(&self, at: u32, bytes: &[u8]) {
        let at = at as usize;
        self.bytes.borrow_mut()[at..at + bytes.len()].copy_from_slice(bytes);
    }
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
        let bytes = self.memory.bytes.borrow();
        std::array::from_fn(|index| bytes[at + index])
    }

    fn store(&self, at: u32, bytes: &[u8], align: u32) {
        let at = self.check(&self.ours, "store", at, bytes.len(), align);
        self.memory.bytes.borrow_mut()[at..at + bytes.len()].copy_from_slice(bytes);
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
        into.copy_from_slice(&self.memory.bytes.borrow()[at..at + into.len()]);
    }
}

/// Alignment of the used ring in its ring.
const ALIGN: u32 = 0x100;
const USED: u32 = 0x100;
