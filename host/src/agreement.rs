//! What the device of a link offers and its driver accepts, and where that stands (rpmsg-features.md 3).

use std::sync::atomic::Ordering;

use rpmsg::{Agreement, BufferSizes, Features, SharedMemory, StatusWord};
use serde::{Deserialize, Serialize};

/// Where a link's features stand.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Terms {
    /// In a resource table: what we agree on with the firmware follows from the secure world's copy of it (F9).
    Table(Agreement),
    /// In two lines of the table page, between processes (F10).
    Lines(Lines),
}

/// Between processes, what follows from how they divided the window, and where the rest stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lines {
    /// Offset of the table page.
    pub(crate) page: u32,
    /// Bytes of the buffers for which there is room.
    pub(crate) sizes: BufferSizes,
    /// Each side owns the buffers that it sends in (rpmsg-rings.md 4).
    pub(crate) symmetric: bool,
}

impl Terms {
    /// A device: says what it offers, before it says that it is there (L2).
    pub(crate) fn offer<M: SharedMemory>(self, memory: &M, known: Features) {
        if let Terms::Lines(lines) = self {
            let mut line = [0; 24];
            let (head, config) = line.split_at_mut(12);
            head.copy_from_slice(&words(lines.known(known)));
            for (to, from) in config.iter_mut().zip(lines.config()) {
                *to = from;
            }
            write(memory, lines.page.saturating_add(OFFERED), &line);
        }
    }

    /// A driver: what it accepts, once the device has left the rings (L5).
    pub(crate) fn agree<M: SharedMemory>(
        self,
        memory: &M,
        known: Features,
    ) -> Result<Agreement, rpmsg::Error> {
        match self {
            Terms::Table(agreement) => Ok(agreement.within(known)),
            Terms::Lines(lines) => {
                let line: [u8; 24] = read(memory, lines.page.saturating_add(OFFERED));
                let (offer, config) = offered(&line);
                Agreement::of_driver(offer, config, lines.known(known))
            }
        }
    }

    /// A driver: writes it, before it is ready (L6).
    pub(crate) fn accept<M: SharedMemory>(
        self,
        memory: &M,
        status: &StatusWord,
        agreement: &Agreement,
    ) {
        match self {
            Terms::Table(_) => status.accept(memory, agreement.features()),
            Terms::Lines(lines) => {
                let line = words(agreement.features());
                write(memory, lines.page.saturating_add(ACCEPTED), &line);
            }
        }
    }

    /// A device: what its driver accepted, as it joins (L7). A table's device is its firmware, which knows by itself.
    pub(crate) fn accepted<M: SharedMemory>(
        self,
        memory: &M,
        known: Features,
    ) -> Result<Agreement, rpmsg::Error> {
        let Terms::Lines(lines) = self else {
            return Ok(Agreement::default());
        };
        let line: [u8; 12] = read(memory, lines.page.saturating_add(ACCEPTED));
        Agreement::of_device(lines.known(known), &lines.config(), features(&line))
    }

    /// A device of a symmetric link: what there will be, as its ring is prepared before anything is accepted (F13).
    pub(crate) fn foreseen(self, known: Features) -> Result<Agreement, rpmsg::Error> {
        match self {
            Terms::Table(agreement) => Ok(agreement),
            Terms::Lines(lines) => {
                let offer = lines.known(known);
                Agreement::of_device(offer, &lines.config(), offer)
            }
        }
    }

    /// Whether each side owns the buffers that it sends in. No firmware's link is: what a table offers is accepted by [`KNOWN`].
    pub(crate) fn is_symmetric(&self) -> bool {
        matches!(
            self,
            Terms::Lines(Lines {
                symmetric: true,
                ..
            })
        )
    }
}

impl Lines {
    /// What we do of what we would do at most: whether the link is symmetric is not for that to say.
    fn known(&self, most: Features) -> Features {
        match self.symmetric {
            true => most
                .with(Features::SYMMETRIC)
                .with(Features::BUFFER_SIZES)
                .with(Features::VERSION_1),
            false => most.without(Features::SYMMETRIC),
        }
    }

    fn config(&self) -> [u8; 11] {
        Agreement::config(self.sizes)
    }
}

/// What was agreed on, for people and programs.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Agreed {
    /// The names of the features that both sides have.
    pub features: Vec<String>,
    /// Bytes of a buffer in which the device sends, its header included; 0 where the driver did not say.
    pub buffer_to_driver: u32,
    /// Bytes of one in which the driver sends.
    pub buffer_to_device: u32,
}

impl Agreed {
    pub(crate) fn new(features: Features, sizes: Option<BufferSizes>) -> Self {
        let names = NAMES.iter().filter(|(bit, _)| features.has(*bit));
        Agreed {
            features: names.map(|(_, name)| (*name).to_owned()).collect(),
            buffer_to_driver: sizes.map_or(0, |sizes| sizes.to_driver),
            buffer_to_device: sizes.map_or(0, |sizes| sizes.to_device),
        }
    }
}

impl std::fmt::Display for Agreed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let features = match self.features.as_slice() {
            [] => "no feature".to_owned(),
            features => features.join(", "),
        };
        match (self.buffer_to_driver, self.buffer_to_device) {
            (0, _) | (_, 0) => f.write_str(&features),
            (driver, device) => write!(
                f,
                "{features}; buffers of {driver} bytes to the driver, {device} to the device"
            ),
        }
    }
}

/// The two words of a line's features, behind its magic.
fn words(features: Features) -> [u8; 12] {
    let [a, b, c, d] = MAGIC.to_le_bytes();
    let [e, f, g, h, i, j, k, l] = features.bits().to_le_bytes();
    [a, b, c, d, e, f, g, h, i, j, k, l]
}

/// What a line says; nothing where nobody wrote it.
fn features(line: &[u8; 12]) -> Features {
    let [a, b, c, d, bits @ ..] = *line;
    match u32::from_le_bytes([a, b, c, d]) {
        MAGIC => Features::from_bits(u64::from_le_bytes(bits)),
        _ => Features::default(),
    }
}

fn offered(line: &[u8; 24]) -> (Features, &[u8]) {
    match line.split_first_chunk() {
        Some((head, [config @ .., _])) => (features(head), config),
        _ => (Features::default(), &[]),
    }
}

/// Each word once.
fn read<M: SharedMemory, const N: usize>(memory: &M, at: u32) -> [u8; N] {
    memory.invalidate(at, LINE);
    let mut line = [0; N];
    for (word, at) in line.chunks_exact_mut(4).zip((at..).step_by(4)) {
        word.copy_from_slice(&memory.load_u32(at, Ordering::Acquire).to_le_bytes());
    }
    line
}

/// The magic last, so that a line is whole where it is there.
fn write<M: SharedMemory>(memory: &M, at: u32, line: &[u8]) {
    let places = (at..at.saturating_add(LINE)).step_by(4);
    for (word, at) in line.chunks_exact(4).zip(places).rev() {
        let word = word.try_into().map_or(0, u32::from_le_bytes);
        memory.store_u32(at, word, Ordering::Release);
    }
    memory.clean(at, LINE);
}

/// All that we do as a driver.
pub(crate) const KNOWN: Features = Features::NAME_SERVICE
    .with(Features::BUFFER_SIZES)
    .with(Features::EVENT_INDEX)
    .with(Features::VERSION_1)
    .with(Features::PACKED_RING);
const NAMES: [(Features, &str); 7] = [
    (Features::NAME_SERVICE, "name-service"),
    (Features::BUFFER_SIZES, "buffer-sizes"),
    (Features::from_bits(1 << 2), "buffer-sizes-nuttx"),
    (Features::EVENT_INDEX, "event-index"),
    (Features::VERSION_1, "version-1"),
    (Features::PACKED_RING, "packed-ring"),
    (Features::SYMMETRIC, "symmetric"),
];
/// "CWFT".
const MAGIC: u32 = 0x5446_5743;
const LINE: u32 = 64;
const OFFERED: u32 = 0xE80;
const ACCEPTED: u32 = 0xEC0;
