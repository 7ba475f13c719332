//! The demo's stage in one process: real decisions, signatures and rings; platform and core are simulated.

use std::{collections::BTreeMap, fs, sync::atomic::AtomicBool};

use anyhow::{Context, Result, bail};
use clap::Parser;
use corewarden::cli::{Arguments, exit, print, run};
use platform::Platform;
use serde_json::Value;
use simulator::Device;
use tests::{
    board::{Refusal, refusal},
    images::{platform, workspace},
};

use crate::demo::Stage;

/// A simulated device, and a folder that stands for Linux' /fw.
pub(crate) struct Simulation {
    device: Device,
    folder: tempfile::TempDir,
}

impl Simulation {
    pub(crate) fn new() -> Result<Self> {
        let platform = platform(&workspace().join(PLATFORM))?;
        Ok(Self {
            // A device lives as long as the process.
            device: Device::new(Box::leak(Box::new(platform)), &workspace())?,
            folder: tempfile::tempdir()?,
        })
    }
}

impl Stage for Simulation {
    fn introduction(&self) -> &'static str {
        "SIMULATED: the TA's decisions, the signatures, the command line tool and the RPMsg rings are the real code;\n\
         OP-TEE, the platform's memory and reset line, and the core are simulated in this process."
    }

    fn firmware(&mut self, platform: &Platform) -> Result<Vec<u8>> {
        simulator::firmware(platform).context("the platform has no core 0")
    }

    fn boot(&mut self, bundles: &BTreeMap<&'static str, Vec<u8>>) -> Result<String> {
        for (name, bytes) in bundles {
            fs::write(self.folder.path().join(name), bytes)?;
        }
        Ok("nothing to boot: the device is a part of this process".to_owned())
    }

    fn corewarden(&mut self, arguments: &str) -> Result<Result<Value, Refusal>> {
        let folder = self.folder.path().display().to_string();
        let file = workspace().join(PLATFORM).display().to_string();
        let words = arguments.replace("/fw", &folder);
        let words = ["corewarden", "--json", "--platform", &file]
            .into_iter()
            .chain(words.split(' '));
        let arguments = Arguments::try_parse_from(words)?;
        let result = run(&arguments, &mut self.device, &AtomicBool::new(false));
        let (mut out, mut err) = (Vec::new(), Vec::new());
        print(&result, true, &mut out, &mut err)?;
        let document: Value = serde_json::from_slice(&out)?;
        match exit(&result).code() {
            0 => Ok(Ok(document)),
            tests::board::REFUSED => Ok(Err(refusal(&document)?)),
            code => bail!("corewarden ended with {code}: {document}"),
        }
    }

    fn private(&mut self) -> Result<Vec<u8>> {
        Ok(self.device.private())
    }

    fn end(&mut self) -> Result<()> {
        Ok(())
    }
}

const PLATFORM: &str = "ta/platforms/qemu-virt.toml";
