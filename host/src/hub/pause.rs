//! How long a side gives way to whoever takes or breaks its link again and again.

use std::time::{Duration, Instant};

/// Each time it is for longer, up to a limit, unless the link between lasted (rpmsg-lifecycle.md, L9 and L12).
///
/// The words by which a link is taken or broken are a peer's to write: giving way for ever would be its to bring about, and
/// beginning again at once would keep both of them busy with nothing else.
#[derive(Debug, Default)]
pub(super) struct Pause {
    last: Option<Duration>,
    up_since: Option<Instant>,
}

impl Pause {
    /// A link begins.
    pub(super) fn link_begins(&mut self, now: Instant) {
        self.up_since = Some(now);
    }

    /// Until when to give way; for so long the first time.
    pub(super) fn begins(&mut self, now: Instant, first: Duration) -> Option<Instant> {
        let lasted = self.up_since.take().map(|since| now - since);
        let before = self.last.filter(|before| {
            let long = before.max(&SHORT).saturating_mul(10);
            lasted.is_none_or(|lasted| lasted <= long)
        });
        let pause = match before {
            Some(before) => before.saturating_mul(2).clamp(SHORT, LONGEST),
            None => first,
        };
        self.last = Some(pause);
        now.checked_add(pause)
    }
}

/// The shortest that is none, and the longest.
pub(super) const SHORT: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    /// How long the pauses are, in seconds, of links that last so long.
    fn pauses<const N: usize>(first: Duration, lasts: [u64; N]) -> [u64; N] {
        let (mut pause, mut now) = (Pause::default(), Instant::now());
        lasts.map(|last| {
            pause.link_begins(now);
            now += Duration::from_secs(last);
            let until = pause.begins(now, first).unwrap();
            let length = until - now;
            now = until;
            length.as_secs()
        })
    }

    #[test]
    fn pauses_grow_from_the_shortest_to_the_longest() {
        let expected = [5, 10, 20, 40, 80, 160, 300, 300];
        assert_eq!(pauses(SHORT, [0; 8]), expected);
        assert_eq!(pauses(Duration::ZERO, [0; 4]), [0, 5, 10, 20]);
    }

    #[test]
    fn a_link_that_lasted_makes_the_next_pause_the_first_again() {
        assert_eq!(pauses(SHORT, [0, 50, 100, 201, 50]), [5, 10, 20, 5, 10]);
        assert_eq!(pauses(Duration::ZERO, [0, 50, 51, 51, 1]), [0, 5, 0, 0, 5]);
    }

    #[test]
    fn pauses_without_a_link_between_grow_too() {
        let (mut pause, now) = (Pause::default(), Instant::now());
        let lengths = [(); 3].map(|()| pause.begins(now, SHORT).unwrap() - now);
        assert_eq!(lengths.map(|length| length.as_secs()), [5, 10, 20]);
    }
}
