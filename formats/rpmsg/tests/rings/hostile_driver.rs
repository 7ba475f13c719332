//! What a lying driver can do to a device: be refused by a rule's name, and nothing else.

use crate::support::{
    BASE, BUFFER, BUFFERS, COUNT, Memory, SIZE, TO_DEVICE, TO_DRIVER,
    assert_link_works_after_attaching_anew, device, driver, next,
};
use rpmsg::{Error, Ring};

const IN: Ring = Ring::ToDevice;
const OUT: Ring = Ring::ToDriver;

/// A driver that has sent `messages` honest ones, so that the device has something to misjudge.
fn after_sending(memory: &Memory, messages: usize) {
    let mut driver = driver(memory);
    for _ in 0..messages {
        driver.send(1, 2, b"honest").unwrap();
    }
    let _ = driver.flush();
}

fn address(memory: &Memory, ring: crate::support::Parts, id: u16, address: u64, len: u32) {
    memory.poke(ring.descriptor(id), &address.to_le_bytes());
    memory.poke(ring.descriptor(id) + 8, &len.to_le_bytes());
}

#[test]
fn an_available_id_beyond_the_ring_is_refused() {
    for id in [COUNT, COUNT + 1, 0x7fff, 0xffff] {
        let memory = Memory::new();
        after_sending(&memory, 1);
        memory.poke(TO_DEVICE.available_entry(0), &id.to_le_bytes());
        let mut device = device(&memory);
        let error = Error::AvailableId {
            ring: IN,
            id,
            count: COUNT,
        };
        assert_eq!(device.receive(), Err(error));
        assert_eq!(device.receive(), Err(error));
        assert!(error.breaks_link());
        assert_link_works_after_attaching_anew(&memory);
    }
}

#[test]
fn an_available_id_offered_twice_is_refused() {
    let memory = Memory::new();
    after_sending(&memory, 2);
    let id = memory.peek_u16(TO_DEVICE.available_entry(0));
    memory.poke(TO_DEVICE.available_entry(1), &id.to_le_bytes());
    let mut device = device(&memory);
    let held = device.receive().unwrap().unwrap();
    assert_eq!(
        device.receive(),
        Err(Error::AvailableRepeated { ring: IN, id })
    );
    drop(held);
    assert_link_works_after_attaching_anew(&memory);
}

#[test]
fn an_available_index_that_jumps_is_refused() {
    for index in [COUNT + 1, 5000, 0x8000, 0xffff] {
        let memory = Memory::new();
        after_sending(&memory, 1);
        memory.poke(TO_DEVICE.available_index(), &index.to_le_bytes());
        let mut device = device(&memory);
        assert_eq!(
            device.receive(),
            Err(Error::PeerIndex {
                ring: IN,
                index,
                last: 0,
                outstanding: COUNT
            })
        );
        assert_link_works_after_attaching_anew(&memory);
    }
}

#[test]
fn an_available_index_ahead_of_what_was_returned_is_refused() {
    let memory = Memory::new();
    after_sending(&memory, 8);
    let mut device = device(&memory);
    let held = [
        device.receive().unwrap().unwrap(),
        device.receive().unwrap().unwrap(),
    ];
    for _ in 2..8 {
        assert!(next(&mut device).unwrap().is_some());
    }
    // Nothing is published: all eight are still owed, so not one more can have been offered.
    memory.poke(TO_DEVICE.available_index(), &9_u16.to_le_bytes());
    assert_eq!(
        device.receive(),
        Err(Error::PeerIndex {
            ring: IN,
            index: 9,
            last: 8,
            outstanding: 0
        })
    );
    drop(held);
}

#[test]
fn a_buffer_that_leaves_its_area_is_refused_and_goes_back() {
    let end = BASE + u64::from(BUFFERS.end);
    let cases = [
        (end - 4, BUFFER),
        (end - u64::from(BUFFER) + 4, BUFFER),
        (end, 16),
        (BASE + u64::from(BUFFERS.start) - 4, BUFFER),
        // The rings and the table are no buffers either.
        (BASE, BUFFER),
        (BASE + u64::from(TO_DEVICE.available), BUFFER),
        (BASE + u64::from(SIZE) - 16, BUFFER),
        (BASE - 16, BUFFER),
        (0, 16),
        (u64::MAX - 15, 16),
        (1 << 32, BUFFER),
        (BASE + (1 << 32) + u64::from(BUFFERS.start), BUFFER),
        (BASE + u64::from(BUFFERS.start), u32::MAX),
    ];
    for (at, len) in cases {
        let memory = Memory::new();
        after_sending(&memory, 2);
        let id = memory.peek_u16(TO_DEVICE.available_entry(0));
        address(&memory, TO_DEVICE, id, at, len);
        let out = memory.peek_u16(TO_DRIVER.available_entry(0));
        address(&memory, TO_DRIVER, out, at, len);
        let mut device = device(&memory);
        let error = |ring, id| Error::BufferOutside {
            ring,
            id,
            address: at,
            len,
        };
        if at % 4 == 0 {
            assert_eq!(device.receive(), Err(error(IN, id)));
            assert_eq!(device.reserve(), Err(error(OUT, out)));
        } else {
            assert!(matches!(
                device.receive(),
                Err(Error::BufferMisaligned { .. })
            ));
        }
        // The next message is not the worse for it.
        assert_eq!(next(&mut device).unwrap().unwrap(), b"honest");
        let _ = device.flush();
        assert_eq!(memory.peek_u16(TO_DEVICE.used_index()), 2);
        assert_link_works_after_attaching_anew(&memory);
    }
}

#[test]
fn a_misaligned_buffer_is_refused() {
    for shift in 1..4 {
        let memory = Memory::new();
        after_sending(&memory, 1);
        let id = memory.peek_u16(TO_DEVICE.available_entry(0));
        let at = BASE + u64::from(BUFFERS.start) + shift;
        address(&memory, TO_DEVICE, id, at, 32);
        assert_eq!(
            device(&memory).receive(),
            Err(Error::BufferMisaligned {
                ring: IN,
                id,
                address: at
            })
        );
    }
}

#[test]
fn a_descriptor_shorter_than_a_header_is_refused_and_nothing_is_written() {
    for len in [0, 8, 15] {
        let memory = Memory::new();
        after_sending(&memory, 1);
        let out = memory.peek_u16(TO_DRIVER.available_entry(0));
        let id = memory.peek_u16(TO_DEVICE.available_entry(0));
        memory.poke(TO_DRIVER.descriptor(out) + 8, &u32::to_le_bytes(len));
        memory.poke(TO_DEVICE.descriptor(id) + 8, &u32::to_le_bytes(len));
        let mut device = device(&memory);
        assert_eq!(
            device.reserve(),
            Err(Error::BufferTooSmall {
                ring: OUT,
                id: out,
                len
            })
        );
        assert_eq!(
            device.receive(),
            Err(Error::BufferTooSmall { ring: IN, id, len })
        );
        let before = memory.snapshot();
        // The next buffer to send in is an honest one.
        device.send(1, 2, b"x").unwrap();
        let changed = (0..before.len())
            .filter(|at| before[*at] != memory.snapshot()[*at])
            .collect::<Vec<_>>();
        assert!(
            changed
                .iter()
                .all(|at| { BUFFERS.contains(&(*at as u32)) || (0x1800..0x1900).contains(at) })
        );
    }
}

#[test]
fn a_payload_longer_than_the_buffer_offered_is_refused() {
    let memory = Memory::new();
    after_sending(&memory, 0);
    let out = memory.peek_u16(TO_DRIVER.available_entry(0));
    memory.poke(TO_DRIVER.descriptor(out) + 8, &20_u32.to_le_bytes());
    let mut device = device(&memory);
    assert_eq!(
        device.send(1, 2, b"12345"),
        Err(Error::PayloadTooLong { end: 5, room: 4 })
    );
    // The buffer was not lost: it serves the next message.
    device.send(1, 2, b"1234").unwrap();
    let _ = device.flush();
    assert_eq!(memory.peek_u32(TO_DRIVER.used_entry(0)), u32::from(out));
    assert_eq!(memory.peek_u32(TO_DRIVER.used_entry(0) + 4), 20);
}

#[test]
fn chained_and_indirect_descriptors_are_refused() {
    for flags in [1_u16, 4, 5, 7] {
        let memory = Memory::new();
        after_sending(&memory, 1);
        let id = memory.peek_u16(TO_DEVICE.available_entry(0));
        memory.poke(TO_DEVICE.descriptor(id) + 12, &flags.to_le_bytes());
        memory.poke(TO_DEVICE.descriptor(id) + 14, &0xffff_u16.to_le_bytes());
        assert_eq!(
            device(&memory).receive(),
            Err(Error::DescriptorChained {
                ring: IN,
                id,
                flags
            })
        );
    }
}

#[test]
fn a_read_only_buffer_to_send_in_is_refused() {
    let memory = Memory::new();
    after_sending(&memory, 0);
    let id = memory.peek_u16(TO_DRIVER.available_entry(0));
    memory.poke(TO_DRIVER.descriptor(id) + 12, &0_u16.to_le_bytes());
    assert_eq!(
        device(&memory).reserve(),
        Err(Error::DescriptorReadOnly {
            ring: OUT,
            id,
            flags: 0
        })
    );
}

#[test]
fn a_header_length_beyond_the_descriptor_is_refused() {
    for len in [49_u16, 0xffff] {
        let memory = Memory::new();
        after_sending(&memory, 2);
        let id = memory.peek_u16(TO_DEVICE.available_entry(0));
        let at = BUFFERS.start + u32::from(COUNT + id) * BUFFER;
        memory.poke(at + 12, &len.to_le_bytes());
        let mut device = device(&memory);
        assert_eq!(
            device.receive(),
            Err(Error::MessageLength {
                ring: IN,
                len,
                room: BUFFER - 16
            })
        );
        assert_eq!(next(&mut device).unwrap().unwrap(), b"honest");
    }
}

#[test]
fn a_descriptor_changed_while_the_buffer_is_held_changes_nothing() {
    let memory = Memory::new();
    after_sending(&memory, 1);
    let id = memory.peek_u16(TO_DEVICE.available_entry(0));
    let mut device = device(&memory);
    let held = device.receive().unwrap().unwrap();
    address(&memory, TO_DEVICE, id, 0, u32::MAX);
    let mut into = [0; 16];
    assert_eq!(device.read(&held, 0, &mut into), Ok(6));
    assert_eq!(&into[..6], b"honest");
    let out = device.reserve().unwrap();
    for id in 0..COUNT {
        address(&memory, TO_DRIVER, id, BASE, 1 << 20);
    }
    device.write(&out, 0, b"in the old place").unwrap();
    device.commit(out, 1, 2, 16).unwrap();
    device.release(held).unwrap();
    let _ = device.flush();
}

#[test]
fn a_used_ring_rewritten_by_the_driver_is_not_read_back() {
    let memory = Memory::new();
    after_sending(&memory, 3);
    let mut device = device(&memory);
    assert!(next(&mut device).unwrap().is_some());
    memory.poke(TO_DEVICE.used, &[0xff; 64]);
    let _ = device.flush();
    assert_eq!(memory.peek_u16(TO_DEVICE.used_index()), 1);
    assert!(next(&mut device).unwrap().is_some());
    let _ = device.flush();
    assert_eq!(memory.peek_u16(TO_DEVICE.used_index()), 2);
}

#[test]
fn rings_zeroed_under_the_device_are_a_sign_of_restart() {
    let memory = Memory::new();
    after_sending(&memory, 3);
    let mut device = device(&memory);
    while next(&mut device).unwrap().is_some() {}
    let _ = device.flush();
    memory.poke(TO_DEVICE.descriptors, &[0; 0x100]);
    let error = device.receive().unwrap_err();
    assert_eq!(error.restart_sign(), Some(rpmsg::RestartSign::RingZeroed));
    assert_link_works_after_attaching_anew(&memory);
}
