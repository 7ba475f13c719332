//! What is done to a bundle that exists: another signer for the same content, or none at all.

use std::borrow::Cow;

use admission::Refusal;
use certificate_chain::sha384;
use firmware_bundle::write::{Description, Draft};
use firmware_bundle::{Extension, Manifest, Segment, Trailer};

use crate::Error;
use crate::sign::{SlotChain, Unsigned, describe};
use crate::verify::{check_digests, file};

/// Holding a `Whole` tells you that a bundle is one in itself: every byte is what its manifest says, every signature holds with the key of
/// its slot's certificate, and each of these was issued by the one above it. Who is to be trusted is another question.
#[derive(Clone, Debug)]
pub struct Whole<'a> {
    elf: &'a [u8],
    trailer: Trailer<'a>,
    manifest: Manifest<'a>,
    slots: Vec<SlotChain>,
    digest: [u8; 48],
}

impl<'a> Whole<'a> {
    /// Reads and judges a bundle.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        let trailer = Trailer::of(&file(bytes))?;
        let manifest = trailer.unverified_manifest()?;
        check_digests(&[bytes], &manifest)?;
        let digest = sha384(&trailer.signed_parts());
        let message = Draft::message(&digest);
        let mut slots = Vec::new();
        for slot in trailer.slots() {
            let chain = SlotChain::of(slot)?;
            let held = chain
                .algorithm
                .check(&chain.public_key()?, &message, slot.signature());
            held.map_err(|_| Error::SignatureWrong {
                slot: slot.number(),
            })?;
            for pair in chain.certificates.windows(2) {
                let issued = pair[0].profile()?.issued_by(&pair[1].profile()?);
                issued.map_err(|error| Error::Slot {
                    slot: slot.number(),
                    error,
                })?;
            }
            slots.push(chain);
        }
        // The footer gave it, and the reader found all parts in the file.
        let (elf, _) = bytes.split_at(bytes.len() - trailer.footer().trailer_size());
        Ok(Self {
            elf,
            trailer,
            manifest,
            slots,
            digest,
        })
    }

    /// The ELF as it was signed: what is left when the trailer goes.
    pub fn elf(&self) -> &'a [u8] {
        self.elf
    }

    /// What was signed.
    pub fn manifest(&self) -> &Manifest<'a> {
        &self.manifest
    }

    /// Who signed.
    pub fn slots(&self) -> &[SlotChain] {
        &self.slots
    }

    /// The bundle digest, which no signature changes.
    pub fn digest(&self) -> &[u8; 48] {
        &self.digest
    }

    /// The same content, to be signed by others, who have to be allowed to: in every slot that is signed now, and in more if they like.
    pub fn resign(&self, slots: Vec<SlotChain>) -> Result<Unsigned<'a>, Error> {
        let mut lost = self.slots.iter().map(|slot| slot.number);
        if let Some(slot) = lost.find(|lost| slots.iter().all(|slot| slot.number != *lost)) {
            return Err(Error::ResignLosesSlot { slot });
        }
        for slot in &slots {
            may_sign(slot, &self.manifest)?;
        }
        let manifest = &self.manifest;
        let core_ids: Vec<u32> = manifest.core_ids().collect();
        let segments: Vec<Segment> = manifest.segments().collect();
        let extensions: Vec<Extension<'_>> = manifest.extensions().collect();
        let description = Description {
            device_class: *manifest.device_class(),
            core_ids: &core_ids,
            security_version: manifest.security_version(),
            display_version: manifest.display_version(),
            build_id: manifest.build_id(),
            entry: manifest.entry(),
            vector_table: manifest.vector_table(),
            segments: &segments,
            resource_table: manifest.resource_table(),
            extensions: &extensions,
        };
        let (draft, digest) = describe(self.elf, &description, &slots)?;
        let [_, before, _] = self.trailer.signed_parts();
        let [_, after, _] = draft.signed_parts()?;
        if before != after {
            return Err(Error::ContentChanged);
        }
        Ok(Unsigned::new(Cow::Borrowed(self.elf), draft, slots, digest))
    }
}

/// What a device would ask of the signer's scope (bundle-format.md 12.3, 12.4, 12.7).
fn may_sign(slot: &SlotChain, manifest: &Manifest<'_>) -> Result<(), Error> {
    let leaf = slot.certificates.first().ok_or(Error::CertificateMissing)?;
    let profile = leaf.profile()?;
    let missing = certificate_chain::Error::Missing {
        certificate: certificate_chain::Kind::Leaf,
        field: certificate_chain::Field::Scope,
    };
    let scope = profile.scope().ok_or(missing)?;
    let (version, ceiling) = (manifest.security_version(), scope.ceiling());
    let outside = manifest
        .core_ids()
        .find(|core| !scope.cores().contains(core));
    let refusal = if let Some(core) = outside {
        Refusal::CoreNotInScope { core }
    } else if !scope.classes().contains(manifest.device_class()) {
        Refusal::DeviceClassNotInScope
    } else if version > ceiling {
        Refusal::VersionAboveCeiling { version, ceiling }
    } else {
        return Ok(());
    };
    Err(refusal.into())
}
