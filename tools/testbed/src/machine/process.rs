//! Child processes that cannot outlive us, and are waited on by pidfd.
//!
//! A child gets its own process group (Ctrl-C in the terminal is ours alone to answer), nothing on its stdin, and a
//! death signal: it dies with the thread that made it, whatever ends that thread. The descriptors it inherits are moved
//! into the child's start-up; no other descriptor of ours has lost its close-on-exec flag at any time.
#![expect(unsafe_code, reason = "the child's start-up between fork and exec")]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{
    Pid, PidfdFlags, Signal, getpid, getppid, pidfd_open, pidfd_send_signal,
    set_parent_process_death_signal,
};

use super::error::Ended;

/// A running child. Dropping it kills it and waits until it is gone.
pub(super) struct Process {
    child: Child,
    pidfd: OwnedFd,
}

impl Process {
    /// Starts `command` with `inherited` open in the child under the same numbers, and both outputs going to `output`.
    pub(super) fn spawn(
        mut command: Command,
        inherited: Vec<OwnedFd>,
        output: &File,
    ) -> io::Result<Self> {
        let parent = getpid();
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output.try_clone()?)
            .process_group(0);
        // SAFETY: the closure runs after fork in a process that may have had other threads, so it must only do what is
        // async-signal-safe: it makes three kinds of system calls and neither allocates, locks nor panics.
        unsafe { command.pre_exec(move || prepare(parent, &inherited)) };
        let child = command.spawn()?;
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
        Ok(Self { child, pidfd })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(pidfd_send_signal(&self.pidfd, signal)?)
    }

    /// Kills the child, if it still runs, and waits for its end.
    pub(super) fn kill(&mut self) -> io::Result<Ended> {
        self.child.kill()?;
        self.wait()
    }

    pub(super) fn wait(&mut self) -> io::Result<Ended> {
        self.child.wait().map(ended)
    }
}

impl AsFd for Process {
    /// The pidfd: readable once the child has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when the child has been waited for already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs in the child, between fork and exec.
fn prepare(parent: Pid, inherited: &[OwnedFd]) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid() != Some(parent) {
        // The parent died before the death signal was armed.
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    for fd in inherited {
        fcntl_setfd(fd, FdFlags::empty())?;
    }
    Ok(())
}

fn ended(status: ExitStatus) -> Ended {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Exit(code),
        (None, Some(signal)) => Ended::Signal(signal),
        (None, None) => Ended::Exit(-1),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    #[test]
    fn a_child_keeps_exactly_the_descriptors_it_was_given() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&theirs);
        // Debian's sh knows descriptors of one digit only.
        let mut command = Command::new("/bin/bash");
        command.arg("-c").arg(format!("echo through >&{number}"));
        let mut child = Process::spawn(
            command,
            vec![theirs.into()],
            &File::create("/dev/null").unwrap(),
        )
        .unwrap();
        let mut said = String::new();
        ours.read_to_string(&mut said).unwrap();
        assert_eq!(said, "through\n");
        assert_eq!(child.wait().unwrap(), Ended::Exit(0));
    }

    #[test]
    fn a_child_dies_with_the_thread_that_made_it() {
        let pidfd = std::thread::spawn(|| {
            let mut command = Command::new("/bin/sleep");
            command.arg("60");
            let child =
                Process::spawn(command, Vec::new(), &File::create("/dev/null").unwrap()).unwrap();
            let pidfd = child.pidfd.try_clone().unwrap();
            // As after a SIGKILL: no destructor runs.
            std::mem::forget(child);
            pidfd
        })
        .join()
        .unwrap();
        let mut gone = [PollFd::new(&pidfd, PollFlags::IN)];
        let limit = Timespec {
            tv_sec: 5,
            tv_nsec: 0,
        };
        assert_eq!(poll(&mut gone, Some(&limit)).unwrap(), 1);
    }

    #[test]
    fn a_killed_child_reports_the_signal() {
        let mut command = Command::new("/bin/sleep");
        command.arg("60");
        let mut child =
            Process::spawn(command, Vec::new(), &File::create("/dev/null").unwrap()).unwrap();
        assert_eq!(child.kill().unwrap(), Ended::Signal(9));
    }
}
