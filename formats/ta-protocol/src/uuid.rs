//! UUIDs as GlobalPlatform passes them and as people write them.

use core::fmt;

/// A UUID, kept in the byte order in which it is written down (RFC 9562, 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid([u8; 16]);

impl Uuid {
    /// The UUID with these bytes, in the order in which they are written down.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The UUID of GlobalPlatform's fields `timeLow`, `timeMid`, `timeHiAndVersion`, `clockSeqAndNode`.
    pub const fn from_fields(low: u32, mid: u16, high: u16, node: [u8; 8]) -> Self {
        let [a, b, c, d] = low.to_be_bytes();
        let [e, f] = mid.to_be_bytes();
        let [g, h] = high.to_be_bytes();
        let [i, j, k, l, m, n, o, p] = node;
        Self([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p])
    }

    /// The bytes in the order in which they are written down.
    pub const fn bytes(&self) -> [u8; 16] {
        self.0
    }

    /// GlobalPlatform's fields `timeLow`, `timeMid`, `timeHiAndVersion`, `clockSeqAndNode`.
    pub const fn fields(&self) -> (u32, u16, u16, [u8; 8]) {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = self.0;
        (
            u32::from_be_bytes([a, b, c, d]),
            u16::from_be_bytes([e, f]),
            u16::from_be_bytes([g, h]),
            [i, j, k, l, m, n, o, p],
        )
    }

    /// Reads the one written form: 36 characters, lower case, dashes after 8, 12, 16 and 20 digits.
    pub fn from_text(text: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        let mut nibbles = 0_usize;
        let mut length = 0_usize;
        for character in text.bytes() {
            length = length.checked_add(1)?;
            if matches!(length, 9 | 14 | 19 | 24) {
                if character != b'-' {
                    return None;
                }
                continue;
            }
            let digit = match character {
                b'0'..=b'9' => character.checked_sub(b'0')?,
                b'a'..=b'f' => character.checked_sub(b'a')?.checked_add(10)?,
                _ => return None,
            };
            let byte = bytes.get_mut(nibbles >> 1)?;
            *byte = (*byte << 4) | digit;
            nibbles = nibbles.checked_add(1)?;
        }
        (length == 36).then_some(Self(bytes))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn text_and_fields_lead_back_to_the_same_uuid() {
        let text = "80a4c275-0a47-4905-8285-1486a9771a08";
        assert_eq!(Uuid::from_text(text), Some(crate::TA_UUID));
        assert_eq!(crate::TA_UUID.to_string(), text);
        let (low, mid, high, node) = crate::TA_UUID.fields();
        assert_eq!(Uuid::from_fields(low, mid, high, node), crate::TA_UUID);
        assert_eq!(Uuid::from_bytes(crate::TA_UUID.bytes()).to_string(), text);
    }

    #[test]
    fn other_forms_of_a_uuid_are_refused() {
        for text in [
            "",
            "80a4c275-0a47-4905-8285-1486a9771a0",
            "80a4c275-0a47-4905-8285-1486a9771a080",
            "80A4c275-0a47-4905-8285-1486a9771a08",
            "80a4c27500a47-4905-8285-1486a9771a08",
            "80a4c275-0a47-4905-8285-1486a9771a0g",
            "{0a4c275-0a47-4905-8285-1486a9771a08",
        ] {
            assert_eq!(Uuid::from_text(text), None, "{text}");
        }
    }
}
