//! No byte of a bundle can change and none can be missing: every single change is refused by a named rule.

mod support;

use admission::Refusal;
use certificate_chain::Error;
use firmware_bundle::Error as Bundle;

use support::{Image, NotLoaded, load, pki, platform, sign_anew};

#[test]
fn every_flipped_byte_is_refused() {
    let pki = pki();
    let (checker, platform) = (pki.checker(), platform(&[]));
    let file = Image::new().sign(&pki);
    assert!(load(&file, &checker, &platform).is_ok());
    let manifest = 0xa0;
    let signatures = file.len() - 128;
    let footer = file.len() - 64;
    let certificates = manifest + 544;
    for at in 0..file.len() {
        for bits in [0x01, 0x80, 0xff] {
            let mut flipped = file.clone();
            flipped[at] ^= bits;
            let refused = load(&flipped, &checker, &platform).expect_err("a flipped byte");
            // bundle-format.md 1.13: where the byte lies says which rule it breaks.
            let expected = match refused {
                NotLoaded::Rest => at < 0x74 || (0x95..0x99).contains(&at),
                NotLoaded::Chunk { segment: 0 } => (0x74..0x8c).contains(&at),
                NotLoaded::Chunk { segment: 1 } => (0x8c..0x95).contains(&at),
                NotLoaded::Chunk { .. } => false,
                NotLoaded::Refused(Refusal::Bundle(Bundle::Padding { .. })) => {
                    // A smaller ELF part makes its last byte one of the zeros behind it.
                    (0x99..manifest).contains(&at)
                        || (certificates..signatures).contains(&at)
                        || at == footer
                }
                NotLoaded::Refused(Refusal::Bundle(_)) => at >= certificates,
                NotLoaded::Refused(Refusal::Chain {
                    error: Error::Signature,
                    ..
                }) => at >= manifest,
                NotLoaded::Refused(Refusal::Chain {
                    error: Error::HighS,
                    ..
                }) => (signatures + 32..footer).contains(&at),
                NotLoaded::Refused(Refusal::Chain { .. }) => {
                    (certificates..signatures).contains(&at)
                }
                NotLoaded::Refused(_) => false,
            };
            assert!(expected, "byte {at:#x} ^ {bits:#x}: {refused:?}");
        }
    }
}

#[test]
fn every_truncation_is_refused() {
    let pki = pki();
    let (checker, platform) = (pki.checker(), platform(&[]));
    let file = Image::new().sign(&pki);
    for length in 0..file.len() {
        let cut = &file[..length];
        let refused = load(cut, &checker, &platform).expect_err("a cut file");
        // Nothing that is cut off at the end has a footer.
        let expected = match refused {
            NotLoaded::Refused(Refusal::Bundle(Bundle::EmptyFile)) => length == 0,
            NotLoaded::Refused(Refusal::Bundle(Bundle::NoFooter { .. })) => length < 4,
            NotLoaded::Refused(Refusal::Bundle(Bundle::BareElf { .. })) => length >= 4,
            _ => false,
        };
        assert!(expected, "{length}: {refused:?}");
    }
}

#[test]
fn every_cut_at_the_front_and_in_the_middle_is_refused() {
    let pki = pki();
    let (checker, platform) = (pki.checker(), platform(&[]));
    let file = Image::new().sign(&pki);
    for at in 1..file.len() {
        let front = load(&file[at..], &checker, &platform);
        assert!(
            matches!(front, Err(NotLoaded::Refused(Refusal::Bundle(_)))),
            "{at}: {front:?}"
        );
    }
    for size in [1, 16, 64] {
        for at in 0..file.len() - size {
            let cut = [&file[..at], &file[at + size..]].concat();
            let middle = load(&cut, &checker, &platform);
            assert!(
                matches!(middle, Err(NotLoaded::Refused(Refusal::Bundle(_)))),
                "{size} at {at}: {middle:?}"
            );
        }
    }
}

#[test]
fn bytes_put_in_anywhere_are_refused() {
    let pki = pki();
    let (checker, platform) = (pki.checker(), platform(&[]));
    let file = Image::new().sign(&pki);
    for size in [1, 16] {
        for at in 0..=file.len() {
            let longer = [&file[..at], &vec![0; size], &file[at..]].concat();
            let refused = load(&longer, &checker, &platform);
            assert!(
                matches!(refused, Err(NotLoaded::Refused(Refusal::Bundle(_)))),
                "{size} at {at}: {refused:?}"
            );
        }
    }
}

#[test]
fn every_byte_changed_and_signed_anew_is_judged_and_never_loads_other_bytes_than_were_signed() {
    let pki = pki();
    let (checker, platform) = (pki.checker(), platform(&[]));
    let file = Image::new().sign(&pki);
    let bytes = |mut memory: Vec<u8>| {
        memory.retain(|byte| *byte != 0);
        memory.sort_unstable();
        memory
    };
    let good = bytes(load(&file, &checker, &platform).unwrap());
    let manifest = 0xa0;
    let footer = file.len() - 64;
    let (mut taken, mut refused) = (0, 0);
    for at in (manifest..footer - 64).chain(footer + 20..file.len()) {
        for bits in [0x01, 0x02, 0x80] {
            let changed = sign_anew(file.clone(), |file| file[at] ^= bits);
            match load(&changed, &checker, &platform) {
                // What may change under a signature: versions, build id, other cores, addresses, the table, values.
                Ok(memory) => {
                    assert_eq!(bytes(memory), good, "byte {at:#x} ^ {bits:#x}");
                    assert!(at < manifest + 544, "byte {at:#x} ^ {bits:#x}");
                    taken += 1;
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(taken > 50 && refused > 5 * taken, "{taken}, {refused}");
}
