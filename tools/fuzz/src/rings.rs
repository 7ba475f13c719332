//! One side of the rings against a peer that writes anything anywhere, and now and then does what it ought to.
//!
//! The input is a script of steps of 8 bytes: what to do, two numbers, and a word. Whatever it says, nothing outside the
//! window's parts is touched, no call goes on for ever, a broken ring stays broken, and a link attached anew works.

use std::collections::VecDeque;

use rpmsg::{
    DeviceQueue, DriverQueue, Error, Event, Link, Packed, Queue, Quirks, Ring, RingKind, RxBuffer,
    Session, SharedMemory, Split, Symmetric,
};

use crate::memory::{BUFFER, COUNT, Kind, Memory, SIZE, View, indices};

/// The driver's side of split rings against a device.
pub fn driver(script: &[u8]) {
    as_driver::<Split>(Kind::Split, script);
}

/// The device's side of split rings against a driver.
pub fn device(script: &[u8]) {
    as_device::<Split>(Kind::Split, script);
}

/// The driver's side of packed rings against a device.
pub fn packed_driver(script: &[u8]) {
    as_driver::<Packed>(Kind::Packed, script);
}

/// The device's side of packed rings against a driver.
pub fn packed_device(script: &[u8]) {
    as_device::<Packed>(Kind::Packed, script);
}

/// One side of a symmetric link against the other, over split rings and over packed ones.
pub fn symmetric(script: &[u8]) {
    as_equal::<Split>(Kind::Split, script);
    as_equal::<Packed>(Kind::Packed, script);
}

fn as_driver<K: RingKind>(kind: Kind, script: &[u8]) {
    for memory in &Memory::both(kind) {
        let (ours, peer) = attach::<K>(memory);
        Play::new(memory, ours, peer).follow(script);
        let (driver, device) = attach::<K>(memory);
        works(driver, device);
    }
}

fn as_device<K: RingKind>(kind: Kind, script: &[u8]) {
    for memory in &Memory::both(kind) {
        let (peer, ours) = attach::<K>(memory);
        Play::new(memory, ours, peer).follow(script);
        let (driver, device) = attach::<K>(memory);
        works(driver, device);
    }
}

fn as_equal<K: RingKind>(kind: Kind, script: &[u8]) {
    for memory in &Memory::both(kind) {
        let [ours, peer] = attach_alike::<K>(memory);
        Play::new(memory, ours, peer).follow(script);
        let [one, other] = attach_alike::<K>(memory);
        works(one, other);
    }
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    LieWord,
    LieHalf,
    /// One of the four indices moved a little: the lie that is nearest to the truth.
    LieIndex,
    Send,
    Reserve,
    Receive,
    Release,
    Poll,
    Flush,
    /// The peer does what it ought to.
    Peer,
}

/// By the first byte of a step.
pub(crate) const STEPS: [Step; 10] = [
    Step::LieWord,
    Step::LieHalf,
    Step::LieIndex,
    Step::Send,
    Step::Reserve,
    Step::Receive,
    Step::Release,
    Step::Poll,
    Step::Flush,
    Step::Peer,
];

struct Play<'a, R, T, P, Q> {
    memory: &'a Memory,
    ours: Session<View<'a>, R, 2, T>,
    peer: Link<View<'a>, P, Q>,
    held: VecDeque<RxBuffer>,
    /// What broke a ring: of those we receive on and send in.
    broken: [Option<Error>; 2],
}

impl<'a, R: Queue, T: Queue, P: Queue, Q: Queue> Play<'a, R, T, P, Q> {
    fn new(memory: &'a Memory, ours: Link<View<'a>, R, T>, peer: Link<View<'a>, P, Q>) -> Self {
        let mut ours = Session::new(ours);
        for address in [Some(SERVED), None] {
            ours.open(address).expect("room for two endpoints");
        }
        Self {
            memory,
            ours,
            peer,
            held: VecDeque::new(),
            broken: [None; 2],
        }
    }

    fn follow(&mut self, script: &[u8]) {
        let (steps, _) = script.as_chunks::<8>();
        for [what, first, low, high, word @ ..] in steps.iter().take(MOST_STEPS) {
            let step = STEPS[usize::from(*what) % STEPS.len()];
            let at = u32::from(u16::from_le_bytes([*low, *high])) % (SIZE - 4);
            self.step(step, *first, at, *word);
        }
        while let Some(buffer) = self.held.pop_front() {
            let released = self.ours.link().release(buffer);
            self.judge(RECEIVING, released);
        }
    }

    fn step(&mut self, step: Step, first: u8, at: u32, word: [u8; 4]) {
        match step {
            Step::LieWord => self.memory.poke(at & !3, &word),
            Step::LieHalf => self.memory.poke(at & !1, &word[..2]),
            Step::LieIndex => self.move_index(first, word[0].cast_signed()),
            Step::Send => {
                let payload = [word[0]; 80];
                let payload = &payload[..usize::from(first) % 80];
                let sent = self.ours.link().send(SERVED, word[1].into(), payload);
                self.judge(SENDING, sent);
            }
            Step::Reserve => self.reserve(first, word),
            Step::Receive => match self.ours.link().receive() {
                Ok(Some(buffer)) => {
                    // As many as the ring has can be held, and no more.
                    assert!(
                        self.held.len() < usize::from(COUNT),
                        "one buffer held twice"
                    );
                    let mut bytes = [0; 80];
                    let read = self
                        .ours
                        .link()
                        .read(&buffer, u32::from(first) & !3, &mut bytes);
                    assert!(read.is_ok(), "{read:?}");
                    self.held.push_back(buffer);
                }
                Ok(None) => {}
                Err(error) => self.judge(RECEIVING, Err(error)),
            },
            Step::Release => {
                if let Some(buffer) = self.held.pop_front() {
                    let released = self.ours.link().release(buffer);
                    self.judge(RECEIVING, released);
                }
            }
            Step::Poll => self.poll(),
            Step::Flush => {
                let _ = self.ours.flush();
                let on_message = self.ours.link().wake_on_message(first & 1 == 1);
                self.judge(RECEIVING, on_message.map(drop));
                let on_buffer = self.ours.link().wake_on_buffer(first & 2 == 2);
                self.judge(SENDING, on_buffer.map(drop));
            }
            Step::Peer => self.peer(first, word),
        }
    }

    fn move_index(&mut self, which: u8, by: i8) {
        let indices = indices(self.memory.kind);
        let [at, ..] = indices;
        let at = indices.into_iter().cycle().nth(which.into()).unwrap_or(at);
        let [low, high, ..] = self.memory.peek(at);
        let moved = u16::from_le_bytes([low, high]).wrapping_add_signed(by.into());
        self.memory.poke(at, &moved.to_le_bytes());
    }

    fn reserve(&mut self, first: u8, word: [u8; 4]) {
        let link = self.ours.link();
        let done = link.reserve().and_then(|buffer| {
            assert!(
                buffer.capacity() <= BUFFERS_LARGEST,
                "{}",
                buffer.capacity()
            );
            if first & 1 == 1 {
                return link.abandon(buffer);
            }
            let at = u32::from(word[1] & !3) % 64;
            // A buffer that the peer made small refuses what does not fit, and is put back all the same.
            match link.write(&buffer, at, &word) {
                Ok(()) => link.commit(buffer, SERVED, word[2].into(), u16::from(word[3] % 64)),
                Err(error) => link.abandon(buffer).and(Err(error)),
            }
        });
        self.judge(SENDING, done);
    }

    fn poll(&mut self) {
        let mut bytes = [0; 64];
        // A ring has COUNT messages at most; more would be for ever.
        for turn in 0.. {
            assert!(turn <= 2 * usize::from(COUNT), "messages without end");
            match self.ours.poll(&mut bytes) {
                Ok(None) => return,
                Ok(Some(Event::Message { header, copied })) => {
                    assert!(copied <= usize::from(header.len), "{copied} of {header:?}");
                }
                Ok(Some(Event::Service(announced))) => {
                    assert_eq!(
                        rpmsg::Announcement::parse(&announced.to_bytes()),
                        Ok(announced)
                    );
                }
                Err(error) => {
                    self.judge(RECEIVING, Err(error));
                    if error.breaks_link() {
                        return;
                    }
                }
            }
        }
    }

    /// The peer sends, announces, takes or publishes; what it thinks of our lies is not judged here.
    fn peer(&mut self, first: u8, word: [u8; 4]) {
        match first % 4 {
            0 => {
                let _ = self.peer.send(word[0].into(), SERVED, &word);
            }
            1 => {
                let name = rpmsg::ServiceName::new("served").expect("a name");
                let change = match word[0] & 1 {
                    0 => rpmsg::Change::Created,
                    _ => rpmsg::Change::Destroyed,
                };
                let announcement = rpmsg::Announcement {
                    name,
                    address: word[1].into(),
                    change,
                };
                let bytes = announcement.to_bytes();
                let _ = self.peer.send(1, rpmsg::NAME_SERVICE_ADDRESS, &bytes);
            }
            2 => {
                let mut bytes = [0; 64];
                let _ = self
                    .peer
                    .receive_all(usize::from(COUNT), &mut bytes, |_, _| {});
            }
            _ => {
                let _ = self.peer.flush();
            }
        }
    }

    /// What broke a ring is what every later call on it says.
    fn judge(&mut self, ring: usize, outcome: Result<(), Error>) {
        match (self.broken[ring], outcome) {
            (Some(broken), outcome) => assert_eq!(outcome, Err(broken)),
            (None, Err(error)) if error.breaks_link() => self.broken[ring] = Some(error),
            (None, _) => {}
        }
    }
}

fn attach<K: RingKind>(memory: &Memory) -> (OurDriver<'_, K>, OurDevice<'_, K>) {
    let (layout, quirks) = (memory.layout(), Quirks::default());
    let driver = OurDriver::attach(memory.driver(), layout, BUFFER, 1, quirks);
    let driver = driver.expect("rings that nobody has touched yet");
    let device = OurDevice::attach(memory.device(), layout, 1, quirks);
    (driver, device.expect("rings as the driver left them"))
}

fn attach_alike<K: RingKind>(memory: &Memory) -> [Symmetric<View<'_>, CAPACITY, K>; 2] {
    let layout = memory.layout();
    let sides = [Ring::ToDevice, Ring::ToDriver].map(|ring| (ring, memory.symmetric(ring)));
    for (ring, view) in &sides {
        Symmetric::<_, CAPACITY, K>::prepare(view, &layout, *ring, BUFFER).expect("a ring of ours");
    }
    sides.map(|(ring, view)| {
        Symmetric::attach(view, layout, ring, BUFFER, 1).expect("rings as both left them")
    })
}

/// Whatever stood there, messages pass both ways over rings that are written anew.
fn works<M: SharedMemory, R: Queue, T: Queue, P: Queue, Q: Queue>(
    mut driver: Link<M, R, T>,
    mut device: Link<M, P, Q>,
) {
    for round in 0..2 * u32::from(COUNT) {
        pass(&mut driver, &mut device, round);
        pass(&mut device, &mut driver, round);
    }
}

fn pass<M: SharedMemory, R: Queue, T: Queue, P: Queue, Q: Queue>(
    from: &mut Link<M, R, T>,
    to: &mut Link<M, P, Q>,
    number: u32,
) {
    let sent = number.to_le_bytes();
    from.send(1, 2, &sent).expect("a free buffer");
    let _ = from.flush();
    let (mut bytes, mut received) = ([0; 8], Vec::<u8>::new());
    let count = to.receive_all(1, &mut bytes, |_, payload| received.extend(payload));
    assert_eq!(count, Ok(1));
    assert_eq!(received, sent);
    let _ = to.flush();
}

type OurDriver<'a, K> = Link<View<'a>, DriverQueue<CAPACITY, K>>;
type OurDevice<'a, K> = Link<View<'a>, DeviceQueue<CAPACITY, K>>;

/// More than the rings have.
const CAPACITY: usize = 16;
const SERVED: u32 = 1024;
/// A script is long enough when all indices can turn in it.
const MOST_STEPS: usize = 2048;
/// The two kinds of rings, for [`Play::broken`].
const RECEIVING: usize = 0;
const SENDING: usize = 1;
/// A driver may make buffers of any size inside the area.
const BUFFERS_LARGEST: u32 = 2 * COUNT as u32 * BUFFER - 16;
