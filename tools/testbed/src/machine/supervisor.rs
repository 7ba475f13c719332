//! The thread that owns both QEMUs: reset line, doorbells, consoles, the hard limit.
//!
//! It is the parent of A and B, so that they die with it whatever ends it. It never blocks but in `poll` (and for the
//! few milliseconds a killed B needs to go), never trusts a length or a line it reads, and writes everything it sees
//! into the run folder.

use std::collections::VecDeque;
use std::fmt::Display;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal as ProcessSignal;
use serde_json::Value;

use super::channel::{Channel, Refused, find_lines, greet, intercept, let_run, plug_window};
use super::error::{Doing, Ended, Fault};
use super::journal::{Event, Happening, Journal, Line};
use super::logs::{Logs, create};
use super::memory::Memory;
use super::port::{Port, take_lines};
use super::process::Process;
use super::qemu::{self, BoardEnds, CORE_BOOT_ADDRESS, CoreEnds};
use super::reset::{Action, Core, Signal};
use super::{Config, PanicPoint, qmp, qtest};

/// What the handle asks of the thread.
pub(super) enum Request {
    /// End B by this signal, as a crash would.
    Crash,
    /// Ask A's monitor.
    Monitor {
        name: &'static str,
        arguments: Value,
        answer: Sender<Result<Value, String>>,
    },
    /// Reset B, as its own watchdog would; its memory stays as it is.
    Reset,
    /// Stop everything.
    Stop,
    /// Copy Linux' console to this stream from now on.
    Tap(Port),
    /// Type into Linux' console.
    Type(Vec<u8>),
}

/// What the handle gets when the machine runs.
pub(super) struct Started {
    pub(super) memory: Memory,
    pub(super) board_id: u32,
}

pub(super) struct Supervisor {
    config: Config,
    journal: Arc<Journal>,
    requests: Receiver<Request>,
    wake: Port,
    logs: Logs,
    memory: Memory,
    board: Process,
    console: Channel,
    doorbell: Channel,
    monitor: Channel,
    qtest: Channel,
    answers: VecDeque<Sender<Result<Value, String>>>,
    tap: Option<Port>,
    /// QOM path of the secure PL061.
    lines: String,
    /// Level of the acknowledge line.
    acknowledged: bool,
    core: Core,
    core_process: Option<CoreProcess>,
}

struct CoreProcess {
    process: Process,
    uart: Channel,
    qtest: Channel,
    released: Instant,
    answered: bool,
}

impl Supervisor {
    /// Starts A, takes its memory, plugs the window in, watches the reset line and lets A run.
    pub(super) fn start(
        config: Config,
        journal: Arc<Journal>,
        requests: Receiver<Request>,
        wake: Port,
    ) -> Result<(Self, Started), Refused> {
        let logs = Logs::create(&config.logs)?;
        let (console, console_end) = Channel::pair()?;
        let (doorbell, doorbell_end) = Channel::pair()?;
        let (mut monitor, monitor_end) = Channel::pair()?;
        let (mut qtest, qtest_end) = Channel::pair()?;
        let ends = BoardEnds {
            console: console_end,
            doorbell: doorbell_end,
            monitor: monitor_end,
            qtest: qtest_end,
        };
        let command = qemu::board(&config, &ends)?;
        let errors = create(&config.logs, "qemu.err")?;
        let board = Process::spawn(command, ends.into_inherited(), &errors)
            .doing("start qemu-system-aarch64")?;
        config.panic_at(PanicPoint::BoardSpawned);

        greet(&mut monitor)?;
        let memory = Memory::of_process(board.id())?;
        plug_window(&mut monitor, &memory)?;
        let lines = find_lines(&mut monitor)?;
        intercept(&mut qtest, &lines)?;
        let_run(&mut monitor)?;
        config.panic_at(PanicPoint::BoardRunning);

        let started = Started {
            memory: memory.try_clone()?,
            board_id: board.id(),
        };
        let mut supervisor = Self {
            config,
            journal,
            requests,
            wake,
            logs,
            memory,
            board,
            console,
            doorbell,
            monitor,
            qtest,
            answers: VecDeque::new(),
            tap: None,
            lines,
            acknowledged: false,
            core: Core::Held,
            core_process: None,
        };
        supervisor.say("board runs");
        Ok((supervisor, started))
    }

    /// Serves until A ends, the handle stops it or the limit is reached; then nothing of the machine is left.
    pub(super) fn run(mut self) {
        let ended = loop {
            if self.journal.now() >= self.config.limit {
                break Ended::TimeLimit(self.config.limit);
            }
            let ready = self.poll();
            if self.serve_requests() {
                break Ended::Stopped;
            }
            if !ready {
                continue;
            }
            self.serve_board();
            self.serve_core();
            if has_ended(&self.board) {
                // What it wrote last is still in the sockets.
                while self.console.port.is_open() {
                    self.receive_console();
                }
                break self.board.wait().unwrap_or(Ended::Exit(-1));
            }
        };
        self.end(ended);
    }

    /// Waits until something can be done. `false`: only time has passed.
    fn poll(&mut self) -> bool {
        let left = self.config.limit.saturating_sub(self.journal.now());
        let time = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let ports = [
            &self.console.port,
            &self.doorbell.port,
            &self.monitor.port,
            &self.qtest.port,
            &self.wake,
        ];
        let core_ports = self
            .core_process
            .iter()
            .flat_map(|core| [&core.uart.port, &core.qtest.port]);
        let mut waits: Vec<PollFd<'_>> = ports
            .into_iter()
            .chain(core_ports)
            .chain(&self.tap)
            .filter(|port| port.is_open())
            .map(|port| PollFd::new(port, port.interest()))
            .collect();
        waits.push(PollFd::new(&self.board, PollFlags::IN));
        if let Some(core) = &self.core_process {
            waits.push(PollFd::new(&core.process, PollFlags::IN));
        }
        // An interrupted wait is a wait in which nothing became ready.
        poll(&mut waits, Some(&time)).is_ok_and(|ready| ready > 0)
    }

    /// `true`: stop.
    fn serve_requests(&mut self) -> bool {
        self.wake.receive(&mut Vec::new());
        loop {
            match self.requests.try_recv() {
                Ok(Request::Crash) => {
                    if let Some(core) = &self.core_process {
                        // It may have died in between; then it has crashed already.
                        let _ = core.process.signal(ProcessSignal::SEGV);
                    }
                }
                Ok(Request::Monitor {
                    name,
                    arguments,
                    answer,
                }) => {
                    if self
                        .monitor
                        .port
                        .send(qmp::command(name, &arguments).as_bytes())
                    {
                        self.answers.push_back(answer);
                    }
                }
                Ok(Request::Reset) => {
                    if let Some(core) = &mut self.core_process {
                        let reset = qtest::write_word(CORE_RESET, CORE_RESET_NOW);
                        // One that takes nothing any more is dead already.
                        let _ = core.qtest.port.send(reset.as_bytes());
                    }
                }
                Ok(Request::Tap(port)) => self.tap = Some(port),
                Ok(Request::Type(bytes)) => {
                    if !self.console.port.send(&bytes) {
                        self.say("typed bytes lost: Linux does not read its console");
                    }
                }
                Ok(Request::Stop) | Err(TryRecvError::Disconnected) => return true,
                Err(TryRecvError::Empty) => return false,
            }
        }
    }

    fn serve_board(&mut self) {
        for port in [
            &mut self.console.port,
            &mut self.doorbell.port,
            &mut self.monitor.port,
            &mut self.qtest.port,
        ] {
            port.flush();
        }
        if let Some(tap) = &mut self.tap {
            tap.flush();
            tap.receive(&mut Vec::new());
        }
        self.tap = self.tap.take().filter(Port::is_open);
        self.receive_console();
        self.monitor.receive();
        for line in take_lines(&mut self.monitor.buffer) {
            self.hear_monitor(&line);
        }
        self.qtest.receive();
        for line in take_lines(&mut self.qtest.buffer) {
            if let Some(qtest::Line::Output { number, high }) = qtest::parse(&line) {
                self.say(format_args!(
                    "line {number} of the secure world {}",
                    if high { "high" } else { "low" }
                ));
                match (number, high) {
                    (LINE_RESET, true) => self.signal(Signal::ResetReleased),
                    (LINE_RESET, false) => self.signal(Signal::ResetAsserted),
                    _ => {}
                }
            } else if line != "OK" {
                self.say(format_args!("qtest: {line}"));
            }
        }
        self.doorbell.receive();
        let rang = self.doorbell.buffer.len();
        self.doorbell.buffer.clear();
        if rang > 0 {
            self.signal(Signal::LinuxRang(rang));
            self.config.panic_at(PanicPoint::LinuxRang);
        }
    }

    fn serve_core(&mut self) {
        let Some(core) = &mut self.core_process else {
            return;
        };
        // Looked at first: whatever a dead core wrote is then read below.
        let exited = has_ended(&core.process);
        core.qtest.port.flush();
        core.uart.receive();
        core.qtest.receive();
        let lines = take_lines(&mut core.qtest.buffer);
        let answered = !core.answered && lines.iter().any(|line| line.starts_with("OK 0x"));
        core.answered |= answered;
        let rung = std::mem::take(&mut core.uart.buffer);
        if !rung.is_empty() {
            self.pass_to_linux(&rung);
        }
        if answered {
            self.signal(Signal::CoreAnswered);
            self.config.panic_at(PanicPoint::CoreUp);
        }
        if exited {
            self.signal(Signal::CoreExited);
            self.config.panic_at(PanicPoint::CoreDied);
        }
    }

    fn receive_console(&mut self) {
        let kept = self.console.buffer.len();
        self.console.receive();
        let fresh = &self.console.buffer[kept..];
        if fresh.is_empty() {
            return;
        }
        let at = self.journal.now();
        if let Some(tap) = &mut self.tap {
            // A terminal that does not keep up loses text; the log does not.
            let _ = tap.send(fresh);
        }
        let lines = take_lines(&mut self.console.buffer);
        for line in &lines {
            self.logs.linux(at, line);
        }
        let partial = String::from_utf8_lossy(&self.console.buffer).into_owned();
        if self.console.buffer.len() > LONGEST_LINE {
            self.console.buffer.clear();
        }
        self.journal.change(|state| {
            state
                .lines
                .extend(lines.into_iter().map(|text| Line { at, text }));
            state.partial = partial;
        });
    }

    fn hear_monitor(&mut self, line: &str) {
        match qmp::parse(line) {
            Some(qmp::Message::Event(event)) => {
                self.say(format_args!("monitor: {event}"));
                if event == "RESET" {
                    self.note(Happening::BoardReset);
                    self.signal(Signal::BoardReset);
                }
            }
            Some(qmp::Message::Return(value)) => self.answer(Ok(value)),
            Some(qmp::Message::Refused(words)) => self.answer(Err(words)),
            Some(qmp::Message::Greeting { .. }) | None => self.say(format_args!("monitor: {line}")),
        }
    }

    fn answer(&mut self, answer: Result<Value, String>) {
        if let Some(asker) = self.answers.pop_front() {
            // The asker may have given up waiting.
            let _ = asker.send(answer);
        }
    }

    fn signal(&mut self, signal: Signal) {
        let (core, actions) = self.core.after(signal);
        for action in actions {
            self.act(action);
        }
        if core != self.core {
            self.core = core;
            let id = self.core_process.as_ref().map(|core| core.process.id());
            self.journal
                .change(|state| (state.core, state.core_id) = (core, id));
        }
        if matches!(signal, Signal::ResetAsserted) {
            self.note(Happening::CoreHeld);
        }
        if core == Core::Starting && self.core_process.is_none() {
            // It could not be spawned: a core that is dead from the beginning.
            self.signal(Signal::CoreExited);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Acknowledge => self.acknowledge(!self.acknowledged),
            Action::ClearAcknowledge => self.acknowledge(false),
            Action::Drop(times) => self.journal.count(|rings| rings.dropped += times as u64),
            Action::Fault(high) => {
                if high {
                    self.bury_core();
                }
                self.drive(LINE_FAULT, high);
            }
            Action::Kill => {
                if let Some(mut core) = self.core_process.take() {
                    let ended = core.process.kill();
                    self.say(format_args!("core stopped: {ended:?}"));
                }
            }
            Action::Ring(times) => self.ring_core(times),
            Action::Running(high) => {
                if high && let Some(core) = &self.core_process {
                    let took = core.released.elapsed();
                    self.say(format_args!("core up after {took:?}"));
                    self.note(Happening::CoreUp(took));
                }
                self.drive(LINE_RUNNING, high);
            }
            Action::Spawn => {
                self.note(Happening::CoreReleased);
                match self.spawn_core() {
                    Ok(core) => self.core_process = Some(core),
                    Err(fault) => self.say(format_args!("core not started: {fault}")),
                }
                self.config.panic_at(PanicPoint::CoreReleased);
            }
        }
    }

    fn spawn_core(&self) -> Result<CoreProcess, Fault> {
        let released = Instant::now();
        let (uart, uart_end) = Channel::pair()?;
        let (mut qtest, qtest_end) = Channel::pair()?;
        let ends = CoreEnds {
            uart: uart_end,
            qtest: qtest_end,
        };
        let command = qemu::core(&self.config, &self.memory, &ends);
        let process = Process::spawn(command, ends.into_inherited(), &self.logs.core_errors)
            .doing("start qemu-system-arm")?;
        qtest
            .port
            .send(qtest::read_word(CORE_BOOT_ADDRESS).as_bytes());
        Ok(CoreProcess {
            process,
            uart,
            qtest,
            released,
            answered: false,
        })
    }

    /// The core ended by itself: collect it.
    fn bury_core(&mut self) {
        if let Some(mut core) = self.core_process.take() {
            let ended = core.process.wait().unwrap_or(Ended::Exit(-1));
            self.say(format_args!("core died: {ended}"));
            self.note(Happening::CoreDied(ended));
        }
    }

    fn ring_core(&mut self, times: usize) {
        let Some(core) = &mut self.core_process else {
            return;
        };
        let pulse = [
            qtest::set_input(CORE_INTERRUPTS, DOORBELL_INTERRUPT, true),
            qtest::set_input(CORE_INTERRUPTS, DOORBELL_INTERRUPT, false),
        ]
        .concat();
        // An interrupt line holds one pending ring, so losing some of very many changes nothing.
        let rung = (0..times)
            .take_while(|_| core.qtest.port.send(pulse.as_bytes()))
            .count();
        self.journal.count(|rings| {
            rings.to_core += rung as u64;
            rings.dropped += (times - rung) as u64;
        });
    }

    fn pass_to_linux(&mut self, rung: &[u8]) {
        self.logs.core(self.journal.now(), rung);
        let count = rung.len() as u64;
        let taken = self.doorbell.port.send(rung);
        self.journal.count(|rings| match taken {
            true => rings.to_linux += count,
            false => rings.dropped += count,
        });
    }

    fn acknowledge(&mut self, level: bool) {
        self.acknowledged = level;
        self.drive(LINE_ACKNOWLEDGE, level);
    }

    /// Drives a line back to the secure world.
    fn drive(&mut self, number: u32, high: bool) {
        let _ = self
            .qtest
            .port
            .send(qtest::set_input(&self.lines, number, high).as_bytes());
    }

    fn note(&self, what: Happening) {
        let at = self.journal.now();
        self.journal
            .change(|state| state.events.push(Event { at, what }));
    }

    fn say(&mut self, what: impl Display) {
        let at = self.journal.now();
        self.logs.supervisor(at, what);
    }

    fn end(mut self, ended: Ended) {
        self.core_process = None;
        let _ = self.board.kill();
        self.say(format_args!("end: {ended}"));
        let rest = String::from_utf8_lossy(&self.console.buffer).into_owned();
        if !rest.is_empty() {
            let at = self.journal.now();
            self.logs.linux(at, &rest);
        }
        self.note(Happening::Ended(ended));
        self.journal.change(|state| {
            (state.ended, state.core, state.core_id) = (Some(ended), Core::Held, None)
        });
    }
}

/// Lines of the secure PL061: TF-A owns 0 and 1.
const LINE_RESET: u32 = 3;
const LINE_RUNNING: u32 = 4;
const LINE_FAULT: u32 = 5;
const LINE_ACKNOWLEDGE: u32 = 6;

const CORE_INTERRUPTS: &str = "/machine/armv7m";
const DOORBELL_INTERRUPT: u32 = 7;
/// AIRCR with its key and SYSRESETREQ (Armv7-M, B3.2.6).
const CORE_RESET: u32 = 0xe000_ed0c;
const CORE_RESET_NOW: u32 = 0x05fa_0004;
/// A longer "line" is binary garbage; it is cut.
const LONGEST_LINE: usize = 1 << 16;

fn has_ended(process: &Process) -> bool {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(
        &mut [PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)],
        Some(&now),
    )
    .is_ok_and(|ready| ready > 0)
}
