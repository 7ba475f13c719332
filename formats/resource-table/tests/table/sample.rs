//! Tables as firmware for OpenAMP has them, to be edited word by word.

use platform::{File, Platform};
use resource_table::ANY;

/// Where the virtio device of [`Sample::openamp`] lies.
pub(crate) const VDEV: usize = 24;
/// Where its first vring lies.
pub(crate) const VRING0: usize = 52;
/// Where its second vring lies.
pub(crate) const VRING1: usize = 72;
/// Where its trace lies.
pub(crate) const TRACE: usize = 92;

/// A table in the making.
#[derive(Clone)]
pub(crate) struct Sample(Vec<u8>);

impl Sample {
    /// One RPMsg device and one trace, placed as the platform places them.
    pub(crate) fn openamp() -> Self {
        let mut words = vec![1, 2, 0, 0, 24, 92];
        words.extend(vdev(7, 0));
        words.extend([0x2120_2000, 0x1000, 256, 0, 0]);
        words.extend([0x2120_5000, 0x1000, 256, 1, 0]);
        words.extend(trace(0x2120_1000, 0x1000));
        Self::of(words)
    }

    /// An entry with the length of a carveout in front of the others.
    pub(crate) fn with_memory_entry(kind: u32) -> Self {
        let mut words = vec![1, 3, 0, 0, 28, 28 + 56, 28 + 56 + 68];
        words.extend([kind, 0x1000_0000, 0, 0x1000, 0, 0]);
        words.extend(name(b"carveout"));
        words.extend(vdev(7, 0));
        words.extend([ANY, 0x1000, 256, ANY, 0]);
        words.extend([ANY, 0x1000, 256, ANY, 0]);
        words.extend(trace(ANY, 0x100));
        Self::of(words)
    }

    /// Several RPMsg devices of two vrings each, to be placed by the platform, with a configuration space of 8 bytes.
    pub(crate) fn with_vdevs(count: u32, descriptors: u32) -> Self {
        let length = 28 + 40 + 8;
        let first = 16 + 4 * count;
        let mut words = vec![1, count, 0, 0];
        words.extend((0..count).map(|index| first + index * length));
        for _ in 0..count {
            words.extend(vdev(7, 8));
            words.extend([ANY, 16, descriptors, ANY, 0]);
            words.extend([ANY, 16, descriptors, ANY, 0]);
            words.extend([b"conf", b"ig!!"].map(|bytes| u32::from_le_bytes(*bytes)));
        }
        Self::of(words)
    }

    /// Two traces.
    pub(crate) fn with_traces(addresses: [u32; 2], length: u32) -> Self {
        let mut words = vec![1, 2, 0, 0, 24, 72];
        for address in addresses {
            words.extend(trace(address, length));
        }
        Self::of(words)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn word(&mut self, offset: usize, value: u32) {
        self.0[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn pad_to(&mut self, length: usize) {
        self.0.resize(length, 0);
    }

    pub(crate) fn cut_to(&mut self, length: usize) {
        self.0.truncate(length);
    }

    fn of(words: Vec<u32>) -> Self {
        Self(words.into_iter().flat_map(u32::to_le_bytes).collect())
    }
}

/// The platform of the test bed.
pub(crate) fn platform() -> Platform {
    platform_with("", "")
}

/// The platform of the test bed with one edit.
pub(crate) fn platform_with(from: &str, to: &str) -> Platform {
    let text = include_str!("../../../../ta/platforms/qemu-virt.toml");
    assert!(text.contains(from));
    let file: File = toml::from_str(&text.replacen(from, to, 1)).unwrap();
    Platform::try_from(file).unwrap()
}

fn vdev(id: u32, config: u32) -> [u32; 7] {
    [3, id, 0, 1, 0, config, 0x0000_0200]
}

fn trace(address: u32, length: u32) -> Vec<u32> {
    let mut words = vec![2, address, length, 0];
    words.extend(name(b"trace_buf"));
    words
}

fn name(text: &[u8]) -> [u32; 8] {
    let mut bytes = [0; 32];
    bytes[..text.len()].copy_from_slice(text);
    core::array::from_fn(|index| {
        u32::from_le_bytes(bytes[4 * index..4 * index + 4].try_into().unwrap())
    })
}
