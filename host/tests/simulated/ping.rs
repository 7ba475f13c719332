//! `attach --ping` against firmware that does not echo as it should.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::firmware::{Board, Manner, master, status};
use clap::Parser;
use corewarden::Error;
use corewarden::cli::{Arguments, Exit, Failure, Machine, Report, exit, run};
use corewarden::doorbell::{BytePort, Doorbell};
use corewarden::shared_memory::Window;
use corewarden::ta::{self, Parameter, Transport};
use platform::Core;
use rpmsg::Status;
use ta_protocol::{Command, CoreState, StateReport};

/// A machine whose core runs, and whose TA says so.
struct Running {
    window: Window,
    doorbell: Option<BytePort>,
}

struct Ta;

impl Transport for Ta {
    fn open(&mut self, _core: u32) -> Result<(), ta::Failure> {
        Ok(())
    }

    fn invoke(
        &mut self,
        command: u32,
        parameters: &mut [Parameter<'_>; 4],
    ) -> Result<(), ta::Failure> {
        let report = StateReport {
            state: CoreState::Running,
            start_counter: 1,
            ..StateReport::default()
        };
        let answer = match Command::from_number(command) {
            Some(Command::State) => report.to_bytes().to_vec(),
            Some(Command::MasterTable) => master(),
            _ => panic!("command {command:#x} is not needed"),
        };
        if let Parameter::MemoryOutput { buffer, used } = &mut parameters[0] {
            buffer[..answer.len()].copy_from_slice(&answer);
            *used = answer.len();
        }
        Ok(())
    }

    fn close(&mut self) {}
}

impl Machine for Running {
    fn transport(&mut self) -> Result<Box<dyn Transport>, Error> {
        Ok(Box::new(Ta))
    }

    fn window(&mut self, _core: &Core) -> Result<Window, Error> {
        Ok(self.window.clone())
    }

    fn doorbell(&mut self, _core: &Core) -> Result<Box<dyn Doorbell>, Error> {
        let port = self.doorbell.take().ok_or(Error::DoorbellMissing)?;
        Ok(Box::new(port))
    }
}

fn ping(manner: Manner, line: &str, interrupted: &AtomicBool) -> Result<Report, Failure> {
    let board = Board::new();
    let (_firmware, bell) = board.start(manner);
    attach(&board, bell, line, interrupted)
}

fn attach(
    board: &Board,
    bell: BytePort,
    line: &str,
    interrupted: &AtomicBool,
) -> Result<Report, Failure> {
    let mut machine = Running {
        window: board.window.clone(),
        doorbell: Some(bell),
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let platform = root
        .join("ta/platforms/qemu-virt.toml")
        .display()
        .to_string();
    let words = ["corewarden", "--platform", &platform, "attach"];
    let words = words.into_iter().chain(line.split(' '));
    run(
        &Arguments::try_parse_from(words).unwrap(),
        &mut machine,
        interrupted,
    )
}

#[test]
fn answers_that_were_changed_are_counted_and_end_with_6() {
    let result = ping(Manner::Change, "--ping 20", &AtomicBool::new(false));
    assert_eq!(exit(&result), Exit::Peer);
    let Ok(Report::Ping(report)) = result else {
        panic!("{result:?}");
    };
    assert_eq!((report.sent, report.right), (20, 0));
    assert_eq!((report.wrong, report.lost), (20, 0));
    assert_eq!(report.latency, None);
}

#[test]
fn answers_that_do_not_come_are_counted_and_end_with_6() {
    let line = "--ping 3 --timeout 200";
    let result = ping(Manner::Silence, line, &AtomicBool::new(false));
    assert_eq!(exit(&result), Exit::Peer);
    let Ok(Report::Ping(report)) = result else {
        panic!("{result:?}");
    };
    assert_eq!((report.right, report.wrong, report.lost), (0, 0, 3));
}

#[test]
fn nonsense_beside_right_answers_is_shown_and_no_fault() {
    let result = ping(Manner::Nonsense, "--ping 5", &AtomicBool::new(false));
    assert_eq!(exit(&result), Exit::Done);
    let Ok(Report::Ping(report)) = result else {
        panic!("{result:?}");
    };
    assert_eq!((report.right, report.oddities.lies), (5, 2));
    assert!(
        Report::Ping(report)
            .to_string()
            .contains("odd: 2 messages broke a rule")
    );
}

#[test]
fn a_signal_ends_a_ping_under_way() {
    let interrupted = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(100));
            interrupted.store(true, Ordering::Relaxed);
        });
        let line = "--ping 1000 --timeout 20000";
        let failure = ping(Manner::Silence, line, &interrupted).unwrap_err();
        assert_eq!(
            (failure.exit, failure.exit.code()),
            (Exit::Interrupted, 130)
        );
    });
}

#[test]
fn a_firmware_that_restarts_before_its_service_is_there_is_told_at_once() {
    let board = Board::new();
    let (firmware, bell) = board.start(Manner::Echo);
    let failure = std::thread::scope(|scope| {
        let attached = scope.spawn(|| {
            let line = "--ping 1 --service another --timeout 60000";
            attach(&board, bell, line, &AtomicBool::new(false)).unwrap_err()
        });
        while status().load(&board.window) != Status::READY {
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_millis(200));
        drop(firmware);
        let _firmware = board.start(Manner::Echo);
        attached.join().unwrap()
    });
    assert_eq!(failure.exit, Exit::Peer);
    assert!(
        matches!(failure.error, Some(Error::PeerRestarted { .. })),
        "{failure:?}"
    );
}

#[test]
fn a_payload_too_long_for_a_buffer_ends_with_6_and_says_how_long_it_may_be() {
    let line = "--ping 1 --size 497";
    let failure = ping(Manner::Echo, line, &AtomicBool::new(false)).unwrap_err();
    assert_eq!(failure.exit, Exit::Peer);
    let expected = "RPMsg: payload up to byte 497 in a buffer of 496";
    assert_eq!(failure.message, expected);
}
