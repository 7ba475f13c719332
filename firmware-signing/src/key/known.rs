//! Private keys that anybody can have: published for tests, and found again and again in products.

use der::asn1::UintRef;
use der::oid::ObjectIdentifier;
use der::{Encode, Reader, SliceReader};
use pkcs8::PrivateKeyInfoRef;
use x509_cert::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

use super::key_id;

/// The name of a published key, by the SHA-256 of its SubjectPublicKeyInfo.
pub fn published(key_id: &[u8; 32]) -> Option<&'static str> {
    let found = PUBLISHED
        .iter()
        .find(|(fingerprint, _)| crate::hex(key_id) == **fingerprint);
    found.map(|(_, name)| *name)
}

/// The key id of an RSA key in PKCS#8: no key of ours, but one that is published should be called so.
pub(super) fn key_id_of_rsa(der: &[u8]) -> Option<[u8; 32]> {
    let info = PrivateKeyInfoRef::try_from(der).ok()?;
    if info.algorithm.oid != RSA {
        return None;
    }
    let mut reader = SliceReader::new(info.private_key.as_bytes()).ok()?;
    let public = reader.sequence(|inner| {
        // RFC 8017, A.1.2: version, modulus, public exponent, and what is private.
        inner.decode::<u8>()?;
        let public = RsaPublicKey {
            modulus: inner.decode()?,
            exponent: inner.decode()?,
        };
        inner.read_slice(inner.remaining_len())?;
        public.to_der()
    });
    let public: Vec<u8> = public.ok()?;
    let info = SubjectPublicKeyInfoRef {
        algorithm: AlgorithmIdentifierRef {
            oid: RSA,
            parameters: Some(der::asn1::Null.into()),
        },
        subject_public_key: der::asn1::BitStringRef::from_bytes(&public).ok()?,
    };
    Some(key_id(&info.to_der().ok()?))
}

#[derive(der::Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// Computed by `openssl pkey -pubout -outform DER | sha256sum` from the key files named here.
const PUBLISHED: &[(&str, &str)] = &[
    // keys/ of this repository.
    (
        "3dac98074d24de86088483a9447234b0f808958588f08b70da34dc87108b3979",
        "Corewarden's dev-product-ca",
    ),
    (
        "362e71eab444eebe2fa6af23c0ff57b684e53be7553563bfa4248e50330b835f",
        "Corewarden's dev-root",
    ),
    (
        "edfe4ffb2a70381ee251da30babbd2dda1217cc0b16f53598124b2bb6f8b130a",
        "Corewarden's dev-root-ed25519",
    ),
    (
        "7871f2954c4e46bce7e7aecbe1a45687e51c00f8e89412245d2551ba8e94413c",
        "Corewarden's dev-root-p384",
    ),
    (
        "9dd65cfa0068fa98771ad8058b334a7ed102faee835c0602adaec79c111b9df5",
        "Corewarden's dev-signer",
    ),
    // OP-TEE 4.10, keys/default_ta.pem and keys/default.pem, as Debian's optee-os-dev has them too: one RSA key.
    (
        "cac7bcfaf8674a57e5eaa8ef1a7c9b67af1fd5562a06440d88d5e3c632e88c48",
        "OP-TEE's default TA key",
    ),
    // MCUboot, commit 2d4bacc3.
    (
        "e30466f6b8470c1f29070b17f1e2d3e94d445e3f608087fdc711e4382bb538b6",
        "MCUboot's root-ec-p256",
    ),
    (
        "6bcd1e16d80e5fe13a5307e6f1de8344c7e50e537d9962ce35ef6db5e642fae8",
        "MCUboot's root-ec-p384",
    ),
    (
        "c1907fa4eac7fae3840a78902b6f0710b037e9968e5c6274a12a28790c7d4e3c",
        "MCUboot's root-ed25519",
    ),
    (
        "6754edab1e29affef4a05935adecbeb1a7b8b62397b31e39a61b5bfcaafd63af",
        "MCUboot's root-ed25519-2",
    ),
    (
        "b1d87d60173352b9a4808979790fc699fb4c4f83b49cf1970edd96ff4adc36a6",
        "MCUboot's root-ed25519-unknown",
    ),
    (
        "a14bcb1bf9bb821146ba32838217e476f5412621320534ffe490a1890c994660",
        "MCUboot's root-rsa-2048",
    ),
    (
        "159d8b7930769d887f3ff0b4e9ec176b82313663f2ef76dc24f5e964da1bc482",
        "MCUboot's root-rsa-3072",
    ),
    (
        "3c23fc4e1d332a0c86e6a8bf6ecf26046d702302e135bf53fc04a009a33a78c5",
        "MCUboot's enc-ec256",
    ),
    (
        "95ac5d264689fa25b14a87a9bc950abfb1a77e5e628e7b13b5f1940c9a1c65b8",
        "MCUboot's enc-rsa2048",
    ),
    (
        "bb868a727f0ef75e890a6a52bccd1d936fb34438afd6f237e8af259865742446",
        "MCUboot's cypress-test-ec-p256",
    ),
    (
        "e6c097daf1458d0f8b8d43fc4b4b9d4425203484b3afe5570ed074073901bab0",
        "MCUboot's bad-ec-p256",
    ),
    (
        "6dc968724fdedb71be7c8ad62540ea148996f96adb5c48e9cc3112c588f26d89",
        "MCUboot's testplan key_ec256",
    ),
    (
        "1c35c9ccb929906e7792eda384825b41be700c50760493eaf163135933e191aa",
        "MCUboot's testplan key_ec256_2",
    ),
    // Trusted Firmware-A, plat/arm/board/common/rotpk, commits b8fa2ed5 and b8ae6890.
    (
        "2e40bf6ef912bb983171090e1e153d0bfdd1cc694a98eb8ba0b020864e6c0717",
        "Trusted Firmware-A's arm_rotprivk_ecdsa",
    ),
    (
        "dcbcebee418114ed0951f0693527feaede4cad51081cd45ee54979d0072ff53b",
        "Trusted Firmware-A's arm_rotprivk_ecdsa_secp384r1",
    ),
    // RFC 9500, 2.3.
    (
        "b2b04340cfaee616ec9c2c62d261b208e54bb197498df52e8cadede23ac0ba5e",
        "RFC 9500's testECCP256",
    ),
];

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;
    use crate::pki::Certificate;

    #[test]
    fn every_fingerprint_is_one_and_stands_once() {
        for (at, (fingerprint, name)) in PUBLISHED.iter().enumerate() {
            assert!(
                fingerprint.len() == 64
                    && fingerprint
                        .bytes()
                        .all(|digit| b"0123456789abcdef".contains(&digit)),
                "{name}"
            );
            let others = PUBLISHED.iter().skip(at + 1);
            assert!(
                others.clone().all(|(other, _)| other != fingerprint),
                "{name}"
            );
            assert!(others.clone().all(|(_, other)| other != name), "{name}");
        }
    }

    #[test]
    fn every_development_key_of_the_tree_is_known_as_published() {
        let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("../keys");
        let mut seen = 0;
        for entry in std::fs::read_dir(keys).expect("there") {
            let path = entry.expect("readable").path();
            let Ok(all) = Certificate::read_all(&std::fs::read(&path).expect("readable")) else {
                continue;
            };
            for certificate in all {
                let id = key_id(&certificate.public_key().expect("a key"));
                let name = path.file_stem().and_then(|stem| stem.to_str());
                let expected = format!("Corewarden's {}", name.expect("a name"));
                assert_eq!(published(&id), Some(expected.as_str()));
                seen += 1;
            }
        }
        assert!(seen >= 3, "{seen} certificates");
        assert_eq!(published(&[0; 32]), None);
    }

    #[test]
    fn the_fingerprint_of_an_rsa_key_is_that_of_openssl() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let run = |arguments: &str| {
            let status = Command::new("openssl")
                .args(arguments.split(' '))
                .current_dir(folder.path())
                .output()
                .expect("openssl is installed")
                .status;
            assert!(status.success(), "{arguments}");
        };
        run("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -outform DER -out key.der");
        run("pkey -in key.der -inform DER -pubout -outform DER -out public.der");
        run("pkcs8 -topk8 -nocrypt -in key.der -inform DER -outform DER -out pkcs8.der");
        let read = |name: &str| std::fs::read(folder.path().join(name)).expect("there");
        assert_eq!(
            key_id_of_rsa(&read("pkcs8.der")),
            Some(key_id(&read("public.der")))
        );
        assert_eq!(key_id_of_rsa(b""), None);
    }
}
