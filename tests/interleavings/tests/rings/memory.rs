//! A window of loom's atomics, in which a load may see any store that the memory model lets it see.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock};

use loom::sync::atomic::{AtomicU16, AtomicU32, fence};
use rpmsg::{Coherence, LinkLayout, SharedMemory, VringLayout, Window};

/// The window, for either side; clones are the same.
#[derive(Clone)]
pub(crate) struct Memory(Arc<Inner>);

struct Inner {
    shape: Shape,
    plant: Plant,
    /// What stands there while only one thread knows of it, which is not explored.
    private: Mutex<Vec<u8>>,
    shared: OnceLock<Vec<Word>>,
}

/// What both rings are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) packed: bool,
    pub(crate) descriptors: u32,
}

/// What is taken out, to see that it is missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plant {
    Nothing,
    /// Fences do nothing.
    NoFences,
    /// Every access is relaxed.
    NoOrder,
}

enum Word {
    Whole(AtomicU32),
    Halves([AtomicU16; 2]),
}

impl Memory {
    pub(crate) fn new(shape: Shape, plant: Plant) -> Self {
        let size = usize::try_from(shape.buffers() + shape.buffers_size()).unwrap();
        Self(Arc::new(Inner {
            shape,
            plant,
            private: Mutex::new(vec![0; size]),
            shared: OnceLock::new(),
        }))
    }

    pub(crate) fn layout(&self) -> LinkLayout {
        let shape = self.0.shape;
        let window = Window::new(0, 0x1000).unwrap();
        let ring = |at: u32| match shape.packed {
            true => VringLayout::packed(&window, at.into(), shape.descriptors),
            false => VringLayout::new(&window, at.into(), shape.descriptors, 4),
        };
        let [to_driver, to_device] = [0, shape.ring_size()].map(|at| ring(at).unwrap());
        let buffers = shape.buffers().into();
        LinkLayout::new(window, to_driver, to_device, buffers, shape.buffers_size()).unwrap()
    }

    /// From now on two threads know of it.
    pub(crate) fn share(&self) {
        let private = self.0.private.lock().unwrap();
        let (words, []) = private.as_chunks::<4>() else {
            panic!("a window of words");
        };
        let words = words.iter().zip(0..).map(|(bytes, index)| {
            if self.0.shape.is_halves(4 * index) {
                let [a, b, c, d] = *bytes;
                Word::Halves([[a, b], [c, d]].map(|half| AtomicU16::new(u16::from_le_bytes(half))))
            } else {
                Word::Whole(AtomicU32::new(u32::from_le_bytes(*bytes)))
            }
        });
        assert!(self.0.shared.set(words.collect()).is_ok(), "shared once");
    }

    fn order(&self, order: Ordering) -> Ordering {
        match self.0.plant {
            Plant::NoOrder => Ordering::Relaxed,
            Plant::Nothing | Plant::NoFences => order,
        }
    }

    fn word(&self, at: u32) -> Option<&Word> {
        let words = self.0.shared.get()?;
        Some(&words[usize::try_from(at / 4).unwrap()])
    }

    fn half(&self, at: u32) -> Option<&AtomicU16> {
        match self.word(at)? {
            Word::Halves([low, high]) => Some(if at.is_multiple_of(4) { low } else { high }),
            Word::Whole(_) => panic!("half of a word at {at:#x}"),
        }
    }

    fn whole(&self, at: u32) -> Option<&AtomicU32> {
        match self.word(at)? {
            Word::Whole(word) => Some(word),
            Word::Halves(_) => panic!("two halves at once at {at:#x}"),
        }
    }

    fn peek<const N: usize>(&self, at: u32) -> [u8; N] {
        let at = usize::try_from(at).unwrap();
        self.0.private.lock().unwrap()[at..at + N]
            .try_into()
            .unwrap()
    }

    fn poke(&self, at: u32, bytes: &[u8]) {
        let at = usize::try_from(at).unwrap();
        self.0.private.lock().unwrap()[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

impl Coherence for Memory {
    fn fence(&self) {
        if self.0.plant != Plant::NoFences && self.0.shared.get().is_some() {
            fence(Ordering::SeqCst);
        }
    }
}

impl SharedMemory for Memory {
    fn load_u16(&self, at: u32, order: Ordering) -> u16 {
        match self.half(at) {
            Some(half) => half.load(self.order(order)),
            None => u16::from_le_bytes(self.peek(at)),
        }
    }

    fn load_u32(&self, at: u32, order: Ordering) -> u32 {
        match self.whole(at) {
            Some(word) => word.load(self.order(order)),
            None => u32::from_le_bytes(self.peek(at)),
        }
    }

    fn store_u16(&self, at: u32, value: u16, order: Ordering) {
        match self.half(at) {
            Some(half) => half.store(value, self.order(order)),
            None => self.poke(at, &value.to_le_bytes()),
        }
    }

    fn store_u32(&self, at: u32, value: u32, order: Ordering) {
        match self.whole(at) {
            Some(word) => word.store(value, self.order(order)),
            None => self.poke(at, &value.to_le_bytes()),
        }
    }

    fn copy_in(&self, at: u32, from: &[u8]) {
        let (words, []) = from.as_chunks::<4>() else {
            panic!("payloads here are words");
        };
        for (word, at) in words.iter().zip((at..).step_by(4)) {
            self.store_u32(at, u32::from_le_bytes(*word), Ordering::Relaxed);
        }
    }

    fn copy_out(&self, at: u32, into: &mut [u8]) {
        let (words, []) = into.as_chunks_mut::<4>() else {
            panic!("payloads here are words");
        };
        for (word, at) in words.iter_mut().zip((at..).step_by(4)) {
            *word = self.load_u32(at, Ordering::Relaxed).to_le_bytes();
        }
    }
}

impl Shape {
    /// Whether a word is two half-words: flags, indices, and the available ring's entries. In packed rings there are none.
    fn is_halves(self, at: u32) -> bool {
        if self.packed || at >= self.buffers() {
            return false;
        }
        let at = at % self.ring_size();
        let entries = self.used() + 4..self.used() + 4 + 8 * self.descriptors;
        at >= 16 * self.descriptors && !entries.contains(&at)
    }

    /// Where the used ring begins: behind descriptors, and flags, index, entries and event of the available ring.
    fn used(self) -> u32 {
        (18 * self.descriptors + 6).next_multiple_of(4)
    }

    fn ring_size(self) -> u32 {
        let size = match self.packed {
            true => 16 * self.descriptors + 8,
            false => self.used() + 6 + 8 * self.descriptors,
        };
        size.next_multiple_of(16)
    }

    fn buffers(self) -> u32 {
        2 * self.ring_size()
    }

    fn buffers_size(self) -> u32 {
        2 * self.descriptors * BUFFER
    }
}

/// A header and one word.
pub(crate) const BUFFER: u32 = 20;
