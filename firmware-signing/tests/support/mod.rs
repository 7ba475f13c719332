//! A folder of its own for each test.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use firmware_signing::sample::Elf;
use tempfile::TempDir;

/// A folder with an ELF in it.
pub(crate) struct Desk {
    folder: TempDir,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        std::fs::write(folder.path().join("fw.elf"), Elf::qemu_virt().build()).expect("written");
        Self { folder }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// corewarden-sign with nothing of our environment but the PATH.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_corewarden-sign"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command
    }

    /// The platform file of the test bed.
    pub(crate) fn platform(&self) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ta/platforms/qemu-virt.toml");
        path.display().to_string()
    }

    /// The device class of that platform.
    pub(crate) fn device_class(&self) -> String {
        let text = std::fs::read_to_string(self.platform()).expect("there");
        let file: platform::File = toml::from_str(&text).expect("TOML");
        let platform = platform::Platform::try_from(file).expect("a platform");
        platform.device_class().to_string()
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
