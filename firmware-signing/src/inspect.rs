//! What a file is and says of itself. Nothing here is a statement of trust: no signature is judged.

use certificate_chain::sha384;
use firmware_bundle::{Footer, Manifest, Trailer};

use crate::Error;
use crate::elf::Image;
use crate::pki::Certificate;
use crate::verify::{certificates, check_integrity, file};

/// What was recognised.
#[derive(Clone, Debug)]
pub enum Found<'a> {
    /// A firmware bundle.
    Bundle(Bundle<'a>),
    /// An ELF that nobody signed, or whose signature was stripped.
    Elf(Image<'a>),
    /// Made by imgtool for the boot loader MCUboot.
    Mcuboot(Mcuboot),
    /// Signed by OP-TEE's sign_rproc_fw, format v1.
    SignRprocFw(SignRprocFw),
}

/// The header of an MCUboot image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mcuboot {
    /// Where the boot loader would copy it to.
    pub load_address: u32,
    /// Bytes of the header.
    pub header_size: u16,
    /// Bytes of the image.
    pub image_size: u32,
    /// The version in it: major, minor, revision, build.
    pub version: (u8, u8, u16, u32),
    /// Whether a list of type-length-values, which holds hashes and signatures, follows the image.
    pub has_tlvs: bool,
}

/// A bundle as it describes itself.
#[derive(Clone, Debug)]
pub struct Bundle<'a> {
    /// The bundle digest, which no signature changes.
    pub digest: [u8; 48],
    /// The manifest, which nobody vouched for here.
    pub manifest: Manifest<'a>,
    /// Slot number and algorithm of each signature.
    pub slots: Vec<(u8, firmware_bundle::Algorithm)>,
    /// The certificates of the first slot.
    pub chain: Vec<Certificate>,
    /// Whether every byte is what the manifest says.
    pub integrity: Result<(), Error>,
    /// Bytes of manifest, certificates, signatures and footer.
    pub trailer_size: usize,
}

/// The header of a file that sign_rproc_fw made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignRprocFw {
    /// Version of its format.
    pub version: u32,
    /// Bytes of its type-length-value list.
    pub tlv_size: u32,
    /// Bytes of its signature.
    pub signature_size: u32,
    /// Bytes of the images in it.
    pub images_size: u32,
}

/// Recognises `bytes`.
pub fn inspect(bytes: &[u8]) -> Result<Found<'_>, Error> {
    match Footer::of(&file(bytes)) {
        Ok(footer) => bundle(bytes, &footer).map(Found::Bundle),
        Err(firmware_bundle::Error::BareElf { .. }) => Image::parse(bytes).map(Found::Elf),
        Err(firmware_bundle::Error::SignRprocFw) => sign_rproc_fw(bytes).map(Found::SignRprocFw),
        Err(error @ firmware_bundle::Error::NoFooter { .. }) => {
            mcuboot(bytes).map(Found::Mcuboot).ok_or(error.into())
        }
        Err(error) => Err(error.into()),
    }
}

fn bundle<'a>(bytes: &'a [u8], footer: &Footer) -> Result<Bundle<'a>, Error> {
    let trailer = Trailer::of(&file(bytes))?;
    Ok(Bundle {
        digest: sha384(&trailer.signed_parts()),
        manifest: trailer.unverified_manifest()?,
        slots: trailer
            .slots()
            .map(|slot| (slot.number(), slot.algorithm()))
            .collect(),
        chain: certificates(&trailer)?,
        integrity: check_integrity(bytes),
        trailer_size: footer.trailer_size(),
    })
}

fn sign_rproc_fw(bytes: &[u8]) -> Result<SignRprocFw, Error> {
    let word = |index: usize| {
        bytes
            .get(4 * index..)
            .and_then(|rest| rest.first_chunk())
            .map(|word| u32::from_le_bytes(*word))
            .ok_or(Error::ElfTruncated {
                end: 20,
                file: bytes.len() as u64,
            })
    };
    Ok(SignRprocFw {
        version: word(1)?,
        tlv_size: word(2)?,
        signature_size: word(3)?,
        images_size: word(4)?,
    })
}

/// As MCUboot's image.h has it: 32 bytes, little-endian.
fn mcuboot(bytes: &[u8]) -> Option<Mcuboot> {
    let word = |at: usize| {
        let field = bytes.get(at..)?.first_chunk()?;
        Some(u32::from_le_bytes(*field))
    };
    let half = |at: usize| {
        let field = bytes.get(at..)?.first_chunk()?;
        Some(u16::from_le_bytes(*field))
    };
    if word(0)? != MCUBOOT {
        return None;
    }
    let (header_size, image_size) = (half(8)?, word(12)?);
    let end = usize::from(header_size).checked_add(usize::try_from(image_size).ok()?)?;
    let tlvs = half(end);
    Some(Mcuboot {
        load_address: word(4)?,
        header_size,
        image_size,
        version: (*bytes.get(20)?, *bytes.get(21)?, half(22)?, word(24)?),
        has_tlvs: matches!(tlvs, Some(MCUBOOT_TLVS | MCUBOOT_PROTECTED_TLVS)),
    })
}

const MCUBOOT: u32 = 0x96f3_b83d;
const MCUBOOT_TLVS: u16 = 0x6907;
const MCUBOOT_PROTECTED_TLVS: u16 = 0x6908;
