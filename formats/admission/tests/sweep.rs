//! No byte of a bundle can change and none can be missing: every single change is refused by a named rule.

mod support;

use admission::Refusal;
use certificate_chain::Error;
use firmware_bundle::Error as Bundle;

use support::{Image, NotLoaded, load, pki, platform};

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
