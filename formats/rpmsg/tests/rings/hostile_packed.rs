//! What a lying peer can do in a packed ring: be refused by a rule's name, and nothing else.

use rpmsg::{Error, Packed, RestartSign, Ring};

use crate::support::{
    BASE, BUFFER, BUFFERS, COUNT, DeviceOf, DriverOf, Memory, Parts, TO_DEVICE, TO_DRIVER,
    assert_link_works_after_attaching_anew, device_of, driver_of, next,
};

fn driver(memory: &Memory) -> DriverOf<'_, Packed> {
    driver_of(memory)
}

fn device(memory: &Memory) -> DeviceOf<'_, Packed> {
    device_of(memory)
}

/// Rewrites number and marks of a descriptor.
fn mark(memory: &Memory, ring: Parts, place: u16, id: u16, flags: u16) {
    let at = ring.descriptor(place) + 12;
    memory.poke(at, &[id, flags].map(u16::to_le_bytes).concat());
}

fn address(memory: &Memory, ring: Parts, place: u16, address: u64, len: u32) {
    memory.poke(ring.descriptor(place), &address.to_le_bytes());
    memory.poke(ring.descriptor(place) + 8, &len.to_le_bytes());
}

/// A device, once its driver has sent so many messages.
fn device_with(memory: &Memory, messages: usize) -> DeviceOf<'_, Packed> {
    let mut driver = driver(memory);
    for _ in 0..messages {
        driver.send(1, 2, b"honest").unwrap();
    }
    let _ = driver.flush();
    device(memory)
}

const IN: Ring = Ring::ToDevice;

#[test]
fn r3_a_chained_descriptor_breaks_a_packed_ring_and_an_indirect_one_goes_back() {
    for flags in [1, 3, 5, 7] {
        let memory = Memory::of::<Packed>();
        let mut device = device_with(&memory, 2);
        mark(&memory, TO_DEVICE, 0, 0, 0x80 | flags);
        let chained = Error::PackedChain {
            ring: IN,
            id: 0,
            flags,
        };
        assert!(chained.breaks_link());
        assert_eq!(device.receive(), Err(chained));
        assert_eq!(device.receive(), Err(chained));
        assert_link_works_after_attaching_anew(&memory);
    }
    let memory = Memory::of::<Packed>();
    let mut device = device_with(&memory, 2);
    mark(&memory, TO_DEVICE, 0, 0, 0x84);
    let indirect = Error::DescriptorChained {
        ring: IN,
        id: 0,
        flags: 4,
    };
    assert_eq!(device.receive(), Err(indirect));
    assert_eq!(next(&mut device).unwrap().unwrap(), b"honest");
    let _ = device.flush();
    assert_eq!(memory.peek_u16(TO_DEVICE.descriptor(0) + 14), 0x8080);
    assert_eq!(memory.peek_u32(TO_DEVICE.descriptor(0) + 8), 0);
}

#[test]
fn r5_a_number_that_is_not_the_drivers_to_offer_breaks_a_packed_ring() {
    for id in [COUNT, 0x7fff, 0xffff] {
        let memory = Memory::of::<Packed>();
        let mut device = device_with(&memory, 1);
        mark(&memory, TO_DEVICE, 0, id, 0x80);
        let beyond = Error::AvailableId {
            ring: IN,
            id,
            count: COUNT,
        };
        assert_eq!(device.receive(), Err(beyond));
        assert_eq!(device.wake_on_message(true), Err(beyond));
        assert_link_works_after_attaching_anew(&memory);
    }
    let memory = Memory::of::<Packed>();
    let mut device = device_with(&memory, 2);
    mark(&memory, TO_DEVICE, 1, 0, 0x80);
    let held = device.receive().unwrap().unwrap();
    let twice = Error::AvailableRepeated { ring: IN, id: 0 };
    assert_eq!(device.receive(), Err(twice));
    assert_eq!(device.release(held), Err(twice));
    assert_link_works_after_attaching_anew(&memory);
}

#[test]
fn r5_a_number_that_is_not_the_devices_to_return_breaks_a_packed_ring() {
    let ring = Ring::ToDriver;
    let returns = |memory: &Memory, place: u16, id: u16| {
        memory.poke(TO_DRIVER.descriptor(place) + 8, &64_u32.to_le_bytes());
        mark(memory, TO_DRIVER, place, id, 0x8082);
    };
    for id in [COUNT, 0x7fff, 0xffff] {
        let memory = Memory::of::<Packed>();
        let mut driver = driver(&memory);
        returns(&memory, 0, id);
        let beyond = Error::UsedId {
            ring,
            id: id.into(),
            count: COUNT,
        };
        assert_eq!(driver.receive(), Err(beyond));
        assert_eq!(driver.receive(), Err(beyond));
        assert_link_works_after_attaching_anew(&memory);
    }
    let memory = Memory::of::<Packed>();
    let mut twice = driver(&memory);
    returns(&memory, 0, 2);
    returns(&memory, 1, 2);
    let held = twice.receive().unwrap().unwrap();
    let refused = Error::UsedNotOffered { ring, id: 2 };
    assert_eq!(twice.receive(), Err(refused));
    drop(held);
    // Given back to the device, but not shown yet.
    let memory = Memory::of::<Packed>();
    let mut early = driver(&memory);
    returns(&memory, 0, 2);
    assert_eq!(next(&mut early).unwrap().unwrap(), b"");
    returns(&memory, 1, 2);
    assert_eq!(early.receive(), Err(refused));
    assert_link_works_after_attaching_anew(&memory);
}

#[test]
fn r6_a_length_or_a_place_that_a_buffer_cannot_have_is_refused_and_goes_back() {
    let ring = IN;
    let area = BASE + u64::from(BUFFERS.start);
    let outside = |address, len| Error::BufferOutside {
        ring,
        id: 0,
        address,
        len,
    };
    let cases = [
        (BASE, BUFFER, outside(BASE, BUFFER)),
        (area, 0x404, outside(area, 0x404)),
        (u64::MAX - 15, 16, outside(u64::MAX - 15, 16)),
        (
            area,
            15,
            Error::BufferTooSmall {
                ring,
                id: 0,
                len: 15,
            },
        ),
        (
            area + 2,
            BUFFER,
            Error::BufferMisaligned {
                ring,
                id: 0,
                address: area + 2,
            },
        ),
    ];
    for (at, len, refused) in cases {
        let memory = Memory::of::<Packed>();
        let mut device = device_with(&memory, 2);
        address(&memory, TO_DEVICE, 0, at, len);
        assert_eq!(device.receive(), Err(refused));
        assert_eq!(next(&mut device).unwrap().unwrap(), b"honest");
        let _ = device.flush();
        assert_eq!(memory.peek_u16(TO_DEVICE.descriptor(0) + 14), 0x8080);
        assert_link_works_after_attaching_anew(&memory);
    }
    let memory = Memory::of::<Packed>();
    let mut driver = driver(&memory);
    memory.poke(TO_DRIVER.descriptor(0) + 8, &(BUFFER + 1).to_le_bytes());
    mark(&memory, TO_DRIVER, 0, 0, 0x8082);
    let refused = Error::UsedLength {
        ring: Ring::ToDriver,
        id: 0,
        len: BUFFER + 1,
        size: BUFFER,
    };
    assert_eq!(driver.receive(), Err(refused));
    assert_eq!(driver.receive(), Ok(None));
    // A buffer to send in that may not be written.
    let memory = Memory::of::<Packed>();
    drop(driver_of::<Packed>(&memory));
    mark(&memory, TO_DRIVER, 0, 0, 0x80);
    let mut device = device(&memory);
    let refused = Error::DescriptorReadOnly {
        ring: Ring::ToDriver,
        id: 0,
        flags: 0,
    };
    assert_eq!(device.reserve(), Err(refused));
}

#[test]
fn r4_what_the_peer_rewrites_of_ours_misleads_nobody() {
    // The device's: what it holds, and what it put aside, lies where it was judged to lie.
    let memory = Memory::of::<Packed>();
    let mut device = device_with(&memory, 2);
    let aside = device.reserve().unwrap();
    device.abandon(aside).unwrap();
    let held = device.receive().unwrap().unwrap();
    for place in 0..COUNT {
        address(&memory, TO_DRIVER, place, BASE, 1 << 20);
        address(&memory, TO_DEVICE, place, 0, u32::MAX);
    }
    let mut bytes = [0; 16];
    assert_eq!(device.read(&held, 0, &mut bytes), Ok(6));
    assert_eq!(&bytes[..6], b"honest");
    device.send(1, 2, b"in the old place").unwrap();
    device.release(held).unwrap();
    let _ = device.flush();
    assert_eq!(&memory.snapshot()[0x3010..0x3020], b"in the old place");
    assert_link_works_after_attaching_anew(&memory);
    // The driver's: buffers are where they always were, however their descriptors are rewritten.
    let mut driver = driver(&memory);
    for round in 0..3 * COUNT {
        driver.send(1, 2, &round.to_le_bytes()).unwrap();
        let _ = driver.flush();
        let place = round % COUNT;
        address(&memory, TO_DEVICE, place, BASE + 4, u32::MAX);
        let id = memory.peek_u16(TO_DEVICE.descriptor(place) + 12);
        let at = BUFFERS.start + u32::from(COUNT + id) * BUFFER + 16;
        assert_eq!(memory.peek_u16(at), round);
        let even = (round / COUNT).is_multiple_of(2);
        mark(&memory, TO_DEVICE, place, id, if even { 0x8080 } else { 0 });
    }
    assert_link_works_after_attaching_anew(&memory);
}

#[test]
fn r9_a_descriptor_out_of_turn_is_not_looked_at() {
    let memory = Memory::of::<Packed>();
    let mut device = device_with(&memory, 0);
    address(
        &memory,
        TO_DEVICE,
        1,
        BASE + u64::from(BUFFERS.start),
        BUFFER,
    );
    mark(&memory, TO_DEVICE, 1, 1, 0x80);
    assert_eq!(device.receive(), Ok(None));
    let mut driver = driver(&memory);
    mark(&memory, TO_DRIVER, 1, 1, 0x8082);
    assert_eq!(driver.receive(), Ok(None));
}

#[test]
fn r12_a_packed_ring_zeroed_or_begun_again_is_a_sign_of_restart() {
    // The device is one turn on when the driver's ring begins anew.
    let memory = Memory::of::<Packed>();
    let (mut near, mut far) = (driver(&memory), device(&memory));
    for _ in 0..COUNT {
        near.send(1, 2, b"x").unwrap();
        let _ = near.flush();
        assert!(next(&mut far).unwrap().is_some());
        let _ = far.flush();
    }
    mark(&memory, TO_DEVICE, 0, 0, 0);
    let error = far.receive().unwrap_err();
    assert_eq!(error.restart_sign(), Some(RestartSign::RingZeroed));
    assert_link_works_after_attaching_anew(&memory);
    let memory = Memory::of::<Packed>();
    let mut near = driver(&memory);
    mark(&memory, TO_DRIVER, 0, 0, 0x8000);
    let error = near.receive().unwrap_err();
    let refused = Error::PeerWrap {
        ring: Ring::ToDriver,
        place: 0,
        flags: 0x8000,
    };
    assert_eq!(error, refused);
    assert_eq!(error.restart_sign(), Some(RestartSign::IndexBackwards));
    assert_eq!(near.receive(), Err(refused));
    assert_link_works_after_attaching_anew(&memory);
    // The driver is one turn on when its device begins again, and returns in the first turn.
    let memory = Memory::of::<Packed>();
    let (mut near, mut far) = (driver(&memory), device(&memory));
    for _ in 0..COUNT {
        far.send(2, 1, b"x").unwrap();
        let _ = far.flush();
        assert!(next(&mut near).unwrap().is_some());
        let _ = near.flush();
    }
    mark(&memory, TO_DRIVER, 0, 0, 0x8082);
    let error = near.receive().unwrap_err();
    assert_eq!(error.restart_sign(), Some(RestartSign::IndexBackwards));
    assert_link_works_after_attaching_anew(&memory);
    let memory = Memory::of::<Packed>();
    let mut near = driver(&memory);
    memory.poke(TO_DRIVER.descriptors, &[0; 128]);
    let error = near.receive().unwrap_err();
    assert_eq!(error.restart_sign(), Some(RestartSign::RingZeroed));
}
