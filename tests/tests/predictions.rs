//! `verify --against` and the TA's own logic, in this process: for every byte that is changed the same status and numbers.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use corewarden::cli::{self, Machine as _};
use corewarden::ta::Client;
use corewarden::{Error, Limit};
use firmware_signing::against::{Answer, DeviceReport};
use firmware_signing::pki::Certificate;
use firmware_signing::sample::Elf;
use firmware_signing::{Options, sign};
use platform::Platform;
use serde_json::{Value, json};
use simulator::Device;
use ta_protocol::Status;
use tests::bundles::Identity;
use tests::{images, mutants};

/// A simulated device, what it says of itself, and a firmware for it.
struct Bench {
    device: Device,
    status: Value,
    roots: Vec<Certificate>,
    platform: &'static Platform,
    elf: Vec<u8>,
    echo: Vec<u8>,
    developer: Identity,
}

impl Bench {
    fn new() -> Self {
        let workspace = workspace();
        let path = workspace.join(PLATFORM);
        // A simulated device lives as long as the process.
        let platform: &'static Platform = Box::leak(Box::new(images::platform(&path).unwrap()));
        let mut device = Device::new(platform, &workspace).unwrap();
        let status = status(&mut device, &path);
        let developer = Identity::development(&workspace.join("keys")).unwrap();
        let elf = Elf::qemu_virt()
            .with_resource_table(0x2120_0000, table())
            .build();
        let options = Options {
            platform,
            cores: &[0],
            security_version: 7,
            display_version: "1.0.0",
            build_id: None,
            sbom: None,
            keep_all: false,
            at: None,
            roots: &[],
        };
        let echo = sign(&elf, &options, &developer.key, &developer.chain).unwrap();
        let root = fs::read(workspace.join("keys/dev-root.pem")).unwrap();
        Self {
            device,
            status,
            roots: Certificate::read_all(&root).unwrap(),
            platform,
            elf,
            echo,
            developer,
        }
    }

    fn report(&self) -> DeviceReport {
        DeviceReport::parse(self.status.to_string().as_bytes(), None).unwrap()
    }

    /// What the TA says; the core is off before and after it.
    fn load(&mut self, bundle: &[u8]) -> Answer {
        let mut client = Client::open(self.device.transport().unwrap(), 0).unwrap();
        let limit = Limit::after(Duration::from_secs(600));
        match client.load(&mut Cursor::new(bundle), limit, |_| {}) {
            Ok(()) => {
                client.release().unwrap();
                Answer::Loads
            }
            Err(Error::Refused {
                status,
                first,
                second,
                ..
            }) => Answer::Refuses {
                status,
                numbers: [first, second],
            },
            Err(error) => panic!("{error}"),
        }
    }

    fn compare(&mut self, what: &str, bundle: &[u8]) -> Answer {
        let predicted = self.report().predict(bundle, &self.roots).unwrap();
        let answer = self.load(bundle);
        assert_eq!(predicted.answer, answer, "{what}");
        assert_eq!(predicted.now, None, "{what}");
        assert_eq!(
            predicted.refused.is_some(),
            answer != Answer::Loads,
            "{what}"
        );
        answer
    }
}

#[test]
fn every_refusal_is_predicted_with_its_numbers() {
    let mut bench = Bench::new();
    let mutants = mutants::of(&bench.elf, &bench.echo, &bench.developer, bench.platform).unwrap();
    for (name, bundle) in &mutants {
        let answer = bench.compare(name, bundle);
        let loads = name == "plain-extension.cwfw";
        assert_eq!(answer == Answer::Loads, loads, "{name}");
    }
    let echo = bench.echo.clone();
    assert_eq!(bench.compare("echo.cwfw", &echo), Answer::Loads);
}

#[test]
fn damaged_bytes_and_cuts_all_over_a_bundle_are_predicted() {
    let mut bench = Bench::new();
    let echo = bench.echo.clone();
    // The sweep over every byte asks the judge alone; here each byte is loaded too.
    for at in (0..echo.len()).step_by(23) {
        let mut flipped = echo.clone();
        flipped[at] ^= 0x11;
        let answer = bench.compare(&format!("byte {at}"), &flipped);
        assert_ne!(answer, Answer::Loads, "byte {at}");
    }
    for keep in (0..echo.len()).step_by(61) {
        bench.compare(&format!("cut to {keep}"), &echo[..keep]);
    }
}

/// Of a longer file the TA sees the last 64 KiB only, and cannot say what it begins with.
#[test]
fn a_long_file_that_is_no_bundle_is_predicted_too() {
    let mut bench = Bench::new();
    let mut elf = bench.elf.clone();
    elf.resize(0x1_0000, 0);
    let length = elf.len() as u64;
    let refuses = |status| Answer::Refuses {
        status,
        numbers: [length, 0],
    };
    assert_eq!(bench.compare("64 KiB", &elf), refuses(Status::BareElf));
    elf.push(0);
    let refuses = Answer::Refuses {
        status: Status::NotABundle,
        numbers: [length + 1, 0],
    };
    assert_eq!(bench.compare("one byte more", &elf), refuses);
}

#[test]
fn the_policy_of_a_core_is_predicted() {
    let bench = Bench::new();
    for (field, value, status, numbers) in [
        (
            "control",
            json!("attach-only"),
            Status::AttachOnly,
            [0, 0x105],
        ),
        ("login", json!(["kernel"]), Status::LoginNotAllowed, [0, 0]),
    ] {
        let mut status_of = bench.status.clone();
        status_of["platform"]["core"][0][field] = value;
        let report = DeviceReport::parse(status_of.to_string().as_bytes(), None).unwrap();
        let predicted = report.predict(&bench.echo, &bench.roots).unwrap();
        assert_eq!(predicted.answer, Answer::Refuses { status, numbers });
    }
}

#[test]
fn what_the_device_says_of_itself_wins_over_its_platform_file() {
    let bench = Bench::new();
    let answer = |status: &Value| {
        let report = DeviceReport::parse(status.to_string().as_bytes(), None).unwrap();
        report.predict(&bench.echo, &bench.roots).unwrap().answer
    };
    let refuses = |status, numbers| Answer::Refuses { status, numbers };
    assert_eq!(answer(&bench.status), Answer::Loads);

    let mut release = bench.status.clone();
    release["development"] = json!(false);
    assert_eq!(answer(&release), refuses(Status::DevelopmentSigner, [0, 0]));

    let mut later = bench.status.clone();
    later["floor"] = json!(8);
    assert_eq!(answer(&later), refuses(Status::VersionBelowFloor, [7, 8]));

    let mut two = bench.status.clone();
    two["trusted"]["required_slots"] = json!([0, 1]);
    let root = two["trusted"]["roots"][0].clone();
    two["trusted"]["roots"] = json!([root, root]);
    two["trusted"]["roots"][1]["slot"] = json!(1);
    assert_eq!(answer(&two), refuses(Status::SlotMissing, [1, 0]));
}

#[test]
fn a_root_that_was_not_given_is_asked_for_only_where_the_answer_depends_on_it() {
    use firmware_signing::Error;
    let bench = Bench::new();
    let report = bench.report();
    let key_id = report.roots()[0].key_id;
    let missing = Err(Error::DeviceRootMissing { key_id });
    assert_eq!(report.predict(&bench.echo, &[]), missing);

    let mut two = bench.status.clone();
    let mut other = two["trusted"]["roots"][0].clone();
    other["key_id"] = json!("11".repeat(32));
    two["trusted"]["roots"] = json!([two["trusted"]["roots"][0], other]);
    let report = DeviceReport::parse(two.to_string().as_bytes(), None).unwrap();
    let given = &bench.roots;
    assert_eq!(
        report.predict(&bench.echo, given).unwrap().answer,
        Answer::Loads
    );
    let files = mutants::of(&bench.elf, &bench.echo, &bench.developer, bench.platform).unwrap();
    let missing = Err(Error::DeviceRootMissing { key_id: [0x11; 32] });
    assert_eq!(report.predict(&files["foreign-root.cwfw"], given), missing);
    assert!(
        report
            .predict(&files["wrong-signature.cwfw"], given)
            .is_ok()
    );
}

#[test]
fn the_state_of_the_core_is_predicted_beside_the_answer() {
    let bench = Bench::new();
    let digest = "ab".repeat(48);
    for (state, status, numbers) in [
        ("Loading", Status::LoadInProgress, [0, 0]),
        ("Loaded", Status::OtherBundleLoaded, [0, 0]),
        ("Running", Status::BadState, [4, 0x105]),
        ("Crashed", Status::BadState, [5, 0x105]),
    ] {
        let mut now = bench.status.clone();
        now["state"] = json!(state);
        now["bundle"] = json!({ "digest": digest });
        let report = DeviceReport::parse(now.to_string().as_bytes(), None).unwrap();
        let predicted = report.predict(&bench.echo, &bench.roots).unwrap();
        assert_eq!(predicted.answer, Answer::Loads, "{state}");
        assert_eq!(predicted.now, Some(Answer::Refuses { status, numbers }));
    }
}

#[test]
fn a_report_that_is_none_is_refused_by_what_is_wrong_with_it() {
    use firmware_signing::Error;
    let bench = Bench::new();
    let refused = |change: fn(&mut Value)| {
        let mut status = bench.status.clone();
        change(&mut status);
        DeviceReport::parse(status.to_string().as_bytes(), None).unwrap_err()
    };
    assert_eq!(
        DeviceReport::parse(b"{\n  not JSON", None).unwrap_err(),
        Error::DeviceMalformed { line: 2, column: 3 }
    );
    assert!(matches!(
        refused(|status| status["trusted"] = json!(null)),
        Error::DeviceMalformed { .. }
    ));
    assert_eq!(
        refused(|status| status["version"] = json!(2)),
        Error::DeviceSchema { version: 2 }
    );
    assert_eq!(
        refused(|status| status["schema"] = json!("corewarden.load")),
        Error::DeviceSchema { version: 1 }
    );
    assert_eq!(
        refused(|status| status["state"] = json!("Asleep")),
        Error::DeviceField { field: "state" }
    );
    assert_eq!(
        refused(|status| status["platform"] = json!(null)),
        Error::DevicePlatformMissing
    );
    assert_eq!(
        refused(|status| status["platform"]["core"] = json!(7)),
        Error::DeviceField { field: "platform" }
    );
    assert_eq!(
        refused(|status| status["trusted"]["roots"][0]["key_id"] = json!("zz")),
        Error::DeviceField {
            field: "trusted.roots.key_id"
        }
    );
    assert!(matches!(
        refused(|status| status["platform"]["core"][0]["shared"]["size"] = json!(1)),
        Error::Platform(_)
    ));
}

/// `corewarden status --json` on the simulated device.
fn status(device: &mut Device, platform: &Path) -> Value {
    use clap::Parser;
    let platform = platform.display().to_string();
    let arguments = ["corewarden", "--json", "--platform", &platform, "status"];
    let arguments = cli::Arguments::try_parse_from(arguments).unwrap();
    let result = cli::run(&arguments, device, &AtomicBool::new(false));
    let mut out = Vec::new();
    cli::print(&result, true, &mut out, &mut Vec::new()).unwrap();
    serde_json::from_slice(&out).unwrap()
}

/// A virtio device with two vrings wherever the platform puts them, then a trace buffer.
fn table() -> Vec<u8> {
    let any = u32::MAX;
    let mut words = vec![1, 2, 0, 0, 24, 92];
    words.extend([3, 7, 0, 1, 0, 0, 2 << 8]);
    words.extend([any, 0x1000, 16, 0, 0, any, 0x1000, 16, 1, 0]);
    words.extend([2, any, 0x100, 0]);
    words.extend([u32::from_le_bytes(*b"echo"), 0, 0, 0, 0, 0, 0, 0]);
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

const PLATFORM: &str = "ta/platforms/qemu-virt.toml";
