//! A private key in a file, as OpenSSL and this tool write it.

use der::asn1::OctetStringRef;
use der::{Decode, Encode, pem};
use p256::ecdsa::signature::Signer as _;
use p256::elliptic_curve::Generate;
use p256::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePublicKey, LineEnding};
use pkcs8::{EncodePrivateKey, EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef, SecretDocument};
use ring::signature::{Ed25519KeyPair, KeyPair};
use x509_cert::spki::AlgorithmIdentifierRef;
use zeroize::Zeroizing;

use super::algorithm::{ED25519, P256, P384};
use super::known::{key_id_of_rsa, published};
use super::{Algorithm, Signer};
use crate::Error;

/// Holding a `PrivateKey` tells you that its public half belongs to it.
pub struct PrivateKey {
    secret: Secret,
    public: Vec<u8>,
}

enum Secret {
    P256(p256::SecretKey),
    P384(p384::SecretKey),
    Ed25519(Zeroizing<[u8; 32]>),
}

impl PrivateKey {
    /// A fresh key from the operating system's random numbers.
    pub fn generate(algorithm: Algorithm) -> Result<Self, Error> {
        Self::new(match algorithm {
            Algorithm::EcdsaP256 => {
                Secret::P256(p256::SecretKey::try_generate().map_err(|_| Error::NoRandomness)?)
            }
            Algorithm::EcdsaP384 => {
                Secret::P384(p384::SecretKey::try_generate().map_err(|_| Error::NoRandomness)?)
            }
            Algorithm::Ed25519 => {
                let mut seed = Zeroizing::new([0; 32]);
                getrandom::fill(&mut *seed).map_err(|_| Error::NoRandomness)?;
                Secret::Ed25519(seed)
            }
        })
    }

    /// Reads PEM or DER: PKCS#8 (version 1 or 2), encrypted PKCS#8 and SEC1 ("EC PRIVATE KEY").
    ///
    /// `passphrase` is only asked when the key is encrypted.
    pub fn read(
        bytes: &[u8],
        passphrase: impl FnOnce() -> Result<Zeroizing<String>, Error>,
    ) -> Result<Self, Error> {
        match Document::find(bytes)? {
            Document::Encrypted(der) => {
                let info =
                    EncryptedPrivateKeyInfoRef::from_der(&der).map_err(|_| Error::KeyMalformed)?;
                let plain = info
                    .decrypt(passphrase()?.as_bytes())
                    .map_err(|_| Error::KeyPassphraseWrong)?;
                Self::from_pkcs8(plain.as_bytes())
            }
            Document::Plain(der) => Self::from_pkcs8(&der),
            Document::Sec1(der) => Self::from_sec1(&der),
        }
    }

    /// Whether a file's key is encrypted, as far as its wrapping tells.
    pub fn is_encrypted(bytes: &[u8]) -> Result<bool, Error> {
        match Document::find(bytes) {
            Ok(Document::Encrypted(_)) | Err(Error::KeyLegacyEncryption) => Ok(true),
            Ok(Document::Plain(_) | Document::Sec1(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The name of a published RSA key: it could not sign here, but its owner should know.
    pub(super) fn published_rsa(bytes: &[u8]) -> Option<&'static str> {
        match Document::find(bytes) {
            Ok(Document::Plain(der)) => published(&key_id_of_rsa(&der)?),
            _ => None,
        }
    }

    /// PKCS#8 PEM, encrypted (PBES2: scrypt and AES-256-CBC) where there is a passphrase.
    pub fn to_pem(&self, passphrase: Option<&str>) -> Result<Zeroizing<String>, Error> {
        let der = self.to_pkcs8()?;
        let Some(passphrase) = passphrase else {
            return der
                .to_pem("PRIVATE KEY", LineEnding::LF)
                .map_err(|_| Error::KeyMalformed);
        };
        let info = PrivateKeyInfoRef::try_from(der.as_bytes()).map_err(|_| Error::KeyMalformed)?;
        info.encrypt(passphrase)
            .map_err(|_| Error::NoRandomness)?
            .to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF)
            .map_err(|_| Error::KeyMalformed)
    }

    /// The public half as PEM ("PUBLIC KEY").
    pub fn public_pem(&self) -> Result<String, Error> {
        pem::encode_string("PUBLIC KEY", LineEnding::LF, &self.public)
            .map_err(|_| Error::KeyMalformed)
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, Error> {
        let info = PrivateKeyInfoRef::try_from(der).map_err(|_| Error::KeyMalformed)?;
        let secret = match Algorithm::of_identifier(info.algorithm)? {
            Algorithm::EcdsaP256 => {
                Secret::P256(p256::SecretKey::from_pkcs8_der(der).map_err(|_| Error::KeyMalformed)?)
            }
            Algorithm::EcdsaP384 => {
                Secret::P384(p384::SecretKey::from_pkcs8_der(der).map_err(|_| Error::KeyMalformed)?)
            }
            // RFC 8410: an OCTET STRING within the OCTET STRING.
            Algorithm::Ed25519 => {
                let seed = <&OctetStringRef>::from_der(info.private_key.as_bytes())
                    .map_err(|_| Error::KeyMalformed)?;
                let seed = <[u8; 32]>::try_from(seed.as_bytes());
                Secret::Ed25519(Zeroizing::new(seed.map_err(|_| Error::KeyMalformed)?))
            }
        };
        let key = Self::new(secret)?;
        // Version 2 repeats the public half.
        if let Some(public) = info.public_key {
            let bytes = public.as_bytes().ok_or(Error::KeyMalformed)?;
            let algorithm = key.algorithm();
            if normal_public(&algorithm.public_key(bytes)?)? != key.public {
                return Err(Error::KeyMalformed);
            }
        }
        Ok(key)
    }

    fn from_sec1(der: &[u8]) -> Result<Self, Error> {
        let outer = sec1::EcPrivateKey::from_der(der).map_err(|_| Error::KeyMalformed)?;
        // Without a curve, nothing tells what the number is a key of.
        let curve = outer.parameters.and_then(|curve| curve.named_curve());
        Self::new(match curve {
            Some(P256) => {
                Secret::P256(p256::SecretKey::from_sec1_der(der).map_err(|_| Error::KeyMalformed)?)
            }
            Some(P384) => {
                Secret::P384(p384::SecretKey::from_sec1_der(der).map_err(|_| Error::KeyMalformed)?)
            }
            _ => return Err(Error::KeyAlgorithm),
        })
    }

    fn new(secret: Secret) -> Result<Self, Error> {
        let public = match &secret {
            Secret::P256(secret) => secret.public_key().to_public_key_der(),
            Secret::P384(secret) => secret.public_key().to_public_key_der(),
            Secret::Ed25519(seed) => {
                let public = Algorithm::Ed25519.public_key(pair(seed)?.public_key().as_ref())?;
                return Ok(Self { secret, public });
            }
        };
        let public = public.map_err(|_| Error::KeyMalformed)?.into_vec();
        Ok(Self { secret, public })
    }

    fn to_pkcs8(&self) -> Result<SecretDocument, Error> {
        match &self.secret {
            Secret::P256(secret) => secret.to_pkcs8_der().map_err(|_| Error::KeyMalformed),
            Secret::P384(secret) => secret.to_pkcs8_der().map_err(|_| Error::KeyMalformed),
            // Version 1, without the public half: OpenSSL 3.0 does not read version 2.
            Secret::Ed25519(seed) => {
                let inner = OctetStringRef::new(&**seed).and_then(|seed| seed.to_der());
                let inner = Zeroizing::new(inner.map_err(|_| Error::KeyMalformed)?);
                let algorithm = AlgorithmIdentifierRef {
                    oid: ED25519,
                    parameters: None,
                };
                let inner = OctetStringRef::new(&inner).map_err(|_| Error::KeyMalformed)?;
                SecretDocument::encode_msg(&PrivateKeyInfoRef::new(algorithm, inner))
                    .map_err(|_| Error::KeyMalformed)
            }
        }
    }
}

impl Signer for PrivateKey {
    fn algorithm(&self) -> Algorithm {
        match self.secret {
            Secret::P256(_) => Algorithm::EcdsaP256,
            Secret::P384(_) => Algorithm::EcdsaP384,
            Secret::Ed25519(_) => Algorithm::Ed25519,
        }
    }

    fn public_key(&self) -> &[u8] {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        match &self.secret {
            Secret::P256(secret) => {
                let signature: p256::ecdsa::Signature = p256::ecdsa::SigningKey::from(secret)
                    .try_sign(message)
                    .map_err(|_| Error::SignerFailed)?;
                Ok(signature.normalize_s().to_bytes().to_vec())
            }
            Secret::P384(secret) => {
                let signature: p384::ecdsa::Signature = p384::ecdsa::SigningKey::from(secret)
                    .try_sign(message)
                    .map_err(|_| Error::SignerFailed)?;
                Ok(signature.normalize_s().to_bytes().to_vec())
            }
            Secret::Ed25519(seed) => Ok(pair(seed)?.sign(message).as_ref().to_vec()),
        }
    }
}

/// The public half from a file of it ("PUBLIC KEY") or from an unencrypted private key.
pub fn read_public(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let text = core::str::from_utf8(bytes).unwrap_or_default();
    let der = match pem::decode_vec(text.as_bytes()) {
        Ok(("PUBLIC KEY", der)) => der,
        _ => bytes.to_vec(),
    };
    if x509_cert::spki::SubjectPublicKeyInfoRef::from_der(&der).is_ok() {
        return normal_public(&der);
    }
    PrivateKey::read(bytes, || Err(Error::KeyEncrypted)).map(|key| key.public)
}

/// The one form in which a public key has its fingerprint: points are on the curve and uncompressed.
pub(super) fn normal_public(der: &[u8]) -> Result<Vec<u8>, Error> {
    let document = match Algorithm::of_public_key(der)? {
        Algorithm::EcdsaP256 => {
            p256::PublicKey::from_public_key_der(der).and_then(|key| key.to_public_key_der())
        }
        Algorithm::EcdsaP384 => {
            p384::PublicKey::from_public_key_der(der).and_then(|key| key.to_public_key_der())
        }
        Algorithm::Ed25519 => {
            let info = x509_cert::spki::SubjectPublicKeyInfoRef::from_der(der)
                .map_err(|_| Error::KeyMalformed)?;
            let key = info.subject_public_key.as_bytes();
            return match key {
                Some(key) if key.len() == 32 => Ok(der.to_vec()),
                _ => Err(Error::KeyMalformed),
            };
        }
    };
    Ok(document.map_err(|_| Error::KeyMalformed)?.into_vec())
}

fn pair(seed: &[u8; 32]) -> Result<Ed25519KeyPair, Error> {
    Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| Error::KeyMalformed)
}

/// The DER of a key, by the kind of its wrapping.
enum Document {
    Encrypted(Zeroizing<Vec<u8>>),
    Plain(Zeroizing<Vec<u8>>),
    Sec1(Zeroizing<Vec<u8>>),
}

impl Document {
    fn find(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.first() == Some(&DER_SEQUENCE) {
            let der = Zeroizing::new(bytes.to_vec());
            return Ok(if EncryptedPrivateKeyInfoRef::from_der(bytes).is_ok() {
                Self::Encrypted(der)
            } else if PrivateKeyInfoRef::try_from(bytes).is_ok() {
                Self::Plain(der)
            } else {
                Self::Sec1(der)
            });
        }
        let text = core::str::from_utf8(bytes).map_err(|_| Error::KeyMalformed)?;
        // `openssl ecparam -genkey` writes an "EC PARAMETERS" block in front of the key.
        for block in pem_blocks(text) {
            if block.contains("Proc-Type: 4,ENCRYPTED") {
                return Err(Error::KeyLegacyEncryption);
            }
            let mut decoder =
                pem::Decoder::new_detect_wrap(block.as_bytes()).map_err(|_| Error::KeyMalformed)?;
            let wrap = match decoder.type_label() {
                "ENCRYPTED PRIVATE KEY" => Self::Encrypted,
                "PRIVATE KEY" => Self::Plain,
                "EC PRIVATE KEY" => Self::Sec1,
                "EC PARAMETERS" => continue,
                "PUBLIC KEY" | "CERTIFICATE" => return Err(Error::KeyNotPrivate),
                _ => return Err(Error::KeyAlgorithm),
            };
            let mut der = Zeroizing::new(Vec::with_capacity(block.len()));
            decoder
                .decode_to_end(&mut der)
                .map_err(|_| Error::KeyMalformed)?;
            return Ok(wrap(der));
        }
        Err(Error::KeyMalformed)
    }
}

/// Every "-----BEGIN ...-----" to its "-----END ...-----", in order.
pub(crate) fn pem_blocks(mut text: &str) -> Vec<&str> {
    let mut blocks = Vec::new();
    while let Some(start) = text.find("-----BEGIN ") {
        let block = &text[start..];
        let Some(end) = block.find("-----END ") else {
            break;
        };
        let length = block[end..].find('\n').map_or(block.len(), |n| end + n + 1);
        blocks.push(&block[..length]);
        text = &block[length..];
    }
    blocks
}

const DER_SEQUENCE: u8 = 0x30;
