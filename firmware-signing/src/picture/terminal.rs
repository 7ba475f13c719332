//! The memory map in a terminal: as wide as there is room, in the characters and colours that it has.

use std::fmt::Write;

use super::{Kind, Owner, Picture, Zone, size};

/// What a terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Columns; more than 100 are not used.
    pub width: usize,
    /// Lines and blocks in Unicode rather than ASCII.
    pub unicode: bool,
    /// SGR colours.
    pub colour: bool,
}

impl Picture {
    /// Draws it, one band after the other by rising address.
    #[must_use]
    pub fn draw(&self, look: Look) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut out, look);
        out
    }

    fn write(&self, out: &mut String, look: Look) -> std::fmt::Result {
        let columns = Columns::of(look);
        let pen = Pen::of(look);
        writeln!(out)?;
        writeln!(
            out,
            "{:ADDRESS$}   {:inner$}  {:>SIZE$}  may write",
            "address",
            "memory",
            "size",
            inner = columns.inner
        )?;
        let mut last_end = None;
        for (index, zone) in self.zones.iter().enumerate() {
            let first = zone.bands.first().map_or(0, |band| band.from);
            let joined = last_end == Some(first);
            if index > 0 && !joined {
                if let Some(end) = last_end {
                    edge(out, &columns, end, pen.bottom, None)?;
                }
                writeln!(out, "{:ADDRESS$}  {}", "", pen.skipped)?;
            }
            let corners = if joined { pen.joint } else { pen.top };
            edge(out, &columns, first, corners, Some(head(zone, &pen)))?;
            self.zone(out, zone, &columns, &pen)?;
            last_end = zone.bands.last().map(|band| band.to);
        }
        if let Some(end) = last_end {
            edge(out, &columns, end, pen.bottom, None)?;
        }
        for note in &self.notes {
            writeln!(out, "note: {}", plain(note, look.unicode))?;
        }
        Ok(())
    }

    fn zone(
        &self,
        out: &mut String,
        zone: &Zone,
        columns: &Columns,
        pen: &Pen,
    ) -> std::fmt::Result {
        for (index, band) in zone.bands.iter().enumerate() {
            if index > 0 {
                edge(out, columns, band.from, pen.middle, None)?;
            }
            let marks = self.marks.iter();
            let marks = marks.filter(|mark| (band.from..band.to).contains(&mark.address));
            let mut lines = vec![band.label.clone()];
            lines.extend(
                marks.map(|mark| format!("{} {} {:#x}", pen.arrow, mark.label, mark.address)),
            );
            let rows = lines.len().max(height(band.to.saturating_sub(band.from)));
            for row in 0..rows {
                let text = lines.get(row).map_or("", String::as_str);
                let fill = pen.fill(band.kind);
                let room = columns.inner.saturating_sub(4);
                let text: String = plain(text, pen.unicode).chars().take(room).collect();
                let (size, writers) = match row {
                    0 => (size(band.to.saturating_sub(band.from)), band.writers.name()),
                    _ => (String::new(), ""),
                };
                let (on, off) = pen.colour(band.kind, zone.owner);
                let line = format!(
                    "{:ADDRESS$}  {side}{on}{fill}{fill} {text:room$} {off}{side}  {size:>SIZE$}  {writers}",
                    "",
                    side = pen.side
                );
                writeln!(out, "{}", line.trim_end())?;
            }
        }
        Ok(())
    }
}

/// A line between two bands, with the address of what follows; where another zone begins, with its name in the line.
fn edge(
    out: &mut String,
    columns: &Columns,
    address: u64,
    [left, line, right]: [&str; 3],
    title: Option<Title>,
) -> std::fmt::Result {
    let line = match title {
        None => line.repeat(columns.inner),
        Some(Title { text, on, off }) => {
            let room = columns.inner.saturating_sub(4);
            let text: String = text.chars().take(room).collect();
            let rest = line.repeat(room.saturating_sub(text.chars().count()));
            format!("{line} {on}{text}{off} {line}{rest}")
        }
    };
    writeln!(out, "{address:#0ADDRESS$x}  {left}{line}{right}")
}

/// A zone's name with the escapes around it.
struct Title {
    text: String,
    on: &'static str,
    off: &'static str,
}

fn head(zone: &Zone, pen: &Pen) -> Title {
    let whose = match zone.owner {
        Owner::Private => ": private, the core's alone",
        Owner::Shared => ": Linux and the core",
        Owner::Stray => ": NOT LOADED",
        Owner::Unknown => "",
    };
    let (on, off) = pen.emphasis(zone.owner);
    Title {
        text: format!("{}{whose}", plain(&zone.name, pen.unicode)),
        on,
        off,
    }
}

/// Rows by size: a mebibyte looks larger than a page, but not 256 times.
fn height(bytes: u64) -> usize {
    match bytes {
        0..0x1_0000 => 1,
        0x1_0000..0x10_0000 => 2,
        0x10_0000.. => 3,
    }
}

/// What a terminal without Unicode can show of a text, and no control character in either.
fn plain(text: &str, unicode: bool) -> String {
    text.chars()
        .map(|c| match c {
            '…' if !unicode => '.',
            c if c.is_control() || !(unicode || c.is_ascii()) => '?',
            c => c,
        })
        .collect()
}

struct Columns {
    inner: usize,
}

impl Columns {
    /// The box takes what address, size and writers leave.
    fn of(look: Look) -> Self {
        let around = ADDRESS + 2 + 2 + 2 + SIZE + 2 + WRITERS;
        Self {
            inner: look.width.min(WIDEST).saturating_sub(around).max(NARROWEST),
        }
    }
}

struct Pen {
    unicode: bool,
    colour: bool,
    top: [&'static str; 3],
    middle: [&'static str; 3],
    joint: [&'static str; 3],
    bottom: [&'static str; 3],
    side: &'static str,
    skipped: &'static str,
    arrow: &'static str,
}

impl Pen {
    fn of(look: Look) -> Self {
        let (unicode, colour) = (look.unicode, look.colour);
        if unicode {
            Self {
                unicode,
                colour,
                top: ["┌", "─", "┐"],
                middle: ["├", "─", "┤"],
                joint: ["╞", "═", "╡"],
                bottom: ["└", "─", "┘"],
                side: "│",
                skipped: "⋮",
                arrow: "▸",
            }
        } else {
            Self {
                unicode,
                colour,
                top: ["+", "-", "+"],
                middle: ["+", "-", "+"],
                joint: ["+", "=", "+"],
                bottom: ["+", "-", "+"],
                side: "|",
                skipped: ":",
                arrow: ">",
            }
        }
    }

    fn fill(&self, kind: Kind) -> &'static str {
        let (unicode, ascii) = match kind {
            Kind::Code => ("█", "X"),
            Kind::Constants => ("▓", "R"),
            Kind::Data => ("▒", "W"),
            Kind::Zeros => ("░", "0"),
            Kind::Table => ("▤", "T"),
            Kind::Trace => ("▥", "L"),
            Kind::Vring => ("▦", "V"),
            Kind::Buffers => ("▧", "B"),
            Kind::Free => (" ", " "),
        };
        if self.unicode { unicode } else { ascii }
    }

    fn colour(&self, kind: Kind, owner: Owner) -> (&'static str, &'static str) {
        if !self.colour {
            return ("", "");
        }
        let on = match (owner, kind) {
            (Owner::Stray, _) => "\x1b[31m",
            (_, Kind::Code) => "\x1b[34m",
            (_, Kind::Constants) => "\x1b[36m",
            (_, Kind::Data | Kind::Zeros) => "\x1b[32m",
            (_, Kind::Table | Kind::Trace | Kind::Vring | Kind::Buffers) => "\x1b[33m",
            (_, Kind::Free) => "\x1b[2m",
        };
        (on, "\x1b[0m")
    }

    fn emphasis(&self, owner: Owner) -> (&'static str, &'static str) {
        match (self.colour, owner) {
            (false, _) => ("", ""),
            (true, Owner::Stray) => ("\x1b[1;31m", "\x1b[0m"),
            (true, _) => ("\x1b[1m", "\x1b[0m"),
        }
    }
}

/// An address of 32 bits; longer ones push the line to the right.
const ADDRESS: usize = 10;
const SIZE: usize = 9;
const WRITERS: usize = 11;
const WIDEST: usize = 100;
const NARROWEST: usize = 24;
