//! A folder of its own with ELFs and a fresh chain of keys and certificates, and the program at hand.

#![allow(dead_code, reason = "each test binary uses another part of it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use firmware_signing::key::Algorithm;
use firmware_signing::pki::Certificate;
use firmware_signing::sample::{Chain, Elf};
use tempfile::TempDir;

pub(crate) struct Desk {
    pub(crate) folder: TempDir,
}

impl Desk {
    /// `signer.key`, `signer.pem`, `ca.pem`, `root.pem` of one chain, the same with `other-` of a second one, and `fw.elf`.
    pub(crate) fn new() -> Self {
        let desk = Self::bare();
        for prefix in ["", "other-"] {
            desk.put_chain(prefix, 9);
        }
        desk
    }

    /// `fw.elf` alone.
    pub(crate) fn bare() -> Self {
        let desk = Self {
            folder: TempDir::new().expect("a folder"),
        };
        desk.put("fw.elf", &Elf::qemu_virt().build());
        desk
    }

    /// Another chain, which may sign up to security version `ceiling`.
    pub(crate) fn put_chain(&self, prefix: &str, ceiling: u32) -> Chain {
        self.put_chain_of([Algorithm::EcdsaP256; 3], prefix, ceiling)
    }

    /// The same of root, product CA and signer of these algorithms.
    pub(crate) fn put_chain_of(
        &self,
        algorithms: [Algorithm; 3],
        prefix: &str,
        ceiling: u32,
    ) -> Chain {
        let chain = Chain::development_of(algorithms, &[0], &[class()], ceiling);
        let chain = chain.expect("a chain");
        self.put_files(prefix, &chain);
        chain
    }

    fn put_files(&self, prefix: &str, chain: &Chain) {
        let pem = |certificate: &Certificate| certificate.to_pem().expect("PEM");
        let key = chain.leaf.1.to_pem(None).expect("PEM");
        self.put(&format!("{prefix}signer.key"), key.as_bytes());
        let root_key = chain.root.1.to_pem(None).expect("PEM");
        self.put(&format!("{prefix}root.key"), root_key.as_bytes());
        self.put(
            &format!("{prefix}signer.pem"),
            pem(&chain.leaf.0).as_bytes(),
        );
        self.put(
            &format!("{prefix}ca.pem"),
            pem(&chain.product_ca.0).as_bytes(),
        );
        self.put(&format!("{prefix}root.pem"), pem(&chain.root.0).as_bytes());
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).expect("written");
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The names of all files in a folder.
    pub(crate) fn files(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).expect("a folder");
        let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        let mut names: Vec<_> = entries
            .map(|entry| name(entry.expect("readable")))
            .collect();
        names.sort();
        names
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_corewarden-sign"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .env_clear();
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("it runs")
    }

    /// Runs and insists on the exit code; gives both streams. What fails says it in one line.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32, arguments: &[&str]) -> (String, String) {
        let output = self.run(arguments);
        let out = String::from_utf8(output.stdout).expect("text");
        let err = String::from_utf8(output.stderr).expect("text");
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}\n{out}{err}"
        );
        if code > 2 {
            assert_eq!(err.lines().count(), 1, "one line: {err}");
        }
        (out, err)
    }

    /// The report of a verb as JSON, and its schema.
    #[track_caller]
    pub(crate) fn json(&self, code: i32, arguments: &[&str]) -> serde_json::Value {
        let all: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        let (out, _) = self.expect(code, &all);
        let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!(json["version"], 1);
        json
    }

    /// Signs `elf` with the first chain.
    #[track_caller]
    pub(crate) fn sign(&self, elf: &str, out: &str, more: &[&str]) {
        let all: Vec<&str> = ["sign", elf, "--out", out, "--key", "signer.key"]
            .into_iter()
            .chain(CHAIN)
            .chain(more.iter().copied())
            .collect();
        let platform = platform();
        self.expect(0, &with_platform(&all, &platform));
    }

    /// Signs with the development keys and insists on the exit code, as [`Desk::expect`].
    #[track_caller]
    pub(crate) fn sign_as_developer(&self, code: i32, more: &[&str]) -> (String, String) {
        let keys = keys();
        let of = |name: &str| keys.join(name).display().to_string();
        let platform = platform();
        let (key, leaf, ca) = (
            of("dev-signer.key.pem"),
            of("dev-signer.pem"),
            of("dev-product-ca.pem"),
        );
        let mut arguments = vec!["sign", "--core", "m4"];
        for (option, value) in [
            ("--platform", platform.as_str()),
            ("--key", &key),
            ("--cert", &leaf),
            ("--cert", &ca),
            ("--security-version", "3"),
        ] {
            // What a test says itself comes first.
            if !more.contains(&option) {
                arguments.extend([option, value]);
            }
        }
        arguments.extend(more);
        self.expect(code, &arguments)
    }

    /// A program of another project, run in the folder.
    #[track_caller]
    pub(crate) fn tool(&self, program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program)
            .args(arguments)
            .current_dir(self.folder.path())
            .env("SOFTHSM2_CONF", self.path("softhsm2.conf"))
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(output.status.success(), "{program} {arguments:?}: {text}");
        text
    }
}

/// The certificates and the version that all bundles here have.
pub(crate) const CHAIN: [&str; 8] = [
    "--cert",
    "signer.pem",
    "--cert",
    "ca.pem",
    "--root",
    "root.pem",
    "--security-version",
    "3",
];

/// The same command for core 0 of qemu-virt.
pub(crate) fn with_platform<'a>(arguments: &[&'a str], platform: &'a str) -> Vec<&'a str> {
    let target = ["--platform", platform, "--core", "0"];
    arguments.iter().copied().chain(target).collect()
}

/// The folder of the development keys.
pub(crate) fn keys() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../keys")
}

/// Their root certificate.
pub(crate) fn root() -> String {
    keys().join("dev-root.pem").display().to_string()
}

pub(crate) fn platform() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../ta/platforms/qemu-virt.toml")
        .display()
        .to_string()
}

/// The device class of qemu-virt.
pub(crate) fn class() -> [u8; 16] {
    let text = fs::read_to_string(platform()).expect("the platform file");
    let file: platform::File = toml::from_str(&text).expect("TOML");
    platform::Platform::try_from(file)
        .expect("a platform")
        .device_class()
        .bytes()
}
