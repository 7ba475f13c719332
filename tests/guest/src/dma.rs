//! A DMA aimed at memory that Linux must not reach, by a virtio entropy device that no driver has taken.
//!
//! The rings lie in the far end of the shared window, where nobody else is. First the device writes to ordinary memory,
//! so that a device which does not work at all is not taken for a refusal; then to the address given.

use std::{
    sync::atomic::Ordering::Relaxed,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use corewarden::shared_memory::Window;
use rpmsg::SharedMemory as _;

use crate::memory::number;

pub(crate) fn run(address: &str) -> Result<()> {
    let target = number(address)?;
    let control = transfer(RINGS + 0x2000)?;
    let words = Window::dev_mem(RINGS + 0x2000, 0x1000)?;
    let written = (0..16).any(|word| words.load_u32(word * 4, Relaxed) != 0);
    println!("dma control finished={control} written={written}");
    println!("dma {address} finished={}", transfer(target)?);
    Ok(())
}

/// Lets the device write 64 bytes of entropy to `target`; whether it says that it did.
fn transfer(target: u64) -> Result<bool> {
    let registers = Window::dev_mem(TRANSPORTS, 0x4000)?;
    let device = (0..SLOTS)
        .map(|slot| slot * SLOT)
        .find(|base| registers.load_u32(base + DEVICE_ID, Relaxed) == ENTROPY)
        .context("this machine has no virtio entropy device")?;
    if registers.load_u32(device + VERSION, Relaxed) != LEGACY {
        bail!("the entropy device is not a legacy one");
    }
    let set = |register: u32, value: u32| registers.store_u32(device + register, value, Relaxed);
    let rings = Window::dev_mem(RINGS, 0x2000)?;
    let ring = |at: u32, value: u32| rings.store_u32(at, value, Relaxed);
    for word in 0..PAGE / 2 {
        ring(word * 4, 0);
    }
    set(STATUS, 0);
    set(STATUS, 1);
    set(STATUS, 3);
    set(GUEST_FEATURES, 0);
    set(GUEST_PAGE_SIZE, 4096);
    set(QUEUE_SELECT, 0);
    set(QUEUE_SIZE, 8);
    set(QUEUE_ALIGN, 4096);
    set(QUEUE_PAGE, u32::try_from(RINGS / 4096)?);
    set(STATUS, 7);
    // One descriptor that the device may write: address, length, flags WRITE.
    ring(0, u32::try_from(target & 0xffff_ffff)?);
    ring(4, u32::try_from(target >> 32)?);
    ring(8, 64);
    ring(12, 2);
    // The available ring follows 8 descriptors: flags, index, entry 0.
    ring(128, 1 << 16);
    set(QUEUE_NOTIFY, 0);
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(500) {
        let used = rings.load_u32(PAGE, Relaxed);
        if used >> 16 == 1 {
            set(STATUS, 0);
            return Ok(true);
        }
        thread::sleep(Duration::from_millis(5));
    }
    set(STATUS, 0);
    Ok(false)
}

const PAGE: u32 = 0x1000;
/// The end of the shared window, beyond what the core sees.
const RINGS: u64 = 0x80f0_0000;
const TRANSPORTS: u64 = 0x0a00_0000;
const SLOT: u32 = 0x200;
const SLOTS: u32 = 32;
const ENTROPY: u32 = 4;
const LEGACY: u32 = 1;
// VirtIO 1.3, 4.2.4, table 4.2: the legacy registers.
const VERSION: u32 = 0x004;
const DEVICE_ID: u32 = 0x008;
const GUEST_FEATURES: u32 = 0x020;
const GUEST_PAGE_SIZE: u32 = 0x028;
const QUEUE_SELECT: u32 = 0x030;
const QUEUE_SIZE: u32 = 0x038;
const QUEUE_ALIGN: u32 = 0x03c;
const QUEUE_PAGE: u32 = 0x040;
const QUEUE_NOTIFY: u32 = 0x050;
const STATUS: u32 = 0x070;
