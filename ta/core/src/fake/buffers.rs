//! Client buffers: plain ones, ones that count reads, and ones that lie.

use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;

use crate::actors::{self, OutOfBounds};

/// An input buffer in normal-world memory.
#[derive(Clone)]
pub struct Source {
    length: u64,
    answer: Rc<Answer>,
}

/// Fills the buffer given with the bytes at an offset; called once per read.
type Answer = dyn Fn(u64, &mut [u8]);

/// How often each byte of a counting buffer was read.
#[derive(Clone, Debug)]
pub struct Reads(Rc<RefCell<Vec<u32>>>);

impl Source {
    /// A buffer that keeps its bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let length = bytes.len() as u64;
        Self::answering(length, move |at, into| {
            into.copy_from_slice(part(&bytes, at, into.len()))
        })
    }

    /// A buffer that keeps its bytes and counts how often each was read.
    pub fn counting(bytes: impl Into<Vec<u8>>) -> (Self, Reads) {
        let bytes = bytes.into();
        let counts = Rc::new(RefCell::new(vec![0; bytes.len()]));
        let reads = Reads(Rc::clone(&counts));
        let source = Self::answering(bytes.len() as u64, move |at, into| {
            into.copy_from_slice(part(&bytes, at, into.len()));
            for count in counts
                .borrow_mut()
                .iter_mut()
                .skip(at as usize)
                .take(into.len())
            {
                *count += 1;
            }
        });
        (source, reads)
    }

    /// A buffer whose bytes are whatever `answer` says at each read.
    pub fn answering(length: u64, answer: impl Fn(u64, &mut [u8]) + 'static) -> Self {
        Self {
            length,
            answer: Rc::new(answer),
        }
    }
}

impl actors::Source for Source {
    fn length(&self) -> u64 {
        self.length
    }

    fn read(&self, at: u64, into: &mut [u8]) -> Result<(), OutOfBounds> {
        let end = at.checked_add(into.len() as u64).ok_or(OutOfBounds)?;
        if end > self.length {
            return Err(OutOfBounds);
        }
        (self.answer)(at, into);
        Ok(())
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

impl Reads {
    /// The counts, one per byte.
    pub fn counts(&self) -> Vec<u32> {
        self.0.borrow().clone()
    }
}

/// An output buffer in normal-world memory.
#[derive(Clone, Debug)]
pub struct Sink {
    bytes: Vec<u8>,
}

impl Sink {
    /// A buffer that can take `capacity` bytes, all zero now.
    pub fn new(capacity: usize) -> Self {
        Self {
            bytes: vec![0; capacity],
        }
    }

    /// What stands in the buffer.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl actors::Sink for Sink {
    fn capacity(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), OutOfBounds> {
        let at = usize::try_from(at).map_err(|_| OutOfBounds)?;
        let end = at.checked_add(bytes.len()).ok_or(OutOfBounds)?;
        self.bytes
            .get_mut(at..end)
            .ok_or(OutOfBounds)?
            .copy_from_slice(bytes);
        Ok(())
    }
}

fn part(bytes: &[u8], at: u64, length: usize) -> &[u8] {
    &bytes[at as usize..at as usize + length]
}
