//! From sources to images: TF-A, OP-TEE with our PTA and TA, our programs for the machine.
//!
//! Every product has a stamp: the digest of all that went into it. While the stamp is right nothing is run, so a warm
//! start costs a few file reads and three calls of cargo. OP-TEE has one object folder, in which its variants follow
//! one another and share all but a handful of objects; the images themselves are kept apart by name.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use anyhow::{Context, bail};

use crate::{
    Assets, Error, Progress, Result,
    cache::Exclusive,
    process::{read, run_logged, system_command},
};

mod fip;
mod gate;
mod inputs;
mod optee;
mod toolchain;
mod trusted_firmware;

use gate::Report;

/// Builds everything that the machine runs, for one workspace.
pub struct Builder<'a> {
    workspace: PathBuf,
    assets: &'a Assets,
    progress: Progress<'a>,
    targets: OnceLock<()>,
}

/// One way to build the TA.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaVariant {
    /// Names the product; equal names share their build folder.
    pub name: String,
    /// Environment of the build, which `ta`'s build script reads: the platform file and the like.
    pub environment: Vec<(String, String)>,
}

impl TaVariant {
    /// Whether the TA's build script was asked for the commands that only tests may have.
    fn is_test_build(&self) -> bool {
        let wanted = ("COREWARDEN_TEST_BUILD".to_owned(), "1".to_owned());
        self.environment.contains(&wanted)
    }
}

/// A TA that passed the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ta {
    /// The stripped, unsigned ELF, as OP-TEE takes it in.
    pub elf: PathBuf,
    /// Size that a signed file of it has.
    pub signed_size: u64,
}

/// One OP-TEE image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpteeVariant {
    /// Names the product.
    pub name: String,
    /// Preprocessor definitions for our PTA: `NAME` or `NAME=VALUE`.
    pub pta_defines: Vec<String>,
    /// The TA to build in; without one, OP-TEE has our PTA only.
    pub ta: Option<PathBuf>,
}

impl<'a> Builder<'a> {
    /// Builds in `workspace`'s `target` folder, and in the cache what depends on nothing of the workspace.
    pub fn new(workspace: &Path, assets: &'a Assets, progress: Progress<'a>) -> Result<Self> {
        let workspace = workspace
            .canonicalize()
            .with_context(|| format!("cannot find the workspace {}", workspace.display()))?;
        Ok(Self {
            workspace,
            assets,
            progress,
            targets: OnceLock::new(),
        })
    }

    /// The folder of this builder's products.
    pub fn folder(&self) -> PathBuf {
        self.workspace.join("target/testbed")
    }

    /// Where the logs of all builds are.
    pub fn logs(&self) -> PathBuf {
        self.folder().join("logs")
    }

    /// Makes the standard libraries for TA, programs and firmware available, by rustup where they are missing.
    pub fn ensure_rust_targets(&self) -> Result<()> {
        if self.targets.get().is_none() {
            toolchain::ensure_targets(&self.workspace, self.progress)?;
            self.targets.get_or_init(|| ());
        }
        Ok(())
    }

    /// Builds our TA, strips it, and lets nothing through that OP-TEE's loader would choke on.
    pub fn ta(&self, variant: &TaVariant) -> Result<Ta> {
        self.ensure_rust_targets()?;
        let target = self.workspace.join("target/testbed-ta").join(&variant.name);
        let mut command = self.cargo(&target);
        command
            .args([
                "build",
                "--package",
                "corewarden-ta",
                "--profile",
                "ta",
                "--target",
                AARCH64,
            ])
            .env("TA_DEV_KIT_DIR", &self.assets.dev_kit)
            // A TA never unwinds; the tables for it would be a tenth of its size.
            .env(
                "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS",
                "-C force-unwind-tables=no",
            )
            .env(
                "CFLAGS_aarch64_unknown_linux_gnu",
                "-fno-asynchronous-unwind-tables -fno-unwind-tables",
            )
            .envs(variant.environment.iter().cloned());
        self.run(
            &format!("building the TA ({})", variant.name),
            &mut command,
            &format!("ta-{}", variant.name),
        )?;
        let linked = target.join(AARCH64).join("ta/corewarden-ta");
        let elf = self
            .folder()
            .join("ta")
            .join(&variant.name)
            .join(format!("{TA_UUID}.stripped.elf"));
        self.strip(&linked, &elf)?;
        let bytes = fs::read(&elf).with_context(|| format!("cannot read {}", elf.display()))?;
        let report = gate::judge(&bytes).and_then(|report| {
            if variant.is_test_build() {
                Ok(report)
            } else {
                report.within_limit()
            }
        });
        let Report { signed_size } =
            report.with_context(|| format!("{} may not go into OP-TEE", elf.display()))?;
        Ok(Ta { elf, signed_size })
    }

    /// Builds OP-TEE and wraps it with TF-A into a flash image.
    pub fn flash(&self, variant: &OpteeVariant) -> Result<PathBuf> {
        let _guard = Exclusive::on(&self.folder().join("lock"))?;
        optee::flash(self, variant)
    }

    /// A program for Linux in the machine: `binary` of `package`, stripped.
    pub fn program(&self, package: &str, binary: &str) -> Result<PathBuf> {
        self.ensure_rust_targets()?;
        let target = self.workspace.join("target/testbed-host");
        let mut command = self.cargo(&target);
        command
            .args([
                "build",
                "--release",
                "--target",
                AARCH64,
                "--package",
                package,
                "--bin",
                binary,
            ])
            .env("OPTEE_CLIENT_EXPORT", &self.assets.client_export);
        self.run(
            &format!("building `{binary}` for arm64"),
            &mut command,
            &format!("program-{binary}"),
        )?;
        let stripped = self.folder().join("bin").join(binary);
        self.strip(
            &target.join(AARCH64).join("release").join(binary),
            &stripped,
        )?;
        Ok(stripped)
    }

    /// Our command line tool for Linux in the machine.
    pub fn cli(&self) -> Result<PathBuf> {
        self.program("corewarden", "corewarden")
    }

    /// Firmware for the core; the folder that has its ELF files. With a size, images are padded to about that many
    /// bytes, in a folder of their own.
    pub fn firmware(&self, size: Option<u64>) -> Result<PathBuf> {
        let name = size.map_or_else(|| "plain".to_owned(), |size| size.to_string());
        let target = self.build_firmware(&name, size, &["--release"])?;
        Ok(target.join(CORTEX_M).join("release"))
    }

    /// The smallest echo device, optimised for size: its ELF.
    pub fn smallest_firmware(&self) -> Result<PathBuf> {
        // The compiler's estimate of what a call costs is too low: inlining a little more makes it smaller. And what is kept in
        // registers over a loop is put by on the stack, which takes more instructions than making it anew.
        let flags = format!(
            r#"target.{CORTEX_M}.rustflags=["-Cllvm-args=-inline-threshold=30", "-Cllvm-args=-sink-insts-to-avoid-spills"]"#
        );
        let profile = [
            "--profile",
            "footprint",
            "--bin",
            "smallest",
            "--config",
            &flags,
        ];
        let target = self.build_firmware("footprint", None, &profile)?;
        Ok(target.join(CORTEX_M).join("footprint/smallest"))
    }

    fn build_firmware(&self, name: &str, size: Option<u64>, what: &[&str]) -> Result<PathBuf> {
        self.ensure_rust_targets()?;
        let target = self.workspace.join("target/testbed-firmware").join(name);
        let mut command = self.cargo(&target);
        command
            .current_dir(self.workspace.join("tools/testbed/firmware"))
            .args(["build", "--target", CORTEX_M])
            .args(what);
        match size {
            Some(size) => command.env(IMAGE_SIZE, size.to_string()),
            // What stands in packages of its own is not padded.
            None => command.arg("--workspace").env_remove(IMAGE_SIZE),
        };
        self.run(
            &format!("building the core's firmware ({name})"),
            &mut command,
            &format!("firmware-{name}"),
        )?;
        Ok(target)
    }

    /// Makes a TA signing key; there is one per build folder, and tests make foreign ones.
    pub fn new_ta_key(&self, path: &Path) -> Result<()> {
        make_parent(path)?;
        let script = "import sys\n\
            from cryptography.hazmat.primitives import serialization as s\n\
            from cryptography.hazmat.primitives.asymmetric import rsa\n\
            k = rsa.generate_private_key(public_exponent=65537, key_size=3072)\n\
            sys.stdout.buffer.write(k.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()))\n";
        let pem = read(system_command("python3").args(["-c", script]))
            .context("cannot make a TA signing key")?;
        write_whole(path, pem.as_bytes())
    }

    /// Signs a TA's ELF as OP-TEE's own tool does, for files in Linux' TA folder.
    pub fn sign_ta(&self, elf: &Path, uuid: &str, key: &Path, signed: &Path) -> Result<()> {
        make_parent(signed)?;
        let mut command = system_command("python3");
        command
            .arg(self.assets.dev_kit.join("scripts/sign_encrypt.py"))
            .args(["--uuid", uuid, "--key"])
            .arg(key)
            .arg("--in")
            .arg(elf)
            .arg("--out")
            .arg(signed);
        read(&mut command).with_context(|| format!("cannot sign {}", elf.display()))?;
        Ok(())
    }

    /// Runs one step with its output in a log of that name.
    fn run(&self, doing: &str, command: &mut Command, log: &str) -> Result<()> {
        (self.progress)(doing);
        run_logged(command, &self.logs().join(format!("{log}.log")))
            .with_context(|| format!("failed: {doing}"))
    }

    /// Cargo, as it runs us, in the workspace; its own target folder keeps it from waiting for the cargo that runs us.
    fn cargo(&self, target: &Path) -> Command {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command
            .current_dir(&self.workspace)
            .env("CARGO_TARGET_DIR", target);
        for (name, _) in env::vars_os() {
            if inherited_from_cargo(&name) {
                command.env_remove(name);
            }
        }
        command
    }

    /// A stripped copy; the copy is written only when it differs, so that its time tells what depends on it.
    fn strip(&self, from: &Path, to: &Path) -> Result<()> {
        make_parent(to)?;
        let scratch = scratch_beside(to);
        read(
            system_command("aarch64-linux-gnu-objcopy")
                .arg("--strip-unneeded")
                .arg(from)
                .arg(&scratch),
        )?;
        let bytes =
            fs::read(&scratch).with_context(|| format!("cannot read {}", scratch.display()))?;
        if fs::read(to).is_ok_and(|old| old == bytes) {
            fs::remove_file(&scratch)?;
            return Ok(());
        }
        fs::rename(&scratch, to).with_context(|| format!("cannot write {}", to.display()))
    }
}

/// Judges a stripped TA by the rules of OP-TEE's loader and by the size limit; the answer is its size when signed.
pub fn judge_ta(elf: &[u8]) -> std::result::Result<u64, Error> {
    let report = gate::judge(elf)?.within_limit()?;
    Ok(report.signed_size)
}

/// What cargo sets for the program it runs, which would make an inner build differ from the same one started by hand.
fn inherited_from_cargo(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| {
        name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name == "RUSTFLAGS"
    })
}

fn make_parent(path: &Path) -> Result<()> {
    let Some(folder) = path.parent() else {
        bail!("{} has no folder", path.display());
    };
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
}

/// Writes a file so that it is seen whole or not at all.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    make_parent(path)?;
    let scratch = scratch_beside(path);
    fs::write(&scratch, bytes).with_context(|| format!("cannot write {}", scratch.display()))?;
    fs::rename(&scratch, path).with_context(|| format!("cannot write {}", path.display()))
}

/// A name in the same folder that no other process uses.
fn scratch_beside(path: &Path) -> PathBuf {
    path.with_extension(format!("{}.new", std::process::id()))
}

/// The UUID that the C TA had and ours has.
const TA_UUID: &str = "80a4c275-0a47-4905-8285-1486a9771a08";

/// What the firmware's build script takes the size of its padding from.
const IMAGE_SIZE: &str = "COREWARDEN_IMAGE_SIZE";

const AARCH64: &str = "aarch64-unknown-linux-gnu";
const CORTEX_M: &str = "thumbv7em-none-eabi";
