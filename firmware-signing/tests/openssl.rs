//! OpenSSL as an independent judge: it reads our keys, we read its keys, and it verifies our chains and signatures.

mod ceremony;

use std::fs;
use std::path::Path;

use ceremony::judge::{check_of, judge_slots};
use ceremony::openssl::{good, openssl};
use firmware_signing::key::{Algorithm, PrivateKey, Signer, read_public};
use firmware_signing::sample::{Chain, Elf};
use firmware_signing::sign::{Slot, sign_in_parts};
use firmware_signing::{Error, Options, sign};
use platform::Platform;
use tempfile::TempDir;
use zeroize::Zeroizing;

fn read(folder: &Path, name: &str, passphrase: Option<&str>) -> Result<PrivateKey, Error> {
    let bytes = fs::read(folder.join(name)).expect("there");
    PrivateKey::read(&bytes, || {
        passphrase
            .map(|text| Zeroizing::new(text.to_owned()))
            .ok_or(Error::PassphraseNeeded)
    })
}

/// How OpenSSL is asked for a key of each algorithm.
const GENERATE: [(Algorithm, &str); 3] = [
    (
        Algorithm::EcdsaP256,
        "-algorithm EC -pkeyopt ec_paramgen_curve:P-256",
    ),
    (
        Algorithm::EcdsaP384,
        "-algorithm EC -pkeyopt ec_paramgen_curve:P-384",
    ),
    (Algorithm::Ed25519, "-algorithm ED25519"),
];

#[test]
fn keys_as_openssl_writes_them_are_read() {
    for (algorithm, how) in GENERATE {
        let folder = TempDir::new().expect("a folder");
        let at = folder.path();
        good(at, &format!("genpkey {how} -out pkcs8.pem"));
        for command in [
            "pkey -in pkcs8.pem -outform DER -out pkcs8.der",
            "pkcs8 -topk8 -in pkcs8.pem -v2 aes-256-cbc -passout pass:abc -out pbkdf2.pem",
            "pkcs8 -topk8 -in pkcs8.pem -scrypt -passout pass:abc -out scrypt.pem",
            "pkcs8 -topk8 -in pkcs8.pem -scrypt -passout pass:abc -outform DER -out scrypt.der",
            "pkey -in pkcs8.pem -pubout -out public.pem",
            "pkey -in pkcs8.pem -pubout -outform DER -out public.der",
        ] {
            good(at, command);
        }
        let key = read(at, "pkcs8.pem", None).expect("it is read");
        assert_eq!(key.algorithm(), algorithm);
        for name in ["pkcs8.der", "pbkdf2.pem", "scrypt.pem", "scrypt.der"] {
            let same = read(at, name, Some("abc")).expect(name);
            assert_eq!(same.public_key(), key.public_key(), "{name}");
        }
        for name in ["public.pem", "public.der", "pkcs8.pem"] {
            let public = fs::read(at.join(name)).expect("there");
            assert_eq!(
                read_public(&public),
                Ok(key.public_key().to_vec()),
                "{name}"
            );
        }
        assert_eq!(
            read(at, "scrypt.pem", Some("no")).err(),
            Some(Error::KeyPassphraseWrong)
        );
        assert_eq!(
            read(at, "scrypt.pem", None).err(),
            Some(Error::PassphraseNeeded)
        );
        let encrypted = |name: &str| {
            PrivateKey::is_encrypted(&fs::read(at.join(name)).expect("there")).expect("a key")
        };
        assert!(encrypted("scrypt.pem") && encrypted("scrypt.der") && encrypted("pbkdf2.pem"));
        assert!(!encrypted("pkcs8.pem") && !encrypted("pkcs8.der"));
    }
}

#[test]
fn sec1_keys_as_openssl_writes_them_are_read() {
    for (algorithm, curve) in [
        (Algorithm::EcdsaP256, "prime256v1"),
        (Algorithm::EcdsaP384, "secp384r1"),
    ] {
        let folder = TempDir::new().expect("a folder");
        let at = folder.path();
        // With "EC PARAMETERS" in front, without, and as DER.
        good(
            at,
            &format!("ecparam -name {curve} -genkey -out parameters.pem"),
        );
        good(at, "ec -in parameters.pem -out bare.pem");
        good(at, "ec -in parameters.pem -outform DER -out sec1.der");
        good(
            at,
            "ec -in parameters.pem -pubout -outform DER -out public.der",
        );
        good(
            at,
            "ec -in parameters.pem -pubout -conv_form compressed -out compressed.pem",
        );
        let public = fs::read(at.join("public.der")).expect("there");
        for name in ["parameters.pem", "bare.pem", "sec1.der"] {
            let key = read(at, name, None).expect(name);
            assert_eq!(key.algorithm(), algorithm, "{name}");
            assert_eq!(key.public_key(), public, "{name}");
        }
        // One key has one fingerprint, however its point is written.
        let compressed = fs::read(at.join("compressed.pem")).expect("there");
        assert_eq!(read_public(&compressed), Ok(public));
    }
}

#[test]
fn keys_that_will_not_do_are_named() {
    let folder = TempDir::new().expect("a folder");
    let at = folder.path();
    for command in [
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out p521.pem",
        "ecparam -name secp256k1 -genkey -noout -out k1-sec1.pem",
        "ec -in k1-sec1.pem -outform DER -out k1-sec1.der",
        "pkcs8 -topk8 -nocrypt -in k1-sec1.pem -out k1.pem",
        "genpkey -algorithm ED448 -out ed448.pem",
        "genpkey -algorithm X25519 -out x25519.pem",
        "genrsa -out rsa.pem 2048",
        "genrsa -traditional -out rsa-old.pem 2048",
        "ecparam -name prime256v1 -genkey -noout -out sec1.pem",
        "ec -in sec1.pem -aes256 -passout pass:abc -out legacy.pem",
        "pkey -in sec1.pem -pubout -out public.pem",
        "pkey -in rsa.pem -pubout -out rsa-public.pem",
    ] {
        good(at, command);
    }
    for name in [
        "p521.pem",
        "k1-sec1.pem",
        "k1-sec1.der",
        "k1.pem",
        "ed448.pem",
        "x25519.pem",
        "rsa.pem",
        "rsa-old.pem",
    ] {
        assert_eq!(
            read(at, name, None).err(),
            Some(Error::KeyAlgorithm),
            "{name}"
        );
    }
    let rsa = fs::read(at.join("rsa-public.pem")).expect("there");
    assert_eq!(read_public(&rsa), Err(Error::KeyAlgorithm));
    assert_eq!(
        read(at, "legacy.pem", None).err(),
        Some(Error::KeyLegacyEncryption)
    );
    assert_eq!(
        read(at, "public.pem", None).err(),
        Some(Error::KeyNotPrivate)
    );
}

#[test]
fn openssl_reads_our_keys() {
    for algorithm in Algorithm::ALL {
        let folder = TempDir::new().expect("a folder");
        let at = folder.path();
        let key = PrivateKey::generate(algorithm).expect("a key");
        let write = |name: &str, text: &str| fs::write(at.join(name), text).expect("written");
        write("open.pem", &key.to_pem(None).expect("text"));
        write("shut.pem", &key.to_pem(Some("abc")).expect("text"));
        write("public.pem", &key.public_pem().expect("text"));
        let open = good(at, "pkey -in open.pem -pubout");
        assert_eq!(open, good(at, "pkey -in shut.pem -passin pass:abc -pubout"));
        assert_eq!(open, good(at, "pkey -pubin -in public.pem -pubout"));
        assert!(!openssl(at, "pkey -in shut.pem -passin pass:no -pubout").0);
        let again = read(at, "shut.pem", Some("abc")).expect("it is read");
        assert_eq!(again.public_key(), key.public_key());
    }
}

#[test]
fn openssl_verifies_our_signatures_of_each_algorithm() {
    for algorithm in Algorithm::ALL {
        let folder = TempDir::new().expect("a folder");
        let at = folder.path();
        let key = PrivateKey::generate(algorithm).expect("a key");
        let signature = key.sign(b"a message").expect("signed");
        let signature = algorithm
            .signature_in_certificate(&signature)
            .expect("a signature");
        fs::write(at.join("message"), b"a message").expect("written");
        fs::write(at.join("other"), b"another").expect("written");
        fs::write(at.join("signature"), signature).expect("written");
        fs::write(at.join("public.pem"), key.public_pem().expect("text")).expect("written");
        let (verify, of) = check_of(algorithm);
        good(at, &format!("{verify} {of}message"));
        assert!(!openssl(at, &format!("{verify} {of}other")).0);
    }
}

#[test]
fn openssl_verifies_the_chain_of_the_development_keys() {
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("../keys");
    let chain = "-CAfile dev-root.pem -untrusted dev-product-ca.pem dev-signer.pem";
    good(
        &keys,
        &format!("verify -x509_strict -ignore_critical {chain}"),
    );
    // Our scope extension is critical, and OpenSSL does not know it.
    let (success, text) = openssl(&keys, &format!("verify {chain}"));
    assert!(!success && text.contains("critical extension"), "{text}");
    for name in ["root", "product-ca", "signer"] {
        assert_eq!(
            good(&keys, &format!("pkey -in dev-{name}.key.pem -pubout")),
            good(&keys, &format!("x509 -in dev-{name}.pem -noout -pubkey"))
        );
        assert!(good(&keys, &format!("x509 -in dev-{name}.pem -noout -subject")).contains("dev"));
    }
    let pem = fs::read(keys.join("dev-root.pem")).expect("there");
    let root = firmware_signing::pki::Certificate::read_all(&pem).expect("a certificate");
    assert_eq!(
        root[0].der(),
        fs::read(keys.join("dev-root.der")).expect("there")
    );
}

#[test]
fn openssl_verifies_fresh_chains_and_the_signatures_of_bundles() {
    let (p256, p384, ed25519) = (
        Algorithm::EcdsaP256,
        Algorithm::EcdsaP384,
        Algorithm::Ed25519,
    );
    let platform: platform::File =
        toml::from_str(include_str!("../../ta/platforms/qemu-virt.toml")).expect("TOML");
    let platform = Platform::try_from(platform).expect("a platform");
    let elf = Elf::qemu_virt().build();
    for algorithms in [
        [p256; 3],
        [p384; 3],
        [ed25519; 3],
        [p384, p384, ed25519],
        [p384, ed25519, p256],
    ] {
        let class = platform.device_class().bytes();
        let chain = Chain::development_of(algorithms, &[0], &[class], 9).expect("a chain");
        let options = Options {
            platform: &platform,
            cores: &[0],
            security_version: 1,
            display_version: "",
            build_id: None,
            sbom: None,
            keep_all: false,
            at: None,
            roots: &[(0, chain.root.0.der())],
        };
        let bundle = sign(&elf, &options, &chain.leaf.1, &chain.certificates()).expect("signed");
        judge_slots(&bundle, &[(algorithms[2], &chain.root.0)]);
    }
}

#[test]
fn openssl_verifies_both_signatures_of_a_bundle_and_their_chains() {
    let (p384, ed25519) = (Algorithm::EcdsaP384, Algorithm::Ed25519);
    let platform: platform::File =
        toml::from_str(include_str!("../../ta/platforms/qemu-virt-two-slots.toml")).expect("TOML");
    let platform = Platform::try_from(platform).expect("a platform");
    let class = platform.device_class().bytes();
    let chain = |algorithms| Chain::development_of(algorithms, &[0], &[class], 9).expect("a chain");
    let (one, two) = (chain([p384; 3]), chain([p384, ed25519, ed25519]));
    let certificates = [one.certificates(), two.certificates()];
    let slots = [(0, &one), (1, &two)].map(|(number, chain)| Slot {
        number,
        signer: &chain.leaf.1,
        certificates: &certificates[usize::from(number)],
    });
    let options = Options {
        platform: &platform,
        cores: &[0],
        security_version: 1,
        display_version: "",
        build_id: None,
        sbom: None,
        keep_all: false,
        at: None,
        roots: &[(0, one.root.0.der()), (1, two.root.0.der())],
    };
    let elf = Elf::qemu_virt().build();
    let signed = sign_in_parts(&elf, &options, &slots).expect("signed");
    let signers = [(p384, &one.root.0), (ed25519, &two.root.0)];
    judge_slots(&signed.into_bytes(), &signers);
}
