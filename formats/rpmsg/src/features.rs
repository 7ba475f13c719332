//! What both sides agree on before a ring is written: feature bits, and the size of the buffers (rpmsg-features.md).

use crate::error::Error;
use crate::layout::BufferSizes;

/// A set of feature bits, as VirtIO numbers them: 0 to 23 are the device's, 24 and above those of rings and transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features(u64);

impl Features {
    /// VIRTIO_RPMSG_F_NS: the device announces its services.
    pub const NAME_SERVICE: Self = Self(1);
    /// VIRTIO_RPMSG_F_BUFSZ as Linux has it: the configuration says how large buffers are. NuttX has another bit for that.
    pub const BUFFER_SIZES: Self = Self(1 << 1);
    /// VIRTIO_F_EVENT_IDX: kicks are asked for by an index instead of a flag.
    pub const EVENT_INDEX: Self = Self(1 << 29);
    /// VIRTIO_F_VERSION_1: no legacy device.
    pub const VERSION_1: Self = Self(1 << 32);
    /// VIRTIO_F_RING_PACKED: both rings are packed.
    pub const PACKED_RING: Self = Self(1 << 34);
    /// Ours alone, between processes: each side owns the buffers that it sends in (rpmsg-features.md, F13).
    pub const SYMMETRIC: Self = Self(1 << 63);

    /// Bit n is feature n.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Bit n is feature n.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The offer of a resource table, whose word has room for features 0 to 31, and the configuration in front of the others
    /// (rpmsg-features.md, F11).
    pub fn of_table(word: u32, config: &[u8]) -> Result<(Self, &[u8]), Error> {
        let offer = Self(word.into());
        if !offer.has(UPPER_HALF) {
            return Ok((offer, config));
        }
        let Some((config, upper)) = config.split_last_chunk() else {
            return Err(Error::ConfigForm {
                features: word,
                len: config.len(),
            });
        };
        let upper = u64::from(u32::from_le_bytes(*upper)) << 32;
        Ok((offer.without(UPPER_HALF).with(Self(upper)), config))
    }

    /// The word that a table has room for, in which bit 31 says that there are others, and the word of those (F11).
    pub const fn in_table(self) -> [u32; 2] {
        let [a, b, c, d, e, f, g, h] = self.0.to_le_bytes();
        let upper = u32::from_le_bytes([e, f, g, h]);
        match upper {
            0 => [u32::from_le_bytes([a, b, c, d]), 0],
            _ => [u32::from_le_bytes([a, b, c, d | 0x80]), upper],
        }
    }

    const fn lower_half(self) -> Self {
        Self(self.0 & 0xffff_ffff)
    }

    /// Those of either set.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those of this set alone.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether all of the other set are in this one.
    pub const fn has(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }
}

/// What a driver and its device agree on.
///
/// Holding one tells you that the device offered every feature in it and asked for the sizes in a form that we know, and that
/// each size is one that a buffer can have. Whether so many of them fit is judged where they are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Agreement {
    features: Features,
    sizes: Option<BufferSizes>,
}

impl Agreement {
    /// What a driver that implements `known` accepts of an offer and its configuration (F1).
    pub fn of_driver(offer: Features, config: &[u8], known: Features) -> Result<Self, Error> {
        let asked = match known.has(Features::BUFFER_SIZES) {
            true => Asked::of(offer, config)?,
            false => None,
        };
        let wanted = Features(known.0 & Features::SYMMETRIC.0);
        Self::new(common(offer, known), asked).tied(offer.with(wanted))
    }

    /// What is left of it for a driver that does no more than `known`.
    #[must_use]
    pub fn within(self, known: Features) -> Self {
        let by = Features(self.features.0 & BIT_1.with(BIT_2).0);
        let sizes = self.sizes.filter(|_| known.has(Features::BUFFER_SIZES));
        Self::new(
            common(self.features, known),
            sizes.map(|sizes| Asked { by, sizes }),
        )
    }

    /// The same as a device finds it: what its driver wrote that it accepted (F3).
    pub fn of_device(offer: Features, config: &[u8], accepted: Features) -> Result<Self, Error> {
        let foreign = accepted.without(offer);
        if foreign != Features::default() {
            return Err(Error::FeaturesNotOffered {
                features: foreign.0,
            });
        }
        let modern = accepted.has(Features::VERSION_1);
        if !modern && accepted != accepted.lower_half() {
            return Err(Error::FeaturesNotModern {
                features: accepted.0,
            });
        }
        let asked = match accepted.has(BIT_1) || accepted.has(BIT_2) {
            true => Asked::of(offer, config)?.filter(|asked| accepted.has(asked.by)),
            false => None,
        };
        Self::new(accepted, asked).tied(offer)
    }

    /// Of a symmetric offer, what concerns the ring that its device has prepared already is accepted as a whole (F13).
    fn tied(self, offer: Features) -> Result<Self, Error> {
        let needed = offer.with(Features::BUFFER_SIZES).with(Features::VERSION_1);
        let features = (needed.0 ^ self.features.0) & TIED.0;
        if offer.has(Features::SYMMETRIC) && features != 0 {
            return Err(Error::FeaturesSymmetric { features });
        }
        Ok(self)
    }

    fn new(common: Features, asked: Option<Asked>) -> Self {
        Self {
            features: asked.map_or(common, |asked| common.with(asked.by)),
            sizes: asked.map(|asked| asked.sizes),
        }
    }

    /// What both sides do.
    pub const fn features(&self) -> Features {
        self.features
    }

    /// How large the driver makes its buffers; none where that is its own choice. A device goes by the descriptors all the
    /// same (F8).
    pub const fn sizes(&self) -> Option<BufferSizes> {
        self.sizes
    }

    /// The configuration by which a device asks for buffers of these sizes, as Linux reads it; with
    /// [`Features::BUFFER_SIZES`] in its offer.
    pub const fn config(sizes: BufferSizes) -> [u8; 11] {
        let [a, b, c, d] = sizes.to_driver.to_le_bytes();
        let [e, f, g, h] = sizes.to_device.to_le_bytes();
        [1, 11, 0, a, b, c, d, e, f, g, h]
    }
}

/// What both implement; how sizes are asked for is another matter.
fn common(offer: Features, known: Features) -> Features {
    let common = Features(offer.0 & known.0).without(BIT_1.with(BIT_2));
    // F2
    match common.has(Features::VERSION_1) {
        true => common,
        false => common.lower_half(),
    }
}

/// What a device asks for, and the feature by which it does.
#[derive(Clone, Copy, Debug)]
struct Asked {
    by: Features,
    sizes: BufferSizes,
}

impl Asked {
    /// Bits 1 and 2 are one thing to Linux and another to NuttX; together with the length of the configuration they are told
    /// apart (F4).
    fn of(offer: Features, config: &[u8]) -> Result<Option<Self>, Error> {
        let unknown = Error::ConfigForm {
            features: offer.lower_half().in_table()[0],
            len: config.len(),
        };
        let (by, sizes) = match (offer.has(BIT_1), offer.has(BIT_2), config.len()) {
            (_, true, LONG) => (BIT_2, long(offer, config)?),
            (true, false, LINUX) => (BIT_1, linux(config)?),
            // Bit 1 alone is NuttX' acknowledgement of announcements.
            (false, false, _) | (true, false, 0 | LONG) => return Ok(None),
            _ => return Err(unknown),
        };
        let sizes = sizes.ok_or(unknown)?.checked()?;
        Ok(Some(Self { by, sizes }))
    }
}

/// F5: version, its own length, the size to the driver, the size to the device.
fn linux(config: &[u8]) -> Result<Option<BufferSizes>, Error> {
    let Some((&[version, low, high], sizes)) = config.split_first_chunk() else {
        return Ok(None);
    };
    let size = u16::from_le_bytes([low, high]);
    if version != 1 || usize::from(size) != LINUX {
        return Err(Error::ConfigHead { version, size });
    }
    Ok(pair(sizes).map(|(to_driver, to_device)| BufferSizes {
        to_driver,
        to_device,
    }))
}

/// F6: NuttX has the size to the device first, Linux' first proposal the other one.
fn long(offer: Features, config: &[u8]) -> Result<Option<BufferSizes>, Error> {
    let Some((first, second)) = pair(config) else {
        return Ok(None);
    };
    let nuttx = offer.has(BIT_1) || offer.has(BIT_3);
    if !nuttx && first != second {
        return Err(Error::ConfigAmbiguous { first, second });
    }
    Ok(Some(BufferSizes {
        to_driver: second,
        to_device: first,
    }))
}

fn pair(bytes: &[u8]) -> Option<(u32, u32)> {
    let (first, rest) = bytes.split_first_chunk()?;
    let second = rest.first_chunk()?;
    Some((u32::from_le_bytes(*first), u32::from_le_bytes(*second)))
}

/// Linux: F_BUFSZ. NuttX: F_ACK.
const BIT_1: Features = Features::BUFFER_SIZES;
/// NuttX: F_BUFSZ, as in Linux' first proposal.
const BIT_2: Features = Features(1 << 2);
/// NuttX: F_CPUNAME.
const BIT_3: Features = Features(1 << 3);
/// VIRTIO_F_FEATURES_HIGH of VirtIO's drafts before 0.9.5: there are features above 31.
pub(crate) const UPPER_HALF: Features = Features(1 << 31);
/// What the ring that a device of a symmetric link prepares depends on.
const TIED: Features = Features::SYMMETRIC
    .with(Features::BUFFER_SIZES)
    .with(Features::PACKED_RING)
    .with(Features::VERSION_1);
/// The configuration that Linux reads.
const LINUX: usize = 11;
/// The configuration of NuttX and of Linux' first proposal: two sizes and what else there may be.
const LONG: usize = 64;
