//! Text in a buffer: what does not fit is cut off.

use core::fmt::{self, Write};

/// A buffer being written.
pub(crate) struct Text<'a> {
    room: &'a mut [u8],
    len: usize,
}

impl<'a> Text<'a> {
    pub(crate) fn new(room: &'a mut [u8]) -> Self {
        Self { room, len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) {
        for (place, byte) in self.room[self.len..].iter_mut().zip(bytes) {
            *place = *byte;
            self.len += 1;
        }
    }

    pub(crate) fn say(&mut self, what: fmt::Arguments<'_>) {
        // Cutting off is no error.
        let _ = self.write_fmt(what);
    }
}

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text.as_bytes());
        Ok(())
    }
}
