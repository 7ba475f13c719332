//! Every value an index can have, for every small ring: what can be is taken, everything else is refused by its rule.

use std::cell::RefCell;
use std::sync::atomic::Ordering;

use rpmsg::{
    Coherence, Device, Driver, Error, LinkLayout, Quirks, Ring, SharedMemory, VringLayout,
};

use crate::support::{BASE, BUFFERS, Parts, SIZE, TO_DEVICE, TO_DRIVER, next, window};

/// Both rings with so many descriptors, at the places of all tests.
fn layout(count: u16) -> LinkLayout {
    let window = window();
    let ring =
        |at: u32| VringLayout::new(&window, BASE + u64::from(at), u32::from(count), 0x800).unwrap();
    LinkLayout::new(
        window,
        ring(TO_DRIVER.descriptors),
        ring(TO_DEVICE.descriptors),
        BASE + u64::from(BUFFERS.start),
        BUFFERS.end - BUFFERS.start,
    )
    .unwrap()
}

/// Where ring 1's available index stands in a ring of so many descriptors.
fn available_index(count: u16) -> u32 {
    TO_DEVICE.descriptors + 16 * u32::from(count) + 2
}

/// Whether a device that joins at `start` refuses to find the driver at `index`.
fn device_refuses(memory: &Plain, count: u16, start: u16, index: u16) -> bool {
    memory.poke(used_index(TO_DEVICE, count), start);
    memory.poke(available_index(count), index);
    let mut device = memory.device(count);
    let refused = Error::PeerIndex {
        ring: Ring::ToDevice,
        index,
        last: start,
        outstanding: count,
    };
    device.wake_on_message(true) == Err(refused)
}

#[test]
fn r7_every_available_index_is_judged_right_in_every_small_ring() {
    for count in COUNTS {
        let memory = Plain::new();
        for start in [0, 0xfffd] {
            for index in 0..=u16::MAX {
                let possible = index.wrapping_sub(start) <= count;
                assert_eq!(
                    device_refuses(&memory, count, start, index),
                    !possible,
                    "index {index} after {start} in a ring of {count}"
                );
            }
        }
    }
}

#[test]
fn a_device_joins_at_every_index() {
    for count in [1, 16] {
        let memory = Plain::new();
        for start in 0..=u16::MAX {
            assert!(!device_refuses(
                &memory,
                count,
                start,
                start.wrapping_add(count)
            ));
            assert!(device_refuses(
                &memory,
                count,
                start,
                start.wrapping_add(count + 1)
            ));
            assert!(device_refuses(&memory, count, start, start.wrapping_sub(1)));
        }
    }
}

#[test]
fn every_used_index_is_judged_right_in_every_small_ring() {
    for count in COUNTS {
        let memory = Plain::new();
        for index in 0..=u16::MAX {
            let mut driver = memory.driver(count);
            memory.poke(used_index(TO_DRIVER, count), index);
            let refused = Error::PeerIndex {
                ring: Ring::ToDriver,
                index,
                last: 0,
                outstanding: count,
            };
            let judged = driver.wake_on_message(true);
            assert_eq!(
                judged == Err(refused),
                index > count,
                "index {index} in a ring of {count}"
            );
        }
    }
}

#[test]
fn a_driver_and_a_device_go_through_every_index_of_both_rings() {
    for count in COUNTS {
        let memory = Plain::new();
        let (mut driver, mut device) = (memory.driver(count), memory.device(count));
        let mut index = 0_u16;
        // Once round, by every number of messages that a ring can hold.
        for batch in (1..=count).cycle() {
            for number in 0..batch {
                driver.send(1, 2, &number.to_le_bytes()).unwrap();
                device.send(2, 1, &number.to_le_bytes()).unwrap();
            }
            let _ = (driver.flush(), device.flush());
            for number in 0..batch {
                let expected = Some(number.to_le_bytes().to_vec());
                assert_eq!(next(&mut device), Ok(expected.clone()), "after {index}");
                assert_eq!(next(&mut driver), Ok(expected), "after {index}");
            }
            let _ = (driver.flush(), device.flush());
            let before = index;
            index = index.wrapping_add(batch);
            let used = [TO_DRIVER, TO_DEVICE].map(|parts| memory.peek(used_index(parts, count)));
            assert_eq!(used, [index; 2]);
            if index < before {
                break;
            }
        }
    }
}

#[test]
fn a_used_index_that_cannot_be_is_refused_on_either_side_of_a_turn() {
    for count in [1, 16] {
        for start in [0x7fff_u16, 0x8000, 0xffff] {
            for ahead in [1, u16::MAX - count] {
                let memory = Plain::new();
                let (mut driver, mut device) = (memory.driver(count), memory.device(count));
                for _ in 0..start {
                    device.send(2, 1, b"").unwrap();
                    let _ = device.flush();
                    next(&mut driver).unwrap();
                    let _ = driver.flush();
                }
                let index = start.wrapping_add(count).wrapping_add(ahead);
                memory.poke(used_index(TO_DRIVER, count), index);
                let refused = Error::PeerIndex {
                    ring: Ring::ToDriver,
                    index,
                    last: start,
                    outstanding: count,
                };
                assert_eq!(driver.receive(), Err(refused));
            }
        }
    }
}

/// Where a used index stands in a ring of so many descriptors.
fn used_index(parts: Parts, count: u16) -> u32 {
    let available = parts.descriptors + 16 * u32::from(count);
    let end = available + 6 + 2 * u32::from(count);
    end.next_multiple_of(0x800) + 2
}

/// A window for rings of every size, which checks nothing but its bounds and is fast: here it is looked at often.
struct Plain(RefCell<Vec<u8>>);

impl Plain {
    fn new() -> Self {
        Self(RefCell::new(vec![0; SIZE as usize]))
    }

    fn driver(&self, count: u16) -> Driver<&Self, 16> {
        Driver::attach(self, layout(count), 32, 1, Quirks::default()).unwrap()
    }

    fn device(&self, count: u16) -> Device<&Self, 16> {
        Device::attach(self, layout(count), 1, Quirks::default()).unwrap()
    }

    fn poke(&self, at: u32, index: u16) {
        self.copy_in(at, &index.to_le_bytes());
    }

    fn peek(&self, at: u32) -> u16 {
        u16::from_le_bytes(self.get(at))
    }

    fn get<const N: usize>(&self, at: u32) -> [u8; N] {
        let at = at as usize;
        self.0.borrow()[at..at + N].try_into().unwrap()
    }
}

impl Coherence for Plain {}

impl SharedMemory for Plain {
    fn load_u16(&self, at: u32, _: Ordering) -> u16 {
        self.peek(at)
    }

    fn load_u32(&self, at: u32, _: Ordering) -> u32 {
        u32::from_le_bytes(self.get(at))
    }

    fn store_u16(&self, at: u32, value: u16, _: Ordering) {
        self.poke(at, value);
    }

    fn store_u32(&self, at: u32, value: u32, _: Ordering) {
        self.copy_in(at, &value.to_le_bytes());
    }

    fn copy_in(&self, at: u32, from: &[u8]) {
        let at = at as usize;
        self.0.borrow_mut()[at..at + from.len()].copy_from_slice(from);
    }

    fn copy_out(&self, at: u32, into: &mut [u8]) {
        let at = at as usize;
        into.copy_from_slice(&self.0.borrow()[at..at + into.len()]);
    }
}

const COUNTS: [u16; 5] = [1, 2, 4, 8, 16];
