//! The resource table: one RPMsg device with two rings, and the log.

use rpmsg::{Agreement, BufferSizes, Features};

use crate::board;

/// Where the vdev entry begins in the table.
pub const VDEV_ENTRY: u32 = 24;
/// Rings of the vdev.
pub const VRINGS: u8 = 2;
/// The service's notify id on ring 0.
pub const NOTIFY_TO_DRIVER: u8 = 0;
/// And on ring 1.
pub const NOTIFY_TO_DEVICE: u8 = 1;

/// Words of the longest table.
pub const LENGTH: usize = 38;

/// What an image offers that asks for buffers of these sizes (rpmsg-features.md, F5), or for none.
pub const fn offer(asked: Option<BufferSizes>) -> Features {
    match asked {
        Some(_) => Features::NAME_SERVICE.with(Features::BUFFER_SIZES),
        None => Features::NAME_SERVICE,
    }
}

/// The words of its table; zeros behind them where it asks for none.
pub const fn words(asked: Option<BufferSizes>) -> [u32; LENGTH] {
    let mut words = [0; LENGTH];
    let (trace_at, config_len) = match asked {
        Some(sizes) => {
            let [a, b, c, d, e, f, g, h, i, j, k] = Agreement::config(sizes);
            words[CONFIG] = u32::from_le_bytes([a, b, c, d]);
            words[CONFIG + 1] = u32::from_le_bytes([e, f, g, h]);
            words[CONFIG + 2] = u32::from_le_bytes([i, j, k, 0]);
            (CONFIG + 3, 11)
        }
        None => (CONFIG, 0),
    };
    let descriptors = board::descriptors(asked);
    let head: [u32; CONFIG] = [
        // version, entries, two reserved, the offsets of the entries
        1,
        2,
        0,
        0,
        VDEV_ENTRY,
        trace_at as u32 * 4,
        // vdev: type, id, notify id, device features, driver features, config length, status and number of rings
        3,
        rpmsg::VIRTIO_ID_RPMSG,
        0,
        offer(asked).low(),
        0,
        config_len,
        (VRINGS as u32) << 8,
        // ring: device address, alignment, descriptors, notify id, reserved
        board::WINDOW + board::VRING_TO_DRIVER,
        board::RING_ALIGN,
        descriptors,
        NOTIFY_TO_DRIVER as u32,
        0,
        board::WINDOW + board::VRING_TO_DEVICE,
        board::RING_ALIGN,
        descriptors,
        NOTIFY_TO_DEVICE as u32,
        0,
    ];
    // type, device address, length, reserved, and the beginning of the name
    let trace = [
        2,
        board::WINDOW + board::TRACE,
        board::TRACE_SIZE,
        0,
        u32::from_le_bytes(*b"echo"),
    ];
    words.split_at_mut(CONFIG).0.copy_from_slice(&head);
    let (_, rest) = words.split_at_mut(trace_at);
    rest.split_at_mut(trace.len()).0.copy_from_slice(&trace);
    words
}

/// Where the configuration stands, behind the rings.
const CONFIG: usize = 23;
