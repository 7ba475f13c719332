//! A window which fails the test at the first access that is not allowed, and both roles over it.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::sync::atomic::Ordering;

use rpmsg::{
    Coherence, DeviceQueue, DriverQueue, Link, LinkLayout, Packed, Queue, Quirks, Ring, RingKind,
    SharedMemory, Split, StatusWord, Symmetric, VringLayout, Window,
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

/// A kind of ring, which most tests are for both of.
pub(crate) trait Kind: RingKind {
    /// A ring at an offset.
    fn ring(at: u32) -> VringLayout;

    /// What the driver and the device write in it.
    fn halves(parts: Parts) -> [Vec<Range<u32>>; 2];
}

impl Kind for Split {
    fn ring(at: u32) -> VringLayout {
        ring(at)
    }

    fn halves(parts: Parts) -> [Vec<Range<u32>>; 2] {
        let driver = parts.descriptors..parts.available + 6 + 2 * u32::from(COUNT);
        let device = parts.used..parts.used + 6 + 8 * u32::from(COUNT);
        [vec![driver], vec![device]]
    }
}

impl Kind for Packed {
    fn ring(at: u32) -> VringLayout {
        VringLayout::packed(&window(), BASE + u64::from(at), u32::from(COUNT)).unwrap()
    }

    fn halves(parts: Parts) -> [Vec<Range<u32>>; 2] {
        let descriptors = parts.descriptors..parts.descriptors + 16 * u32::from(COUNT);
        let [driver, device] = parts.events().map(|at| at..at + 4);
        let drivers = descriptors.start..driver.end;
        [vec![drivers], vec![descriptors, device]]
    }
}

/// Runs a test over split rings and over packed ones.
macro_rules! both {
    ($test:ident $(, $argument:expr)*) => {
        $test::<rpmsg::Split>($($argument),*);
        $test::<rpmsg::Packed>($($argument),*);
    };
}
pub(crate) use both;

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

    /// Of a packed ring, which has its descriptors where a split one has them too: what its driver and its device ask for.
    pub(crate) fn events(&self) -> [u32; 2] {
        let driver = self.descriptors + 16 * u32::from(COUNT);
        [driver, driver + 4]
    }
}

/// The bytes both sides share.
pub(crate) struct Memory {
    bytes: RefCell<Vec<u8>>,
    loads: Cell<u64>,
    fences: Cell<u64>,
    halves: [[Vec<Range<u32>>; 2]; 2],
    works: fn(&Memory),
}

impl Memory {
    /// All zero, as the secure world leaves it; for split rings.
    pub(crate) fn new() -> Self {
        Self::of::<Split>()
    }

    /// For rings of either kind.
    pub(crate) fn of<K: Kind>() -> Self {
        Self {
            bytes: RefCell::new(vec![0; SIZE as usize]),
            loads: Cell::new(0),
            fences: Cell::new(0),
            halves: [K::halves(TO_DRIVER), K::halves(TO_DEVICE)],
            works: works::<K>,
        }
    }

    /// What one side of a symmetric link may reach, which sends in this ring.
    pub(crate) fn symmetric(&self, sending: Ring) -> Side<'_> {
        let [to_driver, to_device] = &self.halves;
        let (line, sends, receives) = match sending {
            Ring::ToDevice => (0..0xE40, to_device, to_driver),
            Ring::ToDriver => (0xE40..0xE80, to_driver, to_device),
        };
        let [driver, device] = sends;
        let whole = driver[0].start..device[device.len() - 1].end;
        let [_, device] = receives.clone();
        self.side([vec![line, whole], device].concat())
    }

    /// What the driver may reach.
    pub(crate) fn driver(&self) -> Side<'_> {
        let [to_driver, to_device] = &self.halves;
        // The rings whole: the driver zeroes them at attach.
        let whole = |halves: &[Vec<Range<u32>>; 2]| {
            let [driver, device] = halves;
            driver[0].start..device[device.len() - 1].end
        };
        let accepted = 0xEC0..0xF00;
        self.side(vec![0..0xE40, accepted, whole(to_driver), whole(to_device)])
    }

    /// What the device may reach.
    pub(crate) fn device(&self) -> Side<'_> {
        let [[_, to_driver], [_, to_device]] = self.halves.clone();
        let line = 0xE40..0xE80;
        self.side([vec![line], to_driver, to_device].concat())
    }

    fn side(&self, ours: Vec<Range<u32>>) -> Side<'_> {
        let readable = self.halves.iter().flatten().flatten().cloned();
        Side {
            memory: self,
            writable: [ours, vec![BUFFERS]].concat(),
            readable: [0..0x1000, BUFFERS].into_iter().chain(readable).collect(),
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
    readable: Vec<Range<u32>>,
}

impl Side<'_> {
    fn check_load(&self, at: u32, len: u32, align: u32) {
        self.memory.loads.set(self.memory.loads.get() + 1);
        assert_eq!(at % align, 0, "unaligned load of {len} at {at:#x}");
        assert!(
            self.readable
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
    layout_of::<Split>()
}

/// The same with rings of either kind.
pub(crate) fn layout_of<K: Kind>() -> LinkLayout {
    LinkLayout::new(
        window(),
        K::ring(TO_DRIVER.descriptors),
        K::ring(TO_DEVICE.descriptors),
        BASE + u64::from(BUFFERS.start),
        BUFFERS.end - BUFFERS.start,
    )
    .unwrap()
}

/// The status byte of the vdev.
pub(crate) fn status() -> StatusWord {
    StatusWord::new(&window(), BASE, ENTRY, 2).unwrap()
}

/// A driver over rings of a kind.
pub(crate) type DriverOf<'a, K> = Link<Side<'a>, DriverQueue<CAPACITY, K>>;
/// A device.
pub(crate) type DeviceOf<'a, K> = Link<Side<'a>, DeviceQueue<CAPACITY, K>>;

/// A driver over fresh split rings.
pub(crate) fn driver(memory: &Memory) -> DriverOf<'_, Split> {
    driver_of(memory)
}

/// A device on split rings as they are.
pub(crate) fn device(memory: &Memory) -> DeviceOf<'_, Split> {
    device_of(memory)
}

/// A driver over fresh rings.
pub(crate) fn driver_of<K: Kind>(memory: &Memory) -> DriverOf<'_, K> {
    let quirks = Quirks::default();
    DriverOf::attach(memory.driver(), layout_of::<K>(), BUFFER, 1, quirks).unwrap()
}

/// A device on the rings as they are.
pub(crate) fn device_of<K: Kind>(memory: &Memory) -> DeviceOf<'_, K> {
    DeviceOf::attach(memory.device(), layout_of::<K>(), 1, Quirks::default()).unwrap()
}

/// Either side of a symmetric link.
pub(crate) type SymmetricOf<'a, K> = Symmetric<Side<'a>, CAPACITY, K>;

/// Both sides of a symmetric link: the one that sends in ring 1, and the other one.
pub(crate) fn symmetric_of<K: Kind>(memory: &Memory) -> [SymmetricOf<'_, K>; 2] {
    symmetric_at(memory, layout_of::<K>())
}

/// The same with a layout of one's own.
pub(crate) fn symmetric_at<K: Kind>(
    memory: &Memory,
    layout: LinkLayout,
) -> [SymmetricOf<'_, K>; 2] {
    let sides = [Ring::ToDevice, Ring::ToDriver].map(|ring| (ring, memory.symmetric(ring)));
    for (ring, side) in &sides {
        SymmetricOf::<K>::prepare(side, &layout, *ring, BUFFER).unwrap();
    }
    sides.map(|(ring, side)| SymmetricOf::attach(side, layout, ring, BUFFER, 1).unwrap())
}

/// The payload of the next message, if there is one.
pub(crate) fn next<M: SharedMemory, R: Queue, T: Queue>(
    link: &mut Link<M, R, T>,
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
    (memory.works)(memory);
}

fn works<K: Kind>(memory: &Memory) {
    pass_both_ways(driver_of::<K>(memory), device_of::<K>(memory));
    let [one, other] = symmetric_of::<K>(memory);
    pass_both_ways(one, other);
}

fn pass_both_ways<M: SharedMemory, R: Queue, T: Queue, P: Queue, Q: Queue>(
    mut driver: Link<M, R, T>,
    mut device: Link<M, P, Q>,
) {
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
