//! Measuring a service that echoes.

use std::time::{Duration, Instant};

use super::link::Link;
use super::report::{Latency, PingReport, ServiceReport};
use crate::error::Error;
use crate::hub::{Endpoint, Service};
use crate::limit::Limit;

/// A measurement under way.
pub(super) struct Ping {
    link: Link,
    endpoint: Endpoint,
    service: Service,
    size: u32,
    sent: u32,
    right: u32,
    wrong: u32,
    lost: u32,
    times: Vec<Duration>,
}

impl Ping {
    pub(super) fn new(link: Link, (endpoint, service): (Endpoint, Service), size: u32) -> Self {
        Ping {
            link,
            endpoint,
            service,
            size,
            sent: 0,
            right: 0,
            wrong: 0,
            lost: 0,
            times: Vec::new(),
        }
    }

    /// Sends one message, and waits for it to come back.
    pub(super) fn once(&mut self, limit: Limit<'_>) -> Result<(), Error> {
        let number = self.sent;
        let payload = stamped(number, self.size);
        let start = Instant::now();
        self.endpoint.send(&payload, limit)?;
        self.sent += 1;
        loop {
            match self.endpoint.recv(limit) {
                Ok(message) if message.payload == payload => {
                    self.right += 1;
                    self.times.push(start.elapsed());
                }
                Ok(message) if is_late(&message.payload, number) => continue,
                Ok(_) => self.wrong += 1,
                // Counted as odd.
                Err(Error::MessagesLost { .. }) => continue,
                Err(Error::TimeLimit { .. }) => self.lost += 1,
                Err(error) => return Err(error),
            }
            return Ok(());
        }
    }

    pub(super) fn end(self, core: u32) -> PingReport {
        PingReport {
            core,
            generation: self.link.generation,
            service: ServiceReport::from(&self.service),
            size: self.size,
            sent: self.sent,
            right: self.right,
            wrong: self.wrong,
            lost: self.lost,
            latency: Latency::of(self.times),
            oddities: self.link.oddities(),
        }
    }
}

/// A payload that begins with its number, and of which every byte differs from its neighbours in place and in number.
fn stamped(number: u32, size: u32) -> Vec<u8> {
    let stamp = number.to_le_bytes();
    let [low, ..] = stamp;
    let pattern = (0..=u8::MAX).cycle().map(|at| at.wrapping_mul(181) ^ low);
    let length = usize::try_from(size).unwrap_or(usize::MAX);
    stamp.into_iter().chain(pattern).take(length).collect()
}

/// Whether this is the whole answer to an earlier message that was given up.
fn is_late(payload: &[u8], number: u32) -> bool {
    payload.first_chunk::<4>().is_some_and(|stamp| {
        let stamp = u32::from_le_bytes(*stamp);
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        stamp < number && payload == stamped(stamp, length)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_have_the_length_asked_for_and_differ() {
        for size in [0, 1, 4, 5, 64, 496] {
            let payload = stamped(7, size);
            assert_eq!(payload.len(), size as usize);
            assert!(size == 0 || payload != stamped(8, size));
        }
    }

    #[test]
    fn only_a_whole_earlier_payload_is_late() {
        let mut earlier = stamped(6, 64);
        assert!(is_late(&earlier, 7));
        assert!(!is_late(&earlier, 6));
        earlier[63] ^= 1;
        assert!(!is_late(&earlier, 7));
    }
}
