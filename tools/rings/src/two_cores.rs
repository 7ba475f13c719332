//! Two threads on two cores, each beside a ping-pong of cache lines before and after.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use corewarden::shared_memory::Window;
use rpmsg::{Device, Driver, Error, Link, Queue, Quirks};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{read, write};
use rustix::thread::{CpuSet, sched_setaffinity};
use serde_json::json;

use crate::memory::{self, BUFFER, CAPACITY, Kind};
use crate::one_thread::{median, stamp, stamped};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Samples of each kind.
    #[arg(long, default_value_t = 21)]
    samples: u32,
}

/// Prints medians, and how many samples were dropped because the ping-pong around them moved.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut round_trips = Samples::default();
    let mut streams = Samples::default();
    let mut bells = Samples::default();
    for _ in 0..args.samples {
        round_trips.take(ping_pong, || round_trip(Waiting::Polling, ROUND_TRIPS))?;
        streams.take(ping_pong, stream)?;
        bells.take(bare_bell, || round_trip(Waiting::Bell, BELLS))?;
    }
    let report = json!({
        "round_trip": round_trips.report(),
        "stream": streams.report(),
        "doorbell": bells.report(),
    });
    println!("{report}");
    Ok(())
}

/// Figures, each with that of the hardware beside it.
#[derive(Default)]
struct Samples {
    figures: Vec<f64>,
    limits: Vec<f64>,
    ratios: Vec<f64>,
    dropped: u32,
}

impl Samples {
    fn take(
        &mut self,
        limit: impl Fn() -> Result<f64>,
        measure: impl Fn() -> Result<f64>,
    ) -> Result<()> {
        let before = limit()?;
        let figure = measure()?;
        let after = limit()?;
        // The hypervisor moved the cores, or somebody else had them.
        if (before - after).abs() > before.min(after) * MOVED {
            self.dropped += 1;
            return Ok(());
        }
        let limit = f64::midpoint(before, after);
        self.figures.push(figure);
        self.limits.push(limit);
        self.ratios.push(figure / limit);
        Ok(())
    }

    fn report(&mut self) -> serde_json::Value {
        json!({
            "nanoseconds": median(&mut self.figures),
            "limit": median(&mut self.limits),
            "ratio": median(&mut self.ratios),
            "kept": self.figures.len(),
            "dropped": self.dropped,
        })
    }
}

/// Two cache lines, one written by each core: nanoseconds per round trip.
fn ping_pong() -> Result<f64> {
    let lines = [Line::default(), Line::default()];
    let [there, back] = &lines;
    on_two_cores(
        || {
            let begin = Instant::now();
            for number in 1..=PING_PONGS {
                there.0.store(number, Ordering::Release);
                while back.0.load(Ordering::Acquire) != number {
                    spin_loop();
                }
            }
            Ok(begin.elapsed().as_nanos() as f64 / PING_PONGS as f64)
        },
        || {
            for number in 1..=PING_PONGS {
                while there.0.load(Ordering::Acquire) != number {
                    spin_loop();
                }
                back.0.store(number, Ordering::Release);
            }
            Ok(())
        },
    )
}

#[derive(Default)]
#[repr(align(128))]
struct Line(AtomicU64);

/// Bare eventfd round trips.
fn bare_bell() -> Result<f64> {
    let (there, back) = (Bell::new()?, Bell::new()?);
    on_two_cores(
        || {
            let begin = Instant::now();
            for _ in 0..BELLS {
                there.ring()?;
                back.wait()?;
            }
            Ok(begin.elapsed().as_nanos() as f64 / f64::from(BELLS))
        },
        || {
            for _ in 0..BELLS {
                there.wait()?;
                back.ring()?;
            }
            Ok(())
        },
    )
}

struct Bell(rustix::fd::OwnedFd);

impl Bell {
    fn new() -> Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC)?))
    }

    fn ring(&self) -> Result<()> {
        write(&self.0, &1_u64.to_ne_bytes())?;
        Ok(())
    }

    fn wait(&self) -> Result<()> {
        read(&self.0, &mut [0_u8; 8])?;
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Waiting {
    Polling,
    Bell,
}

/// Nanoseconds from a message of 16 bytes to its echo.
fn round_trip(waiting: Waiting, count: u32) -> Result<f64> {
    let (mut host, mut core) = pair()?;
    let (to_core, to_host) = (Bell::new()?, Bell::new()?);
    on_two_cores(
        || {
            quiet(&mut host, waiting)?;
            let (mut payload, mut answer) = ([0_u8; 16], [0_u8; 16]);
            let begin = Instant::now();
            for number in 0..u64::from(count) {
                stamp(&mut payload, number);
                host.send(1, 2, &payload)?;
                kick(host.flush(), &to_core)?;
                next(&mut host, waiting, &to_host, &mut answer)?;
                ensure!(stamped(&answer, number), "answer {number} differs");
            }
            Ok(begin.elapsed().as_nanos() as f64 / f64::from(count))
        },
        || {
            quiet(&mut core, waiting)?;
            let mut message = [0_u8; 16];
            for _ in 0..count {
                next(&mut core, waiting, &to_core, &mut message)?;
                core.send(2, 1, &message)?;
                kick(core.flush(), &to_host)?;
            }
            Ok(())
        },
    )
}

fn quiet<Q: Queue>(link: &mut Link<Window, Q>, waiting: Waiting) -> Result<()> {
    link.wake_on_message(waiting == Waiting::Bell)?;
    Ok(())
}

fn kick(kick: rpmsg::Kick, bell: &Bell) -> Result<()> {
    if kick.is_needed() {
        bell.ring()?;
    }
    Ok(())
}

/// Waits for a message and reads it; the buffer goes back with the next flush.
fn next<Q: Queue>(
    link: &mut Link<Window, Q>,
    waiting: Waiting,
    bell: &Bell,
    into: &mut [u8],
) -> Result<()> {
    loop {
        if let Some(message) = link.receive()? {
            link.read(&message, 0, into)?;
            link.release(message)?;
            return Ok(());
        }
        match waiting {
            Waiting::Polling => spin_loop(),
            Waiting::Bell => bell.wait()?,
        }
    }
}

/// Nanoseconds per message of 16 bytes, one way, in batches of 32.
fn stream() -> Result<f64> {
    let (mut host, mut core) = pair()?;
    let stop = AtomicBool::new(false);
    on_two_cores(
        || {
            quiet(&mut host, Waiting::Polling)?;
            let mut payload = [0_u8; 16];
            let begin = Instant::now();
            for number in 0..STREAM {
                stamp(&mut payload, number);
                loop {
                    match host.send(1, 2, &payload) {
                        Ok(()) => break,
                        Err(Error::NoBuffer { .. }) if !stop.load(Ordering::Relaxed) => {
                            let _ = host.flush();
                            spin_loop();
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
                if number % BATCH == BATCH - 1 {
                    let _ = host.flush();
                }
            }
            let _ = host.flush();
            // Sent is received once every buffer has come back.
            let mut back = 0;
            while back < memory::DESCRIPTORS {
                match host.reserve() {
                    Ok(buffer) => {
                        drop(buffer);
                        back += 1;
                    }
                    Err(Error::NoBuffer { .. }) => spin_loop(),
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(begin.elapsed().as_nanos() as f64 / STREAM as f64)
        },
        || {
            let outcome = drain(&mut core);
            stop.store(true, Ordering::Relaxed);
            outcome
        },
    )
}

fn drain(core: &mut Device<Window, CAPACITY>) -> Result<()> {
    quiet(core, Waiting::Polling)?;
    let mut message = [0_u8; 16];
    let (mut received, mut unpublished) = (0, 0);
    while received < STREAM {
        let Some(found) = core.receive()? else {
            if unpublished > 0 {
                let _ = core.flush();
                unpublished = 0;
            }
            spin_loop();
            continue;
        };
        core.read(&found, 0, &mut message)?;
        ensure!(stamped(&message, received), "message {received} differs");
        core.release(found)?;
        received += 1;
        unpublished += 1;
        if unpublished == BATCH {
            let _ = core.flush();
            unpublished = 0;
        }
    }
    let _ = core.flush();
    Ok(())
}

type Pair = (Driver<Window, CAPACITY>, Device<Window, CAPACITY>);

fn pair() -> Result<Pair> {
    let (window, layout) = memory::window(Kind::Normal)?;
    let quirks = Quirks::default();
    let host = Driver::attach(window.clone(), layout, BUFFER, 1, quirks)?;
    let core = Device::attach(window, layout, 1, quirks)?;
    Ok((host, core))
}

/// Runs both at once, each on a core of its own; the first one's result.
fn on_two_cores<T: Send>(
    one: impl FnOnce() -> Result<T> + Send,
    other: impl FnOnce() -> Result<()> + Send,
) -> Result<T> {
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            pin(1)?;
            other()
        });
        let one = scope.spawn(|| {
            pin(0)?;
            // The other one has to be awake before the clock starts.
            thread::sleep(Duration::from_micros(200));
            one()
        });
        let result = one.join().ok().context("a measuring thread died")??;
        other.join().ok().context("a measuring thread died")??;
        Ok(result)
    })
}

fn pin(cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).context("this machine has no two cores to measure on")
}

/// A ping-pong that moved by more than this tells of somebody else on the cores.
const MOVED: f64 = 0.25;
const PING_PONGS: u64 = 20_000;
const ROUND_TRIPS: u32 = 20_000;
const BELLS: u32 = 200;
const STREAM: u64 = 500_000;
const BATCH: u64 = 32;
