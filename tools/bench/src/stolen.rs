//! How much of the processors' time others had: of a virtual machine, its hypervisor; beside it, other programs.

use std::fs;

/// A moment from which time is counted.
pub struct Stolen {
    begin: Option<Times>,
}

impl Stolen {
    /// Counts from now.
    pub fn begin() -> Self {
        Self {
            begin: Times::now(),
        }
    }

    /// The part since the beginning that the hypervisor gave to other machines, in percent; `None` where the kernel does not say.
    pub fn percent(&self) -> Option<f64> {
        let (begin, end) = (self.begin.as_ref()?, Times::now()?);
        let all = end.all.checked_sub(begin.all)?;
        let stolen = end.stolen.checked_sub(begin.stolen)?;
        (all > 0).then(|| 100.0 * stolen as f64 / all as f64)
    }
}

struct Times {
    all: u64,
    stolen: u64,
}

impl Times {
    fn now() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/stat").ok()?)
    }

    /// The first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal, and guests' time, which user holds too.
    fn parse(text: &str) -> Option<Self> {
        let fields = text.lines().next()?.strip_prefix("cpu ")?;
        let times = fields
            .split_whitespace()
            .take(STEAL + 1)
            .map(str::parse::<u64>)
            .collect::<Result<Vec<_>, _>>()
            .ok()?;
        Some(Self {
            all: times.iter().sum(),
            stolen: *times.get(STEAL)?,
        })
    }
}

const STEAL: usize = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stolen_time_is_the_eighth_field_and_guests_are_not_counted_twice() {
        let times = Times::parse("cpu  10 1 5 100 2 0 3 40 7 0\ncpu0 1 2 3\n").expect("a line");
        assert_eq!((times.all, times.stolen), (161, 40));
        assert!(Times::parse("cpu  10 1 5").is_none());
        assert!(Times::parse("").is_none());
    }
}
