//! The open sessions: at most sixteen, each bound to one core.

use ta_protocol::Status;

/// Most sessions at a time, over all cores.
pub(crate) const SESSIONS: usize = 16;

/// Names an open session; never given to another one while the TA lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionId(u32);

impl SessionId {
    /// The number to keep in the session's context.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The session of a number from [`SessionId::number`]. A wrong number names no session.
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }
}

/// What the TA knows of a session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    /// The core it is bound to.
    pub(crate) core: u32,
    /// Who opened it, as a GlobalPlatform login number.
    pub(crate) login: u32,
    pub(crate) last_error: Option<Reason>,
}

/// Why a command was refused: the named rule and two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reason {
    pub(crate) status: Status,
    pub(crate) numbers: [u64; 2],
}

impl Reason {
    pub(crate) const fn new(status: Status, first: u64, second: u64) -> Self {
        Self {
            status,
            numbers: [first, second],
        }
    }
}

impl From<(Status, u64, u64)> for Reason {
    fn from((status, first, second): (Status, u64, u64)) -> Self {
        Self::new(status, first, second)
    }
}

impl From<Status> for Reason {
    fn from(status: Status) -> Self {
        Self::new(status, 0, 0)
    }
}

/// The table of open sessions.
#[derive(Debug)]
pub(crate) struct Sessions {
    open: [Option<Session>; SESSIONS],
    next: u32,
}

impl Sessions {
    pub(crate) const fn new() -> Self {
        Self {
            open: [None; SESSIONS],
            next: 1,
        }
    }

    /// Binds a new session to `core`; `None` if sixteen are open.
    pub(crate) fn open(&mut self, core: u32, login: u32) -> Option<SessionId> {
        let id = self.unused_id();
        let free = self.open.iter_mut().find(|slot| slot.is_none())?;
        *free = Some(Session {
            id,
            core,
            login,
            last_error: None,
        });
        self.next = id.0.wrapping_add(1);
        Some(id)
    }

    pub(crate) fn close(&mut self, id: SessionId) -> Option<Session> {
        self.open
            .iter_mut()
            .find(|slot| slot.is_some_and(|session| session.id == id))?
            .take()
    }

    pub(crate) fn find(&mut self, id: SessionId) -> Option<&mut Session> {
        self.open
            .iter_mut()
            .flatten()
            .find(|session| session.id == id)
    }

    /// The next number that no open session has. Of 17 numbers one is free, even after a wrap.
    fn unused_id(&self) -> SessionId {
        let mut id = self.next;
        for _ in 0..=SESSIONS {
            if !self.open.iter().flatten().any(|session| session.id.0 == id) {
                break;
            }
            id = id.wrapping_add(1);
        }
        SessionId(id)
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn sixteen_sessions_open_and_the_seventeenth_does_not() {
        let mut sessions = Sessions::new();
        let ids: Vec<_> = (0..16).map(|_| sessions.open(0, 0).unwrap()).collect();
        assert_eq!(sessions.open(0, 0), None);
        assert!(sessions.close(ids[3]).is_some());
        let again = sessions.open(7, 0).unwrap();
        assert!(!ids.contains(&again));
        assert_eq!(sessions.find(again).map(|session| session.core), Some(7));
        assert!(sessions.find(ids[3]).is_none());
    }

    #[test]
    fn a_number_is_not_used_twice_at_a_time_even_when_numbers_wrap() {
        let mut sessions = Sessions::new();
        sessions.next = u32::MAX;
        let first = sessions.open(0, 0).unwrap();
        assert_eq!(first.number(), u32::MAX);
        let second = sessions.open(0, 0).unwrap();
        sessions.next = u32::MAX;
        let third = sessions.open(0, 0).unwrap();
        assert!(third != first && third != second);
    }
}
