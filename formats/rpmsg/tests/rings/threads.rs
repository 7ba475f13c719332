//! Two threads, one ring each way, sleeping when there is nothing: nothing is lost, doubled, reordered or slept through.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use rpmsg::{
    Coherence, Device, Driver, Error, Kick, Link, LinkLayout, Queue, Quirks, SharedMemory,
    VringLayout, Window,
};

const SIZE: u32 = 0x8000;
const BASE: u64 = 0x8000_0000;
const MESSAGES: u32 = 100_000;

/// Half-words that two threads share; wider accesses are several of them, ordered by the ring's indices.
struct Halves(Vec<AtomicU16>);

impl Halves {
    fn at(&self, at: u32) -> &AtomicU16 {
        assert!(at.is_multiple_of(2));
        &self.0[at as usize / 2]
    }
}

impl Coherence for Halves {}

impl SharedMemory for Halves {
    fn load_u16(&self, at: u32, order: Ordering) -> u16 {
        self.at(at).load(order)
    }

    fn load_u32(&self, at: u32, order: Ordering) -> u32 {
        let low = self.load_u16(at, order);
        u32::from(low) | u32::from(self.load_u16(at + 2, order)) << 16
    }

    fn store_u16(&self, at: u32, value: u16, order: Ordering) {
        self.at(at).store(value, order);
    }

    fn store_u32(&self, at: u32, value: u32, order: Ordering) {
        self.store_u16(at, value as u16, order);
        self.store_u16(at + 2, (value >> 16) as u16, order);
    }

    fn copy_in(&self, at: u32, from: &[u8]) {
        for (i, pair) in from.chunks(2).enumerate() {
            let value = u16::from_le_bytes([pair[0], *pair.get(1).unwrap_or(&0)]);
            self.store_u16(at + 2 * i as u32, value, Ordering::Relaxed);
        }
    }

    fn copy_out(&self, at: u32, into: &mut [u8]) {
        for (i, pair) in into.chunks_mut(2).enumerate() {
            let bytes = self
                .load_u16(at + 2 * i as u32, Ordering::Relaxed)
                .to_le_bytes();
            pair.copy_from_slice(&bytes[..pair.len()]);
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
fn talk<Q: Queue>(mut link: Link<&Halves, Q>, bells: &Bells, seed: u32) -> Result<(), Error> {
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
    let halves = Halves((0..SIZE / 2).map(|_| AtomicU16::new(0)).collect());
    let window = Window::new(BASE, SIZE).unwrap();
    let ring = |at| VringLayout::new(&window, BASE + at, 16, 64).unwrap();
    let layout =
        LinkLayout::new(window, ring(0x1000), ring(0x2000), BASE + 0x3000, 0x1000).unwrap();
    let host = Driver::<_, 16>::attach(&halves, layout, 64, 1, Quirks::default()).unwrap();
    let core = Device::<_, 16>::attach(&halves, layout, 1, Quirks::default()).unwrap();
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
