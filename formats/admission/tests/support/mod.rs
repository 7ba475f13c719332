//! One small bundle with real signatures, the machine it is for, and a loader that checks every byte.

#![allow(dead_code, reason = "each test binary uses another part of it")]

#[path = "../../../certificate-chain/tests/support/mod.rs"]
pub(crate) mod pki;

use admission::{Admitted, Device, Refusal, admit};
use certificate_chain::{Checker, Kind, Role, Root, Scope, sha256, sha384};
use firmware_bundle::write::{Description, Draft, SlotDescription};
use firmware_bundle::{Access, Algorithm, Extension, File, Segment, Step};
use platform::Platform;

use pki::{Key, LEAF, Pki};

/// What is described in a bundle; the fields are changed to break a rule.
#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) elf: Vec<u8>,
    pub(crate) device_class: [u8; 16],
    pub(crate) core_ids: Vec<u32>,
    pub(crate) security_version: u32,
    pub(crate) entry: u64,
    pub(crate) vector_table: Option<u64>,
    pub(crate) segments: Vec<Segment>,
    pub(crate) resource_table: Option<(u64, Vec<u8>)>,
    pub(crate) extensions: Vec<(u32, Vec<u8>)>,
}

impl Image {
    /// Code and vectors, data, and memory without bytes; for core 0 of qemu-virt.
    pub(crate) fn new() -> Image {
        let segment = |address, memory_size, file_offset, file_size, access| Segment {
            address,
            memory_size,
            file_offset,
            file_size,
            access: Access::from_bits(access).unwrap(),
        };
        Image {
            elf: elf(),
            device_class: CLASS,
            core_ids: vec![0, 2],
            security_version: 3,
            entry: 0x2100_0009,
            vector_table: Some(0x2100_0000),
            segments: vec![
                segment(0x2100_0000, 24, 0x74, 24, 5),
                segment(0x2100_1000, 0x40, 0x8c, 9, 6),
                segment(0x2100_2000, 0x100, 0, 0, 6),
            ],
            resource_table: Some((0x2120_0000, resource_table())),
            extensions: vec![(0x8000_0001, b"extra".to_vec())],
        }
    }

    /// The bundle, signed by the leaf key of `pki`.
    pub(crate) fn sign(&self, pki: &Pki) -> Vec<u8> {
        self.sign_slots(&[(0, pki)])
    }

    /// The bundle, with one signature for each slot.
    pub(crate) fn sign_slots(&self, slots: &[(u8, &Pki)]) -> Vec<u8> {
        let draft = self.draft(slots);
        let parts = draft.signed_parts().unwrap();
        let message = Draft::message(&sha384(&parts));
        let sign = |(_, pki): &(u8, &Pki)| pki.signer.sign_raw(&message);
        let signatures: Vec<_> = slots.iter().map(sign).collect();
        let signatures: Vec<&[u8]> = signatures.iter().map(Vec::as_slice).collect();
        let mut file = self.elf.clone();
        file.extend(draft.finish(&signatures).unwrap());
        file
    }

    fn draft(&self, slots: &[(u8, &Pki)]) -> Draft {
        let extensions: Vec<Extension<'_>> = self
            .extensions
            .iter()
            .map(|(kind, value)| Extension {
                kind: *kind,
                critical: false,
                value,
            })
            .collect();
        let description = Description {
            device_class: self.device_class,
            core_ids: &self.core_ids,
            security_version: self.security_version,
            display_version: "1.2.3-test",
            build_id: &[0xb1; 20],
            entry: self.entry,
            vector_table: self.vector_table,
            segments: &self.segments,
            resource_table: self
                .resource_table
                .as_ref()
                .map(|(address, table)| (*address, table.as_slice())),
            extensions: &extensions,
        };
        let chains: Vec<_> = slots.iter().map(|(_, pki)| pki.chain()).collect();
        let slots: Vec<_> = slots
            .iter()
            .zip(&chains)
            .map(|((number, pki), chain)| SlotDescription {
                number: *number,
                algorithm: pki.algorithm,
                chain,
            })
            .collect();
        Draft::new(&self.elf, &description, &slots, sha256).unwrap()
    }
}

/// Changes a signed file behind the ELF part and signs it anew, so that only the changed rule is left to refuse it.
pub(crate) fn sign_anew(mut file: Vec<u8>, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    change(&mut file);
    let footer = file.len() - 64;
    let size = |at: usize| {
        let bytes = file[footer + at..footer + at + 4].try_into().unwrap();
        u32::from_le_bytes(bytes) as usize
    };
    let signatures = footer - size(16);
    let certificates = signatures - size(12);
    let manifest = certificates - size(8);
    let digest = sha384(&[
        &file[footer..],
        &file[manifest..certificates],
        &file[certificates..signatures],
    ]);
    let signature = Key::new(LEAF).sign_raw(&Draft::message(&digest));
    file[signatures..signatures + 64].copy_from_slice(&signature);
    file
}

/// A development chain for the image's cores and class, up to version 10.
pub(crate) fn pki() -> Pki {
    Pki::development(&[0, 1, 2], &[CLASS], 10)
}

/// The same for an owner whose root, product CA and leaf have keys of these algorithms.
pub(crate) fn pki_of(algorithms: [Algorithm; 3], owner: u8) -> Pki {
    let scope = |kind| Scope::new(kind, &[0, 1, 2], &[CLASS], 10, 1, Role::Development).unwrap();
    Pki::of(scope(Kind::ProductCa), scope(Kind::Leaf), algorithms, owner)
}

/// The owner of slot 1 in the golden bundle of two slots: a mixed chain, strong above.
pub(crate) fn second_pki() -> Pki {
    let p384 = Algorithm::EcdsaP384Sha384;
    pki_of([p384, p384, Algorithm::Ed25519], 0x40)
}

/// A device that pins one root for each slot.
pub(crate) fn checker(slots: &[(u8, &Pki)]) -> Checker {
    let root = |(slot, pki): &(u8, &Pki)| Root::parse(*slot, &pki.root).unwrap();
    Checker::new(slots.iter().map(root).collect()).unwrap()
}

/// A machine that asks for these slots, and pins a root for both.
pub(crate) fn platform_of_slots(required: &str) -> Platform {
    let required = format!("required-slots = {required}");
    let second_root = "[[root]]\nfile = \"keys/second.pem\"\nslot = 1\n\n[[core]]";
    platform(&[
        ("required-slots = [0]", &required),
        ("[[core]]", second_root),
    ])
}

/// The test bed's machine, with pieces of its platform file replaced.
pub(crate) fn platform(changes: &[(&str, &str)]) -> Platform {
    let mut text = include_str!("../../../../ta/platforms/qemu-virt.toml").to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    let file: platform::File = toml::from_str(&text).unwrap();
    Platform::try_from(file).unwrap()
}

pub(crate) fn judge(bytes: &[u8], checker: &Checker, platform: &Platform) -> Result<(), Refusal> {
    with_admitted(bytes, checker, platform, |_| ())
}

pub(crate) fn with_admitted<T>(
    bytes: &[u8],
    checker: &Checker,
    platform: &Platform,
    then: impl FnOnce(&Admitted<'_>) -> T,
) -> Result<T, Refusal> {
    let device = Device {
        platform,
        core: platform.core(0).unwrap(),
        floor: 2,
    };
    admit(&present(bytes), checker, &device).map(|admitted| then(&admitted))
}

/// As a client hands a file over: its length and its two ends.
pub(crate) fn present(bytes: &[u8]) -> File<'_> {
    File {
        length: bytes.len() as u64,
        head: &bytes[..bytes.len().min(16)],
        tail: &bytes[bytes.len().saturating_sub(0x1_0000)..],
    }
}

/// Why a file could not be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotLoaded {
    Refused(Refusal),
    Chunk { segment: u8 },
    Rest,
}

/// Loads as bundle-format.md 10 says, into a core's memory that was full of other things.
pub(crate) fn load(
    bytes: &[u8],
    checker: &Checker,
    platform: &Platform,
) -> Result<Vec<u8>, NotLoaded> {
    let plan = with_admitted(bytes, checker, platform, |admitted| admitted.plan());
    let plan = plan.map_err(NotLoaded::Refused)?;
    let region = &platform.core(0).unwrap().private_regions()[0];
    let place = |address: u64| (address - region.device()) as usize;
    // As much of the region as the segments reach: the rest would only cost time.
    let end = plan.segments().map(|segment| segment.end()).max().unwrap();
    let mut memory = vec![0xee; place(end) + 0x1000];
    let mut rest = Vec::new();
    for step in plan.clone() {
        let range = step.offset() as usize..(step.offset() + step.size()) as usize;
        match step {
            Step::Rest { .. } => rest.extend(&bytes[range]),
            Step::Chunk {
                address,
                segment,
                digest,
                ..
            } => {
                let chunk = &bytes[range];
                memory[place(address)..][..chunk.len()].copy_from_slice(chunk);
                if sha256(&[chunk]) != digest {
                    return Err(NotLoaded::Chunk { segment });
                }
            }
        }
    }
    if sha256(&[&rest]) != *plan.rest_digest() {
        return Err(NotLoaded::Rest);
    }
    for (address, size) in plan.gaps(region.device(), memory.len() as u64) {
        memory[place(address)..][..size as usize].fill(0);
    }
    Ok(memory)
}

/// A very small ELF32 for Arm: header, two program headers, 24 bytes of vectors and code, 9 of data, 4 of nothing.
fn elf() -> Vec<u8> {
    let mut elf = b"\x7fELF\x01\x01\x01".to_vec();
    elf.resize(16, 0);
    let half = |elf: &mut Vec<u8>, value: u16| elf.extend(value.to_le_bytes());
    let word = |elf: &mut Vec<u8>, value: u32| elf.extend(value.to_le_bytes());
    half(&mut elf, 2); // executable
    half(&mut elf, 40); // Arm
    for value in [1, 0x2100_0009, 52, 0, 0x0500_0200] {
        word(&mut elf, value);
    }
    for value in [52, 32, 2, 40, 0, 0] {
        half(&mut elf, value);
    }
    for header in [
        [1, 0x74, 0x2100_0000, 0x2100_0000, 24, 24, 5, 4],
        [1, 0x8c, 0x2100_1000, 0x2100_1000, 9, 0x40, 6, 4],
    ] {
        for value in header {
            word(&mut elf, value);
        }
    }
    assert_eq!(elf.len(), 0x74);
    word(&mut elf, 0x2100_2100); // initial stack pointer
    word(&mut elf, 0x2100_0009); // reset vector
    elf.extend([0x30, 0xbf, 0xfd, 0xe7]); // wfi; b .-2
    elf.extend(b"golden code!");
    elf.extend(b"some data");
    elf.extend(b"tail");
    elf
}

/// One virtio device for RPMsg with two vrings wherever there is room.
pub(crate) fn resource_table() -> Vec<u8> {
    let mut words = vec![1, 1, 0, 0, 20]; // version, entries, reserved, offset
    words.extend([3, 7, 0, 1, 0, 0]); // vdev: RPMsg, notify id, features, accepted, configuration
    words.push(0x0000_0200); // status, two vrings
    words.extend([u32::MAX, 0x1000, 256, 0, 0]);
    words.extend([u32::MAX, 0x1000, 256, 1, 0]);
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

/// The device class of qemu-virt.
pub(crate) const CLASS: [u8; 16] = [
    0x6f, 0x1d, 0x5e, 0x0c, 0x6a, 0x0f, 0x4b, 0x53, 0x9c, 0x7d, 0x2f, 0x0c, 0x0e, 0x5a, 0x7b, 0x11,
];
