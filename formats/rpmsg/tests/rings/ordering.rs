//! Each side's stores wait in a buffer of its own until a fence, as they may on any real processor: no wake-up is lost.

use std::cell::{Cell, RefCell};
use std::sync::atomic::Ordering;

use rpmsg::{Coherence, DeviceQueue, DriverQueue, Link, LinkLayout, Quirks, SharedMemory};

use crate::support::{BUFFER, Kind, SIZE, both, layout_of, next};

/// One processor with a store buffer: it sees its own stores at once, the other one sees them after the next fence.
struct Buffered<'a> {
    memory: &'a RefCell<Vec<u8>>,
    stores: RefCell<Vec<(usize, Vec<u8>)>>,
    fences_work: Cell<bool>,
}

impl<'a> Buffered<'a> {
    fn new(memory: &'a RefCell<Vec<u8>>) -> Self {
        Self {
            memory,
            stores: RefCell::default(),
            fences_work: Cell::new(true),
        }
    }

    fn drain(&self) {
        let mut memory = self.memory.borrow_mut();
        for (at, bytes) in self.stores.borrow_mut().drain(..) {
            memory[at..at + bytes.len()].copy_from_slice(&bytes);
        }
    }

    fn store(&self, at: u32, bytes: &[u8]) {
        self.stores.borrow_mut().push((at as usize, bytes.to_vec()));
    }

    fn load(&self, at: u32, into: &mut [u8]) {
        let at = at as usize;
        for (i, byte) in into.iter_mut().enumerate() {
            *byte = self.memory.borrow()[at + i];
            for (start, bytes) in self.stores.borrow().iter() {
                if let Some(own) = (at + i).checked_sub(*start).and_then(|i| bytes.get(i)) {
                    *byte = *own;
                }
            }
        }
    }
}

impl Coherence for Buffered<'_> {
    fn fence(&self) {
        if self.fences_work.get() {
            self.drain();
        }
    }
}

impl SharedMemory for Buffered<'_> {
    fn load_u16(&self, at: u32, _: Ordering) -> u16 {
        let mut bytes = [0; 2];
        self.load(at, &mut bytes);
        u16::from_le_bytes(bytes)
    }

    fn load_u32(&self, at: u32, _: Ordering) -> u32 {
        let mut bytes = [0; 4];
        self.load(at, &mut bytes);
        u32::from_le_bytes(bytes)
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
        self.load(at, into);
    }
}

/// Whether a message is slept through if one side falls asleep while the other sends; each side's fences at will.
fn slept_through<K: Kind>(
    layout: LinkLayout,
    sleeper_is_host: bool,
    sender_first: bool,
    sender_fences: bool,
    sleeper_fences: bool,
) -> bool {
    let memory = RefCell::new(vec![0; SIZE as usize]);
    let (host, core) = (Buffered::new(&memory), Buffered::new(&memory));
    let quirks = Quirks::default();
    let mut driver =
        Link::<_, DriverQueue<8, K>>::attach(&host, layout, BUFFER, 1, quirks).unwrap();
    let mut device = Link::<_, DeviceQueue<8, K>>::attach(&core, layout, 1, quirks).unwrap();
    // Both are busy, and asked not to be kicked.
    driver.wake_on_message(false).unwrap();
    device.wake_on_message(false).unwrap();
    host.drain();
    core.drain();
    let (sender, sleeper) = if sleeper_is_host {
        (&core, &host)
    } else {
        (&host, &core)
    };
    sender.fences_work.set(sender_fences);
    sleeper.fences_work.set(sleeper_fences);
    let (mut kicked, mut seen) = (false, false);
    for sends in [sender_first, !sender_first] {
        match (sends, sleeper_is_host) {
            (true, true) => {
                device.send(1, 2, b"x").unwrap();
                kicked = device.flush().is_needed();
            }
            (true, false) => {
                driver.send(1, 2, b"x").unwrap();
                kicked = driver.flush().is_needed();
            }
            (false, true) => seen = driver.wake_on_message(true).unwrap(),
            (false, false) => seen = device.wake_on_message(true).unwrap(),
        }
    }
    // In the end everything arrives, but who sleeps does not look.
    host.drain();
    core.drain();
    let arrived = if sleeper_is_host {
        next(&mut driver)
    } else {
        next(&mut device)
    };
    assert_eq!(arrived.unwrap().unwrap(), b"x");
    !kicked && !seen
}

/// With flags, and with event indices.
fn layouts<K: Kind>() -> [LinkLayout; 2] {
    [layout_of::<K>(), layout_of::<K>().with_event_index()]
}

#[test]
fn no_message_is_slept_through() {
    fn over<K: Kind>() {
        for layout in layouts::<K>() {
            for sleeper_is_host in [false, true] {
                for sender_first in [false, true] {
                    let slept =
                        slept_through::<K>(layout, sleeper_is_host, sender_first, true, true);
                    assert!(!slept);
                }
            }
        }
    }
    both!(over);
}

#[test]
fn without_either_fence_a_message_would_be_slept_through() {
    fn over<K: Kind>() {
        for layout in layouts::<K>() {
            for sleeper_is_host in [false, true] {
                let slept = |sender_first, fences: bool| {
                    slept_through::<K>(layout, sleeper_is_host, sender_first, !fences, fences)
                };
                assert!(slept(true, true));
                assert!(slept(false, false));
            }
        }
    }
    both!(over);
}
