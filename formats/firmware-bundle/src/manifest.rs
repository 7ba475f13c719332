//! The manifest: what is signed about the image.

use zerocopy::FromBytes;

use crate::trailer::{PartReader, zero};
use crate::{
    Error, Extension, MAX_BUILD_ID, MAX_CORES, MAX_DISPLAY_VERSION, MAX_TABLE, Part, SbomDigest,
    Segment, extension, raw, segment,
};

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
        let segments = segment::read(&mut reader, head.segments.get(), elf_size)?;
        let digests = segment::digests(&mut reader, segments)?;
        let table = table(&mut reader, head.table_size.get(), head.table_address.get())?;
        let extensions = extension::read(&mut reader, head.extensions.get())?;
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
        self.segments.iter().filter_map(segment::decode)
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

    /// The digest of the software bill of materials, where the signer gave one.
    #[must_use]
    pub fn sbom(&self) -> Option<SbomDigest<'a>> {
        let mut extensions = self.extensions();
        let value = extensions.find(|one| one.kind == SbomDigest::KIND)?.value;
        SbomDigest::parse(value).ok()
    }

    /// Extensions by ascending type. None of them is critical: the one type that version 1 knows, the SBOM digest, is not.
    pub fn extensions(&self) -> impl Iterator<Item = Extension<'a>> + use<'a> {
        let mut reader = PartReader::new(Part::Manifest, self.extensions);
        core::iter::from_fn(move || {
            let (kind, value) = extension::one(&mut reader).ok()?;
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

/// Where it is published, and its bytes.
type InlineTable<'a> = Option<(u64, &'a [u8])>;

pub(crate) const VERSION: u16 = 1;
pub(crate) const HAS_VECTOR_TABLE: u16 = 1;
const _: () = assert!(MAX_DISPLAY_VERSION == 32 && MAX_BUILD_ID == 64);
