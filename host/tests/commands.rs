//! Every command against a whole device in this process: the TA's own decisions, real signatures and real rings.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use clap::Parser;
use corewarden::cli::{Arguments, exit, print, run};
use firmware_signing::key::PrivateKey;
use firmware_signing::pki::Certificate;
use firmware_signing::{Options, sign};
use platform::Platform;
use serde_json::Value;
use simulator::Device;

/// A simulated device, and a folder with firmware for it.
struct Machine {
    device: Device,
    folder: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let text = fs::read_to_string(workspace().join(PLATFORM)).unwrap();
        let file: platform::File = toml::from_str(&text).unwrap();
        // A simulated device lives as long as the process.
        let platform: &'static Platform = Box::leak(Box::new(file.try_into().unwrap()));
        let folder = tempfile::tempdir().unwrap();
        let elf = simulator::firmware(platform).unwrap();
        fs::write(folder.path().join("bare.elf"), &elf).unwrap();
        let mut bundle = bundle(platform, &elf);
        fs::write(folder.path().join("echo.cwfw"), &bundle).unwrap();
        bundle[0x1200] ^= 1;
        fs::write(folder.path().join("flipped.cwfw"), &bundle).unwrap();
        let device = Device::new(platform, &workspace()).unwrap();
        Machine { device, folder }
    }

    /// Runs a command: exit code, standard output, standard error.
    fn run(&mut self, line: &str) -> (u8, String, String) {
        let folder = self.folder.path().display().to_string();
        let platform = workspace().join(PLATFORM).display().to_string();
        let line = line.replace("FOLDER", &folder);
        let words = ["corewarden", "--platform", &platform];
        let arguments = Arguments::try_parse_from(words.into_iter().chain(line.split(' ')));
        let arguments = arguments.unwrap();
        let result = run(&arguments, &mut self.device, &AtomicBool::new(false));
        let (mut out, mut err) = (Vec::new(), Vec::new());
        print(&result, arguments.json, &mut out, &mut err).unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (exit(&result).code(), text(out), text(err))
    }

    /// Runs a command with --json: exit code and document.
    fn json(&mut self, line: &str) -> (u8, Value) {
        let (code, out, err) = self.run(&format!("{line} --json"));
        assert_eq!(err, "");
        (code, serde_json::from_str(&out).unwrap())
    }

    fn done(&mut self, line: &str) -> Value {
        let (code, document) = self.json(line);
        assert_eq!(code, 0, "{document}");
        document
    }
}

#[test]
fn a_core_is_loaded_started_pinged_stopped_and_released() {
    let mut machine = Machine::new();
    let status = machine.done("status");
    assert_eq!(status["schema"], "corewarden.status");
    assert_eq!(
        (&status["version"], &status["core"]),
        (&1.into(), &0.into())
    );
    assert_eq!(
        (&status["state"], &status["starts"]),
        (&"Off".into(), &0.into())
    );
    assert_eq!(status["bundle"], Value::Null);
    assert_eq!(status["insecure_isolation"], false);
    assert_eq!(status["trusted"]["required_slots"], serde_json::json!([0]));
    assert_eq!(status["trusted"]["roots"][0]["development"], true);

    let load = machine.done("load FOLDER/echo.cwfw");
    assert_eq!(
        (&load["schema"], &load["state"]),
        (&"corewarden.load".into(), &"Loaded".into())
    );
    assert_eq!(load["bundle"]["security_version"], 3);
    assert_eq!(load["bundle"]["display_version"], "1.2.3");
    assert_eq!(load["bundle"]["digest"].as_str().unwrap().len(), 96);

    let table = machine.done("rsc-table");
    assert_eq!(table["schema"], "corewarden.rsc-table");
    assert_eq!(table["physical"], 0x8000_0000_u32);
    assert_eq!(table["devices"][0]["id"], 7);
    assert_eq!(table["devices"][0]["vrings"][1]["descriptors"], 256);

    let start = machine.done("start");
    assert_eq!(
        (&start["schema"], &start["action"]),
        (&"corewarden.core".into(), &"start".into())
    );
    assert_eq!(
        (&start["state"], &start["starts"]),
        (&"Running".into(), &1.into())
    );

    let attach = machine.done("attach");
    assert_eq!(attach["schema"], "corewarden.attach");
    assert_eq!(attach["agreed"]["features"][0], "name-service");
    assert_eq!(attach["agreed"]["buffer_to_device"], 512);
    assert_eq!(attach["services"][0]["name"], "corewarden-echo");

    let ping = machine.done("attach --ping 100 --size 496");
    assert_eq!(ping["schema"], "corewarden.ping");
    let counts = ["sent", "right", "wrong", "lost"].map(|name| ping[name].as_u64().unwrap());
    assert_eq!(counts, [100, 100, 0, 0]);
    let times = ["min_us", "median_us", "p99_us", "max_us"]
        .map(|name| ping["latency"][name].as_f64().unwrap());
    assert!(times.is_sorted() && times[0] > 0.0, "{times:?}");

    assert_eq!(machine.done("stop")["state"], "Off");
    machine.done("load --whole FOLDER/echo.cwfw");
    assert_eq!(machine.done("release")["state"], "Off");
}

#[test]
fn text_says_the_same_to_people() {
    let mut machine = Machine::new();
    let (code, out, err) = machine.run("load FOLDER/echo.cwfw");
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with("core 0: Loaded, "), "{out}");
    assert!(out.contains("version 1.2.3, security version 3"), "{out}");
    let (_, out, _) = machine.run("start");
    assert!(out.starts_with("core 0: Running, start took "), "{out}");
    let (_, out, _) = machine.run("status");
    for part in [
        "core 0: Running, started once",
        "TA 1.0: streaming-load",
        "for slot 0 (required, development)",
    ] {
        assert!(out.contains(part), "{out}");
    }
    let (_, out, _) = machine.run("rsc-table");
    assert!(
        out.contains("(RPMsg)") && out.contains("256 descriptors"),
        "{out}"
    );
    let (_, out, _) = machine.run("attach --ping 3");
    assert!(out.contains("right 3, wrong 0, lost 0"), "{out}");
    assert!(out.contains("there and back: min "), "{out}");
}

#[test]
fn a_refusal_ends_with_4_and_names_the_rule() {
    let cases = [
        ("load FOLDER/bare.elf", "BareElf"),
        ("load FOLDER/flipped.cwfw", "ChunkDigest"),
        ("load --whole FOLDER/flipped.cwfw", "ChunkDigest"),
        ("start", "BadState"),
        ("status --core 9", "UnknownCore"),
    ];
    let mut machine = Machine::new();
    for (line, status) in cases {
        let (code, document) = machine.json(line);
        assert_eq!((code, &document["exit_code"]), (4, &4.into()), "{line}");
        assert_eq!(document["schema"], "corewarden.error");
        assert_eq!(document["refusal"]["status"], status, "{line}");
    }
    let (code, out, err) = machine.run("load FOLDER/bare.elf");
    assert_eq!((code, out.as_str()), (4, ""));
    assert!(
        err.contains("the TA refused LOAD_BEGIN: an ELF without a signed trailer"),
        "{err}"
    );
    assert!(err.contains("hint: sign it"), "{err}");
}

#[test]
fn attaching_to_a_core_that_does_not_run_ends_with_6() {
    let mut machine = Machine::new();
    machine.done("load FOLDER/echo.cwfw");
    let (code, document) = machine.json("attach --ping 1");
    assert_eq!(code, 6);
    assert_eq!(document["message"], "the core is Loaded, not Running");
    assert_eq!(document["hint"], "load and start the firmware first");
}

#[test]
fn a_service_that_is_not_there_ends_with_6() {
    let mut machine = Machine::new();
    machine.done("load FOLDER/echo.cwfw");
    machine.done("start");
    let (code, document) = machine.json("attach --ping 1 --service nobody --timeout 100");
    assert_eq!(code, 6);
    let expected = "waiting for the service to be announced: nothing for 100 ms";
    assert_eq!(document["message"], expected);
}

fn bundle(platform: &Platform, elf: &[u8]) -> Vec<u8> {
    let read = |name: &str| fs::read(workspace().join("keys").join(name)).unwrap();
    let key = PrivateKey::read(&read("dev-signer.key.pem"), || unreachable!()).unwrap();
    let certificates = ["dev-signer.pem", "dev-product-ca.pem"]
        .map(|name| Certificate::read_all(&read(name)).unwrap())
        .concat();
    let options = Options {
        platform,
        cores: &[0],
        security_version: 3,
        display_version: "1.2.3",
        build_id: Some(&[0xb1; 20]),
        sbom: None,
        keep_all: false,
        at: None,
        roots: &[],
    };
    sign(elf, &options, &key, &certificates).unwrap()
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

const PLATFORM: &str = "ta/platforms/qemu-virt.toml";
