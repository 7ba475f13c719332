//! Trusted Firmware-A for QEMU's `virt`: it knows nothing of the workspace, so it is built once per cache.

use std::{fs, path::PathBuf};

use anyhow::Context;

use super::{Builder, inputs::Inputs};
use crate::{
    Result,
    process::{read, system_command},
};

/// The three parts of TF-A, as built.
pub(super) struct TrustedFirmware {
    pub(super) bl1: Vec<u8>,
    pub(super) bl2: Vec<u8>,
    pub(super) bl31: Vec<u8>,
    /// Names what they were built from.
    pub(super) stamp: String,
}

/// TF-A out of the cache, built first if need be.
pub(super) fn obtain(builder: &Builder<'_>) -> Result<TrustedFirmware> {
    let source = &builder.assets.trusted_firmware_source;
    let stamp = Inputs::new()
        .text(&source.to_string_lossy())
        .text(&FLAGS.join(" "))
        .text(&compiler_version()?)
        .stamp();
    let name = format!("trusted-firmware-{}", stamp.split_at(16).0);
    let folder = builder.assets.cache.path().join("built").join(&name);
    if !folder.exists() {
        let guard = builder.assets.cache.exclusive()?;
        if !folder.exists() {
            let work = builder.assets.cache.partial(&guard, &name)?;
            build(builder, &work)?;
            let parent = folder.parent().context("no folder for TF-A")?;
            fs::create_dir_all(parent)?;
            fs::rename(work.join("qemu/release"), &folder)
                .with_context(|| format!("cannot move TF-A to {}", folder.display()))?;
        }
    }
    let part = |name: &str| {
        let path: PathBuf = folder.join(name);
        fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    Ok(TrustedFirmware {
        bl1: part("bl1.bin")?,
        bl2: part("bl2.bin")?,
        bl31: part("bl31.bin")?,
        stamp,
    })
}

/// What the cross compiler calls itself; another one makes other images.
pub(super) fn compiler_version() -> Result<String> {
    let text = read(system_command("aarch64-linux-gnu-gcc").arg("--version"))
        .context("no cross compiler for arm64: the package gcc-aarch64-linux-gnu is missing")?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn build(builder: &Builder<'_>, work: &std::path::Path) -> Result<()> {
    let mut command = system_command("make");
    command
        .arg("-C")
        .arg(&builder.assets.trusted_firmware_source)
        .arg(format!("-j{}", jobs()))
        .arg(format!("BUILD_BASE={}", work.display()))
        .args(FLAGS)
        .args(["bl1", "bl2", "bl31"]);
    builder.run(
        "building Trusted Firmware-A",
        &mut command,
        "trusted-firmware",
    )
}

/// How many compilers at once.
pub(super) fn jobs() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}

/// Linux directly behind TF-A, OP-TEE in secure RAM, and the interrupt controller that Debian's OP-TEE has too.
const FLAGS: [&str; 8] = [
    "CROSS_COMPILE=aarch64-linux-gnu-",
    "PLAT=qemu",
    "DEBUG=0",
    "SPD=opteed",
    "QEMU_USE_GIC_DRIVER=QEMU_GICV3",
    "BL32_RAM_LOCATION=tdram",
    "ARM_LINUX_KERNEL_AS_BL33=1",
    "PRELOADED_BL33_BASE=0x60000000",
];
