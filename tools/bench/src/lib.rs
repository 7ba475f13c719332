//! Figures, printed beside the peer's or the physical limit of the same run.
//!
//! Each row has a name by which docs/traceability.md calls it, what was measured, what it is compared to, and the target.
//! A figure above its target is marked and is no failure: these numbers are for a quiet machine, and a noisy one must not
//! turn tests red.

mod ceremony;
mod footprint;
mod rpmsg;
mod stolen;

pub mod sign;

use std::fmt::Write as _;

use anyhow::{Context, Result};
use testbed::Progress;
use tests::{
    board::{Board, Kind, PATIENCE, latency},
    images::{Images, Workshop},
};

pub use stolen::Stolen;

/// One figure.
pub struct Row {
    /// What docs/traceability.md calls it.
    pub name: &'static str,
    /// What was measured.
    pub what: String,
    /// The figure.
    pub figure: f64,
    /// Its unit.
    pub unit: &'static str,
    /// At most this.
    pub target: f64,
    /// What it is compared to, with its figure.
    pub beside: String,
}

pub use footprint::footprint;
pub use rpmsg::{rings, rpmsg};

/// A booted test board.
pub struct Bench {
    images: Images,
    signed_size: u64,
}

impl Bench {
    /// Builds what is missing.
    ///
    /// # Errors
    /// Where it does not build.
    pub fn boot(progress: Progress<'_>) -> Result<Self> {
        let workshop = Workshop::open(progress)?;
        let ta = workshop.ta("ta/platforms/qemu-virt.toml".as_ref(), false)?;
        Ok(Self {
            images: workshop.images(&[Kind::Product, Kind::Test])?,
            signed_size: ta.signed_size,
        })
    }

    /// All figures.
    ///
    /// # Errors
    /// Where a measurement fails.
    pub fn all(&self) -> Result<Vec<Row>> {
        let mut rows = self.load()?;
        rows.extend(self.echo(ECHOES)?);
        rows.extend(self.boot_time()?);
        rows.extend(rpmsg()?);
        rows.push(Row {
            name: "ta_size",
            what: "signed TA".to_owned(),
            figure: self.signed_size as f64 / 1000.0,
            unit: "kB",
            target: 450.0,
            beside: "limit 450 kB".to_owned(),
        });
        Ok(rows)
    }

    /// LOAD of 1 MiB, beside the bare copy and hash of the same bytes by the PTA in the same run.
    ///
    /// # Errors
    /// Where the board does not come up or a load is refused.
    pub fn load(&self) -> Result<Vec<Row>> {
        let mut board = Board::boot(&self.images, Kind::Test)?;
        let whole = loads(&mut board, "--whole")?;
        let streamed = loads(&mut board, "")?;
        let peak = Counters::read(&mut board)?.peak_heap;
        board.power_off()?;
        Ok(vec![
            Row {
                name: "load_1_mib",
                what: "LOAD of 1 MiB in one buffer, as the client sees it".to_owned(),
                figure: whole.load,
                unit: "ms",
                target: 50.0,
                beside: format!(
                    "bare PTA copy + hash of the same bytes {:.1} ms, zeroing the rest {:.1} ms",
                    whole.copy_and_hash, whole.zero
                ),
            },
            Row {
                name: "load_1_mib_streamed",
                what: "LOAD of 1 MiB in pieces, as the client sees it".to_owned(),
                figure: streamed.load,
                unit: "ms",
                target: 50.0,
                beside: format!("in one buffer {:.1} ms", whole.load),
            },
            Row {
                name: "load_fixed_cost",
                what: "what LOAD costs over copy + hash + zero".to_owned(),
                figure: whole.load - whole.copy_and_hash - whole.zero,
                unit: "ms",
                target: 15.0,
                beside: "signatures, chain, Linux' handing over of 1 MiB, world switches"
                    .to_owned(),
            },
            Row {
                name: "load_heap",
                what: "peak secure heap, the trailer included".to_owned(),
                figure: peak as f64 / 1024.0,
                unit: "KiB",
                target: 128.0,
                beside: "64 KiB of trailer + 64 KiB".to_owned(),
            },
        ])
    }

    /// So many RPMsg round trips by doorbell, beside the published 0.33 to 0.44 ms of a bare doorbell on this test bed.
    ///
    /// # Errors
    /// Where the board does not come up or an answer is missing.
    pub fn echo(&self, echoes: u32) -> Result<Vec<Row>> {
        let mut board = Board::boot(&self.images, Kind::Product)?;
        board.run_firmware("echo.cwfw")?;
        let before = board.machine.rings();
        let report = board.corewarden(&format!("attach --ping {echoes}"))?;
        let (median, worst) = latency(&report, echoes)?;
        let after = board.machine.rings();
        let each = |rings: u64| rings as f64 / f64::from(echoes);
        board.corewarden("stop")?;
        board.power_off()?;
        Ok(vec![Row {
            name: "echo_median",
            what: format!(
                "RPMsg echo Linux - Cortex-M4, {echoes} messages, none lost, worst {worst:.0} us; {:.2} kicks there and {:.2} back each",
                each(after.to_core - before.to_core),
                each(after.to_linux - before.to_linux),
            ),
            figure: median,
            unit: "us",
            target: 500.0,
            beside: "bare doorbell round trip on this test bed 330 to 440 us".to_owned(),
        }])
    }

    fn boot_time(&self) -> Result<Vec<Row>> {
        let mut times = Vec::new();
        for _ in 0..BOOTS {
            let mut machine = testbed::machine::Machine::start(self.images.config(Kind::Product)?)?;
            times.push(machine.boot(PATIENCE)?.as_secs_f64());
        }
        Ok(vec![Row {
            name: "boot_to_shell",
            what: "QEMU start to Linux shell".to_owned(),
            figure: median(&mut times),
            unit: "s",
            target: 6.0,
            beside: "1.5 to 1.8 s on a quiet machine".to_owned(),
        }])
    }
}

/// Medians in milliseconds.
struct Loads {
    /// Of the command, as its client sees it.
    load: f64,
    /// Of the PTA's copying and hashing within it.
    copy_and_hash: f64,
    /// Of the PTA's zeroing within it.
    zero: f64,
}

/// Loads 1 MiB again and again.
fn loads(board: &mut Board, how: &str) -> Result<Loads> {
    let (mut loads, mut copies, mut zeros) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..LOADS {
        let before = Counters::read(board)?;
        let report = board.corewarden(&format!("load {how} /fw/echo-1m.cwfw"))?;
        let after = Counters::read(board)?;
        board.corewarden("release")?;
        // The first one warms up what is mapped and cached.
        if round > 0 {
            let spent = |before: u64, after: u64| (after - before) as f64 / 1000.0;
            loads.push(milliseconds(&report)?);
            copies.push(spent(before.loading, after.loading));
            zeros.push(spent(before.zeroing, after.zeroing));
        }
    }
    Ok(Loads {
        load: median(&mut loads),
        copy_and_hash: median(&mut copies),
        zero: median(&mut zeros),
    })
}

/// The rows as a table for people.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        let mark = if row.figure <= row.target {
            "ok "
        } else {
            "MISSED"
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{mark:<6} {:<19} {:>9.2} {:<3} (at most {} {})  {}; {}",
            row.name, row.figure, row.unit, row.target, row.unit, row.what, row.beside
        );
    }
    text
}

/// What the PTA and the TA of the test build count.
struct Counters {
    /// Microseconds of the PTA's copying and hashing.
    loading: u64,
    /// Microseconds of the PTA's setting of memory.
    zeroing: u64,
    peak_heap: u64,
}

impl Counters {
    fn read(board: &mut Board) -> Result<Self> {
        let values = tests::scenarios::counters(board)?;
        Ok(Self {
            loading: values[2] & 0xffff_ffff,
            zeroing: values[2] >> 32,
            peak_heap: values[3],
        })
    }
}

fn milliseconds(report: &serde_json::Value) -> Result<f64> {
    report["milliseconds"]
        .as_f64()
        .with_context(|| format!("no time in {report}"))
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

const LOADS: usize = 12;
/// Echoes that are measured where nobody asks for more.
pub const ECHOES: u32 = 1000;
const BOOTS: usize = 3;
