//! The platform's PTA, called as docs/pta-api.md says.
#![expect(unsafe_code, reason = "other TAs are called through the TEE's API")]

use alloc::rc::Rc;
use core::cell::RefCell;
use core::ptr::{self, NonNull};

use alloc::vec::Vec;
use optee_utee_sys::{
    Memref, TEE_CloseTASession, TEE_InvokeTACommand, TEE_OpenTASession, TEE_PARAM_TYPES, TEE_Param,
    TEE_TASessionHandle, TEE_TIMEOUT_INFINITE, TEE_UUID, Value,
};
use ta_core::actors::{
    Failure, Isolation, Memory, OutOfBounds, Piece, RecordBuffer, RegionList, Reset, Sight,
};
use ta_protocol::global_platform::{BAD_FORMAT, BAD_PARAMETERS, SUCCESS};
use ta_protocol::pta::{
    Command, EXTENSION_UUID, EXTENSION_VERSION, Extension, LineState, MAX_REGIONS, REGION_LENGTH,
    UUID,
};
use ta_protocol::{Parameter, Uuid, Words};

use crate::client::Source;

/// The platform. Its sessions are opened at first use, one for each core and one for the extension.
#[derive(Clone, Debug)]
pub(crate) struct Platform(Rc<RefCell<Sessions>>);

#[derive(Debug)]
struct Sessions {
    cores: Vec<(u32, TEE_TASessionHandle)>,
    extension: Option<TEE_TASessionHandle>,
}

impl Platform {
    /// A platform that was not called yet.
    pub(crate) fn new() -> Self {
        let sessions = Sessions {
            cores: Vec::new(),
            extension: None,
        };
        Self(Rc::new(RefCell::new(sessions)))
    }

    fn upstream(
        &self,
        core: u32,
        command: Command,
        rest: [Slot; 3],
    ) -> Result<[TEE_Param; 4], Failure> {
        let session = self.core_session(core)?;
        let [one, two, three] = rest;
        let slots = [Slot::Input(core, 0), one, two, three];
        invoke(session, command.number(), slots)
    }

    fn extension(
        &self,
        core: u32,
        command: Extension,
        rest: [Slot; 3],
    ) -> Result<[TEE_Param; 4], Failure> {
        let session = self.extension_session()?;
        let [one, two, three] = rest;
        let slots = [Slot::Input(core, 0), one, two, three];
        invoke(session, command.number(), slots)
    }

    fn core_session(&self, core: u32) -> Result<TEE_TASessionHandle, Failure> {
        let mut sessions = self.0.borrow_mut();
        if let Some((_, session)) = sessions.cores.iter().find(|(id, _)| *id == core) {
            return Ok(*session);
        }
        let session = open(UUID, Slot::Input(core, 0))?;
        suits(session, has_capabilities(session, core))?;
        sessions.cores.push((core, session));
        Ok(session)
    }

    /// The extension; [`Failure::NOT_SUPPORTED`] where there is none, or one of another major version.
    fn extension_session(&self) -> Result<TEE_TASessionHandle, Failure> {
        let mut sessions = self.0.borrow_mut();
        if let Some(session) = sessions.extension {
            return Ok(session);
        }
        let session = match open(EXTENSION_UUID, Slot::None) {
            Err(Failure(ITEM_NOT_FOUND)) => return Err(Failure::NOT_SUPPORTED),
            opened => opened?,
        };
        suits(session, has_our_version(session))?;
        sessions.extension = Some(session);
        Ok(session)
    }
}

/// What a test variant of the platform counted since OP-TEE's start.
#[cfg(corewarden_test)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    /// Bytes copied, as a 64-bit number.
    pub(crate) copied: Words,
    /// Bytes hashed, as a 64-bit number.
    pub(crate) hashed: Words,
    /// Microseconds spent copying and hashing, and setting memory.
    pub(crate) times: Words,
}

#[cfg(corewarden_test)]
impl Platform {
    /// pta-api.md 3.6
    pub(crate) fn counters(&self, core: u32) -> Result<Counted, Failure> {
        let slots = [Slot::Output, Slot::Output, Slot::Output];
        let [_, copied, hashed, times] = self.extension(core, Extension::Counters, slots)?;
        Ok(Counted {
            copied: words(&copied),
            hashed: words(&hashed),
            times: words(&times),
        })
    }
}

impl Memory for Platform {
    type Source = Source;

    fn isolate(&mut self, core: u32, list: &mut RegionList) -> Result<Isolation, Failure> {
        let mut entries = [[0_u8; REGION_LENGTH]; MAX_REGIONS];
        let into = Slot::writable(entries.as_flattened_mut());
        let answer = self.extension(core, Extension::Isolate, [Slot::Output, into, Slot::None])?;
        let [_, counts, written, _] = answer;
        let counts = words(&counts);
        for entry in entries.iter().take(size(&written) / REGION_LENGTH) {
            list.push(*entry)
                .map_err(|OutOfBounds| Failure(BAD_FORMAT))?;
        }
        Ok(Isolation {
            generation: counts.a,
            entries: counts.b,
        })
    }

    fn copy_hashed(
        &mut self,
        core: u32,
        from: Piece<'_, Source>,
        device: u64,
        digest: &[u8; 32],
    ) -> Result<(), Failure> {
        let bytes = match from {
            Piece::Own(bytes) => Slot::readable(bytes),
            // Not through our memory: the PTA copies once, and hashes its copy.
            Piece::Client { source, at, length } => {
                let part = source.part(at, length);
                let (first, length) = part.map_err(|OutOfBounds| Failure(BAD_PARAMETERS))?;
                Slot::Readable(first, length)
            }
        };
        let slots = [bytes, Slot::number(device), Slot::readable(digest)];
        self.upstream(core, Command::LoadSegmentSha256, slots)
            .map(drop)
    }

    fn zero(&mut self, core: u32, device: u64, length: u64) -> Result<(), Failure> {
        let slots = [
            Slot::number(device),
            Slot::number(length),
            Slot::Input(0, 0),
        ];
        self.upstream(core, Command::SetMemory, slots).map(drop)
    }

    fn wipe(&mut self, core: u32) -> Result<(), Failure> {
        let none = || [Slot::None, Slot::None, Slot::None];
        match self.extension(core, Extension::Wipe, none()) {
            // Upstream's way; it also ends the isolation, which such a platform does not have.
            Err(Failure::NOT_SUPPORTED) => self.upstream(core, Command::Release, none()).map(drop),
            wiped => wiped.map(drop),
        }
    }

    fn record(&mut self, core: u32, bytes: &[u8]) -> Result<(), Failure> {
        let slots = [Slot::readable(bytes), Slot::None, Slot::None];
        self.extension(core, Extension::Record, slots).map(drop)
    }
}

impl Reset for Platform {
    fn start(&mut self, core: u32) -> Result<(), Failure> {
        let slots = [Slot::None, Slot::None, Slot::None];
        self.upstream(core, Command::FirmwareStart, slots).map(drop)
    }

    fn stop(&mut self, core: u32) -> Result<(), Failure> {
        let slots = [Slot::None, Slot::None, Slot::None];
        self.upstream(core, Command::FirmwareStop, slots).map(drop)
    }

    fn state(&mut self, core: u32, record: &mut RecordBuffer) -> Result<Sight, Failure> {
        let into = Slot::writable(&mut record.bytes);
        let slots = [Slot::Output, Slot::Output, into];
        let [_, line, starts, written] = self.extension(core, Extension::State, slots)?;
        record.length = size(&written).min(RecordBuffer::CAPACITY);
        let (line, starts) = (words(&line), words(&starts));
        Ok(Sight {
            line: LineState::from_number(line.a).ok_or(Failure(BAD_FORMAT))?,
            generation: line.b,
            starts: starts.a,
            isolated: starts.b & 1 != 0,
        })
    }
}

/// One parameter of a call to the PTA.
enum Slot {
    None,
    Input(u32, u32),
    Output,
    Readable(NonNull<u8>, usize),
    Writable(NonNull<u8>, usize),
}

impl Slot {
    fn number(number: u64) -> Self {
        let words = Words::from(number);
        Self::Input(words.a, words.b)
    }

    fn readable(bytes: &[u8]) -> Self {
        Self::Readable(NonNull::from_ref(bytes).cast(), bytes.len())
    }

    fn writable(bytes: &mut [u8]) -> Self {
        Self::Writable(NonNull::from_mut(bytes).cast(), bytes.len())
    }

    fn kind(&self) -> Parameter {
        match self {
            Self::None => Parameter::None,
            Self::Input(..) => Parameter::ValueInput,
            Self::Output => Parameter::ValueOutput,
            Self::Readable(..) => Parameter::MemrefInput,
            Self::Writable(..) => Parameter::MemrefOutput,
        }
    }

    fn param(&self) -> TEE_Param {
        match *self {
            Self::None | Self::Output => TEE_Param {
                value: Value { a: 0, b: 0 },
            },
            Self::Input(a, b) => TEE_Param {
                value: Value { a, b },
            },
            Self::Readable(first, size) | Self::Writable(first, size) => TEE_Param {
                memref: Memref {
                    buffer: first.as_ptr().cast(),
                    size,
                },
            },
        }
    }
}

fn open(uuid: Uuid, first: Slot) -> Result<TEE_TASessionHandle, Failure> {
    let (low, mid, high, node) = uuid.fields();
    let uuid = TEE_UUID {
        timeLow: low,
        timeMid: mid,
        timeHiAndVersion: high,
        clockSeqAndNode: node,
    };
    let none = Parameter::None.number();
    let types = TEE_PARAM_TYPES(first.kind().number(), none, none, none);
    let empty = Slot::None.param();
    let mut params = [first.param(), empty, empty, empty];
    let mut session = ptr::null_mut();
    let mut origin = 0;
    // SAFETY: every pointer is to a local of the type asked for, and the first parameter is a value or none.
    let answer = unsafe {
        TEE_OpenTASession(
            &uuid,
            TEE_TIMEOUT_INFINITE,
            types,
            params.as_mut_ptr(),
            &mut session,
            &mut origin,
        )
    };
    if answer == SUCCESS {
        Ok(session)
    } else {
        Err(Failure(answer))
    }
}

/// pta-api.md 2.1: ELF images, and a digest for each segment.
fn has_capabilities(session: TEE_TASessionHandle, core: u32) -> Result<bool, Failure> {
    let slots = [Slot::Input(core, 0), Slot::Output, Slot::Output, Slot::None];
    let [_, formats, protections, _] = invoke(session, Command::HwCapabilities.number(), slots)?;
    Ok(words(&formats).a & words(&protections).a & 1 != 0)
}

/// pta-api.md 3.1
fn has_our_version(session: TEE_TASessionHandle) -> Result<bool, Failure> {
    let slots = [Slot::Output, Slot::None, Slot::None, Slot::None];
    let [version, ..] = invoke(session, Extension::Version.number(), slots)?;
    Ok(words(&version).a >> 16 == EXTENSION_VERSION >> 16)
}

/// Closes a new session that is not the one we want: each command would open another, until OP-TEE's own heap is
/// used up.
fn suits(session: TEE_TASessionHandle, found: Result<bool, Failure>) -> Result<(), Failure> {
    let refused = match found {
        Ok(true) => return Ok(()),
        Ok(false) => Failure::NOT_SUPPORTED,
        Err(failure) => failure,
    };
    // SAFETY: the session was just opened, and nobody has kept its handle.
    unsafe { TEE_CloseTASession(session) };
    Err(refused)
}

fn invoke(
    session: TEE_TASessionHandle,
    command: u32,
    slots: [Slot; 4],
) -> Result<[TEE_Param; 4], Failure> {
    let [one, two, three, four] = slots.each_ref().map(|slot| slot.kind().number());
    let types = TEE_PARAM_TYPES(one, two, three, four);
    let mut params = slots.map(|slot| slot.param());
    let mut origin = 0;
    // SAFETY: the session is open, since none that is kept is ever closed; memory parameters point to as many bytes
    // as they say, borrowed by the caller or mapped for the client's command, both beyond this call.
    let answer = unsafe {
        TEE_InvokeTACommand(
            session,
            TEE_TIMEOUT_INFINITE,
            command,
            types,
            params.as_mut_ptr(),
            &mut origin,
        )
    };
    if answer == SUCCESS {
        Ok(params)
    } else {
        Err(Failure(answer))
    }
}

/// A value output's words.
fn words(param: &TEE_Param) -> Words {
    // SAFETY: both forms of the union are plain numbers, and every bit pattern is one.
    let value = unsafe { param.value };
    Words {
        a: value.a,
        b: value.b,
    }
}

/// How much was written to a memory output.
fn size(param: &TEE_Param) -> usize {
    // SAFETY: both forms of the union are plain numbers, and every bit pattern is one.
    let memref = unsafe { param.memref };
    memref.size
}

/// What OP-TEE answers where no TA has the UUID.
const ITEM_NOT_FOUND: u32 = 0xffff_0008;
