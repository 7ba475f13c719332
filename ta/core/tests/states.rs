//! Which command is legal where, and how a core gets from one state to the next.

mod support;

use support::{Bed, CORE, Spec};
use ta_core::fake::{Call, Source};
use ta_core::{Param, SessionId, Verdict, verdict};
use ta_protocol::{Command, CoreState, Status, global_platform};

/// ta-api.md 5.2
#[test]
fn every_command_answers_in_every_state_as_ta_api_md_5_2_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/ta-api.md");
    let text = std::fs::read_to_string(path).unwrap();
    // Of two pieces, so that the first is not the last.
    let pki = support::Pki::development();
    let file = pki.bundle(&Spec::large());
    let mut walked = 0;
    for row in text.lines().filter_map(row) {
        let (state, command, status, next) = row;
        let mut bed = Bed::with(support::platform(), pki.clone());
        let session = bed.bring_with(state, &file);
        let before = (bed.board.private(CORE), bed.board.is_held(CORE));
        let answer = send(&mut bed, session, command, &file);
        let context = format!("{command} while {state}");
        let expected = match (status, command.is_upstream()) {
            (None, _) => 0,
            (Some(status), true) => status.global_platform(),
            (Some(status), false) => status.number(),
        };
        assert_eq!(answer, expected, "{context}");
        if let Some(status) = status {
            assert_eq!(bed.last_error(session).unwrap().0, status, "{context}");
        }
        let after = bed.state(session);
        let moved_on = match next {
            CoreState::Starting => after == CoreState::Running,
            CoreState::Stopping => after == CoreState::Off,
            _ => false,
        };
        assert!(after == next || moved_on, "{context}: {after}");
        match (verdict(command, state), status) {
            (Verdict::Do, None) => {}
            (Verdict::Nothing, None) => assert_eq!(after, state, "{context}"),
            (Verdict::Refuse(refused), Some(status)) => assert_eq!(refused, status, "{context}"),
            // Not a matter of states (ta-api.md 3.5).
            (Verdict::Refuse(Status::NotImplemented), _) => {}
            (verdict, _) => panic!("{context}: {verdict:?}"),
        }
        if verdict(command, state) != Verdict::Do {
            let after = (bed.board.private(CORE), bed.board.is_held(CORE));
            assert!(before == after, "{context}");
        }
        walked += 1;
    }
    assert_eq!(walked, CoreState::ALL.len() * Command::ALL.len());
}

/// State, command, status (none for success) and next state of a row of the table.
fn row(line: &str) -> Option<(CoreState, Command, Option<Status>, CoreState)> {
    let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
    let [state, command, status, next] = cells[..] else {
        return None;
    };
    let (state, next) = (CoreState::from_name(state)?, CoreState::from_name(next)?);
    let status = match status {
        "Success" => None,
        name => Some(Status::from_name(name).expect(name)),
    };
    Some((
        state,
        Command::from_name(command).expect(command),
        status,
        next,
    ))
}

/// Sends a command that would succeed where it is legal.
fn send(bed: &mut Bed, session: SessionId, command: Command, file: &[u8]) -> u32 {
    let out = || Param::ValueOutput { a: 0, b: 0 };
    let core = || Param::ValueInput { a: CORE, b: 0 };
    let mut params = match command {
        Command::LoadFw => [
            core(),
            Param::MemrefInput(Source::new(file)),
            Param::None,
            Param::None,
        ],
        Command::StartFw | Command::StopFw | Command::ReleaseFw => {
            [core(), Param::None, Param::None, Param::None]
        }
        Command::GetRscTable => [core(), out(), out(), Param::None],
        Command::GetCoredump => [core(), support::buffer(16), Param::None, Param::None],
        Command::Version => [out(), out(), Param::None, Param::None],
        Command::State | Command::TrustedRoots => [
            support::buffer(0x1000),
            Param::None,
            Param::None,
            Param::None,
        ],
        Command::LastError => [out(), out(), out(), Param::None],
        Command::MasterTable => [support::buffer(0x1000), out(), out(), Param::None],
        Command::LoadBegin => {
            let tail = Source::new(&file[file.len() - 0x1_0000..]);
            let length = Param::ValueInput {
                a: file.len() as u32,
                b: 0,
            };
            [length, Param::MemrefInput(tail), out(), out()]
        }
        Command::LoadContinue => {
            let piece = Source::new(&file[..0x1000]);
            [
                Param::ValueInput { a: 0, b: 0 },
                Param::MemrefInput(piece),
                out(),
                out(),
            ]
        }
    };
    bed.invoke(session, command, &mut params)
}

/// ta-api.md 1.5, 3.2 and 5.1
#[test]
fn a_core_is_loaded_started_seen_running_and_stopped() {
    let mut bed = Bed::new();
    let session = bed.open();
    let spec = Spec::small();
    let file = bed.pki.bundle(&spec);
    bed.board.set_polls(CORE, 2, 0);
    assert_eq!(bed.load(session, &file), 0);
    assert!(bed.board.is_held(CORE));
    assert_eq!(bed.start(session), 0);
    assert_eq!(bed.state(session), CoreState::Starting);
    assert_eq!(bed.state(session), CoreState::Running);
    assert_eq!(bed.report(session).unwrap().start_counter, 1);
    assert_eq!(bed.start(session), 0, "as today's clients expect");
    assert_eq!(bed.report(session).unwrap().start_counter, 1);
    bed.board.poke(CORE, 0x2101_0000, b"what the core wrote");
    assert_eq!(bed.stop(session), 0);
    assert_eq!(bed.state(session), CoreState::Off);
    bed.assert_wiped();
    let report = bed.report(session).unwrap();
    assert_eq!(report.bundle_digest.0, [0; 48]);
    assert_eq!(
        (report.security_version, report.signer_key_id),
        (0, [0; 32])
    );
}

/// ta-api.md 1.6 and 3.3
#[test]
fn a_core_that_halts_slowly_is_wiped_when_it_has_halted() {
    let mut bed = Bed::new();
    let session = bed.bring_to(CoreState::Stopping);
    let before = bed.board.private(CORE);
    assert_eq!(bed.stop(session), 0);
    assert_eq!(bed.state(session), CoreState::Stopping);
    assert!(
        bed.board.private(CORE) == before,
        "nothing is touched while it may still run"
    );
    bed.board.let_halt(CORE);
    assert_eq!(bed.state(session), CoreState::Off);
    bed.assert_wiped();
}

/// ta-api.md 3.3
#[test]
fn the_published_table_is_put_back_at_stop_and_not_touched_at_start() {
    let mut bed = Bed::new();
    let session = bed.open();
    let file = bed.pki.bundle(&Spec::small());
    assert_eq!(bed.load(session, &file), 0);
    let (master, _) = bed.master_table(session).unwrap();
    bed.board.poke(CORE, 0x2120_0000 + 0x2c, &[7]);
    bed.board.poke(CORE, 0x2120_0e00, b"generation");
    let edited = bed.board.window(CORE);
    assert_eq!(bed.start(session), 0);
    assert!(bed.board.window(CORE) == edited);
    assert_eq!(bed.stop(session), 0);
    let window = bed.board.window(CORE);
    assert_eq!(&window[..master.len()], master);
    assert_eq!(&window[0xe00..0xe0a], b"generation");
}

/// ta-api.md 5.5
#[test]
fn a_crashed_core_is_seen_and_can_be_stopped_and_loaded_again() {
    let mut bed = Bed::new();
    let session = bed.bring_to(CoreState::Crashed);
    assert_ne!(bed.report(session).unwrap().bundle_digest.0, [0; 48]);
    assert_eq!(bed.start(session), global_platform::BAD_STATE);
    assert_eq!(bed.release(session), global_platform::BAD_STATE);
    assert_eq!(bed.stop(session), 0);
    assert_eq!(bed.state(session), CoreState::Off);
    bed.assert_wiped();
    let file = bed.pki.bundle(&Spec::small());
    assert_eq!(bed.load(session, &file), 0);
}

/// ta-api.md 3.2
#[test]
fn a_start_under_another_isolation_wipes_and_is_refused() {
    let mut bed = Bed::new();
    let session = bed.bring_to(CoreState::Loaded);
    bed.board.lose_isolation(CORE);
    assert_eq!(bed.start(session), global_platform::SECURITY);
    assert_eq!(
        bed.last_error(session),
        Some((Status::GenerationChanged, 1, 2))
    );
    assert_eq!(bed.state(session), CoreState::Off);
    assert!(bed.board.is_held(CORE));
    bed.assert_wiped();
}

#[test]
fn a_start_that_the_platform_refuses_leaves_the_core_loaded() {
    let mut bed = Bed::new();
    let session = bed.bring_to(CoreState::Loaded);
    bed.board.fail_next(Call::Start, global_platform::BUSY);
    assert_eq!(bed.start(session), global_platform::GENERIC);
    let busy = global_platform::BUSY.into();
    assert_eq!(
        bed.last_error(session),
        Some((Status::PlatformFailed, 5, busy))
    );
    assert_eq!(bed.state(session), CoreState::Loaded);
    assert_eq!(bed.start(session), 0);
}

#[test]
fn a_stop_that_the_platform_refuses_can_be_tried_again() {
    let mut bed = Bed::new();
    let session = bed.bring_to(CoreState::Running);
    bed.board.fail_next(Call::Stop, global_platform::BUSY);
    assert_eq!(bed.stop(session), global_platform::GENERIC);
    assert_eq!(bed.state(session), CoreState::Running);
    assert_eq!(bed.stop(session), 0);
    bed.assert_wiped();
}

#[test]
fn a_platform_that_cannot_be_asked_is_named_and_nothing_is_decided() {
    let mut bed = Bed::new();
    let session = bed.bring_to(CoreState::Loaded);
    let before = bed.board.private(CORE);
    bed.board.fail_next(Call::State, global_platform::GENERIC);
    assert_eq!(bed.start(session), global_platform::GENERIC);
    let generic = global_platform::GENERIC.into();
    assert_eq!(
        bed.last_error(session),
        Some((Status::PlatformFailed, 0x103, generic))
    );
    assert!(bed.board.private(CORE) == before && bed.board.is_held(CORE));
    assert_eq!(bed.start(session), 0);
}

/// ta-api.md 5.6
#[test]
fn a_restarted_ta_finds_a_running_core_and_can_stop_it() {
    for state in [
        CoreState::Starting,
        CoreState::Running,
        CoreState::Crashed,
        CoreState::Stopping,
    ] {
        let mut bed = Bed::new();
        let session = bed.bring_to(state);
        let before = bed.report(session).unwrap();
        let place = bed.table_place(session);
        bed.restart_ta();
        let session = bed.open();
        assert_eq!(bed.report(session).unwrap(), before);
        assert_eq!(bed.table_place(session), place);
        assert_eq!(bed.master_table(session), Err(Status::TableUnknown));
        assert_eq!(bed.stop(session), 0);
        bed.board.let_halt(CORE);
        assert_eq!(bed.state(session), CoreState::Off);
        bed.assert_wiped();
    }
}

/// ta-api.md 5.6
#[test]
fn a_restarted_ta_keeps_what_was_loaded_and_never_ran() {
    let mut bed = Bed::new();
    let session = bed.bring_to(CoreState::Loaded);
    let before = bed.report(session).unwrap();
    bed.restart_ta();
    let session = bed.open();
    assert_eq!(bed.report(session).unwrap(), before);
    bed.assert_loaded(&Spec::small());
    assert_eq!(bed.start(session), 0);
    assert_eq!(bed.state(session), CoreState::Running);
}

/// ta-api.md 5.6
#[test]
fn a_restarted_ta_wipes_what_may_not_be_what_was_loaded() {
    // A load that was cut off, a core that ran since, an isolation that was lost, a record that is none.
    let cut: [fn(&mut Bed); 4] = [
        |bed| {
            bed.bring_to(CoreState::Loading);
        },
        |bed| {
            let session = bed.bring_to(CoreState::Running);
            // The TA dies between the stop and the wipe.
            bed.board.fail_next(Call::Record, global_platform::GENERIC);
            assert_ne!(bed.stop(session), 0);
        },
        |bed| {
            bed.bring_to(CoreState::Loaded);
            bed.board.lose_isolation(CORE);
        },
        |bed| {
            bed.bring_to(CoreState::Loaded);
            bed.board.set_record(CORE, b"junk");
        },
    ];
    for cut in cut {
        let mut bed = Bed::new();
        cut(&mut bed);
        bed.restart_ta();
        let session = bed.open();
        assert_eq!(bed.state(session), CoreState::Off);
        bed.assert_wiped();
        assert_eq!(bed.board.record_of(CORE), b"");
    }
}

/// ta-api.md 5.5
#[test]
fn a_core_that_halts_behind_our_back_is_wiped() {
    let mut bed = Bed::new();
    let session = bed.bring_to(CoreState::Running);
    bed.board.set_polls(CORE, 0, 0);
    assert_eq!(bed.state(session), CoreState::Off);
    bed.assert_wiped();
}

/// ta-api.md 3.6 and 5.3
#[test]
fn release_ends_a_load_and_its_session_is_told() {
    let mut bed = Bed::new();
    let (session, other) = (bed.bring_to(CoreState::Loading), bed.open());
    assert_eq!(bed.release(other), 0);
    bed.assert_wiped();
    let piece = Source::new([0; 0x1234]);
    assert_eq!(
        bed.go_on(session, 0, piece.clone()),
        Err(Status::LoadAborted)
    );
    assert_eq!(bed.go_on(session, 0, piece), Err(Status::LoadNotBegun));
    let file = bed.pki.bundle(&Spec::small());
    assert_eq!(bed.stream(session, &file), Ok(()));
}

#[test]
fn a_session_that_begins_anew_is_not_told_of_the_end_of_its_earlier_load() {
    let ends: [fn(&mut Bed, SessionId); 2] = [
        |bed, session| assert_eq!(bed.release(session), 0),
        |bed, _| bed.clock.advance(31_000),
    ];
    for end in ends {
        let mut bed = Bed::new();
        let session = bed.bring_to(CoreState::Loading);
        end(&mut bed, session);
        let file = bed.pki.bundle(&Spec::small());
        assert_eq!(bed.stream(session, &file), Ok(()));
        assert_eq!(bed.state(session), CoreState::Loaded);
    }
}

/// ta-api.md 2.7 and 5.3
#[test]
fn a_load_dies_with_its_session() {
    let mut bed = Bed::new();
    let (session, other) = (bed.bring_to(CoreState::Loading), bed.open());
    bed.ta.close_session(session);
    bed.assert_wiped();
    assert_eq!(bed.state(other), CoreState::Off);
    let file = bed.pki.bundle(&Spec::small());
    assert_eq!(bed.load(other, &file), 0);
}

/// ta-api.md 5.4
#[test]
fn a_load_that_is_silent_for_half_a_minute_ends_at_the_next_command() {
    let mut bed = Bed::new();
    let (session, other) = (bed.bring_to(CoreState::Loading), bed.open());
    bed.clock.advance(30_000);
    assert_eq!(bed.state(other), CoreState::Loading);
    bed.clock.advance(1);
    assert_eq!(bed.state(other), CoreState::Off);
    bed.assert_wiped();
    let piece = Source::new([0; 0x1234]);
    assert_eq!(bed.go_on(session, 0, piece), Err(Status::LoadTimedOut));
    assert_eq!(
        bed.last_error(session),
        Some((Status::LoadTimedOut, 30_001, 30_000))
    );
}

/// ta-api.md 5.4
#[test]
fn a_slow_load_that_goes_on_is_not_ended() {
    let mut bed = Bed::new();
    let session = bed.open();
    let file = bed.pki.bundle(&Spec::large());
    let (mut offset, mut length) = bed.begin(session, &file).unwrap();
    while length != 0 {
        bed.clock.advance(29_000);
        let piece = &file[offset as usize..(offset + length) as usize];
        (offset, length) = bed.go_on(session, offset, Source::new(piece)).unwrap();
    }
    assert_eq!(bed.state(session), CoreState::Loaded);
}

/// ta-api.md 2.7
#[test]
fn a_client_that_dies_between_any_two_commands_leaves_a_core_that_can_be_used() {
    type Step = fn(&mut Bed, SessionId, &[u8]);
    let steps: [Step; 4] = [
        |bed, session, file| assert_eq!(bed.load(session, file), 0),
        |bed, session, _| assert_eq!(bed.start(session), 0),
        |bed, session, _| assert_eq!(bed.state(session), CoreState::Running),
        |bed, session, _| assert_eq!(bed.stop(session), 0),
    ];
    for done in 0..=steps.len() {
        let mut bed = Bed::new();
        bed.board.set_polls(CORE, 0, 0);
        let file = bed.pki.bundle(&Spec::small());
        let session = bed.open();
        for step in &steps[..done] {
            step(&mut bed, session, &file);
        }
        bed.ta.close_session(session);
        // The next client goes on where the dead one was.
        let session = bed.open();
        assert_eq!(
            bed.board.is_held(CORE),
            !(2..=3).contains(&done),
            "a running core keeps running"
        );
        for step in &steps[done..] {
            step(&mut bed, session, &file);
        }
        for step in &steps {
            step(&mut bed, session, &file);
        }
        bed.assert_wiped();
    }
}
