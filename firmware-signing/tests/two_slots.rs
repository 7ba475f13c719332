//! Two signatures on one bundle: by the library, and as the command line asks for them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use admission::Refusal;
use certificate_chain::Error as ChainError;
use firmware_signing::key::{Algorithm, Signer};
use firmware_signing::sample::{Chain, Elf};
use firmware_signing::sign::{Signed, Slot, sign_in_parts};
use firmware_signing::verify::{Trust, authenticate};
use firmware_signing::{Error, Options};
use platform::Platform;
use tempfile::TempDir;

const CLASS: [u8; 16] = [
    0x6f, 0x1d, 0x5e, 0x0c, 0x6a, 0x0f, 0x4b, 0x53, 0x9c, 0x7d, 0x2f, 0x0c, 0x0e, 0x5a, 0x7b, 0x11,
];

fn platform() -> Platform {
    let text = include_str!("../../ta/platforms/qemu-virt-two-slots.toml");
    let file: platform::File = toml::from_str(text).expect("TOML");
    Platform::try_from(file).expect("a platform")
}

fn chain(algorithms: [Algorithm; 3]) -> Chain {
    Chain::development_of(algorithms, &[0], &[CLASS], 9).expect("a chain")
}

/// Signs by each chain in its slot; a device judges that pins the roots.
fn sign(slots: &[(u8, &Chain)], roots: &[(u8, &Chain)]) -> Result<Vec<u8>, Error> {
    let platform = platform();
    let roots: Vec<_> = roots
        .iter()
        .map(|(slot, chain)| (*slot, chain.root.0.der()))
        .collect();
    let options = Options {
        platform: &platform,
        cores: &[0],
        security_version: 7,
        display_version: "1.2.3",
        build_id: None,
        sbom: None,
        keep_all: false,
        at: None,
        roots: &roots,
    };
    let certificates: Vec<_> = slots
        .iter()
        .map(|(_, chain)| chain.certificates())
        .collect();
    let slots: Vec<Slot<'_>> = slots
        .iter()
        .zip(&certificates)
        .map(|((number, chain), certificates)| Slot {
            number: *number,
            signer: &chain.leaf.1,
            certificates,
        })
        .collect();
    let elf = Elf::qemu_virt().build();
    sign_in_parts(&elf, &options, &slots).map(Signed::into_bytes)
}

#[test]
fn two_slots_of_any_algorithms_are_signed_and_admitted() {
    for first in Algorithm::ALL {
        for second in Algorithm::ALL {
            let (one, two) = (chain([first; 3]), chain([second; 3]));
            let both = [(0, &one), (1, &two)];
            let bundle = sign(&both, &both).expect("signed");
            let roots = both.map(|(slot, chain)| (slot, chain.root.0.der()));
            let trust = Trust::for_slots(&roots).expect("roots");
            let authentic = authenticate(&bundle, &trust).expect("authentic");
            let signers: Vec<_> = authentic
                .verified
                .signers()
                .map(|(slot, signer)| (slot, signer.key_id))
                .collect();
            let id = |chain: &Chain| {
                let key = chain.leaf.0.public_key().expect("a key");
                firmware_signing::key::key_id(&key)
            };
            assert_eq!(signers, [(0, id(&one)), (1, id(&two))]);
            assert_eq!(authentic.chain.len(), 4, "certificates of both");
        }
    }
}

#[test]
fn what_a_device_would_refuse_of_two_slots_is_not_signed() {
    let one = chain([Algorithm::EcdsaP256; 3]);
    let two = chain([
        Algorithm::EcdsaP384,
        Algorithm::EcdsaP384,
        Algorithm::Ed25519,
    ]);
    let both = [(0, &one), (1, &two)];
    assert!(sign(&both, &both).is_ok());
    for (slots, missing) in [(&both[..1], 1), (&both[1..], 0)] {
        assert_eq!(
            sign(slots, &both),
            Err(Error::from(Refusal::SlotMissing { slot: missing }))
        );
    }
    assert_eq!(
        sign(&both, &both[..1]),
        Err(Error::from(Refusal::Chain {
            slot: 1,
            error: ChainError::UnknownRoot
        }))
    );
    let twice = [(0, &one), (1, &one)];
    assert_eq!(
        sign(&twice, &twice),
        Err(Error::from(Refusal::SlotsShareKey { slot: 1 }))
    );
    let wrong_order = [(1, &two), (0, &one)];
    assert_eq!(
        sign(&wrong_order, &both),
        Err(Error::Bundle(firmware_bundle::Error::SlotOrder { slot: 0 }))
    );
}

#[test]
fn the_same_two_keys_make_the_same_bundle() {
    let one = chain([Algorithm::EcdsaP256; 3]);
    let two = chain([Algorithm::Ed25519; 3]);
    let both = [(0, &one), (1, &two)];
    assert_eq!(sign(&both, &both), sign(&both, &both));
}

/// A folder with a chain of each signer, an ELF and the platform file.
struct Desk {
    folder: TempDir,
    chains: [Chain; 2],
}

impl Desk {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let p384 = Algorithm::EcdsaP384;
        let chains = [
            chain([Algorithm::EcdsaP256; 3]),
            chain([p384, p384, Algorithm::Ed25519]),
        ];
        let desk = Self { folder, chains };
        for (name, chain) in ["first", "second"].into_iter().zip(&desk.chains) {
            for (file, certificate) in [
                ("root", &chain.root.0),
                ("ca", &chain.product_ca.0),
                ("leaf", &chain.leaf.0),
            ] {
                let pem = certificate.to_pem().expect("text");
                fs::write(desk.path(&format!("{name}-{file}.pem")), pem).expect("written");
            }
            let passphrase = (name == "second").then_some("the second one");
            let pem = chain.leaf.1.to_pem(passphrase).expect("text");
            fs::write(desk.path(&format!("{name}.key")), pem.as_bytes()).expect("written");
        }
        fs::write(desk.path("fw.elf"), Elf::qemu_virt().build()).expect("written");
        let text = include_str!("../../ta/platforms/qemu-virt-two-slots.toml");
        fs::write(desk.path("board.toml"), text).expect("written");
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arguments: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_corewarden-sign"))
            .args(arguments.split_whitespace())
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .env_clear()
            .env("FIRST", "the first one")
            .env("SECOND", "the second one")
            .output()
            .expect("it runs")
    }

    #[track_caller]
    fn expect(&self, code: i32, arguments: &str) -> (String, String) {
        let output = self.run(arguments);
        let text = |bytes| String::from_utf8(bytes).expect("text");
        let (out, err) = (text(output.stdout), text(output.stderr));
        assert_eq!(output.status.code(), Some(code), "{arguments}\n{out}{err}");
        (out, err)
    }
}

const SIGN: &str = "sign fw.elf --force --platform board.toml --core m4 --security-version 3 --key first.key \
    --cert first-leaf.pem:first-ca.pem --root first-root.pem --second-root second-root.pem";
const SECOND: &str = "--second-key second.key --second-cert second-leaf.pem:second-ca.pem --second-passphrase-env SECOND";

#[test]
fn the_second_key_is_named_beside_the_first_and_verified_by_a_root_of_its_own() {
    let desk = Desk::new();
    let (out, _) = desk.expect(0, &format!("{SIGN} {SECOND} --json"));
    let report: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert!(report["second_key_id"].is_string(), "{report}");
    assert_ne!(report["second_key_id"], report["key_id"]);

    let verify = "verify fw.cwfw --root first-root.pem";
    let device = "--platform board.toml --core m4";
    let (out, _) = desk.expect(
        0,
        &format!("{verify} --second-root second-root.pem {device}"),
    );
    assert!(out.contains("accepts it"), "{out}");
    assert!(out.contains("second:"), "{out}");
    let (_, err) = desk.expect(5, verify);
    assert!(err.contains("slot 1"), "{err}");
    desk.expect(5, &format!("{verify} --second-root first-root.pem"));
}

#[test]
fn two_owners_sign_one_request_each_for_their_slot() {
    let desk = Desk::new();
    let prepare = "prepare fw.elf --out-dir request --platform board.toml --core m4 --security-version 3 \
        --cert first-leaf.pem:first-ca.pem --root first-root.pem \
        --second-cert second-leaf.pem:second-ca.pem --second-root second-root.pem";
    desk.expect(0, prepare);
    let message = fs::read(desk.path("request/fw.message")).expect("a message");
    let sign = |slot: usize, by: usize| {
        let signature = desk.chains[by].leaf.1.sign(&message).expect("signed");
        fs::write(desk.path(&format!("request/fw.slot{slot}.sig")), signature).expect("written");
    };
    let attach = "attach request/request.json --root first-root.pem --second-root second-root.pem";
    sign(0, 0);
    desk.expect(7, attach);
    sign(1, 0);
    desk.expect(4, attach);
    assert!(!exists(&desk.path("request/fw.cwfw")));
    sign(1, 1);
    desk.expect(0, attach);
    let verify = "verify request/fw.cwfw --platform board.toml --core m4 \
        --root first-root.pem --second-root second-root.pem";
    desk.expect(0, verify);
}

#[test]
fn a_required_second_signature_that_is_not_made_is_said_and_nothing_is_written() {
    let desk = Desk::new();
    let (_, err) = desk.expect(5, SIGN);
    assert!(
        err.contains("the device asks for a signature in slot 1"),
        "{err}"
    );
    assert!(!exists(&desk.path("fw.cwfw")));
}

#[test]
fn the_first_keys_passphrase_is_never_tried_on_the_second() {
    let desk = Desk::new();
    let without = "--second-key second.key --second-cert second-leaf.pem:second-ca.pem";
    let (_, err) = desk.expect(6, &format!("{SIGN} {without} --passphrase-env SECOND"));
    assert!(err.contains("second.key"), "{err}");
    desk.expect(
        6,
        &format!("{SIGN} {without} --second-passphrase-env FIRST"),
    );
    assert!(!exists(&desk.path("fw.cwfw")));
    fs::write(desk.path("second.pass"), "the second one\n").expect("written");
    desk.expect(
        0,
        &format!("{SIGN} {without} --second-passphrase-file second.pass"),
    );
}

#[test]
fn certificates_of_another_key_and_the_first_key_twice_are_refused() {
    let desk = Desk::new();
    let foreign = "--second-key second.key --second-cert first-leaf.pem:first-ca.pem --second-passphrase-env SECOND";
    desk.expect(6, &format!("{SIGN} {foreign}"));
    let twice = "--second-key first.key --second-cert first-leaf.pem:first-ca.pem";
    let pinned = SIGN.replace("second-root.pem", "first-root.pem");
    let (_, err) = desk.expect(5, &format!("{pinned} {twice}"));
    assert!(err.contains("slot 1 is signed by the key"), "{err}");
    desk.expect(2, &format!("{SIGN} --second-cert second-leaf.pem"));
}

fn exists(path: &Path) -> bool {
    path.try_exists().expect("it can be asked")
}
