//! Any word of the window changed at any moment: no panic, no access outside, no endless loop, and the next attachment works.
//!
//! The window of these tests fails at the first access that is outside, unaligned, or a store to what the role does not own.

use proptest::prelude::*;
use rpmsg::{
    DeviceLife, DeviceStep, DriverLife, DriverStep, Error, Event, Link, Queue, Quirks, Session,
    SharedMemory,
};

use crate::support::{
    BASE, BUFFER, BUFFERS, COUNT, DeviceOf, DriverOf, Kind, Memory, TO_DEVICE, TO_DRIVER,
    assert_link_works_after_attaching_anew, both, device_of, driver_of, layout_of, status,
    symmetric_of,
};

#[derive(Clone, Debug)]
enum Lie {
    /// A word anywhere.
    Word(u32, u32),
    /// A half-word anywhere.
    Half(u32, u16),
    /// An index moved a little, which is the lie that is nearest to the truth.
    Index(u32, i8),
}

fn place() -> impl Strategy<Value = u32> {
    let ring = |parts: crate::support::Parts| {
        prop_oneof![
            parts.descriptors..parts.descriptors + 16 * u32::from(COUNT),
            parts.available..parts.available + 24,
            parts.used..parts.used + 72,
        ]
    };
    prop_oneof![
        4 => ring(TO_DRIVER),
        4 => ring(TO_DEVICE),
        2 => BUFFERS,
        1 => 0..0x1000_u32,
    ]
}

fn value() -> impl Strategy<Value = u32> {
    prop_oneof![
        any::<u32>(),
        0..2 * u32::from(COUNT),
        Just(0xffff),
        Just(u32::MAX),
        Just(BUFFER),
        (0..0x6000_u32).prop_map(|at| BASE as u32 + at),
    ]
}

fn lie() -> impl Strategy<Value = Lie> {
    let index = prop::sample::select(vec![
        TO_DRIVER.available_index(),
        TO_DRIVER.used_index(),
        TO_DEVICE.available_index(),
        TO_DEVICE.used_index(),
    ]);
    prop_oneof![
        (place(), value()).prop_map(|(at, value)| Lie::Word(at & !3, value)),
        (place(), any::<u16>()).prop_map(|(at, value)| Lie::Half(at & !1, value)),
        (index, any::<i8>()).prop_map(|(at, by)| Lie::Index(at, by)),
    ]
}

fn tell(memory: &Memory, lie: &Lie) {
    match *lie {
        Lie::Word(at, value) => memory.poke(at, &value.to_le_bytes()),
        Lie::Half(at, value) => memory.poke(at, &value.to_le_bytes()),
        Lie::Index(at, by) => {
            let moved = memory.peek_u16(at).wrapping_add_signed(i16::from(by));
            memory.poke(at, &moved.to_le_bytes());
        }
    }
}

/// Everything one side does in a round; how often a rule was broken.
fn work<M: SharedMemory, R: Queue, T: Queue>(
    session: &mut Session<M, R, 2, T>,
    round: u8,
) -> usize {
    let mut broken = 0;
    let mut judge = |result: Result<(), Error>| broken += usize::from(result.is_err());
    let link: &mut Link<M, R, T> = session.link();
    judge(link.send(1, 1024, &[round; 20]));
    match link.reserve() {
        Ok(buffer) if round.is_multiple_of(2) => judge(link.abandon(buffer)),
        Ok(buffer) => {
            // The room is the peer's offer, so writing may be refused as well.
            judge(link.write(&buffer, 0, &[round; 32]));
            judge(link.commit(buffer, 1, 53, 32));
        }
        Err(error) => judge(Err(error)),
    }
    let held = link.receive();
    // A ring has at most COUNT messages; more than that would be an endless loop.
    let mut bytes = [0; 64];
    for turn in 0.. {
        assert!(turn <= 2 * usize::from(COUNT), "endless");
        match session.poll(&mut bytes) {
            Ok(None) => break,
            Ok(Some(Event::Message { header, copied })) => {
                assert!(copied <= usize::from(header.len));
            }
            Ok(Some(Event::Service(_))) => {}
            Err(error) => {
                judge(Err(error));
                if error.breaks_link() {
                    break;
                }
            }
        }
    }
    match held {
        Ok(Some(message)) => judge(session.link().release(message)),
        Ok(None) => {}
        Err(error) => judge(Err(error)),
    }
    judge(
        session
            .link()
            .wake_on_message(round.is_multiple_of(3))
            .map(drop),
    );
    let _ = session.flush();
    broken
}

fn lie_to<K: Kind>(rounds: &[(Vec<Lie>, bool)]) {
    for layout in [layout_of::<K>(), layout_of::<K>().with_event_index()] {
        let (memory, quirks) = (Memory::of::<K>(), Quirks::default());
        let host = DriverOf::<K>::attach(memory.driver(), layout, BUFFER, 1, quirks).unwrap();
        let core = DeviceOf::<K>::attach(memory.device(), layout, 1, quirks).unwrap();
        survive(&memory, Session::new(host), Session::new(core), rounds);
    }
    let memory = Memory::of::<K>();
    let [one, other] = symmetric_of::<K>(&memory).map(Session::new);
    survive(&memory, one, other, rounds);
}

/// Both work on while lies are told.
fn survive<M: SharedMemory, R: Queue, T: Queue, P: Queue, Q: Queue>(
    memory: &Memory,
    mut host: Session<M, R, 2, T>,
    mut core: Session<M, P, 2, Q>,
    rounds: &[(Vec<Lie>, bool)],
) {
    host.open(None).unwrap();
    core.open(None).unwrap();
    for (round, (lies, host_first)) in rounds.iter().enumerate() {
        let round = round as u8;
        for lie in lies {
            tell(memory, lie);
        }
        if *host_first {
            work(&mut host, round);
            work(&mut core, round);
        } else {
            work(&mut core, round);
            work(&mut host, round);
        }
    }
    assert_link_works_after_attaching_anew(memory);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn lies_are_refused_and_survived_by_both_roles(
        rounds in prop::collection::vec((prop::collection::vec(lie(), 0..4), any::<bool>()), 1..30)
    ) {
        both!(lie_to, &rounds);
    }

    #[test]
    fn lies_in_the_table_page_cost_at_most_the_link(
        lies in prop::collection::vec((0..0x1000_u32, value()), 1..60)
    ) {
        let memory = Memory::new();
        let mut host = DriverLife::begin(&memory.driver(), status(), 1);
        let mut core = DeviceLife::begin(&memory.device(), status());
        for (at, value) in lies {
            memory.poke(at & !3, &value.to_le_bytes());
            match host.step(&memory.driver()) {
                DriverStep::Wait => host.wait_no_longer(&memory.driver()),
                DriverStep::Prepare => host.ready(&memory.driver()),
                DriverStep::Run => {}
                DriverStep::Restart(_) => host = DriverLife::begin(&memory.driver(), status(), 1),
            }
            let _ = core.step(&memory.device());
        }
        // Left alone, both find each other again.
        host = DriverLife::begin(&memory.driver(), status(), 1);
        for _ in 0..6 {
            let _ = core.step(&memory.device());
            match host.step(&memory.driver()) {
                DriverStep::Wait => {}
                DriverStep::Prepare => host.ready(&memory.driver()),
                DriverStep::Run => {}
                DriverStep::Restart(_) => host = DriverLife::begin(&memory.driver(), status(), 1),
            }
        }
        // A forged line of the device's may stand until the device writes it again.
        core.renew(&memory.device());
        for _ in 0..12 {
            let _ = core.step(&memory.device());
            match host.step(&memory.driver()) {
                DriverStep::Prepare => host.ready(&memory.driver()),
                DriverStep::Restart(_) => host = DriverLife::begin(&memory.driver(), status(), 1),
                DriverStep::Wait | DriverStep::Run => {}
            }
        }
        prop_assert_eq!(host.step(&memory.driver()), DriverStep::Run);
        prop_assert_eq!(core.step(&memory.device()), DeviceStep::Run);
    }
}

#[test]
fn every_word_of_both_rings_set_to_every_awkward_value_is_survived() {
    fn over<K: Kind>() {
        let mut refused = 0;
        let rings = [TO_DRIVER, TO_DEVICE].into_iter();
        let words = rings.flat_map(|ring| K::halves(ring).concat().into_iter().flatten());
        for at in words.filter(|at| at % 4 == 0) {
            for value in AWKWARD {
                refused += awkward::<K>(at, value);
            }
        }
        assert!(refused > 1000, "the lies were not seen: {refused}");
    }
    both!(over);
}

/// How often a rule was seen broken once a word was set.
fn awkward<K: Kind>(at: u32, value: u32) -> usize {
    let memory = Memory::of::<K>();
    let host = Session::new(driver_of::<K>(&memory));
    let core = Session::new(device_of::<K>(&memory));
    let refused = survive_word(&memory, host, core, at, value);
    let memory = Memory::of::<K>();
    let [one, other] = symmetric_of::<K>(&memory).map(Session::new);
    refused + survive_word(&memory, one, other, at, value)
}

fn survive_word<M: SharedMemory, R: Queue, T: Queue, P: Queue, Q: Queue>(
    memory: &Memory,
    mut host: Session<M, R, 2, T>,
    mut core: Session<M, P, 2, Q>,
    at: u32,
    value: u32,
) -> usize {
    host.open(None).unwrap();
    core.open(None).unwrap();
    for round in 0..3 {
        work(&mut host, round);
        work(&mut core, round);
    }
    memory.poke(at, &value.to_le_bytes());
    let refused = (0..3).map(|round| work(&mut host, round) + work(&mut core, round));
    let refused = refused.sum();
    assert_link_works_after_attaching_anew(memory);
    refused
}

const AWKWARD: [u32; 16] = [
    0,
    1,
    7,
    8,
    9,
    0xff,
    0x7fff,
    0x8000,
    0xffff,
    0x1_0000,
    0x0001_0001,
    u32::MAX,
    BASE as u32,
    // The marks of packed descriptors, with the number of a buffer.
    0x0080_0001,
    0x8000_0001,
    0x8080_0001,
];
