//! The scope extension: its form, its limits, and how far it may reach below another (bundle-format.md 11.12 to 11.15).

#[path = "support/mod.rs"]
mod support;

use certificate_chain::{Checker, Error, Kind, Role, Root, SCOPE, Scope};

use support::{
    Key, LEAF, PRODUCT_CA, Pki, ROOT, Template, extension, root_template, sequence, tlv,
};

const A: [u8; 16] = [1; 16];
const B: [u8; 16] = [2; 16];

fn new(cores: &[u32], classes: &[[u8; 16]], ceiling: u32, role: Role) -> Scope {
    Scope::new(Kind::Leaf, cores, classes, ceiling, 7, role).unwrap()
}

#[test]
fn a_scope_is_written_as_documented_and_read_back() {
    // bundle-format.md 11.12. If it fails, do not change the bytes.
    let scope = new(&[0, 0x80, u32::MAX], &[A], 300, Role::Release);
    let golden = [
        &[0x30, 0x31][..],                           // SEQUENCE
        &[0x02, 0x01, 0x01],                         // version 1
        &[0x30, 0x0e],                               // coreIds
        &[0x02, 0x01, 0x00],                         // 0
        &[0x02, 0x02, 0x00, 0x80],                   // 128
        &[0x02, 0x05, 0x00, 0xff, 0xff, 0xff, 0xff], // 4294967295
        &[0x30, 0x12, 0x04, 0x10],                   // deviceClasses, one of 16 bytes
        &A,                                          //
        &[0x02, 0x02, 0x01, 0x2c],                   // maxSecurityVersion 300
        &[0x02, 0x01, 0x07],                         // signerGeneration 7
        &[0x0a, 0x01, 0x01],                         // role release
    ]
    .concat();
    assert_eq!(scope.encode(), golden);
    assert_eq!(Scope::decode(Kind::Leaf, &golden), Ok(scope));
    assert_eq!(scope.cores(), [0, 0x80, u32::MAX]);
    assert_eq!(scope.classes(), [A]);
    assert_eq!(scope.ceiling(), 300);
    assert_eq!(scope.generation(), 7);
    assert_eq!(scope.role(), Role::Release);
}

#[test]
fn every_truncation_and_every_other_form_of_a_scope_is_refused() {
    // bundle-format.md 11.12
    let certificate = Kind::Leaf;
    let form = Err(Error::ScopeForm { certificate });
    let good = new(&[1], &[A], 3, Role::Development).encode();
    for length in 0..good.len() {
        assert_eq!(Scope::decode(certificate, &good[..length]), form);
    }
    let integer = |value: &[u8]| tlv(0x02, value);
    let cores = sequence(&[&integer(&[1])]);
    let classes = sequence(&[&tlv(0x04, &A)]);
    let one = integer(&[1]);
    let role = tlv(0x0a, &[0]);
    let encode = |parts: [&[u8]; 6]| sequence(&parts);
    assert_eq!(
        encode([
            &one,
            &cores,
            &classes,
            &integer(&[3]),
            &integer(&[7]),
            &role
        ]),
        good
    );

    let version_2 = encode([&integer(&[2]), &cores, &classes, &one, &one, &role]);
    assert_eq!(
        Scope::decode(certificate, &version_2),
        Err(Error::ScopeVersion {
            certificate,
            found: 2
        })
    );
    let short_class = sequence(&[&tlv(0x04, &[1; 15])]);
    let bad = [
        encode([&one, &cores, &short_class, &one, &one, &role]),
        encode([&one, &cores, &classes, &one, &one, &tlv(0x0a, &[2])]),
        encode([&one, &cores, &classes, &one, &one, &tlv(0x02, &[0])]),
        encode([&one, &cores, &classes, &one, &one, &tlv(0x0a, &[0, 0])]),
        encode([&one, &cores, &classes, &integer(&[0xff]), &one, &role]),
        encode([&one, &cores, &classes, &integer(&[0, 1]), &one, &role]),
        encode([&one, &cores, &classes, &integer(&[1; 5]), &one, &role]),
        encode([
            &one,
            &cores,
            &classes,
            &one,
            &one,
            &[role.clone(), one.clone()].concat(),
        ]),
        [good.clone(), vec![5, 0]].concat(),
    ];
    for der in bad {
        assert_eq!(Scope::decode(certificate, &der), form, "{der:x?}");
    }
}

#[test]
fn an_empty_list_never_means_all_but_in_a_root() {
    // bundle-format.md 11.13
    for certificate in [Kind::Leaf, Kind::ProductCa] {
        let empty = Err(Error::ScopeEmpty { certificate });
        let scope = |cores, classes| Scope::new(certificate, cores, classes, 1, 1, Role::Release);
        assert_eq!(scope(&[], &[A]), empty);
        assert_eq!(scope(&[1], &[]), empty);
        assert!(scope(&[1], &[A]).is_ok());
    }
    let root = Scope::new(Kind::Root, &[], &[], 5, 1, Role::Release).unwrap();
    assert_eq!(
        new(&[3], &[B], 5, Role::Release).within(Kind::ProductCa, &root),
        Ok(())
    );
}

#[test]
fn a_root_without_a_scope_is_one_for_development() {
    // bundle-format.md 11.13
    let scope = |kind, role| Scope::new(kind, &[1], &[A], 9, 1, role).unwrap();
    let release = Pki::new(
        scope(Kind::ProductCa, Role::Release),
        scope(Kind::Leaf, Role::Release),
    );
    assert_eq!(
        release.checker().chain(0, &release.chain()).map(drop),
        Err(Error::RoleDiffers {
            certificate: Kind::ProductCa
        })
    );
    assert_eq!(release.checker().roots()[0].role(), Role::Development);

    let root_scope = Scope::new(Kind::Root, &[], &[], 9, 1, Role::Release).unwrap();
    let root = root_template().with(extension(&SCOPE.to_string(), true, &root_scope.encode()));
    let root = Root::parse(0, &root.sign(&Key::new(ROOT))).unwrap();
    assert_eq!(root.role(), Role::Release);
    let checker = Checker::new(vec![root]).unwrap();
    assert!(checker.chain(0, &release.chain()).is_ok());

    let development = Pki::new(
        scope(Kind::ProductCa, Role::Development),
        scope(Kind::Leaf, Role::Development),
    );
    assert!(development.checker().chain(0, &development.chain()).is_ok());
}

#[test]
fn lists_are_sorted_without_duplicates_and_bounded() {
    // bundle-format.md 11.14
    let certificate = Kind::Leaf;
    let order = Err(Error::ScopeOrder { certificate });
    let limit = Err(Error::ScopeLimit { certificate });
    let scope = |cores: &[u32], classes: &[[u8; 16]]| {
        Scope::new(certificate, cores, classes, 1, 1, Role::Release)
    };
    assert_eq!(scope(&[2, 1], &[A]), order);
    assert_eq!(scope(&[1, 1], &[A]), order);
    assert_eq!(scope(&[1], &[B, A]), order);
    assert_eq!(scope(&[1], &[A, A]), order);
    let cores: Vec<u32> = (0..33).collect();
    let classes: Vec<[u8; 16]> = (0..17).map(|byte| [byte; 16]).collect();
    assert_eq!(scope(&cores, &[A]), limit);
    assert_eq!(scope(&[1], &classes), limit);
    let most = scope(&cores[..32], &classes[..16]).unwrap();
    assert_eq!(Scope::decode(certificate, &most.encode()), Ok(most));
}

#[test]
fn a_scope_stays_within_its_issuers() {
    // bundle-format.md 11.15
    let certificate = Kind::Leaf;
    let parent = new(&[1, 2, 3], &[A, B], 10, Role::Release);
    let within = |child: Scope| child.within(certificate, &parent);
    assert_eq!(within(parent), Ok(()));
    assert_eq!(within(new(&[2], &[B], 1, Role::Release)), Ok(()));
    assert_eq!(
        within(new(&[2, 4], &[B], 1, Role::Release)),
        Err(Error::CoreOutsideParent {
            certificate,
            core: 4
        })
    );
    assert_eq!(
        within(new(&[2], &[B, [9; 16]], 1, Role::Release)),
        Err(Error::ClassOutsideParent {
            certificate,
            index: 1
        })
    );
    assert_eq!(
        within(new(&[2], &[B], 11, Role::Release)),
        Err(Error::CeilingAboveParent {
            certificate,
            ceiling: 11,
            parent: 10
        })
    );
    assert_eq!(
        within(new(&[2], &[B], 1, Role::Development)),
        Err(Error::RoleDiffers { certificate })
    );
}

#[test]
fn the_chain_applies_the_rule_at_both_places() {
    // bundle-format.md 11.15
    let scope =
        |kind, ceiling| Scope::new(kind, &[1], &[A], ceiling, 1, Role::Development).unwrap();
    let high_leaf = Pki::new(scope(Kind::ProductCa, 5), scope(Kind::Leaf, 6));
    assert_eq!(
        high_leaf.checker().chain(0, &high_leaf.chain()).map(drop),
        Err(Error::CeilingAboveParent {
            certificate: Kind::Leaf,
            ceiling: 6,
            parent: 5
        })
    );

    let root_scope = Scope::new(Kind::Root, &[], &[], 4, 1, Role::Development).unwrap();
    let root = root_template().with(extension(&SCOPE.to_string(), true, &root_scope.encode()));
    let root = Root::parse(0, &root.sign(&Key::new(ROOT))).unwrap();
    let checker = Checker::new(vec![root]).unwrap();
    let product_ca = Template::new(
        Kind::ProductCa,
        &Key::new(PRODUCT_CA),
        Some(scope(Kind::ProductCa, 5)),
    );
    let leaf = Template::new(Kind::Leaf, &Key::new(LEAF), Some(scope(Kind::Leaf, 4)));
    let product_ca = product_ca.sign(&Key::new(ROOT));
    let leaf = leaf.sign(&Key::new(PRODUCT_CA));
    assert_eq!(
        checker.chain(0, &[&leaf, &product_ca]).map(drop),
        Err(Error::CeilingAboveParent {
            certificate: Kind::ProductCa,
            ceiling: 5,
            parent: 4
        })
    );
}
