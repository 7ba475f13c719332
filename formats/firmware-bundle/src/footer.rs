//! The last 64 bytes: what the file is, and where its parts lie.

use zerocopy::FromBytes;

use crate::raw;
use crate::{Error, FOOTER_SIZE, MAX_ELF, MAX_TRAILER, Part};

/// A file as it is presented for judgement: its length and its two ends.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// Bytes of the whole file.
    pub length: u64,
    /// Its first bytes, at least 4 where there are that many. Only used to say what a file without a footer is.
    pub head: &'a [u8],
    /// Its last bytes: at least the trailer, so `min(length, 64 KiB)` is always enough.
    pub tail: &'a [u8],
}

/// Holding a `Footer` tells you that the file ends in a footer of version 1 whose parts fill it exactly (bundle-format.md 1, 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footer {
    pub(crate) elf_size: u64,
    pub(crate) padding: usize,
    pub(crate) manifest_size: usize,
    pub(crate) certificates_size: usize,
    pub(crate) signatures_size: usize,
    pub(crate) trailer_size: usize,
}

impl Footer {
    /// Reads the footer at the end of `file`.
    ///
    /// # Errors
    /// The rule of bundle-format.md 1 or 2 which the file breaks; a file without a footer is named for what it is.
    pub fn of(file: &File<'_>) -> Result<Footer, Error> {
        if file.length == 0 {
            return Err(Error::EmptyFile); // bundle-format.md 1.2
        }
        let found = raw::Footer::read_from_suffix(file.tail)
            .ok()
            .map(|(_, footer)| footer)
            .filter(|footer| footer.magic == MAGIC);
        match found {
            Some(footer) => Footer::parse(&footer, file.length),
            None => Err(without_footer(file)),
        }
    }

    fn parse(raw: &raw::Footer, length: u64) -> Result<Footer, Error> {
        let version = raw.version.get();
        if version != VERSION {
            return Err(Error::UnknownVersion { found: version }); // bundle-format.md 2.2
        }
        if raw.flags.get() != 0 || raw.reserved.iter().any(|byte| *byte != 0) {
            return Err(Error::FooterReserved); // bundle-format.md 2.3
        }
        let elf_size = raw.elf_size.get();
        if elf_size == 0 || elf_size > MAX_ELF {
            // bundle-format.md 1.6
            return Err(Error::ElfSize {
                size: elf_size,
                limit: MAX_ELF,
            });
        }
        let manifest = part(Part::Manifest, raw.manifest_size.get())?;
        let certificates = part(Part::Certificates, raw.certificates_size.get())?;
        let signatures = part(Part::Signatures, raw.signatures_size.get())?;

        // None of these sums can overflow: a u64 below 2^28 and three u32.
        let padding = padding_after(elf_size);
        let trailer = padding
            .saturating_add(manifest)
            .saturating_add(certificates)
            .saturating_add(signatures)
            .saturating_add(64);
        let parts = elf_size.saturating_add(trailer);
        if parts != length {
            // bundle-format.md 1.5
            return Err(Error::FileLength {
                parts,
                file: length,
            });
        }
        // bundle-format.md 1.7
        let size = |value: u64| {
            usize::try_from(value)
                .ok()
                .filter(|value| *value <= MAX_TRAILER)
                .ok_or(Error::TrailerSize {
                    size: trailer,
                    limit: 0x1_0000,
                })
        };
        Ok(Footer {
            elf_size,
            trailer_size: size(trailer)?,
            padding: size(padding)?,
            manifest_size: size(manifest)?,
            certificates_size: size(certificates)?,
            signatures_size: size(signatures)?,
        })
    }

    /// Bytes of the ELF part, which begins the file.
    #[must_use]
    pub fn elf_size(&self) -> u64 {
        self.elf_size
    }

    /// Bytes from the end of the ELF part to the end of the file.
    #[must_use]
    pub fn trailer_size(&self) -> usize {
        self.trailer_size
    }

    /// Where the manifest begins, and so where everything that a digest covers ends.
    #[must_use]
    pub fn manifest_offset(&self) -> u64 {
        self.elf_size.saturating_add(padding_after(self.elf_size))
    }
}

/// Zeros that follow `size` bytes up to the next multiple of 16 (bundle-format.md 1.1).
pub(crate) fn padding_after(size: u64) -> u64 {
    size.wrapping_neg() & 15
}

/// Names a file that has no footer (bundle-format.md 1.3, 1.4, 1.12).
fn without_footer(file: &File<'_>) -> Error {
    let head = if usize::try_from(file.length) == Ok(file.tail.len()) {
        file.tail
    } else {
        file.head
    };
    match head.first_chunk::<4>() {
        Some(b"\x7fELF") => Error::BareElf {
            length: file.length,
        },
        Some(first) if u32::from_le_bytes(*first) == SIGN_RPROC_FW => Error::SignRprocFw,
        _ => Error::NoFooter {
            length: file.length,
        },
    }
}

/// bundle-format.md 1.8
fn part(part: Part, size: u32) -> Result<u64, Error> {
    if size == 0 || size & 15 != 0 {
        return Err(Error::PartSize { part, size });
    }
    Ok(u64::from(size))
}

pub(crate) const MAGIC: [u8; 4] = *b"CWFW";
pub(crate) const VERSION: u16 = 1;
const SIGN_RPROC_FW: u32 = 0x3543_a468;
const _: () = assert!(FOOTER_SIZE == size_of::<raw::Footer>());
