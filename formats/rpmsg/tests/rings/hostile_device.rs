//! What a lying device can do to a driver: be refused by a rule's name, and nothing else.

use crate::support::{
    BASE, BUFFER, BUFFERS, COUNT, Memory, TO_DEVICE, TO_DRIVER,
    assert_link_works_after_attaching_anew, device, driver, next,
};
use rpmsg::{Error, Ring};

/// Puts one entry into a used ring, as a device would.
fn returns(memory: &Memory, id: u32, len: u32) {
    let index = memory.peek_u16(TO_DRIVER.used_index());
    memory.poke(TO_DRIVER.used_entry(index), &id.to_le_bytes());
    memory.poke(TO_DRIVER.used_entry(index) + 4, &len.to_le_bytes());
    memory.poke(TO_DRIVER.used_index(), &index.wrapping_add(1).to_le_bytes());
}

/// Puts a header into receive buffer `id`.
fn header(memory: &Memory, id: u32, len: u16) {
    let at = BUFFERS.start + id * BUFFER;
    memory.poke(at, &1024_u32.to_le_bytes());
    memory.poke(at + 4, &1025_u32.to_le_bytes());
    memory.poke(at + 12, &len.to_le_bytes());
}

#[test]
fn a_returned_message_is_received() {
    let memory = Memory::new();
    let mut driver = driver(&memory);
    header(&memory, 3, 5);
    memory.poke(BUFFERS.start + 3 * BUFFER + 16, b"hello");
    returns(&memory, 3, 21);
    assert_eq!(next(&mut driver).unwrap().unwrap(), b"hello");
}

#[test]
fn a_used_id_beyond_the_ring_is_refused_and_nothing_is_indexed_by_it() {
    for id in [u32::from(COUNT), 0xffff, 0x1_0000, 0x1_0003, u32::MAX] {
        let memory = Memory::new();
        let mut driver = driver(&memory);
        returns(&memory, id, 64);
        let error = Error::UsedId {
            ring: Ring::ToDriver,
            id,
            count: COUNT,
        };
        assert_eq!(driver.receive(), Err(error));
        // The ring is broken until it is attached anew.
        assert_eq!(driver.receive(), Err(error));
        assert!(error.breaks_link());
        assert_link_works_after_attaching_anew(&memory);
    }
}

#[test]
fn a_used_id_beyond_the_ring_is_refused_when_buffers_to_send_in_come_back() {
    let memory = Memory::new();
    let mut driver = driver(&memory);
    for _ in 0..COUNT {
        driver.send(1, 2, b"x").unwrap();
    }
    let _ = driver.flush();
    memory.poke(TO_DEVICE.used_entry(0), &0xffff_u32.to_le_bytes());
    memory.poke(TO_DEVICE.used_index(), &1_u16.to_le_bytes());
    assert_eq!(
        driver.reserve(),
        Err(Error::UsedId {
            ring: Ring::ToDevice,
            id: 0xffff,
            count: COUNT
        })
    );
    assert_link_works_after_attaching_anew(&memory);
}

#[test]
fn a_used_id_returned_twice_is_refused() {
    let memory = Memory::new();
    let mut driver = driver(&memory);
    header(&memory, 2, 0);
    returns(&memory, 2, 16);
    returns(&memory, 2, 16);
    let held = driver.receive().unwrap().unwrap();
    assert_eq!(
        driver.receive(),
        Err(Error::UsedNotOffered {
            ring: Ring::ToDriver,
            id: 2
        })
    );
    drop(held);
    assert_link_works_after_attaching_anew(&memory);
}

#[test]
fn a_used_id_that_was_given_but_not_published_is_refused() {
    let memory = Memory::new();
    let mut driver = driver(&memory);
    header(&memory, 2, 0);
    returns(&memory, 2, 16);
    assert_eq!(next(&mut driver).unwrap().unwrap(), b"");
    // Buffer 2 waits for the next flush; the device cannot have it.
    returns(&memory, 2, 16);
    assert_eq!(
        driver.receive(),
        Err(Error::UsedNotOffered {
            ring: Ring::ToDriver,
            id: 2
        })
    );
}

#[test]
fn a_used_id_never_sent_is_refused() {
    let memory = Memory::new();
    let mut driver = driver(&memory);
    for _ in 0..COUNT {
        driver.send(1, 2, b"x").unwrap();
    }
    // Sent, but not flushed: the device cannot have any of them.
    memory.poke(TO_DEVICE.used_index(), &1_u16.to_le_bytes());
    assert_eq!(
        driver.reserve(),
        Err(Error::PeerIndex {
            ring: Ring::ToDevice,
            index: 1,
            last: 0,
            outstanding: 0
        })
    );
    assert_link_works_after_attaching_anew(&memory);
}

#[test]
fn a_used_index_that_jumps_is_refused() {
    for index in [u16::from(COUNT as u8) + 1, 5000, 0x8000, 0xffff] {
        let memory = Memory::new();
        let mut driver = driver(&memory);
        memory.poke(TO_DRIVER.used_index(), &index.to_le_bytes());
        assert_eq!(
            driver.receive(),
            Err(Error::PeerIndex {
                ring: Ring::ToDriver,
                index,
                last: 0,
                outstanding: COUNT
            })
        );
        assert_link_works_after_attaching_anew(&memory);
    }
}

#[test]
fn a_used_index_that_goes_backwards_is_refused_as_a_sign_of_restart() {
    let memory = Memory::new();
    let mut driver = driver(&memory);
    let mut peer = device(&memory);
    for _ in 0..3 {
        peer.send(1, 2, b"x").unwrap();
    }
    let _ = peer.flush();
    while next(&mut driver).unwrap().is_some() {}
    memory.poke(TO_DRIVER.used_index(), &1_u16.to_le_bytes());
    let error = driver.receive().unwrap_err();
    assert_eq!(
        error,
        Error::PeerIndex {
            ring: Ring::ToDriver,
            index: 1,
            last: 3,
            outstanding: COUNT - 3
        }
    );
    let sign = error.restart_sign().unwrap();
    assert_eq!(sign, rpmsg::RestartSign::IndexBackwards);
    assert!(sign.is_inferred());
}

#[test]
fn a_zeroed_ring_is_a_sign_of_restart() {
    let memory = Memory::new();
    let mut driver = driver(&memory);
    let mut peer = device(&memory);
    peer.send(1, 2, b"x").unwrap();
    let _ = peer.flush();
    assert!(next(&mut driver).unwrap().is_some());
    memory.poke(TO_DRIVER.used, &[0; 64]);
    let error = driver.receive().unwrap_err();
    assert_eq!(error.restart_sign(), Some(rpmsg::RestartSign::RingZeroed));
}

#[test]
fn more_bytes_than_the_buffer_has_are_refused_and_the_link_goes_on() {
    let memory = Memory::new();
    let mut driver = driver(&memory);
    header(&memory, 0, 5);
    returns(&memory, 0, BUFFER + 1);
    assert_eq!(
        driver.receive(),
        Err(Error::UsedLength {
            ring: Ring::ToDriver,
            id: 0,
            len: BUFFER + 1,
            size: BUFFER
        })
    );
    header(&memory, 1, 0);
    returns(&memory, 1, BUFFER);
    assert_eq!(next(&mut driver).unwrap().unwrap(), b"");
    // Both buffers went back.
    let _ = driver.flush();
    assert_eq!(memory.peek_u16(TO_DRIVER.available_index()), COUNT + 2);
}

#[test]
fn fewer_bytes_than_a_header_are_refused() {
    for len in [0, 8, 15] {
        let memory = Memory::new();
        let mut driver = driver(&memory);
        returns(&memory, 0, len);
        assert_eq!(
            driver.receive(),
            Err(Error::MessageWithoutHeader {
                ring: Ring::ToDriver,
                len
            })
        );
        assert_eq!(driver.receive(), Ok(None));
    }
}

#[test]
fn a_header_length_beyond_what_was_delivered_is_refused() {
    for (used, len) in [(20, 5), (BUFFER, 49), (BUFFER, 0xffff)] {
        let memory = Memory::new();
        let mut driver = driver(&memory);
        header(&memory, 0, len);
        returns(&memory, 0, used);
        assert_eq!(
            driver.receive(),
            Err(Error::MessageLength {
                ring: Ring::ToDriver,
                len,
                room: used - 16
            })
        );
        assert_eq!(driver.receive(), Ok(None));
    }
}

#[test]
fn a_header_length_changed_after_the_check_changes_nothing() {
    let memory = Memory::new();
    let mut driver = driver(&memory);
    header(&memory, 0, 4);
    returns(&memory, 0, BUFFER);
    let message = driver.receive().unwrap().unwrap();
    header(&memory, 0, 0xffff);
    let mut into = [0xee; 64];
    assert_eq!(driver.read(&message, 0, &mut into), Ok(4));
    assert_eq!(into[4..], [0xee; 60]);
    assert_eq!(message.header().len, 4);
    driver.release(message).unwrap();
}

#[test]
fn descriptors_and_their_chains_rewritten_by_the_device_mislead_nobody() {
    let memory = Memory::new();
    let mut driver = driver(&memory);
    let mut peer = device(&memory);
    let honest = memory.snapshot();
    for id in 0..COUNT {
        for ring in [TO_DRIVER, TO_DEVICE] {
            // Address, length, NEXT | INDIRECT, next: all lies, one of them aimed at the table page.
            memory.poke(ring.descriptor(id), &(BASE + 4).to_le_bytes());
            memory.poke(ring.descriptor(id) + 8, &[0xff; 8]);
        }
    }
    for round in 0..3 * COUNT {
        driver.send(1, 2, &round.to_le_bytes()).unwrap();
        let _ = driver.flush();
        let slot = (round % COUNT) as usize;
        let at = BUFFERS.start as usize + (COUNT as usize + slot) * BUFFER as usize;
        // Sent from the buffer's true place, and collected by its number.
        assert_eq!(memory.snapshot()[at + 16..at + 18], round.to_le_bytes());
        let index = memory.peek_u16(TO_DEVICE.used_index());
        let id = memory.peek_u16(TO_DEVICE.available_entry(index));
        memory.poke(TO_DEVICE.used_entry(index), &u32::from(id).to_le_bytes());
        memory.poke(TO_DEVICE.used_index(), &index.wrapping_add(1).to_le_bytes());
    }
    assert_eq!(memory.snapshot()[..0x1000], honest[..0x1000]);
    assert!(peer.reserve().is_err(), "the device misled only itself");
    assert_link_works_after_attaching_anew(&memory);
}

#[test]
fn a_returned_buffer_edited_by_the_device_carries_no_state_of_ours() {
    let memory = Memory::new();
    let mut driver = driver(&memory);
    let mut peer = device(&memory);
    for round in 0..5 * COUNT {
        driver.send(1, 2, &round.to_le_bytes()).unwrap();
        let _ = driver.flush();
        assert_eq!(next(&mut peer).unwrap().unwrap(), round.to_le_bytes());
        let _ = peer.flush();
        let all = vec![0xa5; (BUFFERS.end - BUFFERS.start) as usize];
        memory.poke(BUFFERS.start, &all);
    }
}

#[test]
fn the_reserved_word_of_a_held_message_is_nothing_to_us() {
    let memory = Memory::new();
    let mut driver = driver(&memory);
    header(&memory, 4, 3);
    returns(&memory, 4, BUFFER);
    let held = driver.receive().unwrap().unwrap();
    memory.poke(BUFFERS.start + 4 * BUFFER + 8, &[0xff; 4]);
    driver.release(held).unwrap();
    let _ = driver.flush();
    assert_eq!(memory.peek_u16(TO_DRIVER.available_entry(COUNT)), 4);
}

#[test]
fn an_available_ring_rewritten_by_the_device_is_not_read_back() {
    let memory = Memory::new();
    let mut driver = driver(&memory);
    memory.poke(TO_DRIVER.available, &[0xff; 20]);
    header(&memory, 7, 1);
    returns(&memory, 7, BUFFER);
    assert_eq!(next(&mut driver).unwrap().unwrap().len(), 1);
    let _ = driver.flush();
    // The index is ours, whatever stood there.
    assert_eq!(memory.peek_u16(TO_DRIVER.available_index()), COUNT + 1);
}
