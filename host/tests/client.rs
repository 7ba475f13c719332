//! The client against a TA that does not keep to its interface, and against nobody.

use std::collections::VecDeque;
use std::io::Cursor;
use std::time::Duration;

use corewarden::ta::{Client, Failure, Origin, Parameter, Transport};
use corewarden::{Error, Limit, Request, Waiting};
use ta_protocol::{Command, CoreState, StateReport, Status};

/// Answers from a list; what it writes into outputs it writes whatever their kind.
#[derive(Default)]
struct Script {
    opening: Option<Failure>,
    answers: VecDeque<(Command, Answer)>,
}

enum Answer {
    Bytes(Vec<u8>),
    Fails(u32, Origin),
    Short(usize),
    Values([(u32, u32); 4]),
}

impl Script {
    fn then(mut self, command: Command, answer: Answer) -> Self {
        self.answers.push_back((command, answer));
        self
    }

    fn client(self) -> Client<Self> {
        Client::open(self, 0).unwrap()
    }
}

impl Transport for Script {
    fn open(&mut self, _core: u32) -> Result<(), Failure> {
        self.opening.map_or(Ok(()), Err)
    }

    fn invoke(&mut self, command: u32, parameters: &mut [Parameter<'_>; 4]) -> Result<(), Failure> {
        let (expected, answer) = self.answers.pop_front().expect("a command of the script");
        assert_eq!(command, expected.number());
        match answer {
            Answer::Fails(code, origin) => return Err(Failure { code, origin }),
            Answer::Bytes(bytes) => {
                if let Parameter::MemoryOutput { buffer, used } = &mut parameters[0] {
                    buffer[..bytes.len()].copy_from_slice(&bytes);
                    *used = bytes.len();
                }
            }
            Answer::Short(needed) => {
                if let Parameter::MemoryOutput { used, .. } = &mut parameters[0] {
                    *used = needed;
                }
                return Err(Failure {
                    code: Status::ShortBuffer.number(),
                    origin: Origin::TrustedApplication,
                });
            }
            Answer::Values(values) => {
                for (parameter, value) in parameters.iter_mut().zip(values) {
                    if let Parameter::ValueOutput { a, b } = parameter {
                        (*a, *b) = value;
                    }
                }
            }
        }
        Ok(())
    }

    fn close(&mut self) {}
}

#[test]
fn a_machine_without_the_ta_is_told_from_a_refusal() {
    let codes = [
        (0xffff_0008, Origin::Tee),
        (0xffff_000e, Origin::Communication),
        (0xffff_3024, Origin::Tee),
    ];
    for (code, origin) in codes {
        let script = Script {
            opening: Some(Failure { code, origin }),
            ..Script::default()
        };
        let opened = Client::open(script, 0).map(|_| ());
        assert_eq!(opened, Err(Error::NoTa { code, origin }));
    }
}

#[test]
fn a_refused_session_is_told_by_its_code() {
    let cases = [
        (0xffff_0001, Status::LoginNotAllowed, 0, 7),
        (0xffff_000a, Status::UnknownCore, 7, 0),
        (0xffff_000d, Status::TooManySessions, 16, 0),
    ];
    for (code, status, first, second) in cases {
        let script = Script {
            opening: Some(refused(code)),
            ..Script::default()
        };
        let expected = Error::Refused {
            request: Request::OpenSession,
            status,
            first,
            second,
        };
        assert_eq!(Client::open(script, 7).map(|_| ()), Err(expected));
    }
}

#[test]
fn a_code_of_an_old_command_is_explained_by_the_last_error() {
    let script = Script::default()
        .then(
            Command::StartFw,
            Answer::Fails(0xffff_0007, Origin::TrustedApplication),
        )
        .then(
            Command::LastError,
            Answer::Values([(Status::BadState.number(), 0), (2, 0), (0, 1), (0, 0)]),
        );
    let expected = Error::Refused {
        request: Request::Command(Command::StartFw),
        status: Status::BadState,
        first: 2,
        second: 1 << 32,
    };
    assert_eq!(script.client().start(soon()), Err(expected));
}

#[test]
fn a_last_error_that_does_not_fit_the_code_is_not_believed() {
    let script = Script::default()
        .then(
            Command::ReleaseFw,
            Answer::Fails(0xffff_0000, Origin::TrustedApplication),
        )
        .then(
            Command::LastError,
            Answer::Values([(Status::EmptyFile.number(), 0), (0, 0), (0, 0), (0, 0)]),
        );
    let expected = Error::RefusedUnnamed {
        request: Request::Command(Command::ReleaseFw),
        code: 0xffff_0000,
        origin: Origin::TrustedApplication,
    };
    assert_eq!(script.client().release(), Err(expected));
}

#[test]
fn a_ta_that_dies_under_a_command_is_no_refusal() {
    let script = Script::default().then(Command::State, Answer::Fails(0xffff_3024, Origin::Tee));
    let expected = Error::NoTa {
        code: 0xffff_3024,
        origin: Origin::Tee,
    };
    assert_eq!(script.client().state(), Err(expected));
}

#[test]
fn a_malformed_report_is_named() {
    let script = Script::default().then(Command::State, Answer::Bytes(vec![1, 0, 0, 0]));
    let error = ta_protocol::Error::Length {
        found: 4,
        expected: StateReport::LENGTH,
    };
    let expected = Error::AnswerMalformed {
        command: Command::State,
        error,
    };
    assert_eq!(script.client().state(), Err(expected));
}

#[test]
fn a_report_that_is_longer_than_the_room_is_asked_for_again() {
    let mut roots = vec![0; 8 + 36 * 40];
    roots[0] = 40;
    let script = Script::default()
        .then(Command::TrustedRoots, Answer::Short(roots.len()))
        .then(Command::TrustedRoots, Answer::Bytes(roots));
    let error = ta_protocol::Error::Count {
        count: 40,
        limit: 16,
    };
    let expected = Error::AnswerMalformed {
        command: Command::TrustedRoots,
        error,
    };
    assert_eq!(script.client().trusted_roots(), Err(expected));
}

#[test]
fn an_absurd_length_is_not_asked_for_again() {
    let script = Script::default()
        .then(Command::State, Answer::Short(1 << 30))
        .then(
            Command::LastError,
            Answer::Values([
                (Status::ShortBuffer.number(), 0),
                (1 << 30, 0),
                (0, 0),
                (0, 0),
            ]),
        );
    let expected = Error::Refused {
        request: Request::Command(Command::State),
        status: Status::ShortBuffer,
        first: 1 << 30,
        second: 0,
    };
    assert_eq!(script.client().state(), Err(expected));
}

#[test]
fn a_piece_outside_the_file_is_not_sent() {
    let script = loading((100, 0), 29);
    let expected = Error::FileRange {
        offset: 100,
        length: 29,
        file: 128,
    };
    assert_eq!(load(script), Err(expected));
    let script = loading((u32::MAX, u32::MAX), 100);
    let expected = Error::FileRange {
        offset: u64::MAX,
        length: 100,
        file: 128,
    };
    assert_eq!(load(script), Err(expected));
}

#[test]
fn a_ta_that_never_has_enough_is_stopped() {
    let script = loading((0, 0), 100).then(
        Command::LoadContinue,
        Answer::Values([(0, 0), (0, 0), (0, 0), (100, 0)]),
    );
    let expected = Error::FileTwice {
        asked: 200,
        file: 128,
    };
    assert_eq!(load(script), Err(expected));
}

#[test]
fn a_core_that_crashes_while_starting_is_reported() {
    let script = Script::default()
        .then(Command::StartFw, Answer::Values([(0, 0); 4]))
        .then(Command::State, report(CoreState::Starting))
        .then(Command::State, report(CoreState::Crashed));
    assert_eq!(script.client().start(soon()), Err(Error::CoreCrashed));
}

#[test]
fn a_core_in_a_state_that_starting_cannot_lead_to_is_reported() {
    let script = Script::default()
        .then(Command::StartFw, Answer::Values([(0, 0); 4]))
        .then(Command::State, report(CoreState::Off));
    let expected = Error::CoreState {
        found: CoreState::Off,
        wanted: CoreState::Running,
    };
    assert_eq!(script.client().start(soon()), Err(expected));
}

#[test]
fn a_core_that_does_not_stop_is_waited_for_no_longer_than_asked() {
    let stopping = (0..100).fold(
        Script::default().then(Command::StopFw, Answer::Values([(0, 0); 4])),
        |script, _| script.then(Command::State, report(CoreState::Stopping)),
    );
    let limit = Limit::after(Duration::from_millis(30));
    let expected = Error::TimeLimit {
        waiting: Waiting::CoreToStop,
        milliseconds: 30,
    };
    assert_eq!(stopping.client().stop(limit), Err(expected));
}

/// A TA that takes the tail of the file, and asks for a piece.
fn loading(offset: (u32, u32), length: u32) -> Script {
    let version = [(0x1_0000, 3), (64, 1 << 20), (0, 0), (0, 0)];
    let wants = [(0, 0), (0, 0), offset, (length, 0)];
    Script::default()
        .then(Command::Version, Answer::Values(version))
        .then(Command::LoadBegin, Answer::Values(wants))
}

fn load(script: Script) -> Result<(), Error> {
    let mut file = Cursor::new(vec![0xcd; 128]);
    script.client().load(&mut file, soon(), |_| {})
}

fn report(state: CoreState) -> Answer {
    let report = StateReport {
        state,
        ..StateReport::default()
    };
    Answer::Bytes(report.to_bytes().to_vec())
}

fn refused(code: u32) -> Failure {
    Failure {
        code,
        origin: Origin::TrustedApplication,
    }
}

fn soon() -> Limit<'static> {
    Limit::after(Duration::from_secs(20))
}
