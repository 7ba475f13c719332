//! Segments: what lies where in the core's memory, and where it comes from.

use zerocopy::FromBytes;

use crate::raw;
use crate::trailer::PartReader;
use crate::{CHUNK, Error, MAX_IMAGE, MAX_SEGMENTS};

/// What the core may do with a segment's memory (bundle-format.md 7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access(u32);

impl Access {
    /// From ELF program header flags: 1 execute, 2 write, 4 read; `None` for no bit or another one.
    #[must_use]
    pub fn from_bits(bits: u32) -> Option<Access> {
        (bits != 0 && bits & !7 == 0).then_some(Access(bits))
    }

    /// As in the file.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }

    /// May be executed.
    #[must_use]
    pub fn executable(self) -> bool {
        self.0 & 1 != 0
    }

    /// May be written.
    #[must_use]
    pub fn writable(self) -> bool {
        self.0 & 2 != 0
    }

    /// May be read.
    #[must_use]
    pub fn readable(self) -> bool {
        self.0 & 4 != 0
    }
}

/// One range of the core's memory, and the file bytes that fill its beginning. The rest of it is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Device address.
    pub address: u64,
    /// Bytes in memory, at least one.
    pub memory_size: u64,
    /// Where its bytes begin in the file; zero where there are none.
    pub file_offset: u64,
    /// Bytes in the file, at most `memory_size`.
    pub file_size: u64,
    /// What the core may do with it.
    pub access: Access,
}

impl Segment {
    /// First address behind its memory.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.address.saturating_add(self.memory_size)
    }

    /// First address behind its loaded bytes.
    #[must_use]
    pub fn loaded_end(&self) -> u64 {
        self.address.saturating_add(self.file_size)
    }

    /// First offset behind its bytes in the file.
    #[must_use]
    pub fn file_end(&self) -> u64 {
        self.file_offset.saturating_add(self.file_size)
    }

    /// How many chunk digests it has (bundle-format.md 7.11).
    #[must_use]
    pub fn chunks(&self) -> usize {
        usize::try_from(self.file_size.div_ceil(CHUNK)).unwrap_or(usize::MAX)
    }
}

pub(crate) fn read<'a>(
    reader: &mut PartReader<'a>,
    count: u16,
    elf_size: u64,
) -> Result<&'a [[u8; 48]], Error> {
    if count == 0 || usize::from(count) > MAX_SEGMENTS {
        return Err(Error::SegmentCount { count }); // bundle-format.md 7.1
    }
    let (records, _) = reader
        .take(usize::from(count).saturating_mul(48))?
        .as_chunks::<48>();

    let mut previous: Option<Segment> = None;
    let mut image = 0u64;
    for (index, record) in (0..=u8::MAX).zip(records) {
        let segment = one(index, record, elf_size)?;
        if let Some(previous) = previous {
            if segment.address <= previous.address {
                return Err(Error::SegmentOrder { segment: index }); // bundle-format.md 7.5
            }
            if segment.address < previous.end() {
                // bundle-format.md 7.6
                return Err(Error::SegmentOverlap {
                    segment: index,
                    address: segment.address,
                    end: previous.end(),
                });
            }
        }
        image = image.saturating_add(segment.file_size);
        previous = Some(segment);
    }
    // At most 32 times 31 comparisons.
    for (index, record) in (0..=u8::MAX).zip(records) {
        for (earlier, other) in (0u8..index).zip(records) {
            if let (Some(a), Some(b)) = (decode(other), decode(record))
                && a.file_size != 0
                && b.file_size != 0
                && a.file_offset < b.file_end()
                && b.file_offset < a.file_end()
            {
                // bundle-format.md 7.8
                return Err(Error::FileOverlap {
                    first: earlier,
                    second: index,
                });
            }
        }
    }
    if image > MAX_IMAGE {
        // bundle-format.md 7.10
        return Err(Error::ImageSize {
            size: image,
            limit: MAX_IMAGE,
        });
    }
    Ok(records)
}

fn one(index: u8, record: &[u8; 48], elf_size: u64) -> Result<Segment, Error> {
    let raw = raw::Segment::ref_from_bytes(record)
        .map_err(|_| Error::SegmentReserved { segment: index })?;
    let flags = raw.flags.get();
    // bundle-format.md 7.2
    let access = Access::from_bits(flags).ok_or(Error::SegmentFlags {
        segment: index,
        flags,
    })?;
    if raw.reserved.iter().any(|byte| *byte != 0) {
        return Err(Error::SegmentReserved { segment: index }); // bundle-format.md 7.2
    }
    let segment = Segment {
        address: raw.address.get(),
        memory_size: raw.memory_size.get(),
        file_offset: raw.file_offset.get(),
        file_size: raw.file_size.get(),
        access,
    };
    if segment.memory_size == 0 || segment.file_size > segment.memory_size {
        // bundle-format.md 7.3
        return Err(Error::SegmentSize {
            segment: index,
            file: segment.file_size,
            memory: segment.memory_size,
        });
    }
    if segment.address.checked_add(segment.memory_size).is_none() {
        // bundle-format.md 7.4
        return Err(Error::SegmentWraps {
            segment: index,
            address: segment.address,
        });
    }
    if segment.file_size == 0 {
        if segment.file_offset != 0 {
            // bundle-format.md 7.9
            return Err(Error::FileRangeEmpty {
                segment: index,
                offset: segment.file_offset,
            });
        }
    } else if segment.file_end() > elf_size {
        // bundle-format.md 7.7; a range that wraps ends at u64::MAX here.
        return Err(Error::FileRange {
            segment: index,
            end: segment.file_end(),
            elf: elf_size,
        });
    }
    Ok(segment)
}

pub(crate) fn decode(record: &[u8; 48]) -> Option<Segment> {
    let raw = raw::Segment::ref_from_bytes(record).ok()?;
    Some(Segment {
        address: raw.address.get(),
        memory_size: raw.memory_size.get(),
        file_offset: raw.file_offset.get(),
        file_size: raw.file_size.get(),
        access: Access::from_bits(raw.flags.get())?,
    })
}

/// bundle-format.md 7.11
pub(crate) fn digests<'a>(
    reader: &mut PartReader<'a>,
    segments: &'a [[u8; 48]],
) -> Result<&'a [[u8; 32]], Error> {
    let count = segments
        .iter()
        .filter_map(decode)
        .fold(0usize, |sum, segment| sum.saturating_add(segment.chunks()));
    let (digests, _) = reader.take(count.saturating_mul(32))?.as_chunks();
    Ok(digests)
}
