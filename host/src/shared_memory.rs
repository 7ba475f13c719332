//! Windows onto memory that the other side writes too.
//!
//! The only unsafe code of this crate. There is never a reference into a window that outlives one access: each is in bounds,
//! and yields or takes an owned value. Words are accessed by their natural, aligned size, and atomically, as the other side
//! may be another thread of this program. Payloads belong to one side at a time; their accesses are volatile, and by
//! aligned words where the window may be device memory, as what /dev/mem and UIO give is where it is not RAM of the system:
//! there an unaligned access is a fault. In ordinary memory they are copied in larger pieces.
#![expect(unsafe_code, reason = "mapping memory and accessing it by pointers")]

mod copy;

use std::ffi::c_void;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::ptr::{NonNull, null_mut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use crate::error::{Error, WindowOperation};

/// A window that knows how large it is; the accesses themselves are those of [`rpmsg::SharedMemory`].
pub trait SharedMemory: rpmsg::SharedMemory {
    /// How many bytes the window has.
    fn size(&self) -> u32;
}

impl<M: SharedMemory> SharedMemory for &M {
    fn size(&self) -> u32 {
        (**self).size()
    }
}

/// A mapping of shared memory; clones are the same mapping.
#[derive(Clone, Debug)]
pub struct Window {
    base: Base,
    /// At most `u32::MAX`.
    size: u64,
    /// Before this everything of at most [`NEAR_END`] bytes is inside.
    near_end: u32,
    /// The bits of a payload's address that have to be 0 for it to be copied in pieces; all of them where only words are allowed.
    no_pieces: usize,
    /// The same for the widest accesses that this machine has.
    no_doubles: usize,
    // Keeps what `base` and `size` describe.
    _mapping: Arc<Mapping>,
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
        Ok(Self::map(&fd, physical, size)?.as_device_memory())
    }

    /// Maps a memory of the UIO device `name`, such as `uio0`: number `map`, all of it, from the start of its first page on. The
    /// kernel maps it as device memory, so it is one.
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
        let window = Self::map(&fd, u64::from(map).saturating_mul(page), size)?;
        Ok(window.as_device_memory())
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
        // SAFETY: the kernel has just made it, of this size, for us alone.
        unsafe { Self::over(base, size) }
    }

    /// The window that is all of a mapping, and ends it.
    ///
    /// # Safety
    /// `base` and `size` are those of a mapping that can be read and written, and that nobody else has.
    unsafe fn over(base: *mut c_void, size: usize) -> Result<Self, Error> {
        let base = NonNull::new(base).ok_or(failed(WindowOperation::Map, Errno::NOMEM))?;
        let base = Base(base.cast());
        // What lies behind the end of 32-bit offsets is mapped and never reached.
        let reached: u32 = size.try_into().unwrap_or(u32::MAX);
        Ok(Window {
            base,
            size: u64::from(reached),
            near_end: reached.saturating_sub(NEAR_END - 1),
            no_pieces: copy::PIECE - 1,
            no_doubles: copy::no_doubles(),
            _mapping: Arc::new(Mapping { base, size }),
        })
    }

    /// The same window, whose payloads are copied by aligned words alone, as device memory needs it; what
    /// [`Window::dev_mem`] and [`Window::uio`] give is so already.
    #[must_use]
    pub fn as_device_memory(self) -> Self {
        Window {
            no_pieces: usize::MAX,
            ..self
        }
    }

    /// A pointer to `N` values of type `T` inside the mapping, aligned for them.
    #[inline]
    fn pointer<T: Number, const N: usize>(&self, at: u32) -> *mut u8 {
        const { assert!(size_of::<[T; N]>() <= NEAR_END as usize) };
        if !at.is_multiple_of(const { align_of::<T>() as u32 }) {
            self.refused(at, size_of::<[T; N]>());
        }
        if at >= self.near_end {
            return self.near_end(at, size_of::<[T; N]>());
        }
        // SAFETY: at <= size, so the result stays inside the one mapping, whose size fits isize as mmap granted it.
        unsafe { self.base.0.as_ptr().add(at as usize) }
    }

    /// As `pointer`, for offsets that are not at once known to be good.
    #[cold]
    #[inline(never)]
    fn near_end(&self, at: u32, len: usize) -> *mut u8 {
        if u64::from(at).saturating_add(widen(len)) > self.size {
            self.refused(at, len);
        }
        // SAFETY: as in `pointer`.
        unsafe { self.base.0.as_ptr().add(at as usize) }
    }

    /// Whoever asks for what is outside, or not aligned, has a defect; going on would be a wild access.
    #[cold]
    #[inline(never)]
    fn refused(&self, at: u32, len: usize) -> ! {
        panic!(
            "{len} bytes at offset {at:#x} in a window of {:#x} bytes",
            self.size
        );
    }

    /// A pointer to `len` bytes inside the mapping, aligned to a word.
    #[inline]
    fn range(&self, at: u32, len: usize) -> *mut u8 {
        let end = u64::from(at).saturating_add(widen(len));
        if end > self.size || !at.is_multiple_of(4) {
            self.refused(at, len);
        }
        // SAFETY: as in `pointer`.
        unsafe { self.base.0.as_ptr().add(at as usize) }
    }

    /// Whether a payload there can be copied in pieces. No address is 0.
    #[inline]
    fn takes_pieces(&self, at: *const u8) -> bool {
        at.addr() & self.no_pieces == 0
    }

    /// # Safety
    /// `to` is inside this mapping for all of `from`'s bytes, and aligned to a word.
    #[inline(always)]
    unsafe fn copy_to(&self, to: *mut u8, from: &[u8]) {
        if self.takes_pieces(to) {
            // SAFETY: the caller's promise, and aligned as asked.
            unsafe { copy::pieces_in(to, from, self.no_doubles) };
        } else {
            // SAFETY: the caller's promise.
            unsafe { copy::words_in(to, from) };
        }
    }

    #[inline]
    fn load<T: Number, const N: usize>(&self, at: u32) -> [T; N] {
        let from = self.pointer::<T, N>(at).cast::<T>();
        // SAFETY: `pointer` gave room for N of them, aligned (the base is page aligned), which live as long as the mapping.
        std::array::from_fn(|index| unsafe { T::load(from.wrapping_add(index)) })
    }

    #[inline]
    fn store<T: Number, const N: usize>(&self, at: u32, values: [T; N]) {
        let to = self.pointer::<T, N>(at).cast::<T>();
        for (index, value) in values.into_iter().enumerate() {
            // SAFETY: `pointer` gave room for N of them, aligned, which live as long as the mapping.
            unsafe { value.store(to.wrapping_add(index)) };
        }
    }
}

impl SharedMemory for Window {
    fn size(&self) -> u32 {
        self.size.try_into().unwrap_or(u32::MAX)
    }
}

impl rpmsg::SharedMemory for Window {
    #[inline]
    fn load_u16(&self, at: u32, order: Ordering) -> u16 {
        let [value] = self.load(at);
        after_load(order);
        value
    }

    #[inline]
    fn load_u32(&self, at: u32, order: Ordering) -> u32 {
        let [value] = self.load(at);
        after_load(order);
        value
    }

    #[inline]
    fn store_u16(&self, at: u32, value: u16, order: Ordering) {
        before_store(order);
        self.store(at, [value]);
    }

    #[inline]
    fn store_u32(&self, at: u32, value: u32, order: Ordering) {
        before_store(order);
        self.store(at, [value]);
    }

    #[inline]
    fn load_words<const N: usize>(&self, at: u32) -> [u32; N] {
        self.load(at)
    }

    #[inline]
    fn store_words<const N: usize>(&self, at: u32, words: [u32; N]) {
        self.store(at, words);
    }

    #[inline(always)]
    fn store_message(&self, at: u32, header: [u32; 4], payload: &[u8]) {
        // One question for both parts.
        let mut to = self.range(at, payload.len().saturating_add(size_of_val(&header)));
        for word in header {
            // SAFETY: `to` is inside a live writable mapping for header and payload, and aligned to a word.
            unsafe { word.store(to.cast()) };
            to = to.wrapping_add(size_of::<u32>());
        }
        // SAFETY: as above.
        unsafe { self.copy_to(to, payload) };
    }

    #[inline]
    fn copy_in(&self, at: u32, from: &[u8]) {
        let to = self.range(at, from.len());
        // SAFETY: `to` is inside a live writable mapping for all of `from`'s bytes, and aligned to a word.
        unsafe { self.copy_to(to, from) };
    }

    #[inline(always)]
    fn copy_out(&self, at: u32, into: &mut [u8]) {
        let from = self.range(at, into.len());
        if self.takes_pieces(from) {
            // SAFETY: `from` is inside a live mapping for all of `into`'s bytes, and aligned as asked.
            unsafe { copy::pieces_out(from, into, self.no_doubles) };
        } else {
            // SAFETY: as above; it is aligned to a word.
            unsafe { copy::words_out(from, into) };
        }
    }
}

impl rpmsg::Coherence for Window {
    #[inline]
    fn fence(&self) {
        barrier(Ordering::SeqCst);
    }
}

#[inline]
fn after_load(order: Ordering) {
    if order != Ordering::Relaxed {
        barrier(Ordering::Acquire);
    }
}

#[inline]
fn before_store(order: Ordering) {
    if order != Ordering::Relaxed {
        barrier(Ordering::Release);
    }
}

/// Orders what stands before it against what stands behind it, for the coprocessor too: it may sit outside the domain
/// in which this processor's cores keep each other informed, where the language's own fences end.
#[cfg(target_arch = "aarch64")]
#[inline]
fn barrier(_order: Ordering) {
    // SAFETY: a barrier has no operands and touches neither registers nor the stack.
    unsafe { core::arch::asm!("dmb osh", options(nostack, preserves_flags)) };
}

/// Orders what stands before it against what stands behind it.
#[cfg(not(target_arch = "aarch64"))]
#[inline]
fn barrier(order: Ordering) {
    core::sync::atomic::fence(order);
}

#[inline]
fn widen(len: usize) -> u64 {
    len.try_into().unwrap_or(u64::MAX)
}

/// Numbers of which an access is one access of the machine.
trait Number: Copy {
    /// # Safety
    /// `from` is valid for reads and writes, and aligned.
    unsafe fn load(from: *mut Self) -> Self;

    /// # Safety
    /// `to` is valid for reads and writes, and aligned.
    unsafe fn store(self, to: *mut Self);
}

macro_rules! number {
    ($Number:ident, $Atomic:ident) => {
        impl Number for $Number {
            #[inline(always)]
            unsafe fn load(from: *mut Self) -> Self {
                // SAFETY: the caller's promise; what is not atomic is a payload's, which another side has at another time.
                unsafe { $Atomic::from_ptr(from) }.load(Ordering::Relaxed)
            }

            #[inline(always)]
            unsafe fn store(self, to: *mut Self) {
                // SAFETY: as for `load`.
                unsafe { $Atomic::from_ptr(to) }.store(self, Ordering::Relaxed);
            }
        }
    };
}

number!(u16, AtomicU16);
number!(u32, AtomicU32);

/// Where a mapping begins.
#[derive(Clone, Copy, Debug)]
struct Base(NonNull<u8>);

// SAFETY: the mapping belongs to no thread; it is memory that others write at any time anyway, whose words are accessed
// atomically.
unsafe impl Send for Base {}

// SAFETY: as above; there is no state beside the memory itself.
unsafe impl Sync for Base {}

#[derive(Debug)]
struct Mapping {
    base: Base,
    size: usize,
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: base and size are those of a successful mmap, unmapped only here, and nothing points into it any more.
        let unmapped = unsafe { munmap(self.base.0.as_ptr().cast(), self.size) };
        debug_assert!(unmapped.is_ok(), "a mapping of our own can be unmapped");
    }
}

fn failed(operation: WindowOperation, errno: Errno) -> Error {
    Error::Window {
        operation,
        errno: errno.raw_os_error(),
    }
}

/// The largest piece that is accessed by words.
const NEAR_END: u32 = 16;

#[cfg(test)]
mod tests {
    use rpmsg::{Device, Driver, Link, Queue, Quirks, SharedMemory as _};
    use rustix::mm::mmap_anonymous;

    use super::*;
    use crate::place::{Geometry, Place};

    const PAGE: usize = 0x1000;

    /// A window that nobody else has: the only kind that Miri can follow.
    fn anonymous(size: usize) -> Window {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a null address lets the kernel choose a free range, so no memory in use is replaced.
        let base = unsafe { mmap_anonymous(null_mut(), size, access, MapFlags::PRIVATE) };
        // SAFETY: as in `Window::map`.
        unsafe { Window::over(base.unwrap(), size) }.unwrap()
    }

    #[test]
    fn both_roles_pass_messages_of_any_length_over_a_window_of_either_kind() {
        let geometry = Geometry {
            descriptors: 4,
            buffer_size: 128,
            ..Geometry::default()
        };
        let window = anonymous(geometry.window_size());
        let layout = Place::between_processes(&geometry, &window).unwrap().layout;
        for memory in [window.clone(), window.as_device_memory()] {
            let (near, far) = (memory.clone(), memory);
            let mut driver =
                Driver::<_, 4>::attach(near, layout, 128, 1, Quirks::default()).unwrap();
            let mut device = Device::<_, 4>::attach(far, layout, 1, Quirks::default()).unwrap();
            // Miri takes its time.
            for length in (0..=112).step_by(if cfg!(miri) { 7 } else { 1 }) {
                pass(&mut driver, &mut device, length);
                pass(&mut device, &mut driver, length);
            }
        }
    }

    #[test]
    fn two_threads_of_one_program_share_a_window_without_a_race() {
        let geometry = Geometry {
            descriptors: 2,
            buffer_size: 64,
            ..Geometry::default()
        };
        let window = anonymous(geometry.window_size());
        let layout = Place::between_processes(&geometry, &window).unwrap().layout;
        let mut driver =
            Driver::<_, 2>::attach(window.clone(), layout, 64, 1, Quirks::default()).unwrap();
        let mut device = Device::<_, 2>::attach(window, layout, 1, Quirks::default()).unwrap();
        let count = if cfg!(miri) { 10_u8 } else { 200 };
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for number in 0..count {
                    while driver.send(1, 2, &[number; 3]).is_err() {
                        std::thread::yield_now();
                    }
                    let _ = driver.flush();
                }
            });
            let (mut room, mut received) = ([0; 48], Vec::new());
            while received.len() < usize::from(count) {
                let taken =
                    device.receive_all(2, &mut room, |_, payload| received.push(payload.to_vec()));
                taken.unwrap();
                let _ = device.flush();
                std::thread::yield_now();
            }
            assert!(
                received
                    .into_iter()
                    .eq((0..count).map(|number| vec![number; 3]))
            );
        });
    }

    fn pass<F: Queue, T: Queue>(from: &mut Link<Window, F>, to: &mut Link<Window, T>, length: u8) {
        let sent: Vec<u8> = (0..length).map(|at| at ^ length).collect();
        from.send(1, 2, &sent).unwrap();
        let _ = from.flush();
        let (mut room, mut received) = ([0; 112], Vec::<u8>::new());
        let count = to.receive_all(2, &mut room, |_, payload| received.extend(payload));
        assert_eq!(count, Ok(1));
        assert_eq!(received, sent);
        let _ = to.flush();
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri knows no files in memory and no devices")]
    fn two_mappings_of_one_window_see_each_other() {
        let (near, fd) = Window::memfd(PAGE).unwrap();
        let far = Window::map(&fd, 0, PAGE).unwrap();
        near.store_u32(0xffc, 0x0403_0201, Ordering::Release);
        assert_eq!(far.load_u32(0xffc, Ordering::Acquire), 0x0403_0201);
        assert_eq!(far.load_u16(0xffe, Ordering::Relaxed), 0x0403);
    }

    #[test]
    fn copies_of_any_length_touch_nothing_else() {
        let window = anonymous(PAGE);
        for window in [window.clone(), window.as_device_memory()] {
            let lengths = (0..200).chain([250, 255, 256, 257, 272, 480, 496, 511, 512, 528, 900]);
            // Miri takes its time.
            let lengths = lengths.step_by(if cfg!(miri) { 5 } else { 1 });
            for (at, length) in lengths.flat_map(|length| [(64, length), (68, length)]) {
                window.copy_in(60, &[0xee; 1024]);
                // No two bytes that are a power of two apart are alike.
                let sent: Vec<u8> = (1..=251).cycle().take(length).collect();
                window.copy_in(at, &sent);
                let mut around = [0; 1024];
                window.copy_out(60, &mut around);
                let start = usize::try_from(at).unwrap() - 60;
                let mut received = vec![0; length];
                window.copy_out(at, &mut received);
                assert_eq!(received, sent);
                assert_eq!(around[start..start + length], sent);
                let rest = around[..start].iter().chain(&around[start + length..]);
                assert!(rest.copied().all(|byte| byte == 0xee));
            }
        }
    }

    #[test]
    #[should_panic(expected = "9 bytes at offset 0xff8 in a window of 0x1000 bytes")]
    fn nothing_outside_the_window_is_reached() {
        let window = anonymous(PAGE);
        window.copy_in(0xff8, &[0; 9]);
    }

    #[test]
    #[should_panic(expected = "16 bytes at offset 0x0 in a window of 0x8 bytes")]
    fn nothing_outside_a_window_of_few_registers_is_reached() {
        anonymous(8).load_words::<4>(0);
    }

    #[test]
    #[should_panic(expected = "4 bytes at offset 0x2 in a window of 0x1000 bytes")]
    fn nothing_unaligned_is_reached() {
        let window = anonymous(PAGE);
        window.load_u32(2, Ordering::Relaxed);
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri knows no files in memory and no devices")]
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
        assert!(!window.takes_pieces(window.range(0, 4)));
        let missing = Window::uio_below(folder.path(), &device, "uio3", 0).err();
        let expected = failed(WindowOperation::Uio, Errno::NOENT);
        assert_eq!(missing, Some(expected));
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri knows no files in memory and no devices")]
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
    #[cfg_attr(miri, ignore = "Miri knows no files in memory and no devices")]
    fn a_window_that_is_no_multiple_of_a_page_off_the_file_is_refused() {
        let (_window, fd) = Window::memfd(PAGE).unwrap();
        let expected = Error::Window {
            operation: WindowOperation::Map,
            errno: Errno::INVAL.raw_os_error(),
        };
        assert_eq!(Window::map(&fd, 1, PAGE).err(), Some(expected));
    }
}
