//! Figures of corewarden-sign, beside OpenSSL and the tools that its users would otherwise take.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use firmware_signing::sample::Elf;
use serde_json::{Map, Value, json};
use tests::images::workspace;

use crate::{
    Row,
    ceremony::{Ceremony, IMAGES},
};

/// Signing with the program `signer`, as it is shipped. `rproc` is OP-TEE's sign_rproc_fw.py, if it is there.
///
/// # Errors
/// Where a program of ours or OpenSSL fails.
pub fn figures(signer: &Path, rproc: Option<&Path>) -> Result<Vec<Row>> {
    // In memory, where fsync costs nothing; what it costs on the disk is told beside.
    let shared = Path::new("/dev/shm");
    let memory = if shared.is_dir() {
        tempfile::tempdir_in(shared)?
    } else {
        tempfile::tempdir()?
    };
    let disk = tempfile::tempdir_in(workspace().join("target"))?;
    let desk = Desk {
        signer,
        rproc,
        memory: memory.path(),
        disk: disk.path(),
    };
    desk.lay_out()?;
    let mut commands = vec![("help".to_owned(), desk.words(&["--help"]))];
    for size in SIZES {
        commands.extend(desk.commands(size));
    }
    let ceremony = Ceremony::new(signer, memory.path())?;
    commands.extend(ceremony.commands());
    let answers = measure(&commands, &[desk.memory.join(OUT), desk.disk.join(OUT)])?;
    let answer = |name: &str| Answer::of(&answers, name);

    let mut rows = vec![Row {
        name: "sign_help",
        what: "corewarden-sign --help from start to end".to_owned(),
        figure: answer("help")?.wall,
        unit: "ms",
        target: 5.0,
        beside: "the time a user waits before anything happens".to_owned(),
    }];
    rows.push(Row {
        name: "sign_1_mib",
        what: "signing 1 MiB and judging the result, without fsync".to_owned(),
        figure: answer("sign-1")?.wall,
        unit: "ms",
        target: 10.0,
        beside: peers(&answers, 1)?,
    });
    rows.push(Row {
        name: "sign_16_mib",
        what: "signing 16 MiB and judging the result, without fsync".to_owned(),
        figure: answer("sign-16")?.wall,
        unit: "ms",
        target: 60.0,
        beside: peers(&answers, 16)?,
    });
    let (ours, pass) = (answer("sign-16")?, answer("sha256-16")?);
    rows.push(Row {
        name: "sign_cpu",
        what: "user CPU of signing 16 MiB, in passes of SHA-256 over the file".to_owned(),
        figure: ours.user / pass.user,
        unit: "x",
        target: 5.0,
        beside: format!(
            "{:.1} ms, openssl dgst -sha256 {:.1} ms",
            ours.user, pass.user
        ),
    });
    rows.push(Row {
        name: "sign_peak_memory",
        what: "peak memory of signing 16 MiB".to_owned(),
        figure: ours.peak,
        unit: "MiB",
        target: 20.0,
        beside: format!("--help {:.1} MiB", answer("help")?.peak),
    });
    let (prepare, attach) = (answer("ceremony-prepare")?, answer("ceremony-attach")?);
    rows.push(Row {
        name: "sign_ceremony",
        what: format!("{IMAGES} images: one request, one login to SoftHSM"),
        figure: (prepare.wall + attach.wall) / 1e3,
        unit: "s",
        target: 3.0,
        beside: format!(
            "prepare {:.0} ms, attach {:.0} ms of it, without fsync",
            prepare.wall, attach.wall
        ),
    });
    Ok(rows)
}

/// The same bytes by others, and on the disk.
fn peers(answers: &Map<String, Value>, size: usize) -> Result<String> {
    let ours = Answer::of(answers, &format!("sign-{size}"))?;
    let disk = Answer::of(answers, &format!("disk-{size}"))?;
    let openssl = Answer::of(answers, &format!("openssl-{size}"))?;
    let mut text = format!(
        "fsync {:.1} ms more; openssl dgst -sign {:.1} ms",
        (disk.wall - ours.wall).max(0.0),
        openssl.wall
    );
    for (name, program) in [("rproc", "sign_rproc_fw.py"), ("imgtool", "imgtool")] {
        // These may be missing on a machine, or lack what they need.
        match Answer::of(answers, &format!("{name}-{size}")) {
            Ok(answer) => text += &format!(", {program} {:.0} ms", answer.wall),
            Err(_) => text += &format!(", {program} not installed"),
        }
    }
    Ok(text)
}

struct Desk<'a> {
    signer: &'a Path,
    rproc: Option<&'a Path>,
    memory: &'a Path,
    disk: &'a Path,
}

impl Desk<'_> {
    /// The images, and a platform that has room for them.
    fn lay_out(&self) -> Result<()> {
        let platform = fs::read_to_string(workspace().join("ta/platforms/qemu-virt.toml"))?;
        let large = platform
            .replace("size = 0x200000\n", &format!("size = {ROOM:#x}\n"))
            .replace("device = 0x21200000", "device = 0x31200000");
        fs::write(self.memory.join("board.toml"), large)?;
        for size in SIZES {
            let elf = Elf::cortex_m(START, START as u32 + ROOM, size << 20, START + (32 << 20));
            fs::write(self.image(size), elf.build())?;
        }
        Ok(())
    }

    fn image(&self, size: usize) -> PathBuf {
        self.memory.join(format!("motor-{size}.elf"))
    }

    fn words(&self, arguments: &[&str]) -> Vec<String> {
        let program = self.signer.display().to_string();
        [program]
            .into_iter()
            .chain(arguments.iter().map(|word| (*word).to_owned()))
            .collect()
    }

    /// Everything that is done to the image of `size` MiB, by name.
    fn commands(&self, size: usize) -> Vec<(String, Vec<String>)> {
        let key = |name: &str| workspace().join("keys").join(name).display().to_string();
        let (signer_key, leaf, ca, root) = (
            key("dev-signer.key.pem"),
            key("dev-signer.pem"),
            key("dev-product-ca.pem"),
            key("dev-root.pem"),
        );
        let image = self.image(size).display().to_string();
        let platform = self.memory.join("board.toml").display().to_string();
        let in_memory = self.memory.join(OUT).display().to_string();
        let on_disk = self.disk.join(OUT).display().to_string();
        let sign = |out: &str| {
            self.words(&[
                "sign",
                &image,
                "--out",
                out,
                "--force",
                "--platform",
                &platform,
                "--core",
                "m4",
                "--security-version",
                "3",
                "--key",
                &signer_key,
                "--cert",
                &leaf,
                "--cert",
                &ca,
                "--root",
                &root,
            ])
        };
        let owned = |words: &[&str]| {
            words
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };
        let mut commands = vec![
            (format!("sign-{size}"), sign(&in_memory)),
            (format!("disk-{size}"), sign(&on_disk)),
            (
                format!("sha256-{size}"),
                owned(&["openssl", "dgst", "-sha256", &image]),
            ),
            (
                format!("openssl-{size}"),
                owned(&[
                    "openssl",
                    "dgst",
                    "-sha256",
                    "-sign",
                    &signer_key,
                    "-out",
                    &in_memory,
                    &image,
                ]),
            ),
            (
                format!("imgtool-{size}"),
                owned(&[
                    "imgtool",
                    "sign",
                    "--key",
                    &signer_key,
                    "--header-size",
                    "0x200",
                    "--pad-header",
                    "--slot-size",
                    "0x4000000",
                    "--version",
                    "1.0.0",
                    &image,
                    &in_memory,
                ]),
            ),
        ];
        if let Some(script) = self.rproc {
            let script = script.display().to_string();
            let words = [
                "/usr/bin/python3",
                &script,
                "--in",
                &image,
                "--out",
                &in_memory,
            ];
            let words = [&words[..], &["--key", &signer_key, "--key_type", "ECC"]].concat();
            commands.push((format!("rproc-{size}"), owned(&words)));
        }
        commands
    }
}

struct Answer {
    wall: f64,
    user: f64,
    peak: f64,
}

impl Answer {
    fn of(answers: &Map<String, Value>, name: &str) -> Result<Self> {
        let answer = &answers
            .get(name)
            .with_context(|| format!("{name} was not measured"))?;
        let number = |field: &str| {
            answer[field]
                .as_f64()
                .with_context(|| format!("{name} failed: {answer}"))
        };
        Ok(Self {
            wall: number("wall")?,
            user: number("user")?,
            peak: number("peak")?,
        })
    }
}

/// Runs each command many times, each time without the files of `outputs`.
fn measure(commands: &[(String, Vec<String>)], outputs: &[PathBuf]) -> Result<Map<String, Value>> {
    let mut child = Command::new("/usr/bin/python3")
        .args(["-c", include_str!("measure.py"), RUNS])
        .args(outputs)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("python3 does not start")?;
    let input = json!(commands).to_string();
    child
        .stdin
        .take()
        .context("a pipe")?
        .write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(
        output.status.success(),
        "measuring ended with {}",
        output.status
    );
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// In MiB.
const SIZES: [usize; 2] = [1, 16];
const OUT: &str = "out";
const RUNS: &str = "12";
/// Where the core's private memory begins, and how large it is here.
const START: u64 = 0x2100_0000;
const ROOM: u32 = 0x400_0000;
