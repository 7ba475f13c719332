//! Two signatures on one bundle: by the library, and as the command line asks for them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use admission::Refusal;
use certificate_chain::Error as ChainError;
use firmware_signing::key::{Algorithm, Signer};
use firmware_signing::sample::{Chain, Elf, sign_rproc_fw};
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
        let p384 = Algorithm::EcdsaP384;
        Self::of([[Algorithm::EcdsaP256; 3], [p384, p384, Algorithm::Ed25519]])
    }

    fn of(algorithms: [[Algorithm; 3]; 2]) -> Self {
        let folder = TempDir::new().expect("a folder");
        let chains = algorithms.map(chain);
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

    fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Runs it with the second passphrase on its standard input.
    fn run(&self, arguments: &str) -> Output {
        fs::write(self.path("second.pass"), "the second one\n").expect("written");
        let pass = fs::File::open(self.path("second.pass")).expect("there");
        Command::new(env!("CARGO_BIN_EXE_corewarden-sign"))
            .args(arguments.split_whitespace())
            .current_dir(self.folder.path())
            .stdin(Stdio::from(pass))
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
    for by in ["file second.pass", "fd 0", "env SECOND"] {
        desk.expect(0, &format!("{SIGN} {without} --second-passphrase-{by}"));
    }
    // Each is one of three, and none is anything without a second key.
    let (_, err) = desk.expect(
        2,
        &format!("{SIGN} {without} --second-passphrase-fd 0 --second-passphrase-env SECOND"),
    );
    assert!(err.contains("cannot be used with"), "{err}");
    for option in [
        "passphrase-env X",
        "passphrase-fd 0",
        "pin-env X",
        "pin-fd 0",
        "pin-file x",
    ] {
        desk.expect(2, &format!("{SIGN} --second-{option}"));
    }
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

/// The signers of [`SIGN`] and [`SECOND`] in each other's place.
const SWAPPED: &str = "--key second.key --cert second-leaf.pem:second-ca.pem --passphrase-fd 0 --root second-root.pem \
    --second-key first.key --second-cert first-leaf.pem:first-ca.pem --second-root first-root.pem";

#[test]
fn a_bundle_of_two_slots_is_signed_anew_in_both() {
    let desk = Desk::new();
    desk.expect(0, &format!("{SIGN} {SECOND}"));
    let (out, _) = desk.expect(
        0,
        &format!(
            "resign fw.cwfw --out new.cwfw {SWAPPED} --from-root first-root.pem --second-from-root second-root.pem"
        ),
    );
    assert!(out.contains("second: CN="), "{out}");
    let verify = "verify new.cwfw --platform board.toml --core m4";
    desk.expect(
        0,
        &format!("{verify} --root second-root.pem --second-root first-root.pem"),
    );
    desk.expect(
        5,
        &format!("{verify} --root first-root.pem --second-root second-root.pem"),
    );
    desk.expect(0, "diff fw.cwfw new.cwfw --content-only");
    // Back again, and every byte is what it was.
    let (_, first) = SIGN.split_once("--security-version 3").expect("the signer");
    desk.expect(
        0,
        &format!("resign new.cwfw --out back.cwfw {first} {SECOND}"),
    );
    assert_eq!(desk.bytes("back.cwfw"), desk.bytes("fw.cwfw"));
}

#[test]
fn signing_anew_loses_no_slot_and_asks_each_signer_so_far() {
    let desk = Desk::new();
    desk.expect(0, &format!("{SIGN} {SECOND}"));
    let one = "--key first.key --cert first-leaf.pem:first-ca.pem --root first-root.pem";
    let (_, err) = desk.expect(2, &format!("resign fw.cwfw --out new.cwfw {one}"));
    assert!(
        err.contains("the bundle is signed in slot 1, and nobody is named to sign it there anew"),
        "{err}"
    );
    for from in [
        "--from-root first-root.pem --second-from-root first-root.pem",
        "--from-root second-root.pem --second-from-root second-root.pem",
        "--from-root first-root.pem",
    ] {
        desk.expect(
            5,
            &format!("resign fw.cwfw --out new.cwfw {SWAPPED} {from}"),
        );
    }
    assert!(!exists(&desk.path("new.cwfw")));
    // A slot may be added.
    let single = SIGN.replace("board.toml", "single.toml");
    let single = single.replace("--second-root second-root.pem", "");
    let text = include_str!("../../ta/platforms/qemu-virt.toml");
    fs::write(desk.path("single.toml"), text).expect("written");
    desk.expect(0, &single);
    desk.expect(
        0,
        &format!("resign fw.cwfw --out new.cwfw {one} --second-root second-root.pem {SECOND}"),
    );
    desk.expect(
        0,
        "verify new.cwfw --root first-root.pem --second-root second-root.pem --platform board.toml --core m4",
    );
}

#[test]
fn what_sign_rproc_fw_signed_is_converted_with_two_signatures() {
    let desk = Desk::new();
    let old = sign_rproc_fw(&Elf::qemu_virt().build(), &desk.chains[0].leaf.1).expect("a file");
    fs::write(desk.path("old.sign"), old).expect("written");
    let public = desk.chains[0].leaf.1.public_pem().expect("PEM");
    fs::write(desk.path("old.pub"), public).expect("written");
    let (_, options) = SIGN.split_once("fw.elf").expect("its options");
    let convert = format!("convert old.sign --from-key old.pub --out new.cwfw {options}");
    let (_, err) = desk.expect(5, &convert);
    assert!(err.contains("signature in slot 1"), "{err}");
    let (out, _) = desk.expect(0, &format!("{convert} {SECOND} --json"));
    let report: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert!(report["second_key_id"].is_string(), "{report}");
    desk.expect(0, &format!("{SIGN} {SECOND}"));
    desk.expect(0, "diff new.cwfw fw.cwfw");
}

const PREPARE: &str = "prepare fw.elf --out-dir request --platform board.toml --core m4 --security-version 3 \
    --cert first-leaf.pem:first-ca.pem --root first-root.pem \
    --second-cert second-leaf.pem:second-ca.pem --second-root second-root.pem";
const ATTACH: &str =
    "attach request/request.json --force --root first-root.pem --second-root second-root.pem";

#[test]
fn both_keys_sign_a_request_or_one_of_them_beside_the_others_signature() {
    let desk = Desk::new();
    desk.expect(0, PREPARE);
    desk.expect(0, &format!("{SIGN} {SECOND}"));
    let direct = desk.bytes("fw.cwfw");
    let made = || {
        let bundle = desk.bytes("request/fw.cwfw");
        fs::remove_file(desk.path("request/fw.cwfw")).expect("removed");
        bundle
    };
    let second = "--second-key second.key --second-passphrase-fd 0";
    desk.expect(0, &format!("{ATTACH} --key first.key {second}"));
    assert_eq!(made(), direct);
    // The other slot's signature came from elsewhere.
    let message = desk.bytes("request/fw.message");
    fs::create_dir(desk.path("came")).expect("a folder");
    for (slot, keys) in [(0, second), (1, "--key first.key")] {
        desk.expect(7, &format!("{ATTACH} {keys}"));
        let signature = desk.chains[slot].leaf.1.sign(&message).expect("signed");
        let file = desk.path(&format!("came/fw.slot{slot}.sig"));
        fs::write(&file, signature).expect("written");
        desk.expect(0, &format!("{ATTACH} {keys} --signatures came"));
        assert_eq!(made(), direct);
        fs::remove_file(file).expect("removed");
    }
    // Each key belongs to its slot.
    desk.expect(
        6,
        &format!("{ATTACH} --key second.key --passphrase-fd 0 --second-key first.key"),
    );
    let (_, err) = desk.expect(
        2,
        &format!("{ATTACH} --key first.key {second} --signatures came"),
    );
    assert!(err.contains("keys sign all of it"), "{err}");
    assert!(!exists(&desk.path("request/fw.cwfw")));
}

#[test]
fn openssl_signs_requests_of_every_algorithm_as_they_say() {
    use Algorithm::{EcdsaP256, EcdsaP384, Ed25519};
    for algorithms in [
        [EcdsaP384, Ed25519],
        [Ed25519, EcdsaP384],
        [EcdsaP256, EcdsaP384],
    ] {
        let desk = Desk::of(algorithms.map(|one| [one; 3]));
        desk.expect(0, PREPARE);
        let request: serde_json::Value =
            serde_json::from_slice(&desk.bytes("request/request.json")).expect("JSON");
        let wanted = request["images"][0]["signatures"]
            .as_array()
            .expect("a list");
        assert_eq!(wanted.len(), 2);
        for (slot, key) in ["first.key", "second.key"].into_iter().enumerate() {
            let wanted = &wanted[slot];
            assert_eq!(wanted["slot"], slot);
            assert_eq!(wanted["algorithm"], algorithms[slot].name());
            let file = wanted["signature_file"].as_str().expect("a name");
            let (how, input) = match wanted["hash"].as_str() {
                Some(hash) => {
                    // Who cannot hash is given the hash; it is that of the message.
                    let hashed = format!("dgst -{hash} -binary -out hashed request/fw.message");
                    openssl(&desk, &hashed);
                    let hex: String = desk
                        .bytes("hashed")
                        .iter()
                        .map(|byte| format!("{byte:02x}"))
                        .collect();
                    assert_eq!(wanted["hashed_message"], hex);
                    ("", "hashed")
                }
                None => {
                    assert_eq!(wanted["hashed_message"], serde_json::Value::Null);
                    ("-rawin", "request/fw.message")
                }
            };
            openssl(
                &desk,
                &format!(
                    "pkeyutl -sign {how} -inkey {key} -passin file:second.pass -in {input} -out request/{file}"
                ),
            );
        }
        desk.expect(0, ATTACH);
        desk.expect(
            0,
            "verify request/fw.cwfw --platform board.toml --core m4 --root first-root.pem --second-root second-root.pem",
        );
        // Keys of ours make what `sign` would have made.
        let second = "--second-key second.key --second-passphrase-env SECOND";
        desk.expect(0, &format!("{ATTACH} --key first.key {second}"));
        desk.expect(0, &format!("{SIGN} {SECOND}"));
        assert_eq!(desk.bytes("request/fw.cwfw"), desk.bytes("fw.cwfw"));
        // A signature in the other's slot does not hold, whatever its form.
        fs::rename(desk.path("request/fw.slot0.sig"), desk.path("moved")).expect("moved");
        fs::copy(
            desk.path("request/fw.slot1.sig"),
            desk.path("request/fw.slot0.sig"),
        )
        .expect("copied");
        let code = desk.run(ATTACH).status.code();
        assert!(matches!(code, Some(3 | 4)), "{code:?}");
    }
}

fn openssl(desk: &Desk, arguments: &str) {
    let output = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(desk.folder.path())
        .output()
        .expect("openssl is installed");
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments}: {talk}");
}

fn exists(path: &Path) -> bool {
    path.try_exists().expect("it can be asked")
}
