//! Files that OP-TEE's own sign_rproc_fw.py signed become bundles.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use tests::images::workspace;

use super::{Products, SIGNER, read};
use crate::run::say;

/// With the script as Debian's optee-os-dev has it, and the echo firmware as the linker wrote it.
pub(super) fn run(_: &Products) -> Result<()> {
    let cache = testbed::Cache::open()?;
    let assets = testbed::fetch::obtain(&cache, &testbed::Lock::committed()?, &say)?;
    let script = assets.dev_kit.join("scripts/sign_rproc_fw.py");
    let firmware = testbed::Builder::new(&workspace(), &assets, &say)?.firmware(None)?;
    let signer = workspace().join("target/dist").join(SIGNER);
    converts(
        &signer.join("bin").join(SIGNER),
        &script,
        &firmware.join("echo"),
    )
}

/// What `script` signs, `signer` takes over from whoever has the key, and from nobody else.
fn converts(signer: &Path, script: &Path, elf: &Path) -> Result<()> {
    // A machine without the script fails here; it has proven nothing.
    ensure!(script.is_file(), "{} is not there", script.display());
    let folder = tempfile::tempdir()?;
    let desk = Desk {
        folder: folder.path(),
        signer,
    };
    desk.openssl("genrsa -out rsa.key 2048")?;
    desk.openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ec.key")?;
    for name in ["rsa", "ec"] {
        desk.openssl(&format!("pkey -in {name}.key -pubout -out {name}.pub"))?;
    }
    desk.openssl("genrsa -out other.key 2048")?;
    desk.openssl("pkey -in other.key -pubout -out other.pub")?;
    let direct = desk.sign(&["sign"], elf, "direct.cwfw")?;
    ensure!(direct.status.success(), "{direct:?}");

    for (name, kind) in [("rsa", "RSA"), ("ec", "ECC")] {
        let signed = desk.path(&format!("{name}.sign"));
        let key = format!("{name}.key");
        read(
            Command::new("/usr/bin/python3")
                .current_dir(desk.folder)
                .arg(script)
                .arg("--in")
                .arg(elf)
                .args(["--key", &key, "--key_type", kind, "--out"])
                .arg(&signed),
        )?;
        let from = format!("{name}.pub");
        let bundle = format!("{name}.cwfw");
        let converted = desk.convert(&signed, &from, &bundle)?;
        ensure!(converted.status.success(), "{converted:?}");
        desk.judge(&bundle)?;
        // What came through the old format is what the ELF itself became.
        desk.run(&["diff", "direct.cwfw", &bundle])?;

        let strange = if name == "rsa" {
            "other.pub"
        } else {
            "rsa.pub"
        };
        desk.refuses(&signed, strange, if name == "rsa" { 4 } else { 6 })?;
        // A byte of the signed list, of the signature, and of the first segment.
        let bytes = fs::read(&signed)?;
        let image = bytes.windows(4).position(|window| window == b"\x7fELF");
        let image = image.context("the image")?;
        for at in [LIST, image - 1, image + first_segment(&bytes[image..])?] {
            let mut flipped = bytes.clone();
            let byte = flipped.get_mut(at).context("the first segment")?;
            *byte ^= 1;
            let path = desk.path("flipped.sign");
            fs::write(&path, flipped)?;
            let refused = desk.convert(&path, &from, "refused.cwfw")?;
            let code = refused.status.code();
            ensure!(
                matches!(code, Some(3 | 4)) && !desk.path("refused.cwfw").exists(),
                "byte {at} of {name}.sign: {refused:?}"
            );
        }
    }
    Ok(())
}

struct Desk<'a> {
    folder: &'a Path,
    signer: &'a Path,
}

impl Desk<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn openssl(&self, line: &str) -> Result<()> {
        let mut command = Command::new("openssl");
        read(command.args(line.split(' ')).current_dir(self.folder)).map(drop)
    }

    fn run(&self, words: &[&str]) -> Result<()> {
        let mut command = Command::new(self.signer);
        read(command.args(words).current_dir(self.folder)).map(drop)
    }

    fn convert(&self, signed: &Path, from: &str, out: &str) -> Result<std::process::Output> {
        self.sign(&["convert", "--from-key", from], signed, out)
    }

    fn refuses(&self, signed: &Path, from: &str, code: i32) -> Result<()> {
        let refused = self.convert(signed, from, "refused.cwfw")?;
        ensure!(
            refused.status.code() == Some(code) && !self.path("refused.cwfw").exists(),
            "with {from}: {refused:?}"
        );
        Ok(())
    }

    /// With the development signer, for the test bed's core.
    fn sign(&self, verb: &[&str], file: &Path, out: &str) -> Result<std::process::Output> {
        let keys = workspace().join("keys");
        let mut command = Command::new(self.signer);
        command
            .args(verb)
            .arg(file)
            .args(["--out", out, "--core", "m4", "--security-version", "3"])
            .arg("--platform")
            .arg(workspace().join("ta/platforms/qemu-virt.toml"))
            .arg("--key")
            .arg(keys.join("dev-signer.key.pem"));
        for name in ["dev-signer.pem", "dev-product-ca.pem"] {
            command.arg("--cert").arg(keys.join(name));
        }
        command
            .current_dir(self.folder)
            .output()
            .context("the signer does not start")
    }

    /// As the core's device would.
    fn judge(&self, bundle: &str) -> Result<()> {
        let mut command = Command::new(self.signer);
        command
            .args(["verify", bundle, "--core", "m4", "--platform"])
            .arg(workspace().join("ta/platforms/qemu-virt.toml"))
            .arg("--root")
            .arg(workspace().join("keys/dev-root.pem"));
        read(command.current_dir(self.folder)).map(drop)
    }
}

/// `p_offset` of the first program header of an ELF32.
fn first_segment(elf: &[u8]) -> Result<usize> {
    let word = |at: usize| -> Result<usize> {
        let bytes = elf.get(at..).and_then(|rest| rest.first_chunk());
        Ok(u32::from_le_bytes(*bytes.context("an ELF header")?) as usize)
    };
    word(word(28)? + 4)
}

/// Behind the header of 20 bytes: the length of the first record.
const LIST: usize = 24;
