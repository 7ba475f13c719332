//! Where an image goes on a core, judged before anything is signed.
//!
//! The TA asks the same of the manifest (formats/admission). Here the ELF is still at hand, so the answer can name its program
//! headers and the linker-script line that cures it, and can look into the vector table, which the TA never does.

use firmware_bundle::{Access, Segment};
use platform::{Architecture, Core};
use resource_table::Table;

use crate::Error;
use crate::elf::{self, Image, Machine};

/// What of an image is loaded, and what is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed<'a> {
    /// Segments by device address; the resource table's is not among them.
    pub segments: Vec<Segment>,
    /// Device address of the vector table, on cores that have one.
    pub vector_table: Option<u64>,
    /// Device address and bytes of the resource table.
    pub resource_table: Option<(u64, &'a [u8])>,
}

/// Judges every segment, the entry, the vector table and the place of the resource table.
pub fn place<'a>(image: &Image<'a>, core: &Core) -> Result<Placed<'a>, Error> {
    fits(image.machine(), core)?;
    let table = resource_table(image, core)?;
    let loaded = loaded(image);
    if loaded.is_empty() {
        return Err(Error::ElfNothingToLoad);
    }
    for segment in &loaded {
        private(segment, core)?;
    }
    let vector_table = vector_table(image, &loaded, core)?;
    let entry = match image.machine() {
        // The lowest bit says Thumb.
        Machine::Arm => image.entry() & !1,
        _ => image.entry(),
    };
    if !executable_at(&loaded, entry) {
        return Err(Error::EntryOutside { entry });
    }
    Ok(Placed {
        segments: loaded
            .into_iter()
            .map(manifest_segment)
            .collect::<Result<_, _>>()?,
        vector_table,
        resource_table: table.map(|table| (table_page(core), table.bytes())),
    })
}

/// The name used in reports.
pub(crate) fn name_of(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::Aarch64 => "aarch64",
        Architecture::ArmA => "arm-a",
        Architecture::ArmM => "arm-m",
        Architecture::ArmR => "arm-r",
        Architecture::Riscv32 => "riscv32",
        Architecture::Riscv64 => "riscv64",
    }
}

/// The segments that become the core's own memory: all but the resource table's.
pub(crate) fn loaded<'i>(image: &'i Image<'_>) -> Vec<&'i elf::Segment> {
    let own_segment = image.resource_table().and_then(|table| table.segment);
    let segments = image.segments().iter().enumerate();
    let others = segments.filter(|(index, _)| Some(*index) != own_segment);
    others.map(|(_, segment)| segment).collect()
}

/// Whether the image is for the core's processor.
pub(crate) fn fits(machine: Machine, core: &Core) -> Result<(), Error> {
    let wanted = match core.architecture() {
        Architecture::Aarch64 => Machine::Aarch64,
        Architecture::ArmA | Architecture::ArmM | Architecture::ArmR => Machine::Arm,
        Architecture::Riscv32 => Machine::Riscv32,
        Architecture::Riscv64 => Machine::Riscv64,
    };
    if machine != wanted {
        return Err(Error::CoreArchitecture {
            image: machine,
            core: core.id(),
            architecture: core.architecture(),
        });
    }
    Ok(())
}

fn private(segment: &elf::Segment, core: &Core) -> Result<(), Error> {
    let (number, from, to) = (segment.header, segment.address, segment.end());
    if core.touches_shared(from, segment.memory_size) {
        return Err(Error::SegmentInSharedWindow {
            segment: number,
            from,
            to,
        });
    }
    if core.private_region(from, segment.memory_size).is_none() {
        let first = core.private_regions().first();
        let (region, size) = first.map_or((0, 0), |region| (region.device(), region.size()));
        return Err(Error::SegmentOutside {
            segment: number,
            from,
            to,
            region,
            region_end: region.saturating_add(size),
        });
    }
    Ok(())
}

fn resource_table<'a>(image: &Image<'a>, core: &Core) -> Result<Option<Table<'a>>, Error> {
    let Some(table) = image.resource_table() else {
        return Ok(None);
    };
    let page = table_page(core);
    if table.address != page {
        return Err(Error::ResourceTablePlace {
            address: table.address,
            page,
        });
    }
    let end = page.saturating_add(platform::PAGE);
    for (index, segment) in image.segments().iter().enumerate() {
        let own = Some(index) == table.segment;
        // Its own segment may hold nothing else: what is dropped with it would be missing on the core.
        let alone = own
            && segment.address == page
            && segment.file.len() <= table.file.len()
            && segment.end() <= end;
        if !alone && segment.address < end && segment.end() > page {
            return Err(Error::ResourceTableNotAlone {
                address: page,
                segment: segment.header,
                from: segment.address,
                to: segment.end(),
            });
        }
    }
    let table = Table::from_section(image.slice(&table.file))?;
    // What the TA would refuse is refused here.
    table.sanitise(core)?;
    Ok(Some(table))
}

/// Where the resource table belongs.
pub(crate) fn table_page(core: &Core) -> u64 {
    let window = core.shared();
    window.device().saturating_add(window.table().offset())
}

/// Looks where the core will look first (Armv7-M B1.5.3: initial stack pointer, then reset vector).
fn vector_table(
    image: &Image<'_>,
    loaded: &[&elf::Segment],
    core: &Core,
) -> Result<Option<u64>, Error> {
    let begins = |address| {
        loaded
            .iter()
            .find(|segment| segment.address == address && segment.executable)
    };
    if let Some(address) = core.boot_address()
        && begins(address).is_none()
    {
        return Err(Error::NothingAtBootAddress { address });
    }
    if core.architecture() != Architecture::ArmM {
        return Ok(None);
    }
    let first_code = loaded.iter().find(|segment| segment.executable);
    let table = core
        .boot_address()
        .or(first_code.map(|segment| segment.address))
        .ok_or(Error::EntryOutside {
            entry: image.entry() & !1,
        })?;
    let words = begins(table)
        .and_then(|segment| image.slice(&segment.file).first_chunk::<8>())
        .ok_or(Error::VectorTableMissing { table })?;
    let [a, b, c, d, e, f, g, h] = *words;
    let stack = u64::from(u32::from_le_bytes([a, b, c, d]));
    let reset = u64::from(u32::from_le_bytes([e, f, g, h]));
    if reset & 1 == 0 || !executable_at(loaded, reset & !1) {
        return Err(Error::VectorTableReset { table, reset });
    }
    // A stack grows down from its pointer, so the word below it must be the core's own.
    let below = stack.checked_sub(4).filter(|_| stack % 4 == 0);
    if below.is_none_or(|word| core.private_region(word, 4).is_none()) {
        return Err(Error::VectorTableStack { table, stack });
    }
    Ok(Some(table))
}

/// Whether an instruction at `address` is among the signed bytes of an executable segment.
pub(crate) fn executable_at(segments: &[&elf::Segment], address: u64) -> bool {
    segments.iter().any(|segment| {
        let offset = address.checked_sub(segment.address);
        segment.executable && offset.is_some_and(|at| at < segment.file.len() as u64)
    })
}

fn manifest_segment(segment: &elf::Segment) -> Result<Segment, Error> {
    let bits = u32::from(segment.executable)
        | u32::from(segment.writable) << 1
        | u32::from(segment.readable) << 2;
    Ok(Segment {
        address: segment.address,
        memory_size: segment.memory_size,
        file_offset: segment.file.start as u64,
        file_size: segment.file.len() as u64,
        access: Access::from_bits(bits).ok_or(Error::ElfHeader)?,
    })
}
