//! The rules of a platform file, from the outside in.

use ta_protocol::MAX_ROOTS;

use crate::{
    Area, AreaName, Core, Error, File, Isolation, MAX_CORES, MAX_NAME, MAX_REGIONS, MAX_SIZE,
    MAX_SLOTS, Owner, PAGE, Span, core::RPMSG,
};

pub(crate) fn file(file: &File) -> Result<(), Error> {
    name(&file.name, Owner::Platform)?;
    slots(file)?;
    if file.cores.is_empty() || file.cores.len() > MAX_CORES {
        return Err(Error::CountOfCores {
            count: file.cores.len(),
            limit: MAX_CORES,
        });
    }
    let mut next = Some(0);
    for (index, core) in indexed(&file.cores) {
        if next.is_none_or(|next| core.id < next) {
            return Err(Error::CoreIds {
                core: index,
                id: core.id,
            });
        }
        next = core.id.checked_add(1);
        if file.cores.iter().take(index).any(|c| c.name == core.name) {
            return Err(Error::Name {
                owner: Owner::Core(index),
            });
        }
        one_core(index, core)?;
    }
    disjoint(&file.cores)
}

/// The bit of a signature slot in a set of slots.
pub(crate) fn slot_bit(slot: u8) -> u32 {
    1_u32.checked_shl(u32::from(slot)).unwrap_or(0)
}

fn slots(file: &File) -> Result<(), Error> {
    if file.roots.is_empty() || file.roots.len() > MAX_ROOTS {
        return Err(Error::CountOfRoots {
            count: file.roots.len(),
            limit: MAX_ROOTS,
        });
    }
    for (index, root) in indexed(&file.roots) {
        if root.slot >= MAX_SLOTS {
            return Err(Error::Slot { slot: root.slot });
        }
        let leaves = root
            .file
            .split('/')
            .any(|part| matches!(part, "" | "." | ".."));
        let repeated = file.roots.iter().take(index).any(|r| r == root);
        if leaves || repeated {
            return Err(Error::RootFile { root: index });
        }
    }
    for (index, slot) in indexed(&file.required_slots) {
        let repeated = file.required_slots.iter().take(index).any(|s| s == slot);
        if repeated || !file.roots.iter().any(|root| root.slot == *slot) {
            return Err(Error::Slot { slot: *slot });
        }
    }
    // A device that requires no signature would load anything.
    if file.required_slots.is_empty() {
        return Err(Error::Slot { slot: 0 });
    }
    Ok(())
}

fn one_core(index: usize, core: &Core) -> Result<(), Error> {
    name(&core.name, Owner::Core(index))?;
    name(&core.doorbell, Owner::Doorbell(index))?;
    if core.isolation == Isolation::InsecureNone && !core.name.contains("insecure") {
        return Err(Error::InsecureName { core: index });
    }
    let repeats = |(at, login)| core.logins.iter().take(at).any(|other| other == login);
    if core.logins.is_empty() || indexed(&core.logins).any(repeats) {
        return Err(Error::Logins { core: index });
    }
    if core.regions.is_empty() || core.regions.len() > MAX_REGIONS {
        return Err(Error::CountOfRegions {
            core: index,
            count: core.regions.len(),
            limit: MAX_REGIONS,
        });
    }
    for (at, region) in indexed(&core.regions) {
        let owner = Owner::Region(index, at);
        name(&region.name, owner)?;
        if core.regions.iter().take(at).any(|r| r.name == region.name) {
            return Err(Error::Name { owner });
        }
        memory(index, region.device, region.size)?;
        memory(index, region.physical, region.size)?;
    }
    memory(index, core.shared.device, core.shared.size)?;
    memory(index, core.shared.physical, core.shared.size)?;
    areas(index, core)?;
    // Two bytes are the shortest instruction of every architecture named.
    if let Some(address) = core.boot_address.filter(|address| {
        !core.regions.iter().any(|region| {
            let spans = (region.device_span(), Span::new(*address, 2));
            matches!(spans, (Some(region), Some(first)) if region.contains(&first))
        })
    }) {
        return Err(Error::BootAddress {
            core: index,
            address,
        });
    }
    let mut last = 0;
    for id in &core.table.further_vdevs {
        if *id <= last || *id == RPMSG {
            return Err(Error::VirtioIds { core: index });
        }
        last = *id;
    }
    Ok(())
}

fn name(name: &str, owner: Owner) -> Result<(), Error> {
    let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'-' | b'.');
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(allowed) {
        return Err(Error::Name { owner });
    }
    Ok(())
}

fn memory(core: usize, address: u64, size: u64) -> Result<(), Error> {
    let aligned = |value: u64| value.checked_rem(PAGE) == Some(0);
    if !aligned(address) || !aligned(size) || size > MAX_SIZE || Span::new(address, size).is_none()
    {
        return Err(Error::Range {
            core,
            address,
            size,
        });
    }
    Ok(())
}

fn areas(core: usize, of: &Core) -> Result<(), Error> {
    let window = &of.shared;
    let areas = [
        (AreaName::Table, window.table),
        (AreaName::Trace, window.trace),
        (AreaName::Vrings, window.vrings),
        (AreaName::Buffers, window.buffers),
    ];
    for (at, (name, area)) in indexed(&areas) {
        let fits = area_fits(*area, window.size);
        let right = match name {
            // Linux rewrites up to 1 KiB of it, and the generation lines follow the table: a page, no more.
            AreaName::Table => area.size == PAGE,
            // A core may have no trace at all.
            AreaName::Trace => true,
            AreaName::Vrings | AreaName::Buffers => area.size > 0,
        };
        if !fits || !right {
            return Err(Error::AreaRange {
                core,
                area: *name,
                offset: area.offset,
                size: area.size,
            });
        }
        for (other_name, other) in areas.iter().take(at) {
            let spans = (
                Span::new(other.offset, other.size),
                Span::new(area.offset, area.size),
            );
            if matches!(spans, (Some(one), Some(two)) if one.overlaps(&two)) {
                return Err(Error::AreaOverlap {
                    core,
                    one: *other_name,
                    two: *name,
                });
            }
        }
    }
    Ok(())
}

fn area_fits(area: Area, window: u64) -> bool {
    let aligned = |value: u64| value.checked_rem(PAGE) == Some(0);
    aligned(area.offset)
        && aligned(area.size)
        && area
            .offset
            .checked_add(area.size)
            .is_some_and(|end| end <= window)
}

/// No two memories of the platform overlap physically, and none of one core in its own addresses.
fn disjoint(cores: &[Core]) -> Result<(), Error> {
    let mut pairs = memories(cores);
    while let Some((core, device, physical)) = pairs.next() {
        for (other, other_device, other_physical) in pairs.clone() {
            if physical.overlaps(&other_physical) {
                return Err(Error::Overlap {
                    core,
                    other,
                    address: other_physical.start(),
                });
            }
            if core == other && device.overlaps(&other_device) {
                return Err(Error::Overlap {
                    core,
                    other,
                    address: other_device.start(),
                });
            }
        }
    }
    Ok(())
}

/// Every region and window of every core: core, device addresses, physical addresses.
fn memories(cores: &[Core]) -> impl Iterator<Item = (usize, Span, Span)> + Clone {
    indexed(cores).flat_map(|(index, core)| {
        let regions = core
            .regions
            .iter()
            .map(|region| (region.device_span(), region.physical_span()));
        let window = (core.shared.device_span(), core.shared.physical_span());
        regions
            .chain([window])
            .filter_map(move |(device, physical)| Some((index, device?, physical?)))
    })
}

/// Each item with its index. `enumerate` counts beyond every slice's length, and so could overflow and panic.
fn indexed<T>(items: &[T]) -> impl Iterator<Item = (usize, &T)> + Clone {
    (0..items.len()).zip(items)
}
