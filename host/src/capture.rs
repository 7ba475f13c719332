//! What goes over a link as a pcapng file, for Wireshark (docs/rpmsg-host.md, "Capture").
//!
//! A capture is a section header, one interface of link type USER0 with times in nanoseconds, and one block for each thing
//! seen. What the blocks hold is ours: [`record`] says how. `docs/corewarden-rpmsg.lua` takes it apart in Wireshark.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::hub::Seen;

/// What a file begins with: the section and the interface.
#[must_use]
pub fn header() -> Vec<u8> {
    let mut section = Block::new(SECTION);
    section.word(BYTE_ORDER);
    section.half(1);
    section.half(0);
    // The section's length is not known.
    section.word(u32::MAX);
    section.word(u32::MAX);
    section.option(SECTION_PROGRAM, b"corewarden");
    section.option(OPTIONS_END, &[]);
    let mut interface = Block::new(INTERFACE);
    interface.half(LINK_TYPE);
    interface.half(0);
    // No packet is cut.
    interface.word(0);
    interface.option(INTERFACE_NAME, b"rpmsg");
    interface.option(INTERFACE_RESOLUTION, &[NANOSECONDS]);
    interface.option(OPTIONS_END, &[]);
    [section.end(), interface.end()].concat()
}

/// One thing seen, at a time.
#[must_use]
pub fn packet(when: SystemTime, generation: u32, seen: Seen<'_>) -> Vec<u8> {
    let record = record(generation, seen);
    let length = u32::try_from(record.len()).unwrap_or(u32::MAX);
    let mut block = Block::new(PACKET);
    block.word(0);
    block.time(when);
    block.word(length);
    block.word(length);
    block.padded(&record);
    let direction = if is_outgoing(seen) { OUTBOUND } else { INBOUND };
    block.option(PACKET_FLAGS, &direction.to_le_bytes());
    block.option(OPTIONS_END, &[]);
    block.end()
}

/// How many packets were not captured because whoever takes the capture was too slow.
#[must_use]
pub fn dropped(when: SystemTime, packets: u64) -> Vec<u8> {
    let mut block = Block::new(STATISTICS);
    block.word(0);
    block.time(when);
    block.option(STATISTICS_DROPPED, &packets.to_le_bytes());
    block.option(OPTIONS_END, &[]);
    block.end()
}

/// The content of a packet: version, kind, direction, zero, generation; behind that a message's RPMsg header and payload.
#[must_use]
pub fn record(generation: u32, seen: Seen<'_>) -> Vec<u8> {
    let kind = match seen {
        Seen::Message { .. } => 0,
        Seen::Kick { .. } => 1,
        Seen::Up => 2,
        Seen::Down => 3,
    };
    let mut record = vec![VERSION, kind, u8::from(!is_outgoing(seen)), 0];
    record.extend(generation.to_le_bytes());
    if let Seen::Message {
        source,
        destination,
        payload,
        ..
    } = seen
    {
        let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
        record.extend(source.to_le_bytes());
        record.extend(destination.to_le_bytes());
        record.extend([0; 4]);
        record.extend(length.to_le_bytes());
        record.extend([0; 2]);
        record.extend(payload);
    }
    record
}

/// What begins and ends belongs to the side that captures.
fn is_outgoing(seen: Seen<'_>) -> bool {
    match seen {
        Seen::Message { outgoing, .. } | Seen::Kick { outgoing } => outgoing,
        Seen::Up | Seen::Down => true,
    }
}

/// A block of pcapng in the making: type, length, body, and the length once more.
struct Block {
    bytes: Vec<u8>,
}

impl Block {
    fn new(kind: u32) -> Self {
        let mut bytes = kind.to_le_bytes().to_vec();
        bytes.extend([0; 4]);
        Block { bytes }
    }

    fn half(&mut self, value: u16) {
        self.bytes.extend(value.to_le_bytes());
    }

    fn word(&mut self, value: u32) {
        self.bytes.extend(value.to_le_bytes());
    }

    fn time(&mut self, when: SystemTime) {
        let since = when.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let nanoseconds = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        let [a, b, c, d, e, f, g, h] = nanoseconds.to_le_bytes();
        self.bytes.extend([e, f, g, h, a, b, c, d]);
    }

    fn padded(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        let padded = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(padded, 0);
    }

    fn option(&mut self, code: u16, value: &[u8]) {
        self.half(code);
        self.half(u16::try_from(value.len()).unwrap_or(u16::MAX));
        self.padded(value);
    }

    fn end(mut self) -> Vec<u8> {
        let length = u32::try_from(self.bytes.len().saturating_add(4)).unwrap_or(u32::MAX);
        self.word(length);
        for (place, byte) in self.bytes.iter_mut().skip(4).zip(length.to_le_bytes()) {
            *place = byte;
        }
        self.bytes
    }
}

/// LINKTYPE_USER0: what it holds is agreed upon privately.
const LINK_TYPE: u16 = 147;
const VERSION: u8 = 1;
const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const STATISTICS: u32 = 5;
const PACKET: u32 = 6;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
const OPTIONS_END: u16 = 0;
const SECTION_PROGRAM: u16 = 4;
const INTERFACE_NAME: u16 = 2;
const INTERFACE_RESOLUTION: u16 = 9;
const NANOSECONDS: u8 = 9;
const PACKET_FLAGS: u16 = 2;
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;
const STATISTICS_DROPPED: u16 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_as_its_document_says() {
        let message = Seen::Message {
            outgoing: false,
            source: 0x400,
            destination: 0x401,
            payload: b"hi",
        };
        let expected = [
            1, 0, 1, 0, 7, 0, 0, 0, // version, kind, direction, zero, generation
            0, 4, 0, 0, 1, 4, 0, 0, 0, 0, 0, 0, 2, 0, 0,
            0, // source, destination, zero, length, flags
            b'h', b'i',
        ];
        assert_eq!(record(7, message), expected);
        assert_eq!(
            record(8, Seen::Kick { outgoing: true }),
            [1, 1, 0, 0, 8, 0, 0, 0]
        );
        assert_eq!(record(9, Seen::Up), [1, 2, 0, 0, 9, 0, 0, 0]);
        assert_eq!(record(9, Seen::Down), [1, 3, 0, 0, 9, 0, 0, 0]);
    }

    #[test]
    fn every_block_says_its_length_twice_and_is_made_of_words() {
        let blocks = [
            header(),
            packet(UNIX_EPOCH + Duration::from_secs(1 << 32), 1, Seen::Up),
            dropped(UNIX_EPOCH, 3),
        ]
        .concat();
        let mut rest = blocks.as_slice();
        let mut kinds = Vec::new();
        while let Some(head) = rest.first_chunk::<8>() {
            let [kind, length] =
                [&head[..4], &head[4..]].map(|w| u32::from_le_bytes(w.try_into().unwrap()));
            let length = usize::try_from(length).unwrap();
            assert!(length.is_multiple_of(4));
            assert_eq!(rest[length - 4..length], head[4..]);
            rest = &rest[length..];
            kinds.push(kind);
        }
        assert_eq!(kinds, [SECTION, INTERFACE, PACKET, STATISTICS]);
    }
}
