//! Addresses of mps2-an386 as the test bed maps it.

/// Where the shared window begins.
pub const WINDOW: u32 = 0x2120_0000;
/// Its size.
pub const WINDOW_SIZE: u32 = 0x00e0_0000;
/// The log, by offset in the window.
pub const TRACE: u32 = 0x1000;
/// Bytes of it.
pub const TRACE_SIZE: u32 = 0xf00;
/// Counters for tests, behind the log.
pub const HEALTH: u32 = 0x1f00;
/// Ring 0, by offset in the window.
pub const VRING_TO_DRIVER: u32 = 0x2000;
/// Ring 1.
pub const VRING_TO_DEVICE: u32 = 0x5000;
/// Descriptors of each ring, at most.
pub const DESCRIPTORS: u32 = 256;

/// Descriptors of each ring: half of them where an image asks for larger buffers, as there is no more room for those.
pub const fn descriptors(asked: Option<rpmsg::BufferSizes>) -> u32 {
    match asked {
        Some(_) => DESCRIPTORS / 2,
        None => DESCRIPTORS,
    }
}

/// Alignment of the used rings.
pub const RING_ALIGN: u32 = 0x1000;
/// From here to the end of the window there may be buffers.
pub const BUFFERS: u32 = 0x1_0000;
