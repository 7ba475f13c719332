//! Segments: where they are, how many, and who may do what with them.

use firmware_bundle::{MAX_IMAGE, MAX_SEGMENTS};

use super::{Finding, Rule, Subject, identifier};
use crate::Error;
use crate::elf::Segment;

/// What is wrong with the segments wherever they are loaded.
pub(super) fn faults(subject: &Subject<'_>, faults: &[Error]) -> Vec<Finding> {
    let found = faults.iter().map(|fault| match *fault {
        Error::ElfSegmentWritableExecutable { segment, address } => {
            let at = subject.image.segments().iter();
            let end = at
                .filter(|one| one.header == segment)
                .map(Segment::end)
                .next();
            Finding {
                addresses: Some((address, end.unwrap_or(address))),
                fix: "PHDRS { text PT_LOAD FLAGS(5); data PT_LOAD FLAGS(6); } with code in :text and data in :data"
                    .to_owned(),
                ..Finding::of(Rule::SegmentWritableExecutable, fault)
            }
        }
        Error::ElfSegmentsOverlap { from, to, .. } => Finding {
            addresses: Some((from, to)),
            fix: format!(". = ALIGN(0x1000); before the second section, so that it begins at {to:#x} or later"),
            ..Finding::of(Rule::SegmentsOverlap, fault)
        },
        Error::ElfSegmentsShareBytes { .. } => Finding::of(Rule::SegmentsShareBytes, fault),
        _ => Finding::of(Rule::NotLoadable, fault),
    });
    found.collect()
}

/// What is wrong with the segments on this core.
pub(super) fn segments(subject: &Subject<'_>) -> Vec<Finding> {
    let loaded = subject.loaded();
    let mut findings = Vec::new();
    for segment in &loaded {
        findings.extend(place_of(subject, segment));
        findings.extend(run_address(subject, segment));
    }
    if loaded.len() > MAX_SEGMENTS {
        findings.push(Finding {
            rule: Rule::SegmentCount,
            message: format!(
                "{} segments are loaded, a bundle has at most {MAX_SEGMENTS}",
                loaded.len()
            ),
            addresses: None,
            fix: "PHDRS { text PT_LOAD FLAGS(5); rodata PT_LOAD FLAGS(4); data PT_LOAD FLAGS(6); } and no more".to_owned(),
        });
    }
    let memory = loaded.iter().map(|segment| segment.memory_size);
    let memory = memory.fold(0, u64::saturating_add);
    if memory > MAX_IMAGE {
        findings.push(Finding {
            rule: Rule::ImageSize,
            message: format!("the segments take {memory} bytes of memory, a bundle at most {MAX_IMAGE}"),
            addresses: None,
            fix: "leave large buffers out of .bss, and take the memory behind it at run time: buffer = ADDR(.bss) + SIZEOF(.bss);"
                .to_owned(),
        });
    }
    findings
}

fn place_of(subject: &Subject<'_>, segment: &Segment) -> Option<Finding> {
    let (number, from, to) = (segment.header, segment.address, segment.end());
    let addresses = Some((from, to));
    let core = subject.core;
    let region = subject.nearest_region(from);
    let fix = region.map_or_else(String::new, |region| {
        format!(
            "{} and its sections > {}",
            subject.memory_line(region),
            identifier(region.name())
        )
    });
    if core.touches_shared(from, segment.memory_size) {
        let window = core.shared();
        let end = window.device().saturating_add(window.size());
        return Some(Finding {
            rule: Rule::SegmentInSharedWindow,
            message: format!(
                "segment {number} ({from:#x}..{to:#x}) lies in the shared window ({:#x}..{end:#x}), which Linux can write",
                window.device()
            ),
            addresses,
            fix: format!("{fix}; vrings and buffers need no section"),
        });
    }
    if core.private_region(from, segment.memory_size).is_some() {
        return None;
    }
    let where_to = region.map_or_else(String::new, |region| {
        let end = region.device().saturating_add(region.size());
        let name = region.name();
        if from >= region.device() && from < end {
            let over = to.saturating_sub(end);
            format!("runs {over:#x} bytes past the private region {name}, which ends at {end:#x}")
        } else {
            format!(
                "is in no private region of the core; the nearest is {name} ({:#x}..{end:#x})",
                region.device()
            )
        }
    });
    Some(Finding {
        rule: Rule::SegmentOutside,
        message: format!("segment {number} ({from:#x}..{to:#x}) {where_to}"),
        addresses,
        fix,
    })
}

/// Startup code copies data from where it is loaded to where it runs; there has to be memory there too.
fn run_address(subject: &Subject<'_>, segment: &Segment) -> Option<Finding> {
    let (runs, size) = (segment.virtual_address, segment.memory_size);
    if runs == segment.address || subject.core.private_region(runs, size).is_some() {
        return None;
    }
    let region = subject.nearest_region(runs)?;
    let end = runs.saturating_add(size);
    Some(Finding {
        rule: Rule::RunAddress,
        message: format!(
            "segment {} is loaded at {:#x} but runs at {runs:#x}..{end:#x}, where the core has no private memory",
            segment.header, segment.address
        ),
        addresses: Some((runs, end)),
        fix: format!(
            "{} and > {} for its run address, AT> for its load address",
            subject.memory_line(region),
            identifier(region.name())
        ),
    })
}
