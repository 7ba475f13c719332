//! Who may ask for what: sessions, cores, logins, parameters, unknown commands.

mod support;

use support::{Bed, CORE, PUBLIC, Spec};
use ta_core::Param;
use ta_core::fake::Source;
use ta_protocol::{
    Command, CoreState, Parameter, RootsReport, Status, capability, global_platform,
};

const KERNEL: u32 = 0x8000_0000;
const USER: u32 = 1;

/// ta-api.md 2.4
#[test]
fn a_seventeenth_session_is_refused_and_closing_one_makes_room() {
    let mut bed = Bed::new();
    let sessions: Vec<_> = (0..16).map(|index| bed.open_core(index % 3)).collect();
    assert_eq!(bed.open_as(CORE, PUBLIC), Err(Status::TooManySessions));
    assert_eq!(
        Status::TooManySessions.global_platform(),
        global_platform::BUSY
    );
    assert_eq!(bed.state(sessions[0]), CoreState::Off);
    bed.ta.close_session(sessions[5]);
    assert!(bed.open_as(CORE, PUBLIC).is_ok());
    assert_eq!(bed.open_as(CORE, PUBLIC), Err(Status::TooManySessions));
}

/// ta-api.md 2.2 and 5.7
#[test]
fn an_unknown_core_is_refused_and_leaves_no_state() {
    let mut bed = Bed::new();
    for core in (3..1000).chain([u32::MAX]) {
        assert_eq!(bed.open_as(core, PUBLIC), Err(Status::UnknownCore));
    }
    for _ in 0..16 {
        bed.open();
    }
}

/// ta-api.md 2.1
#[test]
fn a_session_is_opened_with_a_core_id_and_nothing_else() {
    let mut bed = Bed::new();
    let none = || [Param::None, Param::None, Param::None, Param::None];
    assert_eq!(
        bed.ta.open_session(PUBLIC, &none()),
        Err(Status::BadParameters)
    );
    let mut two = none();
    two[0] = Param::ValueInput { a: CORE, b: 0 };
    two[1] = Param::ValueInput { a: 0, b: 0 };
    assert_eq!(
        bed.ta.open_session(PUBLIC, &two),
        Err(Status::BadParameters)
    );
}

/// ta-api.md 2.3
#[test]
fn a_command_for_another_core_than_the_sessions_is_refused() {
    let mut bed = Bed::new();
    let session = bed.open_core(2);
    assert_eq!(bed.start(session), global_platform::BAD_PARAMETERS);
    assert_eq!(bed.last_error(session), Some((Status::WrongCore, 0, 2)));
}

/// ta-api.md 1.3, 1.4 and 4.8
#[test]
fn unknown_commands_are_not_supported_in_both_ranges() {
    let mut bed = Bed::new();
    let session = bed.open();
    for command in [0, 7, 0xff, 0x107, 0xf001, u32::MAX] {
        let mut params = [Param::None, Param::None, Param::None, Param::None];
        let answer = bed.ta.invoke(session, command, &mut params);
        let expected = match command {
            ..0x100 => global_platform::NOT_SUPPORTED,
            0x100.. => Status::UnsupportedCommand.number(),
        };
        assert_eq!(answer, expected, "{command:#x}");
        let reason = (Status::UnsupportedCommand, command.into(), 0);
        assert_eq!(bed.last_error(session), Some(reason));
    }
}

/// ta-api.md 1.2
#[test]
fn every_other_parameter_type_is_refused_in_every_slot_of_every_command() {
    let mut bed = Bed::new();
    let session = bed.open();
    let shaped = |command: &&Command| **command != Command::GetCoredump;
    for command in Command::ALL.iter().filter(shaped) {
        for slot in 0..4 {
            for kind in Parameter::ALL {
                let wanted = command.parameters();
                if wanted[slot] == *kind {
                    continue;
                }
                let mut params = wanted.map(of_kind);
                params[slot] = of_kind(*kind);
                let answer = bed.invoke(session, *command, &mut params);
                let expected = match command.is_upstream() {
                    true => global_platform::BAD_PARAMETERS,
                    false => Status::BadParameters.number(),
                };
                assert_eq!(answer, expected, "{command} with {kind} in slot {slot}");
                let reason = (Status::BadParameters, slot as u64, kind.number().into());
                assert_eq!(bed.last_error(session), Some(reason));
            }
        }
    }
}

/// ta-api.md 3.5
#[test]
fn a_coredump_is_not_implemented_whatever_its_parameters() {
    let mut bed = Bed::new();
    let session = bed.open();
    let mut params = [Param::None, Param::MemrefInOut, Param::None, Param::None];
    let answer = bed.invoke(session, Command::GetCoredump, &mut params);
    assert_eq!(answer, global_platform::NOT_IMPLEMENTED);
    assert_eq!(
        bed.last_error(session),
        Some((Status::NotImplemented, 5, 0))
    );
}

fn of_kind(kind: Parameter) -> Param<Source, ta_core::fake::Sink> {
    match kind {
        Parameter::None => Param::None,
        Parameter::ValueInput => Param::ValueInput { a: CORE, b: 0 },
        Parameter::ValueOutput => Param::ValueOutput { a: 0, b: 0 },
        Parameter::ValueInout => Param::ValueInOut { a: 0, b: 0 },
        Parameter::MemrefInput => Param::MemrefInput(Source::new([0; 8])),
        Parameter::MemrefOutput => support::buffer(8),
        Parameter::MemrefInout => Param::MemrefInOut,
    }
}

/// ta-api.md 2.6
#[test]
fn an_attach_only_core_refuses_what_acts_and_answers_what_asks() {
    let mut bed = Bed::new();
    let session = bed.open_core(1);
    for command in Command::ALL {
        let mut params = command.parameters().map(of_kind);
        if let Param::ValueInput { a, .. } = &mut params[0]
            && command.is_upstream()
        {
            *a = 1;
        }
        if command.acts() {
            let answer = bed.invoke(session, *command, &mut params);
            let expected = match command.is_upstream() {
                true => global_platform::ACCESS_DENIED,
                false => Status::AttachOnly.number(),
            };
            assert_eq!(answer, expected, "{command}");
            let reason = (Status::AttachOnly, 1, command.number().into());
            assert_eq!(bed.last_error(session), Some(reason));
        }
    }
    let report = bed.report(session).unwrap();
    assert!(report.attach_only);
    assert_eq!((report.core, report.state), (1, CoreState::Off));
    // Nobody touched its memory, not even to wipe it.
    assert!(bed.board.private(1).iter().all(|byte| *byte == 0xa5));
}

/// ta-api.md 2.5
#[test]
fn a_login_that_is_not_allowed_may_ask_but_not_act() {
    let mut bed = Bed::new();
    for login in [PUBLIC, USER, 0xf000_0000] {
        let session = bed.open_as(2, login).unwrap();
        let mut params = [
            Param::ValueInput { a: 2, b: 0 },
            Param::None,
            Param::None,
            Param::None,
        ];
        let answer = bed.invoke(session, Command::ReleaseFw, &mut params);
        assert_eq!(answer, global_platform::ACCESS_DENIED);
        let reason = (Status::LoginNotAllowed, login.into(), 2);
        assert_eq!(bed.last_error(session), Some(reason));
        assert_eq!(bed.begin(session, b"any"), Err(Status::LoginNotAllowed));
        assert_eq!(bed.report(session).unwrap().core, 2);
    }
    let session = bed.open_as(2, KERNEL).unwrap();
    let mut params = [
        Param::ValueInput { a: 2, b: 0 },
        Param::None,
        Param::None,
        Param::None,
    ];
    assert_eq!(bed.invoke(session, Command::ReleaseFw, &mut params), 0);
}

/// ta-api.md 4.3
#[test]
fn the_last_error_is_the_sessions_own_and_a_success_does_not_clear_it() {
    let mut bed = Bed::new();
    let (first, second) = (bed.open(), bed.open());
    assert_ne!(bed.start(first), 0);
    let numbers = (
        CoreState::Off.number().into(),
        Command::StartFw.number().into(),
    );
    let reason = (Status::BadState, numbers.0, numbers.1);
    assert_eq!(bed.last_error(first), Some(reason));
    assert_eq!(bed.last_error(second), None);
    assert_eq!(bed.stop(first), 0);
    assert_eq!(bed.last_error(first), Some(reason));
}

#[test]
fn a_closed_session_gets_no_answer() {
    let mut bed = Bed::new();
    let session = bed.open();
    bed.ta.close_session(session);
    assert_eq!(bed.start(session), global_platform::BAD_STATE);
    bed.ta.close_session(session);
}

/// ta-api.md 4.1
#[test]
fn version_tells_capabilities_and_limits() {
    let mut bed = Bed::new();
    let session = bed.open();
    let out = || Param::ValueOutput { a: 0, b: 0 };
    let mut params = [out(), out(), Param::None, Param::None];
    assert_eq!(bed.invoke(session, Command::Version, &mut params), 0);
    let all = capability::STREAMING_LOAD
        | capability::MASTER_TABLE
        | capability::ISOLATION_ENFORCED
        | capability::TEST_BUILD;
    assert!(matches!(params[0], Param::ValueOutput { a: 0x0001_0000, b } if b == all));
    assert!(matches!(
        params[1],
        Param::ValueOutput {
            a: 0x1_0000,
            b: 0x10_0000
        }
    ));
}

/// ta-api.md 4.4
#[test]
fn the_pinned_roots_are_told() {
    let mut bed = Bed::new();
    let session = bed.open();
    let mut params = [
        support::buffer(0x1000),
        Param::None,
        Param::None,
        Param::None,
    ];
    assert_eq!(bed.invoke(session, Command::TrustedRoots, &mut params), 0);
    let report = RootsReport::parse(support::bytes(&params[0])).unwrap();
    assert_eq!(report.required_slots(), 1);
    assert_eq!(report.roots().collect::<Vec<_>>(), bed.pki.roots());
}

/// ta-api.md 4.2 and 4.5
#[test]
fn a_short_buffer_is_told_how_long_it_must_be() {
    let mut bed = Bed::new();
    let session = bed.open();
    let mut params = [support::buffer(207), Param::None, Param::None, Param::None];
    let answer = bed.invoke(session, Command::State, &mut params);
    assert_eq!(answer, Status::ShortBuffer.number());
    assert!(matches!(params[0], Param::MemrefOutput { size: 208, .. }));
    assert_eq!(
        bed.last_error(session),
        Some((Status::ShortBuffer, 208, 207))
    );

    let session = bed.bring_to(CoreState::Loaded);
    let length = Spec::small().table.unwrap().1.len() as u64;
    let out = || Param::ValueOutput { a: 0, b: 0 };
    let mut params = [support::buffer(0), out(), out(), Param::None];
    let answer = bed.invoke(session, Command::MasterTable, &mut params);
    assert_eq!(answer, Status::ShortBuffer.number());
    assert!(matches!(params[0], Param::MemrefOutput { size, .. } if size == length));
}
