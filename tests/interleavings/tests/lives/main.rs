//! The life cycle's two machines in two threads under loom: in every order of their accesses (up to a number of switches
//! between the threads), and with every value that a load may see by the memory model.
//!
//! Either side begins anew without a word to the other, as after a kexec or a reset. The rings are one word here, which
//! the driver writes when it may and the device reads while it may: one that changes under the device, or that is written while the
//! device is on it, is found, and so is a pair that waits for each other for ever. What the order of the accesses is for is also tried
//! without it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use loom::sync::Notify;
use loom::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, fence};
use loom::thread;
use rpmsg::{
    Coherence, DeviceLife, DeviceStep, DriverLife, DriverStep, SharedMemory, StatusWord, Window,
};

/// Who begins how often, and what is taken out to see that it is missed.
#[derive(Clone, Copy, Debug)]
struct Case {
    drivers: u32,
    devices: u32,
    plant: Plant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plant {
    Nothing,
    /// The driver does not wait for the device's echo (rpmsg-lifecycle.md, L5).
    Impatience,
    /// The device takes rings for its own that were prepared for the one before it (L7).
    NoEcho,
    /// Every access is relaxed, and fences do nothing.
    NoOrder,
}

#[test]
fn loom_finds_no_order_in_which_rings_change_under_a_device_whose_driver_begins_anew() {
    explore(2, 1, 2, Plant::Nothing);
}

#[test]
fn loom_finds_no_order_in_which_a_device_that_begins_anew_joins_its_predecessors_rings() {
    explore(1, 2, 2, Plant::Nothing);
}

#[test]
fn loom_finds_no_order_in_which_two_that_begin_anew_wait_for_each_other() {
    explore(2, 2, 1, Plant::Nothing);
}

#[test]
#[should_panic(expected = "under the device")]
fn loom_finds_the_rings_rewritten_under_the_device_by_a_driver_that_does_not_wait() {
    explore(2, 1, 2, Plant::Impatience);
}

#[test]
#[should_panic(expected = "under the device")]
fn loom_finds_the_rings_rewritten_under_the_device_where_the_order_is_taken_out() {
    explore(2, 1, 2, Plant::NoOrder);
}

#[test]
#[should_panic(expected = "its predecessor's")]
fn loom_finds_the_device_on_its_predecessors_rings_where_the_echo_is_not_looked_at() {
    explore(1, 2, 2, Plant::NoEcho);
}

/// `switches`: how often a thread may be interrupted in favour of the other one, besides where it sleeps or ends.
fn explore(drivers: u32, devices: u32, switches: usize, plant: Plant) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(switches);
    model.max_branches = 10_000;
    let case = Case {
        drivers,
        devices,
        plant,
    };
    model.check(move || run(case));
}

fn run(case: Case) {
    let shared = Memory(Arc::new(Shared::new(case.plant)));
    let far = shared.clone();
    let other = thread::spawn(move || far.serve(case.devices));
    shared.drive(case.drivers);
    other.join().unwrap();
}

#[derive(Clone)]
struct Memory(Arc<Shared>);

struct Shared {
    plant: Plant,
    status: AtomicU16,
    /// Magic, generation and echo of the driver's line, then of the device's, and its seed.
    lines: [AtomicU32; 7],
    /// How often the rings were written.
    rings: AtomicU32,
    /// The device uses them.
    on: AtomicBool,
    /// Whose last life has reached the rings.
    there: [AtomicBool; 2],
    bells: [Notify; 2],
}

impl Shared {
    fn new(plant: Plant) -> Self {
        Self {
            plant,
            status: AtomicU16::new(0x200),
            lines: [(); 7].map(|()| AtomicU32::new(0)),
            rings: AtomicU32::new(0),
            on: AtomicBool::new(false),
            there: [(); 2].map(|()| AtomicBool::new(false)),
            bells: [(); 2].map(|()| Notify::new()),
        }
    }

    fn word(&self, at: u32) -> &AtomicU32 {
        let index = match at {
            0xe00..0xe0c => (at - 0xe00) / 4,
            0xe40..0xe50 => (at - 0xe40) / 4 + 3,
            _ => panic!("nothing stands at {at:#x}"),
        };
        &self.lines[index as usize]
    }

    fn order(&self, order: Ordering) -> Ordering {
        match self.plant {
            Plant::NoOrder => Ordering::Relaxed,
            _ => order,
        }
    }

    /// One side's last life has reached the rings; whether the other's has, too.
    fn met(&self, side: usize) -> bool {
        if !self.there[side].swap(true, Ordering::SeqCst) {
            self.bells[1 - side].notify();
        }
        self.there[1 - side].load(Ordering::SeqCst)
    }
}

impl Memory {
    /// One driver after the other, each of which begins once the one before it has a link.
    fn drive(&self, lives: u32) {
        for left in (0..lives).rev() {
            let mut life = DriverLife::begin(self, status(), 1);
            self.0.bells[DEVICE].notify();
            loop {
                match life.step(self) {
                    DriverStep::Wait if self.0.plant == Plant::Impatience => {
                        life.wait_no_longer(self);
                    }
                    DriverStep::Wait => self.0.bells[DRIVER].wait(),
                    DriverStep::Prepare => {
                        let on = self.0.on.load(Ordering::Relaxed);
                        assert!(!on, "the rings are written under the device");
                        let times = self.0.rings.load(Ordering::Relaxed);
                        self.0.rings.store(times + 1, Ordering::Relaxed);
                        life.ready(self);
                        self.0.bells[DEVICE].notify();
                    }
                    DriverStep::Run if left > 0 || self.0.met(DRIVER) => break,
                    DriverStep::Run => self.0.bells[DRIVER].wait(),
                    DriverStep::Restart(_) => {
                        life = life.again(self, status());
                        self.0.bells[DEVICE].notify();
                    }
                }
            }
        }
    }

    /// One device after the other, each of which begins once the one before it has joined rings.
    fn serve(&self, lives: u32) {
        let mut last = 0;
        for left in (0..lives).rev() {
            let mut life = DeviceLife::begin(self, status());
            self.0.bells[DRIVER].notify();
            let mut rings = 0;
            loop {
                match life.step(self) {
                    DeviceStep::Wait => self.0.bells[DEVICE].wait(),
                    DeviceStep::Kick => self.0.bells[DRIVER].notify(),
                    DeviceStep::Attach(_) => {
                        self.0.on.store(true, Ordering::Relaxed);
                        rings = self.0.rings.load(Ordering::Relaxed);
                        assert_ne!(rings, last, "these rings are its predecessor's");
                    }
                    DeviceStep::Run => {
                        let now = self.0.rings.load(Ordering::Relaxed);
                        assert_eq!(now, rings, "the rings change under the device");
                        if left > 0 || self.0.met(DEVICE) {
                            break;
                        }
                        self.0.bells[DEVICE].wait();
                    }
                    DeviceStep::Detach(_) => self.0.on.store(false, Ordering::Relaxed),
                    DeviceStep::Prepare => panic!("this link is not symmetric"),
                }
            }
            // It dies on the rings, which it uses no more.
            self.0.on.store(false, Ordering::Relaxed);
            last = rings;
        }
    }
}

impl Coherence for Memory {
    fn fence(&self) {
        if self.0.plant != Plant::NoOrder {
            fence(Ordering::SeqCst);
        }
    }
}

impl SharedMemory for Memory {
    fn load_u16(&self, at: u32, order: Ordering) -> u16 {
        assert_eq!(at, STATUS);
        self.0.status.load(self.0.order(order))
    }

    fn load_u32(&self, at: u32, order: Ordering) -> u32 {
        let found = self.0.word(at).load(self.0.order(order));
        match (self.0.plant, at) {
            // As if it was said of whoever looks.
            (Plant::NoEcho, DRIVER_ECHO) if found != 0 => {
                self.0.word(DEVICE_GENERATION).load(Ordering::Relaxed)
            }
            _ => found,
        }
    }

    fn store_u16(&self, at: u32, value: u16, order: Ordering) {
        assert_eq!(at, STATUS);
        self.0.status.store(value, self.0.order(order));
    }

    fn store_u32(&self, at: u32, value: u32, order: Ordering) {
        self.0.word(at).store(value, self.0.order(order));
    }

    fn copy_in(&self, _: u32, _: &[u8]) {}

    fn copy_out(&self, _: u32, _: &mut [u8]) {}
}

fn status() -> StatusWord {
    StatusWord::new(&Window::new(0, 0x1000).unwrap(), 0, STATUS - 24, 2).unwrap()
}

const STATUS: u32 = 48;
const DRIVER_ECHO: u32 = 0xe08;
const DEVICE_GENERATION: u32 = 0xe44;
const DRIVER: usize = 0;
const DEVICE: usize = 1;
