//! From an ELF to a bundle.
//!
//! The ELF is judged first, then laid out, signed, and judged again as a device would. Nothing in a bundle depends on time, place or
//! environment: the same input and the same key file give the same bytes.

use std::borrow::Cow;

use certificate_chain::{sha256, sha384};
use firmware_bundle::write::{Description, Draft, SlotDescription};
use firmware_bundle::{Extension, File, Footer, SbomDigest};
use platform::{Core, Platform};

use crate::elf::Image;
use crate::key::{Algorithm, Signer};
use crate::pki::{Certificate, Date, order_chain};
use crate::place::{Placed, place};
use crate::strip::Stripping;
use crate::verify::{Device, Trust};
use crate::{Error, request, verify};

/// What goes into a bundle besides the ELF.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// The machine it is for.
    pub platform: &'a Platform,
    /// The cores it may run on, ascending.
    pub cores: &'a [u32],
    /// The version that may never go down on a device.
    pub security_version: u32,
    /// The version people read.
    pub display_version: &'a str,
    /// The build id; the ELF's own where there is none.
    pub build_id: Option<&'a [u8]>,
    /// The digest of the image's software bill of materials.
    pub sbom: Option<SbomDigest<'a>>,
    /// Keeps debug sections too.
    pub keep_all: bool,
    /// When the certificates have to be valid; `None` leaves dates alone.
    pub at: Option<Date>,
    /// Root certificates as DER, each with its slot: what was made is judged as a device that pins them would judge it. Without any, only
    /// the signatures are.
    pub roots: &'a [(u8, &'a [u8])],
}

/// Who signs one slot.
#[derive(Clone, Copy)]
pub struct Slot<'a> {
    /// The slot's number.
    pub number: u8,
    /// Who signs.
    pub signer: &'a dyn Signer,
    /// The certificates of the signer and its product CA, in any order.
    pub certificates: &'a [Certificate],
}

/// A bundle in its two parts, so that the large one need not be copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed<'a> {
    /// The ELF part.
    pub elf: Cow<'a, [u8]>,
    /// What is appended to it.
    pub trailer: Vec<u8>,
    /// The bundle digest, which no signature changes.
    pub digest: [u8; 48],
}

impl Signed<'_> {
    /// The bundle as one.
    pub fn into_bytes(self) -> Vec<u8> {
        let mut bytes = self.elf.into_owned();
        bytes.extend(self.trailer);
        bytes
    }
}

/// The certificates of one signature slot, the signer's first.
#[derive(Clone, Debug)]
pub struct SlotChain {
    /// The slot's number.
    pub number: u8,
    /// The algorithm of the signer's key.
    pub algorithm: Algorithm,
    /// The signer's certificate and its product CA's.
    pub certificates: Vec<Certificate>,
}

impl SlotChain {
    /// Orders `certificates` around the one for `public_key`.
    pub fn new(number: u8, public_key: &[u8], certificates: &[Certificate]) -> Result<Self, Error> {
        Ok(Self {
            number,
            algorithm: Algorithm::of_public_key(public_key)?,
            certificates: order_chain(public_key, certificates)?,
        })
    }

    /// The chain of a slot as it stands in a file.
    pub(crate) fn of(slot: &firmware_bundle::Slot<'_>) -> Result<Self, Error> {
        let certificates = slot
            .chain()
            .map(Certificate::from_der)
            .collect::<Result<Vec<_>, _>>()?;
        let leaf = certificates.first().ok_or(Error::CertificateMissing)?;
        let algorithm = Algorithm::of_public_key(&leaf.public_key()?)?;
        if algorithm.in_bundle() != slot.algorithm() {
            return Err(Error::SlotAlgorithm {
                slot: slot.number(),
                algorithm,
            });
        }
        Ok(Self {
            number: slot.number(),
            algorithm,
            certificates,
        })
    }

    /// The signer's public key, as its certificate has it.
    pub fn public_key(&self) -> Result<Vec<u8>, Error> {
        let leaf = self.certificates.first();
        leaf.ok_or(Error::CertificateMissing)?.public_key()
    }
}

/// All of a bundle but its signatures.
#[derive(Clone, Debug)]
pub struct Unsigned<'a> {
    elf: Cow<'a, [u8]>,
    draft: Draft,
    slots: Vec<SlotChain>,
    digest: [u8; 48],
}

impl<'a> Unsigned<'a> {
    /// What is laid out already.
    pub(crate) fn new(
        elf: Cow<'a, [u8]>,
        draft: Draft,
        slots: Vec<SlotChain>,
        digest: [u8; 48],
    ) -> Self {
        Self {
            elf,
            draft,
            slots,
            digest,
        }
    }

    /// What every slot's key signs.
    pub fn message(&self) -> [u8; 64] {
        Draft::message(&self.digest)
    }

    /// The bundle digest, which no signature changes.
    pub fn digest(&self) -> &[u8; 48] {
        &self.digest
    }

    /// The slots in order.
    pub fn slots(&self) -> &[SlotChain] {
        &self.slots
    }

    /// Puts in one raw signature for each slot. A signature is believed when it holds, wherever it came from.
    pub fn finish(self, signatures: &[Vec<u8>]) -> Result<Signed<'a>, Error> {
        let message = self.message();
        for (slot, signature) in self.slots.iter().zip(signatures) {
            slot.algorithm
                .check(&slot.public_key()?, &message, signature)?;
        }
        let signatures: Vec<&[u8]> = signatures.iter().map(Vec::as_slice).collect();
        Ok(Signed {
            elf: self.elf,
            trailer: self.draft.finish(&signatures)?,
            digest: self.digest,
        })
    }

    /// ELF part and trailer with zeros for signatures: for [`request`] to wrap, never to be written as they are.
    pub(crate) fn with_zeros(self) -> Result<Parts<'a>, Error> {
        let size = |slot: &SlotChain| slot.algorithm.in_bundle().signature_size();
        let zeros: Vec<Vec<u8>> = self.slots.iter().map(|slot| vec![0; size(slot)]).collect();
        let zeros: Vec<&[u8]> = zeros.iter().map(Vec::as_slice).collect();
        Ok((self.elf, self.draft.finish(&zeros)?))
    }
}

/// ELF part and trailer.
type Parts<'a> = (Cow<'a, [u8]>, Vec<u8>);

/// Signs `elf` in slot 0: the whole bundle.
pub fn sign(
    elf: &[u8],
    options: &Options<'_>,
    signer: &dyn Signer,
    certificates: &[Certificate],
) -> Result<Vec<u8>, Error> {
    let slot = Slot {
        number: 0,
        signer,
        certificates,
    };
    sign_in_parts(elf, options, &[slot]).map(Signed::into_bytes)
}

/// Signs `elf` in these slots, which ascend: its part and what is appended. What is handed over whole is not copied.
pub fn sign_in_parts<'a>(
    elf: impl Into<Cow<'a, [u8]>>,
    options: &Options<'_>,
    slots: &[Slot<'_>],
) -> Result<Signed<'a>, Error> {
    let chains = slots
        .iter()
        .map(|slot| SlotChain::new(slot.number, slot.signer.public_key(), slot.certificates))
        .collect::<Result<Vec<_>, _>>();
    let elf = elf.into();
    // What is wrong with the image is said before what is wrong with the key.
    refuse_signed(&elf)?;
    Image::parse(&elf)?;
    let unsigned = draft(elf, options, chains?)?;
    let message = unsigned.message();
    let signatures = slots
        .iter()
        .map(|slot| slot.signer.sign(&message))
        .collect::<Result<Vec<_>, _>>()?;
    let signed = unsigned.finish(&signatures)?;
    for_each_device(options, |trust, device| {
        verify::admit_parts(&signed.elf, &signed.trailer, trust, device)
    })?;
    Ok(signed)
}

/// All of the bundle of `elf` but the signatures of `slots`. No root is asked here.
pub fn draft<'a>(
    elf: impl Into<Cow<'a, [u8]>>,
    options: &Options<'_>,
    slots: Vec<SlotChain>,
) -> Result<Unsigned<'a>, Error> {
    let elf = elf.into();
    refuse_signed(&elf)?;
    let image = Image::parse(&elf)?;
    if let Some(at) = options.at {
        let mut certificates = slots.iter().flat_map(|slot| &slot.certificates);
        certificates.try_for_each(|one| one.check_dates(at))?;
    }
    let stripping = match options.keep_all {
        true => None,
        false => Stripping::of(&image),
    };
    let kept = match stripping {
        Some(stripping) => Cow::Owned(stripping.apply(elf.into_owned())),
        None => elf,
    };
    let image = Image::parse(&kept)?;
    let placed = place_on_all(&image, &cores(options)?)?;
    let sbom = options.sbom.map(SbomDigest::to_value);
    let extensions: Vec<Extension<'_>> = sbom
        .iter()
        .map(|value| Extension {
            kind: SbomDigest::KIND,
            critical: false,
            value,
        })
        .collect();
    let description = Description {
        device_class: options.platform.device_class().bytes(),
        core_ids: options.cores,
        security_version: options.security_version,
        display_version: options.display_version,
        build_id: options.build_id.or(image.build_id()).unwrap_or_default(),
        entry: image.entry(),
        vector_table: placed.vector_table,
        segments: &placed.segments,
        resource_table: placed.resource_table,
        extensions: &extensions,
    };
    let (draft, digest) = describe(&kept, &description, &slots)?;
    Ok(Unsigned {
        elf: kept,
        draft,
        slots,
        digest,
    })
}

/// Lays out a bundle with exactly this description: `elf` is not looked at.
pub(crate) fn describe(
    elf: &[u8],
    description: &Description<'_>,
    slots: &[SlotChain],
) -> Result<(Draft, [u8; 48]), Error> {
    let chains: Vec<Vec<&[u8]>> = slots
        .iter()
        .map(|slot| slot.certificates.iter().map(Certificate::der).collect())
        .collect();
    let slots: Vec<SlotDescription<'_>> = slots
        .iter()
        .zip(&chains)
        .map(|(slot, chain)| SlotDescription {
            number: slot.number,
            algorithm: slot.algorithm.in_bundle(),
            chain,
        })
        .collect();
    let draft = Draft::new(elf, description, &slots, sha256)?;
    let digest = sha384(&draft.signed_parts()?);
    Ok((draft, digest))
}

/// Signs any description that the format allows, without asking whether a device would take it: for tests of those who judge.
pub fn sign_description(
    elf: &[u8],
    description: &Description<'_>,
    signer: &dyn Signer,
    certificates: &[Certificate],
) -> Result<Vec<u8>, Error> {
    let slots = vec![SlotChain {
        number: 0,
        algorithm: signer.algorithm(),
        certificates: certificates.to_vec(),
    }];
    let (draft, digest) = describe(elf, description, &slots)?;
    let unsigned = Unsigned {
        elf: Cow::Borrowed(elf),
        draft,
        slots,
        digest,
    };
    let signature = signer.sign(&unsigned.message())?;
    unsigned.finish(&[signature]).map(Signed::into_bytes)
}

/// Asks for every core of the options, where they name a root at all.
pub(crate) fn for_each_device(
    options: &Options<'_>,
    judge: impl Fn(&Trust, &Device<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    if options.roots.is_empty() {
        return Ok(());
    }
    let trust = Trust::for_slots(options.roots)?;
    cores(options)?.into_iter().try_for_each(|core| {
        let device = Device {
            platform: options.platform,
            core,
            floor: 0,
        };
        judge(&trust, &device)
    })
}

/// The error for a core that `platform` does not have.
pub(crate) fn unknown(platform: &Platform) -> Error {
    Error::CoreUnknown {
        count: platform.cores().len(),
    }
}

fn refuse_signed(bytes: &[u8]) -> Result<(), Error> {
    if request::is_unsigned(bytes) {
        return Err(Error::Unsigned);
    }
    let file = File {
        length: bytes.len() as u64,
        head: bytes,
        tail: bytes,
    };
    match Footer::of(&file) {
        Err(firmware_bundle::Error::BareElf { .. } | firmware_bundle::Error::NoFooter { .. }) => {
            Ok(())
        }
        Err(firmware_bundle::Error::EmptyFile) => Err(Error::InputEmpty),
        Ok(_) | Err(_) => Err(Error::AlreadySigned),
    }
}

fn cores<'a>(options: &Options<'a>) -> Result<Vec<&'a Core>, Error> {
    let core = |&id| options.platform.core(id).ok_or(unknown(options.platform));
    options.cores.iter().map(core).collect()
}

fn place_on_all<'a>(image: &Image<'a>, cores: &[&Core]) -> Result<Placed<'a>, Error> {
    let mut placed = None;
    for core in cores {
        let on_this = place(image, core)?;
        placed.get_or_insert(on_this);
    }
    placed.ok_or(Error::CoreMissing)
}
