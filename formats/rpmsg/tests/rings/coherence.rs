//! Without hardware coherence: each side has a cache that writes nothing back by itself and never looks again by itself.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use rpmsg::{
    Change, Coherence, Device, DeviceLife, DeviceStep, Driver, DriverLife, DriverStep, Event,
    LinkLayout, Quirks, ServiceName, Session, SharedMemory, VringLayout, Window,
};

use crate::support::{BASE, BUFFER, SIZE, layout, next, status};

const LINE: u32 = 64;

struct Line {
    bytes: [u8; LINE as usize],
    dirty: bool,
}

/// One processor's view: what it does not clean is lost, what it does not invalidate is stale.
struct Cached<'a> {
    memory: &'a RefCell<Vec<u8>>,
    lines: RefCell<BTreeMap<u32, Line>>,
}

impl<'a> Cached<'a> {
    fn new(memory: &'a RefCell<Vec<u8>>) -> Self {
        Self {
            memory,
            lines: RefCell::default(),
        }
    }

    fn with_byte<R>(&self, at: u32, f: impl FnOnce(&mut Line, usize) -> R) -> R {
        let start = at / LINE * LINE;
        let mut lines = self.lines.borrow_mut();
        let line = lines.entry(start).or_insert_with(|| {
            let start = start as usize;
            Line {
                bytes: self.memory.borrow()[start..start + LINE as usize]
                    .try_into()
                    .unwrap(),
                dirty: false,
            }
        });
        f(line, (at - start) as usize)
    }

    fn load<const N: usize>(&self, at: u32) -> [u8; N] {
        std::array::from_fn(|i| self.with_byte(at + i as u32, |line, at| line.bytes[at]))
    }

    fn store(&self, at: u32, bytes: &[u8]) {
        for (i, byte) in bytes.iter().enumerate() {
            self.with_byte(at + i as u32, |line, at| {
                line.bytes[at] = *byte;
                line.dirty = true;
            });
        }
    }

    fn starts(at: u32, len: u32) -> impl Iterator<Item = u32> {
        (at / LINE..(at + len).div_ceil(LINE)).map(|line| line * LINE)
    }
}

impl Coherence for Cached<'_> {
    fn clean(&self, at: u32, len: u32) {
        for start in Self::starts(at, len) {
            if let Some(line) = self.lines.borrow_mut().get_mut(&start) {
                if line.dirty {
                    let start = start as usize;
                    self.memory.borrow_mut()[start..start + LINE as usize]
                        .copy_from_slice(&line.bytes);
                }
                line.dirty = false;
            }
        }
    }

    fn invalidate(&self, at: u32, len: u32) {
        for start in Self::starts(at, len) {
            let line = self.lines.borrow_mut().remove(&start);
            assert!(
                line.is_none_or(|line| !line.dirty),
                "our own store at {start:#x} is lost"
            );
        }
    }
}

impl SharedMemory for Cached<'_> {
    fn load_u16(&self, at: u32, _: Ordering) -> u16 {
        u16::from_le_bytes(self.load(at))
    }

    fn load_u32(&self, at: u32, _: Ordering) -> u32 {
        u32::from_le_bytes(self.load(at))
    }

    fn store_u16(&self, at: u32, value: u16, _: Ordering) {
        self.store(at, &value.to_le_bytes());
    }

    fn store_u32(&self, at: u32, value: u32, _: Ordering) {
        self.store(at, &value.to_le_bytes());
    }

    fn copy_in(&self, at: u32, from: &[u8]) {
        self.store(at, from);
    }

    fn copy_out(&self, at: u32, into: &mut [u8]) {
        for (i, byte) in into.iter_mut().enumerate() {
            [*byte] = self.load(at + i as u32);
        }
    }
}

#[test]
fn the_fake_loses_what_is_not_cleaned_and_keeps_what_is_not_invalidated() {
    let memory = RefCell::new(vec![0; SIZE as usize]);
    let (one, two) = (Cached::new(&memory), Cached::new(&memory));
    assert_eq!(two.load_u32(0, Ordering::Acquire), 0);
    one.store_u32(0, 5, Ordering::Release);
    two.invalidate(0, 4);
    assert_eq!(two.load_u32(0, Ordering::Acquire), 0, "not cleaned");
    one.clean(0, 4);
    assert_eq!(two.load_u32(0, Ordering::Acquire), 0, "not invalidated");
    two.invalidate(0, 4);
    assert_eq!(two.load_u32(0, Ordering::Acquire), 5);
}

#[test]
fn messages_pass_both_ways_without_coherence() {
    let memory = RefCell::new(vec![0xa5; SIZE as usize]);
    let (host, core) = (Cached::new(&memory), Cached::new(&memory));
    let mut driver = Driver::<_, 8>::attach(&host, layout(), BUFFER, 1, Quirks::default()).unwrap();
    let mut device = Device::<_, 8>::attach(&core, layout(), 1, Quirks::default()).unwrap();
    for round in 0..200_u32 {
        let len = (round * 7 % 49) as usize;
        let payload = vec![round as u8; len];
        for _ in 0..round % 8 + 1 {
            driver.send(1, 2, &payload).unwrap();
            device.send(2, 1, &payload).unwrap();
        }
        // Suppression flags go through the caches, too.
        assert!(driver.flush().is_needed());
        assert!(device.flush().is_needed());
        for _ in 0..round % 8 + 1 {
            assert_eq!(next(&mut device).unwrap().unwrap(), payload);
            assert_eq!(next(&mut driver).unwrap().unwrap(), payload);
        }
        let _ = driver.flush();
        let _ = device.flush();
    }
}

#[test]
fn rings_longer_than_a_line_pass_without_coherence() {
    const WIDE: u32 = 0x10_0000;
    let memory = RefCell::new(vec![0; WIDE as usize]);
    let (host, core) = (Cached::new(&memory), Cached::new(&memory));
    let window = Window::new(BASE, WIDE).unwrap();
    let ring = |at| VringLayout::new(&window, BASE + at, 256, 4096).unwrap();
    let layout = LinkLayout::new(
        window,
        ring(0x1_0000),
        ring(0x2_0000),
        BASE + 0x4_0000,
        0x4_0000,
    )
    .unwrap();
    let mut driver = Driver::<_, 256>::attach(&host, layout, 512, 1, Quirks::default()).unwrap();
    let mut device = Device::<_, 256>::attach(&core, layout, 1, Quirks::default()).unwrap();
    for round in 0..5_u8 {
        for n in 0..200_u8 {
            driver.send(1, 2, &[round, n]).unwrap();
            device.send(2, 1, &[n, round]).unwrap();
        }
        let _ = driver.flush();
        let _ = device.flush();
        for n in 0..200_u8 {
            assert_eq!(next(&mut device).unwrap().unwrap(), [round, n]);
            assert_eq!(next(&mut driver).unwrap().unwrap(), [n, round]);
        }
        let _ = driver.flush();
        let _ = device.flush();
    }
}

#[test]
fn suppression_passes_without_coherence() {
    let memory = RefCell::new(vec![0; SIZE as usize]);
    let (host, core) = (Cached::new(&memory), Cached::new(&memory));
    let mut driver = Driver::<_, 8>::attach(&host, layout(), BUFFER, 1, Quirks::default()).unwrap();
    let mut device = Device::<_, 8>::attach(&core, layout(), 1, Quirks::default()).unwrap();
    for wanted in [true, false, true, false] {
        driver.wake_on_message(wanted).unwrap();
        device.wake_on_message(wanted).unwrap();
        driver.send(1, 2, b"x").unwrap();
        device.send(2, 1, b"x").unwrap();
        assert_eq!(driver.flush().is_needed(), wanted);
        assert_eq!(device.flush().is_needed(), wanted);
    }
}

#[test]
fn the_life_cycle_passes_without_coherence() {
    let memory = RefCell::new(vec![0; SIZE as usize]);
    let (host, core) = (Cached::new(&memory), Cached::new(&memory));
    let mut device = DeviceLife::begin(&core, status());
    for size in [64, 60, 56] {
        let mut driver = DriverLife::begin(&host, status(), 1);
        while device.step(&core) != DeviceStep::Wait {}
        assert_eq!(driver.step(&host), DriverStep::Prepare);
        let link = Driver::<_, 8>::attach(&host, layout(), size, 1, Quirks::default()).unwrap();
        driver.ready(&host);
        let DeviceStep::Attach(generation) = device.step(&core) else {
            panic!("DRIVER_OK not seen");
        };
        let core_link =
            Device::<_, 8>::attach(&core, layout(), generation, Quirks::default()).unwrap();
        let mut host_session = Session::<_, _, 2>::new(link);
        let mut core_session = Session::<_, _, 2>::new(core_link);
        let endpoint = core_session.open(None).unwrap();
        let name = ServiceName::new("rpmsg-tty").unwrap();
        core_session
            .announce(&endpoint, name, Change::Created)
            .unwrap();
        assert!(core_session.flush().is_needed());
        assert!(matches!(
            host_session.poll(&mut [0; 64]),
            Ok(Some(Event::Service(_)))
        ));
        assert_eq!(driver.step(&host), DriverStep::Run);
        assert_eq!(device.step(&core), DeviceStep::Run);
        // Other buffer sizes mean other descriptors, which the device must not have cached.
        let message = [size as u8; 16];
        host_session.link().send(1, 2, &message).unwrap();
        let _ = host_session.flush();
        let received = next(core_session.link()).unwrap().unwrap();
        assert_eq!(received, message);
        driver.detach(&host);
    }
}
