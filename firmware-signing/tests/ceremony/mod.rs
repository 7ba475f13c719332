//! Where keys and certificates are made as people make them: a folder of its own, and the program itself at hand.

#![allow(dead_code, reason = "each test binary uses another part of it")]

pub(crate) mod judge;
pub(crate) mod openssl;
pub(crate) mod token;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use firmware_signing::sample::Elf;
use tempfile::TempDir;

/// A folder with an ELF (`fw.elf`), the platform file of the test bed (`board.toml`) with the root it names, and a passphrase (`pass`).
pub(crate) struct Desk {
    folder: TempDir,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let desk = Self {
            folder: TempDir::new().expect("a folder"),
        };
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        fs::create_dir(desk.path("keys")).expect("a folder");
        for (from, to) in [
            ("ta/platforms/qemu-virt.toml", "board.toml"),
            ("keys/dev-root.pem", "keys/dev-root.pem"),
        ] {
            fs::copy(workspace.join(from), desk.path(to)).expect("copied");
        }
        desk.write("fw.elf", Elf::qemu_virt().build());
        desk.write("pass", "a passphrase\n");
        desk
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).expect("written");
    }

    pub(crate) fn copy(&self, from: &str, to: &str) {
        fs::copy(self.path(from), self.path(to)).expect("copied");
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).expect("removed");
    }

    pub(crate) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).expect("renamed");
    }

    /// corewarden-sign with the words of `line`, and nothing of our environment but the PATH.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_corewarden-sign"));
        command
            .args(line.split_whitespace())
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command
    }

    /// Runs it and insists on the exit code; gives all that it said.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32, line: &str) -> String {
        expect(self.command(line).output().expect("it runs"), code)
    }

    /// A root and a product CA: `root.key`, `root.pem`, `ca.key`, `ca.pem`.
    #[track_caller]
    pub(crate) fn authorities(&self, role: &str) {
        for name in ["root", "ca"] {
            self.expect(0, &format!("keygen --no-password --out {name}.key"));
        }
        self.expect(
            0,
            &format!("pki init --key root.key --name CN=root --role {role} --out root.pem"),
        );
        self.certify("product-ca", "ca.key", role);
    }

    /// A certificate by the issuer that stands above its kind, named after the key: `ca.pem` for `ca.key`.
    #[track_caller]
    pub(crate) fn certify(&self, kind: &str, key: &str, role: &str) {
        let issuer = if kind == "leaf" { "ca" } else { "root" };
        let name = key.split('.').next().expect("a name");
        let more =
            format!("--issuer-key {issuer}.key --role {role} --name CN={name} --out {name}.pem");
        self.expect(0, &self.issue(kind, key, issuer, &more));
    }

    /// The command that issues a certificate for core 0 of the platform, up to security version 9.
    pub(crate) fn issue(&self, kind: &str, key: &str, issuer: &str, more: &str) -> String {
        format!(
            "pki issue --kind {kind} --key {key} --issuer {issuer}.pem --core 0 --device-class {} --max-version 9 {more}",
            self.device_class()
        )
    }

    /// The device class of the platform.
    pub(crate) fn device_class(&self) -> String {
        let text = String::from_utf8(self.read("board.toml")).expect("text");
        let file: platform::File = toml::from_str(&text).expect("TOML");
        let platform = platform::Platform::try_from(file).expect("a platform");
        platform.device_class().to_string()
    }
}

#[track_caller]
pub(crate) fn expect(output: Output, code: i32) -> String {
    let all = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{all}");
    all
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `fw.elf` for the platform's core; the key is missing.
pub(crate) const SIGN: &str = "sign fw.elf --platform board.toml --core m4 --security-version 3";
