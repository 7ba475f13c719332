//! What the TA keeps of one core, and how it follows what the platform sees.

use core::fmt;

use platform::{Control, Core};
use ta_protocol::pta::{self, LineState};
use ta_protocol::{CoreState, Status, global_platform};

use crate::actors::{Actors, Cast, Failure, Memory as _, Piece, RecordBuffer, Reset as _};
use crate::actors::{Sha256 as _, Sight};
use crate::load::Load;
use crate::record::Image;
use crate::sessions::{Reason, SessionId};

/// What the TA keeps of one core. Made empty by the caller, who owns the memory; about 10 KiB.
pub struct Slot<A: Actors> {
    pub(crate) state: CoreState,
    /// The platform was asked since this TA began.
    pub(crate) met: bool,
    /// Starts since the platform's power-up, as last seen.
    pub(crate) starts: u32,
    /// The isolation in force when last seen; 0 for none.
    pub(crate) generation: u32,
    /// What is loaded.
    pub(crate) image: Option<Image>,
    /// The sanitised table of what is loaded, or of what is being loaded.
    pub(crate) master: Master,
    /// The load under way.
    pub(crate) load: Option<Load<A>>,
    /// Why the load of a living session ended without a command of its own.
    pub(crate) given_up: Option<(SessionId, Reason)>,
}

/// A resource table of at most [`resource_table::MAX_LENGTH`] bytes, and where it is published.
pub(crate) struct Master {
    bytes: [u8; resource_table::MAX_LENGTH],
    length: usize,
    device: u64,
}

impl<A: Actors> Slot<A> {
    /// A core of which nothing is known yet.
    pub const fn new() -> Self {
        Self {
            state: CoreState::Off,
            met: false,
            starts: 0,
            generation: 0,
            image: None,
            master: Master::NONE,
            load: None,
            given_up: None,
        }
    }

    /// Asks the platform what the core does, and follows it (ta-api.md 1.5, 5.5 and 5.6).
    pub(crate) fn follow(&mut self, core: &Core, cast: &mut Cast<A>) -> Result<(), Reason> {
        let mut record = RecordBuffer::new();
        let seen = match cast.reset.state(core.id(), &mut record) {
            Ok(sight) => Some(sight),
            // Without our extension the platform has no eyes: then what was commanded counts.
            Err(Failure::NOT_SUPPORTED) => None,
            Err(failure) => return Err(extension_failed(pta::Extension::State, failure)),
        };
        let sight = seen.unwrap_or_else(|| self.assumed());
        self.starts = sight.starts;
        self.generation = if sight.isolated { sight.generation } else { 0 };
        if core.control() == Control::AttachOnly {
            self.met = true;
            self.state = state_of(sight.line);
            return Ok(());
        }
        if self.met {
            return self.settle(sight.line, core, cast);
        }
        let image = record
            .bytes
            .get(..record.length)
            .and_then(Image::from_record);
        if sight.line != LineState::Halted {
            self.image = image;
            self.state = state_of(sight.line);
            self.met = true;
            return Ok(());
        }
        // Only memory that was loaded under this isolation and has not run since is what the record says.
        let pristine = image
            .filter(|image| image.generation == self.generation && image.starts == self.starts);
        if pristine.is_some() {
            self.image = pristine;
            self.state = CoreState::Loaded;
            self.met = true;
            return Ok(());
        }
        match self.wipe(core, cast) {
            Err(reason) if seen.is_none() && is_bad_state(reason) => {
                // A platform without eyes that refuses to wipe: the core runs, and can be stopped.
                self.state = CoreState::Running;
            }
            wiped => wiped?,
        }
        self.met = true;
        Ok(())
    }

    /// Ends in Off with all private memory zero. If that fails the core stays Stopping, and the next
    /// command tries again.
    pub(crate) fn wipe(&mut self, core: &Core, cast: &mut Cast<A>) -> Result<(), Reason> {
        self.state = CoreState::Stopping;
        self.end_load();
        // The record goes first: it must not outlive what it describes.
        record(core, cast, &[])?;
        cast.memory
            .wipe(core.id())
            .map_err(|failure| extension_failed(pta::Extension::Wipe, failure))?;
        self.image = None;
        self.master.clear();
        self.state = CoreState::Off;
        Ok(())
    }

    /// Publishes the master table, if there is one, at its place in the window.
    pub(crate) fn publish(&self, core: &Core, cast: &mut Cast<A>) -> Result<(), Reason> {
        let bytes = self.master.bytes();
        if bytes.is_empty() {
            return Ok(());
        }
        copy_own(core, cast, bytes, self.master.device)
    }

    /// Tells the device which start the coming one is, so that its generations differ from those of earlier
    /// starts (rpmsg-lifecycle.md L2). The table page was just cleared.
    pub(crate) fn publish_seed(&self, core: &Core, cast: &mut Cast<A>) -> Result<(), Reason> {
        if self.master.bytes().is_empty() {
            return Ok(());
        }
        let coming = self.starts.saturating_add(1).to_le_bytes();
        copy_own(core, cast, &coming, self.master.device.saturating_add(SEED))
    }

    /// Goes from the state known to the one the platform sees.
    fn settle(&mut self, line: LineState, core: &Core, cast: &mut Cast<A>) -> Result<(), Reason> {
        match (self.state, line) {
            (CoreState::Off | CoreState::Loading | CoreState::Loaded, LineState::Halted) => Ok(()),
            (CoreState::Stopping, LineState::Halted) => self.come_to_rest(core, cast),
            (CoreState::Stopping, _) => Ok(()),
            // Somebody else drove the line, so memory is no longer what it was.
            (_, LineState::Halted) => self.come_to_rest(core, cast),
            (_, line) => {
                self.end_load();
                self.state = state_of(line);
                Ok(())
            }
        }
    }

    /// The core halted after it ran: its memory goes, its table is as it was at LOAD (ta-api.md 3.3).
    fn come_to_rest(&mut self, core: &Core, cast: &mut Cast<A>) -> Result<(), Reason> {
        let published = self.publish(core, cast);
        self.wipe(core, cast)?;
        published
    }

    /// Ends a load under way. The table of what was never loaded is never published.
    fn end_load(&mut self) {
        if self.load.take().is_some() {
            self.master.clear();
        }
    }

    /// What a platform without eyes would see.
    fn assumed(&self) -> Sight {
        let line = match self.state {
            CoreState::Starting | CoreState::Running | CoreState::Crashed => LineState::Running,
            CoreState::Off | CoreState::Loading | CoreState::Loaded | CoreState::Stopping => {
                LineState::Halted
            }
        };
        Sight {
            line,
            generation: 0,
            starts: self.starts,
            isolated: false,
        }
    }
}

impl<A: Actors> Default for Slot<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: Actors> fmt::Debug for Slot<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Master {
    const NONE: Self = Self {
        bytes: [0; resource_table::MAX_LENGTH],
        length: 0,
        device: 0,
    };

    /// The table; empty if there is none.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&[])
    }

    pub(crate) fn clear(&mut self) {
        self.length = 0;
        self.device = 0;
    }

    /// Keeps `table`; it is as long as its type says, so it fits.
    pub(crate) fn keep(&mut self, table: &[u8], device: u64) {
        for (to, from) in self.bytes.iter_mut().zip(table) {
            *to = *from;
        }
        self.length = table.len().min(self.bytes.len());
        self.device = device;
    }
}

/// Copies bytes of ours to the window.
fn copy_own<A: Actors>(
    core: &Core,
    cast: &mut Cast<A>,
    bytes: &[u8],
    device: u64,
) -> Result<(), Reason> {
    let mut hash = A::Sha256::new();
    hash.update(bytes);
    cast.memory
        .copy_hashed(core.id(), Piece::Own(bytes), device, &hash.finish())
        .map_err(|failure| failed(pta::Command::LoadSegmentSha256, failure))
}

/// Keeps a record where the platform has a place for one.
pub(crate) fn record<A: Actors>(
    core: &Core,
    cast: &mut Cast<A>,
    bytes: &[u8],
) -> Result<(), Reason> {
    match cast.memory.record(core.id(), bytes) {
        Ok(()) | Err(Failure::NOT_SUPPORTED) => Ok(()),
        Err(failure) => Err(extension_failed(pta::Extension::Record, failure)),
    }
}

/// The platform's failure of an upstream command.
pub(crate) fn failed(command: pta::Command, failure: Failure) -> Reason {
    Reason::new(
        Status::PlatformFailed,
        command.number().into(),
        failure.0.into(),
    )
}

/// The platform's failure of a command of our extension; told apart by 0x100.
pub(crate) fn extension_failed(command: pta::Extension, failure: Failure) -> Reason {
    let number = u64::from(command.number()) | EXTENSION;
    Reason::new(Status::PlatformFailed, number, failure.0.into())
}

fn is_bad_state(reason: Reason) -> bool {
    reason.status == Status::PlatformFailed
        && reason.numbers.get(1) == Some(&u64::from(global_platform::BAD_STATE))
}

fn state_of(line: LineState) -> CoreState {
    match line {
        LineState::Halted => CoreState::Off,
        LineState::Starting => CoreState::Starting,
        LineState::Running => CoreState::Running,
        LineState::Crashed => CoreState::Crashed,
        LineState::Stopping => CoreState::Stopping,
    }
}

const EXTENSION: u64 = 0x100;
/// Where the seed lies in the table page: the fourth word of the device's generation line (rpmsg-lifecycle.md 1).
const SEED: u64 = platform::DEVICE_LINE + 12;
