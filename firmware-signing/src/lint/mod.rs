//! What would keep an ELF from running on a core: all of it at once, each with the line that mends it.
//!
//! Signing stops at the first rule that an image breaks. Whoever writes a linker script wants the whole list, and before there is a
//! key at hand. What signing refuses, lint calls an error; what would load but hardly run, it calls a warning.

mod finding;
mod memory;
mod table;
mod vectors;

use firmware_bundle::MAX_BUILD_ID;
use platform::{Core, Region};

pub use finding::{Finding, Rule, Severity};

use crate::Error;
use crate::elf::{self, Image, Surveyed};
use crate::place;

/// Everything that is wrong with `elf` on `core`, in the order of its memory; nothing where it can be signed and has no oddity.
///
/// # Errors
/// What makes the file unreadable: it is no ELF, or cut off.
pub fn lint(elf: &[u8], core: &Core) -> Result<Vec<Finding>, Error> {
    let Surveyed { image, faults } = Surveyed::read(elf)?;
    let subject = Subject {
        image: &image,
        core,
    };
    // Whatever else an image for another processor breaks says nothing.
    if let Err(error) = place::fits(image.machine(), core) {
        return Ok(vec![Finding::of(Rule::Architecture, &error)]);
    }
    let mut findings = memory::faults(&subject, &faults);
    findings.extend(memory::segments(&subject));
    findings.extend(vectors::beginning(&subject));
    findings.extend(table::resource_table(&subject));
    let refused = |finding: &Finding| finding.severity() == Severity::Error;
    if !findings.iter().any(refused) {
        findings.extend(build_id(&image));
        if let Err(error) = place::place(&image, core) {
            findings.push(Finding::of(Rule::NotLoadable, &error));
        }
    }
    Ok(findings)
}

/// The one thing of the ELF besides its memory that a manifest may have no room for.
fn build_id(image: &Image<'_>) -> Option<Finding> {
    let length = image.build_id()?.len();
    if length <= MAX_BUILD_ID {
        return None;
    }
    let error = Error::Bundle(firmware_bundle::Error::BuildIdLength {
        // As the manifest's writer has it: what does not fit its field is u8::MAX.
        length: u8::try_from(length).unwrap_or(u8::MAX),
    });
    Some(Finding {
        fix: format!("-Wl,--build-id=sha1, or another build id of at most {MAX_BUILD_ID} bytes"),
        ..Finding::of(Rule::NotLoadable, &error)
    })
}

/// What is looked at.
struct Subject<'a> {
    image: &'a Image<'a>,
    core: &'a Core,
}

impl<'a> Subject<'a> {
    /// The segments that become the core's own memory: all but the resource table's.
    fn loaded(&self) -> Vec<&'a elf::Segment> {
        place::loaded(self.image)
    }

    /// The private region that is nearest to an address.
    fn nearest_region(&self, address: u64) -> Option<&'a Region> {
        let distance = |region: &&Region| {
            let end = region.device().saturating_add(region.size());
            region
                .device()
                .saturating_sub(address)
                .max(address.saturating_sub(end))
        };
        self.core.private_regions().iter().min_by_key(distance)
    }

    /// The MEMORY line of a linker script for a region.
    fn memory_line(&self, region: &Region) -> String {
        format!(
            "MEMORY {{ {} : ORIGIN = {:#x}, LENGTH = {:#x} }}",
            identifier(region.name()),
            region.device(),
            region.size()
        )
    }
}

/// A region's name as linker scripts write them.
fn identifier(name: &str) -> String {
    name.to_uppercase().replace(['-', '.'], "_")
}
