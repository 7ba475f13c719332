//! From an ELF to a bundle.
//!
//! The ELF is judged first, then laid out, signed, and judged again as a device would. Nothing in a bundle depends on time, place or
//! environment: the same input and the same key file give the same bytes.

use std::borrow::Cow;

use certificate_chain::{sha256, sha384};
use firmware_bundle::write::{Description, Draft, SlotDescription};
use firmware_bundle::{File, Footer};
use platform::{Core, Platform};

use crate::elf::Image;
use crate::key::Signer;
use crate::pki::{Certificate, Date, order_chain};
use crate::place::{Placed, place};
use crate::verify::{Device, Trust};
use crate::{Error, strip, verify};

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
    /// Keeps debug sections too.
    pub keep_all: bool,
    /// When the certificates have to be valid; `None` leaves dates alone.
    pub at: Option<Date>,
    /// Root certificates as DER: what was made is judged as a device that pins them for slot 0 would judge it. Without any, only the
    /// signature is.
    pub roots: &'a [&'a [u8]],
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

/// Signs `elf`: the whole bundle.
pub fn sign(
    elf: &[u8],
    options: &Options<'_>,
    signer: &dyn Signer,
    certificates: &[Certificate],
) -> Result<Vec<u8>, Error> {
    sign_in_parts(elf, options, signer, certificates).map(Signed::into_bytes)
}

/// Signs `elf`: its part and what is appended.
pub fn sign_in_parts<'a>(
    elf: &'a [u8],
    options: &Options<'_>,
    signer: &dyn Signer,
    certificates: &[Certificate],
) -> Result<Signed<'a>, Error> {
    refuse_signed(elf)?;
    let image = Image::parse(elf)?;
    let chain = order_chain(signer.public_key(), certificates)?;
    if let Some(at) = options.at {
        chain.iter().try_for_each(|one| one.check_dates(at))?;
    }
    let kept = if options.keep_all {
        Cow::Borrowed(elf)
    } else {
        strip::strip(&image)
    };
    let image = Image::parse(&kept)?;
    let cores = options
        .cores
        .iter()
        .map(|&id| options.platform.core(id).ok_or(unknown(options.platform)))
        .collect::<Result<Vec<_>, _>>()?;
    let placed = place_on_all(&image, &cores)?;
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
        extensions: &[],
    };
    let (trailer, digest) = trailer(&kept, &description, signer, &chain)?;

    if !options.roots.is_empty() {
        let trust = Trust::new(options.roots)?;
        for core in cores {
            let device = Device {
                platform: options.platform,
                core,
                floor: 0,
            };
            verify::admit_parts(&kept, &trailer, &trust, &device)?;
        }
    }
    Ok(Signed {
        elf: kept,
        trailer,
        digest,
    })
}

/// Signs any description that the format allows, without asking whether a device would take it: for tests of those who judge.
pub fn sign_description(
    elf: &[u8],
    description: &Description<'_>,
    signer: &dyn Signer,
    certificates: &[Certificate],
) -> Result<Vec<u8>, Error> {
    let (trailer, _) = trailer(elf, description, signer, certificates)?;
    Ok([elf, &trailer].concat())
}

/// The error for a core that `platform` does not have.
pub(crate) fn unknown(platform: &Platform) -> Error {
    Error::CoreUnknown {
        count: platform.cores().len(),
    }
}

fn refuse_signed(bytes: &[u8]) -> Result<(), Error> {
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

fn place_on_all<'a>(image: &Image<'a>, cores: &[&Core]) -> Result<Placed<'a>, Error> {
    let mut placed = None;
    for core in cores {
        let on_this = place(image, core)?;
        placed.get_or_insert(on_this);
    }
    placed.ok_or(Error::CoreMissing)
}

fn trailer(
    elf: &[u8],
    description: &Description<'_>,
    signer: &dyn Signer,
    chain: &[Certificate],
) -> Result<(Vec<u8>, [u8; 48]), Error> {
    let algorithm = signer.algorithm();
    let certificates: Vec<&[u8]> = chain.iter().map(Certificate::der).collect();
    let slot = SlotDescription {
        number: 0,
        algorithm: algorithm.in_bundle(),
        chain: &certificates,
    };
    let draft = Draft::new(elf, description, &[slot], sha256)?;
    let digest = sha384(&draft.signed_parts()?);
    let message = Draft::message(&digest);
    let signature = signer.sign(&message)?;
    // A signature is believed when it holds, wherever it came from.
    algorithm.check(signer.public_key(), &message, &signature)?;
    Ok((draft.finish(&[&signature])?, digest))
}
