//! One accepting and one refusing test for every rule of a platform file.

use platform::{AreaName, Error, File, Owner, Place, Platform};
use ta_protocol::Login;

const QEMU_VIRT: &str = include_str!("../../../ta/platforms/qemu-virt.toml");
const QEMU_VIRT_TEST: &str = include_str!("../../../ta/platforms/qemu-virt-test.toml");

#[test]
fn the_platform_files_of_the_tree_keep_every_rule() {
    for text in [QEMU_VIRT, QEMU_VIRT_TEST] {
        let platform = read(text).unwrap();
        assert_eq!(platform.required_slots(), 1);
        assert_eq!(
            platform.device_class().to_string(),
            "6f1d5e0c-6a0f-4b53-9c7d-2f0c0e5a7b11"
        );
        let core = platform.core(0).unwrap();
        assert_eq!(core.private_regions()[0].physical(), 0x0ee0_0000);
        assert_eq!(core.shared().physical(), 0x8000_0000);
        assert!(core.allows(Login::Public) && core.allows(Login::Kernel));
        assert_eq!(platform.core(3), None);
    }
}

#[test]
fn the_test_platform_differs_by_two_cores_only() {
    let shared = read(QEMU_VIRT).unwrap();
    let test = read(QEMU_VIRT_TEST).unwrap();
    assert_eq!(shared.cores(), &test.cores()[..1]);
    let attached = test.core(1).unwrap();
    assert_eq!(attached.control(), platform::Control::AttachOnly);
    let kernels = test.core(2).unwrap();
    assert!(kernels.allows(Login::Kernel) && !kernels.allows(Login::Public));
}

#[test]
fn the_embedded_form_reads_back_to_the_same_platform() {
    let file: File = toml::from_str(QEMU_VIRT_TEST).unwrap();
    let bytes = postcard::to_allocvec(&file).unwrap();
    let (back, rest) = postcard::take_from_bytes::<File>(&bytes).unwrap();
    assert_eq!(back, file);
    assert!(rest.is_empty());
}

#[test]
fn an_address_of_the_core_is_translated_where_it_lies_in_one_memory() {
    let platform = read(QEMU_VIRT).unwrap();
    let core = platform.core(0).unwrap();
    assert_eq!(core.to_physical(0x2100_0000, 4), Some(0x0ee0_0000));
    assert_eq!(core.to_physical(0x211f_fffc, 4), Some(0x0eff_fffc));
    assert_eq!(core.to_physical(0x2120_2000, 0x1000), Some(0x8000_2000));
    // The region and the window are neighbours: nothing may span both.
    assert_eq!(core.to_physical(0x211f_fffc, 8), None);
    assert_eq!(core.to_physical(0x20ff_ffff, 4), None);
    assert_eq!(core.to_physical(0x2200_0000, 4), None);
    assert_eq!(core.to_physical(u64::MAX, 4), None);
    assert_eq!(core.to_physical(0x2100_0000, 0), None);
    assert!(matches!(
        core.locate(0x2120_0000, 1),
        Some(Place::Shared(_))
    ));
    assert!(core.private_region(0x2100_0000, 0x20_0000).is_some());
    assert!(core.private_region(0x2120_0000, 1).is_none());
    assert!(core.touches_shared(0x211f_fffc, 8));
    assert!(!core.touches_shared(0x211f_fffc, 4));
}

/// An edit of a good file: replace the first by the second, and meet the error.
struct Case(&'static str, &'static str, &'static str, Error);

#[test]
fn each_broken_rule_is_named() {
    let long_name = "a23456789012345678901234567890123";
    assert_eq!(long_name.len(), platform::MAX_NAME + 1);
    let cases = [
        Case(
            "area overlap",
            "0x2000, size = 0x6000",
            "0x1000, size = 0x6000",
            Error::AreaOverlap {
                core: 0,
                one: AreaName::Trace,
                two: AreaName::Vrings,
            },
        ),
        Case(
            "area outside the window",
            "offset = 0x10000, size = 0x40000",
            "offset = 0xde0000, size = 0x40000",
            area(AreaName::Buffers, 0xde_0000, 0x4_0000),
        ),
        Case(
            "unaligned area",
            "offset = 0x2000, size = 0x6000",
            "offset = 0x2010, size = 0x6000",
            area(AreaName::Vrings, 0x2010, 0x6000),
        ),
        Case(
            "area wraps",
            "offset = 0x10000, size = 0x40000",
            "offset = 0x7ffffffffffff000, size = 0x7ffffffffffff000",
            area(
                AreaName::Buffers,
                0x7fff_ffff_ffff_f000,
                0x7fff_ffff_ffff_f000,
            ),
        ),
        Case(
            "table area of two pages",
            "offset = 0x0, size = 0x1000",
            "offset = 0x0, size = 0x2000",
            area(AreaName::Table, 0, 0x2000),
        ),
        Case(
            "no vrings area",
            "offset = 0x2000, size = 0x6000",
            "offset = 0x2000, size = 0x0",
            area(AreaName::Vrings, 0x2000, 0),
        ),
        Case(
            "no buffers area",
            "offset = 0x10000, size = 0x40000",
            "offset = 0x10000, size = 0x0",
            area(AreaName::Buffers, 0x1_0000, 0),
        ),
        Case(
            "boot address in the window",
            "boot-address = 0x21000000",
            "boot-address = 0x21200000",
            Error::BootAddress {
                core: 0,
                address: 0x2120_0000,
            },
        ),
        Case(
            "boot address at the last byte",
            "boot-address = 0x21000000",
            "boot-address = 0x211fffff",
            Error::BootAddress {
                core: 0,
                address: 0x211f_ffff,
            },
        ),
        Case(
            "root below the tree",
            "keys/dev-root.pem",
            "../dev-root.pem",
            Error::RootFile { root: 0 },
        ),
        Case(
            "absolute root",
            "keys/dev-root.pem",
            "/dev-root.pem",
            Error::RootFile { root: 0 },
        ),
        Case(
            "insecure core without the name",
            "isolation = \"required\"",
            "isolation = \"insecure-none\"",
            Error::InsecureName { core: 0 },
        ),
        Case(
            "no login",
            "[\"public\", \"kernel\"]",
            "[]",
            Error::Logins { core: 0 },
        ),
        Case(
            "login twice",
            "[\"public\", \"kernel\"]",
            "[\"kernel\", \"kernel\"]",
            Error::Logins { core: 0 },
        ),
        Case(
            "empty name",
            "name = \"m4\"",
            "name = \"\"",
            Error::Name {
                owner: Owner::Core(0),
            },
        ),
        Case(
            "long name",
            "name = \"m4\"",
            "name = \"a23456789012345678901234567890123\"",
            Error::Name {
                owner: Owner::Core(0),
            },
        ),
        Case(
            "name with a space",
            "name = \"qemu-virt\"",
            "name = \"qemu virt\"",
            Error::Name {
                owner: Owner::Platform,
            },
        ),
        Case(
            "region's name",
            "name = \"ram\"",
            "name = \"RAM\"",
            Error::Name {
                owner: Owner::Region(0, 0),
            },
        ),
        Case(
            "doorbell with a slash",
            "coproc.db",
            "../coproc",
            Error::Name {
                owner: Owner::Doorbell(0),
            },
        ),
        Case(
            "private region in the window, physically",
            "physical = 0x0ee00000",
            "physical = 0x80400000",
            Error::Overlap {
                core: 0,
                other: 0,
                address: 0x8000_0000,
            },
        ),
        Case(
            "private region in the window, for the core",
            "device = 0x21200000",
            "device = 0x21100000",
            Error::Overlap {
                core: 0,
                other: 0,
                address: 0x2110_0000,
            },
        ),
        Case(
            "unaligned region",
            "physical = 0x0ee00000",
            "physical = 0x0ee00800",
            range(0x0ee0_0800, 0x20_0000),
        ),
        Case(
            "empty region",
            "size = 0x200000",
            "size = 0x0",
            range(0x2100_0000, 0),
        ),
        Case(
            "unaligned size",
            "size = 0x200000",
            "size = 0x200001",
            range(0x2100_0000, 0x20_0001),
        ),
        Case(
            "huge region",
            "size = 0x200000",
            "size = 0x100001000",
            range(0x2100_0000, 0x1_0000_1000),
        ),
        Case(
            "unaligned window",
            "device = 0x21200000",
            "device = 0x21200001",
            range(0x2120_0001, 0xe0_0000),
        ),
        Case(
            "slot out of range",
            "slot = 0",
            "slot = 2",
            Error::Slot { slot: 2 },
        ),
        Case(
            "no root for a required slot",
            "slots = [0]",
            "slots = [0, 1]",
            Error::Slot { slot: 1 },
        ),
        Case(
            "slot required twice",
            "slots = [0]",
            "slots = [0, 0]",
            Error::Slot { slot: 0 },
        ),
        Case(
            "no slot required",
            "slots = [0]",
            "slots = []",
            Error::Slot { slot: 0 },
        ),
        Case(
            "virtio id 0",
            "further-vdevs = []",
            "further-vdevs = [0]",
            Error::VirtioIds { core: 0 },
        ),
        Case(
            "virtio id 7 again",
            "further-vdevs = []",
            "further-vdevs = [3, 7]",
            Error::VirtioIds { core: 0 },
        ),
        Case(
            "virtio ids unsorted",
            "further-vdevs = []",
            "further-vdevs = [5, 3]",
            Error::VirtioIds { core: 0 },
        ),
    ];
    for Case(name, from, to, error) in cases {
        assert!(QEMU_VIRT.contains(from), "{name}");
        let text = QEMU_VIRT.replacen(from, to, 1);
        assert_eq!(read(&text).unwrap_err(), error, "{name}");
    }
}

#[test]
fn what_the_rules_allow_is_accepted() {
    let cases = [
        (
            "no trace area",
            "offset = 0x1000, size = 0x1000",
            "offset = 0x1000, size = 0x0",
        ),
        ("no boot address", "boot-address = 0x21000000", ""),
        (
            "boot address inside",
            "boot-address = 0x21000000",
            "boot-address = 0x211ffffe",
        ),
        (
            "a core that admits being insecure",
            "name = \"m4\"",
            "name = \"m4-insecure\"",
        ),
        (
            "a longest name",
            "name = \"m4\"",
            "name = \"a2345678901234567890123456789012\"",
        ),
        (
            "further virtio ids",
            "further-vdevs = []",
            "further-vdevs = [3, 5, 19]",
        ),
        ("one login", "[\"public\", \"kernel\"]", "[\"kernel\"]"),
        (
            "entries dropped",
            "other-entries = \"refuse\"",
            "other-entries = \"drop\"",
        ),
        (
            "buffers to the window's end",
            "offset = 0x10000, size = 0x40000",
            "offset = 0xdc0000, size = 0x40000",
        ),
    ];
    for (name, from, to) in cases {
        assert!(QEMU_VIRT.contains(from), "{name}");
        let text = QEMU_VIRT.replacen(from, to, 1);
        assert!(read(&text).is_ok(), "{name}");
    }
    let insecure = QEMU_VIRT
        .replace("name = \"m4\"", "name = \"m4-insecure\"")
        .replace("isolation = \"required\"", "isolation = \"insecure-none\"");
    let platform = read(&insecure).unwrap();
    assert_eq!(
        platform.core(0).unwrap().isolation(),
        platform::Isolation::InsecureNone
    );
}

#[test]
fn cores_must_be_sorted_named_and_placed_apart() {
    let second = |from: &str, to: &str| {
        let at = QEMU_VIRT_TEST.find("id = 1").unwrap();
        let (head, tail) = QEMU_VIRT_TEST.split_at(at);
        assert!(tail.contains(from));
        read(&format!("{head}{}", tail.replacen(from, to, 1))).unwrap_err()
    };
    assert_eq!(
        second("id = 1", "id = 0"),
        Error::CoreIds { core: 1, id: 0 }
    );
    assert_eq!(
        second("id = 1", "id = 2"),
        Error::CoreIds { core: 2, id: 2 }
    );
    assert_eq!(
        second("\"attached\"", "\"m4\""),
        Error::Name {
            owner: Owner::Core(1)
        }
    );
    assert_eq!(
        second("physical = 0x0d000000", "physical = 0x0ee00000"),
        Error::Overlap {
            core: 0,
            other: 1,
            address: 0x0ee0_0000
        }
    );
    let twice = QEMU_VIRT.replace(
        "[core.shared]",
        "[[core.private]]\nname = \"ram\"\ndevice = 0x0\nphysical = 0x0\nsize = 0x1000\n[core.shared]",
    );
    assert_eq!(
        read(&twice).unwrap_err(),
        Error::Name {
            owner: Owner::Region(0, 1)
        }
    );
    assert!(read(&twice.replacen("\"ram\"", "\"rom\"", 1)).is_ok());
    let root = "[[root]]\nfile = \"keys/dev-root.pem\"\nslot = 0\n";
    assert!(QEMU_VIRT.contains(root));
    assert_eq!(
        read(&QEMU_VIRT.replace(root, &root.repeat(2))).unwrap_err(),
        Error::RootFile { root: 1 }
    );
    // Two cores may use the same addresses of their own.
    let (head, tail) = QEMU_VIRT_TEST.split_at(QEMU_VIRT_TEST.find("id = 1").unwrap());
    let same = tail.replacen("= 0x22000000", "= 0x21000000", 2).replacen(
        "= 0x22200000",
        "= 0x21200000",
        1,
    );
    assert!(read(&format!("{head}{same}")).is_ok());
}

#[test]
fn counts_are_bounded() {
    let (head, core) = QEMU_VIRT.split_at(QEMU_VIRT.find("[[core]]").unwrap());
    let no_cores = head.replace("[[root]]", "core = []\n[[root]]");
    assert_eq!(
        read(&no_cores).unwrap_err(),
        Error::CountOfCores {
            count: 0,
            limit: 16
        }
    );
    let many: String = (0..17)
        .map(|id| core.replace("id = 0", &format!("id = {id}")))
        .collect();
    assert_eq!(
        read(&format!("{head}{many}")).unwrap_err(),
        Error::CountOfCores {
            count: 17,
            limit: 16
        }
    );

    let region = |index: u64| {
        let offset = index * 0x1000;
        format!(
            "[[core.private]]\nname = \"r{index}\"\ndevice = {:#x}\nphysical = {:#x}\nsize = 0x1000\n",
            0x2100_0000 + offset,
            0x0ee0_0000 + offset
        )
    };
    let (before, rest) = QEMU_VIRT.split_at(QEMU_VIRT.find("[[core.private]]").unwrap());
    let (_, after) = rest.split_at(rest.find("[core.shared]").unwrap());
    let with = |count| {
        let regions: String = (0..count).map(region).collect();
        read(&format!("{before}{regions}{after}"))
    };
    assert!(with(16).is_ok());
    assert_eq!(
        with(17).unwrap_err(),
        Error::CountOfRegions {
            core: 0,
            count: 17,
            limit: 16
        }
    );
    let none = QEMU_VIRT.replace(
        "doorbell = \"coproc.db\"",
        "doorbell = \"coproc.db\"\nprivate = []",
    );
    let (before, rest) = none.split_at(none.find("[[core.private]]").unwrap());
    let (_, after) = rest.split_at(rest.find("[core.shared]").unwrap());
    assert_eq!(
        read(&format!("{before}{after}")).unwrap_err(),
        Error::CountOfRegions {
            core: 0,
            count: 0,
            limit: 16
        }
    );

    let root = |index| format!("[[root]]\nfile = \"keys/{index}\"\nslot = 0\n");
    let (before, rest) = QEMU_VIRT.split_at(QEMU_VIRT.find("[[root]]").unwrap());
    let (_, after) = rest.split_at(rest.find("[[core]]").unwrap());
    let with = |count| {
        let roots: String = (0..count).map(root).collect();
        read(&format!("{before}{roots}{after}"))
    };
    assert!(with(16).is_ok());
    assert_eq!(
        with(17).unwrap_err(),
        Error::CountOfRoots {
            count: 17,
            limit: 16
        }
    );
}

#[test]
fn unknown_keys_and_values_are_refused_wherever_they_stand() {
    for (from, to) in [
        ("role = \"development\"", "role = \"dev\""),
        (
            "role = \"development\"",
            "role = \"development\"\ncolour = 1",
        ),
        ("slot = 0", "slot = 0\ncolour = 1"),
        ("control = \"ta\"", "control = \"linux\""),
        ("control = \"ta\"", "control = \"ta\"\ncolour = 1"),
        ("\"arm-m\"", "\"armv7\""),
        ("\"upstream\"", "\"downstream\""),
        ("[\"public\", \"kernel\"]", "[\"root\"]"),
        ("size = 0x200000", "size = 0x200000\ncolour = 1"),
        ("size = 0xe00000", "size = 0xe00000\ncolour = 1"),
        (
            "{ offset = 0x0, size = 0x1000 }",
            "{ offset = 0x0, size = 0x1000, colour = 1 }",
        ),
        ("further-vdevs = []", "further-vdevs = []\ncolour = 1"),
        ("6f1d5e0c-6a0f", "6F1D5E0C-6a0f"),
        ("size = 0x200000", "size = -1"),
    ] {
        assert!(QEMU_VIRT.contains(from), "{from}");
        let text = QEMU_VIRT.replacen(from, to, 1);
        assert!(toml::from_str::<File>(&text).is_err(), "{to}");
    }
}

fn read(text: &str) -> Result<Platform, Error> {
    let file: File = toml::from_str(text).unwrap();
    Platform::try_from(file)
}

fn area(area: AreaName, offset: u64, size: u64) -> Error {
    Error::AreaRange {
        core: 0,
        area,
        offset,
        size,
    }
}

fn range(address: u64, size: u64) -> Error {
    Error::Range {
        core: 0,
        address,
        size,
    }
}
