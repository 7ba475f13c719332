//! What may arrive, and what may be missing after a death.

use anyhow::{Result, ensure};
use corewarden::peer::Role;

use super::message::{Message, Stream};

/// Judges what arrives on one link after the other.
#[derive(Default)]
pub(super) struct Judge {
    /// Whom we heard on the links before.
    before: Option<Stream>,
    /// Whom we hear on this one.
    stream: Option<Stream>,
    next: u32,
}

impl Judge {
    /// Another link begins, as a restart was told.
    pub(super) fn begin_link(&mut self) {
        self.before = self.stream.or(self.before);
        self.stream = None;
        self.next = 0;
    }

    /// Whom we hear on this link, if anybody was heard yet.
    pub(super) fn stream(&self) -> Option<Stream> {
        self.stream
    }

    /// How many messages of this link came, or were told as lost.
    pub(super) fn accounted(&self) -> u32 {
        self.next
    }

    /// So many were told as lost at this place.
    pub(super) fn lose(&mut self, messages: u32) {
        self.next = self.next.saturating_add(messages);
    }

    /// The next message of the link.
    pub(super) fn take(&mut self, message: &Message) -> Result<()> {
        let Message { stream, number, .. } = *message;
        ensure!(
            self.before.is_none_or(|before| before < stream),
            "a link begins with {stream:?}, and {:?} was heard before",
            self.before
        );
        let known = *self.stream.get_or_insert(stream);
        ensure!(
            known == stream,
            "a message of {stream:?} on a link with {known:?}, and no restart was told"
        );
        ensure!(
            number == self.next,
            "message {number} of {stream:?} where {} was due: lost, doubled or out of turn",
            self.next
        );
        self.next = self.next.saturating_add(1);
        Ok(())
    }
}

/// How many messages of the dead are missing, of those it had published: of a device's none may be, of a driver's so many.
pub(super) fn missing(role: Role, sent: u32, received: u32, may_miss: u32) -> Result<u32> {
    let missing = sent.saturating_sub(received);
    let allowed = match role {
        Role::Device => 0,
        Role::Driver => may_miss,
    };
    ensure!(
        missing <= allowed,
        "of {sent} messages that a {role:?} had published before it died {missing} did not arrive, and {allowed} may be lost"
    );
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(life: u32, link: u32, number: u32) -> Message {
        Message {
            stream: Stream { life, link },
            number,
            is_last: false,
        }
    }

    fn refused(judge: &mut Judge, message: &Message) -> String {
        judge.take(message).unwrap_err().to_string()
    }

    #[test]
    fn messages_in_turn_are_accepted_and_a_lost_doubled_or_late_one_is_not() {
        let mut judge = Judge::default();
        judge.begin_link();
        for number in 0..3 {
            judge.take(&message(1, 1, number)).unwrap();
        }
        for wrong in [2, 4, 0] {
            let refused = refused(&mut judge, &message(1, 1, wrong));
            assert!(refused.contains("where 3 was due"), "{refused}");
        }
        judge.lose(2);
        judge.take(&message(1, 1, 5)).unwrap();
        assert_eq!(judge.accounted(), 6);
    }

    #[test]
    fn a_link_that_does_not_begin_at_the_first_message_is_refused() {
        let mut judge = Judge::default();
        judge.begin_link();
        let refused = refused(&mut judge, &message(1, 1, 1));
        assert!(refused.contains("where 0 was due"), "{refused}");
    }

    #[test]
    fn another_life_is_heard_after_a_restart_was_told_and_never_an_older_one() {
        let mut judge = Judge::default();
        judge.begin_link();
        judge.take(&message(1, 1, 0)).unwrap();
        let untold = refused(&mut judge, &message(3, 1, 0));
        assert!(untold.contains("no restart was told"), "{untold}");
        judge.begin_link();
        let old = refused(&mut judge, &message(1, 1, 0));
        assert!(old.contains("was heard before"), "{old}");
        judge.take(&message(3, 1, 0)).unwrap();
    }

    #[test]
    fn of_a_dead_device_nothing_is_missing_and_of_a_dead_driver_a_ring_at_most() {
        assert_eq!(missing(Role::Device, 100, 100, 256).unwrap(), 0);
        assert_eq!(missing(Role::Device, 100, 130, 256).unwrap(), 0);
        assert_eq!(missing(Role::Driver, 300, 44, 256).unwrap(), 256);
        for (role, received) in [(Role::Device, 99), (Role::Driver, 43)] {
            let sent = if role == Role::Device { 100 } else { 300 };
            let refused = missing(role, sent, received, 256).unwrap_err().to_string();
            assert!(refused.contains("did not arrive"), "{refused}");
        }
    }
}
