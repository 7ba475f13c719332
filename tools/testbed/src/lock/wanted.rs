//! What the lock file is made from: packages by name and suite, before anyone asked which versions there are.

use super::Group;

/// One package to pin.
pub(super) struct Wanted {
    pub(super) name: &'static str,
    pub(super) architecture: &'static str,
    pub(super) suite: &'static str,
    pub(super) series: Option<&'static str>,
    pub(super) group: Group,
}

const fn wanted(
    group: Group,
    suite: &'static str,
    architecture: &'static str,
    name: &'static str,
) -> Wanted {
    Wanted {
        name,
        architecture,
        suite,
        series: None,
        group,
    }
}

/// Packages that are pinned by name. Sets of different suites do not mix: OP-TEE of trixie trusts another TA key.
pub(super) const PACKAGES: &[Wanted] = &[
    wanted(Group::Userland, "sid", "arm64", "busybox-static"),
    wanted(Group::Userland, "sid", "arm64", "libc6"),
    wanted(Group::Userland, "sid", "arm64", "libgcc-s1"),
    wanted(Group::Userland, "sid", "arm64", "libteec2"),
    wanted(Group::Userland, "sid", "arm64", "optee-client-dev"),
    Wanted {
        series: Some("4.10"),
        ..wanted(Group::Userland, "sid", "arm64", "optee-os-dev")
    },
    wanted(Group::Userland, "sid", "arm64", "tee-supplicant"),
    wanted(Group::Userland, "sid", "arm64", "zlib1g"),
];

/// Sources that are pinned by name; TF-A's version is the one that was seen to build, whatever else its suite has.
pub(super) const SOURCES: &[Wanted] = &[
    Wanted {
        series: Some("4.10"),
        ..wanted(Group::OpteeOs, "sid", super::SOURCE, "optee-os")
    },
    Wanted {
        series: Some("2.12.1"),
        ..wanted(
            Group::TrustedFirmware,
            "trixie",
            super::SOURCE,
            "arm-trusted-firmware",
        )
    },
];

/// The package that depends on the current kernel of its suite, whose own name changes with every update.
pub(super) const KERNEL: Wanted = Wanted {
    series: Some("6.12"),
    ..wanted(Group::Kernel, "trixie", "arm64", "linux-image-arm64")
};

/// What the name of the package with the kernel in it begins with.
pub(super) const KERNEL_PREFIX: &str = "linux-image-";

/// QEMU; 10.0 does power-off and reset with an intercepted PL061, 11.1 does not.
pub(super) const QEMU: Wanted = Wanted {
    series: Some("10.0"),
    ..wanted(Group::Qemu, "trixie", "amd64", "qemu-system-arm")
};

/// Packages of QEMU's closure that are kept although no program links to a file of theirs.
pub(super) const QEMU_PARTS: &[&str] =
    &["qemu-system-arm", "qemu-system-common", "qemu-system-data"];
