//! What to run, and where a test may let it go wrong.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::Qemu;

/// What to run.
#[derive(Clone, Debug)]
pub struct Config {
    /// Appended to Linux' command line.
    pub append: String,
    /// Further arguments of QEMU A.
    pub extra: Vec<OsString>,
    /// TF-A and OP-TEE.
    pub flash: PathBuf,
    /// The initramfs; its init must give a shell on the console after the ready line.
    pub initrd: PathBuf,
    /// Linux, a raw arm64 image.
    pub kernel: PathBuf,
    /// The whole run ends after this time, whatever happens.
    pub limit: Duration,
    /// The run folder; made if it does not exist, never removed.
    pub logs: PathBuf,
    /// Panic in the supervisor at this point: for the tests of what is left behind then.
    pub panic_at: Option<PanicPoint>,
    /// Which QEMU.
    pub qemu: Qemu,
    /// Keep a second kernel and initramfs at [`SUCCESSOR`], in RAM that Linux is told to leave alone, so that it can start
    /// another one from there (kexec).
    pub successor: bool,
}

/// Where the kernel and the initramfs lie with which a running Linux can be replaced.
pub const SUCCESSOR: [u64; 2] = [0x7800_0000, 0x7b00_0000];

/// Named points at which a test may let the supervisor panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PanicPoint {
    /// A runs, nothing else has been done.
    BoardSpawned,
    /// A executes, start is about to succeed.
    BoardRunning,
    /// B was just spawned.
    CoreReleased,
    /// B answered for the first time.
    CoreUp,
    /// B has ended by itself.
    CoreDied,
    /// Linux rang the doorbell.
    LinuxRang,
}

impl Config {
    /// These images under this QEMU, with a shell that does not echo, for at most two minutes.
    pub fn new(
        qemu: Qemu,
        kernel: PathBuf,
        flash: PathBuf,
        initrd: PathBuf,
        logs: PathBuf,
    ) -> Self {
        Self {
            append: "corewarden.quiet".to_owned(),
            extra: Vec::new(),
            flash,
            initrd,
            kernel,
            limit: Duration::from_secs(120),
            logs,
            panic_at: None,
            qemu,
            successor: false,
        }
    }

    pub(super) fn panic_at(&self, point: PanicPoint) {
        assert!(self.panic_at != Some(point), "asked to panic at {point:?}");
    }
}

impl PanicPoint {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::BoardSpawned,
        Self::BoardRunning,
        Self::CoreReleased,
        Self::CoreUp,
        Self::CoreDied,
        Self::LinuxRang,
    ];
}
