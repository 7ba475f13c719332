//! What the two send each other: numbered, of changing length, with a checksum.

use anyhow::{Result, bail, ensure};

/// What one life of a side sends on one of its links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stream {
    pub(super) life: u32,
    pub(super) link: u32,
}

/// One message of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) stream: Stream,
    /// From 0 on.
    pub(super) number: u32,
    /// No message follows.
    pub(super) is_last: bool,
}

impl Message {
    /// Makes `bytes` the message.
    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        let Self {
            stream: Stream { life, link },
            number,
            is_last,
        } = *self;
        bytes.clear();
        for word in [life, link, number, u32::from(is_last)] {
            bytes.extend(word.to_le_bytes());
        }
        let [first, ..] = number.to_le_bytes();
        bytes.extend((0..length(number)).map(|at| (at as u8).wrapping_mul(7).wrapping_add(first)));
        bytes.extend(crc32fast::hash(bytes).to_le_bytes());
    }

    /// Reads a message, which is whole.
    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        let whole = bytes
            .split_last_chunk()
            .filter(|(rest, checksum)| crc32fast::hash(rest) == u32::from_le_bytes(**checksum))
            .and_then(|(rest, _)| rest.split_first_chunk());
        let Some((head, rest)) = whole else {
            bail!(
                "a message of {} bytes arrived with a wrong checksum",
                bytes.len()
            );
        };
        let head: &[u8; 16] = head;
        let [life, link, number, last] = [0, 4, 8, 12]
            .map(|at| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]));
        let message = Self {
            stream: Stream { life, link },
            number,
            is_last: last == 1,
        };
        ensure!(
            rest.len() == length(message.number),
            "message {} arrived with {} bytes instead of {}",
            message.number,
            rest.len(),
            length(message.number)
        );
        Ok(message)
    }
}

/// Bytes between head and checksum: any length, and the longest that a buffer has room for now and then.
fn length(number: u32) -> usize {
    const LONGEST: usize = 512 - 16 - 16 - 4;
    match number % 64 {
        0 => LONGEST,
        rest => (rest * 3 % 101) as usize,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_changed_anywhere_is_noticed() {
        for number in [0, 1, 70] {
            let message = Message {
                stream: Stream { life: 3, link: 1 },
                number,
                is_last: number == 70,
            };
            let mut bytes = Vec::new();
            message.write(&mut bytes);
            assert_eq!(Message::read(&bytes).unwrap(), message);
            for at in 0..bytes.len() {
                let mut changed = bytes.clone();
                changed[at] ^= 0x10;
                assert!(Message::read(&changed).is_err(), "byte {at}");
                assert!(Message::read(&bytes[..at]).is_err(), "cut at {at}");
            }
        }
    }
}
