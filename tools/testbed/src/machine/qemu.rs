//! The command lines of QEMU A (Linux and OP-TEE) and QEMU B (the core).

use std::ffi::OsString;
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::process::Command;

use super::config::{Config, SUCCESSOR};
use super::error::{Doing, Fault};
use super::memory::{CORE_RAM_SIZE, Memory, PRIVATE_OFFSET};

/// Our ends of A's channels are elsewhere; these are the ends A inherits.
pub(super) struct BoardEnds {
    pub(super) console: OwnedFd,
    pub(super) doorbell: OwnedFd,
    pub(super) monitor: OwnedFd,
    pub(super) qtest: OwnedFd,
}

/// The ends B inherits.
pub(super) struct CoreEnds {
    pub(super) uart: OwnedFd,
    pub(super) qtest: OwnedFd,
}

impl BoardEnds {
    pub(super) fn into_inherited(self) -> Vec<OwnedFd> {
        vec![self.console, self.doorbell, self.monitor, self.qtest]
    }
}

impl CoreEnds {
    pub(super) fn into_inherited(self) -> Vec<OwnedFd> {
        vec![self.uart, self.qtest]
    }
}

/// A, stopped before its first instruction: TF-A and OP-TEE from flash, kernel and initramfs put into RAM.
pub(super) fn board(config: &Config, ends: &BoardEnds) -> Result<Command, Fault> {
    let initrd_size = fs::metadata(&config.initrd)
        .doing("look at the initramfs")?
        .len();
    let mut append = format!(
        "console=ttyAMA0 panic=-1 rdinit=/init initrd={INITRD_ADDRESS:#x},{initrd_size} quiet"
    );
    if config.successor {
        // RAM begins at 1 GiB.
        append.push_str(&format!(" mem={}M", (SUCCESSOR[0] >> 20) - 1024));
    }
    if !config.append.is_empty() {
        append.push(' ');
        append.push_str(&config.append);
    }
    let mut command = config.qemu.aarch64();
    command.args(["-nodefaults", "-display", "none", "-monitor", "none", "-S"]);
    command.args([
        "-machine",
        "virt,secure=on,gic-version=3,aux-ram-share=on",
        "-accel",
        "tcg",
    ]);
    command.args([
        "-cpu",
        "cortex-a57",
        "-smp",
        "2",
        "-m",
        "1024M,slots=1,maxmem=2G",
    ]);
    command.arg("-bios").arg(&config.flash);
    command
        .arg("-device")
        .arg(loaded(&config.kernel, KERNEL_ADDRESS));
    command
        .arg("-device")
        .arg(loaded(&config.initrd, INITRD_ADDRESS));
    if config.successor {
        let [kernel, initrd] = SUCCESSOR;
        command.arg("-device").arg(loaded(&config.kernel, kernel));
        command.arg("-device").arg(loaded(&config.initrd, initrd));
    }
    // -append is refused without -kernel; the kernel proper is already in RAM.
    command.args(["-kernel", "/dev/null", "-append", &append]);
    command
        .args(channel("con", &ends.console))
        .args(["-serial", "chardev:con"]);
    command
        .arg("-serial")
        .arg(option("file:", &config.logs.join(SECURE_LOG)));
    command
        .arg("-device")
        .arg(format!("pcie-root-port,id={CARD_SLOT}"));
    command.args(["-device", "virtio-serial-pci"]);
    command.args(channel("db", &ends.doorbell));
    command.args(["-device", "virtserialport,chardev=db,name=coproc.db,nr=1"]);
    command
        .args(channel("qmp", &ends.monitor))
        .args(["-mon", "chardev=qmp,mode=control"]);
    command.args(channel("qt", &ends.qtest)).args([
        "-qtest",
        "chardev:qt",
        "-qtest-log",
        "/dev/null",
    ]);
    command.args(&config.extra);
    Ok(command)
}

/// B, running at once from the memory the secure world has filled.
pub(super) fn core(config: &Config, memory: &Memory, ends: &CoreEnds) -> Command {
    let ram = format!(
        "memory-backend-file,id=psram,size={CORE_RAM_SIZE},mem-path={},offset={PRIVATE_OFFSET},share=on",
        memory.path()
    );
    let mut command = config.qemu.arm();
    command.args([
        "-nodefaults",
        "-display",
        "none",
        "-monitor",
        "none",
        "-accel",
        "tcg",
    ]);
    command.args(["-M", "mps2-an386,memory-backend=psram", "-object", &ram]);
    command
        .arg("-global")
        .arg(format!("armv7m.init-nsvtor={CORE_BOOT_ADDRESS:#x}"));
    command
        .args(channel("u0", &ends.uart))
        .args(["-serial", "chardev:u0"]);
    command.args(channel("qt", &ends.qtest)).args([
        "-qtest",
        "chardev:qt",
        "-qtest-log",
        "/dev/null",
    ]);
    command
}

/// Where the window is plugged in as a PCI device.
pub(super) const CARD_SLOT: &str = "riser";
/// Where the core fetches its vector table.
pub(super) const CORE_BOOT_ADDRESS: u32 = 0x2100_0000;
/// The secure world's console, written by QEMU itself.
pub(super) const SECURE_LOG: &str = "secure.log";

/// TF-A is built to enter the kernel here.
const KERNEL_ADDRESS: u64 = 0x6000_0000;
const INITRD_ADDRESS: u64 = 0x6800_0000;

fn channel(id: &str, end: &OwnedFd) -> [String; 2] {
    [
        "-chardev".to_owned(),
        format!("socket,id={id},fd={}", end.as_raw_fd()),
    ]
}

fn loaded(file: &Path, address: u64) -> OsString {
    let mut device = option("loader,file=", file);
    device.push(format!(",addr={address:#x},force-raw=on"));
    device
}

/// A path inside one of QEMU's options, where a comma must be doubled.
fn option(prefix: &str, path: &Path) -> OsString {
    OsString::from(format!(
        "{prefix}{}",
        path.to_string_lossy().replace(',', ",,")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_in_a_path_does_not_end_the_option() {
        assert_eq!(
            loaded(Path::new("/a,b"), 0x10),
            OsString::from("loader,file=/a,,b,addr=0x10,force-raw=on")
        );
    }
}
