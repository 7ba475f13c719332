//! The rings alone, on this machine.
//!
//! Instructions are counted by callgrind as the difference of two message counts, so what a run costs besides its messages
//! falls out. Times are medians. Two-core figures stand beside a ping-pong of cache lines taken before and after each
//! sample; where that moved by more than a quarter the sample is dropped and counted. All payloads are stamped and checked.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::images::workspace;

use crate::Row;

/// Instructions, nanoseconds, two cores, doorbells.
///
/// # Errors
/// Where the program that is measured does not build or run, or callgrind is missing.
pub fn rpmsg() -> Result<Vec<Row>> {
    let program = rings()?;
    let mut rows = instructions(&program)?;
    rows.extend(one_thread(&program)?);
    rows.extend(two_cores(&program)?);
    Ok(rows)
}

fn instructions(program: &Path) -> Result<Vec<Row>> {
    let count = |arguments: &[&str]| -> Result<(f64, String)> {
        let down = counted(program, arguments)?;
        let up = counted(program, &[arguments, &["--up"]].concat())?;
        let beside = format!("driver to device {down:.0}, device to driver {up:.0}");
        Ok((down.max(up), beside))
    };
    let (batch_16, beside_16) = count(&["--size", "16"])?;
    let (batch_496, beside_496) = count(&["--size", "496"])?;
    let (device, beside_device) = count(&["--size", "496", "--memory", "device"])?;
    let (packed_16, beside_packed_16) = count(&["--size", "16", "--packed"])?;
    let (packed_496, beside_packed_496) = count(&["--size", "496", "--packed"])?;
    let (single, beside_single) = count(&["--size", "16", "--batch", "0"])?;
    Ok(vec![
        Row {
            name: "rpmsg_batch_16",
            what: format!("send + receive 16 B, batches of 32: {beside_16}"),
            figure: batch_16,
            unit: "ins",
            target: 200.0,
            beside: "rpmsg-lite 374, open-amp 723".to_owned(),
        },
        Row {
            name: "rpmsg_batch_496",
            what: format!("send + receive 496 B, batches of 32: {beside_496}"),
            figure: batch_496,
            unit: "ins",
            target: 340.0,
            beside: "rpmsg-lite 506, open-amp 855".to_owned(),
        },
        Row {
            name: "rpmsg_batch_496_device",
            what: format!("the same by aligned words, for device memory: {beside_device}"),
            figure: device,
            unit: "ins",
            target: 520.0,
            beside: "open-amp's word loop 1008".to_owned(),
        },
        Row {
            name: "rpmsg_packed_16",
            what: format!("16 B in batches of 32, packed rings: {beside_packed_16}"),
            figure: packed_16,
            unit: "ins",
            target: PACKED_16,
            beside: format!("split rings {batch_16:.0}"),
        },
        Row {
            name: "rpmsg_packed_496",
            what: format!("496 B in batches of 32, packed rings: {beside_packed_496}"),
            figure: packed_496,
            unit: "ins",
            target: PACKED_496,
            beside: format!("split rings {batch_496:.0}"),
        },
        Row {
            name: "rpmsg_single_16",
            what: format!("send + receive 16 B, one at a time, by endpoints: {beside_single}"),
            figure: single,
            unit: "ins",
            target: 320.0,
            beside: "rpmsg-lite 435, open-amp 795".to_owned(),
        },
    ])
}

fn one_thread(program: &Path) -> Result<Vec<Row>> {
    let small = report(program, &["time", "--messages", "640000"])?;
    let large = report(program, &["time", "--messages", "640000", "--size", "496"])?;
    let copy = figure(&large, "memcpy_nanoseconds")?;
    Ok(vec![
        Row {
            name: "rpmsg_batch_16_time",
            what: "send + receive 16 B, batches of 32, one thread".to_owned(),
            figure: figure(&small, "nanoseconds")?,
            unit: "ns",
            target: 15.0,
            beside: format!(
                "bare copies {:.1} ns",
                figure(&small, "memcpy_nanoseconds")?
            ),
        },
        Row {
            name: "rpmsg_bandwidth",
            what: "send + receive 496 B, over the time of the two bare copies".to_owned(),
            figure: figure(&large, "nanoseconds")? / copy,
            unit: "x",
            // 60 % of memcpy's bandwidth.
            target: 1.0 / 0.6,
            beside: format!("bare copies {copy:.1} ns"),
        },
    ])
}

fn two_cores(program: &Path) -> Result<Vec<Row>> {
    let measured = report(program, &["pair"])?;
    let part = |name: &str| -> Result<(f64, f64, f64, String)> {
        let part = &measured[name];
        let kept = part["kept"].as_u64().context("no count of samples")?;
        let dropped = part["dropped"].as_u64().context("no count of samples")?;
        let samples = format!("{kept} samples, {dropped} dropped");
        // Without a single quiet sample there is no figure.
        let number = |key: &str| part[key].as_f64().unwrap_or(f64::NAN);
        Ok((
            number("nanoseconds"),
            number("limit"),
            number("ratio"),
            samples,
        ))
    };
    let (echo, ping_pong, echo_ratio, echo_samples) = part("round_trip")?;
    let (stream, stream_limit, _, stream_samples) = part("stream")?;
    let (bell, bare, bell_ratio, bell_samples) = part("doorbell")?;
    Ok(vec![
        Row {
            name: "rpmsg_round_trip",
            what: format!("polled round trip on two cores, {echo:.0} ns; {echo_samples}"),
            figure: echo_ratio,
            unit: "x",
            target: 2.2,
            beside: format!("two-line ping-pong {ping_pong:.0} ns"),
        },
        Row {
            name: "rpmsg_stream",
            what: format!(
                "one way on two cores, 16 B, batches of 32: {:.1} million/s; {stream_samples}",
                1000.0 / stream
            ),
            figure: stream,
            unit: "ns",
            // 20 million a second.
            target: 50.0,
            beside: format!("two-line ping-pong {stream_limit:.0} ns"),
        },
        Row {
            name: "rpmsg_doorbell",
            what: format!("round trip by doorbells, {bell:.0} ns; {bell_samples}"),
            figure: (bell_ratio - 1.0) * 100.0,
            unit: "%",
            target: 20.0,
            beside: format!("over bare eventfds' {bare:.0} ns"),
        },
    ])
}

/// Builds the program that works the rings, optimised; where it is.
///
/// # Errors
/// Where it does not build.
pub fn rings() -> Result<PathBuf> {
    let output = Command::new(env!("CARGO"))
        .current_dir(workspace())
        .args(["build", "--release", "--quiet", "--package", "rings"])
        .args(["--message-format", "json"])
        .output()
        .context("cargo does not start")?;
    let messages = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "rings does not build:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .context("cargo names no program")
}

/// Instructions per message.
fn counted(program: &Path, arguments: &[&str]) -> Result<f64> {
    let few = collected(program, arguments, FEW)?;
    let many = collected(program, arguments, MANY)?;
    Ok((many - few) / f64::from(MANY - FEW))
}

fn collected(program: &Path, arguments: &[&str], messages: u32) -> Result<f64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .arg("count")
        .args(arguments)
        .args(["--messages", &messages.to_string()])
        .output()
        .context("valgrind does not start; it is a package of this name")?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "callgrind: {text}");
    text.lines()
        .find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok())
        .with_context(|| format!("callgrind counted nothing: {text}"))
}

fn report(program: &Path, arguments: &[&str]) -> Result<Value> {
    let output = Command::new(program).args(arguments).output()?;
    ensure!(
        output.status.success(),
        "rings {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn figure(report: &Value, name: &str) -> Result<f64> {
    report[name]
        .as_f64()
        .with_context(|| format!("no {name} in {report}"))
}

const FEW: u32 = 3200;
const MANY: u32 = 9600;
/// Guards of our own: the standard puts 16 bytes where a split ring keeps two, and no peer's engine has such rings.
const PACKED_16: f64 = 330.0;
const PACKED_496: f64 = 460.0;
