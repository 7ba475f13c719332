//! Which ELF may go into OP-TEE as a TA.
//!
//! A TA can link without complaint and then fail in OP-TEE's loader, far from the cause: one library of the host, one
//! symbol that nothing defines. So its dynamic section, symbols, segments and sections are judged here.

use goblin::elf::{
    Elf,
    dynamic::DT_NEEDED,
    header::{EM_AARCH64, ET_DYN},
    program_header::{PF_W, PF_X, PT_LOAD},
    section_header::{SHF_TLS, SHN_UNDEF, SHT_INIT_ARRAY},
    sym::STB_WEAK,
};

use crate::Error;

/// What is worth knowing about a TA that passed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) signed_size: u64,
}

/// Judges the stripped ELF of a TA.
pub(super) fn judge(bytes: &[u8]) -> Result<Report, Error> {
    let elf = Elf::parse(bytes).map_err(|_| Error::TaNotElf { size: bytes.len() })?;
    let (kind, machine) = (elf.header.e_type, elf.header.e_machine);
    if kind != ET_DYN || machine != EM_AARCH64 || !elf.is_64 || !elf.little_endian {
        return Err(Error::TaNotDynamic { kind, machine });
    }
    let needed = elf.dynamic.iter().flat_map(|dynamic| &dynamic.dyns);
    let needed = needed.filter(|entry| entry.d_tag == DT_NEEDED).count();
    if needed > 0 {
        return Err(Error::TaNeedsLibraries { count: needed });
    }
    let named = |name: usize| elf.dynstrtab.get_at(name).unwrap_or_default();
    let imports = elf
        .dynsyms
        .iter()
        .filter(|symbol| symbol.st_shndx == SHN_UNDEF as usize && symbol.st_bind() != STB_WEAK)
        .filter(|symbol| !named(symbol.st_name).is_empty())
        .count();
    if imports > 0 {
        return Err(Error::TaImports { count: imports });
    }
    if !elf
        .dynsyms
        .iter()
        .any(|symbol| named(symbol.st_name) == "ta_head")
    {
        let symbols = elf.dynsyms.len();
        return Err(Error::TaNoHeader { symbols });
    }
    let both = PF_W | PF_X;
    let segments = elf.program_headers.iter();
    if let Some(index) = segments
        .clone()
        .position(|segment| segment.p_type == PT_LOAD && segment.p_flags & both == both)
    {
        return Err(Error::TaWritableCode { index });
    }
    for (index, section) in elf.section_headers.iter().enumerate() {
        if section.sh_flags & u64::from(SHF_TLS) != 0 {
            return Err(Error::TaThreadLocal { index });
        }
        if section.sh_type == SHT_INIT_ARRAY && section.sh_size > 0 {
            return Err(Error::TaInitArray { index });
        }
    }
    Ok(Report {
        signed_size: bytes.len() as u64 + SIGNED_HEADER,
    })
}

impl Report {
    /// The size that the product promises; a test build, with its messages, may be larger.
    pub(super) fn within_limit(self) -> Result<Self, Error> {
        let size = self.signed_size;
        if size > SIZE_LIMIT {
            let limit = SIZE_LIMIT;
            return Err(Error::TaTooLarge { size, limit });
        }
        Ok(self)
    }
}

/// In front of a signed TA: header, SHA-256, RSA-3072 signature, and the header with UUID and version.
const SIGNED_HEADER: u64 = 20 + 32 + 384 + 20;

/// The promise: 450 KB.
const SIZE_LIMIT: u64 = 450_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// A small ELF: one LOAD segment over everything, a dynamic section, and sections for the symbols.
    #[derive(Clone)]
    struct Sample {
        kind: u16,
        machine: u16,
        needed: bool,
        symbols: Vec<(&'static str, u8, u16)>,
        load_flags: u32,
        extra_section: Option<(u32, u64)>,
        padding: usize,
    }

    impl Sample {
        fn good() -> Self {
            Self {
                kind: ET_DYN,
                machine: EM_AARCH64,
                needed: false,
                symbols: vec![("ta_head", 1, 1), ("__optional", 2, 0)],
                load_flags: 5,
                extra_section: None,
                padding: 0,
            }
        }

        fn bytes(&self) -> Vec<u8> {
            let mut strings = vec![0u8];
            let mut symbols = vec![0u8; 24];
            for (name, bind, section) in &self.symbols {
                symbols.extend_from_slice(&(strings.len() as u32).to_le_bytes());
                symbols.extend_from_slice(&[bind << 4 | 1, 0]);
                symbols.extend_from_slice(&section.to_le_bytes());
                symbols.extend_from_slice(&[0; 16]);
                strings.extend_from_slice(name.as_bytes());
                strings.push(0);
            }
            let count = symbols.len() as u32 / 24;
            let mut hash = Vec::new();
            for word in [1, count, 0]
                .into_iter()
                .chain(std::iter::repeat_n(0, count as usize))
            {
                hash.extend_from_slice(&word.to_le_bytes());
            }
            let head = 64 + 2 * 56;
            let (at_strings, at_symbols) = (head, (head + strings.len()).next_multiple_of(8));
            let at_hash = at_symbols + symbols.len();
            let at_dynamic = (at_hash + hash.len()).next_multiple_of(8);
            let mut dynamic = Vec::new();
            let tags = [
                (5, at_strings),
                (6, at_symbols),
                (4, at_hash),
                (10, strings.len()),
                (11, 24),
            ];
            let needed = self.needed.then_some((1, 1));
            for (tag, value) in needed.into_iter().chain(tags).chain([(0, 0)]) {
                dynamic.extend_from_slice(&(tag as u64).to_le_bytes());
                dynamic.extend_from_slice(&(value as u64).to_le_bytes());
            }
            let at_sections = at_dynamic + dynamic.len();
            let sections = if self.extra_section.is_some() {
                2
            } else {
                0u16
            };
            let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
            out.extend_from_slice(&self.kind.to_le_bytes());
            out.extend_from_slice(&self.machine.to_le_bytes());
            out.extend_from_slice(&1u32.to_le_bytes());
            out.extend_from_slice(&0u64.to_le_bytes());
            out.extend_from_slice(&64u64.to_le_bytes());
            out.extend_from_slice(&(at_sections as u64 * u64::from(sections.min(1))).to_le_bytes());
            out.extend_from_slice(&0u32.to_le_bytes());
            for field in [64, 56, 2, 64, sections, 0] {
                out.extend_from_slice(&field.to_le_bytes());
            }
            let total = at_sections as u64 + 64 * u64::from(sections);
            for (kind, flags, at, size) in [
                (1u32, self.load_flags, 0, total),
                (2, 6, at_dynamic as u64, dynamic.len() as u64),
            ] {
                out.extend_from_slice(&kind.to_le_bytes());
                out.extend_from_slice(&flags.to_le_bytes());
                for field in [at, at, at, size, size, 8] {
                    out.extend_from_slice(&field.to_le_bytes());
                }
            }
            for (at, part) in [
                (at_strings, &strings),
                (at_symbols, &symbols),
                (at_hash, &hash),
                (at_dynamic, &dynamic),
            ] {
                out.resize(at, 0);
                out.extend_from_slice(part);
            }
            if let Some((kind, flags)) = self.extra_section {
                out.resize(out.len() + 64, 0);
                out.extend_from_slice(&0u32.to_le_bytes());
                out.extend_from_slice(&kind.to_le_bytes());
                for field in [flags, 0, 0, 8, 0, 8, 0] {
                    out.extend_from_slice(&field.to_le_bytes());
                }
            }
            out.resize(out.len() + self.padding, 0);
            out
        }
    }

    fn refusal(change: impl FnOnce(&mut Sample)) -> Option<Error> {
        let mut sample = Sample::good();
        change(&mut sample);
        judge(&sample.bytes()).err()
    }

    #[test]
    fn a_ta_with_its_header_and_a_weak_import_passes() {
        let bytes = Sample::good().bytes();
        let signed_size = bytes.len() as u64 + 456;
        assert_eq!(judge(&bytes), Ok(Report { signed_size }));
    }

    #[test]
    fn something_else_than_an_elf_is_refused() {
        assert_eq!(judge(b"#!/bin/sh"), Err(Error::TaNotElf { size: 9 }));
    }

    #[test]
    fn a_program_or_another_architecture_is_refused() {
        assert_eq!(
            refusal(|sample| sample.kind = 2),
            Some(Error::TaNotDynamic {
                kind: 2,
                machine: 183
            })
        );
        assert_eq!(
            refusal(|sample| sample.machine = 62),
            Some(Error::TaNotDynamic {
                kind: 3,
                machine: 62
            })
        );
    }

    #[test]
    fn a_needed_library_is_refused() {
        assert_eq!(
            refusal(|sample| sample.needed = true),
            Some(Error::TaNeedsLibraries { count: 1 })
        );
    }

    #[test]
    fn an_import_is_refused() {
        let error = refusal(|sample| sample.symbols.push(("getauxval", 1, 0)));
        assert_eq!(error, Some(Error::TaImports { count: 1 }));
    }

    #[test]
    fn a_missing_header_is_refused() {
        let error = refusal(|sample| sample.symbols[0].0 = "main");
        assert_eq!(error, Some(Error::TaNoHeader { symbols: 3 }));
    }

    #[test]
    fn writable_code_is_refused() {
        assert_eq!(
            refusal(|sample| sample.load_flags = 7),
            Some(Error::TaWritableCode { index: 0 })
        );
    }

    #[test]
    fn constructors_and_thread_local_sections_are_refused() {
        let constructors = refusal(|sample| sample.extra_section = Some((14, 3)));
        assert_eq!(constructors, Some(Error::TaInitArray { index: 1 }));
        let thread_local = refusal(|sample| sample.extra_section = Some((1, 0x403)));
        assert_eq!(thread_local, Some(Error::TaThreadLocal { index: 1 }));
    }

    #[test]
    fn a_ta_that_is_too_large_is_refused() {
        let size = Sample::good().bytes().len();
        let fits = SIZE_LIMIT as usize - SIGNED_HEADER as usize - size;
        let padded = |padding| {
            let sample = Sample {
                padding,
                ..Sample::good()
            };
            judge(&sample.bytes()).and_then(Report::within_limit).err()
        };
        assert_eq!(padded(fits), None);
        assert_eq!(
            padded(fits + 1),
            Some(Error::TaTooLarge {
                size: 450_001,
                limit: 450_000
            })
        );
    }
}
