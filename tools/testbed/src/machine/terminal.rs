//! The user's terminal on Linux' console: raw in both directions, and as it was before on every way out.

use std::fs::File;
use std::io::{Read, Write, stdin, stdout};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag::register_conditional_default;
use signal_hook::low_level::pipe;

use super::Machine;
use super::error::{Doing, Fault};
use super::port::Port;
use super::supervisor::Request;

/// Ctrl-], as in telnet and virsh.
pub(super) const LEAVE: u8 = 0x1d;

/// Returns when the board is off, the user leaves, input ends, or a signal asks us to end.
pub(super) fn join(machine: &Machine) -> Result<(), Fault> {
    let (tap, console) = Port::pair()?;
    let mut console = File::from(console);
    // Raw mode turns Ctrl-C into a byte for Linux; these come from elsewhere and must not leave the terminal raw.
    let signals = Signals::catch()?;
    let _raw = Raw::enter()?;
    // Only a machine that has ended refuses; then the console below ends at once.
    let _ = machine.request(Request::Tap(tap));
    let input = stdin();
    let mut buffer = [0; 4096];
    loop {
        let mut waits = [
            PollFd::new(&console, PollFlags::IN),
            PollFd::new(&signals.arrived, PollFlags::IN),
            PollFd::new(&input, PollFlags::IN),
        ];
        retry_on_intr(|| poll(&mut waits, None)).doing("wait for the terminal")?;
        let [from_console, from_signals, from_input] = waits.map(|wait| !wait.revents().is_empty());
        if from_signals {
            return Ok(());
        }
        if from_console {
            let length = console.read(&mut buffer).doing("read the console")?;
            if length == 0 {
                return Ok(());
            }
            stdout()
                .write_all(&buffer[..length])
                .doing("write to the terminal")?;
            stdout().flush().doing("write to the terminal")?;
        }
        if from_input {
            let length = retry_on_intr(|| rustix::io::read(&input, &mut buffer))
                .doing("read the terminal")?;
            let typed = &buffer[..length];
            let leave = typed.iter().position(|byte| *byte == LEAVE);
            let kept = &typed[..leave.unwrap_or(length)];
            if !kept.is_empty() && machine.request(Request::Type(kept.to_vec())).is_err() {
                return Ok(());
            }
            if length == 0 || leave.is_some() {
                // Input from a file: let Linux' answer come out.
                std::thread::sleep(Duration::from_millis(if length == 0 { 500 } else { 0 }));
                return Ok(());
            }
        }
    }
}

/// A terminal in raw mode; as it was when dropped.
struct Raw(Option<(OwnedFd, Termios)>);

impl Raw {
    /// Does nothing where stdin is no terminal.
    fn enter() -> Result<Self, Fault> {
        let input = stdin();
        if !isatty(&input) {
            return Ok(Self(None));
        }
        let before = tcgetattr(&input).doing("read the terminal's modes")?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&input, OptionalActions::Now, &raw).doing("set the terminal's modes")?;
        let terminal = input
            .as_fd()
            .try_clone_to_owned()
            .doing("duplicate the terminal's descriptor")?;
        Ok(Self(Some((terminal, before))))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some((terminal, before)) = &self.0 {
            // A terminal that is gone needs no modes.
            let _ = tcsetattr(terminal, OptionalActions::Now, before);
        }
    }
}

/// Signals that ask us to end, for as long as this value lives; afterwards they do what they do by default.
struct Signals {
    /// Readable once one has arrived.
    arrived: UnixStream,
    over: Arc<AtomicBool>,
}

impl Signals {
    fn catch() -> Result<Self, Fault> {
        let (arrived, arrives) = UnixStream::pair().doing("make a socket pair")?;
        let over = Arc::new(AtomicBool::new(false));
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            register_conditional_default(signal, Arc::clone(&over)).doing("catch a signal")?;
            let end = arrives.try_clone().doing("duplicate a descriptor")?;
            pipe::register(signal, end).doing("catch a signal")?;
        }
        Ok(Self { arrived, over })
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
    }
}
