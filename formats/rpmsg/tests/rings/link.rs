//! Batches, buffers in hand, and suppression, between two honest sides.

use rpmsg::{BufferSizes, Device, Driver, Error, Kick, LinkLayout, Quirks, Ring};

use crate::support::{
    BASE, BUFFER, BUFFERS, CAPACITY, COUNT, DeviceOf, DriverOf, Kind, Memory, TO_DEVICE, TO_DRIVER,
    assert_link_works_after_attaching_anew, both, device, device_of, driver, driver_of, layout,
    layout_of, next, ring, window,
};

#[test]
fn l13_nothing_is_published_before_the_flush_and_a_batch_is_published_once() {
    let memory = Memory::new();
    let mut driver = driver(&memory);
    for n in 0..5_u8 {
        driver.send(1, 2, &[n]).unwrap();
    }
    assert_eq!(memory.peek_u16(TO_DEVICE.available_index()), 0);
    let mut device = device(&memory);
    assert_eq!(device.receive(), Ok(None));
    let kick = driver.flush();
    assert!(kick.wants(Ring::ToDevice) && !kick.wants(Ring::ToDriver));
    assert_eq!(memory.peek_u16(TO_DEVICE.available_index()), 5);
    assert_eq!(driver.flush(), Kick::NONE);
    for n in 0..5_u8 {
        assert_eq!(next(&mut device).unwrap().unwrap(), [n]);
    }
    assert_eq!(memory.peek_u16(TO_DEVICE.used_index()), 0);
    let _ = device.flush();
    assert_eq!(memory.peek_u16(TO_DEVICE.used_index()), 5);
}

#[test]
fn l13_one_full_fence_is_for_both_rings() {
    fn over<K: Kind>() {
        let memory = Memory::of::<K>();
        let mut driver = driver_of::<K>(&memory);
        let mut device = device_of::<K>(&memory);
        let fences = |kick: &mut dyn FnMut() -> Kick| {
            let before = memory.fences();
            (kick(), memory.fences() - before)
        };
        assert_eq!(fences(&mut || device.flush()), (Kick::NONE, 0));
        driver.send(1, 2, b"question").unwrap();
        let (kick, count) = fences(&mut || driver.flush());
        assert!(kick.wants(Ring::ToDevice) && count == 1);
        assert_eq!(next(&mut device).unwrap().unwrap(), b"question");
        device.send(2, 1, b"answer").unwrap();
        driver.wake_on_buffer(true).unwrap();
        let (kick, count) = fences(&mut || device.flush());
        assert!(kick.wants(Ring::ToDevice) && kick.wants(Ring::ToDriver));
        assert_eq!(count, 1);
    }
    both!(over);
}

#[test]
fn the_peers_index_is_read_once_per_batch() {
    let memory = Memory::new();
    let mut driver = driver(&memory);
    let mut device = device(&memory);
    for n in 0..4_u8 {
        driver.send(1, 2, &[n]).unwrap();
    }
    let _ = driver.flush();
    let _ = next(&mut device);
    // Further messages are not seen until this batch is used up, so the index was not read again.
    let loads = |device: &mut _| {
        let before = memory.loads();
        let _ = next(device);
        memory.loads() - before
    };
    let inside = loads(&mut device);
    let _ = loads(&mut device);
    let _ = loads(&mut device);
    driver.send(1, 2, b"next batch").unwrap();
    let _ = driver.flush();
    assert_eq!(loads(&mut device), inside + 1);
}

#[test]
fn a_full_ring_says_so_and_goes_on_when_buffers_come_back() {
    fn over<K: Kind>() {
        let memory = Memory::of::<K>();
        let mut driver = driver_of::<K>(&memory);
        let mut device = device_of::<K>(&memory);
        for _ in 0..COUNT {
            driver.send(1, 2, b"x").unwrap();
        }
        let full = Err(Error::NoBuffer {
            ring: Ring::ToDevice,
        });
        assert_eq!(driver.send(1, 2, b"x"), full);
        let _ = driver.flush();
        assert_eq!(driver.send(1, 2, b"x"), full);
        assert!(next(&mut device).unwrap().is_some());
        let _ = device.flush();
        driver.send(1, 2, b"x").unwrap();
        assert_eq!(driver.send(1, 2, b"x"), full);
    }
    both!(over);
}

#[test]
fn a_buffer_is_written_in_parts_and_read_in_parts() {
    fn over<K: Kind>() {
        let memory = Memory::of::<K>();
        let mut driver = driver_of::<K>(&memory);
        let mut device = device_of::<K>(&memory);
        let buffer = driver.reserve().unwrap();
        assert_eq!(buffer.capacity(), BUFFER - 16);
        driver.write(&buffer, 4, b"world").unwrap();
        driver.write(&buffer, 0, b"hell").unwrap();
        assert_eq!(
            driver.write(&buffer, 2, b"x"),
            Err(Error::Misaligned { offset: 2 })
        );
        assert_eq!(
            driver.write(&buffer, 44, b"12345"),
            Err(Error::PayloadTooLong { end: 49, room: 48 })
        );
        assert_eq!(
            driver.write(&buffer, !3, b"12345"),
            Err(Error::PayloadTooLong {
                end: u32::MAX,
                room: 48
            })
        );
        driver.commit(buffer, 1, 2, 9).unwrap();
        let _ = driver.flush();
        let message = device.receive().unwrap().unwrap();
        let mut part = [0; 4];
        assert_eq!(device.read(&message, 4, &mut part), Ok(4));
        assert_eq!(&part, b"worl");
        assert_eq!(device.read(&message, 8, &mut part), Ok(1));
        assert_eq!(device.read(&message, 12, &mut part), Ok(0));
        assert_eq!(device.read(&message, !3, &mut part), Ok(0));
        assert_eq!(
            device.read(&message, 1, &mut part),
            Err(Error::Misaligned { offset: 1 })
        );
        device.release(message).unwrap();
    }
    both!(over);
}

#[test]
fn an_abandoned_buffer_serves_the_next_message() {
    fn over<K: Kind>() {
        let memory = Memory::of::<K>();
        let mut driver = driver_of::<K>(&memory);
        let mut device = device_of::<K>(&memory);
        for _ in 0..3 * COUNT {
            let buffer = driver.reserve().unwrap();
            driver.abandon(buffer).unwrap();
            let buffer = device.reserve().unwrap();
            device.abandon(buffer).unwrap();
        }
        assert_eq!(driver.flush(), Kick::NONE);
        assert_eq!(device.flush(), Kick::NONE);
        assert_eq!(device.wake_on_buffer(false), Ok(true));
        for _ in 0..COUNT {
            driver.send(1, 2, b"x").unwrap();
            device.send(2, 1, b"x").unwrap();
        }
        assert!(driver.reserve().is_err() && device.reserve().is_err());
    }
    both!(over);
}

#[test]
fn a_buffer_kept_while_all_indices_go_round_may_come_back_at_any_time() {
    fn over<K: Kind>() {
        let memory = Memory::of::<K>();
        let mut driver = driver_of::<K>(&memory);
        let mut device = device_of::<K>(&memory);
        let mut kept = Vec::new();
        for _ in 0..4 {
            driver.send(1, 2, b"kept").unwrap();
            let _ = driver.flush();
            kept.push(device.receive().unwrap().unwrap());
        }
        for sent in 4..0x1_0002 {
            driver.send(1, 2, b"staged").unwrap();
            // Where 15 bits of the index are as they were at the start, and where the driver's epochs begin anew.
            if [0x8000, 0xfffc, 0xfffd, 0xfffe].contains(&sent) {
                device.release(kept.remove(0)).unwrap();
                let _ = device.flush();
                assert_eq!(driver.wake_on_buffer(false), Ok(true));
                let returned = driver.reserve().unwrap();
                driver.abandon(returned).unwrap();
            }
            let _ = driver.flush();
            assert_eq!(next(&mut device).unwrap().unwrap(), b"staged");
            let _ = device.flush();
        }
        assert!(kept.is_empty());
        assert_link_works_after_attaching_anew(&memory);
    }
    both!(over);
}

#[test]
fn a_message_longer_than_its_buffer_is_not_sent() {
    fn over<K: Kind>() {
        let memory = Memory::of::<K>();
        let mut driver = driver_of::<K>(&memory);
        let room = BUFFER - 16;
        let error = |end| Err(Error::PayloadTooLong { end, room });
        for _ in 0..2 * COUNT {
            assert_eq!(driver.send(1, 2, &[0; 49]), error(49));
            assert_eq!(driver.send(1, 2, &[0; 70_000]), error(70_000));
            let buffer = driver.reserve().unwrap();
            assert_eq!(driver.commit(buffer, 1, 2, 49), error(49));
        }
        assert_eq!(driver.flush(), Kick::NONE);
        driver.send(1, 2, &[0; 48]).unwrap();
    }
    both!(over);
}

#[test]
fn l15_messages_wake_and_returned_buffers_do_not_until_asked_for() {
    fn over<K: Kind>() {
        let memory = Memory::of::<K>();
        let mut driver = driver_of::<K>(&memory);
        let mut device = device_of::<K>(&memory);
        driver.send(1, 2, b"x").unwrap();
        assert!(driver.flush().is_needed());
        assert!(next(&mut device).unwrap().is_some());
        // Returned: the driver did not ask.
        assert!(!device.flush().is_needed());
        assert_eq!(driver.wake_on_buffer(true), Ok(true));
        driver.send(1, 2, b"x").unwrap();
        let _ = driver.flush();
        assert!(next(&mut device).unwrap().is_some());
        assert!(device.flush().wants(Ring::ToDevice));
        // And the other way round.
        device.send(2, 1, b"x").unwrap();
        assert!(device.flush().is_needed());
        assert!(next(&mut driver).unwrap().is_some());
        assert!(!driver.flush().is_needed());
    }
    both!(over);
}

#[test]
fn l14_asking_to_be_woken_tells_of_a_message_that_came_before() {
    fn over<K: Kind>() {
        let memory = Memory::of::<K>();
        let mut driver = driver_of::<K>(&memory);
        let mut device = device_of::<K>(&memory);
        assert_eq!(device.wake_on_message(false), Ok(false));
        driver.send(1, 2, b"x").unwrap();
        assert!(!driver.flush().is_needed());
        assert_eq!(device.wake_on_message(true), Ok(true));
        assert!(next(&mut device).unwrap().is_some());
        assert_eq!(device.wake_on_message(true), Ok(false));
        driver.send(1, 2, b"x").unwrap();
        assert!(driver.flush().is_needed());
    }
    both!(over);
}

#[test]
fn l8_handles_of_an_older_generation_are_refused() {
    fn over<K: Kind>() {
        let memory = Memory::of::<K>();
        let mut old = driver_of::<K>(&memory);
        let mut peer = device_of::<K>(&memory);
        peer.send(1, 2, b"x").unwrap();
        let _ = peer.flush();
        let tx = old.reserve().unwrap();
        let other = old.reserve().unwrap();
        let rx = old.receive().unwrap().unwrap();
        let mut new = DriverOf::<K>::attach(
            memory.driver(),
            layout_of::<K>(),
            BUFFER,
            2,
            Quirks::default(),
        )
        .unwrap();
        let restarted = Error::PeerRestarted { handle: 1, link: 2 };
        assert_eq!(new.write(&tx, 0, b"x"), Err(restarted));
        assert_eq!(new.read(&rx, 0, &mut [0; 4]), Err(restarted));
        assert_eq!(new.commit(tx, 1, 2, 1), Err(restarted));
        assert_eq!(new.abandon(other), Err(restarted));
        assert_eq!(new.release(rx), Err(restarted));
        assert_link_works_after_attaching_anew(&memory);
    }
    both!(over);
}

#[test]
fn buffers_dropped_by_the_application_stay_out_of_use_and_harm_nothing() {
    let memory = Memory::new();
    let mut driver = driver(&memory);
    let mut device = device(&memory);
    drop(driver.reserve().unwrap());
    for _ in 1..COUNT {
        driver.send(1, 2, b"x").unwrap();
    }
    assert!(driver.reserve().is_err());
    let _ = driver.flush();
    while let Some(message) = device.receive().unwrap() {
        drop(message);
    }
    assert_eq!(device.flush(), Kick::NONE);
    assert_eq!(memory.peek_u16(TO_DRIVER.used_index()), 0);
    assert_link_works_after_attaching_anew(&memory);
}

#[test]
fn a_buffer_size_that_cannot_be_is_refused_in_either_direction() {
    let memory = Memory::new();
    let attached = |to_driver, to_device| {
        let sizes = BufferSizes {
            to_driver,
            to_device,
        };
        Driver::<_, 16>::attach(memory.driver(), layout(), sizes, 1, Quirks::default()).err()
    };
    for size in [20, 64] {
        assert_eq!(attached(size, size), None);
    }
    for size in [16, 0, 66, 3, !0] {
        let refused = |ring| Some(Error::BufferSize { ring, size });
        assert_eq!(attached(size, 64), refused(Ring::ToDriver));
        assert_eq!(attached(64, size), refused(Ring::ToDevice));
    }
    // Eight of each fit into 1024 bytes, to the last one.
    assert_eq!(attached(100, 28), None);
    assert_eq!(attached(28, 100), None);
    for (to_driver, to_device) in [(100, 32), (32, 100), (!3, 20), (20, !3), (!3, !3)] {
        let refused = Error::BuffersDoNotFit {
            buffers: 8 * (u64::from(to_driver) + u64::from(to_device)),
            area: 0x400,
        };
        assert_eq!(attached(to_driver, to_device), Some(refused));
    }
}

#[test]
fn each_direction_has_buffers_of_its_own_size() {
    fn over<K: Kind>() {
        for (to_driver, to_device) in [(100, 28), (28, 100)] {
            let memory = Memory::of::<K>();
            let sizes = BufferSizes {
                to_driver,
                to_device,
            };
            let quirks = Quirks::default();
            let mut driver =
                DriverOf::<K>::attach(memory.driver(), layout_of::<K>(), sizes, 1, quirks).unwrap();
            let _ = driver.flush();
            let mut device =
                DeviceOf::<K>::attach(memory.device(), layout_of::<K>(), 1, quirks).unwrap();
            let fill = |size: u32| vec![size as u8; size as usize - 16];
            for _ in 0..20 {
                driver.send(1, 2, &fill(to_device)).unwrap();
                let _ = driver.flush();
                assert_eq!(next(&mut device).unwrap().unwrap(), fill(to_device));
                device.send(2, 1, &fill(to_driver)).unwrap();
                let _ = device.flush();
                assert_eq!(next(&mut driver).unwrap().unwrap(), fill(to_driver));
            }
            let too_long = |size: u32| Error::PayloadTooLong {
                end: size - 15,
                room: size - 16,
            };
            let sent = driver.send(1, 2, &vec![0; to_device as usize - 15]);
            assert_eq!(sent, Err(too_long(to_device)));
            let sent = device.send(2, 1, &vec![0; to_driver as usize - 15]);
            assert_eq!(sent, Err(too_long(to_driver)));
        }
    }
    both!(over);
}

#[test]
fn a_device_whose_buffers_have_no_room_for_a_header_is_refused() {
    let memory = Memory::new();
    let _ = driver(&memory);
    let attached = |area| {
        let (to_driver, to_device) = (ring(TO_DRIVER.descriptors), ring(TO_DEVICE.descriptors));
        let buffers = BASE + u64::from(BUFFERS.start);
        let layout = LinkLayout::new(window(), to_driver, to_device, buffers, area).unwrap();
        Device::<_, CAPACITY>::attach(memory.device(), layout, 1, Quirks::default()).map(drop)
    };
    assert_eq!(attached(16), Ok(()));
    let refused = Error::BuffersDoNotFit {
        buffers: 16,
        area: 15,
    };
    assert_eq!(attached(15), Err(refused));
}

#[test]
fn a_batch_is_sent_and_taken_by_one_call_each_and_kicks_once() {
    let memory = Memory::new();
    let mut driver = driver(&memory);
    let mut device = device(&memory);
    let payloads: Vec<[u8; 4]> = (0..u32::from(COUNT) + 3).map(u32::to_le_bytes).collect();
    let sent = driver.send_all(7, 8, payloads.iter().map(|bytes| &bytes[..]));
    // As many as there are buffers; the rest is the caller's.
    assert_eq!(sent, Ok(usize::from(COUNT)));
    assert!(driver.flush().wants(Ring::ToDevice));
    let mut room = [0; 4];
    let mut taken = Vec::new();
    let count = device.receive_all(5, &mut room, |header, payload| {
        assert_eq!((header.source, header.destination), (7, 8));
        taken.push(<[u8; 4]>::try_from(payload).unwrap());
    });
    assert_eq!(count, Ok(5));
    let count = device.receive_all(100, &mut room, |_, payload| {
        taken.push(payload.try_into().unwrap());
    });
    assert_eq!(count, Ok(usize::from(COUNT) - 5));
    assert_eq!(taken, payloads[..usize::from(COUNT)]);
    assert_eq!(memory.peek_u16(TO_DEVICE.used_index()), 0);
    let _ = device.flush();
    assert_eq!(memory.peek_u16(TO_DEVICE.used_index()), COUNT);
    assert_eq!(
        driver
            .send_all(7, 8, [&[0; 49][..]])
            .map_err(|error| error.breaks_link()),
        Err(false)
    );
}

#[test]
fn with_event_indices_a_batch_is_kicked_for_once_and_the_next_one_when_it_is_waited_for() {
    fn over<K: Kind>() {
        let memory = Memory::of::<K>();
        let layout = layout_of::<K>().with_event_index();
        let quirks = Quirks::default();
        let mut driver = DriverOf::<K>::attach(memory.driver(), layout, BUFFER, 1, quirks).unwrap();
        let mut device = DeviceOf::<K>::attach(memory.device(), layout, 1, quirks).unwrap();
        // Once round all 16 bits, so that the indices wrap.
        for _ in 0..0x4001 {
            driver.send(1, 2, b"one").unwrap();
            assert!(driver.flush().wants(Ring::ToDevice));
            driver.send(1, 2, b"two").unwrap();
            assert_eq!(driver.flush(), Kick::NONE, "the device is awake by now");
            assert_eq!(next(&mut device).unwrap().unwrap(), b"one");
            assert_eq!(next(&mut device).unwrap().unwrap(), b"two");
            assert_eq!(device.receive(), Ok(None));
            assert_eq!(
                device.flush(),
                Kick::NONE,
                "the driver does not wait for buffers"
            );
            // The other way, with a side that wants none.
            driver.wake_on_message(false).unwrap();
            device.send(2, 1, b"x").unwrap();
            assert_eq!(device.flush(), Kick::NONE);
            assert_eq!(driver.wake_on_message(true), Ok(true));
            assert!(next(&mut driver).unwrap().is_some());
            assert_eq!(driver.wake_on_message(true), Ok(false));
            device.send(2, 1, b"y").unwrap();
            assert!(device.flush().wants(Ring::ToDriver));
            assert!(next(&mut driver).unwrap().is_some());
            let _ = driver.flush();
        }
    }
    both!(over);
}
