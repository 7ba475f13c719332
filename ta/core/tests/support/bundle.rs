//! Signed bundles, right ones and mutants that are signed anew.

use std::rc::Rc;

use certificate_chain::{Checker, Root, sha256, sha384};
use firmware_bundle::write::{Description, Draft, SlotDescription};
use firmware_bundle::{Access, Algorithm, Extension, FOOTER_SIZE, Segment};
use firmware_signing::key::{Algorithm as KeyAlgorithm, PrivateKey, Signer};
use firmware_signing::pki::{self, Certificate, Date, Kind, Role, Scope, Subject};

/// The device class of the test bed.
pub const CLASS: [u8; 16] = [
    0x6f, 0x1d, 0x5e, 0x0c, 0x6a, 0x0f, 0x4b, 0x53, 0x9c, 0x7d, 0x2f, 0x0c, 0x0e, 0x5a, 0x7b, 0x11,
];

/// A root and the leaf below it that signs.
#[derive(Clone)]
pub struct Pki {
    pub checker: Checker,
    leaf: Rc<PrivateKey>,
    chain: Vec<Vec<u8>>,
}

/// What a bundle is made of.
#[derive(Clone)]
pub struct Spec {
    pub elf: Vec<u8>,
    pub segments: Vec<Segment>,
    pub table: Option<(u64, Vec<u8>)>,
    pub cores: Vec<u32>,
    pub class: [u8; 16],
    pub version: u32,
    pub entry: u64,
    pub vector_table: Option<u64>,
    pub extensions: Vec<(u32, bool, Vec<u8>)>,
}

impl Pki {
    /// For cores 0 to 2 of the test bed, versions up to 1000, development.
    pub fn development() -> Self {
        Self::with_scope(&[0, 1, 2], &[CLASS], 1000)
    }

    pub fn with_scope(cores: &[u32], classes: &[[u8; 16]], ceiling: u32) -> Self {
        Self::make("root", cores, classes, ceiling)
    }

    /// Below a root of another name.
    pub fn named(root: &str) -> Self {
        Self::make(root, &[0, 1, 2], &[CLASS], 1000)
    }

    fn make(root: &str, cores: &[u32], classes: &[[u8; 16]], ceiling: u32) -> Self {
        let key = || PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let (root_key, ca_key, leaf) = (key(), key(), key());
        let scope = |kind| Scope::new(kind, cores, classes, ceiling, 1, Role::Development).unwrap();
        let subject = |name: &str| Subject {
            name: format!("CN={name}"),
            not_before: "2026-01-01".parse().unwrap(),
            not_after: Date::NEVER,
        };
        let root = pki::issue_root(&subject(root), None, &root_key).unwrap();
        let issuer: (&Certificate, &dyn Signer) = (&root, &root_key);
        let ca = scope(Kind::ProductCa);
        let ca = pki::issue_product_ca(&subject("ca"), ca_key.public_key(), &ca, issuer).unwrap();
        let issuer: (&Certificate, &dyn Signer) = (&ca, &ca_key);
        let certificate = scope(Kind::Leaf);
        let certificate =
            pki::issue_leaf(&subject("leaf"), leaf.public_key(), &certificate, issuer).unwrap();
        Self {
            checker: Checker::new(vec![Root::parse(0, root.der()).unwrap()]).unwrap(),
            leaf: Rc::new(leaf),
            chain: vec![certificate.der().to_vec(), ca.der().to_vec()],
        }
    }

    /// The pinned roots as the TA tells them.
    pub fn roots(&self) -> Vec<ta_protocol::Root> {
        let root = |root: &Root| ta_protocol::Root {
            key_id: *root.certificate().key_id(),
            algorithm: root.certificate().algorithm().id(),
            slot: root.slot(),
            role: 0,
        };
        self.checker.roots().iter().map(root).collect()
    }

    pub fn bundle(&self, spec: &Spec) -> Vec<u8> {
        let chain: Vec<&[u8]> = self.chain.iter().map(Vec::as_slice).collect();
        let slots = [SlotDescription {
            number: 0,
            algorithm: Algorithm::EcdsaP256Sha256,
            chain: &chain,
        }];
        let extensions: Vec<_> = spec
            .extensions
            .iter()
            .map(|(kind, critical, value)| Extension {
                kind: *kind,
                critical: *critical,
                value,
            })
            .collect();
        let description = Description {
            device_class: spec.class,
            core_ids: &spec.cores,
            security_version: spec.version,
            display_version: "1.2.3",
            build_id: &[0xb1; 20],
            entry: spec.entry,
            vector_table: spec.vector_table,
            segments: &spec.segments,
            resource_table: spec
                .table
                .as_ref()
                .map(|(address, bytes)| (*address, bytes.as_slice())),
            extensions: &extensions,
        };
        let draft = Draft::new(&spec.elf, &description, &slots, sha256).unwrap();
        let message = Draft::message(&sha384(&draft.signed_parts().unwrap()));
        let signature = self.leaf.sign(&message).unwrap();
        let mut file = spec.elf.clone();
        file.extend(draft.finish(&[&signature]).unwrap());
        file
    }

    /// Replaces the first `find` in the manifest and signs anew: a mutant that breaks one rule only.
    pub fn mutant(&self, file: &[u8], find: &[u8], with: &[u8]) -> Vec<u8> {
        assert_eq!(find.len(), with.len());
        let manifest = parts(file)[0].clone();
        let found = file[manifest.clone()]
            .windows(find.len())
            .position(|window| window == find);
        let at = manifest.start + found.expect("the bytes to replace");
        let mut mutant = file.to_vec();
        mutant[at..at + with.len()].copy_from_slice(with);
        self.sign_anew(&mutant)
    }

    /// Puts a new signature over whatever the trailer says.
    pub fn sign_anew(&self, file: &[u8]) -> Vec<u8> {
        let [manifest, certificates, signatures, footer] = parts(file);
        let digest = sha384(&[&file[footer], &file[manifest], &file[certificates]]);
        let signature = self.leaf.sign(&Draft::message(&digest)).unwrap();
        let mut signed = file.to_vec();
        signed[signatures].copy_from_slice(&signature);
        signed
    }
}

/// Manifest, certificates, signatures and footer of a bundle.
pub fn parts(file: &[u8]) -> [std::ops::Range<usize>; 4] {
    let footer = file.len() - FOOTER_SIZE;
    let size =
        |at: usize| u32::from_le_bytes(file[footer + at..][..4].try_into().unwrap()) as usize;
    // bundle-format.md 2: ELF size u64, then the sizes of manifest, certificates and signatures.
    let (manifest, certificates, signatures) = (size(8), size(12), size(16));
    let signatures = footer - signatures..footer;
    let certificates = signatures.start - certificates..signatures.start;
    let manifest = certificates.start - manifest..certificates.start;
    [manifest, certificates, signatures, footer..file.len()]
}

impl Spec {
    /// Code with a vector table, data with bss, bytes that are not loaded between and behind, and a table.
    pub fn small() -> Self {
        let mut elf = pattern(0x1234, 1);
        elf[..4].copy_from_slice(b"\x7fELF");
        Self {
            elf,
            segments: vec![
                segment(0x2100_0000, 0x600, 0x100, 0x600, "rx"),
                segment(0x2101_0000, 0x400, 0x900, 0x180, "rw"),
                segment(0x2102_0000, 0x2000, 0, 0, "rw"),
            ],
            table: Some((0x2120_0000, table(&[7]))),
            cores: vec![0],
            class: CLASS,
            version: 5,
            entry: 0x2100_0101,
            vector_table: Some(0x2100_0000),
            extensions: Vec::new(),
        }
    }

    /// One segment of more than one chunk.
    pub fn large() -> Self {
        let mut elf = pattern(0x18_0000, 2);
        elf[..4].copy_from_slice(b"\x7fELF");
        Self {
            elf,
            segments: vec![segment(0x2100_0000, 0x17_8000, 0x1000, 0x17_0000, "rx")],
            ..Self::small()
        }
    }

    /// What private memory holds once this is loaded.
    pub fn memory(&self, region: &platform::Region) -> Vec<u8> {
        let mut memory = vec![0; region.size() as usize];
        for segment in &self.segments {
            let to = (segment.address - region.device()) as usize;
            let from = segment.file_offset as usize;
            let size = segment.file_size as usize;
            memory[to..to + size].copy_from_slice(&self.elf[from..from + size]);
        }
        memory
    }
}

pub fn segment(
    address: u64,
    memory_size: u64,
    file_offset: u64,
    file_size: u64,
    access: &str,
) -> Segment {
    let bits = access.chars().fold(0, |bits, access| {
        bits | match access {
            'x' => 1,
            'w' => 2,
            'r' => 4,
            _ => panic!("access is made of r, w and x"),
        }
    });
    let access = Access::from_bits(bits).unwrap();
    Segment {
        address,
        memory_size,
        file_offset,
        file_size,
        access,
    }
}

/// A resource table of virtio devices with two vrings each, addresses left open.
pub fn table(devices: &[u32]) -> Vec<u8> {
    let count = devices.len() as u32;
    let mut words = vec![1, count, 0, 0];
    let first = 16 + 4 * count;
    words.extend((0..count).map(|index| first + index * 68));
    for (index, device) in (0_u32..).zip(devices) {
        // Type VDEV, id, notify id, features, guest features, config length, status and vring count.
        words.extend([3, *device, 0x80 + index, 1, 0, 0, 2 << 8]);
        for ring in 0..2 {
            // Address, alignment, descriptors, notify id, reserved.
            words.extend([u32::MAX, 0x1000, 256, 2 * index + ring, 0]);
        }
    }
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Bytes without pattern that tests can make again.
pub fn pattern(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}
