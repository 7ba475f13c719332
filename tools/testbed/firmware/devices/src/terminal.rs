//! What a person at the terminal sees: the own typing, and answers to lines.

use corewarden_firmware::startup::uptime_ms;

use crate::text::Text;

/// A line being typed.
#[derive(Default)]
pub(crate) struct Terminal {
    line: [u8; 16],
    len: usize,
    /// Somebody at this address wants the core to use what Linux lends.
    pub(crate) order: Option<u32>,
}

impl Terminal {
    /// Takes what somebody typed, and says what is to be shown.
    pub(crate) fn typed(&mut self, who: u32, bytes: &[u8], shown: &mut Text<'_>) {
        for byte in bytes {
            match *byte {
                b'\r' | b'\n' => {
                    shown.put(b"\r\n");
                    self.enter(who, shown);
                    self.len = 0;
                }
                BACKSPACE | DELETE => {
                    if self.len > 0 {
                        self.len -= 1;
                        shown.put(&[BACKSPACE, b' ', BACKSPACE]);
                    }
                }
                byte => {
                    if let Some(place) = self.line.get_mut(self.len) {
                        *place = byte;
                        self.len += 1;
                        shown.put(&[byte]);
                    }
                }
            }
        }
    }

    fn enter(&mut self, who: u32, shown: &mut Text<'_>) {
        match &self.line[..self.len] {
            b"" => {}
            b"borrow" => self.order = Some(who),
            b"uptime" => shown.say(format_args!("{} ms\r\n", uptime_ms())),
            _ => shown.put(b"borrow or uptime, please\r\n"),
        }
    }
}

const BACKSPACE: u8 = 0x08;
const DELETE: u8 = 0x7f;
