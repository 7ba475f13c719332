//! No byte of a bundle can change and none can be missing: every single change is refused by a named rule.

mod support;

use admission::Refusal;
use certificate_chain::{Checker, Error};
use firmware_bundle::Error as Bundle;
use platform::Platform;

use support::{
    Image, NotLoaded, checker, load, pki, platform, platform_of_slots, second_pki, sign_anew,
};

/// A bundle, the device that takes it, how many bytes of signatures it has, and what is done to each byte.
struct Subject {
    file: Vec<u8>,
    checker: Checker,
    platform: Platform,
    signatures: usize,
    flips: fn(usize) -> Vec<u8>,
}

fn one_slot() -> Subject {
    let pki = pki();
    Subject {
        file: Image::new().sign(&pki),
        checker: pki.checker(),
        platform: platform(&[]),
        signatures: 64,
        flips: |_| vec![0x01, 0x80, 0xff],
    }
}

/// The device asks for both.
fn two_slots() -> Subject {
    let slots = [(0, &pki()), (1, &second_pki())];
    Subject {
        file: Image::new().sign_slots(&slots),
        checker: checker(&slots),
        platform: platform_of_slots("[0, 1]"),
        signatures: 128,
        flips: |at| vec![1 << (at % 8)],
    }
}

impl Subject {
    fn load(&self, bytes: &[u8]) -> Result<Vec<u8>, NotLoaded> {
        load(bytes, &self.checker, &self.platform)
    }

    fn every_flipped_byte_is_refused(&self) {
        let file = &self.file;
        assert!(self.load(file).is_ok());
        let manifest = 0xa0;
        let footer = file.len() - 64;
        let signatures = footer - self.signatures;
        let certificates = manifest + 544;
        for at in 0..file.len() {
            for bits in (self.flips)(at) {
                let mut flipped = file.clone();
                flipped[at] ^= bits;
                let refused = self.load(&flipped).expect_err("a flipped byte");
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
                        slot: 1,
                        error: Error::Signature,
                    }) => (signatures + 64..footer).contains(&at),
                    NotLoaded::Refused(Refusal::Chain {
                        slot: 0,
                        error: Error::Signature,
                    }) => at >= manifest && !(signatures + 64..footer).contains(&at),
                    NotLoaded::Refused(Refusal::Chain {
                        slot: 0,
                        error: Error::HighS,
                    }) => (signatures + 32..signatures + 64).contains(&at),
                    NotLoaded::Refused(Refusal::Chain { .. }) => {
                        (certificates..signatures).contains(&at)
                    }
                    NotLoaded::Refused(_) => false,
                };
                assert!(expected, "byte {at:#x} ^ {bits:#x}: {refused:?}");
            }
        }
    }

    fn every_truncation_is_refused(&self) {
        for length in 0..self.file.len() {
            let refused = self.load(&self.file[..length]).expect_err("a cut file");
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
}

#[test]
fn every_flipped_byte_is_refused() {
    one_slot().every_flipped_byte_is_refused();
}

#[test]
fn every_flipped_byte_of_a_bundle_with_two_signatures_is_refused() {
    two_slots().every_flipped_byte_is_refused();
}

#[test]
fn every_truncation_is_refused() {
    one_slot().every_truncation_is_refused();
}

#[test]
fn every_truncation_of_a_bundle_with_two_signatures_is_refused() {
    two_slots().every_truncation_is_refused();
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
