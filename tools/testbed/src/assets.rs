//! Where the unpacked parts of the test bed are.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Result, process};

/// Everything that came out of Debian's packages, unpacked and ready.
#[derive(Clone, Debug)]
pub struct Assets {
    /// The emulators.
    pub qemu: Qemu,
    /// The arm64 kernel, a raw Image.
    pub kernel: PathBuf,
    /// Kernel modules, plain, in the order of loading.
    pub modules: Vec<PathBuf>,
    /// Root of the arm64 userland: busybox, C library, tee-supplicant, libteec.
    pub userland: PathBuf,
    /// `TA_DEV_KIT_DIR` of OP-TEE's user TAs.
    pub dev_kit: PathBuf,
    /// `OPTEE_CLIENT_EXPORT`: a folder whose `usr/lib` has libteec for the linker.
    pub client_export: PathBuf,
    /// OP-TEE's own remoteproc TA, as Debian signed it: a negative input for tests.
    pub c_ta: PathBuf,
    /// OP-TEE's source tree; never written to.
    pub optee_source: PathBuf,
    /// Trusted Firmware-A's source tree; never written to.
    pub trusted_firmware_source: PathBuf,
    /// The cache folder that all of this is in; slow builds go there too.
    pub(crate) cache: crate::Cache,
}

/// The emulators, as the system has them or as unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Qemu {
    /// The system's own, which is of the pinned series.
    System,
    /// Unpacked into this folder; runs through the C library it came with.
    Unpacked(PathBuf),
}

impl Qemu {
    /// The machine that runs Linux and OP-TEE.
    pub fn aarch64(&self) -> Command {
        self.program("qemu-system-aarch64")
    }

    /// The machine that runs the coprocessor.
    pub fn arm(&self) -> Command {
        self.program("qemu-system-arm")
    }

    /// The first line of `--version`.
    pub fn version(&self) -> Result<String> {
        let text = process::read(self.aarch64().arg("--version"))?;
        Ok(text.lines().next().unwrap_or_default().to_owned())
    }

    /// The system's emulators, where both are of `series`.
    pub(crate) fn of_system(series: &str) -> Option<Self> {
        let fits = |mut command: Command| {
            process::read(command.arg("--version")).is_ok_and(|text| reports_series(&text, series))
        };
        (fits(Self::System.aarch64()) && fits(Self::System.arm())).then_some(Self::System)
    }

    fn program(&self, name: &str) -> Command {
        match self {
            Self::System => Command::new(Path::new("/usr/bin").join(name)),
            Self::Unpacked(root) => unpacked_program(root, name),
        }
    }
}

/// A program of an unpacked amd64 tree, run by that tree's own loader: nothing of the host's libraries takes part.
pub(crate) fn unpacked_program(root: &Path, name: &str) -> Command {
    let libraries = root.join("usr/lib/x86_64-linux-gnu");
    let mut command = Command::new(libraries.join("ld-linux-x86-64.so.2"));
    command
        .arg("--library-path")
        .arg(&libraries)
        .arg(root.join("usr/bin").join(name))
        .arg("-L")
        .arg(root.join("usr/share/qemu"));
    command
}

/// Whether `text` is the `--version` of a QEMU of `series`, such as 10.0.
fn reports_series(text: &str, series: &str) -> bool {
    text.split_whitespace()
        .skip_while(|word| *word != "version")
        .nth(1)
        .and_then(|version| version.strip_prefix(series))
        .is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_pinned_series_of_the_systems_emulator_is_used() {
        assert!(reports_series(
            "QEMU emulator version 10.0.13 (Debian 1:10)\nCopyright",
            "10.0"
        ));
        assert!(!reports_series(
            "QEMU emulator version 7.2.22 (Debian)",
            "10.0"
        ));
        assert!(!reports_series("QEMU emulator version 10.01", "10.0"));
        assert!(!reports_series("", "10.0"));
    }
}
