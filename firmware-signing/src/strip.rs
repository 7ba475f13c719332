//! Leaves out of an ELF what is neither loaded nor needed to map addresses to names.
//!
//! Headers, segments and loaded sections stay where they are in the file, so nothing that a loader reads moves. Symbols and their names are
//! appended behind them, and the section table is written anew. Whatever is unusual enough to make this doubtful keeps the file as it is:
//! a larger bundle is never wrong.

use std::borrow::Cow;
use std::ops::Range;

use goblin::elf::section_header::{
    SHF_ALLOC, SHF_INFO_LINK, SHT_NOBITS, SHT_NULL, SHT_REL, SHT_RELA, SHT_SYMTAB,
    SHT_SYMTAB_SHNDX, SectionHeader,
};

use crate::elf::Image;

/// The ELF without debug sections; borrowed where nothing is left out.
pub fn strip<'a>(image: &Image<'a>) -> Cow<'a, [u8]> {
    match stripped(image) {
        Some(bytes) if bytes.len() < image.bytes().len() => Cow::Owned(bytes),
        _ => Cow::Borrowed(image.bytes()),
    }
}

fn stripped(image: &Image<'_>) -> Option<Vec<u8>> {
    let layout = Layout::of(image)?;
    let mut out = vec![0; layout.fixed_end];
    for range in &layout.fixed {
        out.get_mut(range.clone())?
            .copy_from_slice(image.bytes().get(range.clone())?);
    }

    let shape = Shape::of(image);
    let mut headers = Vec::new();
    for (index, section) in image.sections.iter().enumerate() {
        if layout.renumbered.get(index)?.is_none() {
            continue;
        }
        let at = layout.table + index * shape.section;
        let mut header = image.bytes().get(at..at + shape.section)?.to_vec();
        let mut info = section.sh_info;
        if layout.movable.contains(&index) {
            let mut content = image.bytes().get(section.file_range()?)?.to_vec();
            if section.sh_type == SHT_SYMTAB {
                (content, info) = symbols(&content, section, &shape, &layout.renumbered)?;
            }
            out.resize(out.len().next_multiple_of(8), 0);
            shape.put(&mut header, shape.offset, out.len() as u64);
            shape.put(&mut header, shape.size, content.len() as u64);
            out.extend(content);
            if out.len() > image.bytes().len() {
                return None;
            }
        } else if points_to_section(section) {
            info = layout.renumber(section.sh_info)?;
        }
        let link = layout.renumber(section.sh_link)?;
        header[shape.link..shape.link + 4].copy_from_slice(&link.to_le_bytes());
        header[shape.link + 4..shape.link + 8].copy_from_slice(&info.to_le_bytes());
        headers.push(header);
    }

    out.resize(out.len().next_multiple_of(8), 0);
    let table = out.len() as u64;
    let count = u16::try_from(headers.len()).ok()?;
    headers.iter().for_each(|header| out.extend(header));
    let names = layout.renumber(u32::from(image.header.e_shstrndx))?;
    shape.put(&mut out, shape.table_offset, table);
    let counts = shape.counts;
    out[counts..counts + 2].copy_from_slice(&count.to_le_bytes());
    out[counts + 2..counts + 4].copy_from_slice(&u16::try_from(names).ok()?.to_le_bytes());
    Some(out)
}

/// What stays where it is, what moves, and what every kept section's number becomes.
struct Layout {
    fixed: Vec<Range<usize>>,
    fixed_end: usize,
    movable: Vec<usize>,
    renumbered: Vec<Option<u32>>,
    table: usize,
}

impl Layout {
    /// `None` where nothing can, or should, be left out.
    fn of(image: &Image<'_>) -> Option<Self> {
        let sections = &image.sections;
        let names = usize::from(image.header.e_shstrndx);
        let mut movable = vec![names];
        for (index, section) in sections.iter().enumerate() {
            match section.sh_type {
                SHT_SYMTAB => movable.extend([index, section.sh_link as usize]),
                SHT_SYMTAB_SHNDX => return None,
                _ => {}
            }
        }
        if movable.len() > MAX_MOVABLE {
            return None;
        }
        let loaded = |section: &SectionHeader| section.sh_flags & u64::from(SHF_ALLOC) != 0;
        let unusual = movable
            .iter()
            .any(|&index| sections.get(index).is_none_or(loaded))
            || sections
                .iter()
                .any(|section| loaded(section) && movable.contains(&(section.sh_link as usize)));
        if unusual {
            return None;
        }

        let header = 0..usize::from(image.header.e_ehsize);
        let headers_start = usize::try_from(image.header.e_phoff).ok()?;
        let headers_size =
            usize::from(image.header.e_phnum) * usize::from(image.header.e_phentsize);
        let mut fixed = vec![header.clone(), headers_start..headers_start + headers_size];
        for segment in image.program_headers.iter().filter(|one| one.p_filesz > 0) {
            let range = segment.file_range();
            // The header will change; where it is loaded, the firmware may read it.
            if range.start < header.end {
                return None;
            }
            fixed.push(range);
        }
        let mut renumbered = Vec::with_capacity(sections.len());
        let mut count = 0;
        for (index, section) in sections.iter().enumerate() {
            let keep = section.sh_type == SHT_NULL && index == 0
                || loaded(section)
                || movable.contains(&index);
            if loaded(section) && section.sh_type != SHT_NOBITS {
                fixed.push(section.file_range()?);
            }
            renumbered.push(keep.then_some(count));
            count += u32::from(keep);
        }
        let fixed = merged(fixed);
        Some(Self {
            fixed_end: fixed.last()?.end,
            fixed,
            movable,
            renumbered,
            table: usize::try_from(image.header.e_shoff).ok()?,
        })
    }

    /// A link to a section that goes becomes none.
    fn renumber(&self, index: u32) -> Option<u32> {
        let new = self.renumbered.get(usize::try_from(index).ok()?)?;
        Some(new.unwrap_or(0))
    }
}

/// The same bytes in ascending ranges that do not overlap, so that each is copied once whatever the section table claims.
fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

fn points_to_section(section: &SectionHeader) -> bool {
    matches!(section.sh_type, SHT_REL | SHT_RELA)
        || section.sh_flags & u64::from(SHF_INFO_LINK) != 0
}

/// The symbols of kept sections, and the number of the first that is not local.
fn symbols(
    content: &[u8],
    section: &SectionHeader,
    shape: &Shape,
    renumbered: &[Option<u32>],
) -> Option<(Vec<u8>, u32)> {
    let whole =
        content.len().is_multiple_of(shape.symbol) && section.sh_entsize == shape.symbol as u64;
    if !whole {
        return None;
    }
    let mut kept = Vec::with_capacity(content.len());
    let mut first_global = section.sh_info;
    for (index, symbol) in (0u32..).zip(content.chunks(shape.symbol)) {
        let field = symbol.get(shape.symbol_section..shape.symbol_section + 2)?;
        let of = u16::from_le_bytes(field.try_into().ok()?);
        let at = kept.len() + shape.symbol_section;
        match of {
            SHN_XINDEX => return None,
            0 | SHN_LORESERVE.. => kept.extend(symbol),
            _ => match renumbered.get(usize::from(of))? {
                Some(new) => {
                    kept.extend(symbol);
                    kept[at..at + 2].copy_from_slice(&u16::try_from(*new).ok()?.to_le_bytes());
                }
                None if index < section.sh_info => first_global -= 1,
                None => {}
            },
        }
    }
    Some((kept, first_global))
}

/// Where the fields lie that are rewritten, by the class of the ELF.
struct Shape {
    word: usize,
    table_offset: usize,
    counts: usize,
    section: usize,
    offset: usize,
    size: usize,
    link: usize,
    symbol: usize,
    symbol_section: usize,
}

impl Shape {
    fn of(image: &Image<'_>) -> Self {
        if image.is_wide() {
            Self {
                word: 8,
                table_offset: 40,
                counts: 60,
                section: 64,
                offset: 24,
                size: 32,
                link: 40,
                symbol: 24,
                symbol_section: 6,
            }
        } else {
            Self {
                word: 4,
                table_offset: 32,
                counts: 48,
                section: 40,
                offset: 16,
                size: 20,
                link: 24,
                symbol: 16,
                symbol_section: 14,
            }
        }
    }

    /// A word of the class at `at`.
    fn put(&self, bytes: &mut [u8], at: usize, value: u64) {
        bytes[at..at + self.word].copy_from_slice(&value.to_le_bytes()[..self.word]);
    }
}

/// The table of section names, one symbol table, its strings; more is no linker's work.
const MAX_MOVABLE: usize = 3;
const SHN_LORESERVE: u16 = 0xff00;
const SHN_XINDEX: u16 = 0xffff;
