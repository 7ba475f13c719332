//! Lint: every rule once kept and once broken, with the exact findings, and never laxer than signing.

use std::collections::BTreeSet;

use firmware_signing::elf::Image;
use firmware_signing::lint::{Finding, Rule, Severity, lint};
use firmware_signing::place::place;
use firmware_signing::sample::{Chain, Content, Elf, Section, Segment};
use firmware_signing::sign::{Slot, sign_in_parts};
use firmware_signing::{Error, Options};
use platform::{File, Platform};

/// A firmware with nothing to find fault with, in parts that a test can break.
struct Firmware {
    vectors: [u32; 16],
    elf: Elf,
    table: Table,
    table_address: u64,
    table_memory: Option<u64>,
    platform: String,
    /// Bytes to overwrite in the finished file.
    patch: Vec<(usize, Vec<u8>)>,
}

struct Table {
    version: u32,
    device: u32,
    features: u32,
    config: Vec<u8>,
    vrings: Vec<[u32; 4]>,
    second_entry: u32,
    trace: [u32; 2],
}

impl Firmware {
    fn good() -> Self {
        let mut vectors = [0; 16];
        vectors[0] = 0x2120_0000;
        vectors[1] = CODE as u32 | 1;
        vectors[2] = CODE as u32 | 1;
        vectors[3] = CODE as u32 | 1;
        let mut elf = Elf::qemu_virt();
        elf.entry = CODE | 1;
        Self {
            vectors,
            elf,
            table: Table {
                version: 1,
                device: 7,
                features: 1,
                config: Vec::new(),
                vrings: vec![[0x2120_2000, 0x1000, 16, 0], [0x2120_4000, 0x1000, 16, 1]],
                second_entry: 2,
                trace: [0x2120_1000, 0x1000],
            },
            table_address: 0x2120_0000,
            table_memory: None,
            platform: include_str!("../../ta/platforms/qemu-virt.toml").to_owned(),
            patch: Vec::new(),
        }
    }

    /// Breaks it.
    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn build(&self) -> Vec<u8> {
        let mut elf = self.elf.clone();
        let words = self.vectors.iter().flat_map(|word| word.to_le_bytes());
        for (to, from) in elf.segments[0].bytes.iter_mut().zip(words) {
            *to = from;
        }
        if self.table.version != 0 {
            elf = elf.with_resource_table(self.table_address, self.table.build());
        }
        if let (Some(size), Some(last)) = (self.table_memory, elf.segments.last_mut()) {
            last.memory_size = size;
        }
        let mut bytes = elf.build();
        for (at, new) in &self.patch {
            bytes[*at..*at + new.len()].copy_from_slice(new);
        }
        bytes
    }

    fn platform(&self) -> Platform {
        let file: File = toml::from_str(&self.platform).expect("a platform file");
        Platform::try_from(file).expect("a platform")
    }

    fn lint(&self) -> Vec<Finding> {
        let platform = self.platform();
        lint(&self.build(), &platform.cores()[0]).expect("a readable ELF")
    }

    fn found(&self) -> Vec<Found> {
        let findings = self.lint();
        findings
            .iter()
            .map(|one| (one.rule, one.addresses))
            .collect()
    }
}

impl Table {
    fn build(&self) -> Vec<u8> {
        let vrings = self.vrings.len() as u32;
        let config_at = 24 + 28 + 20 * vrings;
        let config_len = self.config.len() as u32;
        let trace_at = config_at + config_len.next_multiple_of(4);
        let mut words = vec![self.version, 2, 0, 0, 24, trace_at];
        words.extend([3, self.device, 0, self.features, 0, config_len, vrings << 8]);
        for [address, align, descriptors, notify_id] in &self.vrings {
            words.extend([*address, *align, *descriptors, *notify_id, 0]);
        }
        words.extend([self.second_entry, self.trace[0], self.trace[1], 0]);
        words.extend([u32::from_le_bytes(*b"echo"), 0, 0, 0, 0, 0, 0, 0]);
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut config = self.config.clone();
        config.resize((trace_at - config_at) as usize, 0);
        let config_at = config_at as usize;
        bytes.splice(config_at..config_at, config);
        bytes
    }
}

/// A rule and the addresses it is about.
type Found = (Rule, Option<(u64, u64)>);

/// One rule and what breaks it; what is found then, in order.
struct Case {
    change: fn(&mut Firmware),
    found: &'static [Found],
}

const CASES: &[Case] = &[
    Case {
        change: |fw| {
            fw.elf.wide = true;
            fw.elf.machine = goblin::elf::header::EM_AARCH64;
        },
        found: &[(Rule::Architecture, None)],
    },
    Case {
        change: |fw| {
            fw.elf.segments[0].address += 0x1000;
            fw.elf.entry += 0x1000;
        },
        found: &[(Rule::BootAddress, Some((0x2100_0000, 0x2100_0008)))],
    },
    Case {
        change: |fw| {
            fw.table.vrings = vec![[0x2120_2000, 16, 512, 0], [0x2120_6000, 16, 16, 1]];
        },
        found: &[(Rule::Buffers, Some((0x2121_0000, 0x2125_0000)))],
    },
    Case {
        // 16 buffers of 1024 bytes and 16 of 15376 fill the area and 256 bytes more.
        change: |fw| {
            fw.table.features = 3;
            fw.table.config = sizes(1024, 15_376);
        },
        found: &[(Rule::Buffers, Some((0x2121_0000, 0x2125_0000)))],
    },
    Case {
        change: |fw| fw.elf.entry = 0x2110_0001,
        found: &[(Rule::Entry, Some((0x2110_0000, 0x2110_0002)))],
    },
    Case {
        change: |fw| fw.elf.entry += 2,
        found: &[(Rule::EntryNotReset, Some((CODE + 2, CODE + 4)))],
    },
    Case {
        change: |fw| fw.vectors[3] = 0x2000_0000,
        found: &[(Rule::ExceptionVector, Some((0x2100_000c, 0x2100_0010)))],
    },
    Case {
        change: |fw| {
            fw.elf.segments[1].address = 0x2300_0000;
            fw.elf.segments[1].memory_size = 0x400_0000;
        },
        found: &[
            (Rule::SegmentOutside, Some((0x2300_0000, 0x2700_0000))),
            (Rule::ImageSize, None),
        ],
    },
    Case {
        change: |fw| fw.table.vrings[1][3] = 0,
        found: &[(Rule::NotifyId, Some((0x2120_0048, 0x2120_005c)))],
    },
    Case {
        change: |fw| fw.table.vrings[1][3] = 256,
        found: &[(Rule::NotifyId, Some((0x2120_0048, 0x2120_005c)))],
    },
    Case {
        change: |fw| fw.elf.sections.push(build_id(65)),
        found: &[(Rule::NotLoadable, None)],
    },
    Case {
        change: |fw| fw.vectors[1] = 0x2110_0001,
        found: &[(Rule::ResetOutside, Some((0x2110_0000, 0x2110_0002)))],
    },
    Case {
        change: |fw| fw.vectors[1] &= !1,
        found: &[(Rule::ResetThumb, Some((0x2100_0004, 0x2100_0008)))],
    },
    Case {
        change: |fw| fw.table_memory = Some(0x1800),
        found: &[(Rule::ResourceTableAlone, Some((0x2120_0000, 0x2120_1000)))],
    },
    Case {
        change: |fw| fw.table.version = 2,
        found: &[(Rule::ResourceTableForm, Some((0x2120_0000, 0x2120_008c)))],
    },
    Case {
        change: |fw| fw.table.version = 0,
        found: &[(Rule::ResourceTableMissing, None)],
    },
    Case {
        change: |fw| fw.table_address = 0x2120_8000,
        found: &[(Rule::ResourceTablePlace, Some((0x2120_8000, 0x2120_808c)))],
    },
    Case {
        change: |fw| fw.table.device = 3,
        found: &[(Rule::ResourceTablePolicy, Some((0x2120_0018, 0x2120_0034)))],
    },
    Case {
        change: |fw| fw.table.second_entry = 128,
        found: &[(Rule::ResourceTablePolicy, Some((0x2120_005c, 0x2120_0060)))],
    },
    Case {
        change: |fw| {
            fw.table.features = 3;
            fw.table.config = sizes(1024, 511);
        },
        found: &[(Rule::RpmsgBufferSizes, Some((0x2120_0018, 0x2120_0034)))],
    },
    Case {
        change: |fw| {
            fw.table.features = 3;
            fw.table.config = vec![0, 2, 0, 0];
        },
        found: &[(Rule::RpmsgBufferSizes, Some((0x2120_0018, 0x2120_0034)))],
    },
    // Features above 31 are offered, and do not stand there.
    Case {
        change: |fw| {
            fw.table.features = 1 | 1 << 31;
            fw.table.config = vec![5, 0, 0];
        },
        found: &[(Rule::RpmsgBufferSizes, Some((0x2120_0018, 0x2120_0034)))],
    },
    Case {
        change: |fw| {
            fw.table.features = 3 | 1 << 31;
            fw.table.config = [sizes(1024, 512), vec![5, 0, 0, 0]].concat();
        },
        found: &[],
    },
    Case {
        change: |fw| fw.table.features = 0,
        found: &[(Rule::RpmsgNameService, Some((0x2120_0018, 0x2120_0034)))],
    },
    Case {
        change: |fw| fw.table.vrings.truncate(1),
        found: &[(Rule::RpmsgVrings, Some((0x2120_0018, 0x2120_0034)))],
    },
    Case {
        // p_vaddr of the second program header.
        change: |fw| {
            let address = 0x2000_0000u32.to_le_bytes().to_vec();
            fw.patch.push((52 + 32 + 8, address));
        },
        found: &[(Rule::RunAddress, Some((0x2000_0000, 0x2000_0040)))],
    },
    Case {
        change: |fw| {
            for index in 0..31 {
                let at = 0x2100_8000 + index * 16;
                fw.elf.segments.push(Segment::load(6, at, vec![1; 16]));
            }
        },
        found: &[(Rule::SegmentCount, None)],
    },
    Case {
        change: |fw| fw.elf.segments[1].address = 0x2121_0000,
        found: &[(
            Rule::SegmentInSharedWindow,
            Some((0x2121_0000, 0x2121_0040)),
        )],
    },
    Case {
        change: |fw| fw.elf.segments[1].address = 0x20ff_ffe0,
        found: &[
            (Rule::SegmentsOverlap, Some((0x2100_0000, 0x2100_0020))),
            (Rule::SegmentOutside, Some((0x20ff_ffe0, 0x2100_0020))),
        ],
    },
    Case {
        change: |fw| fw.elf.segments[0].flags = 7,
        found: &[(
            Rule::SegmentWritableExecutable,
            Some((0x2100_0000, 0x2100_0108)),
        )],
    },
    Case {
        change: |fw| fw.elf.segments[1].address = 0x2100_0040,
        found: &[(Rule::SegmentsOverlap, Some((0x2100_0040, 0x2100_0080)))],
    },
    Case {
        // p_offset of the second program header: the first one's.
        change: |fw| {
            let offset = 0xa0u32.to_le_bytes().to_vec();
            fw.patch.push((52 + 32 + 4, offset));
        },
        found: &[(Rule::SegmentsShareBytes, None)],
    },
    Case {
        change: |fw| fw.vectors[0] -= 4,
        found: &[(Rule::StackAlignment, Some((0x211f_fff8, 0x211f_fffc)))],
    },
    Case {
        change: |fw| fw.vectors[0] = 0x3000_0000,
        found: &[(Rule::StackOutside, Some((0x2fff_fffc, 0x3000_0000)))],
    },
    Case {
        change: |fw| fw.vectors[0] -= 2,
        found: &[(Rule::StackOutside, Some((0x211f_fffa, 0x211f_fffe)))],
    },
    Case {
        change: |fw| fw.vectors[0] = 0x2100_0100,
        found: &[(Rule::StackOverImage, Some((0x2100_0000, 0x2100_0100)))],
    },
    Case {
        change: |fw| fw.vectors[0] = 0x2100_4020,
        found: &[(Rule::StackOverImage, Some((0x2100_4000, 0x2100_4020)))],
    },
    Case {
        change: |fw| fw.vectors[0] = 0x2100_4140,
        found: &[(Rule::StackRoom, Some((0x2100_4040, 0x2100_4140)))],
    },
    Case {
        change: |fw| fw.table.trace[1] = 0x2000,
        found: &[(Rule::Trace, Some((0x2120_1000, 0x2120_3000)))],
    },
    Case {
        change: |fw| {
            fw.platform = fw.platform.replace("boot-address = 0x21000000\n", "");
            fw.elf.segments[0].address += 0x40;
            fw.elf.entry += 0x40;
            fw.vectors[1..4].fill(CODE as u32 + 0x41);
        },
        found: &[(Rule::VectorTableAlignment, Some((0x2100_0040, 0x2100_0048)))],
    },
    Case {
        change: |fw| {
            fw.elf.segments[0].bytes.truncate(4);
            fw.elf.entry = 0x2100_0001;
        },
        found: &[(Rule::VectorTableMissing, Some((0x2100_0000, 0x2100_0008)))],
    },
    Case {
        change: |fw| fw.table.vrings[0][0] += 0x10,
        found: &[(Rule::VringAlignment, Some((0x2120_2010, 0x2120_3096)))],
    },
    Case {
        change: |fw| fw.table.vrings[0][1] = 24,
        found: &[(Rule::VringAlignment, Some((0x2120_0034, 0x2120_0048)))],
    },
    Case {
        change: |fw| fw.table.vrings[0][2] = 17,
        found: &[(Rule::VringDescriptors, Some((0x2120_0034, 0x2120_0048)))],
    },
    Case {
        change: |fw| fw.table.vrings[0][0] = 0x2130_0000,
        found: &[(Rule::VringOutside, Some((0x2130_0000, 0x2130_1086)))],
    },
    Case {
        change: |fw| fw.table.vrings[1][0] = 0x2120_3000,
        found: &[(Rule::VringOverlap, Some((0x2120_3000, 0x2120_3086)))],
    },
    Case {
        change: |fw| {
            for vring in &mut fw.table.vrings {
                *vring = [u32::MAX, 16, 256, u32::MAX];
            }
            fw.platform = fw.platform.replace(
                "offset = 0x2000, size = 0x6000",
                "offset = 0x2000, size = 0x2000",
            );
        },
        found: &[(Rule::VringSpace, Some((0x2120_2000, 0x2120_4000)))],
    },
];

#[test]
fn a_firmware_without_fault_has_no_finding() {
    assert_eq!(Firmware::good().lint(), Vec::new());
}

#[test]
fn every_lint_rule_is_found_with_its_addresses() {
    let mut met = BTreeSet::new();
    for (index, case) in CASES.iter().enumerate() {
        let found = Firmware::good().with(case.change).found();
        assert_eq!(found, case.found, "case {index}");
        met.extend(found.into_iter().map(|(rule, _)| rule));
    }
    let all: BTreeSet<Rule> = Rule::ALL.iter().copied().collect();
    assert_eq!(met, all, "every rule is broken once");
}

#[test]
fn a_build_id_that_a_bundle_has_no_room_for_is_not_loadable() {
    let longest = Firmware::good().with(|fw| fw.elf.sections.push(build_id(64)));
    assert_eq!(longest.lint(), Vec::new());
    signed(&longest).expect("it is signed");
    let longer = Firmware::good().with(|fw| fw.elf.sections.push(build_id(65)));
    let error = Error::Bundle(firmware_bundle::Error::BuildIdLength { length: 65 });
    assert_eq!(signed(&longer), Err(error));
    assert_eq!(
        longer.lint(),
        [Finding {
            rule: Rule::NotLoadable,
            message: error.to_string(),
            addresses: None,
            fix: "-Wl,--build-id=sha1, or another build id of at most 64 bytes".to_owned(),
        }]
    );
}

/// As `sign` does it, with the signature left out.
fn signed(firmware: &Firmware) -> Result<(), Error> {
    let platform = firmware.platform();
    let chain = Chain::development(&[0], &[platform.device_class().bytes()], 9)?;
    let certificates = [chain.leaf.0.clone(), chain.product_ca.0.clone()];
    let slot = Slot {
        number: 0,
        signer: &chain.leaf.1,
        certificates: &certificates,
    };
    let options = Options {
        platform: &platform,
        cores: &[0],
        security_version: 3,
        display_version: "",
        build_id: None,
        sbom: None,
        keep_all: false,
        roots: &[],
        at: None,
    };
    sign_in_parts(firmware.build(), &options, &[slot]).map(drop)
}

/// Linux' form of the sizes that a device asks for.
fn sizes(to_driver: u32, to_device: u32) -> Vec<u8> {
    let words = [to_driver, to_device].map(u32::to_le_bytes);
    [&[1, 11, 0], words.as_flattened()].concat()
}

#[test]
fn a_firmware_that_asks_for_buffers_which_fit_has_no_finding() {
    let asks = Firmware::good().with(|fw| {
        fw.table.features = 3;
        fw.table.config = sizes(1024, 15_360);
    });
    assert_eq!(asks.found(), []);
}

/// A section with a GNU build id of so many bytes.
fn build_id(length: u32) -> Section {
    let mut note = Vec::new();
    for word in [4, length, 3] {
        note.extend(word.to_le_bytes());
    }
    note.extend(b"GNU\0");
    note.resize(note.len() + length.next_multiple_of(4) as usize, 0x5a);
    Section {
        name: ".note.gnu.build-id",
        kind: 7,
        flags: 2,
        address: 0,
        link: 0,
        info: 0,
        entry_size: 0,
        content: Content::Own(note),
    }
}

#[test]
fn every_finding_says_what_is_wrong_and_how_to_mend_it_in_one_line() {
    for case in CASES {
        for finding in Firmware::good().with(case.change).lint() {
            for text in [&finding.message, &finding.fix] {
                assert!(!text.is_empty() && !text.contains('\n'), "{finding:?}");
            }
            if let Some((from, to)) = finding.addresses {
                assert!(from < to, "{finding:?}");
            }
        }
    }
}

#[test]
fn lint_calls_an_error_exactly_what_signing_refuses() {
    for (index, case) in CASES.iter().enumerate() {
        let firmware = Firmware::good().with(case.change);
        let (bytes, platform) = (firmware.build(), firmware.platform());
        let signed = Image::parse(&bytes).and_then(|image| {
            place(&image, &platform.cores()[0]).map(drop)?;
            Ok(())
        });
        let findings = firmware.lint();
        let refused = findings.iter().any(|one| one.severity() == Severity::Error);
        let counted = |rule| {
            matches!(
                rule,
                Rule::SegmentCount | Rule::ImageSize | Rule::NotLoadable
            )
        };
        if findings.iter().all(|one| counted(one.rule)) {
            // Counted when the manifest is written.
            continue;
        }
        assert_eq!(
            signed.is_err(),
            refused,
            "case {index}: {signed:?} {findings:?}"
        );
    }
}

#[test]
fn every_lint_rule_stands_in_the_document_with_its_severity() {
    let document = include_str!("../../docs/corewarden-sign-interface.md");
    let rows: Vec<&str> = document
        .lines()
        .filter(|line| line.starts_with("| `") && line.matches('|').count() == 4)
        .collect();
    for rule in Rule::ALL {
        let row = format!("| `{}` | {} | ", rule.name(), rule.severity().name());
        assert!(rows.iter().any(|line| line.starts_with(&row)), "{row}");
    }
    assert_eq!(rows.len(), Rule::ALL.len());
}

#[test]
fn several_faults_are_told_at_once() {
    let found = Firmware::good().with(|fw| {
        fw.elf.segments[0].flags = 7;
        fw.elf.segments[1].address = 0x2121_0000;
        fw.vectors[0] = 0;
        fw.table.vrings[0][0] = 0;
        fw.table.vrings[1][2] = 3;
    });
    let rules: Vec<Rule> = found.found().iter().map(|(rule, _)| *rule).collect();
    assert_eq!(
        rules,
        [
            Rule::SegmentWritableExecutable,
            Rule::SegmentInSharedWindow,
            Rule::StackOutside,
            Rule::VringOutside,
            Rule::VringDescriptors
        ]
    );
}

#[test]
fn the_fix_is_a_line_with_the_platforms_own_numbers() {
    let outside = Firmware::good().with(|fw| fw.elf.segments[1].address = 0x2300_0000);
    let finding = &outside.lint()[0];
    assert_eq!(
        finding.message,
        "segment 1 (0x23000000..0x23000040) is in no private region of the core; the nearest is ram (0x21000000..0x21200000)"
    );
    assert_eq!(
        finding.fix,
        "MEMORY { RAM : ORIGIN = 0x21000000, LENGTH = 0x200000 } and its sections > RAM"
    );
    let vring = Firmware::good().with(|fw| fw.table.vrings[0][0] = 0x2130_0000);
    assert_eq!(
        vring.lint()[0].message,
        "entry 0, vring 0 (0x21300000..0x21301086) lies outside the vring area of the shared window (0x21202000..0x21208000)"
    );
    assert_eq!(
        vring.lint()[0].fix,
        ".da = FW_RSC_ADDR_ANY (0xffffffff) in the resource table, or an address in 0x21202000..0x21208000"
    );
}

#[test]
fn a_file_that_is_no_elf_is_an_error_and_no_finding() {
    let platform = Firmware::good().platform();
    let core = &platform.cores()[0];
    assert_eq!(lint(b"", core), Err(Error::InputEmpty));
    assert_eq!(lint(b"not an ELF", core), Err(Error::NotElf));
}

proptest::proptest! {
    /// Whatever a linker or an attacker writes: no panic, and what signing refuses has a rule of its own.
    #[test]
    fn lint_is_never_laxer_than_signing(changes in proptest::collection::vec((0..900_usize, proptest::prelude::any::<u8>()), 1..6)) {
        let firmware = Firmware::good();
        let (mut bytes, platform) = (firmware.build(), firmware.platform());
        let core = &platform.cores()[0];
        for (at, value) in changes {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        if let Ok(findings) = lint(&bytes, core) {
            let refused = findings.iter().any(|one| one.severity() == Severity::Error);
            let signed = Image::parse(&bytes).and_then(|image| place(&image, core).map(drop));
            if let Err(error) = signed {
                proptest::prop_assert!(refused, "{error:?}");
                proptest::prop_assert!(findings.iter().all(|one| one.rule != Rule::NotLoadable), "{findings:?}");
            }
        }
    }
}

/// Behind the vector table.
const CODE: u64 = 0x2100_0040;
