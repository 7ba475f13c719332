//! When a side may touch the rings: the status byte, and a generation word for each side (rpmsg-lifecycle.md).
//!
//! Both machines here are stepped by their owner at each wake-up and never wait themselves, so that a time limit is the owner's.

use core::sync::atomic::Ordering;

use crate::error::Error;
use crate::features::{Features, UPPER_HALF};
use crate::layout::Window;
use crate::memory::SharedMemory;
use crate::raw;

/// The virtio status byte, which the driver writes and the device reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(u8);

impl Status {
    /// Nobody drives the device.
    pub const RESET: Self = Self(0);
    /// ACKNOWLEDGE, DRIVER and DRIVER_OK: the rings are ready.
    pub const READY: Self = Self(7);

    /// The byte itself.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether the driver said DRIVER_OK and did not give up (FAILED) since.
    pub const fn is_ready(self) -> bool {
        const DRIVER_OK: u8 = 4;
        const FAILED: u8 = 0x80;
        self.0 & (DRIVER_OK | FAILED) == DRIVER_OK
    }
}

/// Where a vdev entry's status byte stands in the shared table.
///
/// Holding one tells you that it is inside the table page, and aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusWord {
    table: u32,
    at: u32,
    vrings: u8,
}

impl StatusWord {
    /// The status of the vdev entry (its type word) at `entry` bytes into the table page at device address `table`.
    ///
    /// `vrings` is the entry's number of rings, which shares a half-word with the status.
    pub const fn new(window: &Window, table: u64, entry: u32, vrings: u8) -> Result<Self, Error> {
        let outside = Error::RingOutside {
            address: table,
            len: entry,
        };
        let (Some(page), Some(end)) = (
            window.offset(table, TABLE_PAGE),
            entry.checked_add(STATUS_OFFSET),
        ) else {
            return Err(outside);
        };
        if entry & 3 != 0 || page & 3 != 0 || end >= raw::DRIVER_LINE {
            return Err(outside);
        }
        Ok(Self {
            table: page,
            at: page.wrapping_add(end),
            vrings,
        })
    }

    /// Reads it.
    pub fn load<M: SharedMemory>(&self, memory: &M) -> Status {
        memory.invalidate(self.at, 2);
        let [status, _] = memory.load_u16(self.at, Ordering::Acquire).to_le_bytes();
        Status(status)
    }

    /// Which features of a table the driver accepted (rpmsg-features.md, F9 and F11).
    pub fn accepted<M: SharedMemory>(&self, memory: &M) -> Features {
        let at = self.at.wrapping_sub(ACCEPTED_BEFORE_STATUS);
        memory.invalidate(at, 4);
        let word = memory.load_u32(at, Ordering::Acquire);
        let accepted = Features::from_bits(word.into());
        if !accepted.has(UPPER_HALF) {
            return accepted;
        }
        let line = self.line(raw::ACCEPTED_LINE);
        memory.invalidate(line.at, raw::LINE_SIZE);
        let upper = match line.word(memory, raw::ACCEPTED_MAGIC) {
            raw::FEATURES_MAGIC => line.word(memory, raw::ACCEPTED_UPPER),
            _ => 0,
        };
        accepted
            .without(UPPER_HALF)
            .with(Features::from_bits(raw::address(0, upper)))
    }

    /// Writes which ones we accept, before [`DriverLife::ready`].
    pub fn accept<M: SharedMemory>(&self, memory: &M, features: Features) {
        let [word, upper] = features.in_table();
        if upper != 0 {
            self.line(raw::ACCEPTED_LINE).store(
                memory,
                [
                    (raw::ACCEPTED_UPPER, upper),
                    (raw::ACCEPTED_LOWER, word),
                    (raw::ACCEPTED_MAGIC, raw::FEATURES_MAGIC),
                ],
            );
        }
        let at = self.at.wrapping_sub(ACCEPTED_BEFORE_STATUS);
        memory.store_u32(at, word, Ordering::Release);
        memory.clean(at, 4);
    }

    fn store<M: SharedMemory>(&self, memory: &M, status: Status) {
        let value = u16::from_le_bytes([status.0, self.vrings]);
        memory.store_u16(self.at, value, Ordering::Release);
        memory.clean(self.at, 2);
        memory.fence();
    }

    fn line(&self, offset: u32) -> Line {
        Line {
            at: self.table.wrapping_add(offset),
        }
    }
}

/// Why we believe that the peer started anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartSign {
    /// Its generation word changed: it says so itself.
    Generation,
    /// Inferred: an index of its ring went backwards.
    IndexBackwards,
    /// Inferred: its ring was zeroed.
    RingZeroed,
    /// The driver took its DRIVER_OK back.
    StatusReset,
    /// The secure world cleared the table page: another image was loaded.
    TableCleared,
}

impl RestartSign {
    /// Whether the peer told us, or we conclude it from what we see.
    pub const fn is_inferred(self) -> bool {
        matches!(self, Self::IndexBackwards | Self::RingZeroed)
    }
}

/// The driver's part: quiet the device, prepare the rings, say DRIVER_OK, notice restarts.
#[derive(Debug)]
pub struct DriverLife {
    status: StatusWord,
    generation: u32,
    /// The device's generation for which the rings were, or will be, prepared.
    device: u32,
    stage: DriverStage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DriverStage {
    Quieting,
    Preparing,
    Running,
}

/// What the driver has to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriverStep {
    /// The device has not said that it left the rings alone; wait for a kick, or at a time limit call [`DriverLife::wait_no_longer`].
    Wait,
    /// Attach (which writes the rings), then call [`DriverLife::ready`].
    Prepare,
    /// The link is valid.
    Run,
    /// The link is gone; drop it, and call [`DriverLife::again`] for another.
    Restart(RestartSign),
}

impl DriverLife {
    /// Takes the device away from whoever drove it before (L3, L4); kick both rings afterwards.
    ///
    /// `seed` comes from the secure world's count of starts, so that generations of different starts differ.
    pub fn begin<M: SharedMemory>(memory: &M, status: StatusWord, seed: u32) -> Self {
        let line = status.line(raw::DRIVER_LINE);
        let before = line.generation(memory);
        Self::after(memory, status, before.unwrap_or(seed.wrapping_shl(16)))
    }

    /// Begins once more, where the status may stand elsewhere by now; kick both rings afterwards.
    ///
    /// Whatever stands in our line, the generation is one that this driver never had: the peer can write there, and handles
    /// of an earlier one must not come to life again (L3, L8).
    #[must_use]
    pub fn again<M: SharedMemory>(self, memory: &M, status: StatusWord) -> Self {
        let stands = status.line(raw::DRIVER_LINE).generation(memory);
        match following(self.generation) {
            // Another driver's, and the device shall see that we are not that one.
            taken if stands == Some(taken) => Self::after(memory, status, taken),
            _ => Self::after(memory, status, self.generation),
        }
    }

    fn after<M: SharedMemory>(memory: &M, status: StatusWord, before: u32) -> Self {
        let generation = following(before);
        status.store(memory, Status::RESET);
        let line = status.line(raw::DRIVER_LINE);
        line.write(memory, generation, 0);
        Self {
            status,
            generation,
            device: 0,
            stage: DriverStage::Quieting,
        }
    }

    /// Our generation: the one to attach with.
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// What to do now; call it at each wake-up and before each batch. Before [`DriverLife::ready`] that is to wait or to prepare.
    pub fn step<M: SharedMemory>(&mut self, memory: &M) -> DriverStep {
        let theirs = self.status.line(raw::DEVICE_LINE);
        let device = theirs.generation(memory);
        match self.stage {
            DriverStage::Quieting => {
                if device.is_none() || theirs.echo(memory) != self.generation {
                    return DriverStep::Wait;
                }
                self.device = device.unwrap_or(0);
                self.stage = DriverStage::Preparing;
                DriverStep::Prepare
            }
            DriverStage::Preparing => DriverStep::Prepare,
            DriverStage::Running => {
                let ours = self.status.line(raw::DRIVER_LINE).generation(memory);
                if ours != Some(self.generation) {
                    return DriverStep::Restart(RestartSign::TableCleared);
                }
                if device.unwrap_or(0) != self.device {
                    return DriverStep::Restart(RestartSign::Generation);
                }
                DriverStep::Run
            }
        }
    }

    /// The time limit is over: go on without the device's word (L5). It is one that speaks no generations, or does not run yet.
    pub fn wait_no_longer<M: SharedMemory>(&mut self, memory: &M) {
        if self.stage == DriverStage::Quieting {
            let theirs = self.status.line(raw::DEVICE_LINE);
            self.device = theirs.generation(memory).unwrap_or(0);
            self.stage = DriverStage::Preparing;
        }
    }

    /// The rings are prepared: lets the device have them (L6); kick both rings afterwards.
    pub fn ready<M: SharedMemory>(&mut self, memory: &M) {
        if self.stage == DriverStage::Preparing {
            let line = self.status.line(raw::DRIVER_LINE);
            // The echo alone: a line that was cleared meanwhile must stay so, for the next step to see (L12).
            line.write_echo(memory, self.device);
            self.status.store(memory, Status::READY);
            self.stage = DriverStage::Running;
        }
    }

    /// Lets go of the device (L10); kick both rings afterwards.
    pub fn detach<M: SharedMemory>(self, memory: &M) {
        self.status.store(memory, Status::RESET);
        let line = self.status.line(raw::DRIVER_LINE);
        line.write(memory, following(self.generation), 0);
    }
}

/// The device's part: wait for DRIVER_OK, leave the rings alone when the driver changes.
#[derive(Clone, Debug)]
pub struct DeviceLife {
    status: StatusWord,
    generation: u32,
    /// The driver's generation which we echoed; `None`: it speaks none.
    driver: Option<u32>,
    stage: DeviceStage,
    attachments: u32,
    /// We write the ring that we send in.
    prepares: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DeviceStage {
    Waiting,
    /// Our ring is being prepared for this driver's generation.
    Preparing(u32),
    Running,
    /// A driver without generations broke the rings; only its next reset makes them usable.
    Shunning,
}

/// What the device has to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceStep {
    /// Leave the rings alone; wait for a kick, and look again from time to time (detaching rings no bell).
    Wait,
    /// Our generation line changed: kick both rings, then step again.
    Kick,
    /// Prepare the ring that we send in, then call [`DeviceLife::ready`]; only on a symmetric link.
    Prepare,
    /// The rings are ours to join: attach with this generation.
    Attach(u32),
    /// The link is valid.
    Run,
    /// The link is gone; drop it, then step again.
    Detach(RestartSign),
}

impl DeviceLife {
    /// Starts a generation of this device (L1, L2); kick both rings afterwards.
    pub fn begin<M: SharedMemory>(memory: &M, status: StatusWord) -> Self {
        let line = status.line(raw::DEVICE_LINE);
        let before = line.generation(memory);
        let generation = following(before.unwrap_or_else(|| line.seed(memory)));
        line.write(memory, generation, 0);
        Self {
            status,
            generation,
            driver: None,
            stage: DeviceStage::Waiting,
            attachments: generation,
            prepares: false,
        }
    }

    /// The same on a symmetric link, where we write the ring that we send in (rpmsg-rings.md, R17).
    #[must_use]
    pub const fn symmetric(self) -> Self {
        Self {
            prepares: true,
            ..self
        }
    }

    /// Our generation.
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// What to do now; call it at each wake-up and before each batch.
    pub fn step<M: SharedMemory>(&mut self, memory: &M) -> DeviceStep {
        let theirs = self.status.line(raw::DRIVER_LINE);
        let driver = theirs.generation(memory);
        let ready = self.status.load(memory).is_ready();
        if self.stage == DeviceStage::Running {
            let sign = match (driver == self.driver, ready) {
                (true, true) => return DeviceStep::Run,
                (true, false) => RestartSign::StatusReset,
                (false, _) => RestartSign::Generation,
            };
            self.stage = DeviceStage::Waiting;
            self.forget_ring();
            return DeviceStep::Detach(sign);
        }
        if driver != self.driver {
            // We are off the rings here, so this is the moment at which the driver may write them (L4).
            let Some(generation) = driver.filter(|_| self.prepares) else {
                self.answer(memory, driver);
                return DeviceStep::Kick;
            };
            // And we may write ours, unless it is still read by one that is attached to the device before us (R17).
            if theirs.echo(memory) != 0 {
                self.stage = DeviceStage::Waiting;
                return DeviceStep::Wait;
            }
            self.stage = DeviceStage::Preparing(generation);
            return DeviceStep::Prepare;
        }
        if !ready {
            self.stage = DeviceStage::Waiting;
            return DeviceStep::Wait;
        }
        // A driver that speaks generations must have prepared the rings for us, not for the firmware before us (L7).
        let for_us = match driver {
            Some(_) => theirs.echo(memory) == self.generation,
            None => !self.prepares,
        };
        if !for_us && self.line().generation(memory) != Some(self.generation) {
            // They were prepared for another device, whose last words stand where ours did: we would wait for ever (L12).
            self.renew(memory);
            return DeviceStep::Kick;
        }
        if self.stage == DeviceStage::Shunning || !for_us {
            return DeviceStep::Wait;
        }
        self.stage = DeviceStage::Running;
        self.attachments = following(self.attachments);
        DeviceStep::Attach(self.attachments)
    }

    /// The ring that we send in is prepared: lets the driver have it, for whose generation that was (R17); kick both rings afterwards.
    pub fn ready<M: SharedMemory>(&mut self, memory: &M) {
        if let DeviceStage::Preparing(generation) = self.stage {
            self.answer(memory, Some(generation));
        }
    }

    /// What we wrote for a link that is over serves no other one, whatever its first side says: the ring is prepared anew (R17).
    const fn forget_ring(&mut self) {
        if self.prepares {
            self.driver = None;
        }
    }

    /// Echoes the driver's generation (L4).
    fn answer<M: SharedMemory>(&mut self, memory: &M, driver: Option<u32>) {
        self.driver = driver;
        self.stage = DeviceStage::Waiting;
        let line = self.line();
        line.write(memory, self.generation, driver.unwrap_or(0));
    }

    /// The link broke ([`Error::breaks_link`]): drop it, and ask for another by a new generation (L9); kick both rings afterwards.
    pub fn renew<M: SharedMemory>(&mut self, memory: &M) {
        self.forget_ring();
        self.stage = match self.driver {
            Some(_) => DeviceStage::Waiting,
            None => DeviceStage::Shunning,
        };
        let stands = self.line().generation(memory);
        self.generation = match following(self.generation) {
            // Another device's, and the driver shall see that we are not that one.
            taken if stands == Some(taken) => following(taken),
            next => next,
        };
        let line = self.line();
        line.write(memory, self.generation, self.driver.unwrap_or(0));
    }

    fn line(&self) -> Line {
        self.status.line(raw::DEVICE_LINE)
    }
}

/// One side's line in the table page, written by that side only.
struct Line {
    at: u32,
}

impl Line {
    /// The owner's generation, if there is an owner.
    fn generation<M: SharedMemory>(&self, memory: &M) -> Option<u32> {
        memory.invalidate(self.at, raw::LINE_SIZE);
        let generation = self.word(memory, raw::LINE_GENERATION);
        let magic = self.word(memory, raw::LINE_MAGIC);
        (magic == raw::GENERATION_MAGIC && generation != 0).then_some(generation)
    }

    /// The peer's generation for which its owner is off the rings, or has prepared them.
    fn echo<M: SharedMemory>(&self, memory: &M) -> u32 {
        self.word(memory, raw::LINE_ECHO)
    }

    fn seed<M: SharedMemory>(&self, memory: &M) -> u32 {
        self.word(memory, raw::LINE_SEED)
    }

    fn word<M: SharedMemory>(&self, memory: &M, offset: u32) -> u32 {
        memory.load_u32(self.at.wrapping_add(offset), Ordering::Acquire)
    }

    fn write_echo<M: SharedMemory>(&self, memory: &M, echo: u32) {
        let at = self.at.wrapping_add(raw::LINE_ECHO);
        memory.invalidate(self.at, raw::LINE_SIZE);
        memory.store_u32(at, echo, Ordering::Release);
        memory.clean(self.at, raw::LINE_SIZE);
        memory.fence();
    }

    fn write<M: SharedMemory>(&self, memory: &M, generation: u32, echo: u32) {
        self.store(
            memory,
            [
                (raw::LINE_ECHO, echo),
                (raw::LINE_GENERATION, generation),
                (raw::LINE_MAGIC, raw::GENERATION_MAGIC),
            ],
        );
    }

    /// The magic last, so that a line is whole where it is there.
    fn store<M: SharedMemory>(&self, memory: &M, words: [(u32, u32); 3]) {
        for (offset, value) in words {
            memory.store_u32(self.at.wrapping_add(offset), value, Ordering::Release);
        }
        memory.clean(self.at, raw::LINE_SIZE);
        memory.fence();
    }
}

/// The next generation; 0 is none.
const fn following(generation: u32) -> u32 {
    match generation.wrapping_add(1) {
        0 => 1,
        next => next,
    }
}

const TABLE_PAGE: u32 = 0x1000;
/// Behind type, id, notify id, two feature words and the length of the configuration.
const STATUS_OFFSET: u32 = 24;
/// How far in front of it the second feature word stands.
const ACCEPTED_BEFORE_STATUS: u32 = 8;
