//! One thread in both roles by turns: what a message costs without another core in the way.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use corewarden::shared_memory::Window;
use rpmsg::{
    Device, DeviceQueue, Driver, DriverQueue, Endpoint, Event, Link, PackedDevice, PackedDriver,
    Queue, Quirks, Session, SharedMemory,
};
use serde_json::json;

use crate::memory::{self, BUFFER, CAPACITY, Kind};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Bytes of payload.
    #[arg(long, default_value_t = 16)]
    size: usize,
    /// Messages sent before they are received; 0: one at a time, through endpoints.
    #[arg(long, default_value_t = 32)]
    batch: u32,
    /// Messages in all.
    #[arg(long, default_value_t = 9600)]
    messages: u32,
    /// From the device to the driver.
    #[arg(long)]
    up: bool,
    /// Over packed rings, in batches.
    #[arg(long)]
    packed: bool,
    #[arg(long, value_enum, default_value = "normal")]
    memory: Kind,
}

/// Moves the messages; callgrind does the counting.
pub(crate) fn count(args: &Args) -> Result<()> {
    let mut work = Work::new(args)?;
    work.rounds(args.messages / args.batch.max(1))
}

/// Prints the median over the batches, in nanoseconds per message, and the same for copying such payloads by memcpy.
pub(crate) fn time(args: &Args) -> Result<()> {
    let mut work = Work::new(args)?;
    let per_round = args.batch.max(1);
    let rounds = args.messages / per_round;
    let (mut times, mut copies) = (Vec::new(), Vec::new());
    let mut copy = Copy::new(args.size);
    for _ in 0..rounds {
        let begin = Instant::now();
        work.rounds(1)?;
        times.push(begin.elapsed().as_nanos() as f64 / f64::from(per_round));
        let begin = Instant::now();
        copy.round(per_round);
        copies.push(begin.elapsed().as_nanos() as f64 / f64::from(per_round));
    }
    let report = json!({
        "nanoseconds": median(&mut times),
        "memcpy_nanoseconds": median(&mut copies),
    });
    println!("{report}");
    Ok(())
}

pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Both ends of one link, and where in the stream of stamps they are.
struct Work {
    ends: Ends,
    batch: u32,
    sent: u64,
    received: u64,
    /// Those of a batch, one behind the other.
    payloads: Vec<u8>,
    into: Vec<u8>,
}

enum Ends {
    Up(Device<Window, CAPACITY>, Driver<Window, CAPACITY>),
    Down(Driver<Window, CAPACITY>, Device<Window, CAPACITY>),
    PackedUp(
        PackedDevice<Window, CAPACITY>,
        PackedDriver<Window, CAPACITY>,
    ),
    PackedDown(
        PackedDriver<Window, CAPACITY>,
        PackedDevice<Window, CAPACITY>,
    ),
    SingleUp(Box<Single<DeviceQueue<CAPACITY>, DriverQueue<CAPACITY>>>),
    SingleDown(Box<Single<DriverQueue<CAPACITY>, DeviceQueue<CAPACITY>>>),
}

/// Sessions with an endpoint each, among others.
struct Single<T, R> {
    sender: Session<Window, T, ENDPOINTS>,
    receiver: Session<Window, R, ENDPOINTS>,
    from: Endpoint,
    to: u32,
}

impl Work {
    fn new(args: &Args) -> Result<Self> {
        ensure!(
            !args.packed || args.batch != 0,
            "packed rings are measured in batches"
        );
        ensure!(args.size >= 8, "a payload has room for its stamp");
        let all = usize::try_from(args.batch.max(1))?.checked_mul(args.size);
        let all = all.context("a batch is larger than memory")?;
        let (near, layout) = memory::window(args.memory)?;
        let quirks = Quirks::default();
        let split = || -> Result<_> {
            let driver = Driver::attach(near.clone(), layout, BUFFER, 1, quirks)?;
            Ok((driver, Device::attach(near.clone(), layout, 1, quirks)?))
        };
        let packed = || -> Result<_> {
            let layout = memory::packed()?;
            let driver = PackedDriver::attach(near.clone(), layout, BUFFER, 1, quirks)?;
            Ok((
                driver,
                PackedDevice::attach(near.clone(), layout, 1, quirks)?,
            ))
        };
        Ok(Self {
            ends: match (args.packed, args.batch, args.up) {
                (true, _, true) => {
                    packed().map(|(driver, device)| Ends::PackedUp(device, driver))?
                }
                (true, _, false) => {
                    packed().map(|(driver, device)| Ends::PackedDown(driver, device))?
                }
                (false, 0, true) => {
                    let (driver, device) = split()?;
                    Ends::SingleUp(Box::new(Single::new(device, driver)?))
                }
                (false, 0, false) => {
                    let (driver, device) = split()?;
                    Ends::SingleDown(Box::new(Single::new(driver, device)?))
                }
                (false, _, true) => split().map(|(driver, device)| Ends::Up(device, driver))?,
                (false, _, false) => split().map(|(driver, device)| Ends::Down(driver, device))?,
            },
            batch: args.batch,
            sent: 0,
            received: 0,
            payloads: vec![0x5a; all],
            into: vec![0; args.size],
        })
    }

    fn rounds(&mut self, count: u32) -> Result<()> {
        let Self {
            ends,
            batch,
            sent,
            received,
            payloads,
            into,
        } = self;
        macro_rules! batches {
            ($sender:ident, $receiver:ident) => {
                for _ in 0..count {
                    batch_sent($sender, into.len(), sent, payloads)?;
                    batch_received($receiver, *batch, received, into)?;
                }
            };
        }
        match ends {
            Ends::Up(sender, receiver) => batches!(sender, receiver),
            Ends::Down(sender, receiver) => batches!(sender, receiver),
            Ends::PackedUp(sender, receiver) => batches!(sender, receiver),
            Ends::PackedDown(sender, receiver) => batches!(sender, receiver),
            Ends::SingleUp(pair) => pair.rounds(count, sent, payloads, into)?,
            Ends::SingleDown(pair) => pair.rounds(count, sent, payloads, into)?,
        }
        Ok(())
    }
}

impl<T: Queue, R: Queue> Single<T, R> {
    fn new(sender: Link<Window, T>, receiver: Link<Window, R>) -> Result<Self> {
        let (mut sender, mut receiver) = (Session::new(sender), Session::new(receiver));
        let from = sender.open(None)?;
        for _ in 1..ENDPOINTS / 2 {
            receiver.open(None)?;
        }
        let to = receiver.open(None)?.address();
        Ok(Self {
            sender,
            receiver,
            from,
            to,
        })
    }

    #[inline(never)]
    fn rounds(
        &mut self,
        count: u32,
        sent: &mut u64,
        payload: &mut [u8],
        into: &mut [u8],
    ) -> Result<()> {
        let end = *sent + u64::from(count);
        for number in *sent..end {
            self.round(number, payload, into)?;
        }
        *sent = end;
        Ok(())
    }

    fn round(&mut self, number: u64, payload: &mut [u8], into: &mut [u8]) -> Result<()> {
        stamp(payload, number);
        self.sender.send(&self.from, self.to, payload)?;
        let _ = black_box(self.sender.flush());
        let found = self.receiver.poll(into)?;
        let Some(Event::Message { copied, .. }) = found else {
            anyhow::bail!("message {number} did not arrive");
        };
        ensure!(stamped(&into[..copied], number), "message {number} differs");
        let _ = black_box(self.receiver.flush());
        Ok(())
    }
}

/// A function of its own, as in any program: what else a measurement can be asked for must not cost it registers.
#[inline(never)]
pub(crate) fn batch_sent<M: SharedMemory, Q: Queue>(
    link: &mut Link<M, Q>,
    size: usize,
    sent: &mut u64,
    payloads: &mut [u8],
) -> Result<()> {
    // All of them first, as programs do: one read back by another width than it was just written by has the processor wait.
    let mut number = *sent;
    for payload in payloads.chunks_exact_mut(size) {
        stamp(payload, number);
        number += 1;
    }
    *sent = number;
    for payload in payloads.chunks_exact(size) {
        link.send(SOURCE, DESTINATION, payload)?;
    }
    let _ = black_box(link.flush());
    Ok(())
}

#[inline(never)]
fn batch_received<M: SharedMemory, Q: Queue>(
    link: &mut Link<M, Q>,
    batch: u32,
    received: &mut u64,
    into: &mut [u8],
) -> Result<()> {
    let mut number = *received;
    let mut wrong = 0;
    let limit = usize::try_from(batch)?;
    let count = link.receive_all(limit, into, |_, payload| {
        wrong += u64::from(!stamped(payload, number));
        number += 1;
    })?;
    ensure!(count == limit, "{count} of {limit} messages arrived");
    ensure!(wrong == 0, "{wrong} messages differ");
    *received = number;
    let _ = black_box(link.flush());
    Ok(())
}

/// Numbers a payload at its first and at its last word.
pub(crate) fn stamp(payload: &mut [u8], number: u64) {
    if let Some(first) = payload.first_chunk_mut() {
        *first = number.to_le_bytes();
    }
    if let Some(last) = payload.last_chunk_mut() {
        *last = (!number).to_le_bytes();
    }
}

/// Whether a payload has that number.
pub(crate) fn stamped(payload: &[u8], number: u64) -> bool {
    payload.first_chunk() == Some(&number.to_le_bytes())
        && payload.last_chunk() == Some(&(!number).to_le_bytes())
}

/// The physical limit: payloads copied into a pool like the buffers' and out again.
pub(crate) struct Copy {
    pool: Vec<u8>,
    from: Vec<u8>,
    into: Vec<u8>,
    at: usize,
}

impl Copy {
    pub(crate) fn new(size: usize) -> Self {
        Self {
            pool: vec![0; 256 * 512],
            from: vec![1; size],
            into: vec![2; size],
            at: 0,
        }
    }

    pub(crate) fn round(&mut self, batch: u32) {
        let start = self.at;
        for _ in 0..batch {
            self.pool[self.at + 16..][..self.from.len()].copy_from_slice(black_box(&self.from));
            self.at = (self.at + 512) % self.pool.len();
        }
        let mut at = start;
        for _ in 0..batch {
            self.into
                .copy_from_slice(black_box(&self.pool[at + 16..][..self.from.len()]));
            black_box(&mut self.into);
            at = (at + 512) % self.pool.len();
        }
    }
}

const SOURCE: u32 = 1024;
const DESTINATION: u32 = 1025;
const ENDPOINTS: usize = 8;
