//! Private keys: made, read as OpenSSL writes them, and used to sign.
//!
//! Whatever signs is a [`Signer`]; a [`PrivateKey`] is the one which lies in a file. Signatures of
//! file keys are deterministic (RFC 6979) and have a low s, so the same input gives the same bytes.

use der::Decode;
use der::asn1::AnyRef;
use der::oid::ObjectIdentifier;
use der::pem;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::elliptic_curve::Generate;
use p256::pkcs8::{DecodePrivateKey, EncodePublicKey, LineEnding};
use pkcs8::{EncodePrivateKey, EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef};
use zeroize::Zeroizing;

use crate::Error;

/// Whoever can sign: a key file now, a token or a signing service by the same three questions.
pub trait Signer {
    /// The algorithm of the signatures.
    fn algorithm(&self) -> Algorithm;

    /// The public half as DER-encoded SubjectPublicKeyInfo.
    fn public_key(&self) -> &[u8];

    /// The signature over `message` as raw r||s with a low s.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error>;
}

/// The algorithms this tool can sign with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    #[default]
    EcdsaP256,
}

impl Algorithm {
    /// The name used in options, reports and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "ecdsa-p256-sha256",
        }
    }
}

/// Holding a `PrivateKey` tells you that its public half belongs to it.
pub struct PrivateKey {
    secret: p256::SecretKey,
    public: Vec<u8>,
}

impl PrivateKey {
    /// A fresh key from the operating system's random numbers.
    pub fn generate(algorithm: Algorithm) -> Result<Self, Error> {
        let Algorithm::EcdsaP256 = algorithm;
        let secret = p256::SecretKey::try_generate().map_err(|_| Error::NoRandomness)?;
        Self::new(secret)
    }

    /// Reads PEM or DER: PKCS#8, encrypted PKCS#8 and SEC1 ("EC PRIVATE KEY").
    ///
    /// `passphrase` is only asked when the key is encrypted.
    pub fn read(
        bytes: &[u8],
        passphrase: impl FnOnce() -> Result<Zeroizing<String>, Error>,
    ) -> Result<Self, Error> {
        match KeyDocument::find(bytes)? {
            KeyDocument::Encrypted(der) => {
                let info =
                    EncryptedPrivateKeyInfoRef::from_der(&der).map_err(|_| Error::KeyMalformed)?;
                let plain = info
                    .decrypt(passphrase()?.as_bytes())
                    .map_err(|_| Error::KeyPassphraseWrong)?;
                Self::from_pkcs8(plain.as_bytes())
            }
            KeyDocument::Plain(der) => Self::from_pkcs8(&der),
            KeyDocument::Sec1(der) => {
                Self::new(p256::SecretKey::from_sec1_der(&der).map_err(|_| Error::KeyNotP256)?)
            }
        }
    }

    /// PKCS#8 PEM, encrypted (PBES2: scrypt and AES-256-CBC) where there is a passphrase.
    pub fn to_pem(&self, passphrase: Option<&str>) -> Result<Zeroizing<String>, Error> {
        let der = self
            .secret
            .to_pkcs8_der()
            .map_err(|_| Error::KeyMalformed)?;
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
        self.secret
            .public_key()
            .to_public_key_pem(LineEnding::LF)
            .map_err(|_| Error::KeyMalformed)
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, Error> {
        let info = PrivateKeyInfoRef::try_from(der).map_err(|_| Error::KeyMalformed)?;
        let curve = info.algorithm.parameters.map(AnyRef::decode_as);
        if info.algorithm.oid != EC_PUBLIC_KEY || curve != Some(Ok(P256_CURVE)) {
            return Err(Error::KeyNotP256);
        }
        Self::new(p256::SecretKey::from_pkcs8_der(der).map_err(|_| Error::KeyMalformed)?)
    }

    fn new(secret: p256::SecretKey) -> Result<Self, Error> {
        let public = secret
            .public_key()
            .to_public_key_der()
            .map_err(|_| Error::KeyMalformed)?
            .into_vec();
        Ok(Self { secret, public })
    }
}

impl Signer for PrivateKey {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EcdsaP256
    }

    fn public_key(&self) -> &[u8] {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signature: Signature = SigningKey::from(&self.secret)
            .try_sign(message)
            .map_err(|_| Error::SignerFailed)?;
        Ok(signature.normalize_s().to_bytes().to_vec())
    }
}

/// SHA-256 of a SubjectPublicKeyInfo: what names a key everywhere in this project.
pub fn key_id(public_key: &[u8]) -> [u8; 32] {
    let mut id = [0; 32];
    let digest = ring::digest::digest(&ring::digest::SHA256, public_key);
    id.copy_from_slice(digest.as_ref());
    id
}

/// The public half from a file of it ("PUBLIC KEY") or from an unencrypted private key.
pub fn read_public(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    use p256::pkcs8::DecodePublicKey;
    let text = core::str::from_utf8(bytes).unwrap_or_default();
    let public = p256::PublicKey::from_public_key_pem(text)
        .or_else(|_| p256::PublicKey::from_public_key_der(bytes));
    if let Ok(public) = public {
        let der = public
            .to_public_key_der()
            .map_err(|_| Error::KeyMalformed)?;
        return Ok(der.into_vec());
    }
    PrivateKey::read(bytes, || Err(Error::KeyEncrypted)).map(|key| key.public)
}

/// The DER of a key, by the kind of its wrapping.
enum KeyDocument {
    Encrypted(Zeroizing<Vec<u8>>),
    Plain(Zeroizing<Vec<u8>>),
    Sec1(Zeroizing<Vec<u8>>),
}

impl KeyDocument {
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
                _ => return Err(Error::KeyNotP256),
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
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256_CURVE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
