//! What a program without a C library owes its libraries.
#![expect(
    unsafe_code,
    reason = "a panic leaves through the TEE's API, and getauxval is found by its C name"
)]

use core::panic::PanicInfo;

use optee_utee::trace_println;
use optee_utee_sys::TEE_Panic;

/// The processor's features as Linux would tell them. A TA is told nothing, and none is always right: ring
/// then takes its portable and NEON code.
// SAFETY: no other function of this name is linked in, for a TA has no C library.
#[unsafe(no_mangle)]
extern "C" fn getauxval(_kind: u64) -> u64 {
    0
}

/// OP-TEE ends this instance and frees what it held; cores keep what they do, and the next instance reads
/// their state back.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    // The place only: a message may hold what a client sent, and would bring formatting of everything.
    if let Some(place) = info.location() {
        trace_println!("corewarden: panic at {}:{}", place.file(), place.line());
    }
    loop {
        // SAFETY: takes a number, and does not return.
        unsafe { TEE_Panic(PANIC_CODE) };
    }
}

/// What OP-TEE logs of a panic.
const PANIC_CODE: u32 = 0xc0de_dead;
