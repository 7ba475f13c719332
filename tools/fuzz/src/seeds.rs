//! Where a search begins: hexadecimal files that say in their first line why they are there, and the golden files of the
//! formats.

use firmware_bundle::{File, Trailer};

/// One input, and why it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed {
    /// The first line of its file, or what it was taken from.
    pub reason: String,
    /// The input.
    pub bytes: Vec<u8>,
}

impl Seed {
    /// Reads hexadecimal bytes, with comments behind `#`; the first one is the reason.
    ///
    /// # Panics
    /// Where it is anything else: seeds are ours.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let reason = text.lines().next().and_then(|line| line.strip_prefix('#'));
        let bytes = text
            .lines()
            .map(|line| line.split('#').next().unwrap_or_default())
            .flat_map(str::split_whitespace)
            .map(|byte| u8::from_str_radix(byte, 16).expect("a byte"));
        Self {
            reason: reason.expect("a reason").trim().to_owned(),
            bytes: bytes.collect(),
        }
    }

    fn of(reason: &str, bytes: &[u8]) -> Self {
        Self {
            reason: reason.to_owned(),
            bytes: bytes.to_vec(),
        }
    }
}

macro_rules! seeds {
    ( $( $file:literal ),+ $(,)? ) => {
        vec![ $( Seed::parse(include_str!($file)) ),+ ]
    };
}

pub(crate) fn rings() -> Vec<Seed> {
    seeds![
        "../corpus/rings/broken-index.hex",
        "../corpus/rings/busy.hex",
        "../corpus/rings/descriptors.hex",
        "../corpus/rings/held.hex",
        "../corpus/rings/lengths.hex",
        "../corpus/rings/services.hex",
    ]
}

pub(crate) fn features() -> Vec<Seed> {
    seeds![
        "../corpus/features/ambiguous.hex",
        "../corpus/features/linux.hex",
        "../corpus/features/nuttx.hex",
    ]
}

/// What is done is the same; what is lied about stands elsewhere.
pub(crate) fn packed_rings() -> Vec<Seed> {
    let mut seeds = seeds![
        "../corpus/packed-rings/descriptors.hex",
        "../corpus/packed-rings/marks.hex",
        "../corpus/packed-rings/returns.hex",
    ];
    seeds.extend(rings());
    seeds
}

pub(crate) fn name_service() -> Vec<Seed> {
    seeds![
        "../corpus/name-service/comes-and-goes.hex",
        "../corpus/name-service/names.hex",
    ]
}

pub(crate) fn bundle() -> Vec<Seed> {
    let mut seeds = bundles();
    // What the tail of a file without any bundle is.
    seeds.push(Seed::of(
        "an ELF and nothing else",
        &[0x7f, b'E', b'L', b'F', 1, 1, 1, 0],
    ));
    seeds
}

pub(crate) fn certificate() -> Vec<Seed> {
    let mut seeds = seeds![
        "../../../formats/firmware-bundle/tests/golden/v1-root.hex",
        "../../../formats/firmware-bundle/tests/golden/v1-p384-root.hex",
        "../../../formats/firmware-bundle/tests/golden/v1-ed25519-root.hex",
    ];
    for bundle in bundles() {
        let file = File {
            length: bundle.bytes.len() as u64,
            head: &bundle.bytes,
            tail: &bundle.bytes,
        };
        let trailer = Trailer::of(&file).expect("a golden bundle");
        let chain = trailer.slots().flat_map(|slot| slot.chain());
        seeds.extend(chain.map(|certificate| Seed::of("of a golden bundle's chain", certificate)));
    }
    seeds
}

pub(crate) fn resource_table() -> Vec<Seed> {
    vec![
        Seed::of(
            "as OpenAMP's tools write it",
            include_bytes!("../../../formats/resource-table/tests/corpus/rpmsg-and-trace.bin"),
        ),
        Seed::of(
            "entries of all kinds",
            include_bytes!("../../../formats/resource-table/tests/corpus/carveout-first.bin"),
        ),
        Seed::of(
            "as many devices as there can be",
            include_bytes!("../../../formats/resource-table/tests/corpus/eight-vdevs.bin"),
        ),
        Seed::of(
            "a device with too many rings",
            include_bytes!("../../../formats/resource-table/tests/corpus/three-vrings.bin"),
        ),
        Seed::of(
            "offsets that wrap around",
            include_bytes!("../../../formats/resource-table/tests/corpus/offsets-wrap.bin"),
        ),
    ]
}

pub(crate) fn services() -> Vec<Seed> {
    seeds![
        "../corpus/services/gpio.hex",
        "../corpus/services/i2c.hex",
        "../corpus/services/spi.hex",
    ]
}

pub(crate) fn trust_update() -> Vec<Seed> {
    seeds!["../../../formats/trust-update/tests/golden/v1.hex"]
}

pub(crate) fn protocol() -> Vec<Seed> {
    seeds![
        "../corpus/protocol/region.hex",
        "../corpus/protocol/roots.hex",
        "../corpus/protocol/state.hex",
        "../corpus/protocol/text.hex",
    ]
}

fn bundles() -> Vec<Seed> {
    seeds![
        "../../../formats/firmware-bundle/tests/golden/v1.hex",
        "../../../formats/firmware-bundle/tests/golden/v1-two-slots.hex",
        "../../../formats/firmware-bundle/tests/golden/v1-ed25519.hex",
    ]
}
