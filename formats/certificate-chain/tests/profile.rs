//! Every rule of bundle-format.md 11: one certificate that keeps it, one that breaks it.

#[path = "support/mod.rs"]
mod support;

use certificate_chain::{Certificate, Checker, Error, Field, Kind, Role, Root, SCOPE, Scope};
use firmware_bundle::Algorithm;

use support::{
    BASIC_CONSTRAINTS, CODE, ECDSA_WITH_SHA256, ED25519, EXTENDED_KEY_USAGE, KEY_USAGE, Key, LEAF,
    OURS, PRODUCT_CA, Pki, ROOT, Template, basic_constraints, bit_string, extension, name, oid,
    purposes, root_template, sequence, tlv, validity,
};

const CLASS: [u8; 16] = [7; 16];

fn scope(kind: Kind) -> Scope {
    Scope::new(kind, &[0, 5], &[CLASS], 9, 1, Role::Development).unwrap()
}

fn leaf() -> Template {
    Template::new(Kind::Leaf, &Key::new(LEAF), Some(scope(Kind::Leaf)))
}

fn product_ca() -> Template {
    let key = Key::new(PRODUCT_CA);
    Template::new(Kind::ProductCa, &key, Some(scope(Kind::ProductCa)))
}

fn judge(kind: Kind, template: &Template) -> Result<Certificate, Error> {
    Certificate::parse(kind, &template.sign(&Key::new(ROOT)))
}

fn pki() -> Pki {
    Pki::new(scope(Kind::ProductCa), scope(Kind::Leaf))
}

/// Replaces leaf and product CA of a good chain.
fn chain(leaf: &Template, product_ca: &Template) -> Result<[Certificate; 2], Error> {
    let leaf = leaf.sign(&Key::new(PRODUCT_CA));
    let product_ca = product_ca.sign(&Key::new(ROOT));
    pki().checker().chain(0, &[&leaf, &product_ca])
}

#[test]
fn a_chain_that_keeps_the_profile_is_accepted_and_tells_what_its_signer_may_sign() {
    // bundle-format.md 11.1 to 11.16, the accepting side.
    let [leaf, product_ca] = chain(&leaf(), &product_ca()).unwrap();
    assert_eq!(leaf.kind(), Kind::Leaf);
    assert_eq!(leaf.scope(), Some(&scope(Kind::Leaf)));
    assert_eq!(leaf.public_key(), Key::new(LEAF).point());
    assert_eq!(
        *leaf.key_id(),
        certificate_chain::sha256(&[&Key::new(LEAF).spki()])
    );
    assert_eq!(leaf.serial(), [0x40, 3]);
    assert_eq!(leaf.issuer(), product_ca.subject());
    assert_eq!(product_ca.kind(), Kind::ProductCa);
}

#[test]
fn a_chain_is_a_leaf_and_its_product_ca_and_never_holds_the_root() {
    // bundle-format.md 11.1
    let pki = pki();
    let checker = pki.checker();
    assert_eq!(
        checker.chain(0, &[&pki.leaf]),
        Err(Error::ChainLength { found: 1 })
    );
    assert_eq!(
        checker.chain(0, &[&pki.leaf, &pki.product_ca, &pki.root]),
        Err(Error::ChainLength { found: 3 })
    );
    assert!(checker.chain(0, &pki.chain()).is_ok());
}

#[test]
fn certificates_have_limits_in_front_of_the_parser() {
    // bundle-format.md 11.2
    let long = leaf().with(extension("1.2.3", false, &[0; 0x1000]));
    assert!(matches!(
        judge(Kind::Leaf, &long),
        Err(Error::TooLong {
            certificate: Kind::Leaf,
            limit: 0x1000,
            ..
        })
    ));
    let mut many = leaf();
    for number in 0..200 {
        many = many.with(extension(&format!("1.2.{number}"), false, &[]));
    }
    assert_eq!(
        judge(Kind::Leaf, &many),
        Err(Error::TooManyElements {
            certificate: Kind::Leaf
        })
    );
    let some = leaf().with(extension("1.2.3", false, &[0; 0x800]));
    assert!(judge(Kind::Leaf, &some).is_ok());
}

#[test]
fn what_an_extension_holds_is_limited_before_it_is_parsed_too() {
    // bundle-format.md 11.2: a list of key purposes takes ten times its length in memory, and nobody signed it yet.
    let with_purposes = |count: usize| {
        let numbers: Vec<String> = (2..count).map(|number| format!("1.2.{number}")).collect();
        let ids: Vec<&str> = [OURS, CODE]
            .into_iter()
            .chain(numbers.iter().map(String::as_str))
            .collect();
        let purposes = extension(EXTENDED_KEY_USAGE, true, &purposes(&ids));
        judge(
            Kind::Leaf,
            &leaf().replace(EXTENDED_KEY_USAGE, Some(purposes)),
        )
    };
    assert!(with_purposes(63).is_ok());
    let many = Err(Error::TooManyElements {
        certificate: Kind::Leaf,
    });
    assert_eq!(with_purposes(64), many);

    // The longest scope there may be is below the limit; a longer list is not even read.
    let classes: Vec<[u8; 16]> = (0..16).map(|number| [number; 16]).collect();
    let cores: Vec<u32> = (0..32).collect();
    let longest = Scope::new(Kind::Leaf, &cores, &classes, 9, 1, Role::Development).unwrap();
    let template = Template::new(Kind::Leaf, &Key::new(LEAF), Some(longest));
    assert_eq!(
        judge(Kind::Leaf, &template).unwrap().scope(),
        Some(&longest)
    );
    let cores = tlv(0x30, &tlv(0x02, &[1]).repeat(63));
    let scope = sequence(&[&tlv(0x02, &[1]), &cores]);
    let scope = extension(&SCOPE.to_string(), true, &scope);
    assert_eq!(
        judge(Kind::Leaf, &leaf().replace(&SCOPE.to_string(), Some(scope))),
        many
    );
}

#[test]
fn who_issued_is_judged_by_name_and_by_signature() {
    // bundle-format.md 11.3
    let other_name = Template {
        issuer: name("somebody else"),
        ..leaf()
    };
    assert_eq!(
        chain(&other_name, &product_ca()),
        Err(Error::Issuer {
            certificate: Kind::Leaf
        })
    );

    let pki = pki();
    let checker = pki.checker();
    let foreign_leaf = leaf().sign(&Key::new(0x55));
    assert_eq!(
        checker.chain(0, &[&foreign_leaf, &pki.product_ca]),
        Err(Error::CertificateSignature {
            certificate: Kind::Leaf
        })
    );
    let foreign_ca = product_ca().sign(&Key::new(0x55));
    assert_eq!(
        checker.chain(0, &[&pki.leaf, &foreign_ca]),
        Err(Error::CertificateSignature {
            certificate: Kind::ProductCa
        })
    );

    let unknown = Template {
        issuer: name("another root"),
        ..product_ca()
    };
    assert_eq!(chain(&leaf(), &unknown), Err(Error::UnknownRoot));
    assert_eq!(
        checker.chain(1, &pki.chain()),
        Err(Error::UnknownRoot),
        "pinned for slot 0 only"
    );
}

#[test]
fn key_identifiers_tell_roots_of_one_name_apart_but_are_not_trusted() {
    // bundle-format.md 11.3
    let with_id = |template: Template, id: u8| {
        template.with(extension("2.5.29.14", false, &tlv(0x04, &[id; 20])))
    };
    let pointing = |id: u8| {
        let value = sequence(&[&tlv(0x80, &[id; 20])]);
        product_ca().with(extension("2.5.29.35", false, &value))
    };
    let old = Key::new(0x66);
    let old_root = Template {
        spki: old.spki(),
        ..with_id(root_template(), 1)
    };
    let roots = vec![
        Root::parse(0, &old_root.sign(&old)).unwrap(),
        Root::parse(0, &with_id(root_template(), 2).sign(&Key::new(ROOT))).unwrap(),
    ];
    let checker = Checker::new(roots).unwrap();
    let leaf = leaf().sign(&Key::new(PRODUCT_CA));
    let judge = |product_ca: Template| {
        checker
            .chain(0, &[&leaf, &product_ca.sign(&Key::new(ROOT))])
            .map(drop)
    };
    assert_eq!(judge(pointing(2)), Ok(()));
    assert_eq!(judge(product_ca()), Ok(()), "without a hint both are tried");
    assert_eq!(judge(pointing(3)), Err(Error::UnknownRoot));
    let wrong = Error::CertificateSignature {
        certificate: Kind::ProductCa,
    };
    assert_eq!(judge(pointing(1)), Err(wrong));
}

/// A change to the leaf, and the rule that it breaks.
struct Case {
    what: &'static str,
    template: Template,
    refused: Error,
}

#[test]
fn fields_of_a_certificate_that_break_the_profile_are_refused_by_name() {
    let certificate = Kind::Leaf;
    let unsupported = |algorithm| Error::AlgorithmNotSupported {
        certificate,
        algorithm,
    };
    let p384 = sequence(&[&oid("1.2.840.10045.2.1"), &oid("1.3.132.0.34")]);
    let p521 = sequence(&[&oid("1.2.840.10045.2.1"), &oid("1.3.132.0.35")]);
    let p256 = sequence(&[&oid("1.2.840.10045.2.1"), &oid("1.2.840.10045.3.1.7")]);
    let ed25519 = Key::of(Algorithm::Ed25519, LEAF).point();
    let point = Key::new(LEAF).point();
    let cases = [
        Case {
            what: "bundle-format.md 11.4: version 1 has no extensions, version 2 is not ours",
            template: Template {
                version: tlv(0xa0, &tlv(0x02, &[1])),
                ..leaf()
            },
            refused: Error::Version { certificate },
        },
        Case {
            what: "bundle-format.md 11.4: serial 0",
            template: Template {
                serial: tlv(0x02, &[0]),
                ..leaf()
            },
            refused: Error::Serial { certificate },
        },
        Case {
            what: "bundle-format.md 11.4: a negative serial",
            template: Template {
                serial: tlv(0x02, &[0x80, 1]),
                ..leaf()
            },
            refused: Error::Serial { certificate },
        },
        Case {
            what: "bundle-format.md 11.4: a serial of 21 octets",
            template: Template {
                serial: tlv(0x02, &[0x40; 21]),
                ..leaf()
            },
            refused: Error::Serial { certificate },
        },
        Case {
            what: "bundle-format.md 11.4: two algorithms",
            template: Template {
                outer_algorithm: sequence(&[&oid("1.2.840.10045.4.3.3")]),
                ..leaf()
            },
            refused: Error::AlgorithmMismatch { certificate },
        },
        Case {
            what: "bundle-format.md 11.4: a unique identifier",
            template: Template {
                unique_ids: tlv(0x81, &[0, 1]),
                ..leaf()
            },
            refused: Error::UniqueIdentifier { certificate },
        },
        Case {
            what: "bundle-format.md 11.5: signed with ML-DSA-65",
            template: Template {
                inner_algorithm: sequence(&[&oid("2.16.840.1.101.3.4.3.18")]),
                outer_algorithm: sequence(&[&oid("2.16.840.1.101.3.4.3.18")]),
                ..leaf()
            },
            refused: unsupported(Algorithm::MlDsa65),
        },
        Case {
            what: "bundle-format.md 11.5: signed with RSA",
            template: Template {
                inner_algorithm: sequence(&[&oid("1.2.840.113549.1.1.11"), &[5, 0]]),
                outer_algorithm: sequence(&[&oid("1.2.840.113549.1.1.11"), &[5, 0]]),
                ..leaf()
            },
            refused: Error::AlgorithmUnknown { certificate },
        },
        Case {
            what: "bundle-format.md 11.5: parameters where there are none",
            template: Template {
                inner_algorithm: sequence(&[&oid(ECDSA_WITH_SHA256), &[5, 0]]),
                outer_algorithm: sequence(&[&oid(ECDSA_WITH_SHA256), &[5, 0]]),
                ..leaf()
            },
            refused: Error::AlgorithmUnknown { certificate },
        },
        Case {
            what: "bundle-format.md 11.5: Ed25519 with parameters",
            template: Template {
                inner_algorithm: sequence(&[&oid(ED25519), &[5, 0]]),
                outer_algorithm: sequence(&[&oid(ED25519), &[5, 0]]),
                ..leaf()
            },
            refused: Error::AlgorithmUnknown { certificate },
        },
        Case {
            what: "bundle-format.md 11.5: signed with SHA-512",
            template: Template {
                inner_algorithm: sequence(&[&oid("1.2.840.10045.4.3.4")]),
                outer_algorithm: sequence(&[&oid("1.2.840.10045.4.3.4")]),
                ..leaf()
            },
            refused: Error::AlgorithmUnknown { certificate },
        },
        Case {
            what: "bundle-format.md 11.5: an ML-DSA-65 key",
            template: Template {
                spki: sequence(&[
                    &sequence(&[&oid("2.16.840.1.101.3.4.3.18")]),
                    &bit_string(0, &[4; 1952]),
                ]),
                ..leaf()
            },
            refused: unsupported(Algorithm::MlDsa65),
        },
        Case {
            what: "bundle-format.md 11.5: a key of Ed25519 with parameters",
            template: Template {
                spki: sequence(&[
                    &sequence(&[&oid(ED25519), &[5, 0]]),
                    &bit_string(0, &ed25519),
                ]),
                ..leaf()
            },
            refused: Error::AlgorithmUnknown { certificate },
        },
        Case {
            what: "bundle-format.md 11.5: a key of Ed25519 of 31 bytes",
            template: Template {
                spki: sequence(&[&sequence(&[&oid(ED25519)]), &bit_string(0, &ed25519[..31])]),
                ..leaf()
            },
            refused: Error::KeyForm { certificate },
        },
        Case {
            what: "bundle-format.md 11.5: a point of P-256 as a key of P-384",
            template: Template {
                spki: sequence(&[&p384, &bit_string(0, &point)]),
                ..leaf()
            },
            refused: Error::KeyForm { certificate },
        },
        Case {
            what: "bundle-format.md 11.5: a P-521 key",
            template: Template {
                spki: sequence(&[&p521, &bit_string(0, &[4; 133])]),
                ..leaf()
            },
            refused: Error::AlgorithmUnknown { certificate },
        },
        Case {
            what: "bundle-format.md 11.5: a compressed point",
            template: Template {
                spki: sequence(&[&p256, &bit_string(0, &[&[2], &point[1..33]].concat())]),
                ..leaf()
            },
            refused: Error::KeyForm { certificate },
        },
        Case {
            what: "bundle-format.md 11.6: a date before 2050 as GeneralizedTime",
            template: Template {
                validity: validity("20260101000000Z", "20270101000000Z"),
                ..leaf()
            },
            refused: Error::NotCanonical { certificate },
        },
        Case {
            what: "bundle-format.md 11.6: key usage with a bit too many written down",
            template: leaf().replace(
                KEY_USAGE,
                Some(extension(KEY_USAGE, true, &bit_string(6, &[0x80]))),
            ),
            refused: Error::NotCanonical { certificate },
        },
    ];
    for case in cases {
        assert_eq!(
            judge(certificate, &case.template),
            Err(case.refused),
            "{}",
            case.what
        );
    }
    assert!(judge(certificate, &leaf()).is_ok());
}

#[test]
fn anything_behind_or_instead_of_the_certificate_is_refused() {
    // bundle-format.md 11.6
    let mut trailing = leaf().sign(&Key::new(PRODUCT_CA));
    trailing.extend([5, 0]);
    assert!(matches!(
        Certificate::parse(Kind::Leaf, &trailing),
        Err(Error::Der {
            certificate: Kind::Leaf,
            ..
        })
    ));
    assert!(matches!(
        Certificate::parse(Kind::Leaf, &sequence(&[])),
        Err(Error::Der { .. })
    ));
    assert!(matches!(
        Certificate::parse(Kind::Leaf, &[]),
        Err(Error::Der { .. })
    ));
}

#[test]
fn every_truncation_of_a_certificate_is_refused() {
    // bundle-format.md 11.6
    let der = leaf().sign(&Key::new(PRODUCT_CA));
    for length in 0..der.len() {
        assert!(
            Certificate::parse(Kind::Leaf, &der[..length]).is_err(),
            "{length}"
        );
    }
}

#[test]
fn what_the_profile_asks_for_is_present_and_critical() {
    // bundle-format.md 11.7
    let scope_id = SCOPE.to_string();
    let table = [
        (Kind::Leaf, BASIC_CONSTRAINTS, Field::BasicConstraints),
        (Kind::Leaf, KEY_USAGE, Field::KeyUsage),
        (Kind::Leaf, EXTENDED_KEY_USAGE, Field::ExtendedKeyUsage),
        (Kind::Leaf, &scope_id, Field::Scope),
        (Kind::ProductCa, BASIC_CONSTRAINTS, Field::BasicConstraints),
        (Kind::ProductCa, KEY_USAGE, Field::KeyUsage),
        (Kind::ProductCa, &scope_id, Field::Scope),
        (Kind::Root, BASIC_CONSTRAINTS, Field::BasicConstraints),
        (Kind::Root, KEY_USAGE, Field::KeyUsage),
    ];
    for (certificate, id, field) in table {
        let good = match certificate {
            Kind::Leaf => leaf(),
            Kind::ProductCa => product_ca(),
            Kind::Root => root_template(),
        };
        assert!(judge(certificate, &good).is_ok());
        assert_eq!(
            judge(certificate, &good.clone().replace(id, None)),
            Err(Error::Missing { certificate, field }),
        );
        let optional = extension(id, false, &[]);
        assert_eq!(
            judge(certificate, &good.replace(id, Some(optional))),
            Err(Error::NotCritical { certificate, field }),
        );
    }
}

#[test]
fn extensions_stand_once_and_unknown_critical_ones_are_refused() {
    // bundle-format.md 11.8
    let certificate = Kind::Leaf;
    let ignored = leaf().with(extension("1.2.3.4", false, b"anything"));
    assert!(judge(certificate, &ignored).is_ok());
    assert_eq!(
        judge(
            certificate,
            &leaf().with(extension("1.2.3.4", true, b"anything"))
        ),
        Err(Error::ExtensionUnknown { certificate })
    );
    let twice = extension("1.2.3.4", false, b"anything");
    assert_eq!(
        judge(certificate, &leaf().with(twice.clone()).with(twice)),
        Err(Error::ExtensionTwice { certificate })
    );
}

#[test]
fn basic_constraints_are_those_of_the_place() {
    // bundle-format.md 11.9
    for certificate in [Kind::Leaf, Kind::ProductCa, Kind::Root] {
        let good = match certificate {
            Kind::Leaf => leaf(),
            Kind::ProductCa => product_ca(),
            Kind::Root => root_template(),
        };
        for other in [Kind::Leaf, Kind::ProductCa, Kind::Root] {
            let value = extension(BASIC_CONSTRAINTS, true, &basic_constraints(other));
            let judged = judge(
                certificate,
                &good.clone().replace(BASIC_CONSTRAINTS, Some(value)),
            );
            if certificate == other {
                assert!(judged.is_ok());
            } else {
                assert_eq!(judged, Err(Error::BasicConstraints { certificate }));
            }
        }
    }
}

#[test]
fn key_usage_is_that_of_the_place_alone() {
    // bundle-format.md 11.10
    let judge_bits = |certificate, template: Template, unused, bits| {
        let value = extension(KEY_USAGE, true, &bit_string(unused, &[bits]));
        judge(certificate, &template.replace(KEY_USAGE, Some(value))).map(drop)
    };
    let leaf_usage = Error::KeyUsage {
        certificate: Kind::Leaf,
    };
    assert_eq!(
        judge_bits(Kind::Leaf, leaf(), 6, 0xc0),
        Err(leaf_usage),
        "nonRepudiation too"
    );
    assert_eq!(judge_bits(Kind::Leaf, leaf(), 2, 0x04), Err(leaf_usage));
    let ca_usage = Error::KeyUsage {
        certificate: Kind::ProductCa,
    };
    assert_eq!(judge_bits(Kind::ProductCa, product_ca(), 2, 0x04), Ok(()));
    assert_eq!(judge_bits(Kind::ProductCa, product_ca(), 1, 0x06), Ok(()));
    assert_eq!(
        judge_bits(Kind::ProductCa, product_ca(), 1, 0x86),
        Err(ca_usage)
    );
    assert_eq!(
        judge_bits(Kind::ProductCa, product_ca(), 1, 0x02),
        Err(ca_usage)
    );
}

#[test]
fn purposes_are_ours_and_code_signing_and_never_any() {
    // bundle-format.md 11.11
    let judge_purposes = |certificate, template: Template, ids: &[&str]| {
        let value = extension(EXTENDED_KEY_USAGE, true, &purposes(ids));
        let changed = match certificate {
            Kind::Leaf => template.replace(EXTENDED_KEY_USAGE, Some(value)),
            Kind::ProductCa | Kind::Root => template.with(value),
        };
        judge(certificate, &changed).map(drop)
    };
    let any = "2.5.29.37.0";
    for certificate in [Kind::Leaf, Kind::ProductCa] {
        let good = || match certificate {
            Kind::Leaf => leaf(),
            Kind::ProductCa | Kind::Root => product_ca(),
        };
        assert_eq!(
            judge_purposes(certificate, good(), &[OURS, CODE, "1.2.3"]),
            Ok(())
        );
        assert_eq!(
            judge_purposes(certificate, good(), &[CODE]),
            Err(Error::Purpose { certificate })
        );
        assert_eq!(
            judge_purposes(certificate, good(), &[OURS, CODE, any]),
            Err(Error::AnyPurpose { certificate })
        );
    }
    let certificate = Kind::Leaf;
    assert_eq!(
        judge_purposes(certificate, leaf(), &[OURS]),
        Err(Error::Purpose { certificate }),
        "a leaf has codeSigning too"
    );
    assert_eq!(
        judge_purposes(Kind::ProductCa, product_ca(), &[OURS]),
        Ok(())
    );
}

#[test]
fn a_root_is_pinned_for_a_slot_that_exists_and_signed_by_itself() {
    // bundle-format.md 11.16
    let root = pki().root;
    assert!(Root::parse(1, &root).is_ok());
    assert_eq!(Root::parse(2, &root), Err(Error::RootSlot { slot: 2 }));
    assert_eq!(
        Root::parse(0, &root_template().sign(&Key::new(0x55))),
        Err(Error::CertificateSignature {
            certificate: Kind::Root
        })
    );
    assert_eq!(Checker::new(vec![]), Err(Error::RootCount { found: 0 }));
    let pinned = Root::parse(0, &root).unwrap();
    assert!(Checker::new(vec![pinned.clone(); 8]).is_ok());
    assert_eq!(
        Checker::new(vec![pinned; 9]),
        Err(Error::RootCount { found: 9 })
    );
}

#[test]
fn dates_are_read_and_not_judged() {
    // bundle-format.md 11.17
    let long_ago = Template {
        validity: validity("700101000001Z", "700101000002Z"),
        ..leaf()
    };
    let [leaf, product_ca] = chain(&long_ago, &product_ca()).unwrap();
    assert_eq!(leaf.validity().not_before, 1);
    assert_eq!(leaf.validity().not_after, 2);
    assert_eq!(product_ca.validity().not_before, 1_767_225_600);
    assert_eq!(product_ca.validity().not_after, 253_402_300_799);
    let edge = Template {
        validity: validity("491231235959Z", "20500101000000Z"),
        ..self::leaf()
    };
    let edge = judge(Kind::Leaf, &edge).unwrap().validity();
    assert_eq!(edge.not_before + 1, edge.not_after);
}

#[test]
fn every_byte_of_a_certificate_changed_and_signed_anew_is_judged_without_a_panic() {
    // bundle-format.md 11.6: what is taken all the same is in its one canonical form.
    let good = leaf().sign(&Key::new(PRODUCT_CA));
    let signed = support::signed_part(&good);
    let checker = pki().checker();
    let product_ca = product_ca().sign(&Key::new(ROOT));
    let (mut taken, mut refused) = (0, 0);
    for at in 0..signed.len() {
        for bits in [0x01, 0x02, 0x20, 0x80, 0xff] {
            let mut changed = signed.to_vec();
            changed[at] ^= bits;
            let der = support::sign(&changed, &Key::new(PRODUCT_CA));
            match checker.chain(0, &[&der, &product_ca]) {
                Ok([leaf, _]) => {
                    let scope = *leaf.scope().unwrap();
                    assert_eq!(
                        scope.within(Kind::Leaf, &self::scope(Kind::ProductCa)),
                        Ok(())
                    );
                    taken += 1;
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(taken > 50 && refused > 2 * taken, "{taken}, {refused}");
}
