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
    // SAFETY: the caller's promise; `from` is a slice.
    unsafe { Copying::<IN>::new(to, from.as_ptr(), from.len()).pieces() };
}

/// Fills `into` from ordinary shared memory.
///
/// # Safety
/// `from` is valid for reading `into.len()` bytes, and [`is_aligned`].
#[inline(always)]
pub(super) unsafe fn pieces_out(from: *const u8, into: &mut [u8]) {
    // SAFETY: the caller's promise; `into` is a slice.
    unsafe { Copying::<OUT>::new(into.as_mut_ptr(), from, into.len()).pieces() };
}

/// What is left to copy: into the window, or out of it.
struct Copying<const WAY: bool> {
    to: *mut u8,
    from: *const u8,
    len: usize,
}

impl<const WAY: bool> Copying<WAY> {
    #[inline(always)]
    const fn new(to: *mut u8, from: *const u8, len: usize) -> Self {
        Self { to, from, len }
    }

    /// Where in the window it goes on.
    #[inline(always)]
    fn place(&self) -> *const u8 {
        if WAY == IN { self.to } else { self.from }
    }

    /// By pieces, and words behind the last of them.
    ///
    /// # Safety
    /// As for [`words`], but aligned to a piece.
    #[inline(always)]
    unsafe fn pieces(mut self) {
        if self.len < size_of::<Piece>() {
            // SAFETY: the caller's promise.
            return unsafe { self.rest() };
        }
        // SAFETY: the caller's promise, and there is one.
        unsafe { self.some::<Piece, 1>() };
        if self.len != 0 {
            // SAFETY: the caller's promise; whole pieces keep the alignment.
            unsafe { more::<WAY>(self.to, self.from, self.len) };
        }
    }

    /// What is less than a piece.
    ///
    /// # Safety
    /// As for [`words`].
    #[inline(always)]
    unsafe fn rest(self) {
        if self.len != 0 {
            // SAFETY: the caller's promise.
            unsafe { words::<WAY>(self.to, self.from, self.len) };
        }
    }

    /// Copies all whole `T`s, many at a time as long as there are many.
    ///
    /// # Safety
    /// As for [`Copying::some`].
    #[inline(always)]
    unsafe fn all<T>(&mut self) {
        // SAFETY: the caller's promise.
        unsafe { self.many::<T, 8>() };
        // SAFETY: as above.
        unsafe { self.once::<T, 4>() };
        // SAFETY: as above.
        unsafe { self.once::<T, 2>() };
        // SAFETY: as above.
        unsafe { self.once::<T, 1>() };
    }

    /// Copies `COUNT` at a time, as long as there are so many.
    ///
    /// # Safety
    /// As for [`Copying::some`].
    #[inline(always)]
    unsafe fn many<T, const COUNT: usize>(&mut self) {
        while self.len >= size_of::<[T; COUNT]>() {
            // SAFETY: the caller's promise, and there are so many.
            unsafe { self.some::<T, COUNT>() };
        }
    }

    /// Copies `COUNT` if there are so many.
    ///
    /// # Safety
    /// As for [`Copying::some`].
    #[inline(always)]
    unsafe fn once<T, const COUNT: usize>(&mut self) {
        if self.len >= size_of::<[T; COUNT]>() {
            // SAFETY: the caller's promise, and there are so many.
            unsafe { self.some::<T, COUNT>() };
        }
    }

    /// Copies `COUNT`, each by one load and one store.
    ///
    /// # Safety
    /// `to` is valid for writing so many, `from` for reading them; the one in the window is aligned for them. Any bytes are a
    /// `T`, and a `T` has no bytes that are not initialised.
    #[inline(always)]
    unsafe fn some<T, const COUNT: usize>(&mut self) {
        for _ in 0..COUNT {
            let (to, from) = (self.to.cast::<T>(), self.from.cast::<T>());
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
            self.to = to.wrapping_add(1).cast();
            self.from = from.wrapping_add(1).cast();
        }
        self.len = self.len.wrapping_sub(size_of::<[T; COUNT]>());
    }
}

/// By words, and single bytes behind the last of them.
///
/// # Safety
/// `to` is valid for writing `len` bytes, `from` for reading them; the one in the window is aligned to 4.
#[inline(never)]
unsafe fn words<const WAY: bool>(to: *mut u8, from: *const u8, len: usize) {
    let mut copy = Copying::<WAY>::new(to, from, len);
    if WIDE && copy.place().addr().is_multiple_of(size_of::<u64>()) {
        // SAFETY: the caller's promise; whole words keep the alignment to 8.
        unsafe { copy.many::<u64, 16>() };
        // SAFETY: as above.
        unsafe { copy.all::<u64>() };
    }
    // SAFETY: the caller's promise; whole words keep the alignment to 4.
    unsafe { copy.many::<u32, 1>() };
    // SAFETY: as above; bytes have no alignment.
    unsafe { copy.many::<u8, 1>() };
}

/// What [`Copying::pieces`] does behind the first.
///
/// # Safety
/// As for [`Copying::pieces`].
#[inline(never)]
unsafe fn more<const WAY: bool>(to: *mut u8, from: *const u8, len: usize) {
    let mut copy = Copying::<WAY>::new(to, from, len);
    // SAFETY: the caller's promise; whole pieces keep the alignment.
    unsafe { copy.all::<Piece>() };
    // SAFETY: as above.
    unsafe { copy.rest() };
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

/// Whether this machine has accesses of 8 bytes.
const WIDE: bool = size_of::<usize>() == 8;
