//! Copies between our memory and a window's: volatile, in bounds as their caller says, never by reference.

/// Copies `from` to shared memory by aligned words, and single bytes behind the last of them.
///
/// # Safety
/// `to` is valid for writing `from.len()` bytes, and aligned to 4.
#[inline(always)]
pub(super) unsafe fn words_in(to: *mut u8, from: &[u8]) {
    // SAFETY: the caller's promise; `from` is a slice.
    unsafe { words::<IN>(to, from.as_ptr(), from.len()) };
}

/// Fills `into` from shared memory by aligned words, and single bytes behind the last of them.
///
/// # Safety
/// `from` is valid for reading `into.len()` bytes, and aligned to 4.
#[inline(always)]
pub(super) unsafe fn words_out(from: *const u8, into: &mut [u8]) {
    // SAFETY: the caller's promise; `into` is a slice.
    unsafe { words::<OUT>(into.as_mut_ptr(), from, into.len()) };
}

/// Copies `from` to ordinary shared memory.
///
/// # Safety
/// `to` is valid for writing `from.len()` bytes, and aligned to [`PIECE`]; `no_doubles` is what [`no_doubles`] says.
#[inline(always)]
pub(super) unsafe fn pieces_in(to: *mut u8, from: &[u8], no_doubles: usize) {
    // SAFETY: the caller's promise; `from` is a slice.
    unsafe { Copying::<IN>::new(to, from.as_ptr(), from.len()).pieces(no_doubles) };
}

/// Fills `into` from ordinary shared memory.
///
/// # Safety
/// `from` is valid for reading `into.len()` bytes, and aligned to [`PIECE`]; `no_doubles` is what [`no_doubles`] says.
#[inline(always)]
pub(super) unsafe fn pieces_out(from: *const u8, into: &mut [u8], no_doubles: usize) {
    // SAFETY: the caller's promise; `into` is a slice.
    unsafe { Copying::<OUT>::new(into.as_mut_ptr(), from, into.len()).pieces(no_doubles) };
}

/// A copy under way: into the window, or out of it.
struct Copying<const WAY: bool> {
    to: *mut u8,
    from: *const u8,
    len: usize,
    /// How many bytes are copied.
    done: usize,
}

impl<const WAY: bool> Copying<WAY> {
    #[inline(always)]
    const fn new(to: *mut u8, from: *const u8, len: usize) -> Self {
        Self {
            to,
            from,
            len,
            done: 0,
        }
    }

    /// By pieces, and words behind the last of them.
    ///
    /// # Safety
    /// As for [`words`], but aligned to a piece; `no_doubles` is what [`no_doubles`] says.
    #[inline(always)]
    unsafe fn pieces(mut self, no_doubles: usize) {
        if self.len >= size_of::<Piece>() {
            // SAFETY: the caller's promise, and there is one.
            unsafe { self.some::<Piece, 1>() };
            let (to, from) = (
                self.to.wrapping_add(self.done),
                self.from.wrapping_add(self.done),
            );
            let len = self.len.wrapping_sub(self.done);
            if len != 0 {
                // SAFETY: the caller's promise; a whole piece keeps the alignment.
                unsafe { more::<WAY>(to, from, len, no_doubles) };
            }
        } else if self.len != 0 {
            // SAFETY: the caller's promise.
            unsafe { words::<WAY>(self.to, self.from, self.len) };
        }
    }

    /// Copies `COUNT` at a time, as long as there are so many. They and all that is copied by [`Copying::rest`] behind them are
    /// powers of two of bytes, each smaller than the one before.
    ///
    /// # Safety
    /// As for [`Copying::some`].
    #[inline(always)]
    unsafe fn many<T, const COUNT: usize>(&mut self) {
        let end = self.len & !(size_of::<[T; COUNT]>() - 1);
        while self.done < end {
            // SAFETY: the caller's promise, and there are so many.
            unsafe { self.some::<T, COUNT>() };
        }
    }

    /// Copies `COUNT` if what is left has so many: what is left is less than twice as much.
    ///
    /// # Safety
    /// As for [`Copying::some`].
    #[inline(always)]
    unsafe fn rest<T, const COUNT: usize>(&mut self) {
        if self.len & size_of::<[T; COUNT]>() != 0 {
            // SAFETY: the caller's promise, and there are so many.
            unsafe { self.some::<T, COUNT>() };
        }
    }

    /// Copies what is left and less than a piece, of which nothing may be.
    ///
    /// # Safety
    /// As for [`words`].
    #[inline(always)]
    unsafe fn end(self) {
        if self.done != self.len {
            let (to, from) = (
                self.to.wrapping_add(self.done),
                self.from.wrapping_add(self.done),
            );
            // SAFETY: the caller's promise.
            unsafe { words::<WAY>(to, from, self.len.wrapping_sub(self.done)) };
        }
    }

    /// Copies `COUNT`, each by one load and one store.
    ///
    /// # Safety
    /// `to` is valid for writing so many, `from` for reading them; the one in the window is aligned for them. Any bytes are a
    /// `T`, and a `T` has no bytes that are not initialised.
    #[inline(always)]
    unsafe fn some<T, const COUNT: usize>(&mut self) {
        let to = self.to.wrapping_add(self.done).cast::<T>();
        let from = self.from.wrapping_add(self.done).cast::<T>();
        for index in 0..COUNT {
            let (to, from) = (to.wrapping_add(index), from.wrapping_add(index));
            if WAY == IN {
                // SAFETY: the caller's promise.
                let value = unsafe { from.read_unaligned() };
                // SAFETY: the caller's promise.
                unsafe { to.write_volatile(value) };
            } else {
                // SAFETY: the caller's promise.
                let value = unsafe { from.read_volatile() };
                // SAFETY: the caller's promise.
                unsafe { to.write_unaligned(value) };
            }
        }
        self.done = self.done.wrapping_add(size_of::<[T; COUNT]>());
    }
}

/// By words, and single bytes behind the last of them.
///
/// # Safety
/// `to` is valid for writing `len` bytes, `from` for reading them; the one in the window is aligned to 4.
#[inline(never)]
unsafe fn words<const WAY: bool>(to: *mut u8, from: *const u8, len: usize) {
    let mut copy = Copying::<WAY>::new(to, from, len);
    let place = if WAY == IN { to.cast_const() } else { from };
    if WIDE && place.cast::<u64>().is_aligned() {
        // SAFETY: the caller's promise; whole words keep the alignment to 8.
        unsafe { copy.many::<u64, 16>() };
        // SAFETY: as above.
        unsafe { copy.rest::<u64, 8>() };
        // SAFETY: as above.
        unsafe { copy.rest::<u64, 4>() };
        // SAFETY: as above.
        unsafe { copy.rest::<u64, 2>() };
        // SAFETY: as above.
        unsafe { copy.rest::<u64, 1>() };
        if copy.done == len {
            return;
        }
    }
    // SAFETY: the caller's promise; whole words keep the alignment to 4.
    unsafe { copy.many::<u32, 1>() };
    // SAFETY: as above; bytes have no alignment.
    unsafe { copy.many::<u8, 1>() };
}

/// The bits of an address that have to be 0 for two pieces to be copied at once; all of them where the machine cannot.
pub(super) fn no_doubles() -> usize {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx") {
        return align_of::<Double>() - 1;
    }
    usize::MAX
}

/// What [`Copying::pieces`] does behind the first.
///
/// # Safety
/// As for [`Copying::pieces`].
#[inline(always)]
unsafe fn more<const WAY: bool>(to: *mut u8, from: *const u8, len: usize, no_doubles: usize) {
    let place = if WAY == IN { to.cast_const() } else { from };
    if place.addr() & no_doubles == 0 {
        // SAFETY: the caller's promise; no address is 0, so the machine has these registers and the address is aligned.
        return unsafe { by_doubles::<WAY>(to, from, len) };
    }
    // SAFETY: the caller's promise.
    unsafe { by_pieces::<WAY>(to, from, len) };
}

/// Without registers wider than a piece.
///
/// # Safety
/// As for [`Copying::pieces`].
#[inline(never)]
unsafe fn by_pieces<const WAY: bool>(to: *mut u8, from: *const u8, len: usize) {
    let mut copy = Copying::<WAY>::new(to, from, len);
    // SAFETY: the caller's promise; whole pieces keep the alignment.
    unsafe { copy.many::<Piece, 8>() };
    // SAFETY: as above.
    unsafe { copy.rest::<Piece, 4>() };
    // SAFETY: as above.
    unsafe { copy.rest::<Piece, 2>() };
    // SAFETY: as above.
    unsafe { copy.rest::<Piece, 1>() };
    // SAFETY: as above.
    unsafe { copy.end() };
}

/// By two pieces at a time.
///
/// # Safety
/// As for [`Copying::pieces`], but aligned to a [`Double`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx")]
unsafe fn by_doubles<const WAY: bool>(to: *mut u8, from: *const u8, len: usize) {
    let mut copy = Copying::<WAY>::new(to, from, len);
    // SAFETY: the caller's promise; whole doubles keep the alignment.
    unsafe { copy.many::<Double, 8>() };
    // SAFETY: as above.
    unsafe { copy.rest::<Double, 4>() };
    // SAFETY: as above.
    unsafe { copy.rest::<Double, 2>() };
    // SAFETY: as above.
    unsafe { copy.rest::<Double, 1>() };
    // SAFETY: as above.
    unsafe { copy.rest::<Piece, 1>() };
    // SAFETY: as above.
    unsafe { copy.end() };
}

/// There is nothing wider than a piece.
///
/// # Safety
/// As for [`Copying::pieces`].
#[cfg(not(target_arch = "x86_64"))]
unsafe fn by_doubles<const WAY: bool>(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: the caller's promise.
    unsafe { by_pieces::<WAY>(to, from, len) };
}

/// Into the window.
const IN: bool = true;
/// Out of the window.
const OUT: bool = false;

/// What one access of the machine's vector registers moves.
#[cfg(target_arch = "x86_64")]
type Piece = core::arch::x86_64::__m128i;
/// What one access of the machine's vector registers moves.
#[cfg(target_arch = "aarch64")]
type Piece = core::arch::aarch64::uint8x16_t;
/// Without vector registers that we know of.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
type Piece = [u32; 4];

/// Two pieces in one access, of which not every machine is capable.
#[cfg(target_arch = "x86_64")]
type Double = core::arch::x86_64::__m256i;

/// What a piece is aligned to.
pub(super) const PIECE: usize = align_of::<Piece>();

/// Whether this machine has accesses of 8 bytes.
const WIDE: bool = size_of::<usize>() == 8;
