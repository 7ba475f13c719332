#![expect(
    unsafe_code,
    reason = "the shared window, registers, vector table and sleep are reached by address and by instruction"
)]
//! All that touches hardware: start-up, shared window, doorbell.

use core::arch::{asm, global_asm, naked_asm};
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::panic::PanicInfo;
use core::ptr::with_exposed_provenance_mut;
use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, Ordering, fence};

use rpmsg::{Coherence, Ring, SharedMemory};

/// Where the window begins.
pub(crate) const WINDOW: u32 = 0x2120_0000;
/// Its size, a power of two: an offset that is cut to it is inside.
pub(crate) const SIZE: u32 = 0x4000;

/// The shared window; offsets are taken modulo its size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shared;

impl Shared {
    fn half(at: u32) -> &'static AtomicU16 {
        let address = WINDOW + (at & (SIZE - 2));
        // SAFETY: aligned and inside the window, which is memory for as long as the core runs and which nothing in this program
        // reaches other than by atomic accesses.
        unsafe { AtomicU16::from_ptr(with_exposed_provenance_mut(address as usize)) }
    }

    fn word(at: u32) -> &'static AtomicU32 {
        let address = WINDOW + (at & (SIZE - 4));
        // SAFETY: as in `half`.
        unsafe { AtomicU32::from_ptr(with_exposed_provenance_mut(address as usize)) }
    }

    fn byte(at: u32) -> &'static AtomicU8 {
        let address = WINDOW + (at & (SIZE - 1));
        // SAFETY: as in `half`.
        unsafe { AtomicU8::from_ptr(with_exposed_provenance_mut(address as usize)) }
    }
}

impl Coherence for Shared {}

impl SharedMemory for Shared {
    // More order than asked for is not wrong, and one function for every call is smaller than many.
    #[inline(never)]
    fn load_u16(&self, at: u32, _: Ordering) -> u16 {
        Self::half(at).load(Ordering::Acquire)
    }

    #[inline(never)]
    fn load_u32(&self, at: u32, _: Ordering) -> u32 {
        Self::word(at).load(Ordering::Acquire)
    }

    #[inline(never)]
    fn store_u16(&self, at: u32, value: u16, _: Ordering) {
        Self::half(at).store(value, Ordering::Release);
    }

    #[inline(never)]
    fn store_u32(&self, at: u32, value: u32, _: Ordering) {
        Self::word(at).store(value, Ordering::Release);
    }

    #[inline(always)]
    fn load_words<const N: usize>(&self, at: u32) -> [u32; N] {
        let mut words = MaybeUninit::<[u32; N]>::uninit();
        // SAFETY: it has room for `N` words.
        unsafe { load(at, words.as_mut_ptr().cast(), N) };
        // SAFETY: `load` has written all of it.
        unsafe { words.assume_init() }
    }

    fn store_words<const N: usize>(&self, at: u32, words: [u32; N]) {
        store(at, &words);
    }

    fn copy_in(&self, at: u32, from: &[u8]) {
        // Bytes are always aligned.
        let mut at = at;
        for byte in from {
            Self::byte(at).store(*byte, Ordering::Relaxed);
            at = at.wrapping_add(1);
        }
    }

    fn copy_out(&self, at: u32, into: &mut [u8]) {
        let mut at = at;
        for byte in into {
            *byte = Self::byte(at).load(Ordering::Relaxed);
            at = at.wrapping_add(1);
        }
    }
}

/// Words of the window, however many, over what is not even zeroed: once in the image.
///
/// # Safety
/// `into` has room for `count` words.
#[inline(never)]
unsafe fn load(at: u32, into: *mut u32, count: usize) {
    let mut at = at;
    for index in 0..count {
        let word = Shared::word(at).load(Ordering::Relaxed);
        // SAFETY: inside, as the caller promises.
        unsafe { into.wrapping_add(index).write(word) };
        at = at.wrapping_add(4);
    }
}

/// Words into the window.
#[inline(never)]
fn store(at: u32, words: &[u32]) {
    let mut at = at;
    for word in words {
        Shared::word(at).store(*word, Ordering::Relaxed);
        at = at.wrapping_add(4);
    }
}

/// Rings the doorbell: one byte, the ring's number, leaves by UART0. What is to be seen by then was shown before a fence: without
/// one nobody knows whether the peer wants to be kicked.
#[inline(never)]
pub(crate) fn ring_bell(ring: Ring) {
    while register(UART_STATE).load(Ordering::Relaxed) & UART_FULL != 0 {}
    register(UART_DATA).store(u32::from(ring.number()), Ordering::Relaxed);
}

/// From here on the doorbell is heard anew.
pub(crate) fn forget_bell() {
    register(NVIC_CLEAR).store(1 << DOORBELL_IRQ, Ordering::Relaxed);
    // What is looked at from here on is looked at after that.
    fence(Ordering::SeqCst);
}

/// Sleeps until the doorbell rings, unless it did so since it was forgotten.
pub(crate) fn sleep() {
    // SAFETY: waits for an event, touches nothing.
    unsafe { asm!("wfe", options(nomem, nostack)) };
}

fn register(address: usize) -> &'static AtomicU32 {
    // SAFETY: only called with the constants below, which are registers of this board, aligned to a word.
    unsafe { AtomicU32::from_ptr(with_exposed_provenance_mut(address)) }
}

unsafe extern "C" {
    static stack_top: u32;
}

/// The first instruction of the image. Nothing in `.bss` has to be zero, so nothing is.
#[unsafe(no_mangle)]
extern "C" fn reset() -> ! {
    register(UART_DIVIDER).store(16, Ordering::Relaxed);
    register(UART_CONTROL).store(1, Ordering::Relaxed);
    // The doorbell's interrupt is never taken; that it is pending is an event, which ends `sleep`.
    register(SYSTEM_CONTROL).store(SEND_EVENT_ON_PENDING, Ordering::Relaxed);
    // SAFETY: this function runs once and nothing else names it, so the reference is the only one.
    crate::serve(unsafe { &mut *LINK.0.get() })
}

/// Stops the core by a fault inside the fault handler, which is a lockup.
#[unsafe(naked)]
extern "C" fn fault() -> ! {
    naked_asm!("udf #0")
}

/// Copies of structures, for which the compiler calls. Its own are made for speed, and as large as half of this program.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn __aeabi_memcpy(to: *mut u8, from: *const u8, len: usize) {
    naked_asm!(
        "b 2f",
        "1: ldrb r3, [r1, r2]",
        "strb r3, [r0, r2]",
        "2: subs r2, #1",
        "bpl 1b",
        "bx lr",
    )
}

/// Zeroes, of which the same is true.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn __aeabi_memclr4(to: *mut u8, len: usize) {
    naked_asm!(
        "movs r2, #0",
        "b 2f",
        "1: strb r2, [r0, r1]",
        "2: subs r1, #1",
        "bpl 1b",
        "bx lr",
    )
}

// The same for what is aligned to 4 or 8.
global_asm!(
    ".global __aeabi_memcpy4, __aeabi_memcpy8",
    ".thumb_set __aeabi_memcpy4, __aeabi_memcpy",
    ".thumb_set __aeabi_memcpy8, __aeabi_memcpy",
);

#[panic_handler]
fn panicked(_: &PanicInfo<'_>) -> ! {
    fault()
}

/// One entry of the vector table.
union Vector {
    stack: *const u32,
    handler: extern "C" fn() -> !,
}

// SAFETY: the table is never written, and the pointer in it never followed by this program.
unsafe impl Sync for Vector {}

/// Stack, reset, NMI and hard fault. The other faults are off and become hard faults; interrupts are never switched on.
#[unsafe(link_section = ".vectors")]
#[used]
static VECTORS: [Vector; 4] = [
    Vector {
        stack: &raw const stack_top,
    },
    Vector { handler: reset },
    Vector { handler: fault },
    Vector { handler: fault },
];

/// The link's place: memory that is counted, not stack.
struct Place(UnsafeCell<MaybeUninit<crate::Link>>);

// SAFETY: there is one core and no interrupt; `reset` alone takes what is inside.
unsafe impl Sync for Place {}

static LINK: Place = Place(UnsafeCell::new(MaybeUninit::uninit()));

const DOORBELL_IRQ: u32 = 7;
const NVIC_CLEAR: usize = 0xe000_e280;
const SYSTEM_CONTROL: usize = 0xe000_ed10;
const SEND_EVENT_ON_PENDING: u32 = 1 << 4;
const UART_DATA: usize = 0x4000_4000;
const UART_STATE: usize = 0x4000_4004;
const UART_CONTROL: usize = 0x4000_4008;
const UART_DIVIDER: usize = 0x4000_4010;
const UART_FULL: u32 = 1;
