//! Short texts and identifiers in fixed fields.

/// Up to `N` bytes in a fixed field: holding one tells you that its length fits and that the rest is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
    length: u8,
}

impl<const N: usize> Text<N> {
    /// No bytes at all.
    pub const EMPTY: Self = Self {
        bytes: [0; N],
        length: 0,
    };

    /// These bytes, if they fit.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > N {
            return None;
        }
        let mut field = [0; N];
        for (to, from) in field.iter_mut().zip(bytes) {
            *to = *from;
        }
        let length = u8::try_from(bytes.len()).ok()?;
        Some(Self {
            bytes: field,
            length,
        })
    }

    /// The bytes, without the padding.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes
            .get(..usize::from(self.length))
            .unwrap_or(&self.bytes)
    }

    /// The bytes as text, if they are UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        core::str::from_utf8(self.as_bytes()).ok()
    }

    pub(crate) fn field(&self) -> ([u8; N], u8) {
        (self.bytes, self.length)
    }

    /// The field as it travels, if everything behind the text is zero.
    pub(crate) fn from_field(bytes: [u8; N], length: u8) -> Option<Self> {
        let rest = bytes.get(usize::from(length)..)?;
        rest.iter()
            .all(|byte| *byte == 0)
            .then_some(Self { bytes, length })
    }
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self::EMPTY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_fits_or_is_refused() {
        assert_eq!(Text::<4>::new(b"1.2").unwrap().as_str(), Some("1.2"));
        assert_eq!(Text::<4>::new(b"1.23").unwrap().as_bytes(), b"1.23");
        assert_eq!(Text::<4>::new(b"1.234"), None);
        assert_eq!(Text::<4>::new(b"\xff").unwrap().as_str(), None);
        assert_eq!(Text::<4>::default(), Text::<4>::EMPTY);
    }

    #[test]
    fn a_field_with_something_behind_the_text_is_refused() {
        assert_eq!(Text::from_field(*b"ab\0\0", 2), Text::new(b"ab"));
        assert_eq!(Text::from_field(*b"ab\0c", 2), None);
        assert_eq!(Text::from_field(*b"abcd", 5), None);
    }
}
