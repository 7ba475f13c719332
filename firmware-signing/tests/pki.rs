//! Certificates: their dates, their roles, and the readers of what people hand in.

use certificate_chain::Error as Chain;
use firmware_signing::Error;
use firmware_signing::key::{Algorithm, PrivateKey, Signer};
use firmware_signing::pki::{
    Certificate, Date, Kind, Role, Scope, Subject, issue_leaf, issue_product_ca, issue_root,
    order_chain,
};

fn key() -> PrivateKey {
    PrivateKey::generate(Algorithm::EcdsaP256).expect("a key")
}

fn subject(name: &str) -> Subject {
    Subject {
        name: name.to_owned(),
        not_before: "2030-01-01".parse().expect("a date"),
        not_after: "2060-06-01T12:00:00Z".parse().expect("a date"),
    }
}

fn scope(kind: Kind, role: Role) -> Scope {
    Scope::new(kind, &[0], &[[7; 16]], 9, 1, role).expect("a scope")
}

#[test]
fn dates_are_read_in_three_forms_and_no_other() {
    let date = |text: &str| text.parse::<Date>();
    assert_eq!(date("never"), Ok(Date::NEVER));
    assert_eq!(date("2026-11-20"), date("2026-11-20T00:00:00Z"));
    assert_eq!(
        date("2055-02-28T23:59:59Z").map(|date| date.to_string()),
        Ok("2055-02-28T23:59:59Z".to_owned())
    );
    for text in [
        "",
        "tomorrow",
        "2026-13-01",
        "2026-02-30",
        "1969-12-31",
        "2026-11-20 12:00",
    ] {
        assert_eq!(date(text), Err(Error::DateMalformed), "{text}");
    }
    assert_eq!(
        date("2024-02-28").map(|date| date.plus_days(2)),
        date("2024-03-01")
    );
    assert_eq!(Date::NEVER.plus_days(1), Date::NEVER);
}

#[test]
fn a_certificate_is_valid_from_its_first_to_its_last_second() {
    let root = issue_root(&subject("CN=r"), None, &key()).expect("a root");
    let at = |text: &str| root.check_dates(text.parse().expect("a date"));
    assert_eq!(at("2030-01-01"), Ok(()));
    assert_eq!(at("2060-06-01T12:00:00Z"), Ok(()));
    assert_eq!(
        at("2029-12-31T23:59:59Z"),
        Err(Error::CertificateNotYetValid {
            not_before: root.not_before(),
            at: "2029-12-31T23:59:59Z".parse().expect("a date")
        })
    );
    assert_eq!(
        at("2060-06-01T12:00:01Z"),
        Err(Error::CertificateExpired {
            not_after: root.not_after(),
            at: "2060-06-01T12:00:01Z".parse().expect("a date")
        })
    );
}

#[test]
fn a_release_chain_is_release_from_the_root_down() {
    let (root_key, ca_key, leaf_key) = (key(), key(), key());
    let all = Scope::new(Kind::Root, &[], &[], u32::MAX, 1, Role::Release).expect("a scope");
    let root = issue_root(&subject("CN=r"), Some(&all), &root_key).expect("a root");
    let ca = |role| {
        issue_product_ca(
            &subject("CN=c"),
            ca_key.public_key(),
            &scope(Kind::ProductCa, role),
            (&root, &root_key),
        )
    };
    let certificate = Kind::ProductCa;
    assert_eq!(
        ca(Role::Development).map(drop),
        Err(Error::Chain(Chain::RoleDiffers { certificate }))
    );
    let ca = ca(Role::Release).expect("a product CA");
    let leaf = issue_leaf(
        &subject("CN=l"),
        leaf_key.public_key(),
        &scope(Kind::Leaf, Role::Release),
        (&ca, &ca_key),
    );
    let leaf = leaf
        .expect("a leaf")
        .profile()
        .expect("it keeps the profile");
    assert_eq!(leaf.scope().map(Scope::role), Some(Role::Release));
}

#[test]
fn only_the_issuers_key_issues() {
    let (root_key, ca_key) = (key(), key());
    let root = issue_root(&subject("CN=r"), None, &root_key).expect("a root");
    let refused = issue_product_ca(
        &subject("CN=c"),
        ca_key.public_key(),
        &scope(Kind::ProductCa, Role::Development),
        (&root, &ca_key),
    );
    assert!(matches!(refused, Err(Error::KeyNotOfCertificate { .. })));
}

#[test]
fn certificates_of_all_algorithms_are_issued_below_keys_that_are_as_strong() {
    let development = |kind| scope(kind, Role::Development);
    for above in Algorithm::ALL {
        let root_key = PrivateKey::generate(above).expect("a key");
        let root = issue_root(&subject("CN=r"), None, &root_key).expect("a root");
        for below in Algorithm::ALL {
            let key = PrivateKey::generate(below).expect("a key");
            let issued = issue_product_ca(
                &subject("CN=c"),
                key.public_key(),
                &development(Kind::ProductCa),
                (&root, &root_key),
            );
            if below == Algorithm::EcdsaP384 && above != Algorithm::EcdsaP384 {
                let refused = Chain::KeyStronger {
                    certificate: Kind::ProductCa,
                    key: below.in_bundle(),
                    issuer: above.in_bundle(),
                };
                assert_eq!(issued, Err(Error::Chain(refused)));
                continue;
            }
            let ca = issued.expect("a product CA");
            let leaf = issue_leaf(
                &subject("CN=l"),
                key.public_key(),
                &development(Kind::Leaf),
                (&ca, &key),
            );
            let leaf = leaf.expect("a leaf");
            assert_eq!(
                leaf.profile().map(|leaf| leaf.algorithm()),
                Ok(below.in_bundle())
            );
        }
    }
}

#[test]
fn names_that_are_none_are_refused() {
    let refused = issue_root(&subject("just words"), None, &key());
    assert_eq!(refused.map(drop), Err(Error::NameMalformed));
}

#[test]
fn certificates_are_read_from_pem_and_der() {
    let root = issue_root(&subject("CN=r,O=o"), None, &key()).expect("a root");
    let pem = root.to_pem().expect("text");
    let twice = format!("a comment\n{pem}\nanother\n{pem}");
    assert_eq!(
        Certificate::read_all(twice.as_bytes()),
        Ok(vec![root.clone(), root.clone()])
    );
    assert_eq!(Certificate::read_all(root.der()), Ok(vec![root.clone()]));
    assert_eq!(root.subject(), "CN=r,O=o");

    let mut longer = root.der().to_vec();
    longer.push(0);
    let key = key().to_pem(None).expect("text");
    for bytes in [
        &longer[..],
        b"",
        b"text",
        key.as_bytes(),
        &root.der()[..100],
    ] {
        assert_eq!(
            Certificate::read_all(bytes),
            Err(Error::CertificateMalformed)
        );
    }
}

#[test]
fn a_chain_is_put_in_order_and_loses_its_root() {
    let (root_key, ca_key, leaf_key) = (key(), key(), key());
    let root = issue_root(&subject("CN=r"), None, &root_key).expect("a root");
    let ca = issue_product_ca(
        &subject("CN=c"),
        ca_key.public_key(),
        &scope(Kind::ProductCa, Role::Development),
        (&root, &root_key),
    )
    .expect("a product CA");
    let leaf = issue_leaf(
        &subject("CN=l"),
        leaf_key.public_key(),
        &scope(Kind::Leaf, Role::Development),
        (&ca, &ca_key),
    )
    .expect("a leaf");
    let given = [root, ca.clone(), leaf.clone()];
    assert_eq!(
        order_chain(leaf_key.public_key(), &given),
        Ok(vec![leaf, ca])
    );
    assert_eq!(
        order_chain(leaf_key.public_key(), &[]),
        Err(Error::CertificateMissing)
    );
}
