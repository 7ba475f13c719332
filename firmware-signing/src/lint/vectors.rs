//! Where the core begins: boot address, entry, vector table, and the stack that the vector table sets.

use platform::Architecture;

use super::{Finding, Rule, Subject};
use crate::Error;
use crate::elf::{Machine, Segment};
use crate::place::executable_at;

pub(super) fn beginning(subject: &Subject<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let loaded = subject.loaded();
    if let Some(address) = subject.core.boot_address()
        && executable_beginning_at(&loaded, address).is_none()
    {
        findings.push(Finding {
            addresses: Some((address, address.saturating_add(8))),
            fix: format!(".vectors {address:#x} : {{ KEEP(*(.vectors)) }} first in SECTIONS, in an executable segment (FLAGS(5))"),
            ..Finding::of(Rule::BootAddress, &Error::NothingAtBootAddress { address })
        });
    }
    let entry = match subject.image.machine() {
        // The lowest bit says Thumb.
        Machine::Arm => subject.image.entry() & !1,
        _ => subject.image.entry(),
    };
    if !executable_at(&loaded, entry) {
        findings.push(Finding {
            addresses: Some((entry, entry.saturating_add(2))),
            fix: "ENTRY(reset_handler), a function that the linker script puts into .text"
                .to_owned(),
            ..Finding::of(Rule::Entry, &Error::EntryOutside { entry })
        });
    }
    if subject.core.architecture() == Architecture::ArmM {
        findings.extend(vector_table(subject, &loaded, entry));
    }
    findings
}

fn executable_beginning_at<'a>(loaded: &[&'a Segment], address: u64) -> Option<&'a Segment> {
    let mut begins = loaded
        .iter()
        .filter(|segment| segment.address == address && segment.executable);
    begins.next().copied()
}

/// Armv7-M B1.5.3: the initial stack pointer, the reset vector, then one vector for each exception.
fn vector_table(subject: &Subject<'_>, loaded: &[&Segment], entry: u64) -> Vec<Finding> {
    let first_code = loaded.iter().find(|segment| segment.executable);
    let table = subject.core.boot_address();
    let Some(table) = table.or(first_code.map(|segment| segment.address)) else {
        return Vec::new();
    };
    let Some(segment) = executable_beginning_at(loaded, table) else {
        return Vec::new();
    };
    let bytes = subject.image.slice(&segment.file);
    let (words, _) = bytes.as_chunks::<4>();
    let word = |index: usize| {
        words
            .get(index)
            .map(|word| u64::from(u32::from_le_bytes(*word)))
    };
    let (Some(stack), Some(reset)) = (word(0), word(1)) else {
        return vec![Finding {
            addresses: Some((table, table.saturating_add(8))),
            fix: format!(
                ".vectors {table:#x} : {{ KEEP(*(.vectors)) }} with the end of the stack and the reset handler in it"
            ),
            ..Finding::of(
                Rule::VectorTableMissing,
                &Error::VectorTableMissing { table },
            )
        }];
    };
    let mut findings = Vec::new();
    // VTOR has no bits 0 to 6 (Armv7-M B3.2.5).
    if table % 128 != 0 {
        findings.push(Finding {
            rule: Rule::VectorTableAlignment,
            message: format!("the vector table at {table:#x} is not aligned to 128 bytes, as VTOR needs it"),
            addresses: Some((table, table.saturating_add(8))),
            fix: ". = ALIGN(128); before .vectors, or a larger power of two where there are more than 32 vectors".to_owned(),
        });
    }
    findings.extend(stack_pointer(subject, loaded, table, stack));
    let target = reset & !1;
    if reset & 1 == 0 {
        findings.push(Finding {
            rule: Rule::ResetThumb,
            message: format!("the reset vector {reset:#x} (at {:#x}) has no Thumb bit: the core would fault at once", table.saturating_add(4)),
            addresses: Some((table.saturating_add(4), table.saturating_add(8))),
            fix: "make the reset handler a Thumb function: .thumb_func in assembly, or LONG(reset_handler | 1) in .vectors".to_owned(),
        });
    }
    if !executable_at(loaded, target) {
        findings.push(Finding {
            rule: Rule::ResetOutside,
            message: format!("the reset vector {reset:#x} (at {:#x}) leads into no executable segment", table.saturating_add(4)),
            addresses: Some((target, target.saturating_add(2))),
            fix: ".text : { KEEP(*(.text.reset)) *(.text .text.*) } in the segment of the vector table".to_owned(),
        });
    } else if target != entry && executable_at(loaded, entry) {
        findings.push(Finding {
            rule: Rule::EntryNotReset,
            message: format!("the ELF's entry is {entry:#x}, but the core begins at {target:#x}, where the reset vector leads"),
            addresses: Some((entry, entry.saturating_add(2))),
            fix: "ENTRY(reset_handler), the function that the reset vector names".to_owned(),
        });
    }
    for (index, name) in EXCEPTIONS {
        let at = table.saturating_add(4 * *index as u64);
        match word(*index) {
            // The exception is not used, or the table ends before it.
            None | Some(0) => {}
            Some(vector) if vector & 1 == 1 && executable_at(loaded, vector & !1) => {}
            Some(vector) => findings.push(Finding {
                rule: Rule::ExceptionVector,
                message: format!("the {name} vector {vector:#x} (at {at:#x}) is no Thumb address in an executable segment"),
                addresses: Some((at, at.saturating_add(4))),
                fix: "KEEP(*(.vectors)) with 16 words: stack, reset, and a Thumb handler or 0 for each exception".to_owned(),
            }),
        }
    }
    findings
}

fn stack_pointer(
    subject: &Subject<'_>,
    loaded: &[&Segment],
    table: u64,
    stack: u64,
) -> Vec<Finding> {
    let end = subject
        .core
        .private_regions()
        .iter()
        .map(|region| region.device().saturating_add(region.size()));
    let fix = format!(
        "__stack_top = {:#x}; the end of private memory, as the first word of .vectors: LONG(__stack_top)",
        end.max().unwrap_or_default()
    );
    // A stack grows down from its pointer, so the word below it must be the core's own.
    let region = stack
        .checked_sub(4)
        .filter(|_| stack.is_multiple_of(4))
        .and_then(|word| subject.core.private_region(word, 4));
    let Some(region) = region else {
        return vec![Finding {
            addresses: Some((stack.saturating_sub(4), stack)),
            fix,
            ..Finding::of(
                Rule::StackOutside,
                &Error::VectorTableStack { table, stack },
            )
        }];
    };
    let mut findings = Vec::new();
    if !stack.is_multiple_of(8) {
        findings.push(Finding {
            rule: Rule::StackAlignment,
            message: format!("the initial stack pointer {stack:#x} is no multiple of 8"),
            addresses: Some((stack.saturating_sub(4), stack)),
            fix: "__stack_top = ALIGN(8);".to_owned(),
        });
    }
    let around = loaded
        .iter()
        .find(|segment| segment.address < stack && stack <= segment.end());
    let bottom = match around {
        Some(segment) => segment.address.saturating_add(segment.file.len() as u64),
        None => {
            let below = loaded.iter().map(|segment| segment.end());
            let below = below.filter(|end| *end <= stack).max();
            below.unwrap_or(0).max(region.device())
        }
    };
    if let Some(segment) = around
        && (!segment.writable || bottom >= stack && has_values(subject, segment, stack))
    {
        findings.push(Finding {
            rule: Rule::StackOverImage,
            message: format!(
                "the stack grows down from {stack:#x} into segment {} ({:#x}..{:#x}), over what is loaded there",
                segment.header, segment.address, segment.end()
            ),
            addresses: Some((segment.address, stack)),
            fix,
        });
    } else if let Some(room) = stack
        .checked_sub(bottom)
        .filter(|room| *room < LEAST_STACK && *room > 0)
    {
        findings.push(Finding {
            rule: Rule::StackRoom,
            message: format!("{room} bytes of stack between {bottom:#x} and {stack:#x}, fewer than {LEAST_STACK}"),
            addresses: Some((bottom, stack)),
            fix: format!("{fix}; and ASSERT(__bss_end + {LEAST_STACK} <= __stack_top, \"no room for the stack\")"),
        });
    }
    findings
}

/// Whether the bytes just below the stack pointer are more than room that was set aside.
fn has_values(subject: &Subject<'_>, segment: &Segment, stack: u64) -> bool {
    let bytes = subject.image.slice(&segment.file);
    let end = usize::try_from(stack.saturating_sub(segment.address)).unwrap_or(usize::MAX);
    let end = end.min(bytes.len());
    let below = bytes.get(end.saturating_sub(64)..end).unwrap_or_default();
    below.iter().any(|byte| *byte != 0)
}

/// Less is hardly enough for one interrupt and a call or two.
const LEAST_STACK: u64 = 1024;

/// Exceptions of Armv7-M that have a vector; the numbers between them are reserved, and some vendors keep a checksum there.
const EXCEPTIONS: &[(usize, &str)] = &[
    (2, "NMI"),
    (3, "HardFault"),
    (4, "MemManage"),
    (5, "BusFault"),
    (6, "UsageFault"),
    (11, "SVCall"),
    (12, "DebugMonitor"),
    (14, "PendSV"),
    (15, "SysTick"),
];
