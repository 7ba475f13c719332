//! What a device offers and how it asks for sizes, and what both sides make of it.

use rpmsg::{Agreement, Features};

/// Eight bytes of features, then a configuration.
pub fn features(input: &[u8]) {
    let (Some(bits), config) = (input.first_chunk(), input.get(8..).unwrap_or_default()) else {
        return;
    };
    let offer = Features::from_bits(u64::from_le_bytes(*bits));
    table(offer, config);
    let all = Features::from_bits(u64::MAX);
    let parts = [Features::default(), KNOWN, all.without(Features::SYMMETRIC)];
    for known in parts.into_iter().chain([all]) {
        let Ok(agreed) = Agreement::of_driver(offer, config, known) else {
            continue;
        };
        let accepted = agreed.features();
        assert!(offer.has(accepted), "{accepted:?} of {offer:?}");
        // The one feature that has two bits.
        let known = known.with(SIZES);
        assert!(known.has(accepted), "{accepted:?} of {known:?}");
        assert!(accepted.bits() >> 32 == 0 || accepted.has(Features::VERSION_1));
        // What the driver writes is what the device understands.
        let device = Agreement::of_device(offer, config, accepted);
        assert_eq!(device, Ok(agreed));
        assert_eq!(agreed.within(known), agreed);
        assert_eq!(
            agreed.sizes().is_some(),
            accepted.without(SIZES) != accepted
        );
        let Some(sizes) = agreed.sizes() else {
            continue;
        };
        for size in [sizes.to_driver, sizes.to_device] {
            assert!(size > 16 && size % 4 == 0, "{size}");
        }
        let again = Agreement::config(sizes);
        let linux = Agreement::of_driver(Features::BUFFER_SIZES, &again, KNOWN);
        assert_eq!(linux.map(|agreed| agreed.sizes()), Ok(Some(sizes)));
    }
}

/// What stands in a table says what was meant.
fn table(offer: Features, config: &[u8]) {
    let [word, upper] = offer.in_table();
    let alone = upper == 0 && word >> 31 == 0;
    let behind = [config, &upper.to_le_bytes()].concat();
    let config_in_table = if alone { config } else { &behind };
    let expected = offer.without(Features::from_bits(1 << 31));
    assert_eq!(
        Features::of_table(word, config_in_table),
        Ok((expected, config))
    );
    let _ = Features::of_table(word, config);
}

const KNOWN: Features = Features::NAME_SERVICE
    .with(Features::BUFFER_SIZES)
    .with(Features::EVENT_INDEX)
    .with(Features::VERSION_1)
    .with(Features::PACKED_RING);
const SIZES: Features = Features::from_bits(0b110);
