//! What each life of a side has done, in a file of its own: it outlives whoever wrote it.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result};
use corewarden::shared_memory::Window;
use rpmsg::SharedMemory as _;

/// One page of numbers for each life; page 0 is for what both are told.
pub(super) struct Board {
    window: Window,
    lives: u32,
}

/// The numbers of one life, written by it alone.
#[derive(Clone, Copy)]
pub(super) struct Page<'a> {
    window: &'a Window,
    at: u32,
}

/// What stands on a page.
#[derive(Clone, Copy)]
pub(super) enum Entry {
    /// 1 for a driver.
    IsDriver,
    /// Which of this life's links it is on.
    Link,
    /// Messages published on this link.
    Sent,
    /// Messages received on this link, and those told as lost.
    Received,
    /// Whose they are.
    PeerLife,
    /// Restarts that were told.
    Told,
    /// Who sent on the link before this one, and on which of their links.
    EndedLife,
    EndedLink,
    /// What was received there, and told as lost.
    EndedReceived,
    /// Messages told as lost, on all links.
    Lost,
    /// Messages received on all links.
    Total,
    /// The last message came, and ours went.
    Done,
}

impl Board {
    pub(super) fn make(path: &Path, lives: u32) -> Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
            .context("the board")?;
        let size = lives.saturating_mul(PAGE).next_multiple_of(0x1000);
        file.set_len(size.into()).context("the board")?;
        Ok(Self {
            window: Window::map(&file, 0, usize::try_from(size)?)?,
            lives,
        })
    }

    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path);
        let file = file.context("the board")?;
        let size = usize::try_from(file.metadata()?.len())?;
        Ok(Self {
            window: Window::map(&file, 0, size)?,
            lives: u32::try_from(size)? / PAGE,
        })
    }

    /// Pages there are.
    pub(super) fn lives(&self) -> u32 {
        self.lives
    }

    pub(super) fn page(&self, life: u32) -> Page<'_> {
        Page {
            window: &self.window,
            at: life * PAGE,
        }
    }

    /// Tells both to come to an end.
    pub(super) fn stop(&self) {
        self.window.store_u32(0, 1, Ordering::Release);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.window.load_u32(0, Ordering::Acquire) == 1
    }
}

impl Page<'_> {
    pub(super) fn read(&self, entry: Entry) -> u32 {
        self.window.load_u32(self.place(entry), Ordering::Acquire)
    }

    pub(super) fn write(&self, entry: Entry, value: u32) {
        let at = self.place(entry);
        self.window.store_u32(at, value, Ordering::Release);
    }

    pub(super) fn add(&self, entry: Entry, value: u32) {
        self.write(entry, self.read(entry).wrapping_add(value));
    }

    fn place(&self, entry: Entry) -> u32 {
        self.at + 4 * entry as u32
    }
}

/// A cache line.
const PAGE: u32 = 64;
