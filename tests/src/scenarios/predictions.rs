//! What `corewarden-sign verify --against` says beforehand, and what the TA says then.

use anyhow::{Context, Result, bail, ensure};
use firmware_signing::against::{Answer, DeviceReport};
use firmware_signing::pki::Certificate;
use ta_protocol::Status;

use crate::{board::Board, images::workspace, suite::Test, tests};

pub(super) const TESTS: &[Test] = tests![
    what_is_predicted_of_every_bundle_is_what_the_ta_answers,
    what_is_predicted_of_damaged_bundles_is_what_the_ta_answers,
    what_is_predicted_for_the_state_of_the_core_is_what_the_ta_answers,
];

/// Every bundle there is, among them one for every refusal: status and both numbers.
fn what_is_predicted_of_every_bundle_is_what_the_ta_answers(board: &mut Board) -> Result<()> {
    let report = report(board)?;
    let names: Vec<String> = board.bundles.names().map(str::to_owned).collect();
    let mut refused = 0;
    for name in names {
        let bundle = board.bundles.file(&name)?.to_vec();
        if compare(board, &report, &name, &bundle, &format!("/fw/{name}"))?.is_some() {
            refused += 1;
        }
    }
    ensure!(refused >= 18, "only {refused} bundles were refused");
    Ok(())
}

/// The bytes and cuts that the refusals' own tests try.
fn what_is_predicted_of_damaged_bundles_is_what_the_ta_answers(board: &mut Board) -> Result<()> {
    let report = report(board)?;
    let bundle = board.bundles.file("echo.cwfw")?.to_vec();
    let length = bundle.len();
    let mut seen = Vec::new();
    for at in [
        0,
        16,
        4096,
        length / 2,
        length - 2000,
        length - 1000,
        length - 200,
        length - 100,
        length - 64,
        length - 1,
    ] {
        let mut flipped = bundle.clone();
        flipped[at] ^= 1;
        board.succeed(&format!(
            "cp /fw/echo.cwfw /tmp/flip && printf '\\{:03o}' | dd of=/tmp/flip bs=1 seek={at} conv=notrunc 2>/dev/null",
            flipped[at]
        ))?;
        let what = format!("byte {at} flipped");
        seen.extend(compare(board, &report, &what, &flipped, "/tmp/flip")?);
    }
    for keep in [
        1,
        63,
        64,
        4096,
        length - 65,
        length - 64,
        length - 16,
        length - 1,
    ] {
        board.succeed(&format!("head -c {keep} /fw/echo.cwfw > /tmp/cut"))?;
        let what = format!("cut to {keep} bytes");
        seen.extend(compare(board, &report, &what, &bundle[..keep], "/tmp/cut")?);
    }
    for status in [
        Status::ChunkDigest,
        Status::RestDigest,
        Status::SignatureInvalid,
    ] {
        ensure!(
            seen.contains(&status),
            "none was refused as {status:?}: {seen:?}"
        );
    }
    Ok(())
}

fn what_is_predicted_for_the_state_of_the_core_is_what_the_ta_answers(
    board: &mut Board,
) -> Result<()> {
    let other = board.bundles.file("echo-v2.cwfw")?.to_vec();
    for state in ["Loaded", "Running"] {
        board.load("echo.cwfw")?;
        if state == "Running" {
            board.corewarden("start")?;
        }
        let report = report(board)?;
        let prediction = report.predict(&other, &roots()?)?;
        ensure!(
            prediction.answer == Answer::Loads,
            "it would be loaded: {prediction:?}"
        );
        let refusal = board.refused("load /fw/echo-v2.cwfw")?;
        let expected = Answer::Refuses {
            status: refusal.status,
            numbers: refusal.numbers,
        };
        ensure!(
            prediction.now == Some(expected),
            "{state}: {prediction:?}, the TA says {refusal:?}"
        );
        board.core_off()?;
    }
    Ok(())
}

/// Predicts, loads, compares; gives the status of a refusal. The core is off before and after it.
fn compare(
    board: &mut Board,
    report: &DeviceReport,
    what: &str,
    bundle: &[u8],
    path: &str,
) -> Result<Option<Status>> {
    let prediction = report.predict(bundle, &roots()?)?;
    let answer = match board.ask(&format!("load {path}"))? {
        Ok(_) => Answer::Loads,
        Err(refusal) => Answer::Refuses {
            status: refusal.status,
            numbers: refusal.numbers,
        },
    };
    ensure!(
        prediction.answer == answer,
        "{what}: predicted {:?}, the TA says {answer:?}",
        prediction.answer
    );
    match answer {
        Answer::Loads => board.core_off().map(|()| None),
        Answer::Refuses { status, .. } => Ok(Some(status)),
    }
}

/// As `corewarden status --json` prints it, and nothing else.
fn report(board: &mut Board) -> Result<DeviceReport> {
    let status = board.corewarden("status")?;
    let Ok(report) = DeviceReport::parse(status.to_string().as_bytes(), None) else {
        bail!("no device's report: {status}");
    };
    Ok(report)
}

fn roots() -> Result<Vec<Certificate>> {
    let path = workspace().join("keys/dev-root.pem");
    let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
    Ok(Certificate::read_all(&bytes)?)
}
