//! File keys: deterministic signatures with a low s, and the two versions of PKCS#8.

use firmware_signing::Error;
use firmware_signing::key::{Algorithm, PrivateKey, Signer, key_id};
use p256::pkcs8::EncodePrivateKey;

fn open(bytes: &[u8]) -> Result<PrivateKey, Error> {
    PrivateKey::read(bytes, || Err(Error::KeyEncrypted))
}

#[test]
fn signatures_of_file_keys_are_deterministic_and_hold() {
    for algorithm in Algorithm::ALL {
        let key = PrivateKey::generate(algorithm).expect("a key");
        let signature = key.sign(b"firmware").expect("signed");
        assert_eq!(key.sign(b"firmware"), Ok(signature.clone()));
        let size = algorithm.in_bundle().signature_size();
        assert_eq!(signature.len(), size, "{}", algorithm.name());
        let check = |message: &[u8], signature: &[u8]| {
            algorithm.check(key.public_key(), message, signature)
        };
        assert_eq!(check(b"firmware", &signature), Ok(()));
        let wrong = Err(Error::SignatureNotOfKey {
            key: key_id(key.public_key()),
        });
        assert_eq!(check(b"firmwarf", &signature), wrong);
        let mut flipped = signature.clone();
        flipped[7] ^= 1;
        assert_eq!(check(b"firmware", &flipped), wrong);
        assert_eq!(check(b"firmware", &signature[1..]), wrong);
        for other in Algorithm::ALL.into_iter().filter(|one| *one != algorithm) {
            assert_eq!(
                other.check(key.public_key(), b"firmware", &signature),
                wrong
            );
        }
    }
}

#[test]
fn ecdsa_signatures_are_those_of_rfc_6979_with_a_low_s() {
    // RFC 6979, A.2.5 and A.2.6: the message "sample" with the curve's own hash. Both have a high s there.
    let p256 = "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721";
    let p384 = "6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D896D5724E4C70A825F872C9EA60D2EDF5";
    let p256 = p256::SecretKey::from_slice(&unhex(p256)).expect("a key");
    let p384 = p384::SecretKey::from_slice(&unhex(p384)).expect("a key");
    for (der, r, high_s) in [
        (
            p256.to_pkcs8_der().expect("DER"),
            "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
            "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
        ),
        (
            p384.to_pkcs8_der().expect("DER"),
            "94EDBB92A5ECB8AAD4736E56C691916B3F88140666CE9FA73D64C4EA95AD133C81A648152E44ACF96E36DD1E80FABE46",
            "99EF4AEB15F178CEA1FE40DB2603138F130E740A19624526203B6351D0A3A94FA329C145786E679E7B82C71A38628AC8",
        ),
    ] {
        let key = open(der.as_bytes()).expect("it is read");
        let signature = key.sign(b"sample").expect("signed");
        let (first, second) = signature.split_at(signature.len() / 2);
        assert_eq!(first, unhex(r));
        assert!(second[0] < 0x80, "a low s");
        assert_ne!(second, unhex(high_s));
        // The high s belongs to the same signature: it verifies too, and is brought down to ours.
        let high = [unhex(r), unhex(high_s)].concat();
        assert_eq!(
            key.algorithm().check(key.public_key(), b"sample", &high),
            Ok(())
        );
        assert_eq!(key.algorithm().normalise(&high), Ok(signature));
    }
}

#[test]
fn ed25519_signs_as_rfc_8032_has_it() {
    // RFC 8032, 7.1, test 2.
    let seed = unhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
    let head = unhex("302e020100300506032b657004220420");
    let key = open(&[head, seed].concat()).expect("it is read");
    assert_eq!(key.algorithm(), Algorithm::Ed25519);
    assert_eq!(
        key.sign(&[0x72]),
        Ok(unhex(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ))
    );
}

#[test]
fn a_pkcs8_key_of_version_2_is_read_and_its_public_half_must_fit() {
    let random = ring::rand::SystemRandom::new();
    let document = ring::signature::Ed25519KeyPair::generate_pkcs8(&random).expect("a key");
    let mut bytes = document.as_ref().to_vec();
    assert_eq!(bytes[4], 1, "ring writes version 2");
    let key = open(&bytes).expect("it is read");
    assert_eq!(key.algorithm(), Algorithm::Ed25519);
    // The public half stands last.
    *bytes.last_mut().expect("bytes") ^= 1;
    assert_eq!(open(&bytes).err(), Some(Error::KeyMalformed));
}

#[test]
fn cut_and_changed_keys_end_in_an_answer() {
    for algorithm in Algorithm::ALL {
        let key = PrivateKey::generate(algorithm).expect("a key");
        let pem = key.to_pem(None).expect("text");
        let (_, der) = der::pem::decode_vec(pem.as_bytes()).expect("PEM");
        for length in 0..der.len() {
            assert!(open(&der[..length]).is_err(), "{length} bytes");
        }
        for at in 0..der.len() {
            let mut changed = der.clone();
            changed[at] ^= 0x41;
            // Most are refused; one that is read is another key, and signs as such.
            if let Ok(other) = open(&changed) {
                let signature = other.sign(b"x").expect("signed");
                let check = other
                    .algorithm()
                    .check(other.public_key(), b"x", &signature);
                assert_eq!(check, Ok(()));
            }
        }
    }
}

#[test]
fn a_fingerprint_is_the_sha_256_of_the_public_key() {
    let key = PrivateKey::generate(Algorithm::EcdsaP384).expect("a key");
    let digest = certificate_chain::sha256(&[key.public_key()]);
    assert_eq!(key_id(key.public_key()), digest);
    assert_eq!(
        Algorithm::of_public_key(key.public_key()),
        Ok(Algorithm::EcdsaP384)
    );
    assert_eq!(
        Algorithm::of_public_key(b"nothing"),
        Err(Error::KeyMalformed)
    );
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("two digits");
    (0..text.len()).step_by(2).map(digit).collect()
}
