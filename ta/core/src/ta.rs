//! The TA itself: sessions, the shape of commands, and who may do what.

use core::fmt;

use firmware_bundle::MAX_TRAILER;
use platform::{Control, Core, Platform};
use ta_protocol::{
    Command, CoreState, LOAD_TIMEOUT_MS, Login, MAX_SESSIONS, MAX_TAIL, MAX_WHOLE_FILE,
    OPEN_SESSION, Parameter, Root, Status, Words, global_platform, pta,
};

use crate::actors::{Actors, Cast, Clock as _, Reset as _, Source as _};
use crate::legality::{Verdict, verdict};
use crate::load::{Scene, Tail, Wanted};
use crate::param::{Param, Params};
use crate::sessions::{Reason, Session, SessionId, Sessions};
use crate::slot::{self, Slot};

/// What was built into this TA.
#[derive(Clone, Copy, Debug)]
pub struct Device<'p> {
    /// The checked platform file.
    pub platform: &'p Platform,
    /// The pinned roots, to be told to who asks.
    pub roots: &'p [Root],
    /// A build for tests.
    pub test_build: bool,
}

/// Memory that the caller owns, for it is large.
#[derive(Debug)]
pub struct Storage<'p, A: Actors> {
    /// One for each core of the platform, each [`Slot::new`].
    pub slots: &'p mut [Slot<A>],
    /// Where trailers are judged.
    pub trailer: &'p mut [u8; MAX_TRAILER],
}

/// The TA's state and its decisions.
pub struct Ta<'p, A: Actors> {
    device: Device<'p>,
    storage: Storage<'p, A>,
    cast: Cast<A>,
    sessions: Sessions,
}

impl<'p, A: Actors> Ta<'p, A> {
    /// A TA that knows nothing of its cores yet: each is asked for at the first command.
    ///
    /// `None` if there is not one slot for each core.
    pub fn new(device: Device<'p>, cast: Cast<A>, storage: Storage<'p, A>) -> Option<Self> {
        if storage.slots.len() != device.platform.cores().len() {
            return None;
        }
        Some(Self {
            device,
            storage,
            cast,
            sessions: Sessions::new(),
        })
    }

    /// Opens a session, bound to the core that the parameters name (ta-api.md 2.1 to 2.4). To the client a
    /// refusal is [`Status::global_platform`] (1.4, 2.8).
    pub fn open_session(&mut self, login: u32, params: &Params<A>) -> Result<SessionId, Status> {
        check_shape(&OPEN_SESSION, params).map_err(|reason| reason.status)?;
        let core = value_input(params, 0).map_err(|reason| reason.status)?.a;
        if self.device.platform.core(core).is_none() {
            return Err(Status::UnknownCore);
        }
        self.sessions
            .open(core, login)
            .ok_or(Status::TooManySessions)
    }

    /// Closes a session. A load it had under way dies with it; a core it started keeps running (ta-api.md 2.7).
    pub fn close_session(&mut self, id: SessionId) {
        self.sessions.close(id);
        for (core, slot) in cores(self.device.platform, self.storage.slots) {
            if slot.load.as_ref().is_some_and(|load| load.session == id) {
                // If the wipe fails the core stays Stopping, and the next command tries again.
                let _ = slot.wipe(core, &mut self.cast);
            }
            if slot.given_up.is_some_and(|(session, _)| session == id) {
                slot.given_up = None;
            }
        }
    }

    /// Carries out a command and answers with its return value (ta-api.md 1.4).
    pub fn invoke(&mut self, id: SessionId, command: u32, params: &mut Params<A>) -> u32 {
        self.end_stale_loads();
        let Some(session) = self.sessions.find(id).copied() else {
            return global_platform::BAD_STATE;
        };
        let unknown = Reason::new(Status::UnsupportedCommand, command.into(), 0);
        let served = match Command::from_number(command) {
            Some(known) => self.serve(session, known, params),
            None => Err(unknown),
        };
        match served {
            Ok(()) => global_platform::SUCCESS,
            Err(reason) => {
                self.remember(id, reason);
                if command < FIRST_OF_OURS {
                    reason.status.global_platform()
                } else {
                    reason.status.number()
                }
            }
        }
    }

    /// The core that a session is bound to.
    pub fn core_of(&mut self, id: SessionId) -> Option<u32> {
        self.sessions.find(id).map(|session| session.core)
    }

    /// The actors, for who made them.
    pub fn cast_mut(&mut self) -> &mut Cast<A> {
        &mut self.cast
    }

    fn serve(
        &mut self,
        session: Session,
        command: Command,
        params: &mut Params<A>,
    ) -> Result<(), Reason> {
        // The order of ta-api.md 1.3.
        if command == Command::GetCoredump {
            return Err(self.no_coredump(session.core));
        }
        check_shape(&command.parameters(), params)?;
        if command.is_upstream() {
            let named = value_input(params, 0)?.a;
            if named != session.core {
                let numbers = (named.into(), session.core.into());
                return Err(Reason::new(Status::WrongCore, numbers.0, numbers.1));
            }
        }
        match command {
            Command::Version => return self.version(params),
            Command::LastError => return last_error::<A>(session, params),
            Command::TrustedRoots => return self.trusted_roots(params),
            _ => {}
        }
        let platform = self.device.platform;
        let unknown = Reason::new(Status::UnknownCore, session.core.into(), 0);
        let (core, slot) = cores(platform, self.storage.slots)
            .find(|(core, _)| core.id() == session.core)
            .ok_or(unknown)?;
        if command.acts() {
            may_act(core, session.login, command)?;
        }
        slot.follow(core, &mut self.cast)?;
        let mut scene = Scene {
            platform,
            core,
            cast: &mut self.cast,
            slot,
            trailer: self.storage.trailer,
        };
        scene.serve(session.id, command, params)
    }

    /// ta-api.md 3.5
    fn no_coredump(&self, core: u32) -> Reason {
        let number = Command::GetCoredump.number().into();
        match self.device.platform.core(core).map(Core::control) {
            Some(Control::AttachOnly) => Reason::new(Status::AttachOnly, core.into(), number),
            _ => Reason::new(Status::NotImplemented, number, 0),
        }
    }

    /// Gives up loads whose session said nothing for too long, whichever core this command is about
    /// (ta-api.md 5.4).
    fn end_stale_loads(&mut self) {
        let now = self.cast.clock.now();
        for (core, slot) in cores(self.device.platform, self.storage.slots) {
            let Some(load) = &slot.load else { continue };
            let passed = now.saturating_sub(load.touched);
            if passed > LOAD_TIMEOUT_MS.into() {
                let reason = Reason::new(Status::LoadTimedOut, passed, LOAD_TIMEOUT_MS.into());
                slot.given_up = Some((load.session, reason));
                // If the wipe fails the core stays Stopping, and the next command tries again.
                let _ = slot.wipe(core, &mut self.cast);
            }
        }
    }

    fn remember(&mut self, id: SessionId, reason: Reason) {
        if let Some(session) = self.sessions.find(id) {
            session.last_error = Some(reason);
        }
    }

    pub(crate) fn device(&self) -> &Device<'p> {
        &self.device
    }
}

impl<A: Actors> Scene<'_, A> {
    /// Carries out a command that looks at a core, in the state it was just seen in.
    fn serve(
        &mut self,
        session: SessionId,
        command: Command,
        params: &mut Params<A>,
    ) -> Result<(), Reason> {
        if command == Command::LoadContinue {
            self.explain_end(session)?;
        }
        match verdict(command, self.slot.state) {
            Verdict::Do => {}
            Verdict::Nothing => return Ok(()),
            Verdict::Refuse(status) => return Err(self.refusal(status, command)),
        }
        match command {
            Command::LoadFw => self.load_whole(session, params),
            Command::LoadBegin => self.load_begin(session, params),
            Command::LoadContinue => self.load_continue(session, params),
            Command::StartFw => self.start(),
            Command::StopFw => self.stop(),
            Command::ReleaseFw => self.release(),
            Command::GetRscTable => self.table_place(params),
            Command::MasterTable => self.master_table(params),
            Command::State => self.report(params),
            // Not about a core, or never legal.
            Command::Version
            | Command::LastError
            | Command::TrustedRoots
            | Command::GetCoredump => Err(self.refusal(Status::NotImplemented, command)),
        }
    }

    /// ta-api.md 3.1
    fn load_whole(&mut self, session: SessionId, params: &Params<A>) -> Result<(), Reason> {
        let source = memref_input::<A>(params, 1)?;
        let file = source.length();
        if file > MAX_WHOLE_FILE.into() {
            return Err(Reason::new(
                Status::FileTooLarge,
                file,
                MAX_WHOLE_FILE.into(),
            ));
        }
        if self.begin(session, &Tail { file, source })? != Wanted::DONE {
            self.take(source, 0)?;
        }
        Ok(())
    }

    /// ta-api.md 4.6
    fn load_begin(&mut self, session: SessionId, params: &mut Params<A>) -> Result<(), Reason> {
        let file = u64::from(value_input(params, 0)?);
        let source = memref_input::<A>(params, 1)?;
        let expected = file.min(MAX_TAIL.into());
        if source.length() != expected {
            return Err(Reason::new(Status::WrongLength, expected, source.length()));
        }
        let wanted = self.begin(session, &Tail { file, source })?;
        answer_wanted(params, wanted);
        Ok(())
    }

    /// ta-api.md 4.7
    fn load_continue(&mut self, session: SessionId, params: &mut Params<A>) -> Result<(), Reason> {
        let offset = u64::from(value_input(params, 0)?);
        let not_begun = Reason::new(Status::LoadNotBegun, self.core.id().into(), 0);
        let load = self.slot.load.as_ref().ok_or(not_begun)?;
        if load.session != session {
            return Err(not_begun);
        }
        let wanted = load.wanted();
        if offset != wanted.offset {
            return Err(Reason::new(Status::WrongOffset, wanted.offset, offset));
        }
        let source = memref_input::<A>(params, 1)?;
        if source.length() != wanted.length {
            return Err(Reason::new(
                Status::WrongLength,
                wanted.length,
                source.length(),
            ));
        }
        let wanted = self.take(source, offset)?;
        answer_wanted(params, wanted);
        Ok(())
    }

    /// ta-api.md 1.6 and 3.2
    fn start(&mut self) -> Result<(), Reason> {
        self.check_generation()?;
        self.cast
            .reset
            .start(self.core.id())
            .map_err(|failure| slot::failed(pta::Command::FirmwareStart, failure))?;
        self.slot.state = CoreState::Starting;
        self.slot.starts = self.slot.starts.saturating_add(1);
        self.slot.follow(self.core, self.cast)
    }

    /// Memory is only what was loaded while nobody else could reach it in between.
    fn check_generation(&mut self) -> Result<(), Reason> {
        let loaded = self.slot.image.as_ref().map(|image| image.generation);
        if loaded == Some(self.slot.generation) {
            return Ok(());
        }
        let now = self.slot.generation.into();
        self.slot.wipe(self.core, self.cast)?;
        let at_load = loaded.unwrap_or(0).into();
        Err(Reason::new(Status::GenerationChanged, at_load, now))
    }

    /// ta-api.md 1.6 and 3.3
    fn stop(&mut self) -> Result<(), Reason> {
        self.cast
            .reset
            .stop(self.core.id())
            .map_err(|failure| slot::failed(pta::Command::FirmwareStop, failure))?;
        self.slot.state = CoreState::Stopping;
        self.slot.follow(self.core, self.cast)
    }

    /// ta-api.md 3.6
    fn release(&mut self) -> Result<(), Reason> {
        let loading = self.slot.load.as_ref().map(|load| load.session);
        self.slot.wipe(self.core, self.cast)?;
        if let Some(session) = loading {
            let aborted = Reason::new(Status::LoadAborted, self.core.id().into(), 0);
            self.slot.given_up = Some((session, aborted));
        }
        Ok(())
    }

    /// Why this session's load is gone, told once.
    fn explain_end(&mut self, session: SessionId) -> Result<(), Reason> {
        match self.slot.given_up {
            Some((of, reason)) if of == session => {
                self.slot.given_up = None;
                Err(reason)
            }
            _ => Ok(()),
        }
    }

    /// The table's refusal, with the numbers that its status has.
    fn refusal(&self, status: Status, command: Command) -> Reason {
        let command = u64::from(command.number());
        match status {
            Status::BadState => Reason::new(status, self.slot.state.number().into(), command),
            Status::NotImplemented => Reason::new(status, command, 0),
            _ => Reason::new(status, self.core.id().into(), 0),
        }
    }
}

impl<A: Actors> fmt::Debug for Ta<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ta").finish_non_exhaustive()
    }
}

/// Each core with its slot.
fn cores<'s, 'p, A: Actors>(
    platform: &'p Platform,
    slots: &'s mut [Slot<A>],
) -> impl Iterator<Item = (&'p Core, &'s mut Slot<A>)> {
    platform.cores().iter().zip(slots)
}

/// ta-api.md 2.5 and 2.6
fn may_act(core: &Core, login: u32, command: Command) -> Result<(), Reason> {
    if core.control() == Control::AttachOnly {
        let numbers = (core.id().into(), command.number().into());
        return Err(Reason::new(Status::AttachOnly, numbers.0, numbers.1));
    }
    if Login::from_number(login).is_some_and(|login| core.allows(login)) {
        return Ok(());
    }
    Err(Reason::new(
        Status::LoginNotAllowed,
        login.into(),
        core.id().into(),
    ))
}

fn answer_wanted<I, O>(params: &mut [Param<I, O>; 4], wanted: Wanted) {
    let [_, _, offset, length] = params;
    offset.answer(wanted.offset);
    length.answer(wanted.length);
}

/// ta-api.md 4.3
fn last_error<A: Actors>(session: Session, params: &mut Params<A>) -> Result<(), Reason> {
    let [status, first, second, _] = params;
    let numbers = session.last_error.map_or([0; 2], |reason| reason.numbers);
    status.answer(
        session
            .last_error
            .map_or(0, |reason| reason.status.number().into()),
    );
    let [one, two] = numbers;
    first.answer(one);
    second.answer(two);
    Ok(())
}

/// ta-api.md 1.2
fn check_shape<I, O>(shape: &[Parameter; 4], params: &[Param<I, O>; 4]) -> Result<(), Reason> {
    for ((slot, wanted), given) in (0..4_u64).zip(shape).zip(params) {
        if given.kind() != *wanted {
            let kind = given.kind().number();
            return Err(Reason::new(Status::BadParameters, slot, kind.into()));
        }
    }
    Ok(())
}

/// The words of a slot whose shape was checked.
fn value_input<I, O>(params: &[Param<I, O>; 4], slot: usize) -> Result<Words, Reason> {
    match params.get(slot) {
        Some(Param::ValueInput { a, b }) => Ok(Words { a: *a, b: *b }),
        _ => Err(misshapen(slot)),
    }
}

/// The buffer of a slot whose shape was checked.
fn memref_input<A: Actors>(params: &Params<A>, slot: usize) -> Result<&A::Source, Reason> {
    match params.get(slot) {
        Some(Param::MemrefInput(source)) => Ok(source),
        _ => Err(misshapen(slot)),
    }
}

fn misshapen(slot: usize) -> Reason {
    let slot = u64::try_from(slot).unwrap_or(u64::MAX);
    Reason::new(Status::BadParameters, slot, 0)
}

/// Commands below this one answer with GlobalPlatform's values (ta-api.md 1.4).
const FIRST_OF_OURS: u32 = 0x100;
const _: () = assert!(MAX_SESSIONS == 16 && crate::sessions::SESSIONS == 16);
const _: () = assert!(MAX_TAIL == 0x1_0000 && MAX_TRAILER == 0x1_0000);
