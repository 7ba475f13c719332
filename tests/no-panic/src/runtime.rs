//! The handler that must not be reached, and what `alloc` asks for.

use core::alloc::{GlobalAlloc, Layout};
use core::panic::PanicInfo;

unsafe extern "C" {
    /// Exists nowhere.
    safe fn corewarden_code_that_can_panic_is_linked_in() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    corewarden_code_that_can_panic_is_linked_in()
}

/// Nothing that is proven here allocates; platform files own their lists, and give them back.
struct Nothing;

// SAFETY: no memory is ever handed out.
unsafe impl GlobalAlloc for Nothing {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: Nothing = Nothing;
