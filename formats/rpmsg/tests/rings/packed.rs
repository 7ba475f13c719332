//! What a packed ring looks like, and how both sides go round it.

use std::cell::RefCell;
use std::sync::atomic::Ordering;

use rpmsg::{
    Coherence, Error, Kick, LinkLayout, Packed, PackedDevice, PackedDriver, Quirks, Ring,
    SharedMemory, Split, VringLayout,
};

use crate::support::{
    BASE, BUFFER, BUFFERS, COUNT, DeviceOf, DriverOf, Kind, Memory, Parts, Side, TO_DEVICE,
    TO_DRIVER, device_of, driver_of, layout_of, next, ring, window,
};

type Driver<'a> = DriverOf<'a, Packed>;
type Device<'a> = DeviceOf<'a, Packed>;

/// Last word of a descriptor: number, and marks.
fn last(memory: &Memory, ring: Parts, place: u16) -> (u16, u16) {
    let at = ring.descriptor(place) + 12;
    (memory.peek_u16(at), memory.peek_u16(at + 2))
}

#[test]
fn r1_a_ring_of_the_other_kind_is_refused_by_either_role() {
    let memory = Memory::of::<Packed>();
    let refused = |ring| Some(Error::RingKind { ring });
    let quirks = Quirks::default();
    let side = || memory.driver();
    let driver = Driver::attach(side(), layout_of::<Split>(), BUFFER, 1, quirks);
    assert_eq!(driver.err(), refused(Ring::ToDriver));
    let driver = DriverOf::<Split>::attach(side(), layout_of::<Packed>(), BUFFER, 1, quirks);
    assert_eq!(driver.err(), refused(Ring::ToDriver));
    let device = Device::attach(side(), layout_of::<Split>(), 1, quirks);
    assert_eq!(device.err(), refused(Ring::ToDevice));
    let device = DeviceOf::<Split>::attach(side(), layout_of::<Packed>(), 1, quirks);
    assert_eq!(device.err(), refused(Ring::ToDevice));
    assert_eq!(memory.snapshot(), Memory::new().snapshot());
    let mixed = LinkLayout::new(
        window(),
        Packed::ring(TO_DRIVER.descriptors),
        ring(TO_DEVICE.descriptors),
        BASE + u64::from(BUFFERS.start),
        BUFFERS.end - BUFFERS.start,
    );
    let driver = Driver::attach(side(), mixed.unwrap(), BUFFER, 1, quirks);
    assert_eq!(driver.err(), refused(Ring::ToDevice));
}

#[test]
fn r1_a_side_that_leaves_event_indices_out_refuses_a_layout_with_them_and_talks_to_any_other() {
    let memory = Memory::new();
    let quirks = Quirks::default();
    let (plain, events) = (
        layout_of::<Split>(),
        layout_of::<Split>().with_event_index(),
    );
    let refused = |ring| Some(Error::RingKind { ring });
    let driver = DriverOf::<Split<false>>::attach(memory.driver(), events, BUFFER, 1, quirks);
    assert_eq!(driver.err(), refused(Ring::ToDriver));
    let device = DeviceOf::<Split<false>>::attach(memory.device(), events, 1, quirks);
    assert_eq!(device.err(), refused(Ring::ToDevice));
    assert_eq!(memory.snapshot(), Memory::new().snapshot());
    let mut driver = driver_of::<Split>(&memory);
    let mut device = DeviceOf::<Split<false>>::attach(memory.device(), plain, 1, quirks).unwrap();
    for round in 0..3 * COUNT {
        let wanted = round.is_multiple_of(2);
        device.wake_on_message(wanted).unwrap();
        driver.send(1, 2, &round.to_le_bytes()).unwrap();
        assert_eq!(driver.flush().is_needed(), wanted);
        assert_eq!(next(&mut device).unwrap().unwrap(), round.to_le_bytes());
        device.send(2, 1, &round.to_le_bytes()).unwrap();
        assert!(device.flush().wants(Ring::ToDriver));
        assert_eq!(next(&mut driver).unwrap().unwrap(), round.to_le_bytes());
        let _ = driver.flush();
    }
}

#[test]
fn r2_a_packed_ring_lies_in_its_window_and_is_a_power_of_two() {
    let window = window();
    let at = BASE + 0x1000;
    VringLayout::packed(&window, at, 8).unwrap();
    for count in [0, 3, 48, 1 << 16] {
        let limit = 1 << 15;
        let refused = Err(Error::RingSize { count, limit });
        assert_eq!(VringLayout::packed(&window, at, count), refused);
    }
    let address = at + 8;
    let refused = Err(Error::RingMisaligned { address, align: 16 });
    assert_eq!(VringLayout::packed(&window, address, 8), refused);
    // Descriptors and both event structures: 136 bytes.
    let end = BASE + 0x6000;
    VringLayout::packed(&window, end - 144, 8).unwrap();
    let refused = Err(Error::RingOutside {
        address: end - 128,
        len: 136,
    });
    assert_eq!(VringLayout::packed(&window, end - 128, 8), refused);
}

#[test]
fn r8_the_bytes_of_a_packed_ring_are_those_of_the_standard() {
    let memory = Memory::of::<Packed>();
    let mut driver = driver_of::<Packed>(&memory);
    // Offered to be written: address, length, number, WRITE | AVAIL.
    let offered = [
        &(BASE + 0x3000).to_le_bytes()[..],
        &BUFFER.to_le_bytes(),
        &[0, 0, 0x82, 0],
    ];
    assert_eq!(memory.peek::<16>(0x1000).to_vec(), offered.concat());
    driver.send(1, 2, b"x").unwrap();
    let _ = driver.flush();
    // As long as its message: AVAIL alone.
    let sent = [
        &(BASE + 0x3200).to_le_bytes()[..],
        &17_u32.to_le_bytes(),
        &[0, 0, 0x80, 0],
    ];
    assert_eq!(memory.peek::<16>(0x2000).to_vec(), sent.concat());
    let mut device = device_of::<Packed>(&memory);
    assert!(next(&mut device).unwrap().is_some());
    device.send(2, 1, b"answer").unwrap();
    let _ = device.flush();
    // AVAIL | USED, and WRITE where the device wrote so many bytes.
    assert_eq!(last(&memory, TO_DEVICE, 0), (0, 0x8080));
    assert_eq!(last(&memory, TO_DRIVER, 0), (0, 0x8082));
    assert_eq!(memory.peek_u32(TO_DRIVER.descriptor(0) + 8), 22);
    assert!(next(&mut driver).unwrap().is_some());
    // The next turn has both marks the other way round.
    for _ in 1..COUNT {
        driver.send(1, 2, b"x").unwrap();
        let _ = driver.flush();
        assert!(next(&mut device).unwrap().is_some());
        let _ = device.flush();
    }
    driver.send(1, 2, b"x").unwrap();
    let _ = driver.flush();
    assert_eq!(last(&memory, TO_DEVICE, 0).1, 0x8000);
    assert!(next(&mut device).unwrap().is_some());
    let _ = device.flush();
    assert_eq!(last(&memory, TO_DEVICE, 0).1, 0);
}

#[test]
fn r9_both_sides_go_round_in_turn_whatever_order_buffers_come_back_in() {
    let memory = Memory::of::<Packed>();
    let mut driver = driver_of::<Packed>(&memory);
    let mut device = device_of::<Packed>(&memory);
    for n in 0..5_u8 {
        driver.send(1, 2, &[n]).unwrap();
    }
    let _ = driver.flush();
    let mut held: Vec<_> = (0..5).map(|_| device.receive().unwrap().unwrap()).collect();
    for out_of_turn in [3, 0, 1, 1, 0] {
        device.release(held.remove(out_of_turn)).unwrap();
    }
    let _ = device.flush();
    let returned: Vec<u16> = (0..5)
        .map(|place| last(&memory, TO_DEVICE, place).0)
        .collect();
    assert_eq!(returned, [3, 0, 2, 4, 1]);
    for n in 0..20_u8 {
        driver.send(1, 2, &[n]).unwrap();
        let _ = driver.flush();
        assert_eq!(next(&mut device).unwrap().unwrap(), [n]);
        let _ = device.flush();
    }
}

#[test]
fn r10_a_batch_is_shown_by_its_first_descriptor_and_all_at_once() {
    let memory = Memory::of::<Packed>();
    let mut driver = driver_of::<Packed>(&memory);
    let mut device = device_of::<Packed>(&memory);
    for n in 0..3_u8 {
        driver.send(1, 2, &[n]).unwrap();
    }
    // What is behind the first stands there already, but nobody looks at it yet.
    assert_eq!(last(&memory, TO_DEVICE, 0).1, 0);
    assert_eq!(last(&memory, TO_DEVICE, 2).1, 0x80);
    assert_eq!(device.receive(), Ok(None));
    assert!(driver.flush().wants(Ring::ToDevice));
    assert_eq!(driver.flush(), Kick::NONE);
    for n in 0..3_u8 {
        assert_eq!(next(&mut device).unwrap().unwrap(), [n]);
    }
    // And on the way back.
    assert_eq!(last(&memory, TO_DEVICE, 0).1, 0x80);
    assert_eq!(last(&memory, TO_DEVICE, 2).1, 0x8080);
    let _ = device.flush();
    assert_eq!(last(&memory, TO_DEVICE, 0).1, 0x8080);
}

#[test]
fn r11_a_place_where_nothing_can_have_come_is_not_read() {
    let memory = Memory::of::<Packed>();
    let mut driver = driver_of::<Packed>(&memory);
    let mut device = device_of::<Packed>(&memory);
    let loads = |poll: &mut dyn FnMut()| {
        let before = memory.loads();
        poll();
        memory.loads() - before
    };
    // Nothing is sent, so nothing can come back.
    assert_eq!(
        loads(&mut || assert!(driver.wake_on_buffer(false).is_ok())),
        0
    );
    for _ in 0..COUNT {
        driver.send(1, 2, b"x").unwrap();
    }
    let _ = driver.flush();
    assert_eq!(
        loads(&mut || assert!(driver.wake_on_buffer(false).is_ok())),
        1
    );
    let held: Vec<_> = (0..COUNT).map(|_| device.receive().unwrap()).collect();
    // All are here, so no more can come.
    assert_eq!(loads(&mut || assert_eq!(device.receive(), Ok(None))), 0);
    for message in held.into_iter().flatten() {
        device.release(message).unwrap();
    }
    assert_eq!(loads(&mut || assert_eq!(device.receive(), Ok(None))), 0);
    let _ = device.flush();
    assert_eq!(loads(&mut || assert_eq!(device.receive(), Ok(None))), 1);
}

/// A link over packed rings of `count`, both of whose sides went `steps` places on.
fn gone_on(memory: &Memory, count: u16, steps: u16) -> (Driver<'_>, Device<'_>) {
    let window = window();
    let ring = |parts: Parts| {
        let at = BASE + u64::from(parts.descriptors);
        VringLayout::packed(&window, at, count.into()).unwrap()
    };
    let buffers = BASE + u64::from(BUFFERS.start);
    let layout = LinkLayout::new(window, ring(TO_DRIVER), ring(TO_DEVICE), buffers, 0x400);
    let layout = layout.unwrap().with_event_index();
    let quirks = Quirks::default();
    let mut driver = Driver::attach(memory.driver(), layout, BUFFER, 1, quirks).unwrap();
    let mut device = Device::attach(memory.device(), layout, 1, quirks).unwrap();
    for step in 0..steps {
        driver.send(1, 2, &step.to_le_bytes()).unwrap();
        let _ = driver.flush();
        assert_eq!(next(&mut device).unwrap().unwrap(), step.to_le_bytes());
        let _ = device.flush();
    }
    (driver, device)
}

#[test]
fn r12_every_mark_at_every_place_of_every_small_ring_is_judged_right() {
    let mut judged = 0;
    for count in [1, 2, 4, 8] {
        for steps in 0..2 * count + 1 {
            for marks in [0, 0x80, 0x8000, 0x8080] {
                for others in [0, 2, 0x7f78] {
                    judge(count, steps, marks, others);
                    judged += 1;
                }
            }
        }
    }
    assert_eq!(judged, 12 * (3 + 5 + 9 + 17));
}

/// Both sides look at such a mark.
fn judge(count: u16, steps: u16, marks: u16, others: u16) {
    // A ring of 8 is what the window's access rights are for; smaller ones lie inside it.
    let memory = Memory::of::<Packed>();
    let (mut driver, mut device) = gone_on(&memory, count, steps);
    let place = steps % count;
    let even = (steps / count).is_multiple_of(2);
    let (available, used) = (marks & 0x80 != 0, marks & 0x8000 != 0);
    let flags = marks | others;
    let mark = || memory.poke(TO_DEVICE.descriptor(place) + 14, &flags.to_le_bytes());
    let ring = Ring::ToDevice;
    let refused = Err(Error::PeerWrap { ring, place, flags });
    driver.send(1, 2, b"honest").unwrap();
    let _ = driver.flush();
    mark();
    let expected = match (available == even, used == even) {
        (true, false) => Ok(true),
        (false, false) => Ok(false),
        _ => refused,
    };
    assert_eq!(device.wake_on_message(true), expected, "{count} {steps}");
    if expected == Ok(true) {
        assert_eq!(next(&mut device).unwrap().unwrap(), b"honest");
    }
    mark();
    let reserved: Vec<_> = (1..count).map(|_| driver.reserve().unwrap()).collect();
    let expected = match (available == even, used == even) {
        (true, true) => Ok(true),
        (true, false) => Ok(false),
        _ => refused,
    };
    assert_eq!(driver.wake_on_buffer(true), expected, "{count} {steps}");
    assert_eq!(reserved.len(), usize::from(count) - 1);
}

#[test]
fn r13_a_batch_is_kicked_for_if_it_reaches_the_place_asked_for() {
    for count in [1, 2, 4, 8] {
        for begin in 0..2 * count {
            for shown in 1..=count {
                for asked in 0..2 * count {
                    let memory = Memory::of::<Packed>();
                    let (mut driver, _device) = gone_on(&memory, count, begin);
                    let turn = if asked < count { 0x8000 } else { 0 };
                    let [_, device_asks] = [TO_DEVICE.descriptors + 16 * u32::from(count); 2];
                    let word = [(asked % count) | turn, 2].map(u16::to_le_bytes).concat();
                    memory.poke(device_asks + 4, &word);
                    for _ in 0..shown {
                        driver.send(1, 2, b"x").unwrap();
                    }
                    let reached = (begin..begin + shown).any(|at| at % (2 * count) == asked);
                    assert_eq!(
                        driver.flush().is_needed(),
                        reached,
                        "{count} {begin} {shown}"
                    );
                }
            }
        }
    }
}

#[test]
fn r13_who_took_all_there_was_is_kicked_for_what_comes_once_it_is_returned() {
    for count in [1, 2, 4, 8] {
        let memory = Memory::of::<Packed>();
        let (mut driver, mut device) = gone_on(&memory, count, 0);
        for _ in 0..3 {
            for _ in 0..count {
                driver.send(1, 2, b"x").unwrap();
            }
            assert!(driver.flush().is_needed(), "{count}");
            // Every buffer is taken before one is returned, and nothing more is asked: kicks are wanted all the time.
            let limit = usize::MAX;
            let taken = device.receive_all(limit, &mut [0; 4], |_, _| {});
            assert_eq!(taken, Ok(count.into()));
            let _ = device.flush();
        }
    }
}

#[test]
fn r13_kicks_are_left_out_only_where_that_is_asked_for_in_words_that_were_agreed_on() {
    let cases = [
        // Place and turn, flags; kicked without event indices, and with them.
        ((0, 0), true, true),
        ((0, 1), false, false),
        ((0, 0xfffd), false, false),
        ((0x8000, 2), true, true),
        ((0x8003, 2), true, false),
        ((0, 2), true, false),
        // No place of the ring, and what is not defined.
        ((0x8008, 2), true, true),
        ((0x7fff, 2), true, true),
        ((0, 3), true, true),
    ];
    for ((place, flags), plainly, by_place) in cases {
        for agreed in [false, true] {
            let memory = Memory::of::<Packed>();
            let layout = match agreed {
                true => layout_of::<Packed>().with_event_index(),
                false => layout_of::<Packed>(),
            };
            let quirks = Quirks::default();
            let mut driver = Driver::attach(memory.driver(), layout, BUFFER, 1, quirks).unwrap();
            let [_, device_asks] = TO_DEVICE.events();
            let word = [place, flags].map(u16::to_le_bytes).concat();
            memory.poke(device_asks, &word);
            driver.send(1, 2, b"x").unwrap();
            let expected = if agreed { by_place } else { plainly };
            let kick = driver.flush();
            assert_eq!(kick.is_needed(), expected, "{place:#x} {flags} {agreed}");
            assert!(!kick.wants(Ring::ToDriver));
        }
    }
    // A driver that is known to need kicks in spite of what it says gets them.
    let memory = Memory::of::<Packed>();
    let _driver = driver_of::<Packed>(&memory);
    let quirks = Quirks {
        kick_always: true,
        ..Quirks::default()
    };
    let mut device = Device::attach(memory.device(), layout_of::<Packed>(), 1, quirks).unwrap();
    let [driver_asks, _] = TO_DRIVER.events();
    memory.poke(driver_asks, &[0, 0, 1, 0]);
    device.send(1, 2, b"x").unwrap();
    assert!(device.flush().wants(Ring::ToDriver));
}

#[test]
fn r14_a_device_begins_where_the_driver_that_wrote_the_ring_does() {
    let memory = Memory::of::<Packed>();
    let (mut driver, device) = gone_on(&memory, COUNT, 3);
    drop(device);
    // One that joins in the middle looks at place 0, which is not given in the first turn.
    driver.send(1, 2, b"x").unwrap();
    let _ = driver.flush();
    let mut late = device_of::<Packed>(&memory);
    let refused = Error::PeerWrap {
        ring: Ring::ToDevice,
        place: 0,
        flags: 0x8080,
    };
    assert_eq!(late.receive(), Err(refused));
    let mut driver = driver_of::<Packed>(&memory);
    let mut device = device_of::<Packed>(&memory);
    driver.send(1, 2, b"x").unwrap();
    let _ = driver.flush();
    assert_eq!(next(&mut device).unwrap().unwrap(), b"x");
}

/// A window that notes which bytes are cleaned and invalidated.
struct Noted<'a>(Side<'a>, RefCell<Vec<u32>>);

impl Coherence for Noted<'_> {
    fn clean(&self, at: u32, _: u32) {
        self.1.borrow_mut().push(at);
    }

    fn invalidate(&self, at: u32, _: u32) {
        self.1.borrow_mut().push(at);
    }
}

impl SharedMemory for Noted<'_> {
    fn load_u16(&self, at: u32, order: Ordering) -> u16 {
        self.0.load_u16(at, order)
    }

    fn load_u32(&self, at: u32, order: Ordering) -> u32 {
        self.0.load_u32(at, order)
    }

    fn store_u16(&self, at: u32, value: u16, order: Ordering) {
        self.0.store_u16(at, value, order);
    }

    fn store_u32(&self, at: u32, value: u32, order: Ordering) {
        self.0.store_u32(at, value, order);
    }

    fn copy_in(&self, at: u32, from: &[u8]) {
        self.0.copy_in(at, from);
    }

    fn copy_out(&self, at: u32, into: &mut [u8]) {
        self.0.copy_out(at, into);
    }
}

#[test]
fn r15_buffers_are_cleaned_and_invalidated_and_packed_descriptors_are_not() {
    let memory = Memory::of::<Packed>();
    let quirks = Quirks::default();
    let near = Noted(memory.driver(), RefCell::default());
    let far = Noted(memory.device(), RefCell::default());
    let layout = layout_of::<Packed>();
    let mut driver = PackedDriver::<_, 8>::attach(&near, layout, BUFFER, 1, quirks).unwrap();
    let mut device = PackedDevice::<_, 8>::attach(&far, layout, 1, quirks).unwrap();
    // The ring as it is written empty, when nobody else looks at it.
    near.1.borrow_mut().clear();
    for _ in 0..3 * COUNT {
        driver.send(1, 2, b"question").unwrap();
        let _ = driver.flush();
        assert!(next(&mut device).unwrap().is_some());
        device.send(2, 1, b"answer").unwrap();
        let _ = device.flush();
        assert!(next(&mut driver).unwrap().is_some());
        let _ = driver.flush();
    }
    for noted in [near, far] {
        let noted = noted.1.into_inner();
        assert_eq!(noted.len(), usize::from(6 * COUNT));
        assert!(noted.iter().all(|at| BUFFERS.contains(at)));
    }
}
