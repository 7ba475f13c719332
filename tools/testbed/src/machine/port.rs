//! One channel to a QEMU: never blocks, keeps what cannot be sent yet, and takes a reset connection for an end.

use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::buffer::spare_capacity;
use rustix::event::PollFlags;

use super::error::{Doing, Fault};

/// Our end of a socket pair.
pub(super) struct Port {
    stream: UnixStream,
    unsent: Vec<u8>,
    open: bool,
}

impl Port {
    /// Our end, and the end a QEMU inherits.
    pub(super) fn pair() -> Result<(Self, OwnedFd), Fault> {
        let (ours, theirs) = UnixStream::pair().doing("make a socket pair")?;
        ours.set_nonblocking(true).doing("make a socket pair")?;
        Ok((
            Self {
                stream: ours,
                unsent: Vec::new(),
                open: true,
            },
            theirs.into(),
        ))
    }

    /// What has arrived, appended to `into`; not all at once, so that no channel starves the others.
    pub(super) fn receive(&mut self, into: &mut Vec<u8>) {
        into.reserve(LEAST_ROOM);
        match rustix::io::read(&self.stream, spare_capacity(into)) {
            Ok(0) => self.open = false,
            Ok(_) => {}
            Err(error) => self.survive(&error.into()),
        }
    }

    /// Sends now what can be sent and keeps the rest. `false`: too much is waiting already, nothing was taken.
    pub(super) fn send(&mut self, bytes: &[u8]) -> bool {
        if self.unsent.len() + bytes.len() > MOST_UNSENT {
            return false;
        }
        self.unsent.extend_from_slice(bytes);
        self.flush();
        true
    }

    pub(super) fn flush(&mut self) {
        while self.open && !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(length) => drop(self.unsent.drain(..length)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => self.survive(&error),
            }
        }
    }

    /// What to wait for; empty once the other side is gone.
    pub(super) fn interest(&self) -> PollFlags {
        match (self.open, self.unsent.is_empty()) {
            (false, _) => PollFlags::empty(),
            (true, true) => PollFlags::IN,
            (true, false) => PollFlags::IN | PollFlags::OUT,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// A peer that died with unread bytes gives ECONNRESET or EPIPE instead of an end: the same to us.
    fn survive(&mut self, error: &io::Error) {
        if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) {
            self.open = false;
        }
    }
}

impl AsFd for Port {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Cuts complete lines off the front of `buffer`.
pub(super) fn take_lines(buffer: &mut Vec<u8>) -> Vec<String> {
    let Some(end) = buffer.iter().rposition(|byte| *byte == b'\n') else {
        return Vec::new();
    };
    let complete: Vec<u8> = buffer.drain(..=end).collect();
    complete
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| {
            String::from_utf8_lossy(line)
                .trim_end_matches(['\r', '\n'])
                .to_owned()
        })
        .collect()
}

const LEAST_ROOM: usize = 1 << 12;
const MOST_UNSENT: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_and_the_rest_is_kept() {
        let mut buffer = b"one\r\ntwo\n\nthr".to_vec();
        assert_eq!(take_lines(&mut buffer), ["one", "two", ""]);
        assert_eq!(buffer, b"thr");
        assert!(take_lines(&mut buffer).is_empty());
    }

    #[test]
    fn a_peer_that_dies_with_unread_bytes_is_an_end_and_no_error() {
        let (mut port, theirs) = Port::pair().unwrap();
        assert!(port.send(b"never read"));
        drop(theirs);
        let mut got = Vec::new();
        port.receive(&mut got);
        assert!(got.is_empty() && !port.is_open());
        assert_eq!(port.interest(), PollFlags::empty());
        // Writing to it is no error either, and raises no signal.
        assert!(port.send(b"x"));
    }

    #[test]
    fn a_peer_that_never_reads_cannot_make_us_wait_or_grow_without_bound() {
        let (mut port, _theirs) = Port::pair().unwrap();
        let block = [0; 4096];
        let taken = (0..10_000).take_while(|_| port.send(&block)).count();
        assert!(taken < 10_000);
        assert!(port.unsent.len() <= MOST_UNSENT);
        assert_eq!(port.interest(), PollFlags::IN | PollFlags::OUT);
    }
}
