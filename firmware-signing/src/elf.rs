//! The firmware ELF: what is loaded, where, and what else the file says about it.
//!
//! Every offset and count is checked here before goblin reads the table it belongs to, so a hostile or cut file ends in a named error
//! and never in a large allocation.

use core::ops::Range;

use goblin::container::{Container, Ctx};
use goblin::elf::header::{EM_AARCH64, EM_ARM, EM_RISCV, ET_EXEC, Header};
use goblin::elf::program_header::{PF_R, PF_W, PF_X, PT_LOAD, PT_NOTE, ProgramHeader};
use goblin::elf::section_header::{SHF_ALLOC, SHT_NOBITS, SHT_NULL, SHT_STRTAB, SectionHeader};

use crate::Error;

/// Holding an `Image` tells you that every table and every range it names lies inside the file, that the segments do not overlap
/// or wrap, and that none is both writable and executable.
#[derive(Clone, Debug)]
pub struct Image<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) header: Header,
    pub(crate) program_headers: Vec<ProgramHeader>,
    pub(crate) sections: Vec<SectionHeader>,
    machine: Machine,
    segments: Vec<Segment>,
    build_id: Option<Range<usize>>,
    resource_table: Option<ResourceTable>,
}

/// Processors whose images can be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// 64-bit Arm.
    Aarch64,
    /// 32-bit Arm, Cortex-M and Cortex-R among them.
    Arm,
    /// RISC-V, 32 bit.
    Riscv32,
    /// RISC-V, 64 bit.
    Riscv64,
}

impl Machine {
    /// The name used in reports and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aarch64 => "aarch64",
            Self::Arm => "arm",
            Self::Riscv32 => "riscv32",
            Self::Riscv64 => "riscv64",
        }
    }
}

/// A program header of type LOAD which takes memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its number among all program headers, as readelf counts them.
    pub header: usize,
    /// Where the loader puts it (`p_paddr`).
    pub address: u64,
    /// Where it runs (`p_vaddr`).
    pub virtual_address: u64,
    /// Its bytes in the file; what memory has more is zero.
    pub file: Range<usize>,
    /// Bytes it takes in memory.
    pub memory_size: u64,
    /// May be read by the core.
    pub readable: bool,
    /// May be written by the core.
    pub writable: bool,
    /// May be executed by the core.
    pub executable: bool,
}

impl Segment {
    /// First address behind it.
    pub fn end(&self) -> u64 {
        self.address.saturating_add(self.memory_size)
    }
}

/// The section `.resource_table`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceTable {
    /// Its device address, moved as its segment is.
    pub address: u64,
    /// Its bytes in the file.
    pub file: Range<usize>,
    /// Index into [`Image::segments`] of the segment around it.
    pub segment: Option<usize>,
}

impl<'a> Image<'a> {
    /// Reads and judges `bytes`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let surveyed = Surveyed::read(bytes)?;
        match surveyed.faults.first() {
            Some(fault) => Err(*fault),
            None => Ok(surveyed.image),
        }
    }

    fn read(bytes: &'a [u8], faults: &mut Vec<Error>) -> Result<Self, Error> {
        let (header, context, machine) = file_header(bytes)?;
        let program_headers = program_headers(bytes, &header, context)?;
        let segments = segments(&program_headers, context, faults)?;
        let sections = sections(bytes, &header, context)?;
        let mut image = Self {
            bytes,
            header,
            program_headers,
            sections,
            machine,
            segments,
            build_id: None,
            resource_table: None,
        };
        image.build_id = image.find_build_id();
        image.resource_table = image.find_resource_table()?;
        Ok(image)
    }

    /// The whole file.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The processor it is for.
    pub fn machine(&self) -> Machine {
        self.machine
    }

    /// `e_entry`; on Arm its lowest bit says Thumb.
    pub fn entry(&self) -> u64 {
        self.header.e_entry
    }

    /// ELF64 rather than ELF32.
    pub(crate) fn is_wide(&self) -> bool {
        matches!(self.machine, Machine::Aarch64 | Machine::Riscv64)
    }

    /// What is loaded, sorted by device address.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// GNU build id, if the linker left one.
    pub fn build_id(&self) -> Option<&'a [u8]> {
        self.bytes.get(self.build_id.clone()?)
    }

    /// The resource table, if there is one.
    pub fn resource_table(&self) -> Option<&ResourceTable> {
        self.resource_table.as_ref()
    }

    /// The bytes of a range which this image named.
    pub fn slice(&self, range: &Range<usize>) -> &'a [u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }

    /// The section names are judged by [`sections`]: this cannot fail for a parsed image.
    pub(crate) fn section_name(&self, section: &SectionHeader) -> &'a [u8] {
        let names = self
            .sections
            .get(usize::from(self.header.e_shstrndx))
            .and_then(SectionHeader::file_range)
            .and_then(|range| self.bytes.get(range))
            .unwrap_or_default();
        c_string(names, section.sh_name).unwrap_or_default()
    }

    fn find_resource_table(&self) -> Result<Option<ResourceTable>, Error> {
        let mut found = self.sections.iter().enumerate().filter(|(_, section)| {
            section.sh_type != SHT_NULL && self.section_name(section) == b".resource_table"
        });
        let Some((index, section)) = found.next() else {
            return Ok(None);
        };
        if let Some((second, _)) = found.next() {
            return Err(Error::ElfTwoResourceTables {
                first: index,
                second,
            });
        }
        let file = match section.file_range() {
            Some(file) if !file.is_empty() && section.sh_flags & u64::from(SHF_ALLOC) != 0 => file,
            _ => return Err(Error::ElfResourceTableEmpty { section: index }),
        };
        let segment = self.segments.iter().position(|segment| {
            section.sh_addr >= segment.virtual_address
                && section.sh_addr - segment.virtual_address < segment.memory_size
        });
        let address =
            segment
                .and_then(|index| self.segments.get(index))
                .map_or(section.sh_addr, |segment| {
                    // The segment does not wrap, and the section begins inside it.
                    segment.address + (section.sh_addr - segment.virtual_address)
                });
        Ok(Some(ResourceTable {
            address,
            file,
            segment,
        }))
    }

    fn find_build_id(&self) -> Option<Range<usize>> {
        let sections = self
            .sections
            .iter()
            .filter(|section| section.sh_type == goblin::elf::section_header::SHT_NOTE);
        let from_sections = sections.filter_map(SectionHeader::file_range);
        let headers = self.program_headers.iter();
        let from_headers = headers
            .filter(|header| header.p_type == PT_NOTE && header.p_filesz > 0)
            .map(ProgramHeader::file_range);
        from_sections
            .chain(from_headers)
            .find_map(|range| build_id_in(self.bytes, range))
    }
}

/// An image with everything that is wrong about its segments, so that all of it can be told at once.
#[derive(Clone, Debug)]
pub(crate) struct Surveyed<'a> {
    /// What an [`Image`] promises of overlaps and access holds only where there is no fault.
    pub(crate) image: Image<'a>,
    /// Segments that overlap, in memory or in the file, or are both writable and executable.
    pub(crate) faults: Vec<Error>,
}

impl<'a> Surveyed<'a> {
    /// Reads `bytes`; what makes them unreadable is still an error.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut faults = Vec::new();
        let image = Image::read(bytes, &mut faults)?;
        Ok(Self { image, faults })
    }
}

/// Identifies the file before anything else is read from it.
fn file_header(bytes: &[u8]) -> Result<(Header, Ctx, Machine), Error> {
    if bytes.is_empty() {
        return Err(Error::InputEmpty);
    }
    if !bytes.starts_with(b"\x7fELF") {
        return Err(Error::NotElf);
    }
    let size = match bytes.get(4) {
        Some(1) => 52,
        Some(2) => 64,
        Some(&class) => return Err(Error::ElfClass { class }),
        None => return Err(truncated(16, bytes)),
    };
    if bytes.get(5) == Some(&2) {
        return Err(Error::ElfBigEndian);
    }
    if bytes.len() < size {
        return Err(truncated(size as u64, bytes));
    }
    let header = goblin::elf::Elf::parse_header(bytes).map_err(|_| Error::ElfHeader)?;
    let container = header.container().map_err(|_| Error::ElfHeader)?;
    let endianness = header.endianness().map_err(|_| Error::ElfHeader)?;
    let machine = match (header.e_machine, container) {
        (EM_ARM, Container::Little) => Machine::Arm,
        (EM_AARCH64, Container::Big) => Machine::Aarch64,
        (EM_RISCV, Container::Little) => Machine::Riscv32,
        (EM_RISCV, Container::Big) => Machine::Riscv64,
        (machine, _) => return Err(Error::ElfMachine { machine }),
    };
    if header.e_type != ET_EXEC {
        return Err(Error::ElfType {
            found: header.e_type,
        });
    }
    Ok((header, Ctx::new(container, endianness), machine))
}

fn program_headers(
    bytes: &[u8],
    header: &Header,
    context: Ctx,
) -> Result<Vec<ProgramHeader>, Error> {
    let count = usize::from(header.e_phnum);
    if count > MAX_PROGRAM_HEADERS {
        return Err(Error::ElfTooManyProgramHeaders {
            count,
            limit: MAX_PROGRAM_HEADERS,
        });
    }
    let entry = ProgramHeader::size(context);
    if count > 0 && usize::from(header.e_phentsize) != entry {
        return Err(Error::ElfHeader);
    }
    let start = table(bytes, header.e_phoff, count, entry)?;
    let headers =
        ProgramHeader::parse(bytes, start, count, context).map_err(|_| Error::ElfHeader)?;
    for header in headers.iter().filter(|header| header.p_filesz > 0) {
        inside(bytes, header.p_offset, header.p_filesz)?;
    }
    Ok(headers)
}

fn segments(
    headers: &[ProgramHeader],
    context: Ctx,
    faults: &mut Vec<Error>,
) -> Result<Vec<Segment>, Error> {
    let mut segments = Vec::new();
    for (index, header) in headers.iter().enumerate() {
        if header.p_type != PT_LOAD || header.p_memsz == 0 && header.p_filesz == 0 {
            continue;
        }
        segments.push(segment(index, header, context, faults)?);
    }
    if segments.is_empty() {
        return Err(Error::ElfNothingToLoad);
    }
    segments.sort_by_key(|segment| segment.address);
    for pair in segments.windows(2) {
        if let [first, second] = pair
            && first.end() > second.address
        {
            faults.push(Error::ElfSegmentsOverlap {
                first: first.header,
                second: second.header,
                from: second.address,
                to: first.end().min(second.end()),
            });
        }
    }
    let mut by_file: Vec<&Segment> = segments.iter().filter(|s| !s.file.is_empty()).collect();
    by_file.sort_by_key(|segment| segment.file.start);
    for pair in by_file.windows(2) {
        if let [first, second] = pair
            && first.file.end > second.file.start
        {
            faults.push(Error::ElfSegmentsShareBytes {
                first: first.header,
                second: second.header,
                from: second.file.start as u64,
                to: first.file.end.min(second.file.end) as u64,
            });
        }
    }
    Ok(segments)
}

fn segment(
    index: usize,
    header: &ProgramHeader,
    context: Ctx,
    faults: &mut Vec<Error>,
) -> Result<Segment, Error> {
    if header.p_filesz > header.p_memsz {
        return Err(Error::ElfSegmentFileLarger {
            segment: index,
            file: header.p_filesz,
            memory: header.p_memsz,
        });
    }
    let top = match context.container {
        Container::Little => 1 << 32,
        Container::Big => u64::MAX,
    };
    for address in [header.p_paddr, header.p_vaddr] {
        if address
            .checked_add(header.p_memsz)
            .is_none_or(|end| end > top)
        {
            return Err(Error::ElfSegmentWraps {
                segment: index,
                address,
                size: header.p_memsz,
            });
        }
    }
    let (writable, executable) = (header.p_flags & PF_W != 0, header.p_flags & PF_X != 0);
    if writable && executable {
        faults.push(Error::ElfSegmentWritableExecutable {
            segment: index,
            address: header.p_paddr,
        });
    }
    Ok(Segment {
        header: index,
        address: header.p_paddr,
        virtual_address: header.p_vaddr,
        file: if header.p_filesz == 0 {
            0..0
        } else {
            // Inside the file: judged with all program headers.
            header.file_range()
        },
        memory_size: header.p_memsz,
        // A header without any flag is data to every loader there is.
        readable: header.p_flags & PF_R != 0 || !(writable || executable),
        writable,
        executable,
    })
}

fn sections(bytes: &[u8], header: &Header, context: Ctx) -> Result<Vec<SectionHeader>, Error> {
    let count = usize::from(header.e_shnum);
    if header.e_shoff == 0 || count == 0 {
        return Ok(Vec::new());
    }
    let entry = SectionHeader::size(context);
    if usize::from(header.e_shentsize) != entry {
        return Err(Error::ElfHeader);
    }
    let start = table(bytes, header.e_shoff, count, entry)?;
    // Written out because goblin's own `parse` reads a count of its own from section 0.
    let mut sections = Vec::with_capacity(count);
    for index in 0..count {
        let offset = start + index * entry;
        let one = SectionHeader::parse_from(bytes, offset, 1, context)
            .ok()
            .and_then(|list| list.into_iter().next());
        sections.push(one.ok_or(Error::ElfHeader)?);
    }
    for (index, section) in sections.iter().enumerate() {
        if !matches!(section.sh_type, SHT_NULL | SHT_NOBITS) {
            inside(bytes, section.sh_offset, section.sh_size).map_err(|_| {
                Error::ElfSectionOutside {
                    section: index,
                    end: section.sh_offset.saturating_add(section.sh_size),
                    file: bytes.len() as u64,
                }
            })?;
        }
    }
    let names = sections
        .get(usize::from(header.e_shstrndx))
        .filter(|names| names.sh_type == SHT_STRTAB)
        .and_then(SectionHeader::file_range)
        .and_then(|range| bytes.get(range))
        .ok_or(Error::ElfSectionNames {
            index: header.e_shstrndx,
        })?;
    for (index, section) in sections.iter().enumerate() {
        if section.sh_type != SHT_NULL && c_string(names, section.sh_name).is_none() {
            return Err(Error::ElfSectionName {
                section: index,
                offset: section.sh_name as u64,
            });
        }
    }
    Ok(sections)
}

/// Where a table of `count` entries begins, once all of it is known to lie in the file.
fn table(bytes: &[u8], offset: u64, count: usize, entry: usize) -> Result<usize, Error> {
    let size = (count as u64).saturating_mul(entry as u64);
    inside(bytes, offset, size)?;
    usize::try_from(offset).map_err(|_| truncated(u64::MAX, bytes))
}

fn inside(bytes: &[u8], offset: u64, size: u64) -> Result<(), Error> {
    let end = offset.saturating_add(size);
    if size > 0 && end > bytes.len() as u64 {
        return Err(truncated(end, bytes));
    }
    Ok(())
}

fn truncated(end: u64, bytes: &[u8]) -> Error {
    Error::ElfTruncated {
        end,
        file: bytes.len() as u64,
    }
}

fn c_string(names: &[u8], offset: usize) -> Option<&[u8]> {
    let rest = names.get(offset..)?;
    let rest = rest.get(..MAX_SECTION_NAME).unwrap_or(rest);
    rest.get(..rest.iter().position(|&byte| byte == 0)?)
}

/// The description of the note "GNU", type 3, among the notes in `range`.
fn build_id_in(bytes: &[u8], range: Range<usize>) -> Option<Range<usize>> {
    if range.len() > MAX_NOTES {
        return None;
    }
    let (mut at, end) = (range.start, range.end);
    while at < end {
        let word = |offset: usize| {
            let field = bytes.get(at + offset..at + offset + 4)?;
            usize::try_from(u32::from_le_bytes(field.try_into().ok()?)).ok()
        };
        let (name_size, size, kind) = (word(0)?, word(4)?, word(8)?);
        let name = at + 12;
        let description = name.checked_add(name_size.checked_next_multiple_of(4)?)?;
        let description_end = description.checked_add(size)?;
        if description_end > end {
            return None;
        }
        if kind == NT_GNU_BUILD_ID && bytes.get(name..name + name_size) == Some(b"GNU\0") {
            return Some(description..description_end);
        }
        at = description.checked_add(size.checked_next_multiple_of(4)?)?;
    }
    None
}

/// Far more than any linker makes, far fewer than the 65535 a hostile file may claim.
const MAX_PROGRAM_HEADERS: usize = 128;
/// Bounds the search for the end of a name.
const MAX_SECTION_NAME: usize = 4096;
/// Bounds the search for a build id.
const MAX_NOTES: usize = 0x1_0000;
const NT_GNU_BUILD_ID: usize = 3;
