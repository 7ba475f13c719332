//! Links between two of our own sides: whose is what, and restarts of either of them at any moment.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rpmsg::{
    DRIVER_LINE, DeviceLife, DeviceStep, DriverLife, DriverStep, Error, Link, Ring, SharedMemory,
};

use crate::support::{
    BUFFER, BUFFERS, COUNT, ENTRY, Kind, Memory, Side, SymmetricOf, both, layout_of, next, status,
    symmetric_of,
};

#[test]
fn r16_each_side_owns_the_buffers_it_sends_in_and_nobody_else_writes_there() {
    fn over<K: Kind>() {
        let memory = Memory::of::<K>();
        let [mut one, mut other] = symmetric_of::<K>(&memory);
        for round in 0..3 * COUNT {
            one.send(1, 2, &round.to_le_bytes()).unwrap();
            let kick = one.flush();
            assert!(kick.wants(Ring::ToDevice) && !kick.wants(Ring::ToDriver));
            let before = memory.snapshot();
            let received = other.receive().unwrap().unwrap();
            other.release(received).unwrap();
            let _ = other.flush();
            let buffers = BUFFERS.start as usize..BUFFERS.end as usize;
            assert_eq!(memory.snapshot()[buffers.clone()], before[buffers]);
            other.send(2, 1, &round.to_le_bytes()).unwrap();
            assert!(other.flush().wants(Ring::ToDriver));
            assert_eq!(next(&mut one).unwrap().unwrap(), round.to_le_bytes());
            let _ = one.flush();
        }
        // Ring 0's are first in the area, ring 1's behind them.
        assert_eq!(memory.peek_u32(BUFFERS.start), 2);
        assert_eq!(
            memory.peek_u32(BUFFERS.start + u32::from(COUNT) * BUFFER),
            1
        );
        // A full ring is the sender's own affair.
        for _ in 0..COUNT {
            one.send(1, 2, b"x").unwrap();
        }
        let ring = Ring::ToDevice;
        assert_eq!(one.send(1, 2, b"x"), Err(Error::NoBuffer { ring }));
        other.send(2, 1, b"x").unwrap();
    }
    both!(over);
}

/// The first side: its life, and its link while there is one.
struct First<'a, K: Kind> {
    memory: Side<'a>,
    life: Option<DriverLife>,
    link: Option<SymmetricOf<'a, K>>,
}

/// The second side.
struct Second<'a, K: Kind> {
    memory: Side<'a>,
    life: DeviceLife,
    link: Option<SymmetricOf<'a, K>>,
}

impl<'a, K: Kind> First<'a, K> {
    fn start(memory: &'a Memory) -> Self {
        let memory = memory.symmetric(Ring::ToDevice);
        Self {
            life: Some(DriverLife::begin(&memory, status(), 1)),
            memory,
            link: None,
        }
    }

    fn start_again(&mut self) {
        self.link = None;
        let life = self.life.take().unwrap();
        self.life = Some(life.again(&self.memory, status()));
    }

    /// Whether the link is gone that there was.
    fn step(&mut self) -> bool {
        let mut life = self.life.take().unwrap();
        let (layout, ring) = (layout_of::<K>(), Ring::ToDevice);
        match life.step(&self.memory) {
            DriverStep::Wait | DriverStep::Run => {}
            DriverStep::Prepare if self.link.is_none() => {
                SymmetricOf::<K>::prepare(&self.memory, &layout, ring, BUFFER).unwrap();
                let (memory, generation) = (self.memory.clone(), life.generation());
                let link = SymmetricOf::attach(memory, layout, ring, BUFFER, generation);
                self.link = Some(link.unwrap());
            }
            DriverStep::Prepare => life.ready(&self.memory),
            DriverStep::Restart(_) => {
                self.life = Some(life.again(&self.memory, status()));
                return self.link.take().is_some();
            }
        }
        self.life = Some(life);
        false
    }
}

impl<'a, K: Kind> Second<'a, K> {
    fn start(memory: &'a Memory) -> Self {
        let memory = memory.symmetric(Ring::ToDriver);
        Self {
            life: DeviceLife::begin(&memory, status()).symmetric(),
            memory,
            link: None,
        }
    }

    fn step(&mut self) -> bool {
        let (layout, ring) = (layout_of::<K>(), Ring::ToDriver);
        match self.life.step(&self.memory) {
            DeviceStep::Wait | DeviceStep::Kick | DeviceStep::Run => false,
            DeviceStep::Prepare => {
                SymmetricOf::<K>::prepare(&self.memory, &layout, ring, BUFFER).unwrap();
                self.life.ready(&self.memory);
                false
            }
            DeviceStep::Attach(generation) => {
                let memory = self.memory.clone();
                let link = SymmetricOf::attach(memory, layout, ring, BUFFER, generation);
                self.link = Some(link.unwrap());
                false
            }
            DeviceStep::Detach(_) => self.link.take().is_some(),
        }
    }
}

#[test]
fn r17_the_second_side_prepares_its_ring_before_it_echoes_and_not_while_it_is_read() {
    fn over<K: Kind>() {
        let memory = Memory::of::<K>();
        let mut one = First::<K>::start(&memory);
        let mut other = Second::<K>::start(&memory);
        // However long it waits: without the echo the first side prepares nothing.
        for _ in 0..10 {
            assert!(!one.step() && one.link.is_none());
        }
        assert_eq!(other.life.step(&other.memory), DeviceStep::Prepare);
        for _ in 0..10 {
            assert!(!one.step() && one.link.is_none());
        }
        other.step();
        // Attached, but ready only with the next step.
        one.step();
        assert!(one.link.is_some());
        assert_eq!(other.life.step(&other.memory), DeviceStep::Wait);
        one.step();
        other.step();
        let link = one.link.as_mut().unwrap();
        link.send(1, 2, b"first").unwrap();
        let _ = link.flush();
        let link = other.link.as_mut().unwrap();
        assert_eq!(next(link).unwrap().unwrap(), b"first");
        link.send(2, 1, b"unread").unwrap();
        let _ = link.flush();
        let written = memory.snapshot();
        // Another second side waits until the first one has left the ring of the one before it.
        let mut other = Second::<K>::start(&memory);
        for _ in 0..10 {
            assert_eq!(other.life.step(&other.memory), DeviceStep::Wait);
        }
        assert_eq!(memory.snapshot()[0x1000..], written[0x1000..]);
        // What came before the restart may still be taken.
        assert_eq!(
            next(one.link.as_mut().unwrap()).unwrap().unwrap(),
            b"unread"
        );
        assert!(one.step(), "the restart is noticed");
        assert_eq!(other.life.step(&other.memory), DeviceStep::Prepare);
        other.step();
        one.step();
        one.step();
        other.step();
        let link = one.link.as_mut().unwrap();
        assert_eq!(next(link), Ok(None));
        link.send(1, 2, b"again").unwrap();
        let _ = link.flush();
        assert_eq!(
            next(other.link.as_mut().unwrap()).unwrap().unwrap(),
            b"again"
        );
    }
    both!(over);
}

/// Honest sides do neither: a status that comes back without another generation, a generation that comes back, an echo for a
/// second side that has begun anew.
#[test]
fn r17_whatever_a_first_side_says_a_ring_serves_one_link_alone() {
    fn over<K: Kind>() {
        type Lie = fn(&Memory);
        let lies: [(Lie, Lie); 2] = [
            (
                |memory| memory.poke(STATUS, &[0]),
                |memory| memory.poke(STATUS, &[7]),
            ),
            (
                |memory| memory.poke(DRIVER_LINE + 4, &77_u32.to_le_bytes()),
                |memory| memory.poke(DRIVER_LINE + 4, &FIRST.to_le_bytes()),
            ),
        ];
        for (lie, back) in lies {
            let memory = Memory::of::<K>();
            let (mut one, mut other) = up::<K>(&memory);
            assert_eq!(one.life.as_ref().unwrap().generation(), FIRST);
            lie(&memory);
            assert!(other.step(), "the link is over");
            back(&memory);
            stays_off(&memory, &mut other);
            one.start_again();
            talk(&mut one, &mut other);
        }
        // After a broken rule the first side is to begin anew, too.
        let memory = Memory::of::<K>();
        let (mut one, mut other) = up::<K>(&memory);
        other.link = None;
        other.life.renew(&other.memory);
        let echo = other.life.generation().to_le_bytes();
        memory.poke(DRIVER_LINE + 8, &echo);
        stays_off(&memory, &mut other);
        one.start_again();
        talk(&mut one, &mut other);
    }
    both!(over);
}

/// Both sides on one link, which has carried something.
fn up<K: Kind>(memory: &Memory) -> (First<'_, K>, Second<'_, K>) {
    let (mut one, mut other) = (First::start(memory), Second::start(memory));
    talk(&mut one, &mut other);
    (one, other)
}

/// They find each other, and say something.
fn talk<K: Kind>(one: &mut First<'_, K>, other: &mut Second<'_, K>) {
    for _ in 0..8 {
        one.step();
        other.step();
    }
    let (one, other) = (one.link.as_mut().unwrap(), other.link.as_mut().unwrap());
    for _ in 0..3 {
        other.send(2, 1, b"heard").unwrap();
        let _ = other.flush();
        assert_eq!(next(one).unwrap().unwrap(), b"heard");
        one.send(1, 2, b"seen").unwrap();
        let _ = one.flush();
        assert_eq!(next(other).unwrap().unwrap(), b"seen");
    }
}

fn stays_off<K: Kind>(memory: &Memory, other: &mut Second<'_, K>) {
    let before = memory.snapshot();
    for _ in 0..5 {
        assert_eq!(other.life.step(&other.memory), DeviceStep::Wait);
    }
    assert_eq!(memory.snapshot(), before);
}

/// What a side does next. It looks at the other one's generation before a step alone, so that everything else may happen in the
/// middle of a batch, or after the other one has restarted.
#[derive(Clone, Copy, Debug)]
enum Act {
    Step,
    Send,
    Flush,
    Receive,
    /// The link is broken, or was given up by its own side.
    Renew,
    /// It ends in order, and another one begins.
    Leave,
    Crash,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => Just(Act::Step),
        4 => Just(Act::Send),
        4 => Just(Act::Flush),
        4 => Just(Act::Receive),
        1 => Just(Act::Renew),
        1 => Just(Act::Leave),
        1 => Just(Act::Crash),
    ]
}

/// What one side sent in this life and on this link, and what it received.
#[derive(Default)]
struct Told {
    lives: u32,
    links: u32,
    sent: u32,
    /// The last number received, by life and link of the sender.
    received: BTreeMap<(u32, u32), u32>,
    last: (u32, u32),
}

impl Told {
    fn send<M: SharedMemory, R: rpmsg::Queue, T: rpmsg::Queue>(
        &mut self,
        link: &mut Link<M, R, T>,
    ) {
        let message = [self.lives, self.links, self.sent].map(u32::to_le_bytes);
        match link.send(1, 2, message.as_flattened()) {
            Ok(()) => self.sent += 1,
            Err(error) => assert!(matches!(error, Error::NoBuffer { .. }), "{error}"),
        }
    }

    fn end_link(&mut self) {
        self.links += 1;
        self.sent = 0;
    }

    fn end_life(&mut self) {
        *self = Told {
            lives: self.lives + 1,
            ..Told::default()
        };
    }

    /// In order, without a gap, and nothing of a link that is over; whether there was anything.
    fn receive<M: SharedMemory, R: rpmsg::Queue, T: rpmsg::Queue>(
        &mut self,
        link: &mut Link<M, R, T>,
    ) -> bool {
        let Some(message) = next(link).expect("both sides are honest") else {
            return false;
        };
        let (words, []) = message.as_chunks::<4>() else {
            panic!("{message:?}");
        };
        let words: Vec<u32> = words.iter().copied().map(u32::from_le_bytes).collect();
        let [life, sender, number] = words[..] else {
            panic!("{words:?}");
        };
        assert!((life, sender) >= self.last, "from a link that is over");
        self.last = (life, sender);
        let expected = self.received.entry((life, sender)).or_default();
        assert_eq!(number, *expected, "lost, doubled, or out of turn");
        *expected += 1;
        true
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn r18_a_restart_of_either_side_at_any_moment_loses_and_doubles_nothing_but_what_is_told(
        acts in prop::collection::vec((any::<bool>(), act()), 1..300)
    ) {
        both!(restart, &acts);
    }
}

fn restart<K: Kind>(acts: &[(bool, Act)]) {
    let memory = Memory::of::<K>();
    let mut one = First::<K>::start(&memory);
    let mut other = Second::<K>::start(&memory);
    let mut told = [Told::default(), Told::default()];
    for (first, act) in acts {
        let told = &mut told[usize::from(!*first)];
        match (act, first) {
            (Act::Step, true) if one.step() => told.end_link(),
            (Act::Step, false) if other.step() => told.end_link(),
            (Act::Step, _) => {}
            (Act::Renew, true) => {
                one.start_again();
                told.end_link();
            }
            (Act::Renew, false) => {
                other.link = None;
                other.life.renew(&other.memory);
                told.end_link();
            }
            (Act::Leave | Act::Crash, true) => {
                if matches!(act, Act::Leave) {
                    one.life.take().unwrap().detach(&one.memory);
                }
                one = First::start(&memory);
                told.end_life();
            }
            (Act::Leave | Act::Crash, false) => {
                if matches!(act, Act::Leave) {
                    other.life.renew(&other.memory);
                }
                other = Second::start(&memory);
                told.end_life();
            }
            (Act::Send | Act::Flush | Act::Receive, _) => {
                let link = match first {
                    true => one.link.as_mut(),
                    false => other.link.as_mut(),
                };
                match (act, link) {
                    (Act::Send, Some(link)) => told.send(link),
                    (Act::Receive, Some(link)) => drop(told.receive(link)),
                    (_, Some(link)) => drop(link.flush()),
                    (_, None) => {}
                }
            }
        }
    }
    // Left alone, they find each other.
    let [here, there] = &mut told;
    for _ in 0..8 {
        if one.step() {
            here.end_link();
        }
        if other.step() {
            there.end_link();
        }
    }
    let (one, other) = (one.link.as_mut().unwrap(), other.link.as_mut().unwrap());
    let _ = (one.flush(), other.flush());
    while here.receive(one) {}
    while there.receive(other) {}
    let _ = (one.flush(), other.flush());
    there.send(other);
    let _ = other.flush();
    assert!(here.receive(one), "alive");
}

/// The first side's first generation, by the seed it begins with.
const FIRST: u32 = 0x1_0001;
const STATUS: u32 = ENTRY + 24;
