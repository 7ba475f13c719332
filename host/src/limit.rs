//! How long a caller is willing to wait, and what may call it off.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Error, Waiting};

/// A point in time after which waiting ends with an error, and a flag that ends it at once.
///
/// Every call that waits takes one, so that a program has one place for its patience and one for its Ctrl-C.
#[derive(Clone, Copy, Debug)]
pub struct Limit<'a> {
    start: Instant,
    patience: Duration,
    called_off: Option<&'a AtomicBool>,
}

impl Limit<'static> {
    /// Waits at most this long, from now.
    #[must_use]
    pub fn after(patience: Duration) -> Self {
        Limit {
            start: Instant::now(),
            patience,
            called_off: None,
        }
    }
}

impl<'a> Limit<'a> {
    /// The same limit, which also ends as soon as the flag is set, for instance by a signal handler.
    #[must_use]
    pub fn unless(self, called_off: &'a AtomicBool) -> Limit<'a> {
        Limit {
            called_off: Some(called_off),
            ..self
        }
    }

    /// Another span, from now, under the same flag.
    #[must_use]
    pub fn again(self, patience: Duration) -> Limit<'a> {
        Limit {
            start: Instant::now(),
            patience,
            ..self
        }
    }

    /// How long a single wait may be: what is left, but never longer than `slice`, nor so long that a flag is seen late.
    ///
    /// # Errors
    /// [`Error::Interrupted`] once the flag is set, [`Error::TimeLimit`] once the time is over.
    pub fn slice(&self, slice: Duration, waiting: Waiting) -> Result<Duration, Error> {
        if self
            .called_off
            .is_some_and(|flag| flag.load(Ordering::Relaxed))
        {
            return Err(Error::Interrupted);
        }
        let left = self.patience.saturating_sub(self.start.elapsed());
        if left.is_zero() {
            let milliseconds = u64::try_from(self.patience.as_millis()).unwrap_or(u64::MAX);
            return Err(Error::TimeLimit {
                waiting,
                milliseconds,
            });
        }
        let slice = match self.called_off {
            Some(_) => slice.min(GLANCE),
            None => slice,
        };
        Ok(left.min(slice))
    }
}

/// How often a flag is looked at.
const GLANCE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_over_says_what_was_waited_for() {
        let limit = Limit::after(Duration::ZERO);
        let slice = limit.slice(Duration::from_millis(10), Waiting::CoreToStart);
        let expected = Error::TimeLimit {
            waiting: Waiting::CoreToStart,
            milliseconds: 0,
        };
        assert_eq!(slice, Err(expected));
    }

    #[test]
    fn a_limit_gives_no_more_than_the_slice() {
        let limit = Limit::after(Duration::from_secs(60));
        let slice = limit.slice(Duration::from_millis(10), Waiting::CoreToStart);
        assert_eq!(slice, Ok(Duration::from_millis(10)));
    }

    #[test]
    fn a_flag_is_looked_at_however_long_the_slice_is() {
        let flag = AtomicBool::new(false);
        let limit = Limit::after(Duration::MAX).unless(&flag);
        assert_eq!(limit.slice(Duration::MAX, Waiting::CoreToStart), Ok(GLANCE));
    }

    #[test]
    fn a_flag_calls_the_waiting_off() {
        let flag = AtomicBool::new(true);
        let limit = Limit::after(Duration::from_secs(60)).unless(&flag);
        let slice = limit.slice(Duration::from_millis(10), Waiting::CoreToStart);
        assert_eq!(slice, Err(Error::Interrupted));
    }
}
