//! From a table whose form is proven to one that may be published.

use core::fmt;

use platform::{Core, OtherEntries, Span};
use zerocopy::{Immutable, IntoBytes, little_endian::U32};

use crate::{
    ANY, Entry, Error, MAX_ALIGN, MAX_DESCRIPTORS, MAX_LENGTH, MAX_NOTIFY_ID, MAX_VDEVS, MIN_ALIGN,
    Table, Trace, Vdev, Vring, raw, table::align_up,
};

/// A table that may be published: holding one tells you that it keeps the platform's rules, that every address in it
/// is inside its area of the shared window, that no two buffers overlap, and that no device is under way yet.
#[derive(Clone, PartialEq, Eq)]
pub struct Sanitised {
    bytes: [u8; MAX_LENGTH],
    length: usize,
}

impl Table<'_> {
    /// Judges the table by a core's window and policy, and writes it anew.
    pub fn sanitise(&self, core: &Core) -> Result<Sanitised, Error> {
        let mut out = Sanitised::BLANK;
        self.write_sanitised(core, &mut out)?;
        Ok(out)
    }

    /// The same, written where it is to stay: it is larger than small stacks can hold several times. After an error
    /// there is none.
    pub fn sanitise_into(&self, core: &Core, place: &mut Option<Sanitised>) -> Result<(), Error> {
        let written = self.write_sanitised(core, place.insert(Sanitised::BLANK));
        if written.is_err() {
            *place = None;
        }
        written
    }

    fn write_sanitised(&self, core: &Core, out: &mut Sanitised) -> Result<(), Error> {
        let mut plan = Plan::new(self, core)?;
        plan.take_fixed(self)?;
        plan.write(self, out)
    }
}

impl Sanitised {
    /// What to publish.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&self.bytes)
    }

    /// What is published, to be walked. The form was proven when it was written.
    pub fn table(&self) -> Result<Table<'_>, Error> {
        Table::parse(self.bytes())
    }
}

impl fmt::Debug for Sanitised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sanitised").field(&self.table()).finish()
    }
}

impl Sanitised {
    const BLANK: Self = Self {
        bytes: [0; MAX_LENGTH],
        length: 0,
    };

    fn put<T: IntoBytes + Immutable + ?Sized>(&mut self, at: u32, record: &T) -> Result<(), Error> {
        let bytes = record.as_bytes();
        let error = Error::Truncated {
            entry: None,
            needed: u64::from(at).saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
            found: u64::try_from(MAX_LENGTH).unwrap_or(u64::MAX),
        };
        let start = usize::try_from(at).ok().ok_or(error)?;
        let end = start.checked_add(bytes.len()).ok_or(error)?;
        let place = self.bytes.get_mut(start..end).ok_or(error)?;
        self.length = self.length.max(end);
        for (to, from) in place.iter_mut().zip(bytes) {
            *to = *from;
        }
        Ok(())
    }
}

/// Everything that is taken already, so that nothing else may have it.
struct Plan {
    vrings: Taken<{ MAX_VDEVS * 2 }>,
    traces: Taken<32>,
    notify_ids: [Option<u32>; MAX_VDEVS * 2],
}

impl Plan {
    /// Judges which entries there may be at all.
    fn new(table: &Table<'_>, core: &Core) -> Result<Self, Error> {
        let policy = core.table_policy();
        let mut vdevs = 0_usize;
        for entry in table.entries() {
            match entry {
                Entry::Other { entry, kind, .. } => {
                    if policy.other_entries() == OtherEntries::Refuse {
                        return Err(Error::EntryType { entry, kind });
                    }
                }
                Entry::Trace(_) => {}
                Entry::Vdev(vdev) => {
                    vdevs = vdevs.saturating_add(1);
                    if !policy.allows_vdev(vdev.id) {
                        return Err(Error::VdevId {
                            entry: vdev.entry,
                            id: vdev.id,
                        });
                    }
                }
            }
        }
        if vdevs > MAX_VDEVS {
            return Err(Error::Vdevs {
                count: u32::try_from(vdevs).unwrap_or(u32::MAX),
                limit: u32::try_from(MAX_VDEVS).unwrap_or(u32::MAX),
            });
        }
        let window = core.shared();
        Ok(Self {
            vrings: Taken::new(low(window.device_span_of(window.vrings()))?),
            traces: Taken::new(low(window.device_span_of(window.trace()))?),
            notify_ids: [None; MAX_VDEVS * 2],
        })
    }

    /// Takes every address and id that the table itself names, so that ANY is never resolved into one of them.
    fn take_fixed(&mut self, table: &Table<'_>) -> Result<(), Error> {
        for vdev in table.vdevs() {
            notify_id_in_range(vdev.entry, vdev.notify_id)?;
            for vring in vdev.vrings() {
                let size = geometry(vdev.entry, &vring)?;
                if vring.device_address != ANY {
                    self.take_vring(vdev.entry, &vring, size)?;
                }
                notify_id_in_range(vdev.entry, vring.notify_id)?;
                if vring.notify_id != ANY {
                    self.take_notify_id(vdev.entry, vring.notify_id)?;
                }
            }
        }
        for trace in table.traces() {
            if trace.device_address != ANY || trace.length == 0 {
                self.take_trace(&trace)?;
            }
        }
        Ok(())
    }

    /// Writes what is kept, each entry where it was, and resolves ANY in the order of the table.
    fn write(&mut self, table: &Table<'_>, out: &mut Sanitised) -> Result<(), Error> {
        let mut kept = 0_u32;
        for entry in table.entries() {
            let offset = match entry {
                Entry::Other { .. } => continue,
                Entry::Trace(trace) => {
                    self.write_trace(out, &trace)?;
                    trace.offset
                }
                Entry::Vdev(vdev) => {
                    self.write_vdev(out, &vdev)?;
                    vdev.offset
                }
            };
            let place = kept.saturating_mul(4).saturating_add(16);
            out.put(place, &U32::new(offset))?;
            kept = kept.saturating_add(1);
        }
        let header = raw::Header {
            version: 1.into(),
            entries: kept.into(),
            reserved: [0.into(); 2],
        };
        out.put(0, &header)
    }

    fn write_trace(&mut self, out: &mut Sanitised, trace: &Trace) -> Result<(), Error> {
        let address = if trace.device_address == ANY {
            let placed = self.traces.place(trace.length.into(), TRACE_ALIGN);
            address(placed.ok_or(Error::TraceNoSpace {
                entry: trace.entry,
                length: trace.length,
            })?)?
        } else {
            trace.device_address
        };
        let record = raw::Trace {
            kind: raw::TRACE.into(),
            da: address.into(),
            len: trace.length.into(),
            reserved: 0.into(),
            name: trace.name,
        };
        out.put(trace.offset, &record)
    }

    fn write_vdev(&mut self, out: &mut Sanitised, vdev: &Vdev<'_>) -> Result<(), Error> {
        let mut count = 0_u8;
        for vring in vdev.vrings() {
            count = count.saturating_add(1);
            self.write_vring(out, vdev.entry, &vring)?;
        }
        let record = raw::Vdev {
            kind: raw::VDEV.into(),
            id: vdev.id.into(),
            notify_id: match vdev.notify_id {
                ANY => 0.into(),
                id => id.into(),
            },
            device_features: vdev.device_features.into(),
            // No driver has been there: what the image says about one is left out.
            driver_features: 0.into(),
            config_len: u32::try_from(vdev.config().len())
                .unwrap_or(u32::MAX)
                .into(),
            status: 0,
            vrings: count,
            reserved: [0; 2],
        };
        out.put(vdev.offset, &record)?;
        let config = vdev
            .offset
            .saturating_add(28)
            .saturating_add(u32::from(count).saturating_mul(20));
        out.put(config, vdev.config())
    }

    fn write_vring(&mut self, out: &mut Sanitised, entry: u32, vring: &Vring) -> Result<(), Error> {
        let address = if vring.device_address == ANY {
            let size = geometry(entry, vring)?;
            let placed = self.vrings.place(size, vring.align.into());
            address(placed.ok_or(Error::VringNoSpace {
                entry,
                length: u32::try_from(size).unwrap_or(u32::MAX),
            })?)?
        } else {
            vring.device_address
        };
        let notify_id = if vring.notify_id == ANY {
            self.free_notify_id(entry)?
        } else {
            vring.notify_id
        };
        let record = raw::Vring {
            da: address.into(),
            align: vring.align.into(),
            num: vring.descriptors.into(),
            notify_id: notify_id.into(),
            reserved: 0.into(),
        };
        out.put(vring.offset, &record)
    }

    fn take_vring(&mut self, entry: u32, vring: &Vring, size: u64) -> Result<(), Error> {
        let address = vring.device_address;
        aligned(entry, vring)?;
        match self.vrings.claim(Span::new(address.into(), size)) {
            Claim::Taken => Ok(()),
            Claim::Outside => Err(Error::VringOutside {
                entry,
                address,
                length: u32::try_from(size).unwrap_or(u32::MAX),
            }),
            Claim::Overlap => Err(Error::VringOverlap { entry, address }),
        }
    }

    fn take_trace(&mut self, trace: &Trace) -> Result<(), Error> {
        let (entry, address) = (trace.entry, trace.device_address);
        let span = Span::new(address.into(), trace.length.into());
        match self.traces.claim(span) {
            Claim::Taken => Ok(()),
            Claim::Outside => Err(Error::TraceOutside {
                entry,
                address,
                length: trace.length,
            }),
            Claim::Overlap => Err(Error::TraceOverlap { entry, address }),
        }
    }

    fn take_notify_id(&mut self, entry: u32, id: u32) -> Result<(), Error> {
        let repeated = self.notify_ids.contains(&Some(id));
        let free = self.notify_ids.iter_mut().find(|place| place.is_none());
        match free.filter(|_| !repeated) {
            Some(place) => {
                *place = Some(id);
                Ok(())
            }
            None => Err(Error::NotifyId { entry, id }),
        }
    }

    fn free_notify_id(&mut self, entry: u32) -> Result<u32, Error> {
        let free = (0..=MAX_NOTIFY_ID).find(|id| !self.notify_ids.contains(&Some(*id)));
        let id = free.ok_or(Error::NotifyId { entry, id: ANY })?;
        self.take_notify_id(entry, id)?;
        Ok(id)
    }
}

/// What becomes of a claim.
pub(crate) enum Claim {
    Outside,
    Overlap,
    Taken,
}

/// An area of the window and what is taken of it.
pub(crate) struct Taken<const N: usize> {
    area: Option<Span>,
    spans: [Option<Span>; N],
}

impl<const N: usize> Taken<N> {
    pub(crate) fn new(area: Option<Span>) -> Self {
        Self {
            area,
            spans: [None; N],
        }
    }

    pub(crate) fn claim(&mut self, span: Option<Span>) -> Claim {
        let (Some(area), Some(span)) = (self.area, span) else {
            return Claim::Outside;
        };
        if !area.contains(&span) {
            return Claim::Outside;
        }
        let overlaps = self
            .spans
            .iter()
            .flatten()
            .any(|other| other.overlaps(&span));
        match self.spans.iter_mut().find(|place| place.is_none()) {
            Some(place) if !overlaps => {
                *place = Some(span);
                Claim::Taken
            }
            _ => Claim::Overlap,
        }
    }

    /// Takes the lowest place that is aligned and free.
    fn place(&mut self, size: u64, align: u64) -> Option<Span> {
        let mut start = align_up(self.area?.start(), align)?;
        // Every round passes one taken span for good, so there is one round more than there are spans.
        for _ in 0..=N {
            let span = Span::new(start, size)?;
            let in_the_way = self
                .spans
                .iter()
                .flatten()
                .find(|other| other.overlaps(&span));
            match in_the_way {
                Some(other) => start = align_up(other.end(), align)?,
                None => return matches!(self.claim(Some(span)), Claim::Taken).then_some(span),
            }
        }
        None
    }
}

/// The window's area, if the table's 32 bits can name it.
pub(crate) fn low(area: Option<Span>) -> Result<Option<Span>, Error> {
    match area.filter(|area| area.end() > ANY.into()) {
        Some(area) => Err(Error::TooHigh {
            address: area.end(),
        }),
        None => Ok(area),
    }
}

fn notify_id_in_range(entry: u32, id: u32) -> Result<(), Error> {
    if id > MAX_NOTIFY_ID && id != ANY {
        return Err(Error::NotifyId { entry, id });
    }
    Ok(())
}

pub(crate) fn aligned(entry: u32, vring: &Vring) -> Result<(), Error> {
    if vring.device_address.checked_rem(vring.align) != Some(0) {
        return Err(Error::AddressAlignment {
            entry,
            address: vring.device_address,
            align: vring.align,
        });
    }
    Ok(())
}

/// Judges size and alignment of a vring, and returns its length in memory.
pub(crate) fn geometry(entry: u32, vring: &Vring) -> Result<u64, Error> {
    let descriptors = vring.descriptors;
    if !descriptors.is_power_of_two() || descriptors > MAX_DESCRIPTORS {
        return Err(Error::Descriptors { entry, descriptors });
    }
    let align = vring.align;
    let error = Error::Alignment { entry, align };
    if !align.is_power_of_two() || !(MIN_ALIGN..=MAX_ALIGN).contains(&align) {
        return Err(error);
    }
    vring.size().ok_or(error)
}

fn address(span: Span) -> Result<u32, Error> {
    u32::try_from(span.start()).ok().ok_or(Error::TooHigh {
        address: span.start(),
    })
}

/// Where a trace buffer may begin that the platform places.
const TRACE_ALIGN: u64 = 16;
