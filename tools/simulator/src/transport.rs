//! The way to the simulated TA, as the host library wants it.

use std::{cell::RefCell, path::Path, rc::Rc};

use anyhow::{Context, Result};
use certificate_chain::{Checker, Root, sha256};
use corewarden::{
    Error,
    cli::Machine,
    doorbell::{BytePort, Doorbell},
    shared_memory::Window,
    ta::{Failure, Origin, Parameter, Transport},
};
use firmware_signing::pki::Certificate;
use platform::Platform;
use rpmsg::SharedMemory as _;
use ta_core::{
    Param, SessionId, Ta,
    fake::{Board, Clock, Parties, Plain, Sink, Source, cast, ta},
};
use ta_protocol::global_platform;

use crate::core::{Place, SimulatedCore};

type Logic = Ta<'static, Parties>;

/// Everything but Linux: TA, platform and core.
pub struct Device {
    logic: Rc<RefCell<Logic>>,
    board: Board,
    /// The shared window, as Linux maps it.
    pub window: Window,
    doorbell: BytePort,
}

impl Device {
    /// The device of a platform file, with the roots that it names, found below `workspace`.
    ///
    /// # Errors
    /// Where a root cannot be read or the system has no memory left.
    pub fn new(platform: &'static Platform, workspace: &Path) -> Result<Self> {
        let core = platform.core(0).context("the platform has no core 0")?;
        let shared = core.shared();
        let (window, fd) = Window::memfd(usize::try_from(shared.size())?)?;
        let board = Board::new(platform);
        board.set_window(0, Box::new(Shared(window.clone())));
        let place = Place {
            base: shared.device(),
            size: u32::try_from(shared.size())?,
            vrings: u32::try_from(shared.vrings().offset())?,
            buffers: u32::try_from(shared.buffers().offset())?,
        };
        let (near, far) = BytePort::pair()?;
        let theirs = Window::map(&fd, 0, usize::try_from(shared.size())?)?;
        board.set_model(0, Box::new(SimulatedCore::new(theirs, place, far)));

        let (roots, report) = roots(platform, workspace)?;
        let checker = Checker::new(roots)?;
        let device = ta_core::Device {
            platform,
            roots: Vec::leak(report),
            test_build: false,
        };
        // The TA's memory is never given back: a device lives as long as the process.
        let logic = ta(device, cast(&board, &Clock::new(), checker));
        Ok(Self {
            logic: Rc::new(RefCell::new(logic)),
            board,
            window,
            doorbell: near,
        })
    }

    /// The core's private memory, which Linux does not see.
    pub fn private(&self) -> Vec<u8> {
        self.board.private(0)
    }
}

impl Machine for Device {
    fn transport(&mut self) -> Result<Box<dyn Transport>, Error> {
        Ok(Box::new(Simulator {
            logic: Rc::clone(&self.logic),
            session: None,
        }))
    }

    fn window(&mut self, _core: &platform::Core) -> Result<Window, Error> {
        Ok(self.window.clone())
    }

    fn doorbell(&mut self, _core: &platform::Core) -> Result<Box<dyn Doorbell>, Error> {
        // Every attachment uses the one end that Linux has, in turn.
        Ok(Box::new(self.doorbell.try_clone()?))
    }
}

/// One client of the simulated TA.
struct Simulator {
    logic: Rc<RefCell<Logic>>,
    session: Option<SessionId>,
}

impl Transport for Simulator {
    fn open(&mut self, core: u32) -> Result<(), Failure> {
        self.close();
        let parameters = [
            Param::ValueInput { a: core, b: 0 },
            Param::None,
            Param::None,
            Param::None,
        ];
        match self
            .logic
            .borrow_mut()
            .open_session(LOGIN_PUBLIC, &parameters)
        {
            Ok(session) => {
                self.session = Some(session);
                Ok(())
            }
            Err(status) => Err(refused(status.global_platform())),
        }
    }

    fn invoke(&mut self, command: u32, parameters: &mut [Parameter<'_>; 4]) -> Result<(), Failure> {
        let Some(session) = self.session else {
            return Err(refused(global_platform::BAD_STATE));
        };
        let mut inside = [Param::None, Param::None, Param::None, Param::None];
        for (to, from) in inside.iter_mut().zip(parameters.iter()) {
            *to = match from {
                Parameter::None => Param::None,
                Parameter::ValueInput { a, b } => Param::ValueInput { a: *a, b: *b },
                Parameter::ValueOutput { .. } => Param::ValueOutput { a: 0, b: 0 },
                Parameter::MemoryInput(bytes) => Param::MemrefInput(Source::new(*bytes)),
                Parameter::MemoryOutput { buffer, .. } => Param::MemrefOutput {
                    memory: Sink::new(buffer.len()),
                    size: 0,
                },
            };
        }
        let code = self
            .logic
            .borrow_mut()
            .invoke(session, command, &mut inside);
        for (to, from) in parameters.iter_mut().zip(&inside) {
            match (to, from) {
                (
                    Parameter::ValueOutput { a, b },
                    Param::ValueOutput {
                        a: from_a,
                        b: from_b,
                    },
                ) => {
                    (*a, *b) = (*from_a, *from_b);
                }
                (
                    Parameter::MemoryOutput { buffer, used },
                    Param::MemrefOutput { memory, size },
                ) => {
                    *used = usize::try_from(*size).unwrap_or(usize::MAX);
                    for (to, from) in buffer.iter_mut().zip(memory.bytes()) {
                        *to = *from;
                    }
                }
                _ => {}
            }
        }
        match code {
            global_platform::SUCCESS => Ok(()),
            code => Err(refused(code)),
        }
    }

    fn close(&mut self) {
        if let Some(session) = self.session.take() {
            self.logic.borrow_mut().close_session(session);
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.close();
    }
}

/// The window's bytes, for the platform behind the TA.
struct Shared(Window);

impl Plain for Shared {
    fn read(&self, at: usize, into: &mut [u8]) {
        let skip = at % WORD;
        let mut bytes = vec![0; into.len() + skip];
        self.0.copy_out(offset(at - skip), &mut bytes);
        into.copy_from_slice(&bytes[skip..]);
    }

    fn write(&mut self, at: usize, from: &[u8]) {
        let skip = at % WORD;
        let mut bytes = vec![0; skip];
        self.0.copy_out(offset(at - skip), &mut bytes);
        bytes.extend(from);
        self.0.copy_in(offset(at - skip), &bytes);
    }
}

/// The platform has checked the range before.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

const WORD: usize = 4;

fn roots(platform: &Platform, workspace: &Path) -> Result<(Vec<Root>, Vec<ta_protocol::Root>)> {
    let mut roots = Vec::new();
    let mut report = Vec::new();
    for root in platform.roots() {
        let path = workspace.join(root.file());
        let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
        let certificate = Certificate::read_all(&bytes)?
            .into_iter()
            .next()
            .context("no root")?;
        let parsed = Root::parse(root.slot(), certificate.der())?;
        report.push(ta_protocol::Root {
            key_id: sha256(&[&certificate.public_key()?]),
            algorithm: 1,
            slot: root.slot(),
            role: 0,
        });
        roots.push(parsed);
    }
    Ok((roots, report))
}

fn refused(code: u32) -> Failure {
    Failure {
        code,
        origin: Origin::TrustedApplication,
    }
}

/// GlobalPlatform's login of a client that says nothing of itself.
const LOGIN_PUBLIC: u32 = 0;
