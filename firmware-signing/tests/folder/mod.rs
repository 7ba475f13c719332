//! A folder with files of every kind, and the command to try on them.

#![allow(dead_code, reason = "each test binary uses another part of it")]

#[path = "../sign_rproc_fw/mod.rs"]
mod sign_rproc_fw;
pub(crate) mod verbs;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use firmware_signing::key::{PrivateKey, Signer};
use firmware_signing::sample::Elf;
use sign_rproc_fw::Legacy;
use tempfile::TempDir;

/// A folder of its own: `fw.elf`, `fw.cwfw`, `device.json`, the public development keys, a platform file, and what each verb takes.
pub(crate) struct Desk {
    folder: TempDir,
}

/// What a command ended with.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let desk = Self {
            folder: TempDir::new().expect("a folder"),
        };
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for name in [
            "dev-root.pem",
            "dev-product-ca.pem",
            "dev-product-ca.key.pem",
            "dev-root.key.pem",
            "dev-signer.pem",
            "dev-signer.key.pem",
        ] {
            fs::copy(workspace.join("keys").join(name), desk.path(name)).expect("copied");
        }
        let platform = workspace.join("ta/platforms/qemu-virt.toml");
        let platform = fs::read_to_string(platform).expect("a platform file");
        desk.write(
            "board.toml",
            platform.replace("keys/dev-root.pem", "dev-root.pem"),
        );
        desk.write("fw.elf", firmware().build());
        desk.write("device.json", desk.device(&platform));
        let signed = desk.run(&["sign", "fw.elf"], &SIGN);
        assert_eq!(signed.code, Some(0), "{signed:?}");
        desk.put_legacy();
        for line in [PREPARE, TRUST_UPDATE] {
            let words: Vec<&str> = line.split_whitespace().collect();
            let made = desk.run(&words, &[]);
            assert_eq!(made.code, Some(0), "{line}: {made:?}");
        }
        desk
    }

    /// `fw.sign`, and `old.pub`, which verifies it.
    fn put_legacy(&self) {
        let key = self.read("dev-signer.key.pem");
        let key = PrivateKey::read(&key, || unreachable!("not encrypted")).expect("a key");
        let legacy = Legacy::of(&self.read("fw.elf"), 2);
        let signature = key.sign(&legacy.signed(64)).expect("signed");
        self.write("fw.sign", legacy.file(&signature));
        self.write("old.pub", key.public_key());
    }

    /// What `corewarden status --json` would print.
    fn device(&self, platform: &str) -> String {
        let file: platform::File = toml::from_str(platform).expect("TOML");
        let root = fs::read(self.path("dev-root.pem")).expect("there");
        let root = firmware_signing::pki::Certificate::read_all(&root).expect("a certificate");
        let key = root[0].public_key().expect("a key");
        let key_id: String = firmware_signing::key::key_id(&key)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        serde_json::json!({
            "schema": "corewarden.status",
            "version": 1,
            "core": 0,
            "state": "Off",
            "starts": 0,
            "isolation_generation": 0,
            "insecure_isolation": false,
            "attach_only": false,
            "development": true,
            "bundle": null,
            "ta_version": "1.0",
            "ta_capabilities": [],
            "floor": 0,
            "trusted": {
                "required_slots": [0],
                "roots": [{ "key_id": key_id, "algorithm": 1, "slot": 0, "development": true }],
            },
            "platform": file,
        })
        .to_string()
    }

    pub(crate) fn path(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.folder.path().join(name.as_ref())
    }

    pub(crate) fn write(&self, name: impl AsRef<OsStr>, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).expect("written");
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect("there")
    }

    /// The command: no terminal, no environment, and so no HOME.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: &[S], more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_corewarden-sign"));
        command
            .args(arguments)
            .args(more)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .env_clear();
        command
    }

    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: &[S], more: &[&str]) -> Ended {
        ended(&mut self.command(arguments, more))
    }

    /// Removes what the verbs make, a file or a folder.
    pub(crate) fn remove_made(&self) {
        let made = self.path("made");
        if made.is_dir() {
            fs::remove_dir_all(made).expect("removed");
        } else if made.exists() {
            fs::remove_file(made).expect("removed");
        }
    }

    /// Names of all files, sorted.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).expect("a folder");
        let mut names: Vec<String> = entries
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        names.sort();
        names
    }
}

/// Runs it to its end.
pub(crate) fn ended(command: &mut Command) -> Ended {
    let output = command.output().expect("it runs");
    Ended {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// One line, naming the file and what to do, and no panic.
#[track_caller]
pub(crate) fn expect_line(ended: &Ended, code: i32, file: &str, what: &str) {
    assert_eq!(ended.code, Some(code), "{what}: {ended:?}");
    assert_eq!(ended.err.lines().count(), 1, "{what}: {ended:?}");
    assert!(
        ended.err.starts_with("corewarden-sign: "),
        "{what}: {ended:?}"
    );
    assert!(ended.err.contains(file), "{what} names {file}: {ended:?}");
    assert!(
        ended.err.contains("; "),
        "{what} says what to do: {ended:?}"
    );
    assert!(!ended.err.contains("panicked"), "{what}: {ended:?}");
}

/// With a resource table whose vrings the platform places.
pub(crate) fn firmware() -> Elf {
    let any = u32::MAX;
    let mut words = vec![1, 1, 0, 0, 20];
    words.extend([3, 7, 0, 1, 0, 0, 2 << 8]);
    words.extend([any, 0x1000, 16, 0, 0, any, 0x1000, 16, 1, 0]);
    let table = words.into_iter().flat_map(u32::to_le_bytes).collect();
    Elf::qemu_virt().with_resource_table(0x2120_0000, table)
}

/// What `sign` needs beside the ELF.
pub(crate) const SIGN: [&str; 12] = [
    "--platform",
    "board.toml",
    "--core",
    "m4",
    "--key",
    "dev-signer.key.pem",
    "--cert",
    "dev-signer.pem",
    "--cert",
    "dev-product-ca.pem",
    "--security-version",
    "3",
];

/// Makes `asked/request.json`.
const PREPARE: &str = "prepare fw.elf --out-dir asked --platform board.toml --core m4 --cert dev-signer.pem --cert dev-product-ca.pem \
                       --security-version 3";
/// Makes `fw.cwtu`.
const TRUST_UPDATE: &str = "trust-update make --out fw.cwtu --list-version 1 --device-class 6f1d5e0c-6a0f-4b53-9c7d-2f0c0e5a7b11 \
                            --floor 0=1 --root dev-root.pem --root-key dev-root.key.pem";
