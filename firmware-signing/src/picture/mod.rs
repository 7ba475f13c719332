//! The memory map of a firmware as a picture: what lies where, what is free, and who may write.
//!
//! The model is made once and drawn twice, for a terminal and as a figure for a design review. With a core of a platform file the picture
//! shows all of the core's memory; without one it shows what the image names and the gaps between.

mod svg;
mod terminal;

use platform::{Core, Span};
use resource_table::{ANY, Table};

pub use terminal::Look;

use crate::elf::Image;
use crate::inspect::Bundle;

/// A memory map to be drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// What is shown.
    pub title: String,
    /// Further words about it.
    pub subtitle: String,
    /// Stretches of memory, each of one owner, by address.
    pub zones: Vec<Zone>,
    /// Addresses with a name: where the core begins, where its stack ends.
    pub marks: Vec<Mark>,
    /// What could not be drawn.
    pub notes: Vec<String>,
}

/// Memory of one owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Its name, as the platform file has it.
    pub name: String,
    /// Whose it is.
    pub owner: Owner,
    /// What lies in it, without gaps and by address.
    pub bands: Vec<Band>,
}

/// Whose memory it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The core's and the secure world's alone.
    Private,
    /// The core's and Linux'.
    Shared,
    /// In none of the core's memories: nothing of it would be loaded.
    Stray,
    /// Nobody said: there is no platform file.
    Unknown,
}

/// One stretch of memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Band {
    /// The first address.
    pub from: u64,
    /// The first address behind it.
    pub to: u64,
    /// What it is.
    pub label: String,
    /// Which kind of thing that is.
    pub kind: Kind,
    /// Who may write there while the firmware runs.
    pub writers: Writers,
}

/// What lies in a stretch of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Signed bytes that the core executes.
    Code,
    /// Signed bytes that the core reads.
    Constants,
    /// Signed bytes that the core changes.
    Data,
    /// Memory of a segment that begins as zeros.
    Zeros,
    /// The resource table.
    Table,
    /// A trace buffer.
    Trace,
    /// A vring.
    Vring,
    /// RPMsg buffers.
    Buffers,
    /// Nothing of the image.
    Free,
}

/// Who may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writers {
    /// Nobody: the signed flags say so.
    Nobody,
    /// The core.
    Core,
    /// The core and Linux.
    CoreAndLinux,
    /// There is no platform file that says.
    Unknown,
}

impl Writers {
    /// As the pictures and JSON say it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Core => "core",
            Self::CoreAndLinux => "core, Linux",
            Self::Unknown => "",
        }
    }
}

impl Kind {
    /// As the legend and JSON say it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Constants => "constants",
            Self::Data => "data",
            Self::Zeros => "zeros",
            Self::Table => "resource table",
            Self::Trace => "trace",
            Self::Vring => "vring",
            Self::Buffers => "buffers",
            Self::Free => "free",
        }
    }
}

/// An address with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Where.
    pub address: u64,
    /// What is there.
    pub label: &'static str,
}

impl Picture {
    /// Of a bundle, on a core where one is named.
    #[must_use]
    pub fn of_bundle(name: &str, bundle: &Bundle<'_>, core: Option<&Core>) -> Self {
        let manifest = &bundle.manifest;
        let segments = manifest.segments().enumerate();
        let mut pieces = Pieces::default();
        for (number, segment) in segments {
            let access = (
                segment.access.readable(),
                segment.access.writable(),
                segment.access.executable(),
            );
            let sizes = (segment.file_size, segment.memory_size);
            pieces.segment(number, segment.address, sizes, access);
        }
        if let Some((address, table)) = manifest.resource_table() {
            pieces.table(address, table, core);
        }
        let mut marks = vec![Mark {
            address: manifest.entry() & !u64::from(manifest.vector_table().is_some()),
            label: "entry",
        }];
        if let Some(address) = manifest.vector_table() {
            marks.push(Mark {
                address,
                label: "vector table",
            });
        }
        let version = match manifest.display_version() {
            "" => String::new(),
            version => format!(", version {version}"),
        };
        let subtitle = format!(
            "security version {}{version}, digest {}…",
            manifest.security_version(),
            &crate::hex(&bundle.digest)[..16]
        );
        pieces.arrange(name, subtitle, marks, core)
    }

    /// Of an ELF, on a core where one is named.
    #[must_use]
    pub fn of_elf(name: &str, image: &Image<'_>, core: Option<&Core>) -> Self {
        let mut pieces = Pieces::default();
        let table = image.resource_table();
        let own_segment = table.and_then(|table| table.segment);
        for (index, segment) in image.segments().iter().enumerate() {
            if Some(index) == own_segment {
                continue;
            }
            let access = (segment.readable, segment.writable, segment.executable);
            let sizes = (segment.file.len() as u64, segment.memory_size);
            pieces.segment(segment.header, segment.address, sizes, access);
        }
        if let Some(table) = table {
            pieces.table(table.address, image.slice(&table.file), core);
        }
        let arm = u64::from(image.machine() == crate::elf::Machine::Arm);
        let marks = vec![Mark {
            address: image.entry() & !arm,
            label: "entry",
        }];
        let subtitle = format!("an ELF for {}, not signed", image.machine().name());
        pieces.arrange(name, subtitle, marks, core)
    }
}

/// What an image puts somewhere.
#[derive(Default)]
struct Pieces {
    bands: Vec<Band>,
    notes: Vec<String>,
}

impl Pieces {
    fn segment(
        &mut self,
        number: usize,
        address: u64,
        (file, memory): (u64, u64),
        (readable, writable, executable): (bool, bool, bool),
    ) {
        let flag = |may, letter| if may { letter } else { '-' };
        let access: String = [
            flag(readable, 'r'),
            flag(writable, 'w'),
            flag(executable, 'x'),
        ]
        .iter()
        .collect();
        let kind = match (writable, executable) {
            (_, true) => Kind::Code,
            (true, false) => Kind::Data,
            (false, false) => Kind::Constants,
        };
        let writers = if writable {
            Writers::Core
        } else {
            Writers::Nobody
        };
        let middle = address.saturating_add(file);
        let end = address.saturating_add(memory);
        if file > 0 {
            self.bands.push(Band {
                from: address,
                to: middle,
                label: format!("segment {number}  {access}  {}", kind.name()),
                kind,
                writers,
            });
        }
        if memory > file {
            self.bands.push(Band {
                from: middle,
                to: end,
                label: format!("segment {number}  {access}  zeros"),
                kind: Kind::Zeros,
                writers,
            });
        }
    }

    /// The table and what it announces; on a core, where the secure world will put it.
    fn table(&mut self, address: u64, bytes: &[u8], core: Option<&Core>) {
        self.bands.push(Band {
            from: address,
            to: address.saturating_add(bytes.len() as u64),
            label: "resource table".to_owned(),
            kind: Kind::Table,
            writers: Writers::CoreAndLinux,
        });
        let parsed = match Table::from_section(bytes) {
            Ok(parsed) => parsed,
            Err(error) => {
                self.notes.push(format!("resource table: {error}"));
                return;
            }
        };
        let placed = core.map(|core| parsed.sanitise(core));
        match placed {
            Some(Ok(sanitised)) => match sanitised.table() {
                Ok(table) => self.announced(&table),
                Err(error) => self.notes.push(format!("resource table: {error}")),
            },
            Some(Err(error)) => {
                self.notes
                    .push(format!("the core refuses its resource table: {error}"));
                self.announced(&parsed);
            }
            None => self.announced(&parsed),
        }
    }

    fn announced(&mut self, table: &Table<'_>) {
        let mut anywhere = 0_usize;
        for vdev in table.vdevs() {
            for (number, vring) in vdev.vrings().enumerate() {
                let size = vring.size();
                let (Some(size), false) = (size, vring.device_address == ANY) else {
                    anywhere += 1;
                    continue;
                };
                let from = u64::from(vring.device_address);
                let way = match (vdev.id, number) {
                    (RPMSG, 0) => " to Linux",
                    (RPMSG, 1) => " to the core",
                    _ => "",
                };
                self.bands.push(Band {
                    from,
                    to: from.saturating_add(size),
                    label: format!("vring {number}{way}, {} descriptors", vring.descriptors),
                    kind: Kind::Vring,
                    writers: Writers::CoreAndLinux,
                });
            }
        }
        for trace in table.traces() {
            if trace.device_address == ANY {
                anywhere += 1;
                continue;
            }
            let from = u64::from(trace.device_address);
            let name: String = trace.name().chars().filter(|c| !c.is_control()).collect();
            self.bands.push(Band {
                from,
                to: from.saturating_add(trace.length.into()),
                label: format!("trace {name:?}"),
                kind: Kind::Trace,
                writers: Writers::CoreAndLinux,
            });
        }
        match anywhere {
            0 => {}
            1 => self
                .notes
                .push("1 vring or trace buffer goes where the platform puts it: give --platform and --core".to_owned()),
            count => self.notes.push(format!(
                "{count} vrings and trace buffers go where the platform puts them: give --platform and --core"
            )),
        }
    }

    fn arrange(
        mut self,
        name: &str,
        subtitle: String,
        marks: Vec<Mark>,
        core: Option<&Core>,
    ) -> Picture {
        self.bands.sort_by_key(|band| (band.from, band.to));
        self.bands.retain(|band| band.from < band.to);
        let (title, zones) = match core {
            Some(core) => (
                format!("{name} on core {} ({})", core.id(), core.name()),
                self.zones(core),
            ),
            None => (name.to_owned(), vec![self.without_platform()]),
        };
        Picture {
            title,
            subtitle,
            zones: zones
                .into_iter()
                .filter(|zone| !zone.bands.is_empty())
                .collect(),
            marks,
            notes: self.notes,
        }
    }

    /// What the image names, and the gaps between.
    fn without_platform(&mut self) -> Zone {
        let mut bands: Vec<Band> = Vec::new();
        for mut band in core::mem::take(&mut self.bands) {
            if let Some(last) = bands.last() {
                if band.from < last.to {
                    self.notes
                        .push(format!("{} overlaps {}", band.label, last.label));
                    band.from = last.to;
                }
                if band.from > last.to {
                    bands.push(free(last.to, band.from, "not used", Writers::Unknown));
                }
            }
            if band.from < band.to {
                bands.push(band);
            }
        }
        Zone {
            name: "as the image names it".to_owned(),
            owner: Owner::Unknown,
            bands,
        }
    }

    fn zones(&mut self, core: &Core) -> Vec<Zone> {
        let mut zones = Vec::new();
        for region in core.private_regions() {
            let Some(span) = region.device_span() else {
                continue;
            };
            let areas = [(span, "free, zeros", Writers::Core, Kind::Free)];
            zones.push((
                span,
                region.name().to_owned(),
                Owner::Private,
                areas.to_vec(),
            ));
        }
        if let Some(span) = core.shared().device_span() {
            let name = "shared window".to_owned();
            zones.push((span, name, Owner::Shared, areas(core, span)));
        }
        zones.sort_by_key(|(span, ..)| span.start());
        let mut drawn: Vec<Zone> = Vec::new();
        for (span, name, owner, areas) in zones {
            let inside = self.take_inside(span);
            let mut bands = Vec::new();
            for (area, label, writers, kind) in areas {
                bands.extend(self.fill(area, &inside, label, writers, kind));
            }
            drawn.push(Zone { name, owner, bands });
        }
        if !self.bands.is_empty() {
            let stray = self.without_platform();
            drawn.push(Zone {
                name: "no memory of the core".to_owned(),
                owner: Owner::Stray,
                ..stray
            });
        }
        drawn
    }

    fn take_inside(&mut self, span: Span) -> Vec<Band> {
        let inside = |band: &Band| span.start() <= band.from && band.to <= span.end();
        let (taken, left) = core::mem::take(&mut self.bands)
            .into_iter()
            .partition(inside);
        self.bands = left;
        taken
    }

    /// An area with what begins in it, and what is left of it between.
    fn fill(
        &mut self,
        area: Span,
        pieces: &[Band],
        label: &str,
        writers: Writers,
        kind: Kind,
    ) -> Vec<Band> {
        let mut bands = Vec::new();
        let mut at = area.start();
        for piece in pieces {
            if piece.from < area.start() || piece.from >= area.end() {
                continue;
            }
            if piece.from < at {
                self.notes
                    .push(format!("{} overlaps what is before it", piece.label));
            }
            let from = piece.from.max(at);
            if from > at {
                bands.push(Band {
                    kind,
                    ..free(at, from, label, writers)
                });
            }
            let to = piece.to.min(area.end());
            if from < to {
                bands.push(Band {
                    from,
                    to,
                    ..piece.clone()
                });
                at = to;
            }
        }
        if at < area.end() {
            bands.push(Band {
                kind,
                ..free(at, area.end(), label, writers)
            });
        }
        bands
    }
}

/// The areas of a shared window and what lies between them.
fn areas(core: &Core, window: Span) -> Vec<(Span, &'static str, Writers, Kind)> {
    let shared = core.shared();
    let mut named: Vec<(Span, &'static str, Kind)> = [
        (shared.table(), "rest of the table's page", Kind::Free),
        (shared.trace(), "trace area, free", Kind::Free),
        (shared.vrings(), "vring area, free", Kind::Free),
        (shared.buffers(), "RPMsg buffers", Kind::Buffers),
    ]
    .into_iter()
    .filter_map(|(area, label, kind)| Some((shared.device_span_of(area)?, label, kind)))
    .collect();
    named.sort_by_key(|(span, ..)| span.start());
    let both = Writers::CoreAndLinux;
    let mut areas = Vec::new();
    let mut at = window.start();
    let unused = |from: u64, to: u64| Span::new(from, to.saturating_sub(from));
    for (span, label, kind) in named {
        areas.extend(unused(at, span.start()).map(|gap| (gap, "not used", both, Kind::Free)));
        areas.push((span, label, both, kind));
        at = span.end();
    }
    areas.extend(unused(at, window.end()).map(|gap| (gap, "not used", both, Kind::Free)));
    areas
}

fn free(from: u64, to: u64, label: &str, writers: Writers) -> Band {
    Band {
        from,
        to,
        label: label.to_owned(),
        kind: Kind::Free,
        writers,
    }
}

/// A size as people read it: 140 B, 16 KiB, 1.5 MiB.
fn size(bytes: u64) -> String {
    for (unit, name) in [(1u128 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
        if u128::from(bytes) >= unit {
            // One digit behind the point.
            let tenths = u128::from(bytes) * 10 / unit;
            return match (tenths / 10, tenths % 10) {
                (whole, 0) => format!("{whole} {name}"),
                (whole, tenth) => format!("{whole}.{tenth} {name}"),
            };
        }
    }
    format!("{bytes} B")
}

/// The virtio device id of RPMsg (VirtIO 1.3, 5).
const RPMSG: u32 = 7;
