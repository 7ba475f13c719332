//! The control socket: counters for whoever watches, and captures.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustix::event::PollFlags;

use super::Step;
use crate::capture;
use crate::hub::{Hub, Watcher};
use crate::socket::{receive, send};

/// A block of a capture, which every caller gets.
type Block = Arc<[u8]>;

/// Somebody at the control socket.
pub(super) struct Caller {
    fd: OwnedFd,
    /// Takes part in a capture: what waits for room in its socket, and how much did not fit.
    capture: Option<Backlog>,
}

#[derive(Default)]
struct Backlog {
    blocks: VecDeque<Block>,
    /// Bytes of all these.
    bytes: usize,
    dropped: u64,
}

/// What was seen since the callers were last served.
#[derive(Clone, Default)]
pub(super) struct Seen {
    blocks: Arc<Mutex<Vec<Block>>>,
}

impl Seen {
    /// Notes everything in the form that it is captured in.
    pub(super) fn watcher(&self) -> Watcher {
        let blocks = Arc::clone(&self.blocks);
        Box::new(move |generation, seen| {
            let block = capture::packet(SystemTime::now(), generation, seen);
            let mut blocks = blocks.lock().unwrap_or_else(PoisonError::into_inner);
            blocks.push(block.into());
        })
    }

    pub(super) fn take(&self) -> Vec<Block> {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut blocks)
    }
}

impl Caller {
    pub(super) fn new(fd: OwnedFd) -> Self {
        Caller { fd, capture: None }
    }

    pub(super) fn is_capturing(&self) -> bool {
        self.capture.is_some()
    }

    pub(super) fn interest(&self) -> PollFlags {
        let waits = self
            .capture
            .as_ref()
            .is_some_and(|backlog| !backlog.blocks.is_empty());
        PollFlags::IN
            | if waits {
                PollFlags::OUT
            } else {
                PollFlags::empty()
            }
    }

    /// Answers what is asked, and passes on what was seen.
    pub(super) fn step(&mut self, hub: &Hub, seen: &[Block]) -> Step {
        let mut room = [0; 32];
        match receive(&self.fd, &mut room) {
            Ok(None) => {}
            Ok(Some(packet)) if packet.length > 0 => {
                let answered = match room.get(..packet.length) {
                    Some(COUNTERS) => self.count(hub),
                    // Once: each answer waits until it is read.
                    Some(CAPTURE) if self.capture.is_none() => {
                        let backlog = self.capture.get_or_insert_default();
                        backlog.push(capture::header().into());
                        true
                    }
                    _ => false,
                };
                if !answered {
                    return Step::Closed;
                }
            }
            _ => return Step::Closed,
        }
        if let Some(backlog) = &mut self.capture {
            backlog.add(seen);
            if backlog.send(&self.fd).is_err() {
                return Step::Closed;
            }
        }
        Step::Idle
    }

    fn count(&self, hub: &Hub) -> bool {
        let Ok(document) = serde_json::to_vec(&hub.counters()) else {
            return false;
        };
        send(&self.fd, &document, &[]) == Ok(true)
    }
}

impl Backlog {
    fn add(&mut self, seen: &[Block]) {
        for block in seen {
            if self.bytes.saturating_add(block.len()) > MOST {
                self.dropped += 1;
                continue;
            }
            self.tell_dropped();
            self.push(Arc::clone(block));
        }
    }

    /// Says how many found no room, behind the last one that did.
    fn tell_dropped(&mut self) {
        if self.dropped > 0 {
            let note = capture::dropped(SystemTime::now(), self.dropped);
            self.push(note.into());
            self.dropped = 0;
        }
    }

    fn push(&mut self, block: Block) {
        self.bytes = self.bytes.saturating_add(block.len());
        self.blocks.push_back(block);
    }

    fn send(&mut self, fd: &OwnedFd) -> Result<(), crate::error::Error> {
        while let Some(block) = self.blocks.front() {
            if !send(fd, block, &[])? {
                break;
            }
            self.bytes = self.bytes.saturating_sub(block.len());
            self.blocks.pop_front();
            if self.blocks.is_empty() {
                // Nothing else may come for long.
                self.tell_dropped();
            }
        }
        Ok(())
    }
}

impl AsFd for Caller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Asks for one document of counters.
pub(crate) const COUNTERS: &[u8] = b"counters";
/// Asks for a capture, from now until the caller leaves.
pub(crate) const CAPTURE: &[u8] = b"capture";
/// Bytes that wait for one caller; what comes beyond is counted and left out.
const MOST: usize = 0x40_0000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_a_slow_caller_is_bounded_by_its_bytes_and_the_rest_is_counted() {
        for length in [60, 0x1_0000] {
            let mut backlog = Backlog::default();
            let block = Block::from(vec![7; length]);
            backlog.add(&vec![Arc::clone(&block); MOST / length + 2]);
            let waits = backlog.blocks.iter().map(|block| block.len());
            assert!((MOST - length..=MOST).contains(&waits.sum()), "{length}");
            let dropped = backlog.dropped;
            assert!(dropped >= 2);
            // Once all that waited has gone, how many were left out is told, whether anything else comes or not.
            let (near, far) = std::os::unix::net::UnixDatagram::pair().unwrap();
            far.set_nonblocking(true).unwrap();
            let near = OwnedFd::from(near);
            let (mut room, mut last) = (vec![0; length], 0);
            while !backlog.blocks.is_empty() {
                backlog.send(&near).unwrap();
                while let Ok(taken) = far.recv(&mut room) {
                    last = taken;
                }
            }
            assert_eq!(backlog.bytes, 0);
            let note = room.get(..last).unwrap();
            let (time, expected) = (12..20, capture::dropped(SystemTime::now(), dropped));
            assert_eq!(note.get(..time.start), expected.get(..time.start));
            assert_eq!(note.get(time.end..), expected.get(time.end..));
        }
    }
}
