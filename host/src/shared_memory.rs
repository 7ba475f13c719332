//! Windows onto memory that the other side writes too.
//!
//! The only unsafe code of this crate. There is never a reference into a window: each access is one volatile access of
//! its natural, aligned size, in bounds, and yields or takes an owned value. That holds for ordinary memory and for what
//! /dev/mem gives, which is device memory where it is not RAM of the system: there an unaligned access is a fault.
#![expect(unsafe_code, reason = "mapping memory and accessing it by pointers")]

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::ptr::{NonNull, null_mut};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use crate::error::{Error, WindowOperation};

/// A window that knows how large it is; the accesses themselves are those of [`rpmsg::SharedMemory`].
pub trait SharedMemory: rpmsg::SharedMemory {
    /// How many bytes the window has.
    fn size(&self) -> u32;
}

impl<M: SharedMemory + ?Sized> SharedMemory for &M {
    fn size(&self) -> u32 {
        (**self).size()
    }
}

/// A mapping of shared memory; clones are the same mapping.
#[derive(Clone, Debug)]
pub struct Window {
    mapping: Arc<Mapping>,
}

impl Window {
    /// Maps physical memory through /dev/mem, uncached.
    ///
    /// # Errors
    /// [`Error::Window`] where /dev/mem cannot be opened or does not give this memory.
    pub fn dev_mem(physical: u64, size: usize) -> Result<Self, Error> {
        let flags = OFlags::RDWR | OFlags::SYNC | OFlags::CLOEXEC;
        let fd = rustix::fs::open(Path::new("/dev/mem"), flags, Mode::empty());
        let fd = fd.map_err(|errno| failed(WindowOperation::Open, errno))?;
        Self::map(&fd, physical, size)
    }

    /// Maps a memory of the UIO device `name`, such as `uio0`: number `map`, all of it.
    ///
    /// # Errors
    /// [`Error::Window`] where there is no such device or memory, or it cannot be mapped.
    pub fn uio(name: &str, map: u32) -> Result<Self, Error> {
        Self::uio_below(
            Path::new("/sys/class/uio"),
            &Path::new("/dev").join(name),
            name,
            map,
        )
    }

    fn uio_below(class: &Path, device: &Path, name: &str, map: u32) -> Result<Self, Error> {
        let size = class.join(name).join(format!("maps/map{map}/size"));
        let size = std::fs::read_to_string(size).map_err(|error| {
            let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
            failed(WindowOperation::Uio, errno)
        })?;
        let digits = size.trim().trim_start_matches("0x");
        let size = usize::from_str_radix(digits, 16)
            .map_err(|_| failed(WindowOperation::Uio, Errno::INVAL))?;
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let fd = rustix::fs::open(device, flags, Mode::empty())
            .map_err(|errno| failed(WindowOperation::Uio, errno))?;
        // The kernel's convention: memory N stands N pages into the device, whatever its size.
        let page = u64::try_from(rustix::param::page_size()).unwrap_or(u64::MAX);
        Self::map(&fd, u64::from(map).saturating_mul(page), size)
    }

    /// Makes a window of zeros that only this process has, for tests and for the simulator. The descriptor is for
    /// whoever is to map it too, with [`Window::map`].
    ///
    /// # Errors
    /// [`Error::Window`] where the system has no memory left.
    pub fn memfd(size: usize) -> Result<(Self, OwnedFd), Error> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let fd = rustix::fs::memfd_create("corewarden-window", flags);
        let fd = fd.map_err(|errno| failed(WindowOperation::Create, errno))?;
        let length = u64::try_from(size).map_err(|_| failed(WindowOperation::Map, Errno::INVAL))?;
        rustix::fs::ftruncate(&fd, length)
            .map_err(|errno| failed(WindowOperation::Create, errno))?;
        let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        rustix::fs::fcntl_add_seals(&fd, seals)
            .map_err(|errno| failed(WindowOperation::Create, errno))?;
        Ok((Self::map(&fd, 0, size)?, fd))
    }

    /// Maps a window that another process made by [`Window::memfd`]: one that is large enough, and that nobody can cut.
    ///
    /// # Errors
    /// [`Error::Window`] where it can be cut or cannot be mapped, [`Error::WindowSize`] where it is too small.
    pub fn sealed(fd: impl AsFd, size: usize) -> Result<Self, Error> {
        let seals = rustix::fs::fcntl_get_seals(&fd)
            .map_err(|errno| failed(WindowOperation::TakeOver, errno))?;
        if !seals.contains(SealFlags::SHRINK) {
            return Err(failed(WindowOperation::TakeOver, Errno::PERM));
        }
        let found = rustix::fs::fstat(&fd)
            .map_err(|errno| failed(WindowOperation::TakeOver, errno))?
            .st_size;
        let needed = u64::try_from(size).unwrap_or(u64::MAX);
        if u64::try_from(found).unwrap_or(0) < needed {
            return Err(Error::WindowSize {
                found: u32::try_from(found).unwrap_or(u32::MAX),
                needed,
            });
        }
        Self::map(fd, 0, size)
    }

    /// Maps a part of a file that can be shared: offset and size must be multiples of the page size. The file must not
    /// be cut while the window is in use, or an access ends the process.
    ///
    /// # Errors
    /// [`Error::Window`] where the file cannot be mapped so.
    pub fn map(fd: impl AsFd, offset: u64, size: usize) -> Result<Self, Error> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a null address lets the kernel choose a free range, so no memory in use is replaced.
        let base = unsafe { mmap(null_mut(), size, access, MapFlags::SHARED, fd, offset) };
        let base = base.map_err(|errno| failed(WindowOperation::Map, errno))?;
        let base = NonNull::new(base).ok_or(failed(WindowOperation::Map, Errno::NOMEM))?;
        Ok(Window {
            mapping: Arc::new(Mapping {
                base: base.cast(),
                size,
            }),
        })
    }

    /// A pointer to a value of type `T` inside the mapping and aligned for it.
    fn pointer<T>(&self, at: u32) -> NonNull<T> {
        let (at, size) = (widen(at), self.mapping.size);
        let inside = at
            .checked_add(size_of::<T>())
            .is_some_and(|end| end <= size);
        // Whoever asks for another offset has a defect; going on would be a wild access.
        assert!(
            inside && at.is_multiple_of(align_of::<T>()),
            "offset {at:#x} in a window of {size:#x} bytes"
        );
        // SAFETY: at < size, so the result stays inside the one mapping, whose size fits isize as mmap granted it.
        unsafe { self.mapping.base.add(at) }.cast()
    }

    fn load<T: Number>(&self, at: u32) -> T {
        let from = self.pointer::<T>(at);
        // SAFETY: in bounds of a live mapping and aligned (the base is page aligned); every bit pattern is a number.
        unsafe { from.read_volatile() }
    }

    fn store<T: Number>(&self, at: u32, value: T) {
        let to = self.pointer::<T>(at);
        // SAFETY: in bounds of a live writable mapping and aligned; nobody in this program has a reference into it.
        unsafe { to.write_volatile(value) };
    }
}

impl SharedMemory for Window {
    fn size(&self) -> u32 {
        self.mapping.size.try_into().unwrap_or(u32::MAX)
    }
}

impl rpmsg::SharedMemory for Window {
    fn load_u16(&self, at: u32, order: Ordering) -> u16 {
        let value = self.load(at);
        after_load(order);
        value
    }

    fn load_u32(&self, at: u32, order: Ordering) -> u32 {
        let value = self.load(at);
        after_load(order);
        value
    }

    fn store_u16(&self, at: u32, value: u16, order: Ordering) {
        before_store(order);
        self.store(at, value);
    }

    fn store_u32(&self, at: u32, value: u32, order: Ordering) {
        before_store(order);
        self.store(at, value);
    }

    fn copy_in(&self, at: u32, from: &[u8]) {
        let (words, rest) = from.as_chunks::<4>();
        let mut to = at;
        for word in words {
            self.store(to, u32::from_ne_bytes(*word));
            to += 4;
        }
        for byte in rest {
            self.store(to, *byte);
            to += 1;
        }
    }

    fn copy_out(&self, at: u32, into: &mut [u8]) {
        let (words, rest) = into.as_chunks_mut::<4>();
        let mut from = at;
        for word in words {
            *word = self.load::<u32>(from).to_ne_bytes();
            from += 4;
        }
        for byte in rest {
            *byte = self.load(from);
            from += 1;
        }
    }
}

impl rpmsg::Coherence for Window {
    fn fence(&self) {
        barrier(Ordering::SeqCst);
    }
}

fn after_load(order: Ordering) {
    if order != Ordering::Relaxed {
        barrier(Ordering::Acquire);
    }
}

fn before_store(order: Ordering) {
    if order != Ordering::Relaxed {
        barrier(Ordering::Release);
    }
}

/// Orders what stands before it against what stands behind it, for the coprocessor too: it may sit outside the domain
/// in which this processor's cores keep each other informed, where the language's own fences end.
#[cfg(target_arch = "aarch64")]
fn barrier(_order: Ordering) {
    // SAFETY: a barrier has no operands and touches neither registers nor the stack.
    unsafe { core::arch::asm!("dmb osh", options(nostack, preserves_flags)) };
}

/// Orders what stands before it against what stands behind it.
#[cfg(not(target_arch = "aarch64"))]
fn barrier(order: Ordering) {
    core::sync::atomic::fence(order);
}

fn widen(at: u32) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

/// Plain numbers for which any bits are a value.
trait Number: Copy {}

impl Number for u8 {}
impl Number for u16 {}
impl Number for u32 {}

#[derive(Debug)]
struct Mapping {
    base: NonNull<u8>,
    size: usize,
}

// SAFETY: the mapping belongs to no thread; it is memory that others write at any time anyway, accessed by volatile
// accesses of single numbers only.
unsafe impl Send for Mapping {}

// SAFETY: as above; there is no state beside the memory itself.
unsafe impl Sync for Mapping {}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: base and size are those of a successful mmap, unmapped only here, and nothing points into it any more.
        let unmapped = unsafe { munmap(self.base.as_ptr().cast(), self.size) };
        debug_assert!(unmapped.is_ok(), "a mapping of our own can be unmapped");
    }
}

fn failed(operation: WindowOperation, errno: Errno) -> Error {
    Error::Window {
        operation,
        errno: errno.raw_os_error(),
    }
}

#[cfg(test)]
mod tests {
    use rpmsg::SharedMemory as _;

    use super::*;

    const PAGE: usize = 0x1000;

    #[test]
    fn two_mappings_of_one_window_see_each_other() {
        let (near, fd) = Window::memfd(PAGE).unwrap();
        let far = Window::map(&fd, 0, PAGE).unwrap();
        near.store_u32(0xffc, 0x0403_0201, Ordering::Release);
        assert_eq!(far.load_u32(0xffc, Ordering::Acquire), 0x0403_0201);
        assert_eq!(far.load_u16(0xffe, Ordering::Relaxed), 0x0403);
    }

    #[test]
    fn copies_of_any_length_touch_nothing_else() {
        let (window, _fd) = Window::memfd(PAGE).unwrap();
        for length in 0_u8..17 {
            window.copy_in(64, &[0xee; 32]);
            let sent: Vec<u8> = (1..=length).collect();
            window.copy_in(64, &sent);
            let mut received = [0; 32];
            window.copy_out(64, &mut received);
            let (start, rest) = received.split_at(sent.len());
            assert_eq!(start, sent);
            assert!(rest.iter().all(|byte| *byte == 0xee));
        }
    }

    #[test]
    #[should_panic(expected = "offset 0x1000 in a window of 0x1000 bytes")]
    fn nothing_outside_the_window_is_reached() {
        let (window, _fd) = Window::memfd(PAGE).unwrap();
        window.copy_in(0xff8, &[0; 9]);
    }

    #[test]
    #[should_panic(expected = "offset 0x2 in a window of 0x1000 bytes")]
    fn nothing_unaligned_is_reached() {
        let (window, _fd) = Window::memfd(PAGE).unwrap();
        window.load_u32(2, Ordering::Relaxed);
    }

    #[test]
    fn a_memory_of_a_uio_device_is_found_by_its_number() {
        let folder = tempfile::tempdir().unwrap();
        let map = folder.path().join("uio3/maps/map1");
        std::fs::create_dir_all(&map).unwrap();
        std::fs::write(map.join("size"), "0x00002000\n").unwrap();
        let device = folder.path().join("device");
        let page = rustix::param::page_size();
        let mut bytes = vec![0; page + 0x2000];
        bytes[page..page + 4].copy_from_slice(b"here");
        std::fs::write(&device, &bytes).unwrap();
        let window = Window::uio_below(folder.path(), &device, "uio3", 1).unwrap();
        assert_eq!(window.size(), 0x2000);
        let mut start = [0; 4];
        window.copy_out(0, &mut start);
        assert_eq!(&start, b"here");
        let missing = Window::uio_below(folder.path(), &device, "uio3", 0).err();
        let expected = failed(WindowOperation::Uio, Errno::NOENT);
        assert_eq!(missing, Some(expected));
    }

    #[test]
    fn a_window_of_another_process_must_be_large_enough_and_sealed() {
        let (window, fd) = Window::memfd(PAGE).unwrap();
        window.store_u32(0, 7, Ordering::Release);
        let taken = Window::sealed(&fd, PAGE).unwrap();
        assert_eq!(taken.load_u32(0, Ordering::Acquire), 7);
        let small = Window::sealed(&fd, 2 * PAGE).err();
        let expected = Error::WindowSize {
            found: 0x1000,
            needed: 0x2000,
        };
        assert_eq!(small, Some(expected));
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let unsealed = rustix::fs::memfd_create("unsealed", flags).unwrap();
        rustix::fs::ftruncate(&unsealed, 0x1000).unwrap();
        let expected = failed(WindowOperation::TakeOver, Errno::PERM);
        assert_eq!(Window::sealed(&unsealed, PAGE).err(), Some(expected));
    }

    #[test]
    fn a_window_that_is_no_multiple_of_a_page_off_the_file_is_refused() {
        let (_window, fd) = Window::memfd(PAGE).unwrap();
        let expected = Error::Window {
            operation: WindowOperation::Map,
            errno: Errno::INVAL.raw_os_error(),
        };
        assert_eq!(Window::map(&fd, 1, PAGE).err(), Some(expected));
    }
}
