//! Watching processes from outside, by pidfd: for the tests of what a machine leaves behind.

use std::fs::{read_dir, read_to_string};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::error::{Doing, Fault};

/// A process that cannot be mistaken for a later one of the same number.
#[derive(Debug)]
pub struct Watch(OwnedFd);

impl Watch {
    /// Takes hold of a process that exists now.
    pub fn process(id: u32) -> Result<Self, Fault> {
        let number = i32::try_from(id).ok().and_then(Pid::from_raw);
        let number = number.ok_or(Fault::Io {
            doing: "watch a process",
            errno: rustix::io::Errno::SRCH,
        })?;
        pidfd_open(number, PidfdFlags::empty())
            .map(Self)
            .doing("watch a process")
    }

    /// Whether it has ended, now or within this time.
    pub fn is_gone(&self, within: Duration) -> bool {
        let until = Instant::now() + within;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let time = Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(left.subsec_nanos()),
            };
            let mut wait = [PollFd::new(&self.0, PollFlags::IN)];
            if poll(&mut wait, Some(&time)).is_ok_and(|ready| ready > 0) {
                return true;
            }
            if left.is_zero() {
                return false;
            }
        }
    }
}

/// The process ids of all children that the threads of a process have now.
pub fn children(id: u32) -> Result<Vec<u32>, Fault> {
    let mut found = Vec::new();
    for thread in read_dir(format!("/proc/{id}/task")).doing("list threads")? {
        let file = thread.doing("list threads")?.path().join("children");
        // A thread may end while its entry is read; its children then have another parent, or none.
        let list = read_to_string(file).unwrap_or_default();
        found.extend(
            list.split_ascii_whitespace()
                .filter_map(|word| word.parse::<u32>().ok()),
        );
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_child_is_seen_while_it_lives_and_gone_after_it() {
        let mut child = Command::new("/bin/sleep").arg("60").spawn().unwrap();
        let watch = Watch::process(child.id()).unwrap();
        assert!(children(std::process::id()).unwrap().contains(&child.id()));
        assert!(!watch.is_gone(Duration::from_millis(1)));
        child.kill().unwrap();
        assert!(watch.is_gone(Duration::from_secs(5)));
        child.wait().unwrap();
        assert!(!children(std::process::id()).unwrap().contains(&child.id()));
    }

    #[test]
    fn a_process_that_does_not_exist_cannot_be_watched() {
        let refused = Watch::process(0).unwrap_err();
        assert_eq!(
            refused,
            Fault::Io {
                doing: "watch a process",
                errno: rustix::io::Errno::SRCH
            }
        );
    }
}
