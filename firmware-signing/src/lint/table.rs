//! The resource table: its page, its form, and everything it announces against the platform's shared window.

use platform::{Area, OtherEntries, PAGE, Span};
use resource_table::{
    ANY, Entry, MAX_ALIGN, MAX_DESCRIPTORS, MAX_NOTIFY_ID, MIN_ALIGN, Table, Trace, Vdev, Vring,
    vring_size,
};
use rpmsg::{Agreement, BufferSizes, Features};

use super::{Finding, Rule, Severity, Subject};
use crate::Error;
use crate::place::table_page;

pub(super) fn resource_table(subject: &Subject<'_>) -> Vec<Finding> {
    let Some(table) = subject.image.resource_table() else {
        return vec![Finding {
            rule: Rule::ResourceTableMissing,
            message:
                "there is no section .resource_table: the core gets no vrings and no trace buffer"
                    .to_owned(),
            addresses: None,
            fix: format!(
                ".resource_table {:#x} : {{ KEEP(*(.resource_table)) }} :table",
                table_page(subject.core)
            ),
        }];
    };
    let mut findings = page(subject);
    match Table::from_section(subject.image.slice(&table.file)) {
        Ok(read) => findings.extend(entries(subject, &read, table.address)),
        Err(error) => findings.push(Finding {
            addresses: Some((table.address, table.address.saturating_add(table.file.len() as u64))),
            fix: "version 1, the number of entries, two zeros, one offset for each entry, then the entries in that order".to_owned(),
            ..Finding::of(Rule::ResourceTableForm, &Error::ResourceTable(error))
        }),
    }
    findings
}

/// Where the table is, and what is beside it.
fn page(subject: &Subject<'_>) -> Vec<Finding> {
    let Some(table) = subject.image.resource_table() else {
        return Vec::new();
    };
    let page = table_page(subject.core);
    let end = page.saturating_add(PAGE);
    let size = table.file.len() as u64;
    if table.address != page {
        return vec![Finding {
            addresses: Some((table.address, table.address.saturating_add(size))),
            fix: format!(
                ".resource_table {page:#x} : {{ KEEP(*(.resource_table)) }} :table, a PHDRS entry of its own"
            ),
            ..Finding::of(
                Rule::ResourceTablePlace,
                &Error::ResourceTablePlace {
                    address: table.address,
                    page,
                },
            )
        }];
    }
    let mut findings = Vec::new();
    for (index, segment) in subject.image.segments().iter().enumerate() {
        let own = Some(index) == table.segment;
        let alone = own
            && segment.address == page
            && segment.file.len() <= table.file.len()
            && segment.end() <= end;
        if !alone && segment.address < end && segment.end() > page {
            let error = Error::ResourceTableNotAlone {
                address: page,
                segment: segment.header,
                from: segment.address,
                to: segment.end(),
            };
            findings.push(Finding {
                addresses: Some((segment.address.max(page), segment.end().min(end))),
                ..Finding::of(Rule::ResourceTableAlone, &error)
            });
        }
    }
    findings
}

fn entries(subject: &Subject<'_>, table: &Table<'_>, address: u64) -> Vec<Finding> {
    let mut taken = Taken::default();
    let mut findings = Vec::new();
    for entry in table.entries() {
        match entry {
            Entry::Other {
                entry,
                offset,
                kind,
            } if subject.core.table_policy().other_entries() == OtherEntries::Refuse => {
                let at = address.saturating_add(offset.into());
                findings.push(Finding {
                    rule: Rule::ResourceTablePolicy,
                    message: format!(
                        "entry {entry} is of type {kind}, which the platform does not allow"
                    ),
                    addresses: Some((at, at.saturating_add(4))),
                    fix: "leave the entry out: carveouts, device memory and vendor entries are given by the platform file"
                        .to_owned(),
                });
            }
            Entry::Other { .. } => {}
            Entry::Trace(trace) => findings.extend(trace_buffer(subject, &trace, &mut taken)),
            Entry::Vdev(vdev) => findings.extend(device(subject, &vdev, address, &mut taken)),
        }
    }
    // The judge of the TA has the last word: what is left is room for what the secure world places itself.
    let refused = |finding: &Finding| finding.severity() == Severity::Error;
    if !findings.iter().any(refused)
        && let Err(error) = table.sanitise(subject.core)
    {
        let area = area(subject, subject.core.shared().vrings());
        let rule = match error {
            resource_table::Error::VringNoSpace { .. } => Rule::VringSpace,
            resource_table::Error::TraceNoSpace { .. } => Rule::Trace,
            resource_table::Error::NotifyId { .. } => Rule::NotifyId,
            _ => Rule::ResourceTablePolicy,
        };
        findings.push(Finding {
            addresses: area.map(|area| (area.start(), area.end())),
            fix: "fewer descriptors or a smaller alignment in the resource table".to_owned(),
            ..Finding::of(rule, &Error::ResourceTable(error))
        });
    }
    findings
}

/// What the table has taken so far.
#[derive(Default)]
struct Taken {
    vrings: Vec<(u32, Span)>,
    traces: Vec<(u32, Span)>,
    notify_ids: Vec<u32>,
}

fn device(subject: &Subject<'_>, vdev: &Vdev<'_>, table: u64, taken: &mut Taken) -> Vec<Finding> {
    let entry = vdev.entry;
    let at = table.saturating_add(vdev.offset.into());
    let here = Some((at, at.saturating_add(28)));
    let mut findings = Vec::new();
    if !subject.core.table_policy().allows_vdev(vdev.id) {
        findings.push(Finding {
            rule: Rule::ResourceTablePolicy,
            message: format!(
                "entry {entry} announces virtio device {}, which the platform does not allow",
                vdev.id
            ),
            addresses: here,
            fix: "leave the entry out, or name its id in further-vdevs of the platform file"
                .to_owned(),
        });
    }
    let vrings: Vec<Vring> = vdev.vrings().collect();
    if vdev.id == RPMSG && vrings.len() != 2 {
        findings.push(Finding {
            rule: Rule::RpmsgVrings,
            message: format!(
                "entry {entry}: an RPMsg device with {} instead of 2",
                vrings_of(vrings.len())
            ),
            addresses: here,
            fix: ".num_of_vrings = 2 in the resource table".to_owned(),
        });
    }
    let offer = Features::from_bits(vdev.device_features.into());
    if vdev.id == RPMSG && !offer.has(Features::NAME_SERVICE) {
        findings.push(Finding {
            rule: Rule::RpmsgNameService,
            message: format!("entry {entry}: the RPMsg device does not offer the name service, so Linux finds no endpoint of it"),
            addresses: here,
            fix: ".dfeatures = 1 (VIRTIO_RPMSG_F_NS) in the resource table".to_owned(),
        });
    }
    if vdev.notify_id != ANY && vdev.notify_id > MAX_NOTIFY_ID {
        findings.push(notify_id(entry, vdev.notify_id, here));
    }
    for (number, vring) in vrings.iter().enumerate() {
        findings.extend(one_vring(subject, entry, number, vring, table, taken));
    }
    if vdev.id == RPMSG {
        let asked = Features::of_table(vdev.device_features, vdev.config());
        let asked = asked.and_then(|(offer, config)| {
            Agreement::of_driver(offer, config, Features::BUFFER_SIZES)
        });
        match asked {
            Ok(agreed) => {
                let sizes = agreed.sizes().unwrap_or(BUFFER.into());
                findings.extend(buffers(subject, entry, &vrings, sizes));
            }
            Err(error) => findings.push(Finding {
                rule: Rule::RpmsgBufferSizes,
                message: format!("entry {entry}: {error}"),
                addresses: here,
                fix: "bit 1 of .dfeatures with 11 bytes of configuration, { u8 1, u16 11, u32 to Linux, u32 from Linux }, each a multiple of 4 from 20 on; with bit 31 the word of features 32 to 63 behind it".to_owned(),
            }),
        }
    }
    findings
}

fn one_vring(
    subject: &Subject<'_>,
    entry: u32,
    number: usize,
    vring: &Vring,
    table: u64,
    taken: &mut Taken,
) -> Vec<Finding> {
    let at = table.saturating_add(vring.offset.into());
    let here = Some((at, at.saturating_add(20)));
    let name = format!("entry {entry}, vring {number}");
    let mut findings = Vec::new();
    let right_size = vring.descriptors.is_power_of_two() && vring.descriptors <= MAX_DESCRIPTORS;
    if !right_size {
        findings.push(Finding {
            rule: Rule::VringDescriptors,
            message: format!(
                "{name} has {} descriptors, no power of two from 1 to {MAX_DESCRIPTORS}",
                vring.descriptors
            ),
            addresses: here,
            fix: ".num = 16 in the resource table, or another power of two".to_owned(),
        });
    }
    let right_align =
        vring.align.is_power_of_two() && (MIN_ALIGN..=MAX_ALIGN).contains(&vring.align);
    if !right_align {
        findings.push(Finding {
            rule: Rule::VringAlignment,
            message: format!(
                "{name} has alignment {:#x}, no power of two from {MIN_ALIGN:#x} to {MAX_ALIGN:#x}",
                vring.align
            ),
            addresses: here,
            fix: ".align = 0x1000 in the resource table, or a smaller power of two".to_owned(),
        });
    }
    if vring.notify_id != ANY {
        if vring.notify_id > MAX_NOTIFY_ID || taken.notify_ids.contains(&vring.notify_id) {
            findings.push(notify_id(entry, vring.notify_id, here));
        }
        taken.notify_ids.push(vring.notify_id);
    }
    let size = vring_size(vring.descriptors, vring.align).filter(|_| right_size && right_align);
    if let Some(size) = size
        && vring.device_address != ANY
    {
        findings.extend(placed_vring(subject, entry, &name, vring, size, taken));
    }
    findings
}

/// A vring whose address the table itself says.
fn placed_vring(
    subject: &Subject<'_>,
    entry: u32,
    name: &str,
    vring: &Vring,
    size: u64,
    taken: &mut Taken,
) -> Vec<Finding> {
    let from = u64::from(vring.device_address);
    let Some(span) = Span::new(from, size) else {
        return Vec::new();
    };
    let to = span.end();
    let addresses = Some((from, to));
    let area = area(subject, subject.core.shared().vrings());
    let fix = area.map_or_else(String::new, |area| {
        format!(
            ".da = FW_RSC_ADDR_ANY (0xffffffff) in the resource table, or an address in {:#x}..{:#x}",
            area.start(),
            area.end()
        )
    });
    let mut findings = Vec::new();
    if from % u64::from(vring.align) != 0 {
        findings.push(Finding {
            rule: Rule::VringAlignment,
            message: format!(
                "{name} at {from:#x} is not aligned to {:#x}, as it says itself",
                vring.align
            ),
            addresses,
            fix: fix.clone(),
        });
    }
    if let Some(area) = area.filter(|area| !area.contains(&span)) {
        findings.push(Finding {
            rule: Rule::VringOutside,
            message: format!(
                "{name} ({from:#x}..{to:#x}) lies outside the vring area of the shared window ({:#x}..{:#x})",
                area.start(), area.end()
            ),
            addresses,
            fix: fix.clone(),
        });
    }
    for (other, taken) in &taken.vrings {
        if taken.overlaps(&span) {
            findings.push(Finding {
                rule: Rule::VringOverlap,
                message: format!(
                    "{name} ({from:#x}..{to:#x}) overlaps a vring of entry {other} ({:#x}..{:#x})",
                    taken.start(),
                    taken.end()
                ),
                addresses: Some((from.max(taken.start()), to.min(taken.end()))),
                fix: fix.clone(),
            });
        }
    }
    taken.vrings.push((entry, span));
    findings
}

/// Linux takes a buffer for each descriptor of both vrings: ring 0 is the one to Linux.
fn buffers(
    subject: &Subject<'_>,
    entry: u32,
    vrings: &[Vring],
    sizes: BufferSizes,
) -> Option<Finding> {
    let area = area(subject, subject.core.shared().buffers())?;
    let sizes = [sizes.to_driver, sizes.to_device].map(u64::from);
    let counts = vrings.iter().map(|vring| u64::from(vring.descriptors));
    let descriptors = counts.clone().fold(0, u64::saturating_add);
    let needed = counts
        .zip(sizes)
        .map(|(count, size)| count.saturating_mul(size))
        .fold(0, u64::saturating_add);
    if needed <= area.size() {
        return None;
    }
    let pair: u64 = sizes.iter().sum();
    Some(Finding {
        rule: Rule::Buffers,
        message: format!(
            "entry {entry}: {descriptors} descriptors want {needed:#x} bytes of buffers, the buffer area of the shared window ({:#x}..{:#x}) has {:#x}",
            area.start(),
            area.end(),
            area.size()
        ),
        addresses: Some((area.start(), area.end())),
        fix: format!(
            ".num = {} for each vring in the resource table, or a larger buffer area in the platform file",
            largest_power(area.size() / pair)
        ),
    })
}

fn trace_buffer(subject: &Subject<'_>, trace: &Trace, taken: &mut Taken) -> Vec<Finding> {
    let entry = trace.entry;
    let from = u64::from(trace.device_address);
    let area = area(subject, subject.core.shared().trace());
    let fix = area.map_or_else(
        || "leave the entry out: the platform file has no trace area".to_owned(),
        |area| {
            format!(
                ".da = FW_RSC_ADDR_ANY (0xffffffff) in the resource table, or an address in {:#x}..{:#x}",
                area.start(),
                area.end()
            )
        },
    );
    let span = Span::new(from, trace.length.into());
    let outside = match (area, span) {
        (Some(area), Some(span)) => trace.device_address != ANY && !area.contains(&span),
        (None, _) | (_, None) => true,
    };
    let mut findings = Vec::new();
    if outside {
        let to = from.saturating_add(trace.length.into());
        findings.push(Finding {
            rule: Rule::Trace,
            message: format!("entry {entry}: the trace buffer {from:#x}..{to:#x} does not lie in the trace area of the shared window"),
            addresses: Some((from, to)),
            fix: fix.clone(),
        });
    }
    if let Some(span) = span.filter(|_| trace.device_address != ANY) {
        for (other, taken) in &taken.traces {
            if taken.overlaps(&span) {
                findings.push(Finding {
                    rule: Rule::Trace,
                    message: format!("entry {entry}: the trace buffer {from:#x}..{:#x} overlaps that of entry {other}", span.end()),
                    addresses: Some((from.max(taken.start()), span.end().min(taken.end()))),
                    fix: fix.clone(),
                });
            }
        }
        taken.traces.push((entry, span));
    }
    findings
}

fn notify_id(entry: u32, id: u32, addresses: Option<(u64, u64)>) -> Finding {
    Finding {
        rule: Rule::NotifyId,
        message: format!("entry {entry}: notify id {id} is taken already, or above {MAX_NOTIFY_ID}"),
        addresses,
        fix: ".notifyid = FW_RSC_ADDR_ANY (0xffffffff) in the resource table, or a number of its own for each vring".to_owned(),
    }
}

fn area(subject: &Subject<'_>, area: Area) -> Option<Span> {
    subject.core.shared().device_span_of(area)
}

fn vrings_of(count: usize) -> String {
    match count {
        1 => "1 vring".to_owned(),
        count => format!("{count} vrings"),
    }
}

/// The largest power of two that is at most `number`, but 1 for 0.
fn largest_power(number: u64) -> u64 {
    1 << number.max(1).ilog2()
}

/// The virtio device id of RPMsg (VirtIO 1.3, 5).
const RPMSG: u32 = 7;
/// What Linux' RPMsg driver takes for one message of a device that asks for no size.
const BUFFER: u32 = 512;
