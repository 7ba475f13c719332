//! A table whose form is proven, whatever its values mean.

use core::fmt;

use zerocopy::FromBytes;

use crate::{Error, MAX_CONFIG, MAX_ENTRIES, MAX_LENGTH, MAX_VRINGS, raw};

/// A resource table: holding one tells you that its header is right, and that its entries are sorted, disjoint,
/// inside the table and have no reserved field set, with nothing but zeros between and behind them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Table<'a> {
    bytes: &'a [u8],
    entries: u32,
    used: usize,
}

impl<'a> Table<'a> {
    /// Judges the form of a table.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_LENGTH {
            return Err(Error::TooLong {
                length: bytes.len(),
                limit: MAX_LENGTH,
            });
        }
        let header = header(bytes)?;
        let entries = header.entries.get();
        let mut table = Self {
            bytes,
            entries,
            used: 0,
        };
        let mut end = offsets_end(entries);
        require(bytes, None, end)?;
        table.offsets_in_order()?;
        for entry in 0..entries {
            let offset = table.offset(entry).unwrap_or(0);
            if u64::from(offset) < end {
                return Err(Error::Order { entry, offset });
            }
            zeros(bytes, end, offset.into())?;
            end = table.judge(entry, offset)?;
        }
        zeros(bytes, end, wide(bytes.len()))?;
        table.used = usize::try_from(end).unwrap_or(bytes.len()).min(bytes.len());
        Ok(table)
    }

    /// Judges a table in an ELF section, which the linker may have padded with zeros up to a page and more.
    pub fn from_section(section: &'a [u8]) -> Result<Self, Error> {
        let (bytes, padding) = section
            .split_at_checked(MAX_LENGTH)
            .unwrap_or((section, &[]));
        if padding.iter().any(|byte| *byte != 0) {
            return Err(Error::TooLong {
                length: section.len(),
                limit: MAX_LENGTH,
            });
        }
        let table = Self::parse(bytes)?;
        let bytes = bytes.get(..table.used).unwrap_or(bytes);
        Ok(Self { bytes, ..table })
    }

    /// The whole table.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// How many of its bytes are header, offsets and entries; the rest is zero.
    pub fn used(&self) -> usize {
        self.used
    }

    /// The entries in the order of the table.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'a>> + use<'a> {
        let table = *self;
        (0..self.entries).filter_map(move |entry| {
            let offset = table.offset(entry)?;
            table.read(entry, offset).ok().map(|(entry, _)| entry)
        })
    }

    /// The virtio devices in the order of the table.
    pub fn vdevs(&self) -> impl Iterator<Item = Vdev<'a>> + use<'a> {
        self.entries().filter_map(|entry| match entry {
            Entry::Vdev(vdev) => Some(vdev),
            Entry::Other { .. } | Entry::Trace(_) => None,
        })
    }

    /// The trace buffers in the order of the table.
    pub fn traces(&self) -> impl Iterator<Item = Trace> + use<'a> {
        self.entries().filter_map(|entry| match entry {
            Entry::Trace(trace) => Some(trace),
            Entry::Other { .. } | Entry::Vdev(_) => None,
        })
    }

    fn offsets_in_order(&self) -> Result<(), Error> {
        let mut last = 0;
        for entry in 0..self.entries {
            let offset = self.offset(entry).unwrap_or(0);
            if offset <= last || offset.checked_rem(4) != Some(0) {
                return Err(Error::Order { entry, offset });
            }
            require(self.bytes, Some(entry), u64::from(offset).saturating_add(4))?;
            last = offset;
        }
        Ok(())
    }

    fn offset(&self, entry: u32) -> Option<u32> {
        let at = usize::try_from(offsets_end(entry)).ok()?;
        let field = self.bytes.get(at..)?.first_chunk()?;
        Some(u32::from_le_bytes(*field))
    }

    /// Checks one entry and returns where it ends.
    fn judge(&self, entry: u32, offset: u32) -> Result<u64, Error> {
        let (read, end) = self.read(entry, offset)?;
        match read {
            Entry::Trace(trace) => name(entry, &trace.name)?,
            Entry::Other {
                kind: raw::CARVEOUT | raw::DEVMEM,
                ..
            } => {
                let memory: raw::Memory = self.record(entry, offset.into())?;
                reserved(u64::from(offset).saturating_add(20), memory.reserved.get())?;
                name(entry, &memory.name)?;
            }
            Entry::Other { .. } | Entry::Vdev(_) => {}
        }
        Ok(end)
    }

    /// Reads one entry and where it ends.
    fn read(&self, entry: u32, offset: u32) -> Result<(Entry<'a>, u64), Error> {
        let start = u64::from(offset);
        let kind: zerocopy::little_endian::U32 = self.record(entry, start)?;
        match kind.get() {
            kind @ (raw::CARVEOUT | raw::DEVMEM) => {
                let end = start.saturating_add(wide(size_of::<raw::Memory>()));
                require(self.bytes, Some(entry), end)?;
                Ok((
                    Entry::Other {
                        entry,
                        offset,
                        kind,
                    },
                    end,
                ))
            }
            raw::TRACE => {
                let trace: raw::Trace = self.record(entry, start)?;
                reserved(start.saturating_add(12), trace.reserved.get())?;
                let end = start.saturating_add(wide(size_of::<raw::Trace>()));
                let trace = Trace {
                    entry,
                    offset,
                    device_address: trace.da.get(),
                    length: trace.len.get(),
                    name: trace.name,
                };
                Ok((Entry::Trace(trace), end))
            }
            raw::VDEV => self.vdev(entry, offset),
            kind if raw::VENDOR.contains(&kind) => {
                // Only the vendor's driver knows how long it is: it has what is left up to the next entry.
                let last = entry.saturating_add(1) >= self.entries;
                let next = self
                    .offset(entry.saturating_add(1))
                    .filter(|next| !last && *next > offset);
                let end = next.map_or(wide(self.bytes.len()), u64::from);
                require(self.bytes, Some(entry), end)?;
                Ok((
                    Entry::Other {
                        entry,
                        offset,
                        kind,
                    },
                    end,
                ))
            }
            kind => Err(Error::EntryType { entry, kind }),
        }
    }

    fn vdev(&self, entry: u32, offset: u32) -> Result<(Entry<'a>, u64), Error> {
        let start = u64::from(offset);
        let vdev: raw::Vdev = self.record(entry, start)?;
        let [low, high] = vdev.reserved;
        reserved(
            start.saturating_add(26),
            u16::from_le_bytes([low, high]).into(),
        )?;
        if vdev.vrings > MAX_VRINGS {
            return Err(Error::Vrings {
                entry,
                count: vdev.vrings,
            });
        }
        if vdev.config_len.get() > MAX_CONFIG {
            return Err(Error::Config {
                entry,
                length: vdev.config_len.get(),
            });
        }
        let mut at = start.saturating_add(wide(size_of::<raw::Vdev>()));
        let mut vrings = [None; 2];
        for place in vrings.iter_mut().take(usize::from(vdev.vrings)) {
            let vring: raw::Vring = self.record(entry, at)?;
            reserved(at.saturating_add(16), vring.reserved.get())?;
            *place = Some(Vring {
                offset: u32::try_from(at).unwrap_or(u32::MAX),
                device_address: vring.da.get(),
                align: vring.align.get(),
                descriptors: vring.num.get(),
                notify_id: vring.notify_id.get(),
            });
            at = at.saturating_add(wide(size_of::<raw::Vring>()));
        }
        let end = at.saturating_add(u64::from(vdev.config_len.get()));
        let config = between(self.bytes, at, end).ok_or(Error::Truncated {
            entry: Some(entry),
            needed: end,
            found: wide(self.bytes.len()),
        })?;
        let vdev = Vdev {
            entry,
            offset,
            id: vdev.id.get(),
            notify_id: vdev.notify_id.get(),
            device_features: vdev.device_features.get(),
            driver_features: vdev.driver_features.get(),
            status: vdev.status,
            vrings,
            config,
        };
        Ok((Entry::Vdev(vdev), end))
    }

    fn record<T: FromBytes>(&self, entry: u32, at: u64) -> Result<T, Error> {
        let end = at.saturating_add(wide(size_of::<T>()));
        let error = Error::Truncated {
            entry: Some(entry),
            needed: end,
            found: wide(self.bytes.len()),
        };
        let bytes = between(self.bytes, at, end).ok_or(error)?;
        T::read_from_bytes(bytes).ok().ok_or(error)
    }
}

impl fmt::Debug for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.entries()).finish()
    }
}

/// One entry of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// A carveout, devmem or vendor entry, which we never publish.
    Other {
        /// Its place in the offset array.
        entry: u32,
        /// Where it lies in the table.
        offset: u32,
        /// Its type.
        kind: u32,
    },
    /// A trace buffer.
    Trace(Trace),
    /// A virtio device.
    Vdev(Vdev<'a>),
}

/// A trace buffer of the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Its place in the offset array.
    pub entry: u32,
    /// Where the entry lies in the table.
    pub offset: u32,
    /// Where the core writes it, or [`crate::ANY`].
    pub device_address: u32,
    /// Its length in bytes.
    pub length: u32,
    pub(crate) name: [u8; 32],
}

impl Trace {
    /// Its name.
    pub fn name(&self) -> &str {
        let text = self.name.split(|byte| *byte == 0).next().unwrap_or(&[]);
        core::str::from_utf8(text).unwrap_or("")
    }
}

/// A virtio device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vdev<'a> {
    /// Its place in the offset array.
    pub entry: u32,
    /// Where the entry lies in the table.
    pub offset: u32,
    /// The virtio device id; 7 is RPMsg.
    pub id: u32,
    /// What to ring it with when its configuration changed.
    pub notify_id: u32,
    /// Features it offers.
    pub device_features: u32,
    /// Features the driver accepted.
    pub driver_features: u32,
    /// The virtio device status.
    pub status: u8,
    vrings: [Option<Vring>; 2],
    config: &'a [u8],
}

impl<'a> Vdev<'a> {
    /// Its vrings in the order of the entry.
    pub fn vrings(&self) -> impl Iterator<Item = Vring> + use<'a> {
        self.vrings.into_iter().flatten()
    }

    /// Its configuration space.
    pub fn config(&self) -> &'a [u8] {
        self.config
    }

    /// Where in the table the driver writes the features it accepted.
    pub fn driver_features_offset(&self) -> u32 {
        self.offset.saturating_add(16)
    }

    /// Where in the table the driver writes the device status.
    pub fn status_offset(&self) -> u32 {
        self.offset.saturating_add(24)
    }

    /// Where in the table its notify id lies.
    pub fn notify_id_offset(&self) -> u32 {
        self.offset.saturating_add(8)
    }
}

/// A vring of a virtio device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vring {
    /// Where it is described in the table.
    pub offset: u32,
    /// Where the core reaches it, or [`crate::ANY`].
    pub device_address: u32,
    /// To what its parts are aligned.
    pub align: u32,
    /// How many descriptors it has.
    pub descriptors: u32,
    /// What to ring it with, or [`crate::ANY`].
    pub notify_id: u32,
}

impl Vring {
    /// How many bytes it has in memory.
    pub fn size(&self) -> Option<u64> {
        vring_size(self.descriptors, self.align)
    }

    /// Where in the table its device address lies.
    pub fn device_address_offset(&self) -> u32 {
        self.offset
    }

    /// Where in the table its notify id lies.
    pub fn notify_id_offset(&self) -> u32 {
        self.offset.saturating_add(12)
    }
}

/// How many bytes a split vring has in memory, by the layout of Linux' `vring_size`: descriptors and available ring,
/// aligned, then the used ring. `None` where `align` is no power of two.
pub fn vring_size(descriptors: u32, align: u32) -> Option<u64> {
    let (count, align) = (u64::from(descriptors), u64::from(align));
    if !align.is_power_of_two() {
        return None;
    }
    let descriptors_and_available = count.checked_mul(18)?.checked_add(6)?;
    let used = count.checked_mul(8)?.checked_add(6)?;
    align_up(descriptors_and_available, align)?.checked_add(used)
}

/// The next multiple of `align`, a power of two.
pub(crate) fn align_up(value: u64, align: u64) -> Option<u64> {
    let mask = align.checked_sub(1)?;
    Some(value.checked_add(mask)? & !mask)
}

fn header(bytes: &[u8]) -> Result<raw::Header, Error> {
    let Ok((header, _)) = raw::Header::read_from_prefix(bytes) else {
        return Err(Error::Truncated {
            entry: None,
            needed: wide(size_of::<raw::Header>()),
            found: wide(bytes.len()),
        });
    };
    let version = header.version.get();
    if version != 1 {
        return Err(Error::Version { version });
    }
    let [first, second] = header.reserved;
    reserved(8, first.get())?;
    reserved(12, second.get())?;
    if header.entries.get() > MAX_ENTRIES {
        return Err(Error::Entries {
            count: header.entries.get(),
            limit: MAX_ENTRIES,
        });
    }
    Ok(header)
}

/// Where `count` offsets end.
fn offsets_end(count: u32) -> u64 {
    u64::from(count).saturating_mul(4).saturating_add(16)
}

fn require(bytes: &[u8], entry: Option<u32>, needed: u64) -> Result<(), Error> {
    let found = wide(bytes.len());
    if found < needed {
        return Err(Error::Truncated {
            entry,
            needed,
            found,
        });
    }
    Ok(())
}

fn reserved(offset: u64, value: u32) -> Result<(), Error> {
    if value != 0 {
        let offset = u32::try_from(offset).unwrap_or(u32::MAX);
        return Err(Error::Reserved { offset, value });
    }
    Ok(())
}

/// Linux takes names as C strings and shows them in debugfs.
fn name(entry: u32, name: &[u8; 32]) -> Result<(), Error> {
    let length = name.iter().position(|byte| *byte == 0);
    let (text, rest) = length
        .and_then(|length| name.split_at_checked(length))
        .ok_or(Error::Name { entry })?;
    let printable = text.iter().all(|byte| matches!(byte, b' '..=b'~'));
    if text.is_empty() || !printable || rest.iter().any(|byte| *byte != 0) {
        return Err(Error::Name { entry });
    }
    Ok(())
}

fn zeros(bytes: &[u8], start: u64, end: u64) -> Result<(), Error> {
    let gap = between(bytes, start, end).unwrap_or(&[]);
    match gap.iter().zip(start..end).find(|(byte, _)| **byte != 0) {
        Some((value, offset)) => Err(Error::Padding {
            offset: u32::try_from(offset).unwrap_or(u32::MAX),
            value: *value,
        }),
        None => Ok(()),
    }
}

fn between(bytes: &[u8], start: u64, end: u64) -> Option<&[u8]> {
    bytes.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
}

fn wide(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}
