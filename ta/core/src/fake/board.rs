//! The PTA of a machine with memory, reset lines and a core behind it, in one process.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::{Ref, RefCell, RefMut};
use core::fmt;

use platform::Platform;
use ta_protocol::global_platform::{ACCESS_DENIED, BAD_PARAMETERS, BAD_STATE};
use ta_protocol::pta::{LineState, Region, access};

use crate::actors::{
    Failure, Isolation, Memory, OutOfBounds, Piece, RecordBuffer, RegionList, Reset, Sight,
    Source as _,
};
use crate::fake::Source;

/// A handle to the machine; clones see the same one.
#[derive(Clone)]
pub struct Board {
    machine: Rc<RefCell<Machine>>,
}

/// Bytes of one memory range. The simulator puts a mapping shared with its core here.
pub trait Plain {
    /// Copies out of the range.
    fn read(&self, at: usize, into: &mut [u8]);
    /// Copies into the range.
    fn write(&mut self, at: usize, from: &[u8]);
}

/// The core behind a reset line. The simulator puts its core here.
pub trait Model {
    /// The line was released: begin with what memory holds.
    fn release(&mut self);
    /// The line was asserted.
    fn hold(&mut self);
    /// What the platform sees of the core.
    fn look(&mut self) -> LineState;
}

/// How a machine differs from a well-made one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// It does not differ.
    Sound,
    /// The PTA has the upstream commands only: no isolation, no state, no record.
    UpstreamOnly,
    /// The PTA lists private memory with Linux among those who reach it.
    ReachableByLinux,
    /// The PTA lists private memory with other bus masters among those who reach it.
    ReachableByOthers,
    /// The PTA maps private memory into the window shared with Linux.
    PrivateInWindow,
    /// The PTA does not list private memory.
    PrivateUnlisted,
    /// The PTA lists everything as it should, and isolates nothing: its generation stays 0.
    NeverIsolated,
}

/// The calls that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// [`Memory::isolate`]
    Isolate,
    /// [`Memory::copy_hashed`]
    Copy,
    /// [`Memory::zero`]
    Zero,
    /// [`Memory::wipe`]
    Wipe,
    /// [`Memory::record`]
    Record,
    /// [`Reset::start`]
    Start,
    /// [`Reset::stop`]
    Stop,
    /// [`Reset::state`]
    State,
}

/// What the PTA moved since power-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bytes copied to core memory.
    pub copied: u64,
    /// Bytes hashed there.
    pub hashed: u64,
    /// Bytes zeroed by ranges.
    pub zeroed: u64,
    /// Private memories zeroed whole.
    pub wipes: u64,
}

impl Board {
    /// The machine of a platform file, its memory filled with a pattern that is not zero.
    pub fn new(platform: &Platform) -> Self {
        let cores = platform
            .cores()
            .iter()
            .map(|core| (core.id(), Core::new(core)))
            .collect();
        let machine = Machine {
            cores,
            variant: Variant::Sound,
            failures: Vec::new(),
        };
        Self {
            machine: Rc::new(RefCell::new(machine)),
        }
    }

    /// Makes the machine a bad one, or a good one again.
    pub fn set_variant(&self, variant: Variant) {
        self.machine.borrow_mut().variant = variant;
    }

    /// Lets the next `call` fail with a GlobalPlatform number.
    pub fn fail_next(&self, call: Call, number: u32) {
        self.fail_after(call, 0, number);
    }

    /// Lets one `call` fail after `good` more that do not.
    pub fn fail_after(&self, call: Call, good: u32, number: u32) {
        let failure = (call, good, Failure(number));
        self.machine.borrow_mut().failures.push(failure);
    }

    /// Puts other memory behind the shared window.
    pub fn set_window(&self, core: u32, memory: Box<dyn Plain>) {
        self.core_mut(core).window.memory = memory;
    }

    /// Puts other memory behind the private region that begins at `device`.
    pub fn set_private(&self, core: u32, device: u64, memory: Box<dyn Plain>) {
        let mut core = self.core_mut(core);
        let region = core.private.iter_mut().find(|bank| bank.device == device);
        region.expect("a private region at this address").memory = memory;
    }

    /// Puts a core behind the reset line.
    pub fn set_model(&self, core: u32, model: Box<dyn Model>) {
        self.core_mut(core).model = model;
    }

    /// How many looks it takes until a core runs, and until it has halted.
    pub fn set_polls(&self, core: u32, start: u32, stop: u32) {
        self.core_mut(core).model = Box::new(Patient {
            start,
            stop,
            ..Patient::default()
        });
    }

    /// From now on the core does not halt when its line is asserted, until [`Board::let_halt`].
    pub fn keep_alive(&self, core: u32) {
        self.core_mut(core).stubborn = true;
    }

    /// The core halts after all.
    pub fn let_halt(&self, core: u32) {
        self.core_mut(core).stubborn = false;
    }

    /// The core dies by itself.
    pub fn crash(&self, core: u32) {
        self.core_mut(core).crashed = true;
    }

    /// Isolation is lost and made anew behind our back.
    pub fn lose_isolation(&self, core: u32) {
        let mut core = self.core_mut(core);
        core.generation += 1;
    }

    /// All private bytes in the order of the platform file.
    pub fn private(&self, core: u32) -> Vec<u8> {
        let banks: Vec<_> = self.core(core).private.iter().map(Bank::bytes).collect();
        banks.concat()
    }

    /// All bytes of the shared window.
    pub fn window(&self, core: u32) -> Vec<u8> {
        self.core(core).window.bytes()
    }

    /// Writes to core memory as the core or another bus master would.
    pub fn poke(&self, core: u32, device: u64, bytes: &[u8]) {
        let mut core = self.core_mut(core);
        let (bank, at) = core.bank(device, bytes.len() as u64).expect("core memory");
        bank.memory.write(at, bytes);
    }

    /// The record as last written.
    pub fn record_of(&self, core: u32) -> Vec<u8> {
        self.core(core).record.clone()
    }

    /// Overwrites the record.
    pub fn set_record(&self, core: u32, bytes: &[u8]) {
        self.core_mut(core).record = bytes.to_vec();
    }

    /// What was moved since power-up.
    pub fn counters(&self, core: u32) -> Counters {
        self.core(core).counters
    }

    /// Whether the reset line is asserted.
    pub fn is_held(&self, core: u32) -> bool {
        !self.core(core).released
    }

    fn core(&self, id: u32) -> Ref<'_, Core> {
        Ref::map(self.machine.borrow(), |machine| &machine.cores[&id])
    }

    fn core_mut(&self, id: u32) -> RefMut<'_, Core> {
        RefMut::map(self.machine.borrow_mut(), |machine| {
            machine.cores.get_mut(&id).expect("a core of the platform")
        })
    }

    /// What every PTA command checks first.
    fn enter(&self, call: Call, id: u32) -> Result<RefMut<'_, Core>, Failure> {
        let mut machine = self.machine.borrow_mut();
        let due = machine
            .failures
            .iter()
            .position(|(failing, good, _)| *failing == call && *good == 0);
        if let Some(due) = due {
            return Err(machine.failures.remove(due).2);
        }
        for (failing, good, _) in &mut machine.failures {
            if *failing == call {
                *good -= 1;
            }
        }
        if !machine.cores.contains_key(&id) {
            return Err(Failure::NOT_SUPPORTED);
        }
        drop(machine);
        Ok(self.core_mut(id))
    }

    fn variant(&self) -> Variant {
        self.machine.borrow().variant
    }
}

impl Memory for Board {
    type Source = Source;

    fn isolate(&mut self, core: u32, list: &mut RegionList) -> Result<Isolation, Failure> {
        let variant = self.variant();
        let mut core = self.enter(Call::Isolate, core)?;
        if variant == Variant::UpstreamOnly {
            return Err(Failure::NOT_SUPPORTED);
        }
        core.halted()?;
        if variant != Variant::NeverIsolated {
            core.generation = core.generation.max(1);
            core.isolated = true;
        }
        let regions = core.list(variant);
        for region in &regions {
            // Entries that do not fit show in the count only, as with a short memref.
            let _ = list.push(region.to_bytes());
        }
        Ok(Isolation {
            generation: core.generation,
            entries: regions.len() as u32,
        })
    }

    fn copy_hashed(
        &mut self,
        core: u32,
        from: Piece<'_, Source>,
        device: u64,
        digest: &[u8; 32],
    ) -> Result<(), Failure> {
        let mut core = self.enter(Call::Copy, core)?;
        core.halted()?;
        let bytes = match from {
            Piece::Own(bytes) => bytes.to_vec(),
            Piece::Client { source, at, length } => {
                let mut bytes = vec![0; length as usize];
                source
                    .read(at, &mut bytes)
                    .map_err(|OutOfBounds| Failure(BAD_PARAMETERS))?;
                bytes
            }
        };
        core.counters.copied += bytes.len() as u64;
        core.counters.hashed += bytes.len() as u64;
        let (bank, at) = core.bank(device, bytes.len() as u64)?;
        bank.memory.write(at, &bytes);
        let mut copied = vec![0; bytes.len()];
        bank.memory.read(at, &mut copied);
        if certificate_chain::sha256(&[&copied]) == *digest {
            return Ok(());
        }
        bank.memory.write(at, &vec![0; bytes.len()]);
        Err(Failure::DIGEST)
    }

    fn zero(&mut self, core: u32, device: u64, length: u64) -> Result<(), Failure> {
        let mut core = self.enter(Call::Zero, core)?;
        core.halted()?;
        core.counters.zeroed += length;
        let (bank, at) = core.bank(device, length)?;
        bank.memory.write(at, &vec![0; length as usize]);
        Ok(())
    }

    fn wipe(&mut self, core: u32) -> Result<(), Failure> {
        let mut core = self.enter(Call::Wipe, core)?;
        core.halted()?;
        core.counters.wipes += 1;
        for bank in &mut core.private {
            bank.memory.write(0, &vec![0; bank.size as usize]);
        }
        Ok(())
    }

    fn record(&mut self, core: u32, bytes: &[u8]) -> Result<(), Failure> {
        let variant = self.variant();
        let mut core = self.enter(Call::Record, core)?;
        if variant == Variant::UpstreamOnly {
            return Err(Failure::NOT_SUPPORTED);
        }
        if bytes.len() > RecordBuffer::CAPACITY {
            return Err(Failure(BAD_PARAMETERS));
        }
        core.record = bytes.to_vec();
        Ok(())
    }
}

impl Reset for Board {
    fn start(&mut self, core: u32) -> Result<(), Failure> {
        let mut core = self.enter(Call::Start, core)?;
        core.halted()?;
        core.released = true;
        core.crashed = false;
        core.starts += 1;
        core.model.release();
        Ok(())
    }

    fn stop(&mut self, core: u32) -> Result<(), Failure> {
        let mut core = self.enter(Call::Stop, core)?;
        if !core.released {
            return Err(Failure(BAD_STATE));
        }
        core.released = false;
        core.crashed = false;
        core.model.hold();
        Ok(())
    }

    fn state(&mut self, core: u32, record: &mut RecordBuffer) -> Result<Sight, Failure> {
        let variant = self.variant();
        let mut core = self.enter(Call::State, core)?;
        if variant == Variant::UpstreamOnly {
            return Err(Failure::NOT_SUPPORTED);
        }
        record.length = core.record.len();
        record.bytes[..core.record.len()].copy_from_slice(&core.record);
        Ok(Sight {
            line: core.look(),
            generation: core.generation,
            starts: core.starts,
            isolated: core.isolated,
        })
    }
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Board").finish_non_exhaustive()
    }
}

struct Machine {
    cores: BTreeMap<u32, Core>,
    variant: Variant,
    failures: Vec<(Call, u32, Failure)>,
}

struct Core {
    private: Vec<Bank>,
    window: Bank,
    model: Box<dyn Model>,
    released: bool,
    crashed: bool,
    stubborn: bool,
    isolated: bool,
    generation: u32,
    starts: u32,
    record: Vec<u8>,
    counters: Counters,
}

impl Core {
    fn new(core: &platform::Core) -> Self {
        let bank = |physical, device, size: u64| Bank {
            physical,
            device,
            size,
            memory: Box::new(vec![STALE; size as usize]),
        };
        let window = core.shared();
        Self {
            private: core
                .private_regions()
                .iter()
                .map(|region| bank(region.physical(), region.device(), region.size()))
                .collect(),
            window: bank(window.physical(), window.device(), window.size()),
            model: Box::new(Patient {
                start: 1,
                stop: 0,
                ..Patient::default()
            }),
            released: false,
            crashed: false,
            stubborn: false,
            isolated: false,
            generation: 0,
            starts: 0,
            record: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// The PTA's view: a core that crashed stays so until its line is asserted.
    fn look(&mut self) -> LineState {
        if self.crashed {
            return LineState::Crashed;
        }
        match self.model.look() {
            LineState::Halted if self.stubborn => LineState::Stopping,
            seen => seen,
        }
    }

    fn halted(&mut self) -> Result<(), Failure> {
        if self.look() == LineState::Halted {
            Ok(())
        } else {
            Err(Failure(BAD_STATE))
        }
    }

    fn bank(&mut self, device: u64, length: u64) -> Result<(&mut Bank, usize), Failure> {
        let all = self.private.iter_mut().chain([&mut self.window]);
        for bank in all {
            let inside = device.checked_sub(bank.device);
            let end = inside.and_then(|at| at.checked_add(length));
            if let (Some(at), Some(end)) = (inside, end)
                && end <= bank.size
            {
                return Ok((bank, at as usize));
            }
        }
        Err(Failure(ACCESS_DENIED))
    }

    fn list(&self, variant: Variant) -> Vec<Region> {
        let alone = access::SECURE_WORLD | access::THIS_CORE;
        let reach = match variant {
            Variant::ReachableByLinux => alone | access::NORMAL_WORLD,
            Variant::ReachableByOthers => alone | access::OTHER_MASTERS,
            _ => alone,
        };
        let mut list = vec![self.window.entry(access::ALL)];
        if variant != Variant::PrivateUnlisted {
            list.extend(self.private.iter().map(|bank| bank.entry(reach)));
        }
        if variant == Variant::PrivateInWindow {
            for entry in &mut list {
                entry.physical = self.window.physical;
            }
        }
        list
    }
}

struct Bank {
    physical: u64,
    device: u64,
    size: u64,
    memory: Box<dyn Plain>,
}

impl Bank {
    fn entry(&self, access: u32) -> Region {
        Region {
            physical: self.physical,
            device: self.device,
            size: self.size,
            access,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.size as usize];
        self.memory.read(0, &mut bytes);
        bytes
    }
}

impl Plain for Vec<u8> {
    fn read(&self, at: usize, into: &mut [u8]) {
        into.copy_from_slice(&self[at..at + into.len()]);
    }

    fn write(&mut self, at: usize, from: &[u8]) {
        self[at..at + from.len()].copy_from_slice(from);
    }
}

/// A core that runs after some looks and halts after some.
#[derive(Default)]
struct Patient {
    start: u32,
    stop: u32,
    released: bool,
    left: u32,
}

impl Model for Patient {
    fn release(&mut self) {
        self.released = true;
        self.left = self.start;
    }

    fn hold(&mut self) {
        self.released = false;
        self.left = self.stop;
    }

    fn look(&mut self) -> LineState {
        let run = match (self.released, self.left) {
            (true, 0) => LineState::Running,
            (true, _) => LineState::Starting,
            (false, 0) => LineState::Halted,
            (false, _) => LineState::Stopping,
        };
        self.left = self.left.saturating_sub(1);
        run
    }
}

/// What memory holds at power-up: never zero, so that a missing wipe shows.
const STALE: u8 = 0xa5;
