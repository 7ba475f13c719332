//! A board that has booted to Linux' shell, driven as a user would, with the test bed's back door beside it.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use ta_protocol::Status;
use testbed::machine::{Ended, Machine, Output, SUCCESSOR};

use crate::images::{Bundles, Images};

/// What is built into a board's flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What the README describes.
    Product,
    /// The test build: counters, a command that panics, and cores with other policies.
    Test,
    /// A platform that does not isolate: only the upstream commands.
    NoIsolation,
    /// A platform whose private region lies in the shared window.
    RegionInWindow,
    /// A platform file that requires signatures in two slots.
    TwoSlots,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 5] = [
        Self::Product,
        Self::Test,
        Self::NoIsolation,
        Self::RegionInWindow,
        Self::TwoSlots,
    ];
}

/// A refusal as `corewarden --json` prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub status: Status,
    /// The two numbers.
    pub numbers: [u64; 2],
}

/// A running board.
pub struct Board {
    /// The machine under it.
    pub machine: Machine,
    /// What lies in /fw.
    pub bundles: Arc<Bundles>,
}

impl Board {
    /// Boots to the shell.
    ///
    /// # Errors
    /// Where an image is missing or Linux does not come up.
    pub fn boot(images: &Images, kind: Kind) -> Result<Self> {
        let mut machine = Machine::start(images.config(kind)?)?;
        machine.boot(PATIENCE)?;
        Ok(Self {
            machine,
            bundles: images.bundles(),
        })
    }

    /// Turns the board off as a user would.
    ///
    /// # Errors
    /// Where it does not end by itself, or not with status 0.
    pub fn power_off(self) -> Result<()> {
        self.machine.type_line("poweroff -f")?;
        match self.machine.wait_end(PATIENCE)? {
            Ended::Exit(0) => Ok(()),
            ended => bail!("the board ended as {ended:?}"),
        }
    }

    /// Puts another Linux in the place of this one (kexec); the secure world and the core run on.
    ///
    /// # Errors
    /// Where the next one does not come up, or the board was reset.
    pub fn restart_linux(&mut self) -> Result<()> {
        let resets = self.machine.resets();
        self.begin_kexec()?;
        self.machine.boot(PATIENCE)?;
        ensure!(self.machine.resets() == resets, "the board was reset");
        Ok(())
    }

    /// As [`Board::restart_linux`], until this Linux takes leave.
    ///
    /// # Errors
    /// Where it does not take the next one.
    pub fn begin_kexec(&mut self) -> Result<()> {
        let [kernel, initrd] = SUCCESSOR;
        let command = format!("probe kexec {kernel:#x} {initrd:#x}");
        self.machine.type_line(&command)?;
        self.machine.expect("kexec begins", PATIENCE)?;
        Ok(())
    }

    /// Runs a command in Linux' shell.
    ///
    /// # Errors
    /// Where it takes longer than [`PATIENCE`].
    pub fn shell(&mut self, command: &str) -> Result<Output> {
        Ok(self.machine.run(command, PATIENCE)?)
    }

    /// Runs a command that must end with status 0, and gives what it wrote.
    ///
    /// # Errors
    /// Where it does not.
    pub fn succeed(&mut self, command: &str) -> Result<String> {
        Ok(self.machine.succeed(command, PATIENCE)?.text())
    }

    /// Runs `corewarden --json ARGUMENTS`: what it printed, or why the TA refused.
    ///
    /// # Errors
    /// Where it fails in another way, or does not print JSON.
    pub fn ask(&mut self, arguments: &str) -> Result<std::result::Result<Value, Refusal>> {
        let output = self.shell(&format!("corewarden --json {arguments}"))?;
        let text = output.text();
        match output.status {
            0 => document(&text).map(Ok),
            code if code == i32::from(REFUSED) => refusal(&document(&text)?).map(Err),
            status => bail!("corewarden {arguments} ended with {status}: {text}"),
        }
    }

    /// Runs `corewarden --json ARGUMENTS`, which must succeed.
    ///
    /// # Errors
    /// Where it does not.
    pub fn corewarden(&mut self, arguments: &str) -> Result<Value> {
        match self.ask(arguments)? {
            Ok(report) => Ok(report),
            Err(refusal) => bail!("corewarden {arguments} was refused: {refusal:?}"),
        }
    }

    /// Runs `corewarden --json ARGUMENTS`, which the TA must refuse.
    ///
    /// # Errors
    /// Where it succeeds, or fails in another way.
    pub fn refused(&mut self, arguments: &str) -> Result<Refusal> {
        match self.ask(arguments)? {
            Ok(report) => bail!("corewarden {arguments} was not refused: {report}"),
            Err(refusal) => Ok(refusal),
        }
    }

    /// Expects a load to be refused with exactly this status.
    ///
    /// # Errors
    /// Where it is not, or where private memory is not wiped after it.
    pub fn load_refused(&mut self, bundle: &str, status: Status) -> Result<Refusal> {
        let refusal = self.refused(&format!("load /fw/{bundle}"))?;
        ensure!(
            refusal.status == status,
            "{bundle}: refused as {:?}, not as {status:?}",
            refusal.status
        );
        ensure!(
            self.state()? == "Off",
            "{bundle}: refused, but the core is not off"
        );
        self.expect_wiped()?;
        Ok(refusal)
    }

    /// Loads a bundle of /fw.
    ///
    /// # Errors
    /// Where it is refused.
    pub fn load(&mut self, bundle: &str) -> Result<Value> {
        self.corewarden(&format!("load /fw/{bundle}"))
    }

    /// Loads a bundle and starts the core.
    ///
    /// # Errors
    /// Where either is refused.
    pub fn run_firmware(&mut self, bundle: &str) -> Result<()> {
        self.load(bundle)?;
        self.corewarden("start")?;
        Ok(())
    }

    /// What `corewarden status` says of the core's state.
    ///
    /// # Errors
    /// Where it says nothing.
    pub fn state(&mut self) -> Result<String> {
        let status = self.corewarden("status")?;
        let state = status["state"].as_str();
        Ok(state
            .with_context(|| format!("no state in {status}"))?
            .to_owned())
    }

    /// Brings the core to Off, whatever the test before has left.
    ///
    /// # Errors
    /// Where that is not possible.
    pub fn core_off(&mut self) -> Result<()> {
        if self.state()? == "Off" {
            return Ok(());
        }
        self.shell("corewarden stop")?;
        self.shell("corewarden release")?;
        let state = self.state()?;
        ensure!(state == "Off", "the core stays {state}");
        Ok(())
    }

    /// Attaches, sends so many messages, and expects each back as it was.
    ///
    /// # Errors
    /// Where one does not come back.
    pub fn ping(&mut self, count: u32) -> Result<Value> {
        let report = self.corewarden(&format!("attach --ping {count}"))?;
        ensure!(report["right"] == count, "{count} answers: {report}");
        Ok(report)
    }

    /// Private memory, through the back door, must be all zeros.
    ///
    /// # Errors
    /// Where it is not.
    pub fn expect_wiped(&self) -> Result<()> {
        self.expect_private(&[])
    }

    /// Private memory, through the back door, must begin with `expected` and be zero behind it.
    ///
    /// # Errors
    /// Where it does not; the error names the first byte that differs.
    pub fn expect_private(&self, expected: &[u8]) -> Result<()> {
        let private = self.machine.private()?;
        for (at, found) in private.iter().enumerate() {
            let wanted = expected.get(at).copied().unwrap_or(0);
            ensure!(
                *found == wanted,
                "private memory at {at:#x} is {found:#04x}, not {wanted:#04x}"
            );
        }
        Ok(())
    }
}

/// Median and worst round trip in microseconds, of a report in which all `count` messages came back.
///
/// # Errors
/// Where not all came back, or the report says no times.
pub fn latency(report: &Value, count: u32) -> Result<(f64, f64)> {
    ensure!(report["right"] == count, "{count} answers: {report}");
    let time = |name: &str| {
        report["latency"][name]
            .as_f64()
            .with_context(|| format!("no {name} in {report}"))
    };
    Ok((time("median_us")?, time("max_us")?))
}

/// The refusal in an error document.
///
/// # Errors
/// Where there is none.
pub fn refusal(document: &Value) -> Result<Refusal> {
    let error = &document["refusal"];
    let name = error["status"].as_str();
    let name = name.with_context(|| format!("no status in {document}"))?;
    let status = Status::from_name(name).with_context(|| format!("no such status: {name}"))?;
    let number = |name: &str| {
        error[name]
            .as_u64()
            .with_context(|| format!("no {name} number in {document}"))
    };
    Ok(Refusal {
        status,
        numbers: [number("first")?, number("second")?],
    })
}

/// The JSON document in what a command wrote.
fn document(text: &str) -> Result<Value> {
    let start = text
        .find('{')
        .with_context(|| format!("no JSON in {text:?}"))?;
    serde_json::from_str(&text[start..]).with_context(|| format!("not JSON: {text:?}"))
}

/// How long a boot or a command may take where others have most of the processors; a boot takes two seconds on a quiet machine.
pub const PATIENCE: Duration = Duration::from_secs(180);
/// The exit code of `corewarden` where the TA refused.
pub const REFUSED: u8 = 4;
