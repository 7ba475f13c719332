//! Every value an index can have, for every small ring: what can be is taken, everything else is refused by its rule.

use rpmsg::{Device, Driver, Error, LinkLayout, Quirks, Ring, VringLayout};

use crate::support::{BASE, BUFFERS, Memory, TO_DEVICE, TO_DRIVER, window};

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
fn device_refuses(memory: &Memory, count: u16, start: u16, index: u16) -> bool {
    memory.poke(TO_DEVICE.used_index(), &start.to_le_bytes());
    memory.poke(available_index(count), &index.to_le_bytes());
    let link = Device::<_, 8>::attach(memory.device(), layout(count), 1, Quirks::default());
    let refused = Error::PeerIndex {
        ring: Ring::ToDevice,
        index,
        last: start,
        outstanding: count,
    };
    link.unwrap().wake_on_message(true) == Err(refused)
}

#[test]
fn every_available_index_is_judged_right_in_every_small_ring() {
    for count in [1, 2, 4, 8] {
        let memory = Memory::new();
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
    for count in [1, 8] {
        let memory = Memory::new();
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
fn every_used_index_near_a_turn_is_judged_right() {
    // The question is the one that the device asks; a driver takes long to attach.
    let indices = || (0..64).chain(0x7fe0..0x8020).chain(0xffe0..=u16::MAX);
    for count in [1, 8] {
        let memory = Memory::new();
        for index in indices() {
            let quirks = Quirks::default();
            let link = Driver::<_, 8>::attach(memory.driver(), layout(count), 64, 1, quirks);
            memory.poke(TO_DRIVER.used_index(), &index.to_le_bytes());
            let refused = Error::PeerIndex {
                ring: Ring::ToDriver,
                index,
                last: 0,
                outstanding: count,
            };
            let judged = link.unwrap().wake_on_message(true);
            assert_eq!(judged == Err(refused), index > count, "index {index}");
        }
    }
}
