//! The back door to the memory both machines run on.
//!
//! QEMU A keeps its secure RAM in a memfd, which the supervisor extends by the shared window. The back door reads and
//! writes that file: no mapping, so no reference into memory which two other processes change.

use std::fs::{File, OpenOptions, read_dir, read_link};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use super::error::{Doing, Fault};

/// A part of the memory as the coprocessor's platform sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// What only the secure world and the core reach: A 0x0ee00000, B 0x21000000.
    Private,
    /// Everything only the secure world reaches, TF-A and OP-TEE included: A 0x0e000000.
    Secure,
    /// What Linux, the secure world and the core reach: A 0x80000000, B 0x21200000.
    Window,
}

/// The file behind A's secure RAM, extended by the window.
#[derive(Debug)]
pub struct Memory {
    file: File,
}

impl Region {
    /// Size in bytes.
    pub const fn size(self) -> u64 {
        match self {
            Self::Private => 2 * MIB,
            Self::Secure => 16 * MIB,
            Self::Window => 14 * MIB,
        }
    }

    const fn offset(self) -> u64 {
        match self {
            Self::Private => PRIVATE_OFFSET,
            Self::Secure => 0,
            Self::Window => WINDOW_OFFSET,
        }
    }
}

impl Memory {
    /// Takes the secure RAM of the QEMU with this process id and appends the window.
    pub(super) fn of_process(id: u32) -> Result<Self, Fault> {
        let folder = format!("/proc/{id}/fd");
        for entry in read_dir(&folder).doing("list QEMU's descriptors")? {
            let path = entry.doing("list QEMU's descriptors")?.path();
            // A descriptor may be closed between listing and reading its link.
            let Ok(target) = read_link(&path) else {
                continue;
            };
            if target
                .to_string_lossy()
                .starts_with("/memfd:virt.secure-ram")
            {
                let file = OpenOptions::new()
                    .read(true)
                    .write(true)
                    .open(&path)
                    .doing("open QEMU's secure RAM")?;
                file.set_len(FILE_SIZE).doing("append the shared window")?;
                return Ok(Self { file });
            }
        }
        Err(Fault::NoSecureRam)
    }

    /// A path under which another process of the same user can open the file, for as long as we hold it.
    pub(super) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }

    pub(super) fn try_clone(&self) -> Result<Self, Fault> {
        Ok(Self {
            file: self
                .file
                .try_clone()
                .doing("duplicate the memory's descriptor")?,
        })
    }

    /// Copies `into.len()` bytes at `at` of `region`.
    pub fn read(&self, region: Region, at: u64, into: &mut [u8]) -> Result<(), Fault> {
        let offset = place(region, at, into.len())?;
        self.file
            .read_exact_at(into, offset)
            .doing("read through the back door")
    }

    /// Writes `bytes` at `at` of `region`, as no party of the real machine could.
    pub fn write(&self, region: Region, at: u64, bytes: &[u8]) -> Result<(), Fault> {
        let offset = place(region, at, bytes.len())?;
        self.file
            .write_all_at(bytes, offset)
            .doing("write through the back door")
    }

    /// A copy of the whole region.
    pub fn copy(&self, region: Region) -> Result<Vec<u8>, Fault> {
        let mut bytes = vec![0; usize::try_from(region.size()).expect("a region fits into memory")];
        self.read(region, 0, &mut bytes)?;
        Ok(bytes)
    }
}

/// Offset in the file of B's 16 MiB of RAM: private memory, then the window.
pub(super) const PRIVATE_OFFSET: u64 = 14 * MIB;
/// Offset in the file of the window.
pub(super) const WINDOW_OFFSET: u64 = 16 * MIB;
/// Size of the window as A sees it; B sees the first 14 MiB of it.
pub(super) const WINDOW_SIZE: u64 = 16 * MIB;
/// Size of B's RAM.
pub(super) const CORE_RAM_SIZE: u64 = 16 * MIB;

const FILE_SIZE: u64 = WINDOW_OFFSET + WINDOW_SIZE;
const MIB: u64 = 1 << 20;

fn place(region: Region, at: u64, length: usize) -> Result<u64, Fault> {
    let outside = Fault::OutOfRegion {
        at,
        length,
        size: region.size(),
    };
    let bytes = u64::try_from(length).map_err(|_| outside)?;
    match at.checked_add(bytes) {
        Some(end) if end <= region.size() => Ok(region.offset() + at),
        _ => Err(outside),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_inside_a_region_has_its_place_in_the_file() {
        assert_eq!(place(Region::Private, 0x10, 4), Ok(14 * MIB + 0x10));
        assert_eq!(place(Region::Window, 14 * MIB - 1, 1), Ok(30 * MIB - 1));
        assert_eq!(place(Region::Secure, 16 * MIB, 0), Ok(16 * MIB));
    }

    #[test]
    fn a_range_that_leaves_its_region_is_refused() {
        for (region, at, length) in [
            (Region::Private, 2 * MIB, 1),
            (Region::Window, 14 * MIB - 1, 2),
            (Region::Secure, u64::MAX, 2),
        ] {
            let fault = Fault::OutOfRegion {
                at,
                length,
                size: region.size(),
            };
            assert_eq!(place(region, at, length), Err(fault));
        }
    }
}
