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

/// What is left out of an ELF: small beside it, so that a large one is changed where it lies instead of being copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stripping {
    /// What becomes zero, ascending.
    gaps: Vec<Range<usize>>,
    /// Where what stays ends, and `tail` begins.
    fixed_end: usize,
    /// Symbols, names, and the new section table.
    tail: Vec<u8>,
    /// Fields of the ELF header.
    header: Vec<(usize, Vec<u8>)>,
}

impl Stripping {
    /// What debug sections take up in the image; `None` where nothing is left out.
    pub fn of(image: &Image<'_>) -> Option<Self> {
        let stripping = stripped(image)?;
        (stripping.size() < image.bytes().len()).then_some(stripping)
    }

    /// Takes them out of the image's own bytes.
    pub fn apply(self, mut elf: Vec<u8>) -> Vec<u8> {
        elf.truncate(self.fixed_end);
        for gap in self.gaps {
            elf[gap].fill(0);
        }
        for (at, field) in self.header {
            elf[at..at + field.len()].copy_from_slice(&field);
        }
        elf.extend(self.tail);
        elf
    }

    fn size(&self) -> usize {
        self.fixed_end + self.tail.len()
    }

    /// Sections begin at multiples of eight.
    fn align(&mut self) {
        let missing = self.size().next_multiple_of(8) - self.size();
        self.tail.resize(self.tail.len() + missing, 0);
    }
}

fn stripped(image: &Image<'_>) -> Option<Stripping> {
    let layout = Layout::of(image)?;
    image.bytes().get(..layout.fixed_end)?;
    let mut out = Stripping {
        gaps: layout.gaps(),
        fixed_end: layout.fixed_end,
        tail: Vec::new(),
        header: Vec::new(),
    };

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
            let mut content = Cow::Borrowed(image.bytes().get(section.file_range()?)?);
            if section.sh_type == SHT_SYMTAB {
                let (kept, first_global) = symbols(&content, section, &shape, &layout.renumbered)?;
                (content, info) = (Cow::Owned(kept), first_global);
            }
            out.align();
            shape.put(&mut header, shape.offset, out.size() as u64);
            shape.put(&mut header, shape.size, content.len() as u64);
            out.tail.extend_from_slice(&content);
            if out.size() > image.bytes().len() {
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

    out.align();
    let table = (out.size() as u64).to_le_bytes();
    let count = u16::try_from(headers.len()).ok()?;
    let names = u16::try_from(layout.renumber(u32::from(image.header.e_shstrndx))?).ok()?;
    headers.iter().for_each(|header| out.tail.extend(header));
    out.header = vec![
        (shape.table_offset, table[..shape.word].to_vec()),
        (shape.counts, count.to_le_bytes().to_vec()),
        (shape.counts + 2, names.to_le_bytes().to_vec()),
    ];
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

    /// What lies between the ranges that stay.
    fn gaps(&self) -> Vec<Range<usize>> {
        let ends = std::iter::once(0).chain(self.fixed.iter().map(|range| range.end));
        let gaps = ends.zip(&self.fixed).map(|(end, next)| end..next.start);
        gaps.filter(|gap| !gap.is_empty()).collect()
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
