//! Figures, printed beside the peer's or the physical limit of the same run.
//!
//! Each row has a name by which docs/traceability.md calls it, what was measured, what it is compared to, and the target.
//! A figure above its target is marked and is no failure: these numbers are for a quiet machine, and a noisy one must not
//! turn tests red.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use testbed::Progress;
use tests::{
    board::{BOOT, Board, Kind, latency},
    images::{Images, Workshop},
};

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
        rows.extend(self.echo()?);
        rows.extend(self.boot_time()?);
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
        let (load, bare) = loads(&mut board, "--whole")?;
        let (streamed, _) = loads(&mut board, "")?;
        let peak = Counters::read(&mut board)?.peak_heap;
        board.power_off()?;
        Ok(vec![
            Row {
                name: "load_1_mib",
                what: "LOAD of 1 MiB in one buffer, as the client sees it".to_owned(),
                figure: load,
                unit: "ms",
                target: 50.0,
                beside: format!("bare PTA copy + hash of the same bytes {bare:.1} ms"),
            },
            Row {
                name: "load_1_mib_streamed",
                what: "LOAD of 1 MiB in pieces, as the client sees it".to_owned(),
                figure: streamed,
                unit: "ms",
                target: 50.0,
                beside: format!("in one buffer {load:.1} ms"),
            },
            Row {
                name: "load_fixed_cost",
                what: "what LOAD costs over copy + hash".to_owned(),
                figure: load - bare,
                unit: "ms",
                target: 15.0,
                beside: "signatures, chain, zeroing, world switches".to_owned(),
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

    /// RPMsg round trips by doorbell, beside the published 0.33 to 0.44 ms of a bare doorbell on this test bed.
    ///
    /// # Errors
    /// Where the board does not come up or an answer is missing.
    pub fn echo(&self) -> Result<Vec<Row>> {
        let mut board = Board::boot(&self.images, Kind::Product)?;
        board.run_firmware("echo.cwfw")?;
        let report = board.corewarden(&format!("attach --ping {ECHOES}"))?;
        let (median, worst) = latency(&report, ECHOES)?;
        board.corewarden("stop")?;
        board.power_off()?;
        Ok(vec![Row {
            name: "echo_median",
            what: format!("RPMsg echo Linux - Cortex-M4, {ECHOES} messages, worst {worst:.0} us"),
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
            times.push(machine.boot(BOOT)?.as_secs_f64());
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

/// Medians in milliseconds of loading 1 MiB, and of the PTA's copy and hash within it.
fn loads(board: &mut Board, how: &str) -> Result<(f64, f64)> {
    let mut loads = Vec::new();
    let mut bare = Vec::new();
    for round in 0..LOADS {
        let before = Counters::read(board)?;
        let report = board.corewarden(&format!("load {how} /fw/echo-1m.cwfw"))?;
        let after = Counters::read(board)?;
        board.corewarden("release")?;
        // The first one warms up what is mapped and cached.
        if round > 0 {
            loads.push(milliseconds(&report)?);
            bare.push((after.microseconds - before.microseconds) as f64 / 1000.0);
        }
    }
    Ok((median(&mut loads), median(&mut bare)))
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
    microseconds: u64,
    peak_heap: u64,
}

impl Counters {
    fn read(board: &mut Board) -> Result<Self> {
        let values = tests::scenarios::counters(board)?;
        Ok(Self {
            microseconds: (values[2] & 0xffff_ffff) + (values[2] >> 32),
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
const ECHOES: u32 = 1000;
const BOOTS: usize = 3;
