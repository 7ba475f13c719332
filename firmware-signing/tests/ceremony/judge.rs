//! OpenSSL judges whole bundles.

use std::fs;

use firmware_bundle::write::Draft;
use firmware_bundle::{File, Trailer};
use firmware_signing::key::Algorithm;
use firmware_signing::pki::Certificate;
use tempfile::TempDir;

use super::openssl::{good, openssl};

/// Has OpenSSL verify the chain and the signature of every slot, put together from the file. `signers` are the algorithm and the root of each.
pub(crate) fn judge_slots(bundle: &[u8], signers: &[(Algorithm, &Certificate)]) {
    let trailer = Trailer::of(&File {
        length: bundle.len() as u64,
        head: bundle,
        tail: bundle,
    })
    .expect("a trailer");
    let digest = certificate_chain::sha384(&trailer.signed_parts());
    assert_eq!(trailer.slots().count(), signers.len());
    for (slot, (algorithm, root)) in trailer.slots().zip(signers) {
        let folder = TempDir::new().expect("a folder");
        let at = folder.path();
        let signature = algorithm.signature_in_certificate(slot.signature());
        fs::write(at.join("message"), Draft::message(&digest)).expect("written");
        fs::write(at.join("other"), Draft::message(&[0; 48])).expect("written");
        fs::write(at.join("signature"), signature.expect("a signature")).expect("written");
        let mut certificates = vec![("root.pem", (*root).clone())];
        for (name, der) in ["leaf.pem", "ca.pem"].into_iter().zip(slot.chain()) {
            certificates.push((name, Certificate::from_der(der).expect("a certificate")));
        }
        assert_eq!(certificates.len(), 3);
        for (name, certificate) in certificates {
            fs::write(at.join(name), certificate.to_pem().expect("text")).expect("written");
        }
        good(
            at,
            "verify -x509_strict -ignore_critical -CAfile root.pem -untrusted ca.pem leaf.pem",
        );
        let public = good(at, "x509 -in leaf.pem -noout -pubkey");
        fs::write(at.join("public.pem"), public).expect("written");
        let (verify, of) = check_of(*algorithm);
        good(at, &format!("{verify} {of}message"));
        assert!(!openssl(at, &format!("{verify} {of}other")).0);
    }
}

/// How OpenSSL verifies the file `signature` by the key in `public.pem`, and what stands in front of the message's name.
pub(crate) fn check_of(algorithm: Algorithm) -> (&'static str, &'static str) {
    match algorithm {
        Algorithm::EcdsaP256 => ("dgst -sha256 -verify public.pem -signature signature", ""),
        Algorithm::EcdsaP384 => ("dgst -sha384 -verify public.pem -signature signature", ""),
        Algorithm::Ed25519 => (
            "pkeyutl -verify -rawin -pubin -inkey public.pem -sigfile signature",
            "-in ",
        ),
    }
}
