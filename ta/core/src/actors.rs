//! Who the TA's logic talks to: memory, reset line, clock, cryptography, and the client's buffers.
//!
//! Each trait says what the logic needs of one party and no more. `ta` implements them over the PTA and
//! ring, [`crate::fake`] over bytes in a process.

use certificate_chain::Signer;
use firmware_bundle::SignatureCheck;
use ta_protocol::{global_platform, pta, pta::LineState};

/// The parties of one TA, as a family of types.
pub trait Actors {
    /// A client's input buffer.
    type Source: Source;
    /// A client's output buffer.
    type Sink: Sink;
    /// The platform's memory.
    type Memory: Memory<Source = Self::Source>;
    /// The platform's reset lines.
    type Reset: Reset;
    /// The time.
    type Clock: Clock;
    /// The pinned roots and the signature algorithms.
    type Signatures: SignatureCheck<Signer = Signer, Error = certificate_chain::Error>;
    /// SHA-256 over the bytes that are not loaded.
    type Sha256: Sha256;
}

/// The values behind the types of [`Actors`].
#[derive(Debug)]
pub struct Cast<A: Actors> {
    /// The platform's memory.
    pub memory: A::Memory,
    /// The platform's reset lines.
    pub reset: A::Reset,
    /// The time.
    pub clock: A::Clock,
    /// The pinned roots and the signature algorithms.
    pub signatures: A::Signatures,
}

/// An input buffer in normal-world memory, whose bytes may differ at every read.
pub trait Source {
    /// Bytes in the buffer; fixed for the time of one command.
    fn length(&self) -> u64;
    /// Copies `into.len()` bytes from offset `at` into our own memory, each byte read once.
    fn read(&self, at: u64, into: &mut [u8]) -> Result<(), OutOfBounds>;
}

/// An output buffer in normal-world memory. Never read.
pub trait Sink {
    /// Bytes the buffer can take.
    fn capacity(&self) -> u64;
    /// Writes `bytes` at offset `at`.
    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), OutOfBounds>;
}

/// The platform's memory, reached through the PTA. No call takes longer than 10 ms.
pub trait Memory {
    /// The client buffers this memory can copy from without passing through ours.
    type Source: Source;

    /// Locks the core's private memory, reset, boot vector and debug port against all but the secure
    /// world and the core, and lists who reaches what.
    fn isolate(&mut self, core: u32, list: &mut RegionList) -> Result<Isolation, Failure>;
    /// Copies to device address `device`, then hashes the destination; a destination whose SHA-256 is
    /// not `digest` is zeroed and refused with [`Failure::DIGEST`].
    fn copy_hashed(
        &mut self,
        core: u32,
        from: Piece<'_, Self::Source>,
        device: u64,
        digest: &[u8; 32],
    ) -> Result<(), Failure>;
    /// Fills `length` bytes from device address `device` with zero.
    fn zero(&mut self, core: u32, device: u64, length: u64) -> Result<(), Failure>;
    /// Zeroes every private region of the core; refused unless it is halted.
    fn wipe(&mut self, core: u32) -> Result<(), Failure>;
    /// Keeps `bytes` for the next instance of this TA; none clears it.
    fn record(&mut self, core: u32, bytes: &[u8]) -> Result<(), Failure>;
}

/// The core's reset line and what the platform sees of the core.
pub trait Reset {
    /// Lets the core run. Returns before it is known to run.
    fn start(&mut self, core: u32) -> Result<(), Failure>;
    /// Holds the core in reset. May return before it is halted.
    fn stop(&mut self, core: u32) -> Result<(), Failure>;
    /// What the platform sees now; the record last written goes into `record`.
    fn state(&mut self, core: u32, record: &mut RecordBuffer) -> Result<Sight, Failure>;
}

/// A clock that never goes back while the TA lives.
pub trait Clock {
    /// Milliseconds since a fixed point.
    fn now(&self) -> u64;
}

/// SHA-256, fed piece by piece.
pub trait Sha256 {
    /// A hash of no bytes yet.
    fn new() -> Self;
    /// Adds `bytes`.
    fn update(&mut self, bytes: &[u8]);
    /// The digest.
    fn finish(self) -> [u8; 32];
}

/// Where [`Memory::copy_hashed`] takes its bytes from.
#[derive(Debug)]
pub enum Piece<'a, S> {
    /// Bytes of the client's buffer.
    Client {
        /// The buffer.
        source: &'a S,
        /// First byte.
        at: u64,
        /// Number of bytes.
        length: u64,
    },
    /// Bytes of our own.
    Own(&'a [u8]),
}

/// What [`Memory::isolate`] achieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isolation {
    /// Counts every loss of isolation: two equal numbers say that nobody else had access in between.
    pub generation: u32,
    /// Entries the platform has; more than the list can hold is refused by the caller.
    pub entries: u32,
}

/// The list of [`Memory::isolate`] as it travels: each entry is judged when it is read.
#[derive(Clone, Debug)]
pub struct RegionList {
    entries: [[u8; pta::REGION_LENGTH]; pta::MAX_REGIONS],
    length: usize,
}

impl RegionList {
    /// No entry.
    pub const fn new() -> Self {
        Self {
            entries: [[0; pta::REGION_LENGTH]; pta::MAX_REGIONS],
            length: 0,
        }
    }

    /// Adds an entry; a full list refuses it.
    pub fn push(&mut self, entry: [u8; pta::REGION_LENGTH]) -> Result<(), OutOfBounds> {
        let free = self.entries.get_mut(self.length).ok_or(OutOfBounds)?;
        *free = entry;
        self.length = self.length.saturating_add(1);
        Ok(())
    }

    /// The entries in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = &[u8; pta::REGION_LENGTH]> {
        self.entries.iter().take(self.length)
    }
}

impl Default for RegionList {
    fn default() -> Self {
        Self::new()
    }
}

/// What the platform sees of a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// What the core does.
    pub line: LineState,
    /// The generation of the isolation in force, 0 if it never was isolated.
    pub generation: u32,
    /// Starts since the platform's power-up.
    pub starts: u32,
    /// The isolation of `generation` is in force.
    pub isolated: bool,
}

/// The record the PTA keeps for the next instance of the TA.
#[derive(Clone, Debug)]
pub struct RecordBuffer {
    /// Its bytes; those behind `length` have no meaning.
    pub bytes: [u8; Self::CAPACITY],
    /// How many there are; 0 for none.
    pub length: usize,
}

impl RecordBuffer {
    /// Most bytes of a record.
    pub const CAPACITY: usize = pta::MAX_RECORD;

    /// No record.
    pub const fn new() -> Self {
        Self {
            bytes: [0; Self::CAPACITY],
            length: 0,
        }
    }
}

impl Default for RecordBuffer {
    fn default() -> Self {
        Self::new()
    }
}

/// What the PTA answered instead of success: a GlobalPlatform number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the platform answered {0:#010x}")]
pub struct Failure(pub u32);

impl Failure {
    /// The platform's part does not know this command, or there is no such part.
    pub const NOT_SUPPORTED: Self = Self(global_platform::NOT_SUPPORTED);
    /// The bytes copied have another digest than they should (TEE_ERROR_SECURITY).
    pub const DIGEST: Self = Self(global_platform::SECURITY);
}

/// An offset outside a client's buffer, or one entry too many for a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("outside the buffer")]
pub struct OutOfBounds;
