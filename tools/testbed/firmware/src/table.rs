#![expect(unsafe_code, reason = "the table must lie in a section of its own")]
//! The resource table: one RPMsg device with two rings, and the log.

use crate::board;

/// Where the vdev entry begins in the table.
pub const VDEV_ENTRY: u32 = 24;
/// Rings of the vdev.
pub const VRINGS: u8 = 2;
/// The service's notify id on ring 0.
pub const NOTIFY_TO_DRIVER: u8 = 0;
/// And on ring 1.
pub const NOTIFY_TO_DEVICE: u8 = 1;

/// The words of the table.
pub const WORDS: [u32; 35] = [
    // version, entries, two reserved, the offsets of the entries
    1,
    2,
    0,
    0,
    VDEV_ENTRY,
    92,
    // vdev: type, id, notify id, device features, driver features, config length, status and number of rings
    3,
    rpmsg::VIRTIO_ID_RPMSG,
    0,
    rpmsg::Features::NAME_SERVICE.low(),
    0,
    0,
    (VRINGS as u32) << 8,
    // ring: device address, alignment, descriptors, notify id, reserved
    board::WINDOW + board::VRING_TO_DRIVER,
    board::RING_ALIGN,
    board::DESCRIPTORS,
    NOTIFY_TO_DRIVER as u32,
    0,
    board::WINDOW + board::VRING_TO_DEVICE,
    board::RING_ALIGN,
    board::DESCRIPTORS,
    NOTIFY_TO_DEVICE as u32,
    0,
    // trace: type, device address, length, reserved, name
    2,
    board::WINDOW + board::TRACE,
    board::TRACE_SIZE,
    0,
    u32::from_le_bytes(*b"echo"),
    0,
    0,
    0,
    0,
    0,
    0,
    0,
];

#[unsafe(link_section = ".resource_table")]
#[used]
static TABLE: [u32; 35] = WORDS;
