//! The log Linux can read, and counters for tests.

use core::sync::atomic::{AtomicU32, Ordering};

use rpmsg::SharedMemory;

use crate::board;
use crate::memory::Shared;
use crate::startup::uptime_ms;

/// Appends a line: milliseconds since start, then `text`. A full log stays as it is.
pub fn line(text: &str) {
    let mut bytes = [b' '; 64];
    let digits = (0..6).scan(uptime_ms(), |rest, _| {
        let digit = (*rest % 10) as u8;
        *rest /= 10;
        Some(b'0' + digit)
    });
    for (place, digit) in bytes[..6].iter_mut().rev().zip(digits) {
        *place = digit;
    }
    let mut end: usize = 7;
    for (place, byte) in bytes[7..62].iter_mut().zip(text.bytes()) {
        *place = byte;
        end += 1;
    }
    // Whole words, the newline last.
    end = (end + 1).next_multiple_of(4).min(64);
    bytes[end - 1] = b'\n';
    let at = WRITTEN.load(Ordering::Relaxed);
    let next = at + end as u32;
    if next < board::TRACE_SIZE {
        Shared.copy_in(board::TRACE + at, &bytes[..end]);
        WRITTEN.store(next, Ordering::Relaxed);
    }
}

/// A counter in the health block, by its word.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub enum Health {
    /// "HLTH", once the image runs.
    Magic = 0,
    /// The image's version.
    Version = 1,
    /// Milliseconds since start.
    Uptime = 2,
    /// Messages answered.
    Answered = 3,
    /// Links joined.
    Attached = 4,
    /// Messages refused.
    Refused = 5,
    /// Links given up for broken rings.
    Broken = 6,
    /// Checksum over the padding, which proves that all of the image is there.
    Bulk = 7,
}

/// Shows a counter.
pub fn show(what: Health, value: u32) {
    Shared.store_u32(board::HEALTH + what as u32 * 4, value, Ordering::Relaxed);
}

/// The first word of the health block.
pub const HEALTH_MAGIC: u32 = 0x4854_4c48;

static WRITTEN: AtomicU32 = AtomicU32::new(0);
