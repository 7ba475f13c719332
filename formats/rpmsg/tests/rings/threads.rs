//! Two threads, one ring each way, sleeping when there is nothing: nothing is lost, doubled, reordered or slept through.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use rpmsg::{
    Coherence, Device, Driver, Error, Kick, Link, LinkLayout, Packed, PackedDevice, PackedDriver,
    Queue, Quirks, Ring, RingKind, SharedMemory, Split, Symmetric, VringLayout, Window,
};

const SIZE: u32 = 0x8000;
const BASE: u64 = 0x8000_0000;
const MESSAGES: u32 = 100_000;

/// Words that two threads share; half a word is changed without touching the other half.
struct Words(Vec<AtomicU32>);

impl Words {
    fn at(&self, at: u32) -> &AtomicU32 {
        &self.0[at as usize / 4]
    }
}

impl Coherence for Words {}

impl SharedMemory for Words {
    fn load_u16(&self, at: u32, order: Ordering) -> u16 {
        assert!(at.is_multiple_of(2));
        (self.at(at).load(order) >> (8 * (at % 4))) as u16
    }

    fn load_u32(&self, at: u32, order: Ordering) -> u32 {
        assert!(at.is_multiple_of(4));
        self.at(at).load(order)
    }

    fn store_u16(&self, at: u32, value: u16, order: Ordering) {
        assert!(at.is_multiple_of(2));
        let shift = 8 * (at % 4);
        let half = |word: u32| Some(word & !(0xffff << shift) | u32::from(value) << shift);
        let changed = self.at(at).fetch_update(order, Ordering::Relaxed, half);
        assert!(changed.is_ok());
    }

    fn store_u32(&self, at: u32, value: u32, order: Ordering) {
        assert!(at.is_multiple_of(4));
        self.at(at).store(value, order);
    }

    fn copy_in(&self, at: u32, from: &[u8]) {
        for (i, part) in from.chunks(4).enumerate() {
            let mut bytes = [0; 4];
            bytes[..part.len()].copy_from_slice(part);
            let value = u32::from_le_bytes(bytes);
            self.store_u32(at + 4 * i as u32, value, Ordering::Relaxed);
        }
    }

    fn copy_out(&self, at: u32, into: &mut [u8]) {
        for (i, part) in into.chunks_mut(4).enumerate() {
            let word = self.load_u32(at + 4 * i as u32, Ordering::Relaxed);
            part.copy_from_slice(&word.to_le_bytes()[..part.len()]);
        }
    }
}

/// One side's doorbells: a bell that rang already does not ring twice.
struct Bells {
    peer: SyncSender<()>,
    ours: Receiver<()>,
}

impl Bells {
    fn ring(&self, kick: Kick) {
        if kick.is_needed() {
            let _ = self.peer.try_send(());
        }
    }

    fn sleep(&self) {
        // Far longer than any wake-up takes: who is still asleep then, slept through a message.
        self.ours
            .recv_timeout(Duration::from_secs(20))
            .expect("slept through a message");
    }
}

/// Sends and receives numbered messages, in batches of changing size, and sleeps whenever it can do neither.
fn talk<R: Queue, T: Queue>(
    mut link: Link<&Words, R, T>,
    bells: &Bells,
    seed: u32,
) -> Result<(), Error> {
    let (mut sent, mut received, mut batch) = (0, 0, seed);
    while sent < MESSAGES || received < MESSAGES {
        let mut idle = true;
        let mut full = false;
        batch = batch % 40 + 1;
        for _ in 0..batch {
            if sent == MESSAGES {
                break;
            }
            match link.send(1, 2, &numbered(sent)) {
                Ok(()) => sent += 1,
                Err(Error::NoBuffer { .. }) => {
                    full = true;
                    break;
                }
                Err(error) => return Err(error),
            }
            idle = false;
        }
        bells.ring(link.flush());
        for _ in 0..batch + seed {
            let Some(message) = link.receive()? else {
                break;
            };
            let mut bytes = [0; 24];
            let len = link.read(&message, 0, &mut bytes)?;
            assert_eq!(bytes[..len], numbered(received));
            link.release(message)?;
            received += 1;
            idle = false;
        }
        bells.ring(link.flush());
        if idle {
            let message = link.wake_on_message(true)?;
            let buffer = full && link.wake_on_buffer(true)?;
            if !message && !buffer && (sent < MESSAGES || received < MESSAGES) {
                bells.sleep();
            }
            link.wake_on_message(false)?;
            link.wake_on_buffer(false)?;
        }
    }
    // The other side may still wait for what we took or returned last.
    let _ = bells.peer.try_send(());
    Ok(())
}

fn numbered(number: u32) -> Vec<u8> {
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.resize(4 + (number % 17) as usize, number as u8);
    bytes
}

#[test]
fn two_threads_talk_and_sleep_and_lose_nothing() {
    let layout = layout(|window, at| VringLayout::new(window, at, 16, 64));
    let words = words();
    let host = Driver::<_, 16>::attach(&words, layout, 64, 1, Quirks::default()).unwrap();
    let core = Device::<_, 16>::attach(&words, layout, 1, Quirks::default()).unwrap();
    meet(host, core);
}

#[test]
fn two_threads_talk_and_sleep_and_lose_nothing_over_packed_rings() {
    let plain = layout(|window, at| VringLayout::packed(window, at, 16));
    for layout in [plain, plain.with_event_index()] {
        let words = words();
        let host = PackedDriver::<_, 16>::attach(&words, layout, 64, 1, Quirks::default()).unwrap();
        let core = PackedDevice::<_, 16>::attach(&words, layout, 1, Quirks::default()).unwrap();
        meet(host, core);
    }
}

#[test]
fn two_threads_talk_and_sleep_and_lose_nothing_over_symmetric_links() {
    fn over<K: RingKind<Aside: Send> + Send>(layout: LinkLayout) {
        let words = words();
        let rings = [Ring::ToDevice, Ring::ToDriver];
        for ring in rings {
            Symmetric::<_, 16, K>::prepare(&&words, &layout, ring, 64).unwrap();
        }
        let [one, other] =
            rings.map(|ring| Symmetric::<_, 16, K>::attach(&words, layout, ring, 64, 1).unwrap());
        meet(one, other);
    }
    over::<Split>(layout(|window, at| VringLayout::new(window, at, 16, 64)));
    let packed = layout(|window, at| VringLayout::packed(window, at, 16));
    over::<Packed>(packed.with_event_index());
}

fn words() -> Words {
    Words((0..SIZE / 4).map(|_| AtomicU32::new(0)).collect())
}

fn layout(ring: fn(&Window, u64) -> Result<VringLayout, Error>) -> LinkLayout {
    let window = Window::new(BASE, SIZE).unwrap();
    let [one, two] = [0x1000, 0x2000].map(|at| ring(&window, BASE + at).unwrap());
    LinkLayout::new(window, one, two, BASE + 0x3000, 0x1000).unwrap()
}

/// Each side in a thread of its own.
fn meet<R: Queue + Send, T: Queue + Send, P: Queue + Send, Q: Queue + Send>(
    host: Link<&Words, R, T>,
    core: Link<&Words, P, Q>,
) {
    let (to_core, at_core) = sync_channel(1);
    let (to_host, at_host) = sync_channel(1);
    thread::scope(|scope| {
        let driver = scope.spawn(move || {
            let bells = Bells {
                peer: to_core,
                ours: at_host,
            };
            talk(host, &bells, 3)
        });
        let device = scope.spawn(move || {
            let bells = Bells {
                peer: to_host,
                ours: at_core,
            };
            talk(core, &bells, 7)
        });
        driver.join().unwrap().unwrap();
        device.join().unwrap().unwrap();
    });
}
