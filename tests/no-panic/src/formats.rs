//! The formats' readers, and the writers that the TA uses.

use core::hint::black_box;

use firmware_bundle::{File, Footer, Manifest, Plan, Trailer};
use platform::{Core, Platform, Span};
use resource_table::{Sanitised, SharedView, Table, vring_size};
use ta_protocol::{
    Command, CoreState, Error, Login, Root, RootsReport, StateReport, Status, Text, Uuid, Words,
    pta,
};
use trust_update::{SignatureRefused, TrustUpdate, Verified};

use crate::actors::Anybody;

#[unsafe(no_mangle)]
pub fn protocol_commands(number: u32, name: &str) {
    let command = Command::from_number(number).or(Command::from_name(name));
    black_box(command.map(|command| (command.parameters(), command.name(), command.acts())));
    black_box((CoreState::from_number(number), Login::from_number(number)));
    black_box(Status::from_name(name));
    black_box(Words::from(u64::from(number)));
    black_box(Uuid::from_text(name).map(|uuid| uuid.fields()));
}

#[unsafe(no_mangle)]
pub fn protocol_state(bytes: &[u8]) -> Result<StateReport, Error> {
    let report = StateReport::parse(bytes)?;
    black_box(report.to_bytes());
    Ok(report)
}

#[unsafe(no_mangle)]
pub fn protocol_roots(bytes: &[u8], roots: &[Root], into: &mut [u8]) -> Result<(), Error> {
    black_box(RootsReport::write(
        bytes.len() as u32,
        roots.iter().copied(),
        into,
    ));
    for root in RootsReport::parse(bytes)?.roots() {
        black_box(root);
    }
    Ok(())
}

#[unsafe(no_mangle)]
pub fn protocol_text(bytes: &[u8]) -> Option<Text<64>> {
    let text = Text::<64>::new(bytes)?;
    black_box((text.as_bytes(), text.as_str()));
    Some(text)
}

#[unsafe(no_mangle)]
pub fn protocol_region(bytes: &[u8; pta::REGION_LENGTH]) -> Option<[u8; pta::REGION_LENGTH]> {
    pta::Region::from_bytes(bytes).map(|region| region.to_bytes())
}

#[unsafe(no_mangle)]
pub fn platform_check(file: platform::File) -> Result<Platform, platform::Error> {
    Platform::try_from(file)
}

#[unsafe(no_mangle)]
pub fn platform_ask(platform: &Platform, id: u32, device: u64, size: u64) {
    black_box((
        platform.required_slots(),
        platform.device_class(),
        platform.name(),
    ));
    let Some(core) = platform.core(id) else {
        return;
    };
    black_box((core.locate(device, size), core.private_region(device, size)));
    black_box((
        core.touches_shared(device, size),
        core.to_physical(device, size),
    ));
    let window = core.shared();
    for area in [
        window.table(),
        window.trace(),
        window.vrings(),
        window.buffers(),
    ] {
        black_box((window.device_span_of(area), window.physical_span_of(area)));
    }
    black_box((
        core.table_policy().allows_vdev(id),
        core.allows(Login::Public),
    ));
    let spans = (Span::new(device, size), window.device_span());
    if let (Some(one), Some(other)) = spans {
        black_box((
            one.contains(&other),
            one.overlaps(&other),
            one.offset_of(size),
        ));
    }
}

#[unsafe(no_mangle)]
pub fn table_judge(bytes: &[u8], core: &Core) -> Result<Sanitised, resource_table::Error> {
    let sanitised = Table::parse(bytes)?.sanitise(core)?;
    black_box((sanitised.bytes(), sanitised.table().is_ok()));
    Ok(sanitised)
}

#[unsafe(no_mangle)]
pub fn table_section(bytes: &[u8]) -> Result<usize, resource_table::Error> {
    Table::from_section(bytes).map(|table| table.used())
}

#[unsafe(no_mangle)]
pub fn table_walk(table: &Table<'_>) {
    for vdev in table.vdevs() {
        black_box((vdev.config(), vdev.status_offset(), vdev.notify_id_offset()));
        for vring in vdev.vrings() {
            black_box((vring.size(), vring.device_address_offset()));
        }
    }
    for trace in table.traces() {
        black_box(trace.name());
    }
}

#[unsafe(no_mangle)]
pub fn table_shared(
    master: &Table<'_>,
    shared: &[u8],
    core: &Core,
) -> Result<SharedView, resource_table::Error> {
    let view = SharedView::read(master, shared, core)?;
    for vdev in view.vdevs() {
        for vring in vdev.vrings() {
            black_box(vring);
        }
    }
    black_box(view.changed_at());
    Ok(view)
}

#[unsafe(no_mangle)]
pub fn table_vring(descriptors: u32, align: u32) -> Option<u64> {
    vring_size(descriptors, align)
}

#[unsafe(no_mangle)]
pub fn bundle_footer(file: &File<'_>) -> Result<(Footer, u64), firmware_bundle::Error> {
    let footer = Footer::of(file)?;
    Ok((footer, footer.manifest_offset()))
}

#[unsafe(no_mangle)]
pub fn bundle_trailer(file: &File<'_>) -> Result<(), firmware_bundle::Error> {
    let trailer = Trailer::of(file)?;
    for slot in trailer.slots() {
        black_box(slot);
    }
    black_box(trailer.signed_parts());
    walk(&trailer.unverified_manifest()?);
    Ok(())
}

fn walk(manifest: &Manifest<'_>) {
    for core in manifest.core_ids() {
        black_box(core);
    }
    for segment in manifest.segments() {
        black_box((
            segment.end(),
            segment.loaded_end(),
            segment.file_end(),
            segment.chunks(),
        ));
    }
    for extension in manifest.extensions() {
        black_box(extension);
    }
    black_box((
        manifest.display_version(),
        manifest.build_id(),
        manifest.resource_table(),
        manifest.sbom(),
    ));
}

#[unsafe(no_mangle)]
pub fn bundle_plan(manifest: &Manifest<'_>, region: u64, size: u64) {
    let mut plan = Plan::of(manifest);
    while let Some(step) = plan.current() {
        black_box((step.offset(), step.size()));
        plan.advance();
    }
    for gap in plan.gaps(region, size) {
        black_box(gap);
    }
    for step in plan {
        black_box(step);
    }
}

#[unsafe(no_mangle)]
pub fn update_parse(bytes: &[u8]) -> Result<(), trust_update::Error> {
    let update = TrustUpdate::parse(bytes)?;
    black_box((update.list_version(), update.device_class()));
    for generation in update.generations() {
        black_box(generation);
    }
    for key_id in update.revoked() {
        black_box(key_id);
    }
    for floor in update.floors() {
        black_box(floor);
    }
    for root in update.roots() {
        black_box(root);
    }
    for signature in update.signatures() {
        black_box(signature);
    }
    black_box(update.signed());
    Ok(())
}

#[unsafe(no_mangle)]
pub fn update_verify<'a>(
    update: TrustUpdate<'a>,
    check: &Anybody,
) -> Result<Verified<'a>, SignatureRefused<certificate_chain::Error>> {
    let verified = update.verify(check)?;
    black_box(verified.update().list_version());
    Ok(verified)
}
