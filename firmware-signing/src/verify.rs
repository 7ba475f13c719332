//! What a device would say to a bundle, and what can be said without one.

use admission::Admitted;
pub use admission::Device;
use certificate_chain::{Checker, Root, Signer};
use firmware_bundle::{
    File, MAX_TRAILER, MESSAGE_SIZE, Manifest, Plan, SignatureCheck, Slot, Step, Trailer, Verified,
};
use ring::digest::{Context, SHA256};

use crate::Error;
use crate::pki::{Certificate, Date};

/// The roots that are trusted.
#[derive(Clone, Debug)]
pub struct Trust(Checker);

impl Trust {
    /// Trusts these root certificates, in DER, for slot 0.
    pub fn new(roots: &[&[u8]]) -> Result<Self, Error> {
        let roots: Vec<_> = roots.iter().map(|der| (0, *der)).collect();
        Self::for_slots(&roots)
    }

    /// Trusts these root certificates, in DER, each for its slot.
    pub fn for_slots(roots: &[(u8, &[u8])]) -> Result<Self, Error> {
        let roots = roots
            .iter()
            .map(|(slot, der)| Root::parse(*slot, der))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self(Checker::new(roots)?))
    }

    pub(crate) fn checker(&self) -> &Checker {
        &self.0
    }
}

/// A bundle whose signatures hold and whose every byte is what was signed.
#[derive(Clone, Debug)]
pub struct Authentic<'a> {
    /// Signatures, signers and manifest.
    pub verified: Verified<'a, Signer>,
    /// What was signed.
    pub manifest: Manifest<'a>,
    /// Each signer's certificate and the ones above it, as in the bundle.
    pub chain: Vec<Certificate>,
}

impl Authentic<'_> {
    /// Judges the dates of the certificates, which no device does.
    pub fn check_dates(&self, at: Date) -> Result<(), Error> {
        self.chain.iter().try_for_each(|one| one.check_dates(at))
    }
}

/// Footer, chain, signatures, manifest, and every digest; no device is asked.
pub fn authenticate<'a>(bundle: &'a [u8], trust: &Trust) -> Result<Authentic<'a>, Error> {
    let trailer = Trailer::of(&file(bundle))?;
    let verified = trailer.verify(&trust.0)?;
    let manifest = verified.manifest()?;
    check_digests(&[bundle], &manifest)?;
    Ok(Authentic {
        chain: certificates(&trailer)?,
        verified,
        manifest,
    })
}

/// The same for a bundle that still lies in two parts.
pub(crate) fn authenticate_parts(elf: &[u8], trailer: &[u8], trust: &Trust) -> Result<(), Error> {
    let read = Trailer::of(&File {
        length: elf.len() as u64 + trailer.len() as u64,
        head: elf,
        tail: trailer,
    })?;
    check_digests(&[elf, trailer], &read.verify(&trust.0)?.manifest()?)
}

/// What a device's TA would say, and every digest: the whole way of a LOAD but for the copying.
pub fn admit<'a>(
    bundle: &'a [u8],
    trust: &Trust,
    device: &Device<'_>,
) -> Result<Admitted<'a>, Error> {
    let admitted = admission::admit(&file(bundle), &trust.0, device)?;
    check_digests(&[bundle], admitted.manifest())?;
    Ok(admitted)
}

/// The same for a bundle that still lies in two parts.
pub(crate) fn admit_parts(
    elf: &[u8],
    trailer: &[u8],
    trust: &Trust,
    device: &Device<'_>,
) -> Result<(), Error> {
    let file = File {
        length: elf.len() as u64 + trailer.len() as u64,
        head: elf,
        tail: trailer,
    };
    let admitted = admission::admit(&file, &trust.0, device)?;
    check_digests(&[elf, trailer], admitted.manifest())
}

/// The same for a bundle whose signatures are still to come: all but them is judged.
pub(crate) fn admit_unsigned(
    elf: &[u8],
    trailer: &[u8],
    trust: &Trust,
    device: &Device<'_>,
) -> Result<(), Error> {
    let file = File {
        length: elf.len() as u64 + trailer.len() as u64,
        head: elf,
        tail: trailer,
    };
    let admitted = admission::admit(&file, &ChainOnly(&trust.0), device)?;
    check_digests(&[elf, trailer], admitted.manifest())
}

/// Judges chains and believes every signature.
struct ChainOnly<'a>(&'a Checker);

impl SignatureCheck for ChainOnly<'_> {
    type Signer = Signer;
    type Error = certificate_chain::Error;

    fn sha384(&self, parts: [&[u8]; 3]) -> [u8; 48] {
        certificate_chain::sha384(&parts)
    }

    fn check(&self, slot: &Slot<'_>, _: &[u8; MESSAGE_SIZE]) -> Result<Signer, Self::Error> {
        let chain: Vec<&[u8]> = slot.chain().collect();
        let [leaf, product_ca] = self.0.chain(slot.number(), &chain)?;
        let missing = certificate_chain::Error::Missing {
            certificate: certificate_chain::Kind::Leaf,
            field: certificate_chain::Field::Scope,
        };
        Ok(Signer {
            key_id: *leaf.key_id(),
            scope: *leaf.scope().ok_or(missing)?,
            leaf_validity: leaf.validity(),
            product_ca_validity: product_ca.validity(),
        })
    }
}

/// Whether every byte is what the manifest says; nothing about who wrote the manifest.
pub fn check_integrity(bundle: &[u8]) -> Result<(), Error> {
    let trailer = Trailer::of(&file(bundle))?;
    check_digests(&[bundle], &trailer.unverified_manifest()?)
}

/// The certificates of a bundle, slot by slot, in each the signer's first.
pub fn certificates(trailer: &Trailer<'_>) -> Result<Vec<Certificate>, Error> {
    trailer
        .slots()
        .flat_map(|slot| slot.chain())
        .map(Certificate::from_der)
        .collect()
}

/// A whole file as the reader wants it.
pub(crate) fn file(bytes: &[u8]) -> File<'_> {
    File {
        length: bytes.len() as u64,
        head: bytes,
        tail: &bytes[bytes.len().saturating_sub(MAX_TRAILER)..],
    }
}

/// `parts` are the file, one after the other, at least up to the manifest.
pub(crate) fn check_digests(parts: &[&[u8]], manifest: &Manifest<'_>) -> Result<(), Error> {
    let plan = Plan::of(manifest);
    let rest_digest = *plan.rest_digest();
    let mut rest = Context::new(&SHA256);
    for step in plan {
        match step {
            Step::Chunk {
                offset,
                size,
                digest,
                segment,
                ..
            } => {
                let mut chunk = Context::new(&SHA256);
                feed(&mut chunk, parts, offset, size)?;
                if chunk.finish().as_ref() != digest {
                    return Err(Error::DigestOfChunk { segment, offset });
                }
            }
            Step::Rest { offset, size } => feed(&mut rest, parts, offset, size)?,
        }
    }
    if rest.finish().as_ref() != rest_digest {
        return Err(Error::DigestOfRest);
    }
    Ok(())
}

fn feed(context: &mut Context, parts: &[&[u8]], offset: u64, size: u64) -> Result<(), Error> {
    let (mut skip, mut wanted) = (offset, size);
    for part in parts {
        let length = part.len() as u64;
        let start = skip.min(length);
        let end = start.saturating_add(wanted).min(length);
        // Both are at most the part's length.
        context.update(&part[start as usize..end as usize]);
        wanted -= end - start;
        skip -= start;
    }
    if wanted > 0 {
        return Err(Error::DigestOfRest);
    }
    Ok(())
}
