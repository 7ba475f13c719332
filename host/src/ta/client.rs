//! The TA's commands with types, and the waiting that they leave to the client.

use std::io::{Read, Seek, SeekFrom};
use std::thread;
use std::time::Duration;

use ta_protocol::{Command, CoreState, RootsReport, StateReport, Status};

use super::answer::{Capabilities, LastError, MasterTable, Progress, TrustedRoots, Version};
use super::refusal::{explains, no_ta, refusal_by_code, refused_session};
use super::transport::{Failure, Origin, Parameter, Transport};
use crate::error::{Error, Request, Waiting};
use crate::limit::Limit;

/// A session with the TA for one core.
#[derive(Debug)]
pub struct Client<T: Transport> {
    transport: T,
    core: u32,
}

impl<T: Transport> Client<T> {
    /// Opens a session for one core.
    ///
    /// # Errors
    /// [`Error::NoTa`] where nobody answers, [`Error::Refused`] where the TA does not want this client or core.
    pub fn open(mut transport: T, core: u32) -> Result<Self, Error> {
        match transport.open(core) {
            Ok(()) => Ok(Client { transport, core }),
            Err(failure) if failure.origin != Origin::TrustedApplication => Err(no_ta(failure)),
            Err(failure) => Err(refused_session(core, failure)),
        }
    }

    /// The core of this session.
    #[must_use]
    pub fn core(&self) -> u32 {
        self.core
    }

    /// The TA's version and limits.
    ///
    /// # Errors
    /// As every command.
    pub fn version(&mut self) -> Result<Version, Error> {
        let mut parameters = [
            Parameter::value_output(),
            Parameter::value_output(),
            Parameter::None,
            Parameter::None,
        ];
        self.command(Command::Version, &mut parameters)?;
        let [version, limits, ..] = parameters;
        let ((number, bits), (tail, chunk)) = (version.values(), limits.values());
        let [minor0, minor1, major0, major1] = number.to_le_bytes();
        Ok(Version {
            major: u16::from_le_bytes([major0, major1]),
            minor: u16::from_le_bytes([minor0, minor1]),
            capabilities: Capabilities(bits),
            tail,
            chunk,
        })
    }

    /// What the core does, and what is in it.
    ///
    /// # Errors
    /// As every command.
    pub fn state(&mut self) -> Result<StateReport, Error> {
        let report = self.bytes_of(Command::State, STATE_ROOM)?;
        StateReport::parse(&report).map_err(|error| Error::AnswerMalformed {
            command: Command::State,
            error,
        })
    }

    /// Why the last command of this session failed; `None` where none did.
    ///
    /// # Errors
    /// As every command, without a reason.
    pub fn last_error(&mut self) -> Result<Option<LastError>, Error> {
        let mut parameters = [
            Parameter::value_output(),
            Parameter::value_output(),
            Parameter::value_output(),
            Parameter::None,
        ];
        let command = Command::LastError;
        let answer = self.transport.invoke(command.number(), &mut parameters);
        answer.map_err(|failure| refusal_by_code(command, failure))?;
        let [status, first, second, _] = parameters;
        Ok(
            Status::from_number(status.values().0).map(|status| LastError {
                status,
                first: first.wide(),
                second: second.wide(),
            }),
        )
    }

    /// Loads a bundle piece by piece, in the order the TA asks for: this side knows nothing of the format.
    ///
    /// The TA reads each byte at most once and wants the end of the file first. Dropping the session on the way leaves
    /// the core off and its memory wiped.
    ///
    /// # Errors
    /// [`Error::Refused`] with the rule that the bundle breaks; [`Error::FileRead`] where the file cannot be read.
    pub fn load<R: Read + Seek>(
        &mut self,
        bundle: &mut R,
        limit: Limit<'_>,
        mut progress: impl FnMut(Progress),
    ) -> Result<(), Error> {
        let tail_length = u64::from(self.version()?.tail);
        let total = bundle.seek(SeekFrom::End(0)).map_err(unreadable)?;
        let mut done = 0;
        let tail = read_at(bundle, total.saturating_sub(tail_length), total)?;
        let mut parameters = [
            Parameter::number(total),
            Parameter::MemoryInput(&tail),
            Parameter::value_output(),
            Parameter::value_output(),
        ];
        self.command(Command::LoadBegin, &mut parameters)?;
        let mut wanted = Wanted::of(&parameters);
        while wanted.length != 0 {
            done += wanted.length;
            if done > total {
                return Err(Error::FileTwice {
                    asked: done,
                    file: total,
                });
            }
            limit.slice(Duration::MAX, Waiting::Load)?;
            let end = wanted.end(total)?;
            let piece = read_at(bundle, wanted.offset, end)?;
            let mut parameters = [
                Parameter::number(wanted.offset),
                Parameter::MemoryInput(&piece),
                Parameter::value_output(),
                Parameter::value_output(),
            ];
            self.command(Command::LoadContinue, &mut parameters)?;
            wanted = Wanted::of(&parameters);
            progress(Progress { done, total });
        }
        Ok(())
    }

    /// Loads a bundle in one piece, as today's clients do; up to 8 MiB.
    ///
    /// # Errors
    /// [`Error::Refused`] with the rule that the bundle breaks.
    pub fn load_whole(&mut self, bundle: &[u8]) -> Result<(), Error> {
        let mut parameters = [
            self.core_parameter(),
            Parameter::MemoryInput(bundle),
            Parameter::None,
            Parameter::None,
        ];
        self.command(Command::LoadFw, &mut parameters)
    }

    /// Starts the loaded firmware and waits until it runs.
    ///
    /// # Errors
    /// [`Error::CoreCrashed`] where it does not come up, [`Error::TimeLimit`] where it takes too long.
    pub fn start(&mut self, limit: Limit<'_>) -> Result<StateReport, Error> {
        self.act(Command::StartFw)?;
        self.wait_while(
            CoreState::Starting,
            CoreState::Running,
            Waiting::CoreToStart,
            limit,
        )
    }

    /// Stops the core and waits until its memory is wiped.
    ///
    /// # Errors
    /// [`Error::TimeLimit`] where it takes too long.
    pub fn stop(&mut self, limit: Limit<'_>) -> Result<StateReport, Error> {
        self.act(Command::StopFw)?;
        self.wait_while(
            CoreState::Stopping,
            CoreState::Off,
            Waiting::CoreToStop,
            limit,
        )
    }

    /// Wipes what is loaded.
    ///
    /// # Errors
    /// As every command.
    pub fn release(&mut self) -> Result<(), Error> {
        self.act(Command::ReleaseFw)
    }

    /// Where the shared copy of the resource table stands and how large it is; zeros without one.
    ///
    /// # Errors
    /// As every command.
    pub fn table_address(&mut self) -> Result<(u64, u64), Error> {
        let mut parameters = [
            self.core_parameter(),
            Parameter::value_output(),
            Parameter::value_output(),
            Parameter::None,
        ];
        self.command(Command::GetRscTable, &mut parameters)?;
        let [_, physical, size, _] = parameters;
        Ok((physical.wide(), size.wide()))
    }

    /// The resource table that the secure world keeps.
    ///
    /// # Errors
    /// As every command.
    pub fn master_table(&mut self) -> Result<MasterTable, Error> {
        let mut room = vec![0; TABLE_ROOM];
        let mut parameters = [
            Parameter::memory_output(&mut room),
            Parameter::value_output(),
            Parameter::value_output(),
            Parameter::None,
        ];
        self.command(Command::MasterTable, &mut parameters)?;
        let [bytes, physical, size, _] = parameters;
        let (used, physical, (size, _)) = (bytes.used(), physical.wide(), size.values());
        room.truncate(used);
        Ok(MasterTable {
            bytes: room,
            physical,
            size,
        })
    }

    /// The root certificates that this TA trusts.
    ///
    /// # Errors
    /// As every command.
    pub fn trusted_roots(&mut self) -> Result<TrustedRoots, Error> {
        let roots = self.bytes_of(Command::TrustedRoots, ROOTS_ROOM)?;
        let report = RootsReport::parse(&roots).map_err(|error| Error::AnswerMalformed {
            command: Command::TrustedRoots,
            error,
        })?;
        Ok(TrustedRoots {
            required_slots: report.required_slots(),
            roots: report.roots().collect(),
        })
    }

    fn core_parameter(&self) -> Parameter<'static> {
        Parameter::ValueInput { a: self.core, b: 0 }
    }

    fn act(&mut self, command: Command) -> Result<(), Error> {
        let mut parameters = [const { Parameter::None }; 4];
        parameters[0] = self.core_parameter();
        self.command(command, &mut parameters)
    }

    fn wait_while(
        &mut self,
        passing: CoreState,
        wanted: CoreState,
        waiting: Waiting,
        limit: Limit<'_>,
    ) -> Result<StateReport, Error> {
        let mut pause = Duration::from_millis(1);
        loop {
            let report = self.state()?;
            let found = report.state;
            if found == wanted {
                return Ok(report);
            }
            if found == CoreState::Crashed {
                return Err(Error::CoreCrashed);
            }
            if found != passing {
                return Err(Error::CoreState { found, wanted });
            }
            thread::sleep(limit.slice(pause, waiting)?);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The answer of a command whose only parameter is a buffer; asks again with more room where that was short.
    fn bytes_of(&mut self, command: Command, room: usize) -> Result<Vec<u8>, Error> {
        let mut room = vec![0; room];
        let mut asked = self.ask_bytes(command, &mut room);
        if let Err((failure, needed)) = asked
            && explains(Status::ShortBuffer, failure.code)
            && (room.len()..=MOST_ROOM).contains(&needed)
        {
            room = vec![0; needed];
            asked = self.ask_bytes(command, &mut room);
        }
        let used = asked.map_err(|(failure, _)| self.refusal(command, failure))?;
        room.truncate(used);
        Ok(room)
    }

    fn ask_bytes(&mut self, command: Command, room: &mut [u8]) -> Result<usize, (Failure, usize)> {
        let mut parameters = [const { Parameter::None }; 4];
        parameters[0] = Parameter::memory_output(room);
        let answer = self.transport.invoke(command.number(), &mut parameters);
        let used = parameters[0].used();
        answer.map(|()| used).map_err(|failure| (failure, used))
    }

    fn command(
        &mut self,
        command: Command,
        parameters: &mut [Parameter<'_>; 4],
    ) -> Result<(), Error> {
        let answer = self.transport.invoke(command.number(), parameters);
        answer.map_err(|failure| self.refusal(command, failure))
    }

    /// The reason behind a code: old commands answer with GlobalPlatform's few codes, and the reason is asked for.
    fn refusal(&mut self, command: Command, failure: Failure) -> Error {
        if failure.origin != Origin::TrustedApplication {
            return no_ta(failure);
        }
        match self.last_error() {
            Ok(Some(last)) if explains(last.status, failure.code) => Error::Refused {
                request: Request::Command(command),
                status: last.status,
                first: last.first,
                second: last.second,
            },
            _ => refusal_by_code(command, failure),
        }
    }
}

impl<T: Transport> Drop for Client<T> {
    fn drop(&mut self) {
        self.transport.close();
    }
}

/// The piece that the TA wants next.
struct Wanted {
    offset: u64,
    length: u64,
}

impl Wanted {
    fn of(parameters: &[Parameter<'_>; 4]) -> Self {
        let [_, _, offset, length] = parameters;
        Wanted {
            offset: offset.wide(),
            length: length.values().0.into(),
        }
    }

    fn end(&self, file: u64) -> Result<u64, Error> {
        let end = self.offset.checked_add(self.length);
        end.filter(|end| *end <= file).ok_or(Error::FileRange {
            offset: self.offset,
            length: self.length,
            file,
        })
    }
}

fn read_at<R: Read + Seek>(file: &mut R, from: u64, to: u64) -> Result<Vec<u8>, Error> {
    file.seek(SeekFrom::Start(from)).map_err(unreadable)?;
    let length = usize::try_from(to - from).map_err(|_| Error::FileRead { errno: 0 })?;
    let mut piece = vec![0; length];
    file.read_exact(&mut piece).map_err(unreadable)?;
    Ok(piece)
}

fn unreadable(error: std::io::Error) -> Error {
    Error::FileRead {
        errno: error.raw_os_error().unwrap_or(0),
    }
}

const STATE_ROOM: usize = StateReport::LENGTH;
const ROOTS_ROOM: usize = 1024;
const TABLE_ROOM: usize = 4096;
const MOST_ROOM: usize = 64 * 1024;
const LONGEST_PAUSE: Duration = Duration::from_millis(10);
