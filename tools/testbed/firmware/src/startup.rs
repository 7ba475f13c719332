#![expect(
    unsafe_code,
    reason = "vector table, reset, and the instructions Rust has no words for"
)]
//! From reset to `main`, interrupts, sleep and death.

use core::arch::asm;
use core::panic::PanicInfo;
use core::ptr::{addr_of_mut, with_exposed_provenance_mut, write_volatile};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::memory::prepare_bell;
use crate::trace;

/// Milliseconds since start.
pub fn uptime_ms() -> u32 {
    TICKS.load(Ordering::Relaxed)
}

/// Sleeps until the next tick or doorbell, unless one came since the last call.
pub fn sleep() {
    // With interrupts masked a pending one still ends WFI, so none is slept through.
    // SAFETY: masks interrupts; they are unmasked below.
    unsafe { asm!("cpsid i", options(nomem, nostack)) };
    if !WOKEN.swap(false, Ordering::Relaxed) {
        // SAFETY: waits for an interrupt, touches nothing.
        unsafe { asm!("wfi", options(nomem, nostack)) };
    }
    // SAFETY: unmasks what was masked above.
    unsafe { asm!("cpsie i", options(nomem, nostack)) };
}

/// Stops the core by a fault inside the fault handler, which is a lockup: the machine sees that the core died.
pub fn die() -> ! {
    // SAFETY: an undefined instruction; the fault never returns.
    unsafe { asm!("udf #0", options(noreturn, nomem, nostack)) }
}

/// Makes an image's description its `main`.
#[macro_export]
macro_rules! image {
    ($image:expr) => {
        $crate::image!($crate::echo::serve, $image);
    };
    ($serve:path, $image:expr) => {
        const IMAGE: $crate::echo::Image = $image;

        #[expect(unsafe_code, reason = "the table must lie in a section of its own")]
        #[unsafe(link_section = ".resource_table")]
        #[used]
        static TABLE: [u32; $crate::table::LENGTH] = $crate::table::words(&IMAGE);

        #[expect(unsafe_code, reason = "the symbol that the start-up code calls")]
        #[unsafe(no_mangle)]
        fn image_main() -> ! {
            $serve(IMAGE)
        }
    };
}

unsafe extern "C" {
    static mut stack_top: u32;
    static mut bss_start: u32;
    static mut bss_end: u32;
}

unsafe extern "Rust" {
    /// Each image's own, which never returns.
    safe fn image_main() -> !;
}

/// The first instruction of the image.
#[unsafe(no_mangle)]
extern "C" fn reset() -> ! {
    let mut at = addr_of_mut!(bss_start) as usize;
    while at < addr_of_mut!(bss_end) as usize {
        // SAFETY: the linker script makes these the bounds of .bss, in words; nothing in it is in use yet.
        unsafe { write_volatile(with_exposed_provenance_mut::<u32>(at), 0) };
        at += 4;
    }
    prepare_bell();
    // SysTick: 25 MHz / 25000 = 1 kHz.
    for (register, value) in [
        (NVIC_ENABLE, 1 << DOORBELL_IRQ),
        (SYSTICK_RELOAD, 25_000 - 1),
        (SYSTICK_VALUE, 0),
        (SYSTICK_CONTROL, 7),
    ] {
        // SAFETY: registers of every Cortex-M, aligned words.
        unsafe { write_volatile(with_exposed_provenance_mut::<u32>(register), value) };
    }
    image_main()
}

extern "C" fn tick() {
    // A single writer: load and store cannot lose a count.
    let now = TICKS.load(Ordering::Relaxed);
    TICKS.store(now.wrapping_add(1), Ordering::Relaxed);
    WOKEN.store(true, Ordering::Relaxed);
}

extern "C" fn doorbell() {
    WOKEN.store(true, Ordering::Relaxed);
}

extern "C" fn fault() {
    trace::line("fault");
    die()
}

#[panic_handler]
fn panicked(_: &PanicInfo<'_>) -> ! {
    trace::line("panic");
    die()
}

/// One entry of the vector table.
#[derive(Clone, Copy)]
union Vector {
    stack: *const u32,
    handler: extern "C" fn(),
    reset: extern "C" fn() -> !,
    reserved: u32,
}

// SAFETY: the table is never written, and the pointer in it never followed by this program.
unsafe impl Sync for Vector {}

#[unsafe(link_section = ".vectors")]
#[used]
static VECTORS: [Vector; 48] = {
    let mut table = [Vector { handler: fault }; 48];
    table[0] = Vector {
        stack: &raw const stack_top,
    };
    table[1] = Vector { reset };
    table[7] = Vector { reserved: 0 };
    table[8] = Vector { reserved: 0 };
    table[9] = Vector { reserved: 0 };
    table[10] = Vector { reserved: 0 };
    table[13] = Vector { reserved: 0 };
    table[15] = Vector { handler: tick };
    table[16 + DOORBELL_IRQ] = Vector { handler: doorbell };
    table
};

static TICKS: AtomicU32 = AtomicU32::new(0);
static WOKEN: AtomicBool = AtomicBool::new(false);

const DOORBELL_IRQ: usize = 7;
const SYSTICK_CONTROL: usize = 0xe000_e010;
const SYSTICK_RELOAD: usize = 0xe000_e014;
const SYSTICK_VALUE: usize = 0xe000_e018;
const NVIC_ENABLE: usize = 0xe000_e100;
