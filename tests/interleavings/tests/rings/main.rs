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
use rpmsg::{Device, Driver, Error, Kick, Link, LinkLayout, Queue, Quirks};

use crate::memory::{BUFFER, Memory, Plant};

/// A way through the rings.
#[derive(Clone, Copy, Debug)]
struct Case {
    /// Who sends.
    driver_sends: bool,
    /// How kicks are asked for: by an index, or by a flag.
    event_index: bool,
    descriptors: u32,
    messages: u32,
    plant: Plant,
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
                driver_sends,
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
                driver_sends,
                event_index,
                descriptors: 1,
                messages: 2,
                plant: Plant::Nothing,
            });
        }
    }
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

fn planted(plant: Plant, event_index: bool) -> Case {
    Case {
        driver_sends: true,
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
    let memory = Memory::new(case.descriptors, case.plant);
    let layout = match case.event_index {
        true => memory.layout().with_event_index(),
        false => memory.layout(),
    };
    let (driver, device) = attach(&memory, layout);
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
    let other = thread::spawn(move || match case.driver_sends {
        true => receive(device, &bells_of_device, case.messages),
        false => send(device, &bells_of_device, case.messages),
    });
    match case.driver_sends {
        true => send(driver, &bells_of_driver, case.messages),
        false => receive(driver, &bells_of_driver, case.messages),
    }
    other.join().unwrap();
}

fn attach(memory: &Memory, layout: LinkLayout) -> (Driver<Memory, 2>, Device<Memory, 2>) {
    let mut driver = Driver::attach(memory.clone(), layout, BUFFER, 1, Quirks::default()).unwrap();
    let mut device = Device::attach(memory.clone(), layout, 1, Quirks::default()).unwrap();
    // Both are at work, and look by themselves.
    driver.wake_on_message(false).unwrap();
    device.wake_on_message(false).unwrap();
    (driver, device)
}

/// Sends so many messages, and sleeps where there is no buffer.
fn send<Q: Queue>(mut link: Link<Memory, Q>, bells: &Bells, messages: u32) {
    for number in 0..messages {
        while let Err(error) = link.send(1, 2, &mark(number)) {
            assert!(matches!(error, Error::NoBuffer { .. }), "{error}");
            if !link.wake_on_buffer(true).unwrap() {
                bells.ours.wait();
            }
            link.wake_on_buffer(false).unwrap();
        }
        bells.ring(link.flush());
    }
}

/// Receives so many messages, and sleeps where there is none.
fn receive<Q: Queue>(mut link: Link<Memory, Q>, bells: &Bells, messages: u32) {
    for number in 0..messages {
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
        link.release(message).unwrap();
        bells.ring(link.flush());
    }
}

/// A payload that no other message has, and no fresh memory.
fn mark(number: u32) -> [u8; 4] {
    (0xa5a5_0001 + number).to_le_bytes()
}

/// How often a thread may be interrupted in favour of the other one, besides where it sleeps or ends. Most defects of two
/// threads need one or two.
const SWITCHES: usize = 3;
