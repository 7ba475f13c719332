//! What is signed is what a device takes, the same bytes every time; what a device would refuse is not signed.

use admission::Refusal;
use firmware_bundle::Error as Bundle;
use firmware_signing::elf::Image;
use firmware_signing::inspect::{Found, inspect};
use firmware_signing::key::{Algorithm, Signer, key_id};
use firmware_signing::pki::{Date, Kind, Role, Scope};
use firmware_signing::sample::{Chain, Content, Elf, Section};
use firmware_signing::verify::{Device, Trust, admit, authenticate, check_integrity};
use firmware_signing::{Error, Options, sign};
use platform::Platform;

const CLASS: [u8; 16] = [
    0x6f, 0x1d, 0x5e, 0x0c, 0x6a, 0x0f, 0x4b, 0x53, 0x9c, 0x7d, 0x2f, 0x0c, 0x0e, 0x5a, 0x7b, 0x11,
];

fn qemu_virt() -> Platform {
    let text = include_str!("../../ta/platforms/qemu-virt.toml");
    let file: platform::File = toml::from_str(text).expect("the platform file is TOML");
    Platform::try_from(file).expect("the platform file keeps its rules")
}

fn options<'a>(platform: &'a Platform, roots: &'a [(u8, &'a [u8])]) -> Options<'a> {
    Options {
        platform,
        cores: &[0],
        security_version: 7,
        display_version: "1.2.3",
        build_id: None,
        sbom: None,
        keep_all: false,
        at: None,
        roots,
    }
}

fn chain() -> Chain {
    Chain::development(&[0], &[CLASS], 10).expect("a chain")
}

#[test]
fn a_signed_image_is_admitted() {
    let (platform, chain) = (qemu_virt(), chain());
    let roots = [(0, chain.root.0.der())];
    let elf = Elf::qemu_virt().build();
    let bundle = sign(
        &elf,
        &options(&platform, &roots),
        &chain.leaf.1,
        &chain.certificates(),
    );
    let bundle = bundle.expect("it is signed");
    assert_eq!(bundle[..elf.len()], elf);

    let trust = Trust::for_slots(&roots).expect("a root");
    let authentic = authenticate(&bundle, &trust).expect("it is authentic");
    assert_eq!(authentic.manifest.security_version(), 7);
    assert_eq!(authentic.manifest.display_version(), "1.2.3");
    assert_eq!(authentic.manifest.vector_table(), Some(0x2100_0000));
    let device = |core, floor| Device {
        platform: &platform,
        core,
        floor,
    };
    let core = platform.core(0).expect("core 0");
    assert!(admit(&bundle, &trust, &device(core, 7)).is_ok());
    assert_eq!(
        admit(&bundle, &trust, &device(core, 8)).map(drop),
        Err(Error::Refused(Refusal::VersionBelowFloor {
            version: 7,
            floor: 8
        }))
    );
}

#[test]
fn all_four_machines_are_signed() {
    for (architecture, wide, machine) in [
        ("aarch64", true, 183),
        ("arm-a", false, 40),
        ("arm-r", false, 40),
        ("riscv32", false, 243),
        ("riscv64", true, 243),
    ] {
        let text = include_str!("../../ta/platforms/qemu-virt.toml");
        let text = text.replace("\"arm-m\"", &format!("\"{architecture}\""));
        let file: platform::File = toml::from_str(&text).expect("TOML");
        let platform = Platform::try_from(file).expect("a platform");
        let chain = chain();
        let elf = Elf {
            wide,
            machine,
            entry: 0x2100_0010,
            ..Elf::qemu_virt()
        };
        let roots = [(0, chain.root.0.der())];
        let signed = sign(
            &elf.build(),
            &options(&platform, &roots),
            &chain.leaf.1,
            &chain.certificates(),
        );
        assert!(signed.is_ok(), "{architecture}: {signed:?}");
    }
}

#[test]
fn without_a_fixed_boot_address_the_vector_table_is_where_code_begins() {
    let text = include_str!("../../ta/platforms/qemu-virt.toml");
    let text = text.replace("boot-address = 0x21000000", "");
    let file: platform::File = toml::from_str(&text).expect("TOML");
    let platform = Platform::try_from(file).expect("a platform");
    let chain = chain();
    let elf = Elf::cortex_m(0x2100_8000, 0x2120_0000, 64, 0x2100_4000).build();
    let roots = [(0, chain.root.0.der())];
    let bundle = sign(
        &elf,
        &options(&platform, &roots),
        &chain.leaf.1,
        &chain.certificates(),
    );
    let bundle = bundle.expect("it is signed");
    let Ok(Found::Bundle(found)) = inspect(&bundle) else {
        panic!("a bundle");
    };
    assert_eq!(found.manifest.vector_table(), Some(0x2100_8000));
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let (platform, chain) = (qemu_virt(), chain());
    let elf = Elf::qemu_virt().build();
    let mut certificates = chain.certificates().to_vec();
    let once = sign(&elf, &options(&platform, &[]), &chain.leaf.1, &certificates);
    // Neither the order of the certificates nor a root among them matters.
    certificates.insert(0, chain.root.0.clone());
    certificates.reverse();
    let again = sign(&elf, &options(&platform, &[]), &chain.leaf.1, &certificates);
    assert!(once.is_ok());
    assert_eq!(once, again);
}

#[test]
fn every_flipped_byte_of_a_bundle_is_noticed() {
    let (platform, chain) = (qemu_virt(), chain());
    let elf = Elf::qemu_virt().build();
    let bundle = sign(
        &elf,
        &options(&platform, &[]),
        &chain.leaf.1,
        &chain.certificates(),
    );
    let mut bundle = bundle.expect("it is signed");
    let trust = Trust::new(&[chain.root.0.der()]).expect("a root");
    for at in 0..bundle.len() {
        bundle[at] ^= 0x10;
        assert!(authenticate(&bundle, &trust).is_err(), "byte {at}");
        bundle[at] ^= 0x10;
    }
    assert!(authenticate(&bundle, &trust).is_ok());
    let code = at_of(&elf, 0x2100_0000);
    bundle[code] ^= 1;
    assert_eq!(
        check_integrity(&bundle),
        Err(Error::DigestOfChunk {
            segment: 0,
            offset: code as u64
        })
    );
    bundle[code] ^= 1;
    bundle[7] ^= 1;
    assert_eq!(check_integrity(&bundle), Err(Error::DigestOfRest));
}

#[test]
fn what_a_device_would_refuse_is_not_signed() {
    let (platform, chain) = (qemu_virt(), chain());
    let elf = Elf::qemu_virt().build();
    let foreign = self::chain();
    let roots = [(0, chain.root.0.der())];
    let attempt = |options: &Options<'_>, by: &Chain| {
        sign(&elf, options, &by.leaf.1, &by.certificates()).map(drop)
    };
    let good = options(&platform, &roots);
    assert_eq!(attempt(&good, &chain), Ok(()));
    let refusal = Refusal::VersionAboveCeiling {
        version: 11,
        ceiling: 10,
    };
    let too_high = Options {
        security_version: 11,
        ..good
    };
    assert_eq!(attempt(&too_high, &chain), Err(Error::Refused(refusal)));
    // Without a root nobody asks: mutants for the tests of others are made so.
    assert_eq!(
        attempt(
            &Options {
                roots: &[],
                ..too_high
            },
            &chain
        ),
        Ok(())
    );
    assert_eq!(
        attempt(&good, &foreign),
        Err(Error::Slot {
            slot: 0,
            error: certificate_chain::Error::UnknownRoot
        })
    );
    let core = Options {
        cores: &[4],
        ..good
    };
    assert_eq!(attempt(&core, &chain), Err(Error::CoreUnknown { count: 1 }));
    let none = Options { cores: &[], ..good };
    assert_eq!(attempt(&none, &chain), Err(Error::CoreMissing));
    let long = Options {
        display_version: "123456789012345678901234567890123",
        ..good
    };
    assert_eq!(
        attempt(&long, &chain),
        Err(Error::Bundle(Bundle::DisplayVersionLength { length: 33 }))
    );
}

#[test]
fn a_signer_for_another_core_is_refused() {
    let platform = qemu_virt();
    let chain = Chain::development(&[3], &[CLASS], 10).expect("a chain");
    let roots = [(0, chain.root.0.der())];
    let refused = sign(
        &Elf::qemu_virt().build(),
        &options(&platform, &roots),
        &chain.leaf.1,
        &chain.certificates(),
    );
    assert_eq!(
        refused.map(drop),
        Err(Error::Refused(Refusal::CoreNotInScope { core: 0 }))
    );
}

#[test]
fn a_leaf_stays_within_its_product_ca() {
    let scope = |kind, cores: &[u32], ceiling, role| {
        Scope::new(kind, cores, &[CLASS], ceiling, 1, role).expect("a scope")
    };
    let above = scope(Kind::ProductCa, &[0, 1], 10, Role::Development);
    let attempt = |cores: &[u32], ceiling, role| {
        Chain::issue(&above, &scope(Kind::Leaf, cores, ceiling, role)).map(drop)
    };
    let certificate = Kind::Leaf;
    assert_eq!(attempt(&[1], 10, Role::Development), Ok(()));
    assert_eq!(
        attempt(&[2], 10, Role::Development),
        Err(Error::Chain(certificate_chain::Error::CoreOutsideParent {
            certificate,
            core: 2
        }))
    );
    assert_eq!(
        attempt(&[1], 11, Role::Development),
        Err(Error::Chain(certificate_chain::Error::CeilingAboveParent {
            certificate,
            ceiling: 11,
            parent: 10
        }))
    );
    assert_eq!(
        attempt(&[1], 10, Role::Release),
        Err(Error::Chain(certificate_chain::Error::RoleDiffers {
            certificate
        }))
    );
}

#[test]
fn key_and_certificate_must_belong_together() {
    let (platform, chain, other) = (qemu_virt(), chain(), chain());
    let elf = Elf::qemu_virt().build();
    let refused = sign(
        &elf,
        &options(&platform, &[]),
        &other.leaf.1,
        &chain.certificates(),
    );
    assert_eq!(
        refused,
        Err(Error::KeyNotOfCertificate {
            key: firmware_signing::key::key_id(other.leaf.1.public_key()),
            certificate: firmware_signing::key::key_id(chain.leaf.1.public_key()),
        })
    );
    let none = sign(&elf, &options(&platform, &[]), &chain.leaf.1, &[]);
    assert_eq!(none, Err(Error::CertificateMissing));
}

/// Signs as asked, then does something to the signature.
struct Tampered<'a>(&'a dyn Signer, fn(&mut Vec<u8>));

impl Signer for Tampered<'_> {
    fn algorithm(&self) -> Algorithm {
        self.0.algorithm()
    }

    fn public_key(&self) -> &[u8] {
        self.0.public_key()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let mut signature = self.0.sign(message)?;
        (self.1)(&mut signature);
        Ok(signature)
    }
}

#[test]
fn a_signature_is_believed_only_when_it_holds() {
    let (platform, chain) = (qemu_virt(), chain());
    let elf = Elf::qemu_virt().build();
    let roots = [(0, chain.root.0.der())];
    let attempt = |tamper| {
        let signer = Tampered(&chain.leaf.1, tamper);
        sign(
            &elf,
            &options(&platform, &roots),
            &signer,
            &chain.certificates(),
        )
        .map(drop)
    };
    assert_eq!(attempt(|_| ()), Ok(()));
    let key = key_id(chain.leaf.1.public_key());
    let refused = Err(Error::SignatureNotOfKey { key });
    assert_eq!(attempt(|bytes| bytes[40] ^= 1), refused);
    assert_eq!(attempt(Vec::clear), refused);
    assert_eq!(attempt(|bytes| bytes.push(0)), refused);
    // The mirror image holds too, but nobody may have two signatures of one bundle.
    let mirrored = attempt(|bytes| {
        let signature = p256::ecdsa::Signature::from_slice(bytes).expect("r and s");
        let (r, s) = signature.split_scalars();
        let other = p256::ecdsa::Signature::from_scalars(r.to_bytes(), (-*s).to_bytes());
        *bytes = other.expect("a signature").to_bytes().to_vec();
    });
    assert_eq!(
        mirrored,
        Err(Error::Slot {
            slot: 0,
            error: certificate_chain::Error::HighS
        })
    );
}

#[test]
fn dates_are_judged_when_asked_for() {
    let (platform, chain) = (qemu_virt(), chain());
    let elf = Elf::qemu_virt().build();
    let at = |date: &str| Options {
        at: Some(date.parse().expect("a date")),
        ..options(&platform, &[])
    };
    let attempt = |options: &Options<'_>| sign(&elf, options, &chain.leaf.1, &chain.certificates());
    assert!(attempt(&at("2060-01-01")).is_ok());
    let early = Date::EPOCH;
    assert!(
        attempt(&Options {
            at: Some(early),
            ..options(&platform, &[])
        })
        .is_ok()
    );
}

#[test]
fn nothing_is_signed_twice() {
    let (platform, chain) = (qemu_virt(), chain());
    let elf = Elf::qemu_virt().build();
    let attempt = |bytes: &[u8]| {
        sign(
            bytes,
            &options(&platform, &[]),
            &chain.leaf.1,
            &chain.certificates(),
        )
    };
    let bundle = attempt(&elf).expect("it is signed");
    assert_eq!(attempt(&bundle), Err(Error::AlreadySigned));
    let mut old = 0x3543_a468u32.to_le_bytes().to_vec();
    old.resize(1000, 0);
    assert_eq!(attempt(&old), Err(Error::AlreadySigned));
    assert_eq!(attempt(b""), Err(Error::InputEmpty));
    assert_eq!(attempt(b"a text file"), Err(Error::NotElf));
}

#[test]
fn the_resource_table_goes_from_the_segments_into_the_manifest() {
    let (platform, chain) = (qemu_virt(), chain());
    let table: Vec<u8> = [1u32, 0, 0, 0]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect();
    let elf = Elf::qemu_virt()
        .with_resource_table(0x2120_0000, table.clone())
        .build();
    let roots = [(0, chain.root.0.der())];
    let bundle = sign(
        &elf,
        &options(&platform, &roots),
        &chain.leaf.1,
        &chain.certificates(),
    );
    let bundle = bundle.expect("it is signed");
    let Ok(Found::Bundle(found)) = inspect(&bundle) else {
        panic!("a bundle");
    };
    assert_eq!(found.manifest.segments().count(), 2);
    assert_eq!(
        found.manifest.resource_table(),
        Some((0x2120_0000, table.as_slice()))
    );
}

#[test]
fn debug_sections_are_left_out_and_symbols_stay() {
    let (platform, chain) = (qemu_virt(), chain());
    let section = |name, kind, link, info, entry_size, bytes: Vec<u8>| Section {
        name,
        kind,
        flags: 0,
        address: 0,
        link,
        info,
        entry_size,
        content: Content::Own(bytes),
    };
    let symbol = |name: u32, value: u32, section: u16| {
        let mut bytes = Vec::new();
        bytes.extend(name.to_le_bytes());
        bytes.extend(value.to_le_bytes());
        bytes.extend([0; 6]);
        bytes.extend(section.to_le_bytes());
        bytes
    };
    let mut elf = Elf::qemu_virt();
    elf.sections = vec![
        section(".debug_info", 1, 0, 0, 0, vec![0xdd; 4096]),
        Section {
            flags: 6,
            address: 0x2100_0000,
            content: Content::OfSegment(0),
            ..section(".text", 1, 0, 0, 0, Vec::new())
        },
        section(
            ".symtab",
            2,
            4,
            3,
            16,
            // Null; a local one of the debug section; a local and a global one of .text.
            [
                symbol(0, 0, 0),
                symbol(0, 0, 1),
                symbol(1, 0x2100_0008, 2),
                symbol(1, 0x2100_000a, 2),
            ]
            .concat(),
        ),
        section(".strtab", 3, 0, 0, 0, b"\0main\0".to_vec()),
    ];
    let whole = elf.build();
    let made = |keep_all| {
        let options = Options {
            keep_all,
            ..options(&platform, &[])
        };
        sign(&whole, &options, &chain.leaf.1, &chain.certificates()).expect("it is signed")
    };
    let (kept, stripped) = (made(true), made(false));
    assert_eq!(kept[..whole.len()], whole);
    assert!(stripped.len() + 4096 <= kept.len());
    assert!(!stripped.windows(16).any(|bytes| bytes == [0xdd; 16]));

    let Ok(Found::Bundle(found)) = inspect(&stripped) else {
        panic!("a bundle");
    };
    let elf_size = usize::try_from(found.manifest.elf_size()).expect("fits");
    let parsed = goblin::elf::Elf::parse(&stripped[..elf_size]).expect("still an ELF");
    let names: Vec<&str> = parsed
        .section_headers
        .iter()
        .filter_map(|header| parsed.shdr_strtab.get_at(header.sh_name))
        .collect();
    assert_eq!(names, ["", ".text", ".symtab", ".strtab", ".shstrtab"]);
    let symbols: Vec<(u64, usize, Option<&str>)> = parsed
        .syms
        .iter()
        .map(|one| {
            (
                one.st_value,
                one.st_shndx,
                parsed.strtab.get_at(one.st_name),
            )
        })
        .collect();
    assert_eq!(
        symbols[1..],
        [
            (0x2100_0008, 1, Some("main")),
            (0x2100_000a, 1, Some("main"))
        ]
    );
    assert_eq!(parsed.section_headers[2].sh_info, 2);
    // The segments are where they were, so what is loaded is the same.
    let before = Image::parse(&whole).expect("good");
    let after = Image::parse(&stripped[..elf_size]).expect("good");
    assert_eq!(before.segments(), after.segments());
}

/// Where the bytes of the segment at `address` begin in the file.
fn at_of(elf: &[u8], address: u64) -> usize {
    let image = Image::parse(elf).expect("good");
    let found = image.segments().iter().find(|one| one.address == address);
    found.expect("a segment").file.start
}
