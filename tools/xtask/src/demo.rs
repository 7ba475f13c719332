//! `cargo xtask demo`: the whole story, step by step, with timing and in plain words.
//!
//! The story is told once, in [`tell`]; where it plays is a [`Stage`]: the test bed, or with `--sim` one process.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use firmware_signing::{Options, key::Signer, sign};
use platform::Platform;
use serde_json::Value;
use ta_protocol::Status;
use tests::{
    board::{Board, Kind, Refusal},
    bundles::{Identity, Mutant, expected_memory, scope},
    images::{PRIVATE, Workshop, platform, workspace},
};

use crate::{
    run::{print, say},
    sim::Simulation,
};

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask demo\n  cargo xtask demo --sim\n  cargo xtask demo --yes   # in CI: installs without asking"
)]
pub(crate) struct Args {
    /// Install missing packages of this machine without asking.
    #[arg(long)]
    yes: bool,
    /// Tell the story in one process: nothing is downloaded, platform and core are simulated.
    #[arg(long)]
    sim: bool,
}

/// Where the story plays.
pub(crate) trait Stage {
    /// What stands in for what.
    fn introduction(&self) -> &'static str;
    /// Where the firmware comes from.
    fn firmware(&mut self, platform: &Platform) -> Result<Vec<u8>>;
    /// Brings the machine up with these bundles in its folder /fw; how that went, in words.
    fn boot(&mut self, bundles: &BTreeMap<&'static str, Vec<u8>>) -> Result<String>;
    /// Runs `corewarden --json ARGUMENTS` on the machine: its report, or why the TA refused.
    fn corewarden(&mut self, arguments: &str) -> Result<Result<Value, Refusal>>;
    /// The core's private memory, by a way that only this stage has.
    fn private(&mut self) -> Result<Vec<u8>>;
    /// Turns the machine off.
    fn end(&mut self) -> Result<()>;
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let begin = Instant::now();
    if args.sim {
        tell(&mut Simulation::new()?)?;
    } else {
        crate::run::ensure_packages(args.yes)?;
        print(
            "Preparing the test bed (the first time this downloads and builds; later it takes seconds).",
        )?;
        let workshop = Workshop::open(&say)?;
        let mut stage = TestBed {
            workshop: &workshop,
            board: None,
        };
        tell(&mut stage).map_err(|error| match &stage.board {
            Some(board) => error.context(format!(
                "the consoles are in {}",
                board.machine.logs().display()
            )),
            None => error,
        })?;
    }
    print(&format!(
        "\nDone in {:.1} s.",
        begin.elapsed().as_secs_f64()
    ))
}

fn tell(stage: &mut dyn Stage) -> Result<()> {
    print(&format!("\n{}\n", stage.introduction()))?;
    let platform = platform(&workspace().join("ta/platforms/qemu-virt.toml"))?;
    let mut story = Story { number: 0 };

    let signer = story.step("keys", || {
        let scope = scope(&platform, CEILING)?;
        let signer = Identity::under_development_root(&workspace().join("keys"), &scope)?;
        let words = format!(
            "a signing key, and a certificate from the development CA: core 0, this device class, security version at most {CEILING}"
        );
        Ok((signer, words))
    })?;
    let elf = stage.firmware(&platform)?;
    let bundle = story.step("sign", || {
        let bundle = signed(&elf, &platform, &signer, 3)?;
        let words = format!(
            "an ELF of {} bytes became a bundle of {} bytes; readelf still reads it",
            elf.len(),
            bundle.len()
        );
        Ok((bundle, words))
    })?;
    story.step("inspect", || Ok(((), inspect(&bundle)?)))?;
    let bundles = story.step("attacks", || {
        let bundles = attacks(&bundle, &elf, &platform, &signer)?;
        let words = "three bad bundles for later: a flipped byte, a foreign root, a version above the ceiling";
        Ok((bundles, words.to_owned()))
    })?;
    story.step("boot", || Ok(((), stage.boot(&bundles)?)))?;
    story.step("load", || {
        done(stage, &format!("load /fw/{GOOD}"))?;
        let size = usize::try_from(PRIVATE.end - PRIVATE.start)?;
        let expected = expected_memory(&bundle, PRIVATE.start, size)?;
        ensure!(
            stage.private()? == expected,
            "private memory is not what was signed"
        );
        let words =
            "the TA checked chain and signature; private memory is the signed segments, and zeros";
        Ok(((), words.to_owned()))
    })?;
    story.step("start", || {
        let report = done(stage, "start")?;
        Ok((
            (),
            format!(
                "the reset line was released, and the core is {}",
                report["state"].as_str().unwrap_or("?")
            ),
        ))
    })?;
    story.step("table", || {
        let report = done(stage, "rsc-table")?;
        Ok(((), table(&report)))
    })?;
    story.step("echo", || {
        let report = done(stage, &format!("attach --ping {ECHOES}"))?;
        let (median, worst) = tests::board::latency(&report, ECHOES)?;
        let words = format!("{ECHOES} of {ECHOES} RPMsg messages came back right; median {median:.0} us, worst {worst:.0} us");
        Ok(((), words))
    })?;
    story.step("stop", || {
        done(stage, "stop")?;
        wiped(stage)?;
        Ok((
            (),
            "the core is held in reset, and its private memory is all zeros".to_owned(),
        ))
    })?;
    for (what, bundle, status) in [
        ("flipped byte", FLIPPED, Status::ChunkDigest),
        ("foreign root", FOREIGN, Status::UnknownRoot),
        (
            "version above the ceiling",
            ABOVE,
            Status::VersionAboveCeiling,
        ),
    ] {
        story.step("refuse", || {
            let Err(refusal) = stage.corewarden(&format!("load /fw/{bundle}"))? else {
                bail!("the bundle with the {what} was loaded");
            };
            ensure!(
                refusal.status == status,
                "{what}: refused as {:?}, not {status:?}",
                refusal.status
            );
            wiped(stage)?;
            let [first, second] = refusal.numbers;
            Ok((
                (),
                format!("{what}: {:?}: {}", status, status.explain(first, second)),
            ))
        })?;
    }
    stage.end()
}

/// A command that must not be refused.
fn done(stage: &mut dyn Stage, arguments: &str) -> Result<Value> {
    match stage.corewarden(arguments)? {
        Ok(report) => Ok(report),
        Err(refusal) => bail!("corewarden {arguments} was refused: {refusal:?}"),
    }
}

fn wiped(stage: &mut dyn Stage) -> Result<()> {
    ensure!(
        stage.private()?.iter().all(|byte| *byte == 0),
        "private memory is not wiped"
    );
    Ok(())
}

/// The resource table in words.
fn table(report: &Value) -> String {
    let list = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let mut words = format!(
        "published for Linux at {:#x}",
        report["physical"].as_u64().unwrap_or(0)
    );
    for device in list(report, "devices") {
        words.push_str(&format!("; virtio device {}", device["id"]));
        for ring in list(&device, "vrings") {
            let at = ring["device_address"].as_u64().unwrap_or(0);
            words.push_str(&format!(", ring of {} at {at:#x}", ring["descriptors"]));
        }
    }
    words
}

/// Numbers the steps and prints one line for each.
struct Story {
    number: u32,
}

impl Story {
    fn step<T>(&mut self, name: &str, work: impl FnOnce() -> Result<(T, String)>) -> Result<T> {
        self.number += 1;
        let begin = Instant::now();
        let (value, words) = work().with_context(|| format!("step {} ({name})", self.number))?;
        let time = begin.elapsed();
        print(&format!(
            "{:>3}. {name:<8} {:>8}  {words}",
            self.number,
            duration(time)
        ))?;
        Ok(value)
    }
}

fn duration(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{:.1} ms", time.as_secs_f64() * 1e3)
    } else {
        format!("{:.2} s", time.as_secs_f64())
    }
}

fn signed(elf: &[u8], platform: &Platform, signer: &Identity, version: u32) -> Result<Vec<u8>> {
    let options = Options {
        platform,
        cores: &[0],
        security_version: version,
        display_version: "1.0.0",
        build_id: None,
        sbom: None,
        keep_all: false,
        at: None,
        roots: &[],
    };
    Ok(sign(elf, &options, &signer.key, &signer.chain)?)
}

fn inspect(bundle: &[u8]) -> Result<String> {
    let mutant = Mutant::of(bundle)?;
    Ok(format!(
        "{} of {} bytes in all, a resource table of {} bytes, one ECDSA P-256 slot",
        match mutant.segments() {
            1 => "1 segment".to_owned(),
            count => format!("{count} segments"),
        },
        tests::bundles::loaded_bytes(bundle)?,
        tests::bundles::table(bundle)?.len()
    ))
}

fn attacks(
    bundle: &[u8],
    elf: &[u8],
    platform: &Platform,
    signer: &Identity,
) -> Result<BTreeMap<&'static str, Vec<u8>>> {
    let mut flipped = bundle.to_vec();
    // A byte of code: the first segment's, somewhere in its middle.
    let mutant = Mutant::of(bundle)?;
    let (offset, size) = (mutant.segment_field(0, 16)?, mutant.segment_field(0, 24)?);
    let middle = usize::try_from(offset + size / 2)?;
    *flipped.get_mut(middle).context("a byte of code")? ^= 1;
    let foreign = Identity::foreign(&scope(platform, CEILING)?)?;
    // What an honest tool would refuse to sign, a thief with the key would not.
    let above = Mutant::of(bundle)?.set(12, &(CEILING + 1).to_le_bytes())?;
    let key: &dyn Signer = &signer.key;
    Ok(BTreeMap::from([
        (GOOD, bundle.to_vec()),
        (FLIPPED, flipped),
        (FOREIGN, signed(elf, platform, &foreign, 3)?),
        (ABOVE, above.sign(key)?),
    ]))
}

/// Real OP-TEE, Linux and Cortex-M4.
struct TestBed<'a> {
    workshop: &'a Workshop<'a>,
    board: Option<Board>,
}

impl TestBed<'_> {
    fn board(&mut self) -> Result<&mut Board> {
        self.board.as_mut().context("the machine is not up")
    }
}

impl Stage for TestBed<'_> {
    fn introduction(&self) -> &'static str {
        "Real: OP-TEE with our Trusted Application, TF-A, Debian's Linux, an emulated Cortex-M4 that runs from the very\n\
         bytes the secure world wrote. The supervisor of the test bed stands for the reset controller."
    }

    fn firmware(&mut self, _platform: &Platform) -> Result<Vec<u8>> {
        let path = self.workshop.builder()?.firmware(None)?.join("echo");
        fs::read(&path).with_context(|| path.display().to_string())
    }

    fn boot(&mut self, bundles: &BTreeMap<&'static str, Vec<u8>>) -> Result<String> {
        let images = self.workshop.demo(bundles)?;
        let begin = Instant::now();
        self.board = Some(Board::boot(&images, Kind::Product)?);
        Ok(format!(
            "QEMU, TF-A, OP-TEE and Linux are up; the shell came after {}",
            duration(begin.elapsed())
        ))
    }

    fn corewarden(&mut self, arguments: &str) -> Result<Result<Value, Refusal>> {
        self.board()?.ask(arguments)
    }

    fn private(&mut self) -> Result<Vec<u8>> {
        Ok(self.board()?.machine.private()?)
    }

    fn end(&mut self) -> Result<()> {
        self.board
            .take()
            .context("the machine is not up")?
            .power_off()
    }
}

const GOOD: &str = "echo.cwfw";
const FLIPPED: &str = "flipped.cwfw";
const FOREIGN: &str = "foreign.cwfw";
const ABOVE: &str = "above.cwfw";
const CEILING: u32 = 10;
const ECHOES: u32 = 100;
