//! Why a run of the machine failed, and where its consoles are.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;

/// A failed run: the rule that was broken, what was being waited for, and the folder that holds every console.
#[derive(Debug)]
pub struct Error {
    /// What went wrong.
    pub fault: Fault,
    /// What the caller asked for, or the last thing that was seen; may be empty.
    pub context: String,
    /// The run folder with all consoles.
    pub logs: PathBuf,
}

/// What went wrong, without the words around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A command typed into Linux ended with another status than 0.
    #[error("the command ended with status {status}")]
    CommandFailed {
        /// Exit status as the shell reports it.
        status: i32,
    },
    /// QEMU A ended while something was still expected of it.
    #[error("the board is off ({ended})")]
    Ended {
        /// How it ended.
        ended: Ended,
    },
    /// A system call failed.
    #[error("{doing}: {errno}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The system's answer.
        errno: Errno,
    },
    /// The expected text did not appear in time.
    #[error("not seen within {within:?}")]
    NotSeen {
        /// How long it was waited for.
        within: Duration,
    },
    /// A read or write through the back door left its region.
    #[error("{length} bytes at {at:#x} leave a region of {size:#x} bytes")]
    OutOfRegion {
        /// Offset into the region.
        at: u64,
        /// Number of bytes.
        length: usize,
        /// Size of the region.
        size: u64,
    },
    /// QEMU has no secure PL061 where the reset line should be.
    #[error("QEMU shows no secure PL061, so there is no reset line")]
    NoResetLine,
    /// QEMU did not keep its secure RAM in a memfd.
    #[error("QEMU shows no memfd for its secure RAM; is it older than 10.0?")]
    NoSecureRam,
    /// QEMU refused a QMP command; its words are in the context.
    #[error("QMP command refused")]
    QmpRefused,
    /// A channel of QEMU carried something that is not its protocol.
    #[error("not understood on channel {channel}")]
    Protocol {
        /// Which channel.
        channel: &'static str,
    },
    /// Another QEMU than 10.0.
    #[error(
        "QEMU {major}.{minor} found, 10.0 is needed: newer ones lose the board's power-off and reset lines \
         when the reset line is watched, older ones cannot share the secure RAM"
    )]
    QemuVersion {
        /// Major version found.
        major: u64,
        /// Minor version found.
        minor: u64,
    },
    /// The supervisor's thread panicked; its message is on stderr and, where start failed by it, in the context.
    #[error("the supervisor panicked")]
    SupervisorPanicked,
}

/// How a run of QEMU A ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// QEMU exited with this status; 0 is an orderly power-off.
    #[error("exit status {0}")]
    Exit(i32),
    /// QEMU was killed by this signal.
    #[error("killed by signal {0}")]
    Signal(i32),
    /// The caller stopped the machine.
    #[error("stopped by the caller")]
    Stopped,
    /// The hard limit of the run was reached.
    #[error("the limit of {0:?} for this run was reached")]
    TimeLimit(Duration),
}

impl Error {
    pub(super) fn new(fault: Fault, context: impl Into<String>, logs: &Path) -> Self {
        Self {
            fault,
            context: context.into(),
            logs: logs.to_owned(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.fault)?;
        if !self.context.is_empty() {
            write!(f, ": {}", self.context)?;
        }
        write!(f, " (all consoles: {})", self.logs.display())
    }
}

impl std::error::Error for Error {}

/// Names what was being done when the system refused.
pub(super) trait Doing<T> {
    fn doing(self, doing: &'static str) -> Result<T, Fault>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, doing: &'static str) -> Result<T, Fault> {
        self.map_err(|error| Fault::Io {
            doing,
            errno: Errno::from_io_error(&error).unwrap_or(Errno::IO),
        })
    }
}

impl<T> Doing<T> for rustix::io::Result<T> {
    fn doing(self, doing: &'static str) -> Result<T, Fault> {
        self.map_err(|errno| Fault::Io { doing, errno })
    }
}
