//! Copies between our memory and a window's: volatile, in bounds as their caller says, never by reference.

use std::mem::take;

/// Copies `from` to shared memory by aligned words, and single bytes behind the last of them.
///
/// # Safety
/// `to` is valid for writing `from.len()` bytes, and aligned to 4.
#[inline(never)]
pub(super) unsafe fn words_in(to: *mut u8, from: &[u8]) {
    let mut to = to;
    let mut rest = from;
    if WIDE && to.addr().is_multiple_of(8) {
        let (words, tail) = from.as_chunks::<8>();
        for word in words {
            // SAFETY: the words of `from` have their place behind `to`, which is aligned to 8 and stays so.
            to = unsafe { put(to, u64::from_ne_bytes(*word)) };
        }
        rest = tail;
    }
    let (words, tail) = rest.as_chunks::<4>();
    for word in words {
        // SAFETY: as above, aligned to 4.
        to = unsafe { put(to, u32::from_ne_bytes(*word)) };
    }
    for byte in tail {
        // SAFETY: as above; bytes have no alignment.
        to = unsafe { put(to, *byte) };
    }
}

/// Fills `into` from shared memory by aligned words, and single bytes behind the last of them.
///
/// # Safety
/// `from` is valid for reading `into.len()` bytes, and aligned to 4.
#[inline(never)]
pub(super) unsafe fn words_out(from: *const u8, into: &mut [u8]) {
    let mut from = from;
    let mut rest = into;
    if WIDE && from.addr().is_multiple_of(8) {
        let (lines, tail) = rest.as_chunks_mut::<64>();
        let (words, tail) = tail.as_chunks_mut::<8>();
        for line in lines {
            for word in line.as_chunks_mut().0 {
                let value: u64;
                // SAFETY: there is a word behind `from` for each of `into`'s; it is aligned to 8 and stays so.
                (value, from) = unsafe { get(from) };
                *word = value.to_ne_bytes();
            }
        }
        for word in words {
            let value: u64;
            // SAFETY: as above.
            (value, from) = unsafe { get(from) };
            *word = value.to_ne_bytes();
        }
        rest = tail;
    }
    let (words, tail) = rest.as_chunks_mut::<4>();
    for word in words {
        let value: u32;
        // SAFETY: as above, aligned to 4.
        (value, from) = unsafe { get(from) };
        *word = value.to_ne_bytes();
    }
    for byte in tail {
        // SAFETY: as above; bytes have no alignment.
        (*byte, from) = unsafe { get(from) };
    }
}

/// Whether pieces of ordinary memory can be copied there.
#[inline]
pub(super) fn is_aligned(at: *const u8) -> bool {
    at.cast::<Piece>().is_aligned()
}

/// Copies `from` to ordinary shared memory.
///
/// # Safety
/// `to` is valid for writing `from.len()` bytes, and [`is_aligned`].
#[inline(always)]
pub(super) unsafe fn pieces_in(to: *mut u8, from: &[u8]) {
    let (mut to, mut rest) = (to, from);
    if rest.len() >= LEAP / 4 {
        while let Some((pieces, tail)) = rest.split_first_chunk::<LEAP>() {
            // SAFETY: the pieces have their place behind `to`, which is aligned for them and stays so.
            to = unsafe { put_pieces(to, pieces) };
            rest = tail;
        }
        if let Some((pieces, tail)) = rest.split_first_chunk::<{ LEAP / 2 }>() {
            // SAFETY: as above.
            to = unsafe { put_pieces(to, pieces) };
            rest = tail;
        }
        if let Some((pieces, tail)) = rest.split_first_chunk::<{ LEAP / 4 }>() {
            // SAFETY: as above.
            to = unsafe { put_pieces(to, pieces) };
            rest = tail;
        }
    }
    if let Some((pieces, tail)) = rest.split_first_chunk::<{ LEAP / 8 }>() {
        // SAFETY: as above.
        to = unsafe { put_pieces(to, pieces) };
        rest = tail;
    }
    if let Some((piece, tail)) = rest.split_first_chunk::<{ LEAP / 16 }>() {
        // SAFETY: as above.
        to = unsafe { put_pieces(to, piece) };
        rest = tail;
    }
    if !rest.is_empty() {
        // SAFETY: as above; whole pieces keep the alignment to words.
        unsafe { words_in(to, rest) };
    }
}

/// Fills `into` from ordinary shared memory.
///
/// # Safety
/// `from` is valid for reading `into.len()` bytes, and [`is_aligned`].
#[inline(always)]
pub(super) unsafe fn pieces_out(from: *const u8, into: &mut [u8]) {
    let (mut from, mut rest) = (from, into);
    if rest.len() >= LEAP / 4 {
        while rest.len() >= LEAP {
            let (pieces, tail) = take(&mut rest).split_at_mut(LEAP);
            // SAFETY: there are bytes behind `from` for the pieces of `into`; it is aligned for them and stays so.
            from = unsafe { get_pieces(from, pieces) };
            rest = tail;
        }
        if rest.len() >= LEAP / 2 {
            let (pieces, tail) = take(&mut rest).split_at_mut(LEAP / 2);
            // SAFETY: as above.
            from = unsafe { get_pieces(from, pieces) };
            rest = tail;
        }
        if rest.len() >= LEAP / 4 {
            let (pieces, tail) = take(&mut rest).split_at_mut(LEAP / 4);
            // SAFETY: as above.
            from = unsafe { get_pieces(from, pieces) };
            rest = tail;
        }
    }
    if rest.len() >= LEAP / 8 {
        let (pieces, tail) = take(&mut rest).split_at_mut(LEAP / 8);
        // SAFETY: as above.
        from = unsafe { get_pieces(from, pieces) };
        rest = tail;
    }
    if rest.len() >= LEAP / 16 {
        let (piece, tail) = take(&mut rest).split_at_mut(LEAP / 16);
        // SAFETY: as above.
        from = unsafe { get_pieces(from, piece) };
        rest = tail;
    }
    if !rest.is_empty() {
        // SAFETY: as above; whole pieces keep the alignment to words.
        unsafe { words_out(from, rest) };
    }
}

/// Stores whole pieces; where the next one goes.
///
/// # Safety
/// `to` is valid for writing them, and [`is_aligned`].
#[inline]
unsafe fn put_pieces(to: *mut u8, pieces: &[u8]) -> *mut u8 {
    let mut to = to;
    for piece in pieces.as_chunks().0 {
        // SAFETY: the caller's promise; whole pieces keep the alignment.
        to = unsafe { put(to, piece_of(*piece)) };
    }
    to
}

/// Loads whole pieces; where the next one comes from.
///
/// # Safety
/// `from` is valid for reading them, and [`is_aligned`].
#[inline]
unsafe fn get_pieces(from: *const u8, pieces: &mut [u8]) -> *const u8 {
    let mut from = from;
    for piece in pieces.as_chunks_mut().0 {
        let value;
        // SAFETY: the caller's promise; whole pieces keep the alignment.
        (value, from) = unsafe { get(from) };
        *piece = bytes_of(value);
    }
    from
}

/// Stores one value; where the next one goes.
///
/// # Safety
/// `to` is valid for writing a `T`, and aligned for it.
#[inline]
unsafe fn put<T: Copy>(to: *mut u8, value: T) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { to.cast::<T>().write_volatile(value) };
    to.wrapping_add(size_of::<T>())
}

/// Loads one value; where the next one comes from.
///
/// # Safety
/// `from` is valid for reading a `T`, aligned for it, and any bytes there are a `T`.
#[inline]
unsafe fn get<T: Copy>(from: *const u8) -> (T, *const u8) {
    // SAFETY: the caller's promise.
    let value = unsafe { from.cast::<T>().read_volatile() };
    (value, from.wrapping_add(size_of::<T>()))
}

/// What one access of the machine's vector registers moves.
#[cfg(target_arch = "x86_64")]
type Piece = core::arch::x86_64::__m128i;
/// What one access of the machine's vector registers moves.
#[cfg(target_arch = "aarch64")]
type Piece = core::arch::aarch64::uint8x16_t;
/// Without vector registers that we know of.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
type Piece = [u32; 4];

#[inline]
fn piece_of(bytes: [u8; size_of::<Piece>()]) -> Piece {
    // SAFETY: of one size, and any bytes are a piece.
    unsafe { core::mem::transmute(bytes) }
}

#[inline]
fn bytes_of(piece: Piece) -> [u8; size_of::<Piece>()] {
    // SAFETY: of one size, and a piece has no bytes that are not initialised.
    unsafe { core::mem::transmute(piece) }
}

/// Bytes moved between two questions for the end, as long as there are so many.
const LEAP: usize = 256;
/// Whether this machine has accesses of 8 bytes.
const WIDE: bool = size_of::<usize>() == 8;
