//! What real peers do, and what both roles must therefore cope with.

use rpmsg::{Device, DeviceQueue, DriverQueue, Error, Link, Quirks, Ring};

use crate::support::{
    BUFFER, BUFFERS, CAPACITY, COUNT, DeviceOf, DriverOf, Kind, Memory, Side, TO_DEVICE, TO_DRIVER,
    both, device, device_of, driver, driver_of, layout, layout_of, next,
};

fn lite_device<'a>(memory: &'a Memory) -> Link<Side<'a>, DeviceQueue<CAPACITY>> {
    let quirks = Quirks {
        kick_always: true,
        used_ring_prefilled: true,
    };
    Device::attach(memory.device(), layout(), 1, quirks).unwrap()
}

#[test]
fn a_used_length_of_the_whole_descriptor_is_no_lie() {
    // open-amp and rpmsg-lite say 512 for every message.
    let memory = Memory::new();
    let mut driver = driver(&memory);
    let mut peer = device(&memory);
    peer.send(7, 8, b"short").unwrap();
    let _ = peer.flush();
    memory.poke(TO_DRIVER.used_entry(0) + 4, &BUFFER.to_le_bytes());
    assert_eq!(next(&mut driver).unwrap().unwrap(), b"short");
}

#[test]
fn a_used_index_that_begins_elsewhere_is_taken_up_where_it_is() {
    for start in [5_u16, 0x7fff, 0xfffc] {
        let memory = Memory::new();
        let mut driver = driver(&memory);
        driver.send(1, 2, b"one").unwrap();
        let _ = driver.flush();
        // A driver that has been at it for a while: both indices are far from zero.
        let id = memory.peek_u16(TO_DEVICE.available_entry(0));
        memory.poke(TO_DEVICE.available_entry(start), &id.to_le_bytes());
        memory.poke(
            TO_DEVICE.available_index(),
            &start.wrapping_add(1).to_le_bytes(),
        );
        memory.poke(TO_DEVICE.used_index(), &start.to_le_bytes());
        let mut device = device(&memory);
        assert_eq!(next(&mut device).unwrap().unwrap(), b"one");
        let _ = device.flush();
        assert_eq!(
            memory.peek_u16(TO_DEVICE.used_index()),
            start.wrapping_add(1)
        );
    }
}

#[test]
fn a_used_ring_filled_beforehand_is_not_a_backlog() {
    // rpmsg-lite's master starts ring 1 with every buffer used, and offers them as it sends.
    let memory = Memory::new();
    let mut driver = driver(&memory);
    memory.poke(TO_DEVICE.used_index(), &COUNT.to_le_bytes());
    let mut device = lite_device(&memory);
    assert_eq!(device.receive(), Ok(None));
    for round in 0..3_u8 {
        driver.send(1, 2, &[round]).unwrap();
        let _ = driver.flush();
        assert_eq!(next(&mut device).unwrap().unwrap(), [round]);
        let _ = device.flush();
    }
    assert_eq!(memory.peek_u16(TO_DEVICE.used_index()), COUNT + 3);
    // Attached anew in the middle of it, too.
    driver.send(1, 2, b"again").unwrap();
    let _ = driver.flush();
    assert_eq!(next(&mut lite_device(&memory)).unwrap().unwrap(), b"again");
}

#[test]
fn messages_sent_before_the_device_joined_arrive_up_to_a_full_ring() {
    // rpmsg-lite's master waits for no link, and takes its buffers from the used ring that it filled.
    for sent in 0..=COUNT {
        for start in [0, 5, 0xfffc_u16] {
            let memory = Memory::new();
            let mut driver = driver(&memory);
            for number in 0..sent {
                driver.send(1, 2, &number.to_le_bytes()).unwrap();
            }
            let _ = driver.flush();
            // The same after the indices have gone on, with everything returned.
            let ids: Vec<_> = (0..sent)
                .map(|index| memory.peek_u16(TO_DEVICE.available_entry(index)))
                .collect();
            for (index, id) in (start..=u16::MAX).chain(0..).zip(ids) {
                memory.poke(TO_DEVICE.available_entry(index), &id.to_le_bytes());
            }
            let [offered, used] = [sent, COUNT].map(|ahead| start.wrapping_add(ahead));
            memory.poke(TO_DEVICE.available_index(), &offered.to_le_bytes());
            memory.poke(TO_DEVICE.used_index(), &used.to_le_bytes());
            let mut device = lite_device(&memory);
            for number in 0..sent {
                assert_eq!(next(&mut device).unwrap().unwrap(), number.to_le_bytes());
            }
            assert_eq!(device.receive(), Ok(None));
            let _ = device.flush();
            assert_eq!(
                memory.peek_u16(TO_DEVICE.used_index()),
                used.wrapping_add(sent)
            );
        }
    }
}

#[test]
fn a_used_ring_filled_beforehand_needs_the_switch() {
    let memory = Memory::new();
    let mut driver = driver(&memory);
    memory.poke(TO_DEVICE.used_index(), &COUNT.to_le_bytes());
    driver.send(1, 2, b"x").unwrap();
    let _ = driver.flush();
    assert_eq!(
        device(&memory).receive(),
        Err(Error::PeerIndex {
            ring: Ring::ToDevice,
            index: 1,
            last: COUNT,
            outstanding: COUNT
        })
    );
}

#[test]
fn a_driver_that_asks_for_no_interrupts_gets_none() {
    let memory = Memory::new();
    let _driver = driver(&memory);
    memory.poke(TO_DRIVER.available, &1_u16.to_le_bytes());
    let mut device = device(&memory);
    device.send(1, 2, b"x").unwrap();
    assert!(!device.flush().is_needed());
}

#[test]
fn a_driver_that_asks_for_no_interrupts_and_needs_them_gets_them_by_a_switch() {
    let memory = Memory::new();
    let _driver = driver(&memory);
    memory.poke(TO_DRIVER.available, &1_u16.to_le_bytes());
    let mut device = lite_device(&memory);
    device.send(1, 2, b"x").unwrap();
    let kick = device.flush();
    assert!(kick.wants(Ring::ToDriver) && !kick.wants(Ring::ToDevice));
}

#[test]
fn a_device_that_asks_for_no_kicks_gets_none() {
    let memory = Memory::new();
    let mut driver = driver(&memory);
    memory.poke(TO_DEVICE.used, &1_u16.to_le_bytes());
    driver.send(1, 2, b"x").unwrap();
    assert!(!driver.flush().is_needed());
    memory.poke(TO_DEVICE.used, &0_u16.to_le_bytes());
    driver.send(1, 2, b"x").unwrap();
    assert!(driver.flush().wants(Ring::ToDevice));
}

#[test]
fn a_device_that_joins_wants_kicks_whatever_the_one_before_it_asked_for() {
    fn over<K: Kind>() {
        for layout in [layout_of::<K>(), layout_of::<K>().with_event_index()] {
            let (memory, quirks) = (Memory::of::<K>(), Quirks::default());
            let joins = || DeviceOf::<K>::attach(memory.device(), layout, 1, quirks).unwrap();
            let mut driver =
                DriverOf::<K>::attach(memory.driver(), layout, BUFFER, 1, quirks).unwrap();
            joins().wake_on_message(false).unwrap();
            let _device = joins();
            driver.send(1, 2, b"x").unwrap();
            assert!(driver.flush().wants(Ring::ToDevice));
        }
    }
    both!(over);
}

#[test]
fn unknown_ring_flags_are_ignored() {
    let memory = Memory::new();
    let mut driver = driver(&memory);
    memory.poke(TO_DEVICE.used, &0xfffe_u16.to_le_bytes());
    driver.send(1, 2, b"x").unwrap();
    assert!(driver.flush().is_needed());
}

#[test]
fn a_reserved_word_and_flags_that_are_not_zero_are_ignored() {
    let memory = Memory::new();
    let mut driver = driver(&memory);
    let mut device = device(&memory);
    driver.send(1, 2, b"x").unwrap();
    let _ = driver.flush();
    let id = memory.peek_u16(TO_DEVICE.available_entry(0));
    let at = BUFFERS.start + u32::from(COUNT + id) * BUFFER;
    memory.poke(at + 8, &[0xff; 4]);
    memory.poke(at + 14, &[0xff; 2]);
    let message = device.receive().unwrap().unwrap();
    assert_eq!(message.header().flags, 0xffff);
    assert_eq!(message.header().len, 1);
    device.release(message).unwrap();
}

#[test]
fn a_write_flag_on_ring_1_is_ignored() {
    // rpmsg-lite's master marks every buffer as device-writable.
    let memory = Memory::new();
    let mut driver = driver(&memory);
    let mut device = device(&memory);
    driver.send(1, 2, b"x").unwrap();
    let _ = driver.flush();
    let id = memory.peek_u16(TO_DEVICE.available_entry(0));
    memory.poke(TO_DEVICE.descriptor(id) + 12, &2_u16.to_le_bytes());
    assert_eq!(next(&mut device).unwrap().unwrap(), b"x");
}

#[test]
fn buffers_offered_out_of_order_are_fine() {
    // open-amp's driver takes a returned buffer if there is one, and else the next that it never used.
    let memory = Memory::new();
    let mut driver = driver(&memory);
    for n in 0..3_u8 {
        driver.send(1, 2, &[n]).unwrap();
    }
    let mut ids: Vec<_> = (0..3)
        .map(|index| memory.peek_u16(TO_DEVICE.available_entry(index)))
        .collect();
    ids.rotate_left(1);
    for (index, id) in (0..).zip(&ids) {
        memory.poke(TO_DEVICE.available_entry(index), &id.to_le_bytes());
    }
    let _ = driver.flush();
    let mut device = device(&memory);
    for n in [1, 2, 0] {
        assert_eq!(next(&mut device).unwrap().unwrap(), [n]);
    }
    let _ = device.flush();
    for (index, id) in (0..).zip(ids) {
        let returned = memory.peek_u32(TO_DEVICE.used_entry(index));
        assert_eq!(returned, u32::from(id));
    }
}

#[test]
fn buffers_returned_out_of_order_are_fine() {
    fn over<K: Kind>() {
        let memory = Memory::of::<K>();
        let mut driver = driver_of::<K>(&memory);
        let mut device = device_of::<K>(&memory);
        for n in 0..3_u8 {
            driver.send(1, 2, &[n]).unwrap();
        }
        let _ = driver.flush();
        let mut held: Vec<_> = (0..3).map(|_| device.receive().unwrap().unwrap()).collect();
        while let Some(message) = held.pop() {
            device.release(message).unwrap();
        }
        let _ = device.flush();
        for n in 0..3 * COUNT {
            driver.send(1, 2, &n.to_le_bytes()).unwrap();
            let _ = driver.flush();
            assert_eq!(next(&mut device).unwrap().unwrap(), n.to_le_bytes());
            let _ = device.flush();
        }
    }
    both!(over);
}

#[test]
fn a_descriptor_as_long_as_its_message_is_fine() {
    // Linux writes 16 + payload into the descriptor, not the buffer's size.
    let memory = Memory::new();
    let mut driver = driver(&memory);
    driver.send(1, 2, b"12345").unwrap();
    let _ = driver.flush();
    let id = memory.peek_u16(TO_DEVICE.available_entry(0));
    memory.poke(TO_DEVICE.descriptor(id) + 8, &21_u32.to_le_bytes());
    assert_eq!(next(&mut device(&memory)).unwrap().unwrap(), b"12345");
}

#[test]
fn indices_wrap() {
    fn over<K: Kind>() {
        let memory = Memory::of::<K>();
        let mut driver = driver_of::<K>(&memory);
        let mut device = device_of::<K>(&memory);
        for round in 0..70_000_u32 {
            driver.send(1, 2, &round.to_le_bytes()).unwrap();
            let _ = driver.flush();
            assert_eq!(next(&mut device).unwrap().unwrap(), round.to_le_bytes());
            device.send(2, 1, &round.to_le_bytes()).unwrap();
            let _ = device.flush();
            assert_eq!(next(&mut driver).unwrap().unwrap(), round.to_le_bytes());
            let _ = driver.flush();
        }
    }
    both!(over);
}

#[test]
fn a_ring_larger_than_the_engine_is_refused() {
    fn over<K: Kind>() {
        let memory = Memory::of::<K>();
        let (layout, quirks) = (layout_of::<K>(), Quirks::default());
        let error = Error::RingSize {
            count: u32::from(COUNT),
            limit: 4,
        };
        let small =
            Link::<_, DriverQueue<4, K>>::attach(memory.driver(), layout, BUFFER, 1, quirks);
        assert_eq!(small.err(), Some(error));
        let small = Link::<_, DeviceQueue<4, K>>::attach(memory.device(), layout, 1, quirks);
        assert_eq!(small.err(), Some(error));
    }
    both!(over);
}
