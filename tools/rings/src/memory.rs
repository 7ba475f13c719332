//! The window of all measurements: two rings of 256 descriptors, buffers of 512 bytes.

use anyhow::Result;
use corewarden::shared_memory::Window as Mapping;
use rpmsg::{LinkLayout, VringLayout, Window};

/// How the payload is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// As ordinary memory allows.
    Normal,
    /// By aligned words, as device memory needs it.
    Device,
}

/// A window of its own, and where everything is in it.
pub(crate) fn window(kind: Kind) -> Result<(Mapping, LinkLayout)> {
    let (mapping, _descriptor) = Mapping::memfd(usize::try_from(SIZE)?)?;
    let mapping = match kind {
        Kind::Normal => mapping,
        Kind::Device => mapping.as_device_memory(),
    };
    Ok((mapping, layout()?))
}

/// The same with packed rings, which fit where split ones do.
pub(crate) fn packed() -> Result<LinkLayout> {
    let window = Window::new(BASE, SIZE)?;
    let ring = |at: u64| VringLayout::packed(&window, BASE + at, DESCRIPTORS);
    let layout = LinkLayout::new(window, ring(0x2000)?, ring(0x5000)?, BASE + BUFFERS, ROOM)?;
    Ok(layout)
}

pub(crate) fn layout() -> Result<LinkLayout> {
    let window = Window::new(BASE, SIZE)?;
    let ring = |at: u64| VringLayout::new(&window, BASE + at, DESCRIPTORS, 0x1000);
    let layout = LinkLayout::new(window, ring(0x2000)?, ring(0x5000)?, BASE + BUFFERS, ROOM)?;
    Ok(layout)
}

pub(crate) const DESCRIPTORS: u32 = 256;
pub(crate) const CAPACITY: usize = 256;
pub(crate) const BUFFER: u32 = 512;
pub(crate) const SIZE: u32 = 0x10_0000;
const BASE: u64 = 0x2120_0000;
const BUFFERS: u64 = 0x1_0000;
const ROOM: u32 = 2 * DESCRIPTORS * BUFFER;
