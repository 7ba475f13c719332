#![expect(
    unsafe_code,
    reason = "the shared window and the UART are reached by address"
)]
//! Access to the shared window and to the doorbell's UART, each by aligned volatile or atomic accesses within bounds.

use core::ptr::{read_volatile, with_exposed_provenance_mut, write_volatile};
use core::sync::atomic::{AtomicU16, AtomicU32, Ordering};

use rpmsg::{Coherence, SharedMemory};

use crate::board;

/// The shared window. An access outside it reads 0 and writes nothing.
#[derive(Clone, Copy, Debug)]
pub struct Shared;

impl Shared {
    fn address(at: u32, len: u32, align: u32) -> Option<usize> {
        let inside = at.checked_add(len)? <= board::WINDOW_SIZE && at.is_multiple_of(align);
        inside.then(|| (board::WINDOW + at) as usize)
    }

    fn half(at: u32) -> Option<&'static AtomicU16> {
        let address = Self::address(at, 2, 2)?;
        // SAFETY: aligned and inside the window, which is memory for as long as the core runs and which nothing in this program
        // reaches other than by atomic and volatile accesses.
        Some(unsafe { AtomicU16::from_ptr(with_exposed_provenance_mut(address)) })
    }

    fn word(at: u32) -> Option<&'static AtomicU32> {
        let address = Self::address(at, 4, 4)?;
        // SAFETY: as in `half`.
        Some(unsafe { AtomicU32::from_ptr(with_exposed_provenance_mut(address)) })
    }
}

impl Coherence for Shared {}

impl SharedMemory for Shared {
    fn load_u16(&self, at: u32, order: Ordering) -> u16 {
        Self::half(at).map_or(0, |half| match order {
            Ordering::Relaxed => half.load(Ordering::Relaxed),
            _ => half.load(Ordering::Acquire),
        })
    }

    fn load_u32(&self, at: u32, order: Ordering) -> u32 {
        Self::word(at).map_or(0, |word| match order {
            Ordering::Relaxed => word.load(Ordering::Relaxed),
            _ => word.load(Ordering::Acquire),
        })
    }

    fn store_u16(&self, at: u32, value: u16, order: Ordering) {
        if let Some(half) = Self::half(at) {
            match order {
                Ordering::Relaxed => half.store(value, Ordering::Relaxed),
                _ => half.store(value, Ordering::Release),
            }
        }
    }

    fn store_u32(&self, at: u32, value: u32, order: Ordering) {
        if let Some(word) = Self::word(at) {
            match order {
                Ordering::Relaxed => word.store(value, Ordering::Relaxed),
                _ => word.store(value, Ordering::Release),
            }
        }
    }

    fn copy_in(&self, at: u32, from: &[u8]) {
        let len = from.len() as u32;
        let Some(start) = Self::address(at, len, 4) else {
            return;
        };
        let (words, tail) = from.as_chunks::<4>();
        for (index, word) in words.iter().enumerate() {
            self.store_u32(
                at + index as u32 * 4,
                u32::from_le_bytes(*word),
                Ordering::Relaxed,
            );
        }
        for (index, byte) in tail.iter().enumerate() {
            let target = with_exposed_provenance_mut::<u8>(start + words.len() * 4 + index);
            // SAFETY: inside the range checked above; bytes have no alignment.
            unsafe { write_volatile(target, *byte) };
        }
    }

    fn copy_out(&self, at: u32, into: &mut [u8]) {
        let len = into.len() as u32;
        let Some(start) = Self::address(at, len, 4) else {
            return;
        };
        let (words, tail) = into.as_chunks_mut::<4>();
        let count = words.len();
        for (index, word) in words.iter_mut().enumerate() {
            *word = self
                .load_u32(at + index as u32 * 4, Ordering::Relaxed)
                .to_le_bytes();
        }
        for (index, byte) in tail.iter_mut().enumerate() {
            let source = with_exposed_provenance_mut::<u8>(start + count * 4 + index);
            // SAFETY: inside the range checked above; bytes have no alignment.
            *byte = unsafe { read_volatile(source) };
        }
    }
}

/// Rings the doorbell: one byte, the ring's notify id, leaves by UART0.
pub fn ring_bell(notify_id: u8) {
    while register(UART_STATE).load(Ordering::Relaxed) & UART_FULL != 0 {}
    register(UART_DATA).store(u32::from(notify_id), Ordering::Release);
}

/// Switches UART0's transmitter on.
pub fn prepare_bell() {
    register(UART_DIVIDER).store(16, Ordering::Relaxed);
    register(UART_CONTROL).store(1, Ordering::Relaxed);
}

fn register(address: usize) -> &'static AtomicU32 {
    // SAFETY: only called with the constants below, which are registers of this board, aligned to a word.
    unsafe { AtomicU32::from_ptr(with_exposed_provenance_mut(address)) }
}

const UART_DATA: usize = 0x4000_4000;
const UART_STATE: usize = 0x4000_4004;
const UART_CONTROL: usize = 0x4000_4008;
const UART_DIVIDER: usize = 0x4000_4010;
const UART_FULL: u32 = 1;
