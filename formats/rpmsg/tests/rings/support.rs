//! A window which fails the test at the first access that is not allowed, and both roles over it.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::sync::atomic::Ordering;

use rpmsg::{
    Coherence, Device, Driver, LinkLayout, Quirks, SharedMemory, StatusWord, VringLayout, Window,
};

/// Where the core sees the window.
pub(crate) const BASE: u64 = 0x2120_0000;
/// Table page, ring 0, ring 1, buffers, and a page that belongs to nobody.
pub(crate) const SIZE: u32 = 0x6000;
/// Descriptors of each ring.
pub(crate) const COUNT: u16 = 8;
/// Capacity of the engines: more than the rings have.
pub(crate) const CAPACITY: usize = 16;
/// Bytes of one buffer.
pub(crate) const BUFFER: u32 = 64;

/// Ring 0: descriptors, available ring, used ring, by offset.
pub(crate) const TO_DRIVER: Parts = Parts {
    descriptors: 0x1000,
    available: 0x1080,
    used: 0x1800,
};
/// Ring 1.
pub(crate) const TO_DEVICE: Parts = Parts {
    descriptors: 0x2000,
    available: 0x2080,
    used: 0x2800,
};
/// Buffers of both rings.
pub(crate) const BUFFERS: Range<u32> = 0x3000..0x3400;
/// The vdev entry in the table page.
pub(crate) const ENTRY: u32 = 24;

/// Offsets of the parts of one ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts {
    /// Written by the driver.
    pub(crate) descriptors: u32,
    /// Written by the driver.
    pub(crate) available: u32,
    /// Written by the device.
    pub(crate) used: u32,
}

impl Parts {
    /// The available index.
    pub(crate) fn available_index(&self) -> u32 {
        self.available + 2
    }

    /// Entry `index` of the available ring.
    pub(crate) fn available_entry(&self, index: u16) -> u32 {
        self.available + 4 + 2 * u32::from(index % COUNT)
    }

    /// The used index.
    pub(crate) fn used_index(&self) -> u32 {
        self.used + 2
    }

    /// Entry `index` of the used ring.
    pub(crate) fn used_entry(&self, index: u16) -> u32 {
        self.used + 4 + 8 * u32::from(index % COUNT)
    }

    /// Descriptor `id`.
    pub(crate) fn descriptor(&self, id: u16) -> u32 {
        self.descriptors + 16 * u32::from(id)
    }

    fn driver_writes(&self) -> Range<u32> {
        self.descriptors..self.available + 6 + 2 * u32::from(COUNT)
    }

    fn device_writes(&self) -> Range<u32> {
        self.used..self.used + 6 + 8 * u32::from(COUNT)
    }
}

/// The bytes both sides share.
pub(crate) struct Memory {
    bytes: RefCell<Vec<u8>>,
    loads: Cell<u64>,
    fences: Cell<u64>,
}

impl Memory {
    /// All zero, as the secure world leaves it.
    pub(crate) fn new() -> Self {
        Self {
            bytes: RefCell::new(vec![0; SIZE as usize]),
            loads: Cell::new(0),
            fences: Cell::new(0),
        }
    }

    /// What the driver may reach.
    pub(crate) fn driver(&self) -> Side<'_> {
        Side {
            memory: self,
            // The rings whole: the driver zeroes them at attach.
            writable: vec![
                0..0xE40,
                TO_DRIVER.driver_writes().start..TO_DRIVER.device_writes().end,
                TO_DEVICE.driver_writes().start..TO_DEVICE.device_writes().end,
                BUFFERS,
            ],
        }
    }

    /// What the device may reach.
    pub(crate) fn device(&self) -> Side<'_> {
        Side {
            memory: self,
            writable: vec![
                0xE40..0xE80,
                TO_DRIVER.device_writes(),
                TO_DEVICE.device_writes(),
                BUFFERS,
            ],
        }
    }

    /// Loads so far, as one number.
    pub(crate) fn loads(&self) -> u64 {
        self.loads.get()
    }

    /// Full fences so far.
    pub(crate) fn fences(&self) -> u64 {
        self.fences.get()
    }

    /// What the peer writes, rules or not.
    pub(crate) fn poke(&self, at: u32, bytes: &[u8]) {
        let at = at as usize;
        self.bytes.borrow_mut()[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// What stands there.
    pub(crate) fn peek<const N: usize>(&self, at: u32) -> [u8; N] {
        let at = at as usize;
        self.bytes.borrow()[at..at + N].try_into().unwrap()
    }

    /// A half-word.
    pub(crate) fn peek_u16(&self, at: u32) -> u16 {
        u16::from_le_bytes(self.peek(at))
    }

    /// A word.
    pub(crate) fn peek_u32(&self, at: u32) -> u32 {
        u32::from_le_bytes(self.peek(at))
    }

    /// Everything.
    pub(crate) fn snapshot(&self) -> Vec<u8> {
        self.bytes.borrow().clone()
    }
}

/// One side's access to the memory: aligned, inside, and writing only what the role may write.
#[derive(Clone)]
pub(crate) struct Side<'a> {
    memory: &'a Memory,
    writable: Vec<Range<u32>>,
}

impl Side<'_> {
    fn check_load(&self, at: u32, len: u32, align: u32) {
        self.memory.loads.set(self.memory.loads.get() + 1);
        assert_eq!(at % align, 0, "unaligned load of {len} at {at:#x}");
        let readable = [
            0..0x1000,
            TO_DRIVER.driver_writes(),
            TO_DRIVER.device_writes(),
            TO_DEVICE.driver_writes(),
            TO_DEVICE.device_writes(),
            BUFFERS,
        ];
        assert!(
            readable
                .iter()
                .any(|part| at >= part.start && at + len <= part.end),
            "load of {len} at {at:#x}, outside"
        );
    }

    fn check_store(&self, at: u32, len: u32, align: u32) {
        assert_eq!(at % align, 0, "unaligned store of {len} at {at:#x}");
        assert!(
            self.writable
                .iter()
                .any(|part| at >= part.start && at + len <= part.end),
            "store of {len} at {at:#x}, not ours"
        );
    }
}

impl Coherence for Side<'_> {
    fn fence(&self) {
        self.memory.fences.set(self.memory.fences.get() + 1);
    }
}

impl SharedMemory for Side<'_> {
    fn load_u16(&self, at: u32, order: Ordering) -> u16 {
        assert!(matches!(order, Ordering::Relaxed | Ordering::Acquire));
        self.check_load(at, 2, 2);
        self.memory.peek_u16(at)
    }

    fn load_u32(&self, at: u32, order: Ordering) -> u32 {
        assert!(matches!(order, Ordering::Relaxed | Ordering::Acquire));
        self.check_load(at, 4, 4);
        self.memory.peek_u32(at)
    }

    fn store_u16(&self, at: u32, value: u16, order: Ordering) {
        assert!(matches!(order, Ordering::Relaxed | Ordering::Release));
        self.check_store(at, 2, 2);
        self.memory.poke(at, &value.to_le_bytes());
    }

    fn store_u32(&self, at: u32, value: u32, order: Ordering) {
        assert!(matches!(order, Ordering::Relaxed | Ordering::Release));
        self.check_store(at, 4, 4);
        self.memory.poke(at, &value.to_le_bytes());
    }

    fn copy_in(&self, at: u32, from: &[u8]) {
        self.check_store(at, from.len() as u32, 4);
        self.memory.poke(at, from);
    }

    fn copy_out(&self, at: u32, into: &mut [u8]) {
        self.check_load(at, into.len() as u32, 4);
        let at = at as usize;
        into.copy_from_slice(&self.memory.bytes.borrow()[at..at + into.len()]);
    }
}

/// The window of all tests.
pub(crate) fn window() -> Window {
    Window::new(BASE, SIZE).unwrap()
}

/// A ring at an offset.
pub(crate) fn ring(at: u32) -> VringLayout {
    VringLayout::new(&window(), BASE + u64::from(at), u32::from(COUNT), 0x800).unwrap()
}

/// Both rings and the buffers.
pub(crate) fn layout() -> LinkLayout {
    LinkLayout::new(
        window(),
        ring(TO_DRIVER.descriptors),
        ring(TO_DEVICE.descriptors),
        BASE + u64::from(BUFFERS.start),
        BUFFERS.end - BUFFERS.start,
    )
    .unwrap()
}

/// The status byte of the vdev.
pub(crate) fn status() -> StatusWord {
    StatusWord::new(&window(), BASE, ENTRY, 2).unwrap()
}

/// A driver over fresh rings.
pub(crate) fn driver(memory: &Memory) -> Driver<Side<'_>, CAPACITY> {
    Driver::attach(memory.driver(), layout(), BUFFER, 1, Quirks::default()).unwrap()
}

/// A device on the rings as they are.
pub(crate) fn device(memory: &Memory) -> Device<Side<'_>, CAPACITY> {
    Device::attach(memory.device(), layout(), 1, Quirks::default()).unwrap()
}

/// The payload of the next message, if there is one.
pub(crate) fn next<M: SharedMemory, Q: rpmsg::Queue>(
    link: &mut rpmsg::Link<M, Q>,
) -> Result<Option<Vec<u8>>, rpmsg::Error> {
    let Some(message) = link.receive()? else {
        return Ok(None);
    };
    let mut bytes = vec![0; usize::from(message.header().len)];
    let copied = link.read(&message, 0, &mut bytes)?;
    assert_eq!(copied, bytes.len());
    link.release(message)?;
    Ok(Some(bytes))
}

/// Attaches both sides anew over the same memory, and proves that messages pass both ways.
pub(crate) fn assert_link_works_after_attaching_anew(memory: &Memory) {
    let mut driver = driver(memory);
    let mut device = device(memory);
    for round in 0..40_u8 {
        driver.send(1024, 53, &[round, 1, 2]).unwrap();
        assert!(driver.flush().is_needed());
        assert_eq!(next(&mut device).unwrap().unwrap(), [round, 1, 2]);
        device.send(53, 1024, &[round]).unwrap();
        let _ = device.flush();
        assert_eq!(next(&mut driver).unwrap().unwrap(), [round]);
        let _ = driver.flush();
    }
}
