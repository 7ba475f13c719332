//! The manifest: what is signed about the image.

use zerocopy::FromBytes;

use crate::raw;
use crate::trailer::{PartReader, zero};
use crate::{
    CHUNK, Error, MAX_BUILD_ID, MAX_CORES, MAX_DISPLAY_VERSION, MAX_EXTENSIONS, MAX_IMAGE,
    MAX_SEGMENTS, MAX_TABLE, Part,
};

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

/// Extension types which the format keeps for later (bundle-format.md 9.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// 9
    DebugUnlock,
    /// 1
    DeviceId,
    /// 3
    CoredumpPolicy,
    /// 4
    CoredumpRecipient,
    /// 2
    Encryption,
    /// 8
    FurtherImages,
    /// 6
    HealthPolicy,
    /// 5
    Requires,
    /// 10
    SbomDigest,
    /// 7
    TrustUpdate,
}

impl Reserved {
    /// The reserved type with this number.
    #[must_use]
    pub fn from_kind(kind: u32) -> Option<Reserved> {
        match kind {
            1 => Some(Reserved::DeviceId),
            2 => Some(Reserved::Encryption),
            3 => Some(Reserved::CoredumpPolicy),
            4 => Some(Reserved::CoredumpRecipient),
            5 => Some(Reserved::Requires),
            6 => Some(Reserved::HealthPolicy),
            7 => Some(Reserved::TrustUpdate),
            8 => Some(Reserved::FurtherImages),
            9 => Some(Reserved::DebugUnlock),
            10 => Some(Reserved::SbomDigest),
            _ => None,
        }
    }

    /// Its number in the format.
    #[must_use]
    pub fn kind(self) -> u32 {
        match self {
            Reserved::DeviceId => 1,
            Reserved::Encryption => 2,
            Reserved::CoredumpPolicy => 3,
            Reserved::CoredumpRecipient => 4,
            Reserved::Requires => 5,
            Reserved::HealthPolicy => 6,
            Reserved::TrustUpdate => 7,
            Reserved::FurtherImages => 8,
            Reserved::DebugUnlock => 9,
            Reserved::SbomDigest => 10,
        }
    }
}

impl core::fmt::Display for Reserved {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Reserved::DebugUnlock => "debug unlock",
            Reserved::DeviceId => "device id",
            Reserved::CoredumpPolicy => "coredump policy",
            Reserved::CoredumpRecipient => "coredump recipient",
            Reserved::Encryption => "encryption",
            Reserved::FurtherImages => "further images",
            Reserved::HealthPolicy => "health policy",
            Reserved::Requires => "requires",
            Reserved::SbomDigest => "SBOM digest",
            Reserved::TrustUpdate => "trust update",
        })
    }
}

/// An extension which version 1 carries but does not understand, so it is not critical (bundle-format.md 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension<'a> {
    /// Its type.
    pub kind: u32,
    /// A reader that does not know the type must refuse the bundle.
    pub critical: bool,
    /// Its value.
    pub value: &'a [u8],
}

/// Holding a `Manifest` tells you that it obeys bundle-format.md 5 to 9: segments sorted and disjoint in memory and in the
/// file, every digest there, nothing critical that we do not understand. Whether it may run somewhere is admission's question.
#[derive(Clone, Copy, Debug)]
pub struct Manifest<'a> {
    elf_size: u64,
    device_class: &'a [u8; 16],
    security_version: u32,
    entry: u64,
    vector_table: Option<u64>,
    rest_digest: &'a [u8; 32],
    display_version: &'a str,
    build_id: &'a [u8],
    cores: &'a [[u8; 4]],
    segments: &'a [[u8; 48]],
    digests: &'a [[u8; 32]],
    table: InlineTable<'a>,
    extensions: &'a [u8],
}

impl<'a> Manifest<'a> {
    pub(crate) fn parse(bytes: &'a [u8], elf_size: u64) -> Result<Manifest<'a>, Error> {
        let mut reader = PartReader::new(Part::Manifest, bytes);
        let short = Error::PartShort {
            part: Part::Manifest,
            size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        };
        let head = reader.take(size_of::<raw::ManifestHead>())?;
        let head = raw::ManifestHead::ref_from_bytes(head).map_err(|_| short)?;

        let found = head.version.get();
        if found != VERSION {
            return Err(Error::ManifestVersion { found }); // bundle-format.md 5.2
        }
        let flags = head.flags.get();
        if flags & !HAS_VECTOR_TABLE != 0 {
            return Err(Error::ManifestFlags { flags }); // bundle-format.md 5.3
        }
        if head.reserved.get() != 0 {
            return Err(Error::ManifestReserved); // bundle-format.md 5.4
        }
        let address = head.vector_table.get();
        let vector_table = (flags & HAS_VECTOR_TABLE != 0).then_some(address);
        if vector_table.is_none() && address != 0 {
            return Err(Error::VectorTableAddress { address }); // bundle-format.md 5.7
        }

        let cores = cores(&mut reader, head.cores.get())?;
        let segments = segments(&mut reader, head.segments.get(), elf_size)?;
        let digests = digests(&mut reader, segments)?;
        let table = table(&mut reader, head.table_size.get(), head.table_address.get())?;
        let extensions = extensions(&mut reader, head.extensions.get())?;
        reader.end()?;

        Ok(Manifest {
            elf_size,
            device_class: &head.device_class,
            security_version: head.security_version.get(),
            entry: head.entry.get(),
            vector_table,
            rest_digest: &head.rest_digest,
            display_version: display_version(head)?,
            build_id: build_id(head)?,
            cores,
            segments,
            digests,
            table,
            extensions,
        })
    }

    /// Bytes of the ELF part in front of it.
    #[must_use]
    pub fn elf_size(&self) -> u64 {
        self.elf_size
    }

    /// UUID of the machines it is made for, bytes in the order of the text form.
    #[must_use]
    pub fn device_class(&self) -> &'a [u8; 16] {
        self.device_class
    }

    /// Cores it may run on, ascending.
    pub fn core_ids(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.cores.iter().map(|id| u32::from_le_bytes(*id))
    }

    /// The version that may never go down on a device.
    #[must_use]
    pub fn security_version(&self) -> u32 {
        self.security_version
    }

    /// The version people read.
    #[must_use]
    pub fn display_version(&self) -> &'a str {
        self.display_version
    }

    /// The build id of the ELF, or nothing.
    #[must_use]
    pub fn build_id(&self) -> &'a [u8] {
        self.build_id
    }

    /// The ELF's entry point.
    #[must_use]
    pub fn entry(&self) -> u64 {
        self.entry
    }

    /// The vector table's address, for cores that have one.
    #[must_use]
    pub fn vector_table(&self) -> Option<u64> {
        self.vector_table
    }

    /// SHA-256 of every byte before the manifest that is in no segment.
    #[must_use]
    pub fn rest_digest(&self) -> &'a [u8; 32] {
        self.rest_digest
    }

    /// Segments by ascending device address.
    pub fn segments(&self) -> impl Iterator<Item = Segment> + use<'a> {
        self.segments.iter().filter_map(segment)
    }

    /// Chunk digests, in the order of the segments.
    #[must_use]
    pub fn digests(&self) -> &'a [[u8; 32]] {
        self.digests
    }

    /// The resource table and the device address at which it is published.
    #[must_use]
    pub fn resource_table(&self) -> Option<(u64, &'a [u8])> {
        self.table
    }

    /// Extensions by ascending type. None of them is critical: version 1 knows no type yet.
    pub fn extensions(&self) -> impl Iterator<Item = Extension<'a>> + use<'a> {
        let mut reader = PartReader::new(Part::Manifest, self.extensions);
        core::iter::from_fn(move || {
            let (kind, value) = extension(&mut reader).ok()?;
            Some(Extension {
                kind,
                critical: false,
                value,
            })
        })
    }
}

fn display_version(head: &raw::ManifestHead) -> Result<&str, Error> {
    let length = head.display_version_length;
    let (text, padding) = head
        .display_version
        .split_at_checked(usize::from(length))
        .ok_or(Error::DisplayVersionLength { length })?;
    zero(Part::Manifest, padding)?;
    // bundle-format.md 5.5: people will read it on terminals and in logs.
    core::str::from_utf8(text)
        .ok()
        .filter(|text| !text.chars().any(char::is_control))
        .ok_or(Error::DisplayVersionText)
}

/// bundle-format.md 5.6
fn build_id(head: &raw::ManifestHead) -> Result<&[u8], Error> {
    let length = head.build_id_length;
    let (id, padding) = head
        .build_id
        .split_at_checked(usize::from(length))
        .ok_or(Error::BuildIdLength { length })?;
    zero(Part::Manifest, padding)?;
    Ok(id)
}

fn cores<'a>(reader: &mut PartReader<'a>, count: u16) -> Result<&'a [[u8; 4]], Error> {
    if count == 0 || usize::from(count) > MAX_CORES {
        return Err(Error::CoreCount { count }); // bundle-format.md 6.1
    }
    let (cores, _) = reader
        .padded(u32::from(count).saturating_mul(4))?
        .as_chunks();
    let mut previous: Option<u32> = None;
    for id in cores {
        let next = u32::from_le_bytes(*id);
        if let Some(previous) = previous
            && next <= previous
        {
            return Err(Error::CoreOrder { previous, next }); // bundle-format.md 6.2
        }
        previous = Some(next);
    }
    Ok(cores)
}

fn segments<'a>(
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
    for (index, record) in (0u8..).zip(records) {
        let segment = one_segment(index, record, elf_size)?;
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
    for (index, record) in (0u8..).zip(records) {
        for (earlier, other) in (0u8..index).zip(records) {
            if let (Some(a), Some(b)) = (self::segment(other), self::segment(record))
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

fn one_segment(index: u8, record: &[u8; 48], elf_size: u64) -> Result<Segment, Error> {
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

fn segment(record: &[u8; 48]) -> Option<Segment> {
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
fn digests<'a>(
    reader: &mut PartReader<'a>,
    segments: &'a [[u8; 48]],
) -> Result<&'a [[u8; 32]], Error> {
    let count = segments
        .iter()
        .filter_map(segment)
        .fold(0usize, |sum, segment| sum.saturating_add(segment.chunks()));
    let (digests, _) = reader.take(count.saturating_mul(32))?.as_chunks();
    Ok(digests)
}

fn table<'a>(
    reader: &mut PartReader<'a>,
    size: u32,
    address: u64,
) -> Result<InlineTable<'a>, Error> {
    if usize::try_from(size).map_or(true, |size| size > MAX_TABLE) {
        return Err(Error::TableSize { size, limit: 0xe00 }); // bundle-format.md 8.1
    }
    if size != 0 {
        return Ok(Some((address, reader.padded(size)?)));
    }
    if address != 0 {
        return Err(Error::TableAddress { address }); // bundle-format.md 8.2
    }
    Ok(None)
}

fn extensions<'a>(reader: &mut PartReader<'a>, count: u16) -> Result<&'a [u8], Error> {
    if usize::from(count) > MAX_EXTENSIONS {
        return Err(Error::ExtensionCount { count }); // bundle-format.md 9.1
    }
    let all = reader.rest();
    let mut previous: Option<u32> = None;
    for _ in 0..count {
        let (next, _) = extension(reader)?;
        if let Some(previous) = previous
            && next <= previous
        {
            return Err(Error::ExtensionOrder { previous, next }); // bundle-format.md 9.2
        }
        previous = Some(next);
    }
    let used = all.len().saturating_sub(reader.rest().len());
    Ok(all.get(..used).unwrap_or_default())
}

fn extension<'a>(reader: &mut PartReader<'a>) -> Result<(u32, &'a [u8]), Error> {
    let head: raw::ExtensionHead = reader.record()?;
    let kind = head.kind.get();
    let flags = head.flags.get();
    if kind == 0 {
        return Err(Error::ExtensionZero); // bundle-format.md 9.2
    }
    if flags & !CRITICAL != 0 {
        return Err(Error::ExtensionFlags { kind, flags }); // bundle-format.md 9.3
    }
    if head.reserved.get() != 0 {
        return Err(Error::ExtensionReserved { kind }); // bundle-format.md 9.3
    }
    if let Some(kind) = Reserved::from_kind(kind) {
        return Err(Error::ExtensionNotSupported { kind }); // bundle-format.md 9.5
    }
    if flags & CRITICAL != 0 {
        return Err(Error::ExtensionUnknown { kind }); // bundle-format.md 9.4
    }
    Ok((kind, reader.padded(head.length.get())?))
}

/// Where it is published, and its bytes.
type InlineTable<'a> = Option<(u64, &'a [u8])>;

pub(crate) const VERSION: u16 = 1;
pub(crate) const HAS_VECTOR_TABLE: u16 = 1;
pub(crate) const CRITICAL: u32 = 1;
const _: () = assert!(MAX_DISPLAY_VERSION == 32 && MAX_BUILD_ID == 64);
