//! Reading: from bytes to lists that keep the format, from these to "a root said so".

use firmware_bundle::Algorithm;
use zerocopy::FromBytes;

use crate::error::List;
use crate::{
    Error, MAX_FLOORS, MAX_GENERATIONS, MAX_REVOKED, MAX_ROOT, MAX_ROOTS, MAX_SIGNATURES, MAX_SIZE,
    MESSAGE_SIZE, raw,
};

/// The lowest signer generation that counts below a product CA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation {
    /// SHA-256 of the product CA's SubjectPublicKeyInfo.
    pub key_id: [u8; 32],
    /// The lowest generation.
    pub minimum: u32,
}

/// The lowest security version that a core takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Floor {
    /// The core's id.
    pub core: u32,
    /// The lowest version.
    pub minimum: u32,
}

/// A root that devices pin from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root<'a> {
    /// The signature slot it is pinned for.
    pub slot: u8,
    /// The certificate in DER, which nobody has parsed here.
    pub certificate: &'a [u8],
}

/// A root's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature<'a> {
    /// The slot that the root is pinned for.
    pub slot: u8,
    /// The algorithm.
    pub algorithm: Algorithm,
    /// SHA-256 of the root's SubjectPublicKeyInfo.
    pub key_id: [u8; 32],
    /// As long as the algorithm says.
    pub bytes: &'a [u8],
}

/// Holding a `TrustUpdate` tells you that it keeps the format: bounded, sorted, without duplicates. Nobody vouches for it yet.
#[derive(Clone, Copy, Debug)]
pub struct TrustUpdate<'a> {
    signed: &'a [u8],
    list_version: u32,
    device_class: &'a [u8; 16],
    generations: &'a [[u8; 48]],
    revoked: &'a [[u8; 32]],
    floors: &'a [[u8; 16]],
    roots: &'a [u8],
    signatures: [Option<Signature<'a>>; 2],
}

/// What a trust update asks of cryptography.
pub trait SignatureCheck {
    /// Why a signature was refused.
    type Error;

    /// SHA-384.
    fn sha384(&self, bytes: &[u8]) -> [u8; 48];

    /// Judges whether a root that is pinned for the signature's slot made it over `message`.
    ///
    /// # Errors
    /// Why it did not.
    fn check(
        &self,
        signature: &Signature<'_>,
        message: &[u8; MESSAGE_SIZE],
    ) -> Result<(), Self::Error>;
}

/// A signature that was refused (trust-update.md 3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignatureRefused<E> {
    /// Its slot.
    pub slot: u8,
    /// Why.
    pub error: E,
}

/// Holding a `Verified` tells you that every signature holds.
#[derive(Clone, Copy, Debug)]
pub struct Verified<'a>(TrustUpdate<'a>);

impl<'a> Verified<'a> {
    /// The update, to act upon.
    #[must_use]
    pub fn update(&self) -> &TrustUpdate<'a> {
        &self.0
    }
}

impl<'a> TrustUpdate<'a> {
    /// Reads an object that fills `bytes`.
    ///
    /// # Errors
    /// The rule of trust-update.md which it breaks.
    pub fn parse(bytes: &'a [u8]) -> Result<TrustUpdate<'a>, Error> {
        if bytes.len() > MAX_SIZE {
            // trust-update.md 1.1
            return Err(Error::TooLarge {
                size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
                limit: 0x1_0000,
            });
        }
        if !bytes.starts_with(&MAGIC) {
            return Err(Error::NotATrustUpdate); // trust-update.md 1.2
        }
        let mut rest = Reader { rest: bytes };
        let head: &raw::Head = rest.record(List::Head)?;
        let found = head.version.get();
        if found != VERSION {
            return Err(Error::Version { found }); // trust-update.md 1.3
        }
        zero(List::Head, &head.reserved)?;
        if head.list_version.get() == 0 {
            return Err(Error::ListVersion); // trust-update.md 2.1
        }
        let counted = |list, count, least, limit| {
            if count < least || count > limit {
                return Err(Error::Count {
                    list,
                    count,
                    least,
                    limit,
                });
            }
            Ok(count)
        };
        let generations = counted(
            List::Generations,
            head.generations.get(),
            0,
            MAX_GENERATIONS,
        )?;
        let revoked = counted(List::Revoked, head.revoked.get(), 0, MAX_REVOKED)?;
        let floors = counted(List::Floors, head.floors.get(), 0, MAX_FLOORS)?;
        let roots = counted(List::Roots, head.roots.get(), 0, MAX_ROOTS)?;
        let signatures = counted(List::Signatures, head.signatures.get(), 1, MAX_SIGNATURES)?;

        let generations = rest.records::<48>(List::Generations, generations)?;
        let revoked = rest.records::<32>(List::Revoked, revoked)?;
        let floors = rest.records::<16>(List::Floors, floors)?;
        let before_roots = rest.rest;
        let slots = rest.roots(roots)?;
        let signed = bytes.len().saturating_sub(rest.rest.len());
        let roots_size = before_roots.len().saturating_sub(rest.rest.len());
        let mut update = TrustUpdate {
            signed: bytes.get(..signed).unwrap_or_default(),
            list_version: head.list_version.get(),
            device_class: &head.device_class,
            generations,
            revoked,
            floors,
            roots: before_roots.get(..roots_size).unwrap_or_default(),
            signatures: [None; 2],
        };
        check_generations(generations)?;
        ascending(List::Revoked, revoked.iter())?;
        check_floors(floors)?;
        rest.signatures(signatures, &mut update.signatures)?;
        if roots != 0 {
            // trust-update.md 2.6: nobody signs away the ground he stands on.
            let signing = update.signatures().map(|one| one.slot);
            let lost = core::iter::once(0)
                .chain(signing)
                .find(|slot| slots.get(usize::from(*slot)) != Some(&true));
            if let Some(slot) = lost {
                return Err(Error::RootsMissing { slot });
            }
        }
        if !rest.rest.is_empty() {
            // trust-update.md 1.6
            return Err(Error::Tail {
                excess: u64::try_from(rest.rest.len()).unwrap_or(u64::MAX),
            });
        }
        Ok(update)
    }

    /// Checks every signature.
    ///
    /// # Errors
    /// The first that is refused.
    pub fn verify<C: SignatureCheck>(
        self,
        check: &C,
    ) -> Result<Verified<'a>, SignatureRefused<C::Error>> {
        let message = message(&check.sha384(self.signed));
        for signature in self.signatures() {
            check
                .check(signature, &message)
                .map_err(|error| SignatureRefused {
                    slot: signature.slot,
                    error,
                })?;
        }
        Ok(Verified(self))
    }

    /// The version of the list: a device takes only a higher one (trust-update.md 4.1).
    #[must_use]
    pub fn list_version(&self) -> u32 {
        self.list_version
    }

    /// UUID of the machines it is for.
    #[must_use]
    pub fn device_class(&self) -> &'a [u8; 16] {
        self.device_class
    }

    /// Minimum signer generations, by ascending key id of the product CA.
    pub fn generations(&self) -> impl Iterator<Item = Generation> + use<'a> {
        let raws = self.generations.iter();
        raws.filter_map(|raw| raw::Generation::read_from_bytes(raw).ok())
            .map(|raw| Generation {
                key_id: raw.key_id,
                minimum: raw.minimum.get(),
            })
    }

    /// SHA-256 of the SubjectPublicKeyInfo of signers that count no more, ascending.
    #[must_use]
    pub fn revoked(&self) -> &'a [[u8; 32]] {
        self.revoked
    }

    /// Minimum security versions, by ascending core.
    pub fn floors(&self) -> impl Iterator<Item = Floor> + use<'a> {
        let raws = self.floors.iter();
        raws.filter_map(|raw| raw::Floor::read_from_bytes(raw).ok())
            .map(|raw| Floor {
                core: raw.core.get(),
                minimum: raw.minimum.get(),
            })
    }

    /// The whole set of roots from now on; empty where the set stays as it is.
    pub fn roots(&self) -> impl Iterator<Item = Root<'a>> + use<'a> {
        let mut reader = Reader { rest: self.roots };
        core::iter::from_fn(move || reader.root(0).ok())
    }

    /// The signatures, by ascending slot.
    pub fn signatures(&self) -> impl Iterator<Item = &Signature<'a>> {
        self.signatures.iter().flatten()
    }

    /// What the signatures cover: everything in front of them.
    #[must_use]
    pub fn signed(&self) -> &'a [u8] {
        self.signed
    }
}

/// trust-update.md 3.3
#[must_use]
pub(crate) fn message(digest: &[u8; 48]) -> [u8; MESSAGE_SIZE] {
    let mut message = [0; MESSAGE_SIZE];
    for (to, from) in message.iter_mut().zip(MAGIC.iter().chain(digest)) {
        *to = *from;
    }
    message
}

/// trust-update.md 1.4
fn zero(list: List, reserved: &[u8]) -> Result<(), Error> {
    if reserved.iter().any(|byte| *byte != 0) {
        return Err(Error::Reserved { list });
    }
    Ok(())
}

fn ascending<T: Ord>(list: List, items: impl Iterator<Item = T>) -> Result<(), Error> {
    let mut previous: Option<T> = None;
    for (index, item) in (0..=u16::MAX).zip(items) {
        if previous.is_some_and(|previous| previous >= item) {
            return Err(Error::Order { list, index });
        }
        previous = Some(item);
    }
    Ok(())
}

/// trust-update.md 2.2
fn check_generations(generations: &[[u8; 48]]) -> Result<(), Error> {
    let list = List::Generations;
    let ids = generations.iter().map(|raw| raw.first_chunk::<32>());
    ascending(list, ids)?;
    for (index, raw) in (0..=u16::MAX).zip(generations) {
        let raw = raw::Generation::ref_from_bytes(raw).map_err(|_| Error::Short { list })?;
        zero(list, &raw.reserved)?;
        if raw.minimum.get() == 0 {
            return Err(Error::Nothing { list, index });
        }
    }
    Ok(())
}

/// trust-update.md 2.4
fn check_floors(floors: &[[u8; 16]]) -> Result<(), Error> {
    let list = List::Floors;
    let mut previous: Option<u32> = None;
    for (index, raw) in (0..=u16::MAX).zip(floors) {
        let raw = raw::Floor::ref_from_bytes(raw).map_err(|_| Error::Short { list })?;
        zero(list, &raw.reserved)?;
        let core = raw.core.get();
        if previous.is_some_and(|previous| previous >= core) {
            return Err(Error::Order { list, index });
        }
        if raw.minimum.get() == 0 {
            return Err(Error::Nothing { list, index });
        }
        previous = Some(core);
    }
    Ok(())
}

/// Reads from front to back; what is announced must be there (trust-update.md 1.6).
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, list: List, size: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self
            .rest
            .split_at_checked(size)
            .ok_or(Error::Short { list })?;
        self.rest = rest;
        Ok(taken)
    }

    fn record<T>(&mut self, list: List) -> Result<&'a T, Error>
    where
        T: FromBytes + zerocopy::KnownLayout + zerocopy::Immutable + zerocopy::Unaligned,
    {
        let taken = self.take(list, size_of::<T>())?;
        T::ref_from_bytes(taken).map_err(|_| Error::Short { list })
    }

    fn records<const SIZE: usize>(
        &mut self,
        list: List,
        count: u16,
    ) -> Result<&'a [[u8; SIZE]], Error> {
        let taken = self.take(list, usize::from(count).saturating_mul(SIZE))?;
        let (records, _) = taken.as_chunks();
        Ok(records)
    }

    /// `length` bytes and the zeros up to the next multiple of 16 (trust-update.md 1.5).
    fn padded(&mut self, list: List, length: usize) -> Result<&'a [u8], Error> {
        let taken = self.take(list, length)?;
        let padding = self.take(list, length.wrapping_neg() & 15)?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(Error::Padding { list });
        }
        Ok(taken)
    }

    /// trust-update.md 2.5; gives for which slots there are roots.
    fn roots(&mut self, count: u16) -> Result<[bool; 2], Error> {
        let mut slots = [false; 2];
        let mut previous: Option<Root<'_>> = None;
        for index in 0..count {
            let root = self.root(index)?;
            let place = slots.get_mut(usize::from(root.slot)).ok_or(Error::Slot {
                list: List::Roots,
                index,
                slot: root.slot,
            })?;
            *place = true;
            let above = |before: Root<'_>| {
                (before.slot, before.certificate) < (root.slot, root.certificate)
            };
            if !previous.is_none_or(above) {
                return Err(Error::Order {
                    list: List::Roots,
                    index,
                });
            }
            previous = Some(root);
        }
        Ok(slots)
    }

    fn root(&mut self, index: u16) -> Result<Root<'a>, Error> {
        let list = List::Roots;
        let head: &raw::RootHead = self.record(list)?;
        zero(list, &head.reserved)?;
        zero(list, &head.reserved_too)?;
        let size = head.length.get();
        if size == 0 || size > MAX_ROOT {
            return Err(Error::RootSize {
                index,
                size,
                limit: MAX_ROOT,
            });
        }
        let length = usize::try_from(size).map_err(|_| Error::Short { list })?;
        Ok(Root {
            slot: head.slot,
            certificate: self.padded(list, length)?,
        })
    }

    /// trust-update.md 3.1, 3.2
    fn signatures(
        &mut self,
        count: u16,
        into: &mut [Option<Signature<'a>>; 2],
    ) -> Result<(), Error> {
        let list = List::Signatures;
        let mut previous: Option<u8> = None;
        for (index, place) in (0..count).zip(into) {
            let head: &raw::SignatureHead = self.record(list)?;
            zero(list, &[head.reserved])?;
            zero(list, &head.reserved_too)?;
            let slot = head.slot;
            if slot > 1 {
                return Err(Error::Slot { list, index, slot });
            }
            if previous.is_some_and(|previous| previous >= slot) {
                return Err(Error::Order { list, index });
            }
            previous = Some(slot);
            let id = head.algorithm.get();
            let algorithm = ALGORITHMS
                .into_iter()
                .find(|algorithm| algorithm.id() == id)
                .ok_or(Error::Algorithm { slot, id })?;
            *place = Some(Signature {
                slot,
                algorithm,
                key_id: head.key_id,
                bytes: self.padded(list, algorithm.signature_size())?,
            });
        }
        Ok(())
    }
}

pub(crate) const MAGIC: [u8; 16] = *b"corewarden.trust";
pub(crate) const VERSION: u16 = 1;
const ALGORITHMS: [Algorithm; 3] = [
    Algorithm::EcdsaP256Sha256,
    Algorithm::EcdsaP384Sha384,
    Algorithm::Ed25519,
];
