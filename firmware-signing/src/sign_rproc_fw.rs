//! Files of OP-TEE's `sign_rproc_fw`, format v1: read, and judged by their key.
//!
//! All numbers are little-endian. A header of 20 bytes (magic, version, bytes of the list, of the signature, of the images) is followed by
//! a list of type-length-value records, the signature and the images, each padded to 8 bytes. The signature covers header and list; in the
//! list stands, for every program header of the ELF, a copy of it with the SHA-256 of its bytes in the file.

use certificate_chain::sha256;
use der::Decode;
use der::oid::ObjectIdentifier;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use x509_cert::spki::SubjectPublicKeyInfoRef;

use crate::Error;
use crate::elf::Image;
use crate::key::pem_blocks;

/// Its first four bytes.
pub const MAGIC: u32 = 0x3543_a468;

/// Holding a `SignedFirmware` tells you that its parts fill the file. Nothing of it was judged.
#[derive(Clone, Debug)]
pub struct SignedFirmware<'a> {
    signed: &'a [u8],
    signature: &'a [u8],
    image: &'a [u8],
    rows: &'a [[u8; 64]],
    scheme: Scheme,
    key_info: Option<&'a [u8]>,
    others: Vec<(u32, &'a [u8])>,
}

/// How a file is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// ECDSA on P-256 with SHA-256, r and s.
    EcdsaP256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rsa,
}

impl Scheme {
    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "ecdsa-p256-sha256",
            Self::Rsa => "rsa-pkcs1v15-sha256",
        }
    }
}

impl<'a> SignedFirmware<'a> {
    /// Finds the parts.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let file = bytes.len() as u64;
        let header = bytes
            .first_chunk::<20>()
            .ok_or(Error::LegacyLength { end: 20, file })?;
        let [magic, version, list, signature, images] = words(header);
        if magic != MAGIC {
            return Err(Error::NotLegacy);
        }
        if version != 1 {
            return Err(Error::LegacyVersion { found: version });
        }
        let rounded = |size: u32| u64::from(size).next_multiple_of(8);
        let list_end = 20 + rounded(list);
        let images_start = list_end + rounded(signature);
        let end = images_start + rounded(images);
        if end != file {
            return Err(Error::LegacyLength { end, file });
        }
        // All are at most the file's length.
        let part = |from: u64, size: u32| &bytes[from as usize..][..size as usize];
        let list = List::parse(part(20, list))?;

        let scheme = match list.byte(SIGN_TYPE)? {
            1 => Scheme::Rsa,
            2 => Scheme::EcdsaP256,
            _ => return Err(Error::LegacyRecord { kind: SIGN_TYPE }),
        };
        if list.byte(HASH_TYPE)? != 1 {
            return Err(Error::LegacyRecord { kind: HASH_TYPE });
        }
        if list.byte(IMAGES)? != 1 {
            return Err(Error::LegacyNotSupported {
                what: "more than one image",
            });
        }
        if list.byte(IMAGE_TYPE)? != 1 {
            return Err(Error::LegacyNotSupported {
                what: "an encrypted image",
            });
        }
        if list.required(IMAGE_SIZE)? != images.to_le_bytes() {
            return Err(Error::LegacyRecord { kind: IMAGE_SIZE });
        }
        let (rows, odd) = list.required(HASH_TABLE)?.as_chunks();
        if !odd.is_empty() {
            return Err(Error::LegacyRecord { kind: HASH_TABLE });
        }
        Ok(Self {
            signed: &bytes[..list_end as usize],
            signature: part(list_end, signature),
            image: part(images_start, images),
            rows,
            scheme,
            key_info: list.find(KEY_INFO),
            others: list.others(),
        })
    }

    /// How it is signed.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// What the signer said about its key.
    pub fn key_info(&self) -> Option<&'a [u8]> {
        self.key_info
    }

    /// Records that a bundle has no place for: a platform's own, or unknown ones.
    pub fn others(&self) -> &[(u32, &'a [u8])] {
        &self.others
    }

    /// The ELF, if the signature holds with `key` and every program header and segment is what was signed.
    pub fn verified(&self, key: &PublicKey) -> Result<&'a [u8], Error> {
        if key.scheme != self.scheme {
            return Err(Error::LegacyKey {
                file: self.scheme.name(),
                key: key.scheme.name(),
            });
        }
        let algorithm: &dyn VerificationAlgorithm = match self.scheme {
            Scheme::EcdsaP256 => &ECDSA_P256_SHA256_FIXED,
            Scheme::Rsa => &RSA_PKCS1_2048_8192_SHA256,
        };
        UnparsedPublicKey::new(algorithm, &key.bytes)
            .verify(self.signed, self.signature)
            .map_err(|ring::error::Unspecified| Error::LegacySignature)?;

        let image = Image::parse(self.image)?;
        let headers = &image.program_headers;
        if headers.len() != self.rows.len() {
            return Err(Error::LegacyRow {
                row: headers.len().min(self.rows.len()),
            });
        }
        for (row, (signed, header)) in self.rows.iter().zip(headers).enumerate() {
            let (fields, digest) = signed.split_at(32);
            let found = [
                u64::from(header.p_type),
                header.p_offset,
                header.p_vaddr,
                header.p_paddr,
                header.p_filesz,
                header.p_memsz,
                u64::from(header.p_flags),
                header.p_align,
            ];
            let found = found.map(|field| u32::try_from(field).unwrap_or(u32::MAX).to_le_bytes());
            if found.as_flattened() != fields {
                return Err(Error::LegacyRow { row });
            }
            let bytes = self
                .image
                .get(header.file_range())
                .ok_or(Error::LegacyRow { row })?;
            if sha256(&[bytes]) != *digest {
                return Err(Error::LegacyDigest { row });
            }
        }
        Ok(self.image)
    }
}

/// The public key of somebody who signed with `sign_rproc_fw`.
#[derive(Clone, Debug)]
pub struct PublicKey {
    scheme: Scheme,
    bytes: Vec<u8>,
    der: Vec<u8>,
}

impl PublicKey {
    /// Reads PEM ("PUBLIC KEY") or DER.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let der = if bytes.first() == Some(&0x30) {
            bytes.to_vec()
        } else {
            let text = core::str::from_utf8(bytes).map_err(|_| Error::KeyMalformed)?;
            let blocks = pem_blocks(text);
            let block = blocks.first().ok_or(Error::KeyMalformed)?;
            let decoded = der::pem::decode_vec(block.as_bytes());
            match decoded.map_err(|_| Error::KeyMalformed)? {
                ("PUBLIC KEY", der) => der,
                _ => return Err(Error::LegacyKeyNotPublic),
            }
        };
        let info = SubjectPublicKeyInfoRef::from_der(&der).map_err(|_| Error::KeyMalformed)?;
        let scheme = match info.algorithm.oid {
            RSA => Scheme::Rsa,
            EC if info.algorithm.parameters_oid() == Ok(P256) => Scheme::EcdsaP256,
            _ => return Err(Error::LegacyKeyAlgorithm),
        };
        let bytes = info.subject_public_key.as_bytes();
        Ok(Self {
            scheme,
            bytes: bytes.ok_or(Error::KeyMalformed)?.to_vec(),
            der,
        })
    }

    /// The SubjectPublicKeyInfo, whose SHA-256 names the key.
    pub fn der(&self) -> &[u8] {
        &self.der
    }
}

/// The records by type.
struct List<'a>(Vec<(u32, &'a [u8])>);

impl<'a> List<'a> {
    fn parse(mut rest: &'a [u8]) -> Result<Self, Error> {
        let mut records: Vec<(u32, &[u8])> = Vec::new();
        while let Some((head, behind)) = rest.split_first_chunk::<8>() {
            let [kind, size] = words(head);
            let refused = Error::LegacyRecord { kind };
            let taken = usize::try_from(size)
                .ok()
                .filter(|size| *size <= behind.len());
            let (value, behind) = behind.split_at(taken.ok_or(refused)?);
            if records.iter().any(|(other, _)| *other == kind) {
                return Err(refused);
            }
            records.push((kind, value));
            // The last padding may be left to the header's rounding.
            let padding = (value.len().next_multiple_of(8) - value.len()).min(behind.len());
            rest = &behind[padding..];
        }
        match rest {
            [] => Ok(Self(records)),
            _ => Err(Error::LegacyRecord { kind: 0 }),
        }
    }

    fn find(&self, kind: u32) -> Option<&'a [u8]> {
        let found = self.0.iter().find(|(other, _)| *other == kind);
        found.map(|(_, value)| *value)
    }

    fn required(&self, kind: u32) -> Result<&'a [u8], Error> {
        self.find(kind).ok_or(Error::LegacyRecord { kind })
    }

    fn byte(&self, kind: u32) -> Result<u8, Error> {
        match self.required(kind)? {
            [byte] => Ok(*byte),
            _ => Err(Error::LegacyRecord { kind }),
        }
    }

    fn others(&self) -> Vec<(u32, &'a [u8])> {
        let known = [
            SIGN_TYPE, HASH_TYPE, IMAGES, IMAGE_TYPE, IMAGE_SIZE, HASH_TABLE, KEY_INFO,
        ];
        let mut others = self.0.clone();
        others.retain(|(kind, _)| !known.contains(kind));
        others
    }
}

/// Little-endian words.
fn words<const BYTES: usize, const WORDS: usize>(bytes: &[u8; BYTES]) -> [u32; WORDS] {
    const { assert!(BYTES == 4 * WORDS) };
    let (words, _) = bytes.as_chunks();
    core::array::from_fn(|index| u32::from_le_bytes(words[index]))
}

const SIGN_TYPE: u32 = 1;
const HASH_TYPE: u32 = 2;
const IMAGES: u32 = 3;
const IMAGE_TYPE: u32 = 4;
const IMAGE_SIZE: u32 = 5;
const HASH_TABLE: u32 = 0x10;
const KEY_INFO: u32 = 0x11;
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
