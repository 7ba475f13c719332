//! OP-TEE for QEMU's `virt`, with our PTA from outside of its tree and our TA inside its image.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

use super::{
    Builder, OpteeVariant, TA_UUID,
    fip::{self, Image},
    inputs::{Inputs, is_fresh, mark_fresh, mark_stale},
    trusted_firmware::{self, TrustedFirmware, compiler_version, jobs},
    write_whole,
};
use crate::{Result, process::system_command};

/// The flash image of a variant, built if an input changed. The caller holds the build folder's lock.
pub(super) fn flash(builder: &Builder<'_>, variant: &OpteeVariant) -> Result<PathBuf> {
    let tfa = trusted_firmware::obtain(builder)?;
    let key = builder.folder().join("optee/ta-key.pem");
    if !key.exists() {
        builder.new_ta_key(&key)?;
    }
    let pta = builder.workspace.join("tools/testbed/pta");
    let mut inputs = Inputs::new()
        .text(&tfa.stamp)
        .text(&builder.assets.optee_source.to_string_lossy())
        .text(&FLAGS.join(" "))
        .text(&compiler_version()?)
        .text(&variant.pta_defines.join(" "))
        .file(&key)?
        .folder(&pta)?;
    if let Some(ta) = &variant.ta {
        inputs = inputs.file(ta)?;
    }
    let stamp = inputs.stamp();
    let flash = builder
        .folder()
        .join("flash")
        .join(format!("{}.bin", variant.name));
    if is_fresh(&flash, &stamp) {
        return Ok(flash);
    }
    mark_stale(&flash)?;
    let core = make(builder, variant, &pta, &key)?;
    write_whole(&flash, &image(&tfa, &core)?)?;
    mark_fresh(&flash, &stamp)?;
    Ok(flash)
}

/// Runs OP-TEE's own makefile; the answer is the folder that has the core's images.
fn make(builder: &Builder<'_>, variant: &OpteeVariant, pta: &Path, key: &Path) -> Result<PathBuf> {
    let objects = builder.folder().join("optee/objects");
    forget_other_trees(builder, &objects)?;
    let mut definitions = String::new();
    for definition in &variant.pta_defines {
        if !definition
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'='))
        {
            bail!("a definition for the PTA must be NAME or NAME=VALUE, not `{definition}`");
        }
        definitions.push_str(&format!(" -D{definition}"));
    }
    let early = early_ta(builder, variant)?;
    let mut command = system_command("make");
    command
        .arg("-f")
        .arg(builder.workspace.join("tools/testbed/optee/Makefile"))
        .arg("-C")
        .arg(&builder.assets.optee_source)
        .arg(format!("-j{}", jobs()))
        .arg(format!("O={}", objects.display()))
        .arg(format!("COREWARDEN_PTA={}", pta.display()))
        .arg(format!(
            "COREWARDEN_PTA_CPPFLAGS={}",
            definitions.trim_start()
        ))
        .arg(format!(
            "EARLY_TA_PATHS={}",
            early
                .map(|path| path.display().to_string())
                .unwrap_or_default()
        ))
        .arg(format!("TA_SIGN_KEY={}", key.display()))
        .args(FLAGS);
    let name = &variant.name;
    builder.run(
        &format!("building OP-TEE ({name})"),
        &mut command,
        &format!("optee-{name}"),
    )?;
    Ok(objects.join("core"))
}

/// Objects name the source tree by its full path: those of another one are of no use and only lead to confusion.
fn forget_other_trees(builder: &Builder<'_>, objects: &Path) -> Result<()> {
    let note = builder.folder().join("optee/built-from");
    let tree = builder.assets.optee_source.display().to_string();
    if objects.exists() && fs::read_to_string(&note).is_ok_and(|found| found != tree) {
        fs::remove_dir_all(objects)
            .with_context(|| format!("cannot remove {}", objects.display()))?;
    }
    write_whole(&note, tree.as_bytes())
}

/// OP-TEE takes a TA's UUID from its file name. One path serves all variants, so that only its contents change.
fn early_ta(builder: &Builder<'_>, variant: &OpteeVariant) -> Result<Option<PathBuf>> {
    let Some(ta) = &variant.ta else {
        return Ok(None);
    };
    let path = builder
        .folder()
        .join("optee/early")
        .join(format!("{TA_UUID}.stripped.elf"));
    let bytes = fs::read(ta).with_context(|| format!("cannot read {}", ta.display()))?;
    if fs::read(&path).ok().as_ref() != Some(&bytes) {
        write_whole(&path, &bytes)?;
    }
    Ok(Some(path))
}

fn image(tfa: &TrustedFirmware, core: &Path) -> Result<Vec<u8>> {
    let part = |name: &str| {
        let path = core.join(name);
        fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let header = part("tee-header_v2.bin")?;
    let pager = part("tee-pager_v2.bin")?;
    let images = [
        (fip::BL2, &tfa.bl2),
        (fip::BL31, &tfa.bl31),
        (fip::BL32, &header),
        (fip::BL32_EXTRA1, &pager),
    ];
    let images = images.map(|(uuid, bytes)| Image { uuid, bytes });
    Ok(fip::flash(&tfa.bl1, &images))
}

/// Early TAs are switched on whether there is one or not: the configuration is in every object. The last 2 MiB of
/// secure RAM are the core's.
const FLAGS: [&str; 12] = [
    "CROSS_COMPILE=aarch64-linux-gnu-",
    "PLATFORM=vexpress-qemu_armv8a",
    "CFG_ARM64_core=y",
    "CFG_USER_TA_TARGETS=ta_arm64",
    "CFG_ARM_GICV3=y",
    // Every core QEMU emulates here has the instructions; without them SHA-256 takes three times as long.
    "CFG_CRYPTO_WITH_CE=y",
    "CFG_VIRTUALIZATION=n",
    "CFG_TEE_CORE_LOG_LEVEL=3",
    "CFG_BUILD_IN_TREE_TA=n",
    "CFG_EARLY_TA=y",
    "CFG_TZDRAM_SIZE=0x00d00000",
    "DEBUG=0",
];
