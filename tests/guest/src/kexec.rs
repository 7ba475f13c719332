//! Another Linux in place of this one, without a reset of the board: the core and the secure world run on.
#![expect(
    unsafe_code,
    reason = "the system call that takes the next kernel has no wrapper"
)]

use std::{ffi::c_void, fs, io};

use anyhow::{Context, Result, ensure};
use corewarden::shared_memory::Window;
use rpmsg::SharedMemory as _;
use rustix::{
    system::{RebootCommand, reboot},
    termios::tcdrain,
};

use crate::memory::number;

/// Starts the kernel that lies at one address of RAM that this Linux leaves alone, with the initramfs at the other one. The
/// next Linux gets the device tree and the command line that this one was booted with, and lies where this one did.
pub(crate) fn run(kernel: &str, initrd: &str) -> Result<()> {
    let (kernel, initrd) = (number(kernel)?, number(initrd)?);
    let header = read(kernel, PAGE)?;
    ensure!(
        header.get(56..60) == Some(b"ARM\x64"),
        "no kernel at {kernel:#x}"
    );
    let size = header.get(16..24).and_then(|size| size.try_into().ok());
    let size = u64::from_le_bytes(size.context("a size")?);
    let (initrd_at, initrd_size) = initrd_of(&fs::read_to_string("/proc/cmdline")?)?;
    let parts = [
        (KERNEL, read(kernel, size)?),
        (initrd_at, read(initrd, initrd_size)?),
        (DEVICE_TREE, fs::read("/sys/firmware/fdt")?),
        (ENTRY, entry()),
    ];
    take(&parts)?;
    println!("kexec begins");
    // What the console has not sent by now would be lost, and the next Linux' first line would stand behind it.
    tcdrain(io::stdout())?;
    reboot(RebootCommand::Kexec)?;
    Ok(())
}

/// Where the boot loader put this Linux' initramfs, and how long it is.
fn initrd_of(command_line: &str) -> Result<(u64, u64)> {
    let words = &mut command_line.split_ascii_whitespace();
    let initrd = words.find_map(|word| word.strip_prefix("initrd="));
    let (at, size) = initrd
        .and_then(|initrd| initrd.split_once(','))
        .context("no initramfs on the command line")?;
    Ok((number(at)?, number(size)?))
}

fn read(at: u64, size: u64) -> Result<Vec<u8>> {
    let size = usize::try_from(size)?;
    let window = Window::dev_mem(at, size.next_multiple_of(PAGE as usize))?;
    let mut bytes = vec![0; size];
    window.copy_out(0, &mut bytes);
    Ok(bytes)
}

/// What a boot loader does last (Documentation/arch/arm64/booting.rst): the address of the device tree into x0, zero into
/// x1 to x3, and a jump to the kernel.
fn entry() -> Vec<u8> {
    let code: [u32; 6] = [
        0x5800_00c0, // ldr x0, the first address
        0x5800_00e4, // ldr x4, the second one
        0xaa1f_03e1, // mov x1, xzr
        0xaa1f_03e2, // mov x2, xzr
        0xaa1f_03e3, // mov x3, xzr
        0xd61f_0080, // br x4
    ];
    let addresses = [DEVICE_TREE, KERNEL].map(u64::to_le_bytes);
    let code = code.iter().flat_map(|word| word.to_le_bytes());
    code.chain(addresses.into_iter().flatten()).collect()
}

/// Hands the parts of the next Linux to this one, each with the address at which it is to lie; the last is entered.
fn take(parts: &[(u64, Vec<u8>)]) -> Result<()> {
    let segments: Vec<Segment> = parts
        .iter()
        .map(|(at, bytes)| Segment {
            buffer: bytes.as_ptr().cast(),
            length: bytes.len(),
            at: *at as usize,
            size: bytes.len().next_multiple_of(PAGE as usize),
        })
        .collect();
    // SAFETY: kexec_load(2) only reads: so many segments from a live vector, and from each as many bytes as the vector
    // behind it has, which `parts` keeps. What lies in this Linux' own memory is left as it is until the reboot.
    let taken = unsafe {
        libc::syscall(
            libc::SYS_kexec_load,
            ENTRY,
            segments.len(),
            segments.as_ptr(),
            0_u64,
        )
    };
    ensure!(
        taken == 0,
        "kexec_load: {}",
        std::io::Error::last_os_error()
    );
    Ok(())
}

/// `struct kexec_segment` of linux/kexec.h.
#[repr(C)]
struct Segment {
    buffer: *const c_void,
    length: usize,
    at: usize,
    size: usize,
}

const PAGE: u64 = 0x1000;
// Where the test bed boots Linux, and free RAM behind its initramfs.
const KERNEL: u64 = 0x6000_0000;
const DEVICE_TREE: u64 = 0x7000_0000;
const ENTRY: u64 = 0x7010_0000;
