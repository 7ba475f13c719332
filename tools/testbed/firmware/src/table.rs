//! The resource table: one RPMsg device with two rings, and the log.

use rpmsg::{Agreement, Features};

use crate::board;
use crate::echo::Image;

/// Where the vdev entry begins in the table.
pub const VDEV_ENTRY: u32 = 24;
/// Rings of the vdev.
pub const VRINGS: u8 = 2;
/// The service's notify id on ring 0.
pub const NOTIFY_TO_DRIVER: u8 = 0;
/// And on ring 1.
pub const NOTIFY_TO_DEVICE: u8 = 1;

/// Words of the longest table.
pub const LENGTH: usize = CONFIG + LONGEST_CONFIG / 4 + TRACE;

/// What an image offers (rpmsg-features.md, F5 and F11).
pub const fn offer(image: &Image) -> Features {
    let mut offer = Features::NAME_SERVICE;
    if image.asks_for.is_some() {
        offer = offer.with(Features::BUFFER_SIZES);
    }
    if image.packed {
        offer = offer
            .with(Features::EVENT_INDEX)
            .with(Features::VERSION_1)
            .with(Features::PACKED_RING);
    }
    offer
}

/// The configuration by which it asks for buffers, and how long it is.
pub const fn config(image: &Image) -> ([u8; LONGEST_CONFIG], usize) {
    let mut config = [0; LONGEST_CONFIG];
    match image.asks_for {
        Some(sizes) => {
            let form = Agreement::config(sizes);
            config.split_at_mut(form.len()).0.copy_from_slice(&form);
            (config, form.len())
        }
        None => (config, 0),
    }
}

/// The words of its table; zeros behind them where it is shorter than others.
pub const fn words(image: &Image) -> [u32; LENGTH] {
    let mut words = [0; LENGTH];
    let [features, upper] = offer(image).in_table();
    let (mut config, mut config_len) = config(image);
    if upper != 0 {
        let (_, rest) = config.split_at_mut(config_len);
        rest.split_at_mut(4).0.copy_from_slice(&upper.to_le_bytes());
        config_len += 4;
    }
    let mut trace_at = CONFIG;
    let mut rest = config.as_slice();
    while let Some((word, others)) = rest.split_first_chunk()
        && (trace_at - CONFIG) * 4 < config_len
    {
        words[trace_at] = u32::from_le_bytes(*word);
        trace_at += 1;
        rest = others;
    }
    let descriptors = board::descriptors(image.asks_for);
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
        features,
        0,
        config_len as u32,
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
/// Words of the log's entry.
const TRACE: usize = 12;
/// Buffer sizes as Linux reads them, and the word of features above 31.
const LONGEST_CONFIG: usize = 16;
