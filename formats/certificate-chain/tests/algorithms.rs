//! The three algorithms in a chain and on a message: who may issue whom, and the one form of each key and signature.

#[path = "support/mod.rs"]
mod support;

use certificate_chain::{Certificate, Checker, Error, Kind, Role, Root, Scope, verify};
use firmware_bundle::Algorithm;

use support::{ED25519, Key, LEAF, PRODUCT_CA, Pki, ROOT, Template, bit_string, oid, sequence};

const P256: Algorithm = Algorithm::EcdsaP256Sha256;
const P384: Algorithm = Algorithm::EcdsaP384Sha384;
const ED: Algorithm = Algorithm::Ed25519;
const ALL: [Algorithm; 3] = [P256, P384, ED];
const MESSAGE: &[u8] = b"what is signed";

fn scope(kind: Kind) -> Scope {
    Scope::new(kind, &[0], &[[7; 16]], 9, 1, Role::Development).unwrap()
}

fn pki(algorithms: [Algorithm; 3]) -> Pki {
    Pki::of(scope(Kind::ProductCa), scope(Kind::Leaf), algorithms, 0)
}

#[test]
fn a_chain_of_one_algorithm_is_accepted_for_each_of_the_three() {
    // bundle-format.md 11.5
    for algorithm in ALL {
        let pki = pki([algorithm; 3]);
        let [leaf, product_ca] = pki.checker().chain(0, &pki.chain()).unwrap();
        assert_eq!(leaf.algorithm(), algorithm);
        assert_eq!(product_ca.algorithm(), algorithm);
        assert_eq!(leaf.public_key(), pki.signer.point());
        let signature = pki.signer.sign_raw(MESSAGE);
        assert_eq!(signature.len(), algorithm.signature_size());
        assert_eq!(
            verify(algorithm, leaf.public_key(), MESSAGE, &signature),
            Ok(())
        );
    }
}

#[test]
fn no_key_is_stronger_than_the_one_above_it() {
    // bundle-format.md 11.18: every chain there can be, and what is said of it.
    let strong = |algorithm| algorithm == P384;
    let (mut taken, mut refused) = (0, 0);
    for root in ALL {
        for ca in ALL {
            for leaf in ALL {
                let pki = pki([root, ca, leaf]);
                let judged = pki.checker().chain(0, &pki.chain()).map(drop);
                let stronger = |certificate, key, issuer| {
                    Err(Error::KeyStronger {
                        certificate,
                        key,
                        issuer,
                    })
                };
                let expected = if strong(ca) && !strong(root) {
                    stronger(Kind::ProductCa, ca, root)
                } else if strong(leaf) && !strong(ca) {
                    stronger(Kind::Leaf, leaf, ca)
                } else {
                    Ok(())
                };
                assert_eq!(judged, expected, "{root}, {ca}, {leaf}");
                match judged {
                    Ok(()) => taken += 1,
                    Err(_) => refused += 1,
                }
            }
        }
    }
    assert_eq!((taken, refused), (15, 12));
}

#[test]
fn a_certificate_names_the_algorithm_of_its_issuers_key() {
    // bundle-format.md 11.5
    let certificate = Kind::Leaf;
    for (issuer, other) in [(P256, P384), (P384, P256), (P384, ED), (ED, P256)] {
        let pki = pki([P384, issuer, P256]);
        let ca_key = Key::of(issuer, PRODUCT_CA);
        let leaf = |named: &Key| {
            Template::new(certificate, &Key::new(LEAF), Some(scope(certificate)))
                .under(named)
                .sign(&ca_key)
        };
        let judge = |leaf: &[u8]| {
            let chain = [leaf, &pki.product_ca];
            pki.checker().chain(0, &chain).map(drop)
        };
        assert_eq!(judge(&leaf(&ca_key)), Ok(()));
        assert_eq!(
            judge(&leaf(&Key::of(other, ROOT))),
            Err(Error::IssuerAlgorithm {
                certificate,
                named: other,
                key: issuer
            })
        );
    }
}

#[test]
fn a_signature_on_a_certificate_holds_for_each_algorithm_or_is_refused() {
    // bundle-format.md 11.3
    for algorithm in ALL {
        let pki = pki([algorithm; 3]);
        let foreign = Key::of(algorithm, 0x55);
        let leaf = Template::new(Kind::Leaf, &Key::new(LEAF), Some(scope(Kind::Leaf)))
            .under(&foreign)
            .sign(&foreign);
        assert_eq!(
            pki.checker().chain(0, &[&leaf, &pki.product_ca]).map(drop),
            Err(Error::CertificateSignature {
                certificate: Kind::Leaf
            })
        );
        let root = Key::of(algorithm, ROOT);
        let root = Template::new(Kind::Root, &root, None).under(&root);
        assert_eq!(
            Root::parse(0, &root.sign(&foreign)),
            Err(Error::CertificateSignature {
                certificate: Kind::Root
            })
        );
        let checker = Checker::new(vec![Root::parse(1, &pki.root).unwrap()]).unwrap();
        assert!(checker.chain(1, &pki.chain()).is_ok());
        assert_eq!(
            checker.chain(0, &pki.chain()),
            Err(Error::UnknownRoot),
            "pinned for slot 1 only"
        );
    }
}

#[test]
fn every_flipped_byte_and_every_truncation_of_a_signature_is_refused() {
    // bundle-format.md 4.3 and 4.5
    for algorithm in ALL {
        let key = Key::of(algorithm, LEAF);
        let point = key.point();
        let good = key.sign_raw(MESSAGE);
        assert_eq!(verify(algorithm, &point, MESSAGE, &good), Ok(()));
        for at in 0..good.len() {
            for bits in [0x01, 0x80, 0xff] {
                let mut flipped = good.clone();
                flipped[at] ^= bits;
                let refused = verify(algorithm, &point, MESSAGE, &flipped);
                let high = algorithm != ED && at >= good.len() / 2;
                assert!(
                    refused == Err(Error::Signature) || (high && refused == Err(Error::HighS)),
                    "{algorithm}, byte {at} ^ {bits:#x}: {refused:?}"
                );
            }
        }
        for length in 0..good.len() {
            assert!(verify(algorithm, &point, MESSAGE, &good[..length]).is_err());
        }
        let longer = [good.as_slice(), &[0]].concat();
        assert!(verify(algorithm, &point, MESSAGE, &longer).is_err());
        assert_eq!(
            verify(algorithm, &point, b"another message", &good),
            Err(Error::Signature)
        );
        let other = Key::of(algorithm, ROOT).point();
        assert_eq!(
            verify(algorithm, &other, MESSAGE, &good),
            Err(Error::Signature)
        );
    }
}

#[test]
fn nobody_can_make_a_second_signature_out_of_the_first() {
    // bundle-format.md 4.4
    for (algorithm, refused) in [
        (P256, Error::HighS),
        (P384, Error::HighS),
        (ED, Error::Signature),
    ] {
        for seed in [ROOT, PRODUCT_CA, LEAF] {
            let key = Key::of(algorithm, seed);
            let mirrored = key.sign_raw_high(MESSAGE);
            assert_ne!(mirrored, key.sign_raw(MESSAGE));
            assert_eq!(
                verify(algorithm, &key.point(), MESSAGE, &mirrored),
                Err(refused),
                "{algorithm}"
            );
        }
    }
}

#[test]
fn the_mirror_image_of_an_ecdsa_signature_would_hold_but_for_our_rule() {
    // bundle-format.md 4.4: this is what makes the rule necessary.
    use ring::signature::{ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};
    let key = Key::of(P384, LEAF);
    let ring = UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, key.point());
    assert!(ring.verify(MESSAGE, &key.sign_raw_high(MESSAGE)).is_ok());
}

#[test]
fn a_key_of_ed25519_has_one_form_and_a_large_order() {
    // bundle-format.md 11.5
    let certificate = Kind::Leaf;
    let judge = |key: &[u8]| {
        let spki = sequence(&[&sequence(&[&oid(ED25519)]), &bit_string(0, key)]);
        let template = Template {
            spki,
            ..Template::new(certificate, &Key::new(LEAF), Some(scope(certificate)))
        };
        Certificate::parse(certificate, &template.sign(&Key::new(PRODUCT_CA))).map(drop)
    };
    let refused = Err(Error::KeyForm { certificate });
    assert_eq!(judge(&Key::of(ED, LEAF).point()), Ok(()));

    // The points of order 1, 2, 4 and 8 (RFC 8032, 5.1, the cofactor), each with either sign of x.
    let mut minus_one = [0xff; 32];
    (minus_one[0], minus_one[31]) = (0xec, 0x7f);
    let zero = [0; 32];
    for mut key in [
        zero,
        [&[1][..], &[0; 31]].concat().try_into().unwrap(),
        minus_one,
        hex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
        hex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    ] {
        assert_eq!(judge(&key), refused, "{key:x?}");
        key[31] |= 0x80;
        assert_eq!(judge(&key), refused, "{key:x?}");
    }
    // A y that is not below the field's prime: 2^255 - 19 and above is another form of 0 and above.
    for low in 0xed..=0xff {
        let mut key = minus_one;
        key[0] = low;
        assert_eq!(judge(&key), refused, "{key:x?}");
    }
    for length in [0, 31, 33, 57] {
        assert_eq!(judge(&vec![9; length]), refused);
    }
}

#[test]
fn a_weak_key_of_ed25519_would_let_anybody_sign() {
    // bundle-format.md 11.5: this is what makes the rule necessary. With the neutral element as key, R = 0 B and S = 0.
    let neutral: [u8; 32] = [&[1][..], &[0; 31]].concat().try_into().unwrap();
    let anybodys = [neutral, [0; 32]].concat();
    assert_eq!(verify(ED, &neutral, b"one", &anybodys), Ok(()));
    assert_eq!(verify(ED, &neutral, b"another", &anybodys), Ok(()));
}

fn hex(digits: &str) -> [u8; 32] {
    core::array::from_fn(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap())
}
