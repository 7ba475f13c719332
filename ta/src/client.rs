//! A client's buffers: memory that the normal world may change at any moment.
#![expect(
    unsafe_code,
    reason = "no reference may point there, so bytes are copied through pointers"
)]

use core::ptr::NonNull;

use optee_utee_sys::{Memref, TEE_MemMove};
use ta_core::actors::{self, OutOfBounds};

/// An input buffer for the time of one command.
#[derive(Debug)]
pub(crate) struct Source {
    first: NonNull<u8>,
    length: usize,
}

/// An output buffer for the time of one command.
#[derive(Debug)]
pub(crate) struct Sink {
    first: NonNull<u8>,
    length: usize,
}

impl Source {
    /// The buffer of a parameter.
    ///
    /// # Safety
    /// The parameter is a MEMREF_INPUT of the command under way, and the value does not outlive the command.
    pub(crate) unsafe fn new(memref: Memref) -> Self {
        let (first, length) = span(memref);
        Self { first, length }
    }

    /// Where `length` bytes from offset `at` lie, to be handed on to the PTA.
    pub(crate) fn part(&self, at: u64, length: u64) -> Result<(NonNull<u8>, usize), OutOfBounds> {
        let at = usize::try_from(at).map_err(|_| OutOfBounds)?;
        let length = usize::try_from(length).map_err(|_| OutOfBounds)?;
        part(self.first, self.length, at, length)
    }
}

impl actors::Source for Source {
    fn length(&self) -> u64 {
        self.length as u64
    }

    fn read(&self, at: u64, into: &mut [u8]) -> Result<(), OutOfBounds> {
        let (from, length) = self.part(at, into.len() as u64)?;
        // SAFETY: `part` proves that the source has `length` bytes there, which OP-TEE maps for the time of
        // the command, and `into` has as many. TEE_MemMove allows overlap, and makes no reference.
        unsafe { TEE_MemMove(into.as_mut_ptr().cast(), from.as_ptr().cast(), length) };
        Ok(())
    }
}

impl Sink {
    /// The buffer of a parameter.
    ///
    /// # Safety
    /// The parameter is a MEMREF_OUTPUT of the command under way, and the value does not outlive the command.
    pub(crate) unsafe fn new(memref: Memref) -> Self {
        let (first, length) = span(memref);
        Self { first, length }
    }
}

impl actors::Sink for Sink {
    fn capacity(&self) -> u64 {
        self.length as u64
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), OutOfBounds> {
        let at = usize::try_from(at).map_err(|_| OutOfBounds)?;
        let (to, length) = part(self.first, self.length, at, bytes.len())?;
        // SAFETY: `part` proves that the sink has `length` bytes there, which OP-TEE maps for the time of the
        // command, and `bytes` has as many. TEE_MemMove allows overlap, and makes no reference.
        unsafe { TEE_MemMove(to.as_ptr().cast(), bytes.as_ptr().cast(), length) };
        Ok(())
    }
}

/// A buffer at no address has no bytes, whatever its size says.
fn span(memref: Memref) -> (NonNull<u8>, usize) {
    match NonNull::new(memref.buffer.cast::<u8>()) {
        Some(first) => (first, memref.size),
        None => (NonNull::dangling(), 0),
    }
}

fn part(
    first: NonNull<u8>,
    all: usize,
    at: usize,
    length: usize,
) -> Result<(NonNull<u8>, usize), OutOfBounds> {
    let end = at.checked_add(length).ok_or(OutOfBounds)?;
    if end > all {
        return Err(OutOfBounds);
    }
    // SAFETY: `at` is at most `all`, so the result lies in the buffer or at its end.
    Ok((unsafe { first.add(at) }, length))
}
