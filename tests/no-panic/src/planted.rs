//! Panics that are put in to see the proof fail.

use core::hint::black_box;

#[unsafe(no_mangle)]
pub fn planted(bytes: &[u8], index: usize) -> u8 {
    if cfg!(plant = "index") {
        return bytes[index];
    }
    if cfg!(plant = "overflow") {
        return black_box(bytes.len() as u8) + black_box(index as u8);
    }
    bytes.get(index).copied().unwrap_or(0)
}
