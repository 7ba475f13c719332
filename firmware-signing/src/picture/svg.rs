//! The memory map as a figure: one SVG file that needs nothing else.

use std::fmt::Write;

use super::{Band, Kind, Owner, Picture, Writers, Zone, size};

impl Picture {
    /// The figure, as XML.
    #[must_use]
    pub fn svg(&self) -> String {
        let mut drawing = Drawing::default();
        for (index, zone) in self.zones.iter().enumerate() {
            let before = index.checked_sub(1).and_then(|index| self.zones.get(index));
            drawing.zone(self, zone, before);
        }
        drawing.legend(self);
        drawing.notes(self);
        drawing.finish(self)
    }
}

/// What was drawn so far, from top to bottom.
struct Drawing {
    body: String,
    y: u64,
}

impl Default for Drawing {
    fn default() -> Self {
        Self {
            body: String::new(),
            y: HEAD,
        }
    }
}

impl Drawing {
    fn zone(&mut self, picture: &Picture, zone: &Zone, before: Option<&Zone>) {
        let end = |zone: &Zone| zone.bands.last().map(|band| band.to);
        let begin = zone.bands.first().map(|band| band.from);
        let joined = before.is_some_and(|before| end(before) == begin);
        if before.is_some() {
            self.y += if joined { 0 } else { SKIP };
        }
        let top = self.y;
        for (index, band) in zone.bands.iter().enumerate() {
            // Two zones that touch share the address between them.
            self.band(picture, band, index > 0 || !joined, zone.owner);
        }
        self.address(self.y, end(zone).unwrap_or_default());
        self.bracket(zone, top);
    }

    fn band(&mut self, picture: &Picture, band: &Band, address: bool, owner: Owner) {
        let bytes = band.to.saturating_sub(band.from);
        let marks = picture.marks.iter();
        let marks: Vec<_> = marks
            .filter(|mark| (band.from..band.to).contains(&mark.address))
            .collect();
        let height = height(bytes).max(ROW * (marks.len() as u64 + 1) + 10);
        let y = self.y;
        if address {
            self.address(y, band.from);
        }
        let (fill, ink) = colours(band.kind, owner);
        let body = &mut self.body;
        let _ = writeln!(
            body,
            "<rect x=\"{BOX}\" y=\"{y}\" width=\"{WIDE}\" height=\"{height}\" fill=\"{fill}\" stroke=\"#475569\" stroke-width=\"1\"/>"
        );
        let middle = y + height / 2 - (ROW / 2) * marks.len() as u64 + 5;
        let weight = if band.kind == Kind::Free {
            "400"
        } else {
            "600"
        };
        let _ = writeln!(
            body,
            "<text x=\"{}\" y=\"{middle}\" fill=\"{ink}\" font-weight=\"{weight}\">{}</text>",
            BOX + 14,
            escape(&band.label)
        );
        for (row, mark) in (1..).zip(marks) {
            let _ = writeln!(
                body,
                "<text x=\"{}\" y=\"{}\" fill=\"{ink}\" font-size=\"12\">&#9656; {} <tspan class=\"m\">{:#x}</tspan></text>",
                BOX + 14,
                middle + ROW * row,
                mark.label,
                mark.address
            );
        }
        let _ = writeln!(
            body,
            "<text x=\"{}\" y=\"{}\" fill=\"{ink}\" text-anchor=\"end\" font-size=\"12\">{}</text>",
            BOX + WIDE - 12,
            y + height / 2 + 5,
            size(bytes)
        );
        self.writers(band.writers, y + height / 2);
        self.y += height;
    }

    /// A chip for each who may write.
    fn writers(&mut self, writers: Writers, middle: u64) {
        let chips: &[(&str, u64, &str, &str)] = match writers {
            Writers::Nobody => &[("read only", 66, "#f1f5f9", "#475569")],
            Writers::Core => &[("core", 42, "#dcfce7", "#166534")],
            Writers::CoreAndLinux => &[
                ("core", 42, "#dcfce7", "#166534"),
                ("Linux", 44, "#ffedd5", "#9a3412"),
            ],
            Writers::Unknown => &[],
        };
        let mut x = BOX + WIDE + 16;
        for (name, wide, fill, ink) in chips {
            let _ = writeln!(
                self.body,
                "<rect x=\"{x}\" y=\"{}\" width=\"{wide}\" height=\"20\" rx=\"10\" fill=\"{fill}\" stroke=\"{ink}\" stroke-opacity=\".35\"/>\
                 <text x=\"{}\" y=\"{}\" fill=\"{ink}\" font-size=\"12\" text-anchor=\"middle\">{name}</text>",
                middle - 10,
                x + wide / 2,
                middle + 4
            );
            x += wide + 6;
        }
    }

    fn address(&mut self, y: u64, address: u64) {
        let _ = writeln!(
            self.body,
            "<text class=\"m\" x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"#334155\">{address:#010x}</text>\
             <path d=\"M{} {y}h10\" stroke=\"#94a3b8\"/>",
            BOX - 16,
            y + 4,
            BOX - 10
        );
    }

    /// The zone's name along a bracket at its side.
    fn bracket(&mut self, zone: &Zone, top: u64) {
        let (whose, ink) = match zone.owner {
            Owner::Private => ("private: the core alone", "#166534"),
            Owner::Shared => ("shared: core and Linux", "#9a3412"),
            Owner::Stray => ("not the core's: not loaded", "#b91c1c"),
            Owner::Unknown => ("give --platform and --core", "#475569"),
        };
        let (from, to) = (top + 4, self.y.saturating_sub(4));
        let x = BOX + WIDE + 128;
        let middle = (from + to) / 2;
        let _ = writeln!(
            self.body,
            "<path d=\"M{x} {from}h8V{to}h-8\" fill=\"none\" stroke=\"{ink}\" stroke-width=\"1.5\"/>\
             <text x=\"{}\" y=\"{}\" fill=\"{ink}\" font-weight=\"700\">{}</text>\
             <text x=\"{}\" y=\"{}\" fill=\"{ink}\" font-size=\"12\">{whose}</text>",
            x + 18,
            middle - 2,
            escape(&zone.name),
            x + 18,
            middle + 15
        );
    }

    /// The kinds that occur, in their colours.
    fn legend(&mut self, picture: &Picture) {
        self.y += 34;
        let mut x = BOX;
        let bands: Vec<&Band> = picture.zones.iter().flat_map(|zone| &zone.bands).collect();
        for kind in KINDS {
            if !bands.iter().any(|band| band.kind == *kind) {
                continue;
            }
            let name = kind.name();
            let wide = 30 + 7 * name.len() as u64;
            if x + wide > WIDTH - 20 {
                x = BOX;
                self.y += 24;
            }
            let (fill, _) = colours(*kind, Owner::Unknown);
            let _ = writeln!(
                self.body,
                "<rect x=\"{x}\" y=\"{}\" width=\"14\" height=\"14\" rx=\"3\" fill=\"{fill}\" stroke=\"#475569\"/>\
                 <text x=\"{}\" y=\"{}\" fill=\"#334155\" font-size=\"12\">{name}</text>",
                self.y - 11,
                x + 20,
                self.y
            );
            x += wide + 8;
        }
    }

    fn notes(&mut self, picture: &Picture) {
        self.y += 8;
        for note in &picture.notes {
            self.y += 18;
            let _ = writeln!(
                self.body,
                "<text x=\"{BOX}\" y=\"{}\" fill=\"#b45309\" font-size=\"12\">{}</text>",
                self.y,
                escape(note)
            );
        }
        self.y += 18;
        let _ = writeln!(
            self.body,
            "<text x=\"{BOX}\" y=\"{}\" fill=\"#64748b\" font-size=\"12\">Chips: who may write while the firmware runs. Heights are not to scale.</text>",
            self.y
        );
        self.y += 22;
    }

    fn finish(self, picture: &Picture) -> String {
        let height = self.y;
        let (title, subtitle) = (escape(&picture.title), escape(&picture.subtitle));
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" font-family=\"Inter, 'Segoe UI', 'Helvetica Neue', 'DejaVu Sans', Arial, sans-serif\" font-size=\"14\">\n\
             <title>Memory map of {title}</title>\n\
             <desc>{subtitle}</desc>\n\
             <defs><pattern id=\"free\" width=\"8\" height=\"8\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\"><rect width=\"8\" height=\"8\" fill=\"#ffffff\"/><path d=\"M0 0v8\" stroke=\"#e2e8f0\" stroke-width=\"3\"/></pattern></defs>\n\
             <style>.m{{font-family:'DejaVu Sans Mono',Menlo,Consolas,monospace;font-size:12px}}</style>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
             <text x=\"{LEFT}\" y=\"36\" font-size=\"20\" font-weight=\"700\" fill=\"#0f172a\">{title}</text>\n\
             <text x=\"{LEFT}\" y=\"58\" fill=\"#64748b\">{subtitle}</text>\n\
             {}</svg>\n",
            self.body
        )
    }
}

/// Fill and ink, told apart by brightness too.
fn colours(kind: Kind, owner: Owner) -> (&'static str, &'static str) {
    match (owner, kind) {
        (Owner::Stray, Kind::Free) => ("url(#free)", "#64748b"),
        (Owner::Stray, _) => ("#fecaca", "#7f1d1d"),
        (_, Kind::Code) => ("#1d4ed8", "#ffffff"),
        (_, Kind::Constants) => ("#7dd3fc", "#0c4a6e"),
        (_, Kind::Data) => ("#4ade80", "#14532d"),
        (_, Kind::Zeros) => ("#dcfce7", "#166534"),
        (_, Kind::Table) => ("#fb923c", "#431407"),
        (_, Kind::Trace) => ("#fde68a", "#78350f"),
        (_, Kind::Vring) => ("#fdba74", "#7c2d12"),
        (_, Kind::Buffers) => ("#ffedd5", "#9a3412"),
        (_, Kind::Free) => ("url(#free)", "#64748b"),
    }
}

/// Taller for every power of four, so that a byte can be read and a gigabyte fits the page.
fn height(bytes: u64) -> u64 {
    26 + 3 * u64::from(bytes.max(1).ilog2())
}

/// Text as XML has it; what XML cannot have becomes a question mark.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push('?'),
            c if c.is_control() => escaped.push('?'),
            c => escaped.push(c),
        }
    }
    escaped
}

const KINDS: &[Kind] = &[
    Kind::Code,
    Kind::Constants,
    Kind::Data,
    Kind::Zeros,
    Kind::Table,
    Kind::Trace,
    Kind::Vring,
    Kind::Buffers,
    Kind::Free,
];
const WIDTH: u64 = 900;
const LEFT: u64 = 24;
const HEAD: u64 = 88;
const BOX: u64 = 130;
const WIDE: u64 = 400;
const ROW: u64 = 18;
const SKIP: u64 = 42;
