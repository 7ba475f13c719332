//! The lines of QEMU's qtest channel: what we send, and what comes back.

/// A line from QEMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A command was carried out; some carry a number.
    Done(Option<u64>),
    /// A command was refused.
    Refused,
    /// An intercepted output changed, unasked.
    Output { number: u32, high: bool },
}

/// Reads one line without its end. `None`: not qtest's protocol.
pub(super) fn parse(line: &str) -> Option<Line> {
    let mut words = line.split_ascii_whitespace();
    let parsed = match words.next()? {
        "OK" => match words.next() {
            None => Line::Done(None),
            Some(number) => Line::Done(Some(hexadecimal(number)?)),
        },
        "ERR" | "FAIL" => return Some(Line::Refused),
        "IRQ" => {
            let high = match words.next()? {
                "raise" => true,
                "lower" => false,
                _ => return None,
            };
            Line::Output {
                number: words.next()?.parse().ok()?,
                high,
            }
        }
        _ => return None,
    };
    words.next().is_none().then_some(parsed)
}

/// Watches every output of the device.
pub(super) fn intercept_outputs(device: &str) -> String {
    format!("irq_intercept_out {device}\n")
}

/// Drives an unnamed input of the device.
pub(super) fn set_input(device: &str, number: u32, high: bool) -> String {
    format!(
        "set_irq_in {device} unnamed-gpio-in {number} {}\n",
        u8::from(high)
    )
}

/// Asks for a word of memory: the answer says that the machine is up.
pub(super) fn read_word(address: u32) -> String {
    format!("readl {address:#x}\n")
}

/// Writes a word of memory.
pub(super) fn write_word(address: u32, value: u32) -> String {
    format!("writel {address:#x} {value:#x}\n")
}

fn hexadecimal(word: &str) -> Option<u64> {
    u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_of_the_protocol_is_understood() {
        for (line, expected) in [
            ("OK", Line::Done(None)),
            ("OK 0x00000000210ffff8", Line::Done(Some(0x210f_fff8))),
            ("FAIL Unknown device", Line::Refused),
            ("ERR", Line::Refused),
            (
                "IRQ raise 3",
                Line::Output {
                    number: 3,
                    high: true,
                },
            ),
            (
                "IRQ lower 12",
                Line::Output {
                    number: 12,
                    high: false,
                },
            ),
        ] {
            assert_eq!(parse(line), Some(expected), "{line}");
        }
    }

    #[test]
    fn other_lines_are_not_taken_for_the_protocol() {
        for line in [
            "",
            "OKAY",
            "OK 12",
            "OK 0xz",
            "IRQ",
            "IRQ raise",
            "IRQ raise x",
            "IRQ toggle 3",
            "IRQ raise 3 4",
            "OK 0x1 2",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[test]
    fn commands_are_written_as_qemu_reads_them() {
        assert_eq!(
            intercept_outputs("/machine/x"),
            "irq_intercept_out /machine/x\n"
        );
        assert_eq!(
            set_input("/machine/armv7m", 7, true),
            "set_irq_in /machine/armv7m unnamed-gpio-in 7 1\n"
        );
        assert_eq!(read_word(0x2100_0000), "readl 0x21000000\n");
        assert_eq!(write_word(0xe000_0000, 16), "writel 0xe0000000 0x10\n");
    }
}
