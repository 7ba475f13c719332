//! A device, its bundles and its clients, in one process.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its own part of this module"
)]

pub mod bundle;

use std::path::Path;

use platform::Platform;
use ta_core::fake::{self, Board, Clock, Parties, Sink, Source};
use ta_core::{Cast, Device, Param, Params, SessionId, Ta};
use ta_protocol::{Command, CoreState, StateReport, Status, Words};

pub use bundle::{Pki, Spec};

/// The core that most tests are about.
pub const CORE: u32 = 0;
/// GlobalPlatform's number for a login of any process.
pub const PUBLIC: u32 = 0;

/// A device with a TA in it.
pub struct Bed {
    pub pki: Pki,
    pub platform: &'static Platform,
    pub board: Board,
    pub clock: Clock,
    pub ta: Ta<'static, Parties>,
}

/// What LAST_ERROR answers.
pub type Reason = (Status, u64, u64);

impl Bed {
    pub fn new() -> Self {
        Self::of(platform())
    }

    pub fn of(platform: &'static Platform) -> Self {
        Self::with(platform, Pki::development())
    }

    pub fn with(platform: &'static Platform, pki: Pki) -> Self {
        let board = Board::new(platform);
        let clock = Clock::new();
        let ta = ta(platform, &board, &clock, &pki);
        Self {
            pki,
            platform,
            board,
            clock,
            ta,
        }
    }

    /// The TA panicked and OP-TEE begins a new instance.
    pub fn restart_ta(&mut self) {
        self.ta = ta(self.platform, &self.board, &self.clock, &self.pki);
    }

    pub fn open(&mut self) -> SessionId {
        self.open_core(CORE)
    }

    pub fn open_core(&mut self, core: u32) -> SessionId {
        self.open_as(core, PUBLIC).unwrap()
    }

    pub fn open_as(&mut self, core: u32, login: u32) -> Result<SessionId, Status> {
        let params = [
            Param::ValueInput { a: core, b: 0 },
            Param::None,
            Param::None,
            Param::None,
        ];
        self.ta.open_session(login, &params)
    }

    pub fn invoke(
        &mut self,
        session: SessionId,
        command: Command,
        params: &mut Params<Parties>,
    ) -> u32 {
        self.ta.invoke(session, command.number(), params)
    }

    /// LOAD_FW, START_FW, STOP_FW, RELEASE_FW with the session's core.
    pub fn plain(&mut self, session: SessionId, command: Command) -> u32 {
        let mut params = [
            Param::ValueInput { a: CORE, b: 0 },
            Param::None,
            Param::None,
            Param::None,
        ];
        self.invoke(session, command, &mut params)
    }

    pub fn start(&mut self, session: SessionId) -> u32 {
        self.plain(session, Command::StartFw)
    }

    pub fn stop(&mut self, session: SessionId) -> u32 {
        self.plain(session, Command::StopFw)
    }

    pub fn release(&mut self, session: SessionId) -> u32 {
        self.plain(session, Command::ReleaseFw)
    }

    pub fn load(&mut self, session: SessionId, file: &[u8]) -> u32 {
        self.load_from(session, Source::new(file))
    }

    pub fn load_from(&mut self, session: SessionId, source: Source) -> u32 {
        let input = Param::MemrefInput(source);
        let mut params = [
            Param::ValueInput { a: CORE, b: 0 },
            input,
            Param::None,
            Param::None,
        ];
        self.invoke(session, Command::LoadFw, &mut params)
    }

    /// Loads, and answers with why that failed.
    pub fn refused(&mut self, session: SessionId, file: &[u8]) -> Reason {
        assert_ne!(self.load(session, file), 0, "the bundle was loaded");
        self.last_error(session).unwrap()
    }

    pub fn begin(&mut self, session: SessionId, file: &[u8]) -> Result<(u64, u64), Status> {
        let tail = &file[file.len().saturating_sub(0x1_0000)..];
        self.begin_from(session, file.len() as u64, Source::new(tail))
    }

    pub fn begin_from(
        &mut self,
        session: SessionId,
        length: u64,
        tail: Source,
    ) -> Result<(u64, u64), Status> {
        self.piece(session, Command::LoadBegin, length, tail)
    }

    pub fn go_on(
        &mut self,
        session: SessionId,
        offset: u64,
        piece: Source,
    ) -> Result<(u64, u64), Status> {
        self.piece(session, Command::LoadContinue, offset, piece)
    }

    /// Streams a whole file as a client does that knows nothing of the format.
    pub fn stream(&mut self, session: SessionId, file: &[u8]) -> Result<(), Status> {
        let (mut offset, mut length) = self.begin(session, file)?;
        while length != 0 {
            let piece = &file[offset as usize..(offset + length) as usize];
            (offset, length) = self.go_on(session, offset, Source::new(piece))?;
        }
        Ok(())
    }

    fn piece(
        &mut self,
        session: SessionId,
        command: Command,
        number: u64,
        source: Source,
    ) -> Result<(u64, u64), Status> {
        let Words { a, b } = number.into();
        let mut params = [
            Param::ValueInput { a, b },
            Param::MemrefInput(source),
            Param::ValueOutput { a: 0, b: 0 },
            Param::ValueOutput { a: 0, b: 0 },
        ];
        status(self.invoke(session, command, &mut params))?;
        Ok((output(&params[2]), output(&params[3])))
    }

    pub fn report(&mut self, session: SessionId) -> Result<StateReport, Status> {
        let mut params = [
            buffer(StateReport::LENGTH),
            Param::None,
            Param::None,
            Param::None,
        ];
        status(self.invoke(session, Command::State, &mut params))?;
        Ok(StateReport::parse(bytes(&params[0])).unwrap())
    }

    pub fn state(&mut self, session: SessionId) -> CoreState {
        self.report(session).unwrap().state
    }

    /// Why the session's last failed command failed.
    pub fn last_error(&mut self, session: SessionId) -> Option<Reason> {
        let out = || Param::ValueOutput { a: 0, b: 0 };
        let mut params = [out(), out(), out(), Param::None];
        assert_eq!(self.invoke(session, Command::LastError, &mut params), 0);
        let number = u32::try_from(output(&params[0])).unwrap();
        Some((
            Status::from_number(number)?,
            output(&params[1]),
            output(&params[2]),
        ))
    }

    /// Address and size that GET_RSC_TABLE answers.
    pub fn table_place(&mut self, session: SessionId) -> Result<(u64, u64), u32> {
        let out = || Param::ValueOutput { a: 0, b: 0 };
        let mut params = [
            Param::ValueInput { a: CORE, b: 0 },
            out(),
            out(),
            Param::None,
        ];
        match self.invoke(session, Command::GetRscTable, &mut params) {
            0 => Ok((output(&params[1]), output(&params[2]))),
            refused => Err(refused),
        }
    }

    pub fn master_table(&mut self, session: SessionId) -> Result<(Vec<u8>, u64), Status> {
        let out = || Param::ValueOutput { a: 0, b: 0 };
        let mut params = [buffer(0xe00), out(), out(), Param::None];
        status(self.invoke(session, Command::MasterTable, &mut params))?;
        Ok((bytes(&params[0]).to_vec(), output(&params[1])))
    }

    /// Brings the core to a state, from Off.
    pub fn bring_to(&mut self, state: CoreState) -> SessionId {
        let file = self.pki.bundle(&Spec::small());
        self.bring_with(state, &file)
    }

    /// Brings the core to a state with a bundle, from Off.
    pub fn bring_with(&mut self, state: CoreState, file: &[u8]) -> SessionId {
        let session = self.open();
        self.board.set_polls(CORE, 0, 0);
        match state {
            CoreState::Off => {}
            CoreState::Loading => {
                self.begin(session, file).unwrap();
            }
            CoreState::Loaded => assert_eq!(self.load(session, file), 0),
            CoreState::Starting | CoreState::Running | CoreState::Crashed | CoreState::Stopping => {
                if state == CoreState::Starting {
                    self.board.set_polls(CORE, u32::MAX, 0);
                }
                assert_eq!(self.load(session, file), 0);
                assert_eq!(self.start(session), 0);
                if state == CoreState::Crashed {
                    self.board.crash(CORE);
                }
                if state == CoreState::Stopping {
                    self.board.keep_alive(CORE);
                    assert_eq!(self.stop(session), 0);
                }
            }
        }
        assert_eq!(self.state(session), state);
        session
    }

    /// Private memory is all zero.
    #[track_caller]
    pub fn assert_wiped(&self) {
        let private = self.board.private(CORE);
        assert!(
            private == vec![0; private.len()],
            "private memory is not wiped"
        );
    }

    /// Private memory holds the bundle's segments and zeros, and nothing else.
    #[track_caller]
    pub fn assert_loaded(&self, spec: &Spec) {
        let expected = spec.memory(&self.platform.core(CORE).unwrap().private_regions()[0]);
        assert!(
            self.board.private(CORE) == expected,
            "private memory is not what was signed"
        );
    }
}

/// The platform file of test builds: core 0 as in the test bed, core 1 attach-only, core 2 the kernel's.
pub fn platform() -> &'static Platform {
    parse(&platform_text())
}

pub fn platform_text() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../platforms/qemu-virt-test.toml");
    std::fs::read_to_string(path).unwrap()
}

pub fn parse(text: &str) -> &'static Platform {
    let file: platform::File = toml::from_str(text).unwrap();
    Box::leak(Box::new(Platform::try_from(file).unwrap()))
}

pub fn buffer(capacity: usize) -> Param<Source, Sink> {
    Param::MemrefOutput {
        memory: Sink::new(capacity),
        size: capacity as u64,
    }
}

pub fn bytes(param: &Param<Source, Sink>) -> &[u8] {
    match param {
        Param::MemrefOutput { memory, size } => &memory.bytes()[..*size as usize],
        other => panic!("no buffer: {other:?}"),
    }
}

pub fn output(param: &Param<Source, Sink>) -> u64 {
    match *param {
        Param::ValueOutput { a, b } => u64::from(Words { a, b }),
        ref other => panic!("no value output: {other:?}"),
    }
}

/// What a command from 0x100 answered.
pub fn status(number: u32) -> Result<(), Status> {
    match number {
        0 => Ok(()),
        number => Err(Status::from_number(number).unwrap()),
    }
}

fn ta(
    platform: &'static Platform,
    board: &Board,
    clock: &Clock,
    pki: &Pki,
) -> Ta<'static, Parties> {
    let roots = Vec::leak(pki.roots());
    let device = Device {
        platform,
        roots,
        test_build: true,
    };
    let cast: Cast<Parties> = fake::cast(board, clock, pki.checker.clone());
    fake::ta(device, cast)
}
