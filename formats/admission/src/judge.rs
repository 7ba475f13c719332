//! The judgement itself.

use certificate_chain::{Role as SignerRole, Signer};
use firmware_bundle::{File, Manifest, Plan, Segment, SignatureCheck, Trailer, Verified};
use platform::{Architecture, Core, Platform, Role};
use resource_table::{Sanitised, Table};

use crate::Refusal;

/// The device and core that a bundle is meant for, as the judge sees them.
#[derive(Clone, Copy, Debug)]
pub struct Device<'a> {
    /// The machine.
    pub platform: &'a Platform,
    /// The core, one of the platform's.
    pub core: &'a Core,
    /// The lowest security version that it still takes.
    pub floor: u32,
}

/// Holding an `Admitted` tells you that the bundle's trailer is authentic, that its signer may sign it, and that it keeps
/// every rule of the core it was judged for. What it says of the file's other bytes is proven by following its plan.
#[derive(Clone, Debug)]
pub struct Admitted<'a> {
    digest: [u8; 48],
    signer: Signer,
    manifest: Manifest<'a>,
    table: Option<Sanitised>,
}

impl<'a> Admitted<'a> {
    /// The bundle digest (bundle-format.md 4.2): it names the bundle.
    #[must_use]
    pub fn digest(&self) -> &[u8; 48] {
        &self.digest
    }

    /// Who signed the lowest slot.
    #[must_use]
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest<'a> {
        &self.manifest
    }

    /// The resource table to publish on the window's table page.
    #[must_use]
    pub fn table(&self) -> Option<&Sanitised> {
        self.table.as_ref()
    }

    /// How to load it.
    #[must_use]
    pub fn plan(&self) -> Plan {
        Plan::of(&self.manifest)
    }
}

/// Judges a file for a core, in the order of bundle-format.md 1.13.
///
/// # Errors
/// The first rule that it breaks.
pub fn admit<'a, C>(
    file: &File<'a>,
    check: &C,
    device: &Device<'_>,
) -> Result<Admitted<'a>, Refusal>
where
    C: SignatureCheck<Signer = Signer, Error = certificate_chain::Error>,
{
    let trailer = Trailer::of(file)?;
    let verified = trailer.verify(check).map_err(|refused| Refusal::Chain {
        slot: refused.slot,
        error: refused.error,
    })?;
    let manifest = verified.manifest()?;

    required_slots(device.platform.required_slots(), || {
        verified.signers().map(|(slot, _)| slot)
    })?;
    different_keys(&verified)?;
    // The target first: "for another core" helps more than "its signer may not sign for that core".
    target(&manifest, device)?;
    for (_, signer) in verified.signers() {
        scope(signer, &manifest, device.platform)?;
    }
    floor(&manifest, device.floor)?;
    for (index, segment) in (0..=u8::MAX).zip(manifest.segments()) {
        memory(index, &segment, device.core)?;
    }
    beginning(&manifest, device.core)?;

    let signer = verified.signers().map(|(_, signer)| *signer).next();
    let mut admitted = Admitted {
        digest: *verified.digest(),
        // The reader lets no trailer without a slot through, so this names slot 0 only for the type.
        signer: signer.ok_or(Refusal::SlotMissing { slot: 0 })?,
        manifest,
        table: None,
    };
    table(&manifest, device.core, &mut admitted.table)?;
    Ok(admitted)
}

/// bundle-format.md 12.1
fn required_slots<I: Iterator<Item = u8>>(
    required: u32,
    present: impl Fn() -> I,
) -> Result<(), Refusal> {
    for slot in 0..32u8 {
        let asked = required.checked_shr(slot.into()).unwrap_or(0) & 1 != 0;
        if asked && !present().any(|other| other == slot) {
            return Err(Refusal::SlotMissing { slot });
        }
    }
    Ok(())
}

/// Two signatures are asked for where one stolen key must not be enough (bundle-format.md 12.15).
fn different_keys(verified: &Verified<'_, Signer>) -> Result<(), Refusal> {
    for (slot, signer) in verified.signers() {
        let same = |(other, by): (u8, &Signer)| other < slot && by.key_id == signer.key_id;
        if verified.signers().any(same) {
            return Err(Refusal::SlotsShareKey { slot });
        }
    }
    Ok(())
}

/// What the signer's certificate allows, wherever the bundle is meant to run.
fn scope(signer: &Signer, manifest: &Manifest<'_>, platform: &Platform) -> Result<(), Refusal> {
    if platform.role() == Role::Release && signer.scope.role() != SignerRole::Release {
        return Err(Refusal::DevelopmentSigner); // bundle-format.md 12.2
    }
    for core in manifest.core_ids() {
        if !signer.scope.cores().contains(&core) {
            return Err(Refusal::CoreNotInScope { core }); // bundle-format.md 12.3
        }
    }
    if !signer.scope.classes().contains(manifest.device_class()) {
        return Err(Refusal::DeviceClassNotInScope); // bundle-format.md 12.4
    }
    let version = manifest.security_version();
    let ceiling = signer.scope.ceiling();
    if version > ceiling {
        return Err(Refusal::VersionAboveCeiling { version, ceiling }); // bundle-format.md 12.7
    }
    Ok(())
}

fn target(manifest: &Manifest<'_>, device: &Device<'_>) -> Result<(), Refusal> {
    if *manifest.device_class() != device.platform.device_class().bytes() {
        return Err(Refusal::OtherDeviceClass); // bundle-format.md 12.5
    }
    let core = device.core.id();
    if !manifest.core_ids().any(|id| id == core) {
        return Err(Refusal::OtherCore { core }); // bundle-format.md 12.6
    }
    Ok(())
}

fn floor(manifest: &Manifest<'_>, floor: u32) -> Result<(), Refusal> {
    let version = manifest.security_version();
    if version < floor {
        return Err(Refusal::VersionBelowFloor { version, floor }); // bundle-format.md 12.7
    }
    Ok(())
}

fn memory(index: u8, segment: &Segment, core: &Core) -> Result<(), Refusal> {
    let address = segment.address;
    if segment.access.writable() && segment.access.executable() {
        // bundle-format.md 12.8
        return Err(Refusal::SegmentWritableExecutable {
            segment: index,
            address,
        });
    }
    // bundle-format.md 12.9
    if core.touches_shared(address, segment.memory_size) {
        return Err(Refusal::SegmentInShared {
            segment: index,
            address,
        });
    }
    if core.private_region(address, segment.memory_size).is_none() {
        return Err(Refusal::SegmentOutside {
            segment: index,
            address,
        });
    }
    Ok(())
}

/// Where the core begins to run. Every segment is known to be private here.
fn beginning(manifest: &Manifest<'_>, core: &Core) -> Result<(), Refusal> {
    let boot = core.boot_address();
    if let Some(boot) = boot {
        let begins = manifest
            .segments()
            .any(|segment| segment.address == boot && holds_code(&segment, boot, 1));
        if !begins {
            return Err(Refusal::BootAddress { boot }); // bundle-format.md 12.10
        }
    }

    // bundle-format.md 12.11; bit 0 tells an Arm core to run Thumb code and is no part of the address.
    let entry = manifest.entry();
    let (address, instruction) = match core.architecture() {
        Architecture::ArmM | Architecture::ArmA | Architecture::ArmR => (entry & !1, 2),
        Architecture::Riscv32 | Architecture::Riscv64 => (entry, 2),
        Architecture::Aarch64 => (entry, 4),
    };
    if !in_code(manifest, address, instruction) {
        return Err(Refusal::EntryOutside { entry });
    }

    // bundle-format.md 12.12
    let wanted = match core.architecture() {
        Architecture::ArmM => true,
        Architecture::Aarch64
        | Architecture::ArmA
        | Architecture::ArmR
        | Architecture::Riscv32
        | Architecture::Riscv64 => false,
    };
    match (manifest.vector_table(), boot) {
        (None, _) if wanted => Err(Refusal::VectorTableMissing),
        (Some(address), Some(boot)) if wanted && address != boot => {
            Err(Refusal::VectorTableElsewhere { address, boot })
        }
        (Some(address), _) if !in_code(manifest, address, VECTORS) => {
            Err(Refusal::VectorTableOutside { address })
        }
        (None | Some(_), _) => Ok(()),
    }
}

fn in_code(manifest: &Manifest<'_>, address: u64, size: u64) -> bool {
    manifest
        .segments()
        .any(|segment| holds_code(&segment, address, size))
}

/// Whether `size` bytes at `address` are among the signed bytes of an executable segment.
fn holds_code(segment: &Segment, address: u64, size: u64) -> bool {
    segment.access.executable()
        && segment.address <= address
        && address
            .checked_add(size)
            .is_some_and(|end| end <= segment.loaded_end())
}

/// Writes the table where it stays: the TA's stack is small.
fn table(
    manifest: &Manifest<'_>,
    core: &Core,
    place: &mut Option<Sanitised>,
) -> Result<(), Refusal> {
    let Some((address, bytes)) = manifest.resource_table() else {
        return Ok(());
    };
    let window = core.shared();
    let page = window.device().saturating_add(window.table().offset());
    if address != page {
        return Err(Refusal::TableNotOnItsPage { address, page }); // bundle-format.md 12.13
    }
    // bundle-format.md 12.14
    Ok(Table::parse(bytes)?.sanitise_into(core, place)?)
}

/// The initial stack pointer and the reset vector: what a core of Arm's M profile reads before its first instruction.
const VECTORS: u64 = 8;
