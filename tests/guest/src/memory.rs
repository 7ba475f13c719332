//! Physical memory through /dev/mem, as root can have it.

use std::{
    os::unix::process::ExitStatusExt,
    process::{Command, Stdio},
    sync::atomic::Ordering,
};

use anyhow::{Context, Result};
use corewarden::shared_memory::Window;
use rpmsg::SharedMemory as _;

/// Reads and writes one word in a child each, and prints the signals that ended them (7 is a bus error).
pub(crate) fn bus(address: &str) -> Result<()> {
    let read = signal(&["read", address])?;
    let write = signal(&["write", address, "0xdeadbeef"])?;
    println!("bus {address} read={read} write={write}");
    Ok(())
}

pub(crate) fn read(address: &str) -> Result<()> {
    let (window, offset) = map(address)?;
    let value = window.load_u32(offset, Ordering::Relaxed);
    println!("read {address} {value:#010x}");
    Ok(())
}

pub(crate) fn write(address: &str, value: &str) -> Result<()> {
    let (window, offset) = map(address)?;
    let value = u32::try_from(number(value)?)?;
    window.store_u32(offset, value, Ordering::Relaxed);
    Ok(())
}

/// A number as people write it: decimal, or hexadecimal with 0x.
pub(crate) fn number(text: &str) -> Result<u64> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.with_context(|| format!("{text} is not a number"))
}

fn map(address: &str) -> Result<(Window, u32)> {
    let address = number(address)?;
    let window = Window::dev_mem(address & !0xfff, 0x1000)?;
    Ok((window, u32::try_from(address & 0xfff)?))
}

fn signal(arguments: &[&str]) -> Result<i32> {
    let status = Command::new("/proc/self/exe")
        .args(arguments)
        .stdout(Stdio::null())
        .status()?;
    Ok(status.signal().unwrap_or(0))
}
