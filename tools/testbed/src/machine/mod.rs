//! The machine: QEMU A (Linux and OP-TEE), QEMU B (the core) and the supervisor between them.
//!
//! A thread of ours is the reset controller and the doorbell wiring, and the parent of both QEMUs. It holds everything:
//! when it ends, by its own end, a panic or a SIGKILL of the whole process, nothing of the machine is left but the run
//! folder with the consoles. [`Machine`] is the handle: it waits for lines, types commands, and opens the back door to
//! the memory that the two machines share.
//!
//! | wire | from | to |
//! |---|---|---|
//! | secure PL061, line 3: 1 releases the core, 0 holds it in reset | secure world | supervisor: B exists or not |
//! | line 4: the core runs | supervisor | secure world |
//! | line 5: the core died by itself since its release | supervisor | secure world |
//! | line 6: changes once the core is in reset, after each 0 on line 3 | supervisor | secure world |
//! | virtio-serial port `coproc.db`, a byte for each ring | Linux | B's interrupt 7 |
//! | B's UART 0, a byte for each ring | B | Linux, the same port |
//!
//! Linux finds the shared window in physical memory, and once more as the memory of a PCI device.

mod channel;
mod config;
mod error;
mod journal;
mod logs;
mod memory;
mod port;
mod process;
mod qemu;
mod qmp;
mod qtest;
mod reset;
mod supervisor;
mod terminal;
mod watch;

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use self::channel::Refused;
use self::error::Doing;
use self::journal::{Journal, Waited};
use self::port::Port;
use self::supervisor::{Request, Started, Supervisor};

pub use self::config::{Config, PanicPoint, SUCCESSOR};
pub use self::error::{Ended, Error, Fault};
pub use self::journal::{Event, Happening, Line, Rings};
pub use self::memory::{Memory, Region};
pub use self::reset::Core;
pub use self::watch::{Watch, children};

/// What a command in Linux wrote, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Exit status.
    pub status: i32,
    /// Everything it wrote.
    pub lines: Vec<Line>,
    /// From typing to the end, as seen from outside.
    pub took: Duration,
}

/// A running machine. Dropping it ends everything and waits until it is gone.
pub struct Machine {
    journal: Arc<Journal>,
    requests: Sender<Request>,
    wake: UnixStream,
    thread: Option<JoinHandle<()>>,
    memory: Memory,
    board_id: u32,
    config: Config,
    /// The next line that no `expect` has passed.
    next: usize,
    /// Commands typed so far.
    typed: u32,
}

impl Output {
    /// The text of all lines, joined by line ends.
    pub fn text(&self) -> String {
        self.lines
            .iter()
            .map(|line| line.text.as_str())
            .collect::<Vec<_>>()
            .join("\n")
    }
}

impl Machine {
    /// Starts A and lets it run; B follows when the secure world releases the core.
    pub fn start(config: Config) -> Result<Self, Error> {
        let logs = config.logs.clone();
        let fail = |refused: Refused| Error::new(refused.fault, refused.words, &logs);
        fs::create_dir_all(&logs)
            .doing("make the run folder")
            .map_err(|fault| fail(fault.into()))?;
        let (wake_port, wake) = Port::pair().map_err(|fault| fail(fault.into()))?;
        let wake = UnixStream::from(wake);
        wake.set_nonblocking(true)
            .doing("make a socket pair")
            .map_err(|fault| fail(fault.into()))?;
        let journal = Arc::new(Journal::new(Instant::now()));
        let (requests, received) = channel();
        let (report, reported) = channel();
        let thread = {
            let journal = Arc::clone(&journal);
            let config = config.clone();
            std::thread::Builder::new()
                .name("supervisor".to_owned())
                .spawn(move || supervise(config, journal, received, wake_port, &report))
                .doing("start the supervisor's thread")
                .map_err(|fault| fail(fault.into()))?
        };
        match reported.recv() {
            Ok(Ok(Started { memory, board_id })) => {
                let thread = Some(thread);
                Ok(Self {
                    journal,
                    requests,
                    wake,
                    thread,
                    memory,
                    board_id,
                    config,
                    next: 0,
                    typed: 0,
                })
            }
            Ok(Err(mut refused)) => {
                // The thread has already killed what it had started.
                let _ = thread.join();
                let words = fs::read_to_string(logs.join("qemu.err")).unwrap_or_default();
                if let Some(last) = words.lines().last() {
                    refused.words = [refused.words.as_str(), last].join(" ").trim().to_owned();
                }
                Err(fail(refused))
            }
            Err(_) => Err(Error::new(
                Fault::SupervisorPanicked,
                panic_message(thread),
                &logs,
            )),
        }
    }

    /// Waits until Linux has booted to its shell. Gives the time since the start.
    pub fn boot(&mut self, within: Duration) -> Result<Duration, Error> {
        self.expect(READY, within).map(|line| line.at)
    }

    /// Waits for the next line of Linux' console that contains `text`, and passes it.
    pub fn expect(&mut self, text: &str, within: Duration) -> Result<Line, Error> {
        self.expect_where(text, within, |line| {
            line.text.contains(text).then(|| line.clone())
        })
    }

    /// Waits for the next line of Linux' console in which `find` finds something, and passes it.
    pub fn expect_where<T>(
        &mut self,
        what: &str,
        within: Duration,
        mut find: impl FnMut(&Line) -> Option<T>,
    ) -> Result<T, Error> {
        let mut next = self.next;
        let waited = self.journal.wait(within, |state| {
            while let Some(line) = state.lines.get(next) {
                next += 1;
                if let Some(found) = find(line) {
                    return Some(found);
                }
            }
            None
        });
        self.next = next;
        self.found(waited, what, within)
    }

    /// Types a command into Linux' shell and waits for its end. It reads nothing from the console.
    pub fn run(&mut self, command: &str, within: Duration) -> Result<Output, Error> {
        self.typed += 1;
        let (begin, end) = (format!("@@b{}", self.typed), format!("@@e{} ", self.typed));
        // Typed with quotes inside, so that the terminal's echo of it is not taken for the mark itself.
        let typed = format!(
            "echo '@@'b{}; {{ {command}; }} </dev/null 2>&1; echo '@@'e{} $?",
            self.typed, self.typed
        );
        let started = Instant::now();
        self.type_line(&typed)?;
        self.expect_where(command, within, |line| {
            line.text.ends_with(&begin).then_some(())
        })?;
        let first = self.next;
        let left = within.saturating_sub(started.elapsed());
        let (status, rest) = self.expect_where(command, left, |line| {
            let (before, status) = line.text.split_once(&end)?;
            let text = before.to_owned();
            Some((status.trim().parse().ok()?, Line { at: line.at, text }))
        })?;
        let took = started.elapsed();
        let mut lines = self.journal.read().lines[first..self.next - 1].to_vec();
        // What the command wrote last, if it did not end its line.
        if !rest.text.is_empty() {
            lines.push(rest);
        }
        Ok(Output {
            status,
            lines,
            took,
        })
    }

    /// As [`Machine::run`], and an error if the command does not end with 0.
    pub fn succeed(&mut self, command: &str, within: Duration) -> Result<Output, Error> {
        let output = self.run(command, within)?;
        if output.status == 0 {
            return Ok(output);
        }
        let fault = Fault::CommandFailed {
            status: output.status,
        };
        Err(self.error(fault, format!("{command}: {}", output.text())))
    }

    /// Types into Linux' console without waiting for anything.
    pub fn type_line(&self, text: &str) -> Result<(), Error> {
        self.request(Request::Type(format!("{text}\n").into_bytes()))
    }

    /// All lines of Linux' console so far.
    pub fn lines(&self) -> Vec<Line> {
        self.journal.read().lines.clone()
    }

    /// The secure world's console so far.
    pub fn secure_console(&self) -> Result<String, Error> {
        let bytes =
            fs::read(self.config.logs.join(qemu::SECURE_LOG)).doing("read the secure console");
        bytes
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .map_err(|fault| self.error(fault, ""))
    }

    /// All that has happened to board and core so far.
    pub fn events(&self) -> Vec<Event> {
        self.journal.read().events.clone()
    }

    /// How often the board has been reset.
    pub fn resets(&self) -> usize {
        count_resets(&self.journal.read().events)
    }

    /// Waits until the board has been reset `count` times since the start.
    pub fn wait_resets(&self, count: usize, within: Duration) -> Result<(), Error> {
        let waited = self.journal.wait(within, |state| {
            (count_resets(&state.events) >= count).then_some(())
        });
        self.found(waited, "a reset of the board", within)
    }

    /// Where the core is.
    pub fn core(&self) -> Core {
        self.journal.read().core
    }

    /// Waits until the core is there.
    pub fn wait_core(&self, core: Core, within: Duration) -> Result<(), Error> {
        let waited = self
            .journal
            .wait(within, |state| (state.core == core).then_some(()));
        self.found(waited, &format!("core {core:?}"), within)
    }

    /// Lets B die as if it had crashed.
    pub fn crash_core(&self) -> Result<(), Error> {
        self.request(Request::Crash)
    }

    /// Resets B, as its own watchdog would: its memory stays, and the secure world sees nothing of it.
    pub fn reset_core(&self) -> Result<(), Error> {
        self.request(Request::Reset)
    }

    /// Doorbells so far.
    pub fn rings(&self) -> Rings {
        self.journal.read().rings
    }

    /// The back door to the memory behind both machines.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// A copy of the core's private memory.
    pub fn private(&self) -> Result<Vec<u8>, Error> {
        self.memory
            .copy(Region::Private)
            .map_err(|fault| self.error(fault, ""))
    }

    /// A copy of the shared window.
    pub fn window(&self) -> Result<Vec<u8>, Error> {
        self.memory
            .copy(Region::Window)
            .map_err(|fault| self.error(fault, ""))
    }

    /// Writes through the back door, as no party of the real machine could.
    pub fn write(&self, region: Region, at: u64, bytes: &[u8]) -> Result<(), Error> {
        self.memory
            .write(region, at, bytes)
            .map_err(|fault| self.error(fault, ""))
    }

    /// Asks QEMU A's monitor.
    pub fn monitor(&self, name: &'static str, arguments: Value) -> Result<Value, Error> {
        let (answer, answered) = channel();
        self.request(Request::Monitor {
            name,
            arguments,
            answer,
        })?;
        match answered.recv_timeout(MONITOR_LIMIT) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(words)) => Err(self.error(Fault::QmpRefused, format!("{name}: {words}"))),
            Err(_) => Err(self.error(
                Fault::NotSeen {
                    within: MONITOR_LIMIT,
                },
                name,
            )),
        }
    }

    /// Resets the whole board from outside, as a reset button would.
    pub fn reset_board(&self) -> Result<(), Error> {
        self.monitor("system_reset", Value::Null).map(|_| ())
    }

    /// Waits until A has ended: an orderly power-off is [`Ended::Exit`] with 0.
    pub fn wait_end(&self, within: Duration) -> Result<Ended, Error> {
        match self.journal.wait(within, |_| None::<()>) {
            Waited::Ended(Some(ended)) => Ok(ended),
            waited => self
                .found(waited, "the end of the run", within)
                .map(|()| Ended::Stopped),
        }
    }

    /// Joins the user's terminal to Linux' console until the board is off or the user types Ctrl-] .
    pub fn interact(&mut self) -> Result<(), Error> {
        terminal::join(self).map_err(|fault| self.error(fault, "terminal"))
    }

    /// Process ids of A and, if there is one, B: for the tests of what is left behind.
    pub fn process_ids(&self) -> (u32, Option<u32>) {
        (self.board_id, self.journal.read().core_id)
    }

    /// What was started.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The run folder.
    pub fn logs(&self) -> &std::path::Path {
        &self.config.logs
    }

    fn request(&self, request: Request) -> Result<(), Error> {
        if self.requests.send(request).is_err() {
            let ended = self.journal.read().ended;
            return Err(self.gone(ended, ""));
        }
        // A full pipe means that a wake-up is already on its way.
        let _ = (&self.wake).write(&[0]);
        Ok(())
    }

    fn found<T>(&self, waited: Waited<T>, what: &str, within: Duration) -> Result<T, Error> {
        match waited {
            Waited::Found(found) => Ok(found),
            Waited::Ended(ended) => Err(self.gone(ended, what)),
            Waited::TimeUp => {
                let state = self.journal.read();
                let last = match state.partial.is_empty() {
                    true => state.lines.last().map_or("", |line| line.text.as_str()),
                    false => state.partial.as_str(),
                };
                let context = format!("{what}; the console's last line was {last:?}");
                drop(state);
                Err(self.error(Fault::NotSeen { within }, context))
            }
        }
    }

    fn gone(&self, ended: Option<Ended>, what: &str) -> Error {
        match ended {
            Some(ended) => self.error(Fault::Ended { ended }, what),
            None => self.error(Fault::SupervisorPanicked, what),
        }
    }

    fn error(&self, fault: Fault, context: impl Into<String>) -> Error {
        Error::new(fault, context, &self.config.logs)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.request(Request::Stop);
        if let Some(thread) = self.thread.take() {
            // Its panic has been reported on stderr; here it only matters that it is gone.
            let _ = thread.join();
        }
    }
}

/// What init writes when the shell is about to come.
pub const READY: &str = "corewarden-guest: ready";

const MONITOR_LIMIT: Duration = Duration::from_secs(10);

/// The supervisor's thread, from start to end.
fn supervise(
    config: Config,
    journal: Arc<Journal>,
    requests: Receiver<Request>,
    wake: Port,
    report: &Sender<Result<Started, Refused>>,
) {
    /// Tells those who wait that nothing more will come, also when the thread panics.
    struct Close(Arc<Journal>);
    impl Drop for Close {
        fn drop(&mut self) {
            self.0.change(|state| state.closed = true);
        }
    }
    let _close = Close(Arc::clone(&journal));
    match Supervisor::start(config, journal, requests, wake) {
        Ok((supervisor, started)) => {
            if report.send(Ok(started)).is_ok() {
                supervisor.run();
            }
        }
        // Nobody waits for the report only if the starting thread itself is gone.
        Err(refused) => drop(report.send(Err(refused))),
    }
}

fn panic_message(thread: JoinHandle<()>) -> String {
    match thread.join() {
        Ok(()) => String::new(),
        Err(payload) => match payload.downcast::<String>() {
            Ok(message) => *message,
            Err(payload) => payload
                .downcast_ref::<&str>()
                .copied()
                .unwrap_or_default()
                .to_owned(),
        },
    }
}

fn count_resets(events: &[Event]) -> usize {
    events
        .iter()
        .filter(|event| event.what == Happening::BoardReset)
        .count()
}
