//! Certificate requests (PKCS#10): a key asks for its certificate, and proves that it is there.

use std::str::FromStr;

use der::asn1::BitString;
use der::{Decode, Encode, EncodePem, pem};
use x509_cert::builder::Builder;
use x509_cert::name::Name;
use x509_cert::request::{CertReq, RequestBuilder};

use crate::Error;
use crate::key::{Algorithm, Signer, pem_blocks};
use crate::pki::Shim;

/// Holding a `Request` tells you that whoever made it has the private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    parsed: CertReq,
    public_key: Vec<u8>,
}

impl Request {
    /// Asks for a certificate under `name` for the key of `signer`.
    pub fn new(name: &str, signer: &dyn Signer) -> Result<Self, Error> {
        let unencodable = |_| Error::CertificateNotEncodable;
        let name = Name::from_str(name).map_err(|_| Error::NameMalformed)?;
        let shim = Shim(signer);
        let mut builder = RequestBuilder::new(name).map_err(|_| Error::CertificateNotEncodable)?;
        let message = builder
            .finalize(&shim)
            .map_err(|_| Error::CertificateNotEncodable)?;
        let signature = signer.sign(&message)?;
        let signature = signer.algorithm().signature_in_certificate(&signature)?;
        let signature = BitString::from_bytes(&signature).map_err(unencodable)?;
        let parsed = builder
            .assemble(signature, &shim)
            .map_err(|_| Error::CertificateNotEncodable)?;
        Self::check(parsed)
    }

    /// Reads PEM or DER.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        if let Ok(parsed) = CertReq::from_der(bytes) {
            return Self::check(parsed);
        }
        let text = core::str::from_utf8(bytes).map_err(|_| Error::CsrMalformed)?;
        let [block] = pem_blocks(text)[..] else {
            return Err(Error::CsrMalformed);
        };
        match pem::decode_vec(block.as_bytes()) {
            // OpenSSL writes the second name with -newhdr.
            Ok(("CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST", der)) => {
                Self::check(CertReq::from_der(&der).map_err(|_| Error::CsrMalformed)?)
            }
            _ => Err(Error::CsrMalformed),
        }
    }

    /// Whether a file looks like a request at all.
    pub fn is_one(bytes: &[u8]) -> bool {
        CertReq::from_der(bytes).is_ok()
            || core::str::from_utf8(bytes)
                .is_ok_and(|text| text.contains("CERTIFICATE REQUEST-----"))
    }

    /// PEM.
    pub fn to_pem(&self) -> Result<String, Error> {
        self.parsed
            .to_pem(pem::LineEnding::LF)
            .map_err(|_| Error::CertificateNotEncodable)
    }

    /// DER.
    pub fn to_der(&self) -> Result<Vec<u8>, Error> {
        self.parsed
            .to_der()
            .map_err(|_| Error::CertificateNotEncodable)
    }

    /// Whom it names, as RFC 4514 writes it; whoever issues decides what to believe of it.
    pub fn subject(&self) -> String {
        self.parsed.info.subject.to_string()
    }

    /// The public key it is for.
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    fn check(parsed: CertReq) -> Result<Self, Error> {
        let public_key = parsed.info.public_key.to_der();
        let public_key = public_key.map_err(|_| Error::CsrMalformed)?;
        let public_key = crate::key::read_public(&public_key)?;
        let algorithm = Algorithm::of_public_key(&public_key)?;
        let message = parsed.info.to_der().map_err(|_| Error::CsrMalformed)?;
        let signature = algorithm
            .signature_from_certificate(parsed.signature.raw_bytes())
            .map_err(|_| Error::CsrMalformed)?;
        if parsed.algorithm.oid != algorithm.signature_oid() {
            return Err(Error::CsrMalformed);
        }
        algorithm.check(&public_key, &message, &signature)?;
        Ok(Self { parsed, public_key })
    }
}
