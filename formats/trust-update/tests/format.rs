//! Every rule of trust-update.md: the golden object keeps it, a mutant breaks it.

use firmware_bundle::Algorithm;
use trust_update::write::{Description, Draft, Signer};
use trust_update::{
    Error, Floor, Generation, List, Root, Signature, SignatureCheck, SignatureRefused, TrustUpdate,
};

/// The bytes of the golden file: hexadecimal, with comments.
fn golden() -> Vec<u8> {
    include_str!("golden/v1.hex")
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .flat_map(str::split_whitespace)
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

fn read(bytes: &[u8]) -> Result<(), Error> {
    TrustUpdate::parse(bytes).map(drop)
}

fn with(at: usize, bytes: &[u8]) -> Result<(), Error> {
    let mut object = golden();
    object[at..at + bytes.len()].copy_from_slice(bytes);
    read(&object)
}

const GENERATIONS: usize = 64;
const REVOKED: usize = GENERATIONS + 2 * 48;
const FLOORS: usize = REVOKED + 2 * 32;
const ROOTS: usize = FLOORS + 2 * 16;
const SECOND_ROOT: usize = ROOTS + 16 + 16;
const SIGNATURES: usize = SECOND_ROOT + 16 + 16;
const SECOND_SIGNATURE: usize = SIGNATURES + 48 + 64;
const END: usize = SECOND_SIGNATURE + 48 + 96;

const GENERATION: [Generation; 2] = [
    Generation {
        key_id: [0x11; 32],
        minimum: 2,
    },
    Generation {
        key_id: [0x12; 32],
        minimum: 7,
    },
];
const GONE: [[u8; 32]; 2] = [[0x21; 32], [0x22; 32]];
const FLOOR: [Floor; 2] = [
    Floor {
        core: 0,
        minimum: 5,
    },
    Floor {
        core: 3,
        minimum: 1,
    },
];
const ROOT: [Root<'_>; 2] = [
    Root {
        slot: 0,
        certificate: b"first root",
    },
    Root {
        slot: 1,
        certificate: b"second root",
    },
];
const SIGNERS: [Signer; 2] = [
    Signer {
        slot: 0,
        algorithm: Algorithm::EcdsaP256Sha256,
        key_id: [0x41; 32],
    },
    Signer {
        slot: 1,
        algorithm: Algorithm::EcdsaP384Sha384,
        key_id: [0x42; 32],
    },
];

fn description() -> Description<'static> {
    Description {
        list_version: 9,
        device_class: core::array::from_fn(|index| 0xd0 + index as u8),
        generations: &GENERATION,
        revoked: &GONE,
        floors: &FLOOR,
        roots: &ROOT,
        signers: &SIGNERS,
    }
}

/// Stands in for cryptography: the message, turned over and as often as needed.
struct Toy;

fn toy_signature(message: &[u8; 64], size: usize) -> Vec<u8> {
    message
        .iter()
        .map(|byte| !byte)
        .cycle()
        .take(size)
        .collect()
}

impl SignatureCheck for Toy {
    type Error = ();

    fn sha384(&self, bytes: &[u8]) -> [u8; 48] {
        let digest = ring::digest::digest(&ring::digest::SHA384, bytes);
        digest.as_ref().try_into().unwrap()
    }

    fn check(&self, signature: &Signature<'_>, message: &[u8; 64]) -> Result<(), ()> {
        let right = toy_signature(message, signature.bytes.len());
        (signature.bytes == right).then_some(()).ok_or(())
    }
}

fn made(description: &Description<'_>) -> Result<Vec<u8>, Error> {
    let draft = Draft::new(description)?;
    let message = Draft::message(&Toy.sha384(draft.signed()));
    let sizes = description
        .signers
        .iter()
        .map(|signer| signer.algorithm.signature_size());
    let signatures: Vec<_> = sizes.map(|size| toy_signature(&message, size)).collect();
    draft.finish(&signatures)
}

#[test]
fn the_golden_trust_update_says_what_its_comments_say() {
    let bytes = golden();
    assert_eq!(bytes.len(), END);
    let update = TrustUpdate::parse(&bytes).unwrap();
    assert_eq!(update.list_version(), 9);
    assert_eq!(update.device_class()[15], 0xdf);
    assert_eq!(update.generations().collect::<Vec<_>>(), GENERATION);
    assert_eq!(update.revoked(), GONE);
    assert_eq!(update.floors().collect::<Vec<_>>(), FLOOR);
    assert_eq!(update.roots().collect::<Vec<_>>(), ROOT);
    let signers: Vec<_> = update
        .signatures()
        .map(|one| (one.slot, one.algorithm, one.key_id, one.bytes.len()))
        .collect();
    let expected = SIGNERS.map(|one| {
        let size = one.algorithm.signature_size();
        (one.slot, one.algorithm, one.key_id, size)
    });
    assert_eq!(signers, expected);
    // trust-update.md 3.3
    assert_eq!(update.signed(), &bytes[..SIGNATURES]);
    let message = Draft::message(&Toy.sha384(update.signed()));
    assert!(message.starts_with(b"corewarden.trust"));
    assert!(update.verify(&Toy).is_ok());
}

#[test]
fn the_writer_makes_the_golden_trust_update() {
    assert_eq!(made(&description()), Ok(golden()));
}

#[test]
fn a_trust_update_without_anything_but_a_version_is_read() {
    let least = Description {
        generations: &[],
        revoked: &[],
        floors: &[],
        roots: &[],
        signers: &SIGNERS[..1],
        ..description()
    };
    let bytes = made(&least).unwrap();
    assert_eq!(bytes.len(), 64 + 48 + 64);
    let update = TrustUpdate::parse(&bytes).unwrap();
    assert_eq!(update.roots().count() + update.revoked().len(), 0);
    assert_eq!(update.floors().count() + update.generations().count(), 0);
}

#[test]
fn the_head_has_one_form() {
    assert_eq!(read(&golden()), Ok(()));
    // trust-update.md 1.2
    assert_eq!(with(0, b"C"), Err(Error::NotATrustUpdate));
    assert_eq!(read(b""), Err(Error::NotATrustUpdate));
    assert_eq!(read(b"\x7fELF"), Err(Error::NotATrustUpdate));
    // trust-update.md 1.3
    assert_eq!(with(16, &[2]), Err(Error::Version { found: 2 }));
    // trust-update.md 1.4
    let list = List::Head;
    for at in 48..64 {
        assert_eq!(with(at, &[1]), Err(Error::Reserved { list }));
    }
    // trust-update.md 2.1
    assert_eq!(with(28, &[0; 4]), Err(Error::ListVersion));
    // trust-update.md 1.1
    let mut large = golden();
    large.resize(0x1_0001, 0);
    let (size, limit) = (0x1_0001, 0x1_0000);
    assert_eq!(read(&large), Err(Error::TooLarge { size, limit }));
    large.pop();
    let excess = large.len() as u64 - END as u64;
    assert_eq!(read(&large), Err(Error::Tail { excess }));
}

#[test]
fn lists_are_counted() {
    // trust-update.md 2.2 to 2.5, 3.1
    for (at, list, least, limit) in [
        (18, List::Generations, 0, 16),
        (20, List::Revoked, 0, 64),
        (22, List::Floors, 0, 32),
        (24, List::Roots, 0, 8),
        (26, List::Signatures, 1, 2),
    ] {
        let count = limit + 1;
        let refused = Error::Count {
            list,
            count,
            least,
            limit,
        };
        assert_eq!(with(at, &count.to_le_bytes()), Err(refused));
        let more = read(&{
            let mut object = golden();
            object[at..at + 2].copy_from_slice(&limit.to_le_bytes());
            object
        });
        let counted = matches!(more, Err(Error::Count { .. }));
        assert!(!counted, "{list}: {limit} are not too many");
    }
    let refused = Error::Count {
        list: List::Signatures,
        count: 0,
        least: 1,
        limit: 2,
    };
    assert_eq!(with(26, &[0]), Err(refused));
}

#[test]
fn full_lists_are_read() {
    let key_id = |index: u8| [index; 32];
    let generations: Vec<_> = (0..16)
        .map(|index| Generation {
            key_id: key_id(index),
            minimum: 1,
        })
        .collect();
    let revoked: Vec<_> = (0..64).map(key_id).collect();
    let floors: Vec<_> = (0..32).map(|core| Floor { core, minimum: 1 }).collect();
    let certificates: Vec<_> = (0..8u8).map(|index| vec![index; 0x1000]).collect();
    let roots: Vec<_> = certificates
        .iter()
        .map(|certificate| Root {
            slot: 0,
            certificate,
        })
        .collect();
    let full = Description {
        generations: &generations,
        revoked: &revoked,
        floors: &floors,
        roots: &roots,
        signers: &SIGNERS[..1],
        ..description()
    };
    let bytes = made(&full).unwrap();
    let update = TrustUpdate::parse(&bytes).unwrap();
    assert_eq!(update.roots().collect::<Vec<_>>(), roots);
    assert_eq!(update.floors().collect::<Vec<_>>(), floors);
}

#[test]
fn entries_ascend_and_say_something() {
    let order = |list, index| Err(Error::Order { list, index });
    let nothing = |list, index| Err(Error::Nothing { list, index });
    let reserved = |list| Err(Error::Reserved { list });
    // trust-update.md 2.2
    let list = List::Generations;
    assert_eq!(with(GENERATIONS + 48, &[0x11; 32]), order(list, 1));
    assert_eq!(with(GENERATIONS + 48, &[0x10; 32]), order(list, 1));
    assert_eq!(with(GENERATIONS + 32, &[0; 4]), nothing(list, 0));
    assert_eq!(with(GENERATIONS + 47, &[1]), reserved(list));
    // trust-update.md 2.3
    assert_eq!(with(REVOKED + 32, &[0x21; 32]), order(List::Revoked, 1));
    assert_eq!(with(REVOKED, &[0xff; 32]), order(List::Revoked, 1));
    // trust-update.md 2.4
    let list = List::Floors;
    assert_eq!(with(FLOORS + 16, &[0]), order(list, 1));
    assert_eq!(with(FLOORS + 4, &[0]), nothing(list, 0));
    assert_eq!(with(FLOORS + 15, &[1]), reserved(list));
    // trust-update.md 2.5
    let list = List::Roots;
    assert_eq!(
        with(SECOND_ROOT, &[0]),
        Ok(()).and(Err(Error::RootsMissing { slot: 1 }))
    );
    assert_eq!(with(ROOTS, &[1]), Err(Error::RootsMissing { slot: 0 }));
    assert_eq!(
        with(ROOTS, &[2]),
        Err(Error::Slot {
            list,
            index: 0,
            slot: 2
        })
    );
    assert_eq!(with(ROOTS + 1, &[1]), reserved(list));
    assert_eq!(with(ROOTS + 15, &[1]), reserved(list));
    for size in [0u32, 0x1001, u32::MAX] {
        let refused = Error::RootSize {
            index: 0,
            size,
            limit: 0x1000,
        };
        assert_eq!(with(ROOTS + 4, &size.to_le_bytes()), Err(refused));
    }
    let twice = Description {
        roots: &[ROOT[0], ROOT[0]],
        signers: &SIGNERS[..1],
        ..description()
    };
    assert_eq!(made(&twice), Err(Error::Order { list, index: 1 }));
    // trust-update.md 1.5
    assert_eq!(with(ROOTS + 16 + 10, &[1]), Err(Error::Padding { list }));
}

#[test]
fn the_last_root_cannot_be_retired() {
    // trust-update.md 2.6
    let with_roots = |roots, signers| {
        let description = Description {
            roots,
            signers,
            ..description()
        };
        made(&description).map(drop)
    };
    assert_eq!(with_roots(&ROOT, &SIGNERS), Ok(()));
    assert_eq!(with_roots(&ROOT[..1], &SIGNERS[..1]), Ok(()));
    assert_eq!(with_roots(&[], &SIGNERS), Ok(()));
    let lost = |slot| Err(Error::RootsMissing { slot });
    assert_eq!(with_roots(&ROOT[1..], &SIGNERS[1..]), lost(0));
    assert_eq!(with_roots(&ROOT[..1], &SIGNERS), lost(1));
}

#[test]
fn signatures_have_their_slots_and_algorithms() {
    let list = List::Signatures;
    // trust-update.md 3.1
    let slot = |slot| {
        Err(Error::Slot {
            list,
            index: 0,
            slot,
        })
    };
    assert_eq!(with(SIGNATURES, &[2]), slot(2));
    assert_eq!(with(SIGNATURES, &[1]), Err(Error::Order { list, index: 1 }));
    assert_eq!(with(SIGNATURES + 1, &[1]), Err(Error::Reserved { list }));
    assert_eq!(with(SIGNATURES + 15, &[1]), Err(Error::Reserved { list }));
    // trust-update.md 3.2
    for id in [0u16, 4, 0x100] {
        let refused = Err(Error::Algorithm { slot: 0, id });
        assert_eq!(with(SIGNATURES + 2, &id.to_le_bytes()), refused);
    }
}

#[test]
fn every_flipped_byte_of_a_trust_update_is_refused() {
    // trust-update.md 3.4. The key id and the slot of a signature lead the check to a root; they are not signed themselves.
    let whole = golden();
    let lead = |at: usize| {
        [SIGNATURES, SECOND_SIGNATURE]
            .iter()
            .any(|head| (head + 16..head + 48).contains(&at))
    };
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x80;
        let held = TrustUpdate::parse(&flipped).is_ok_and(|update| update.verify(&Toy).is_ok());
        assert_eq!(held, lead(at), "byte {at}");
    }
    let mut wrong = whole.clone();
    wrong[SECOND_SIGNATURE + 48] ^= 1;
    let refused = TrustUpdate::parse(&wrong).unwrap().verify(&Toy);
    let expected = SignatureRefused { slot: 1, error: () };
    assert_eq!(refused.map(drop), Err(expected));
}

#[test]
fn every_truncation_of_a_trust_update_is_refused() {
    // trust-update.md 1.6
    let whole = golden();
    for end in 0..whole.len() {
        let refused = read(&whole[..end]).unwrap_err();
        let cut = matches!(refused, Error::Short { .. } | Error::NotATrustUpdate);
        assert!(cut, "cut at {end}: {refused}");
    }
    for more in 1..64 {
        let longer = [&whole[..], &vec![0; more]].concat();
        let excess = more as u64;
        assert_eq!(read(&longer), Err(Error::Tail { excess }));
    }
}
