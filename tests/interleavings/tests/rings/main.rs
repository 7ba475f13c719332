//! The ring engine's two sides in two threads under loom: in every order of their accesses (up to a number of switches
//! between the threads), and with every value that a load may see by the memory model.
//!
//! Rings are of one or two descriptors, a message is one word. A side that finds nothing sleeps at its bell, which rings
//! only for a kick that the engine asks for: one wake-up lost, and loom finds both asleep. Each property is also tried on
//! a memory from which what it depends on was taken out.

mod memory;

use std::sync::Arc;

use loom::sync::Notify;
use loom::thread;
use rpmsg::{
    DeviceQueue, DriverQueue, Error, Kick, Link, LinkLayout, Packed, Queue, Quirks, Ring, RingKind,
    RxBuffer, Split, Symmetric,
};

use crate::memory::{BUFFER, Memory, Plant, Shape};

/// A way through the rings.
#[derive(Clone, Copy, Debug)]
struct Case {
    rings: Rings,
    /// Who sends first.
    driver_sends: bool,
    /// Whether every message is answered, by a flush that shows both rings.
    answered: bool,
    /// How kicks are asked for: by an index, or by a flag.
    event_index: bool,
    descriptors: u32,
    messages: u32,
    plant: Plant,
}

/// What the link is made of.
#[derive(Clone, Copy, Debug)]
enum Rings {
    Split,
    Packed,
    /// Each side owns the buffers it sends in.
    Symmetric,
    SymmetricPacked,
}

/// One side's doorbells.
struct Bells {
    ours: Arc<Notify>,
    theirs: Arc<Notify>,
}

impl Bells {
    fn ring(&self, kick: Kick) {
        if kick.is_needed() {
            self.theirs.notify();
        }
    }
}

#[test]
fn loom_finds_no_order_in_which_a_message_is_slept_through_or_seen_half_written() {
    for driver_sends in [true, false] {
        for event_index in [true, false] {
            explore(Case {
                rings: Rings::Split,
                driver_sends,
                answered: false,
                event_index,
                descriptors: 2,
                messages: 2,
                plant: Plant::Nothing,
            });
        }
    }
}

#[test]
fn loom_finds_no_order_in_which_a_returned_buffer_is_slept_through_or_filled_too_early() {
    for driver_sends in [true, false] {
        for event_index in [true, false] {
            explore(Case {
                rings: Rings::Split,
                driver_sends,
                answered: false,
                event_index,
                descriptors: 1,
                messages: 2,
                plant: Plant::Nothing,
            });
        }
    }
}

#[test]
fn loom_finds_no_order_in_which_one_fence_is_too_few_for_both_rings() {
    for driver_sends in [true, false] {
        for event_index in [true, false] {
            explore(Case {
                rings: Rings::Split,
                driver_sends,
                answered: true,
                event_index,
                descriptors: 1,
                messages: 1,
                plant: Plant::Nothing,
            });
        }
    }
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_finds_the_answer_slept_through_where_the_fences_are_taken_out() {
    explore(Case {
        answered: true,
        descriptors: 1,
        ..planted(Plant::NoFences, false)
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_finds_the_lost_wake_up_where_the_fences_are_taken_out() {
    explore(planted(Plant::NoFences, false));
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_finds_the_lost_wake_up_by_index_where_the_fences_are_taken_out() {
    explore(planted(Plant::NoFences, true));
}

#[test]
#[should_panic(expected = "message")]
fn loom_finds_the_half_written_message_where_the_order_is_taken_out() {
    explore(planted(Plant::NoOrder, false));
}

#[test]
fn loom_finds_no_order_in_which_a_message_in_a_packed_ring_is_slept_through_or_seen_half_written() {
    explore_other(Rings::Packed, false, 2);
}

#[test]
fn loom_finds_no_order_in_which_a_buffer_of_a_packed_ring_is_slept_through_or_filled_too_early() {
    explore_other(Rings::Packed, false, 1);
}

#[test]
fn loom_finds_no_order_in_which_one_fence_is_too_few_for_both_packed_rings() {
    explore_other(Rings::Packed, true, 1);
}

#[test]
fn loom_finds_no_order_in_which_a_symmetric_link_sleeps_through_a_message_or_a_buffer() {
    for rings in [Rings::Symmetric, Rings::SymmetricPacked] {
        explore_other(rings, false, 1);
        explore_other(rings, true, 1);
    }
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_finds_the_lost_wake_up_of_a_packed_ring_where_the_fences_are_taken_out() {
    explore(Case {
        rings: Rings::Packed,
        ..planted(Plant::NoFences, false)
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_finds_the_lost_wake_up_by_a_place_of_a_packed_ring_where_the_fences_are_taken_out() {
    explore(Case {
        rings: Rings::Packed,
        ..planted(Plant::NoFences, true)
    });
}

#[test]
#[should_panic(expected = "BufferTooSmall")]
fn loom_finds_the_half_written_descriptor_of_a_packed_ring_where_the_order_is_taken_out() {
    explore(Case {
        rings: Rings::Packed,
        ..planted(Plant::NoOrder, false)
    });
}

/// Both sides send first, and kicks are asked for in both ways.
fn explore_other(rings: Rings, answered: bool, descriptors: u32) {
    for driver_sends in [true, false] {
        for event_index in [true, false] {
            explore(Case {
                rings,
                driver_sends,
                answered,
                event_index,
                descriptors,
                messages: if answered { 1 } else { 2 },
                plant: Plant::Nothing,
            });
        }
    }
}

fn planted(plant: Plant, event_index: bool) -> Case {
    Case {
        rings: Rings::Split,
        driver_sends: true,
        answered: false,
        event_index,
        descriptors: 2,
        messages: 1,
        plant,
    }
}

fn explore(case: Case) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(SWITCHES);
    model.max_branches = 10_000;
    model.check(move || run(case));
}

fn run(case: Case) {
    match case.rings {
        Rings::Split => meet::<Split>(case),
        Rings::Packed => meet::<Packed>(case),
        Rings::Symmetric => meet_alike::<Split>(case),
        Rings::SymmetricPacked => meet_alike::<Packed>(case),
    }
}

fn meet<K: RingKind<Aside: Send> + Send + 'static>(case: Case) {
    let (memory, layout) = window(case);
    let (near, far, quirks) = (memory.clone(), memory.clone(), Quirks::default());
    let driver = Link::<_, DriverQueue<2, K>>::attach(near, layout, BUFFER, 1, quirks).unwrap();
    let device = Link::<_, DeviceQueue<2, K>>::attach(far, layout, 1, quirks).unwrap();
    play(&memory, driver, device, case);
}

fn meet_alike<K: RingKind<Aside: Send> + Send + 'static>(case: Case) {
    let (memory, layout) = window(case);
    let rings = [Ring::ToDevice, Ring::ToDriver];
    for ring in rings {
        Symmetric::<_, 2, K>::prepare(&memory, &layout, ring, BUFFER).unwrap();
    }
    let [one, other] = rings
        .map(|ring| Symmetric::<_, 2, K>::attach(memory.clone(), layout, ring, BUFFER, 1).unwrap());
    play(&memory, one, other, case);
}

fn window(case: Case) -> (Memory, LinkLayout) {
    let shape = Shape {
        packed: matches!(case.rings, Rings::Packed | Rings::SymmetricPacked),
        descriptors: case.descriptors,
    };
    let memory = Memory::new(shape, case.plant);
    let layout = match case.event_index {
        true => memory.layout().with_event_index(),
        false => memory.layout(),
    };
    (memory, layout)
}

/// Each side in a thread of its own, from here on.
fn play<R: Queue, T: Queue, P: Queue + Send + 'static, Q: Queue + Send + 'static>(
    memory: &Memory,
    mut driver: Link<Memory, R, T>,
    mut device: Link<Memory, P, Q>,
    case: Case,
) {
    // Both are at work, and look by themselves.
    driver.wake_on_message(false).unwrap();
    device.wake_on_message(false).unwrap();
    memory.share();
    let [host, core] = [(); 2].map(|()| Arc::new(Notify::new()));
    let bells_of_device = Bells {
        ours: core.clone(),
        theirs: host.clone(),
    };
    let bells_of_driver = Bells {
        ours: host,
        theirs: core,
    };
    let other = thread::spawn(move || work(device, &bells_of_device, case, !case.driver_sends));
    work(driver, &bells_of_driver, case, case.driver_sends);
    other.join().unwrap();
}

fn work<R: Queue, T: Queue>(
    mut link: Link<Memory, R, T>,
    bells: &Bells,
    case: Case,
    sends_first: bool,
) {
    for number in 0..case.messages {
        if sends_first {
            send(&mut link, bells, number);
            bells.ring(link.flush());
        }
        if case.answered || !sends_first {
            let message = receive(&mut link, bells, number);
            link.release(message).unwrap();
            if case.answered && !sends_first {
                send(&mut link, bells, number);
            }
            bells.ring(link.flush());
        }
    }
}

/// Sends a message; sleeps where there is no buffer.
fn send<R: Queue, T: Queue>(link: &mut Link<Memory, R, T>, bells: &Bells, number: u32) {
    while let Err(error) = link.send(1, 2, &mark(number)) {
        assert!(matches!(error, Error::NoBuffer { .. }), "{error}");
        if !link.wake_on_buffer(true).unwrap() {
            bells.ours.wait();
        }
        link.wake_on_buffer(false).unwrap();
    }
}

/// The next message, which has to be this one; sleeps where there is none.
fn receive<R: Queue, T: Queue>(
    link: &mut Link<Memory, R, T>,
    bells: &Bells,
    number: u32,
) -> RxBuffer {
    let message = loop {
        if let Some(message) = link.receive().unwrap() {
            break message;
        }
        if !link.wake_on_message(true).unwrap() {
            bells.ours.wait();
        }
        link.wake_on_message(false).unwrap();
    };
    let mut bytes = [0; 4];
    let copied = link.read(&message, 0, &mut bytes).unwrap();
    assert!(
        copied == 4 && bytes == mark(number),
        "message {number} is {bytes:?}"
    );
    message
}

/// A payload that no other message has, and no fresh memory.
fn mark(number: u32) -> [u8; 4] {
    (0xa5a5_0001 + number).to_le_bytes()
}

/// How often a thread may be interrupted in favour of the other one, besides where it sleeps or ends. Most defects of two
/// threads need one or two.
const SWITCHES: usize = 3;
