//! What both sides agree on, and what cannot be agreed on: rpmsg-features.md.

use rpmsg::{Agreement, BufferSizes, Device, Driver, Error, Features, Quirks, Ring};

use crate::support::{ENTRY, Memory, layout, next, status};

#[test]
fn f1_a_driver_accepts_what_it_implements_of_what_is_offered_and_no_more() {
    for (offer, known, accepted) in [
        (0, ALL, 0),
        (ALL, 0, 0),
        (1, ALL, 1),
        (!BUFSZ & !NUTTX & !SYMMETRIC, ALL, ALL & !BUFSZ),
        (1 | 1 << 28 | 1 << 29, ALL, 1 | 1 << 29),
        (1 | 1 << 29, 1, 1),
    ] {
        let agreed = driver(offer, &[], known).unwrap();
        assert_eq!(agreed.features().bits(), accepted, "{offer:#x}");
        assert_eq!(agreed.sizes(), None);
    }
    // A size that nobody reads is nobody's trouble.
    let agreed = driver(1 | BUFSZ, b"nonsense", 1).unwrap();
    assert_eq!((agreed.features().bits(), agreed.sizes()), (1, None));
}

#[test]
fn f2_features_above_31_are_accepted_with_version_1_and_left_out_without() {
    let agreed = |offer| driver(offer, &[], ALL).unwrap().features().bits();
    assert_eq!(agreed(1 | VERSION_1 | PACKED), 1 | VERSION_1 | PACKED);
    assert_eq!(agreed(1 | PACKED), 1);
}

#[test]
fn f3_a_device_refuses_a_driver_that_accepts_what_was_not_offered() {
    let device = |offer: u64, accepted: u64| {
        let (offer, accepted) = (Features::from_bits(offer), Features::from_bits(accepted));
        Agreement::of_device(offer, &[], accepted)
    };
    for accepted in [0, 1, 1 | VERSION_1, 1 | VERSION_1 | PACKED] {
        let agreed = device(1 | VERSION_1 | PACKED, accepted).unwrap();
        assert_eq!(agreed.features().bits(), accepted);
    }
    let refused = Error::FeaturesNotOffered {
        features: 1 << 29 | 1 << 40,
    };
    assert_eq!(device(1, 1 | 1 << 29 | 1 << 40), Err(refused));
    let refused = Error::FeaturesNotModern {
        features: 1 | PACKED,
    };
    assert_eq!(device(1 | VERSION_1 | PACKED, 1 | PACKED), Err(refused));
}

#[test]
fn f4_bits_and_length_say_whose_form_it_is() {
    let (linux, long) = (LINUX, long(640, 320));
    let agreed = |offer, config: &[u8]| {
        let agreed = driver(offer, config, ALL)?;
        Ok((agreed.features().bits(), agreed.sizes()))
    };
    for (offer, config, expected) in [
        (1, &[][..], (1, None)),
        (1, b"whatever", (1, None)),
        // NuttX' acknowledgement, with and without a configuration for something else.
        (1 | BUFSZ, &[], (1, None)),
        (1 | BUFSZ | CPUNAME, &long, (1, None)),
        (1 | BUFSZ, &linux, (1 | BUFSZ, Some(sizes(1024, 2048)))),
        (1 | BUFSZ | NUTTX, &long, (1 | NUTTX, Some(sizes(320, 640)))),
    ] {
        assert_eq!(agreed(offer, config), Ok(expected), "{offer:#x}");
    }
    for (offer, len) in [
        (BUFSZ, 4),
        (BUFSZ, 10),
        // Proposals for Linux between the first one and the last.
        (BUFSZ, 13),
        (BUFSZ, 16),
        (BUFSZ, 66),
        (NUTTX, 0),
        (NUTTX, 4),
        (NUTTX, 11),
        (NUTTX, 63),
        (NUTTX, 65),
        (BUFSZ | NUTTX, 11),
    ] {
        let refused = Error::ConfigForm {
            features: 1 | u32::try_from(offer).unwrap(),
            len,
        };
        assert_eq!(agreed(1 | offer, &vec![1; len]), Err(refused), "{len}");
    }
}

#[test]
fn f5_linux_form_is_of_version_1_and_says_its_length() {
    assert_eq!(Agreement::config(sizes(1024, 2048)), LINUX);
    let mut config = LINUX;
    assert!(driver(BUFSZ, &config, ALL).is_ok());
    for (at, value, version, size) in [
        (0, 0, 0, 11),
        (0, 2, 2, 11),
        (1, 10, 1, 10),
        (1, 12, 1, 12),
        (2, 1, 1, 267),
    ] {
        config[at] = value;
        let refused = Error::ConfigHead { version, size };
        assert_eq!(driver(BUFSZ, &config, ALL), Err(refused));
        config = LINUX;
    }
}

#[test]
fn f6_two_forms_of_one_length_are_told_apart_or_refused() {
    // The same either way.
    let agreed = driver(NUTTX, &long(640, 640), ALL).unwrap();
    assert_eq!(agreed.sizes(), Some(sizes(640, 640)));
    assert_eq!(agreed.features().bits(), NUTTX);
    for nuttx in [BUFSZ, CPUNAME, BUFSZ | CPUNAME] {
        let agreed = driver(NUTTX | nuttx, &long(640, 320), ALL).unwrap();
        assert_eq!(agreed.sizes(), Some(sizes(320, 640)));
        assert_eq!(agreed.features().bits(), NUTTX);
    }
    let refused = Error::ConfigAmbiguous {
        first: 640,
        second: 320,
    };
    assert_eq!(driver(NUTTX, &long(640, 320), ALL), Err(refused));
}

#[test]
fn f7_sizes_are_whole_words_and_more_than_a_header_and_512_where_none_is_asked_for() {
    for size in [20, 512, 0xffff_fffc] {
        let agreed = driver(BUFSZ, &Agreement::config(sizes(size, 24)), ALL).unwrap();
        assert_eq!(agreed.sizes(), Some(sizes(size, 24)));
    }
    for size in [0, 16, 18, 511, 0xffff_ffff] {
        for (asked, ring) in [
            (sizes(size, 512), Ring::ToDriver),
            (sizes(512, size), Ring::ToDevice),
        ] {
            let refused = Error::BufferSize { ring, size };
            let config = Agreement::config(asked);
            assert_eq!(driver(BUFSZ, &config, ALL), Err(refused));
            let long = long(asked.to_device, asked.to_driver);
            assert_eq!(driver(BUFSZ | NUTTX, &long, ALL), Err(refused));
            let bits = Features::BUFFER_SIZES;
            let device = Agreement::of_device(bits, &config, bits);
            assert_eq!(device, Err(refused));
        }
    }
    // A driver that did not accept the sizes has its own.
    let (offer, accepted) = (Features::from_bits(1 | BUFSZ), Features::NAME_SERVICE);
    let device = Agreement::of_device(offer, &LINUX, accepted).unwrap();
    assert_eq!(device.sizes(), None);
    let device = Agreement::of_device(offer, &LINUX, offer).unwrap();
    assert_eq!(device.sizes(), Some(sizes(1024, 2048)));
}

/// open-amp's driver accepts everything and makes its buffers as it always does.
#[test]
fn f8_a_device_goes_by_the_descriptors_of_a_driver_that_agreed_to_more() {
    let memory = Memory::new();
    let quirks = Quirks::default();
    let mut driver = Driver::<_, 16>::attach(memory.driver(), layout(), 28, 1, quirks).unwrap();
    let _ = driver.flush();
    let mut device = Device::<_, 16>::attach(memory.device(), layout(), 1, quirks).unwrap();
    let refused = Error::PayloadTooLong { end: 13, room: 12 };
    assert_eq!(device.send(2, 1, &[7; 13]), Err(refused));
    device.send(2, 1, &[7; 12]).unwrap();
    let _ = device.flush();
    assert_eq!(next(&mut driver).unwrap().unwrap(), [7; 12]);
    driver.send(1, 2, &[8; 12]).unwrap();
    let _ = driver.flush();
    assert_eq!(next(&mut device).unwrap().unwrap(), [8; 12]);
}

#[test]
fn f9_what_a_driver_accepted_stands_in_the_table_beside_the_status() {
    let memory = Memory::new();
    let before = memory.snapshot();
    let features = Features::from_bits(1 | BUFSZ);
    status().accept(&memory.driver(), features);
    assert_eq!(status().accepted(&memory.device()).bits(), 1 | BUFSZ);
    let mut expected = before;
    expected[ENTRY as usize + 16] = 1 | BUFSZ as u8;
    assert_eq!(memory.snapshot(), expected);
}

#[test]
fn f11_the_features_above_31_that_a_table_offers_stand_behind_its_configuration() {
    let behind: Vec<u8> = LINUX.into_iter().chain([5, 0, 0, 0x80]).collect();
    assert_eq!(
        table(1 | UPPER, &[5, 0, 0, 0x80]),
        Ok((1 | 5 << 32 | 1 << 63, &[][..]))
    );
    assert_eq!(
        table(3 | UPPER, &behind),
        Ok((3 | 5 << 32 | 1 << 63, &LINUX[..]))
    );
    // Without the bit all of it is configuration.
    assert_eq!(table(3, &LINUX), Ok((3, &LINUX[..])));
    for len in 0..4 {
        let refused = Error::ConfigForm {
            features: 1 | UPPER,
            len,
        };
        assert_eq!(table(1 | UPPER, &[0; 4][..len]), Err(refused));
    }
    for offer in [1, 1 | 5 << 32, ALL] {
        let [word, upper] = Features::from_bits(offer).in_table();
        assert_eq!(u64::from(upper), offer >> 32);
        let config = upper.to_le_bytes();
        let config = if upper == 0 { &[][..] } else { &config };
        assert_eq!(table(word, config), Ok((offer, &[][..])));
    }
}

#[test]
fn f11_what_a_driver_accepts_above_31_stands_in_its_line_and_counts_where_its_word_says_so() {
    let memory = Memory::new();
    let before = memory.snapshot();
    let features = 1 | VERSION_1 | PACKED;
    status().accept(&memory.driver(), Features::from_bits(features));
    assert_eq!(status().accepted(&memory.device()).bits(), features);
    let mut expected = before;
    let word = 1 | UPPER;
    expected[ENTRY as usize + 16..][..4].copy_from_slice(&word.to_le_bytes());
    expected[0xec0..][..4].copy_from_slice(b"CWFT");
    expected[0xec4..][..4].copy_from_slice(&word.to_le_bytes());
    expected[0xec8..][..4].copy_from_slice(&5_u32.to_le_bytes());
    assert_eq!(memory.snapshot(), expected);

    // A driver that knows nothing of it leaves its line to whoever wrote it.
    status().accept(&memory.driver(), Features::NAME_SERVICE);
    assert_eq!(status().accepted(&memory.device()).bits(), 1);
    let lower = Features::from_bits(word.into());
    status().accept(&memory.driver(), lower);
    assert_eq!(status().accepted(&memory.device()).bits(), features);
    // One that accepts whatever is offered, and writes no line: open-amp's.
    let memory = Memory::new();
    status().accept(&memory.driver(), lower);
    assert_eq!(status().accepted(&memory.device()).bits(), 1);
}

#[test]
fn f1_a_driver_that_does_less_than_it_could_accepts_less() {
    let agreed = driver(ALL | BUFSZ, &LINUX, ALL).unwrap();
    for (known, features) in [
        (ALL, ALL),
        (0, 0),
        (ALL & !PACKED, ALL & !PACKED),
        (ALL & !VERSION_1, ALL & !VERSION_1 & !PACKED),
        (ALL & !BUFSZ, ALL & !BUFSZ),
    ] {
        let less = agreed.within(Features::from_bits(known));
        assert_eq!(less, driver(ALL, &LINUX, known).unwrap());
        assert_eq!(less.features().bits(), features);
    }
}

fn table(word: u32, config: &[u8]) -> Result<(u64, &[u8]), Error> {
    Features::of_table(word, config).map(|(offer, config)| (offer.bits(), config))
}

#[test]
fn f13_what_a_symmetric_ring_was_prepared_by_is_accepted_as_a_whole_or_refused() {
    let base = SYMMETRIC | VERSION_1 | BUFSZ;
    let driver = |offer, known| {
        let agreed = driver(offer, &LINUX, known);
        agreed.map(|agreed| (agreed.features().bits(), agreed.sizes().is_some()))
    };
    for (offer, known) in [
        (base, base),
        (base | 1, base | PACKED),
        (base | PACKED, base | PACKED | 1 << 29),
    ] {
        assert_eq!(driver(offer, known), Ok((offer & known, true)));
    }
    for (offer, known, features) in [
        (base, base & !SYMMETRIC, SYMMETRIC),
        (base & !SYMMETRIC, base, SYMMETRIC),
        (0, base, base),
        (base | PACKED, base, PACKED),
        (base, base & !BUFSZ, BUFSZ),
        (base & !BUFSZ, base, BUFSZ),
        (base, base & !VERSION_1, SYMMETRIC | VERSION_1),
    ] {
        let refused = Err(Error::FeaturesSymmetric { features });
        assert_eq!(driver(offer, known), refused, "{offer:#x} {known:#x}");
    }
    let device = |offer, accepted| {
        let (offer, accepted) = (Features::from_bits(offer), Features::from_bits(accepted));
        Agreement::of_device(offer, &LINUX, accepted).map(|agreed| agreed.features().bits())
    };
    assert_eq!(device(base | PACKED | 1, base | PACKED), Ok(base | PACKED));
    for (offer, accepted, features) in [
        (base, 0, base),
        (base, base & !SYMMETRIC, SYMMETRIC),
        (base | PACKED, base, PACKED),
        (base, base & !BUFSZ, BUFSZ),
    ] {
        let refused = Err(Error::FeaturesSymmetric { features });
        assert_eq!(device(offer, accepted), refused, "{offer:#x} {accepted:#x}");
    }
    let refused = Error::FeaturesNotOffered {
        features: SYMMETRIC,
    };
    assert_eq!(device(base & !SYMMETRIC, base), Err(refused));
}

fn driver(offer: u64, config: &[u8], known: u64) -> Result<Agreement, Error> {
    let (offer, known) = (Features::from_bits(offer), Features::from_bits(known));
    Agreement::of_driver(offer, config, known)
}

fn sizes(to_driver: u32, to_device: u32) -> BufferSizes {
    BufferSizes {
        to_driver,
        to_device,
    }
}

/// Two sizes, a name and zeros.
fn long(first: u32, second: u32) -> [u8; 64] {
    let mut config = [0; 64];
    config[..4].copy_from_slice(&first.to_le_bytes());
    config[4..8].copy_from_slice(&second.to_le_bytes());
    config[8..12].copy_from_slice(b"apss");
    config
}

/// 1024 bytes to the driver, 2048 to the device.
const LINUX: [u8; 11] = [1, 11, 0, 0, 4, 0, 0, 0, 8, 0, 0];
const BUFSZ: u64 = 1 << 1;
const NUTTX: u64 = 1 << 2;
const CPUNAME: u64 = 1 << 3;
/// "There are features above 31", in a table's word.
const UPPER: u32 = 1 << 31;
const VERSION_1: u64 = 1 << 32;
const PACKED: u64 = 1 << 34;
const SYMMETRIC: u64 = 1 << 63;
const ALL: u64 = 1 | BUFSZ | 1 << 29 | VERSION_1 | PACKED;
