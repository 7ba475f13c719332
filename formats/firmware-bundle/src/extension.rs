//! Extensions: the SBOM digest, what later versions of the format will add, and what is refused until then.

use zerocopy::FromBytes;

use crate::raw;
use crate::trailer::PartReader;
use crate::{Error, MAX_EXTENSIONS};

/// Extension types which the format keeps for later (bundle-format.md 9.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// 1
    DeviceId,
    /// 2
    Encryption,
    /// 3
    CoredumpPolicy,
    /// 4
    CoredumpRecipient,
    /// 5
    Requires,
    /// 6
    HealthPolicy,
    /// 7
    TrustUpdate,
    /// 8
    FurtherImages,
    /// 9
    DebugUnlock,
}

impl Reserved {
    /// The reserved type with this number.
    #[must_use]
    pub fn from_kind(kind: u32) -> Option<Reserved> {
        match kind {
            1 => Some(Reserved::DeviceId),
            2 => Some(Reserved::Encryption),
            3 => Some(Reserved::CoredumpPolicy),
            4 => Some(Reserved::CoredumpRecipient),
            5 => Some(Reserved::Requires),
            6 => Some(Reserved::HealthPolicy),
            7 => Some(Reserved::TrustUpdate),
            8 => Some(Reserved::FurtherImages),
            9 => Some(Reserved::DebugUnlock),
            _ => None,
        }
    }

    /// Its number in the format.
    #[must_use]
    pub fn kind(self) -> u32 {
        match self {
            Reserved::DeviceId => 1,
            Reserved::Encryption => 2,
            Reserved::CoredumpPolicy => 3,
            Reserved::CoredumpRecipient => 4,
            Reserved::Requires => 5,
            Reserved::HealthPolicy => 6,
            Reserved::TrustUpdate => 7,
            Reserved::FurtherImages => 8,
            Reserved::DebugUnlock => 9,
        }
    }
}

impl core::fmt::Display for Reserved {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Reserved::DebugUnlock => "debug unlock",
            Reserved::DeviceId => "device id",
            Reserved::CoredumpPolicy => "coredump policy",
            Reserved::CoredumpRecipient => "coredump recipient",
            Reserved::Encryption => "encryption",
            Reserved::FurtherImages => "further images",
            Reserved::HealthPolicy => "health policy",
            Reserved::Requires => "requires",
            Reserved::TrustUpdate => "trust update",
        })
    }
}

/// The digest of the image's software bill of materials, a file which travels on its own (bundle-format.md 9.6).
///
/// No device acts upon it: it ties the file that an auditor holds to what was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SbomDigest<'a> {
    /// 1
    Sha256(&'a [u8; 32]),
    /// 2
    Sha384(&'a [u8; 48]),
}

impl<'a> SbomDigest<'a> {
    /// The extension's type.
    pub const KIND: u32 = 10;

    /// The number of its hash.
    #[must_use]
    pub fn id(self) -> u16 {
        match self {
            SbomDigest::Sha256(_) => 1,
            SbomDigest::Sha384(_) => 2,
        }
    }

    /// The digest.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        match self {
            SbomDigest::Sha256(digest) => digest,
            SbomDigest::Sha384(digest) => digest,
        }
    }

    /// bundle-format.md 9.6
    pub(crate) fn parse(value: &'a [u8]) -> Result<SbomDigest<'a>, Error> {
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
        let wrong = Error::SbomLength { length };
        let (head, digest) = raw::SbomHead::read_from_prefix(value).map_err(|_| wrong)?;
        if head.reserved.iter().any(|byte| *byte != 0) {
            return Err(Error::SbomReserved);
        }
        match head.algorithm.get() {
            1 => digest.try_into().map(SbomDigest::Sha256),
            2 => digest.try_into().map(SbomDigest::Sha384),
            id => return Err(Error::SbomAlgorithm { id }),
        }
        .map_err(|_| wrong)
    }
}

/// An extension which is not critical: the SBOM digest, or one that version 1 carries but does not understand (bundle-format.md 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension<'a> {
    /// Its type.
    pub kind: u32,
    /// A reader that does not know the type must refuse the bundle.
    pub critical: bool,
    /// Its value.
    pub value: &'a [u8],
}

pub(crate) fn read<'a>(reader: &mut PartReader<'a>, count: u16) -> Result<&'a [u8], Error> {
    if usize::from(count) > MAX_EXTENSIONS {
        return Err(Error::ExtensionCount { count }); // bundle-format.md 9.1
    }
    let all = reader.rest();
    let mut previous: Option<u32> = None;
    for _ in 0..count {
        let (next, _) = one(reader)?;
        if let Some(previous) = previous
            && next <= previous
        {
            return Err(Error::ExtensionOrder { previous, next }); // bundle-format.md 9.2
        }
        previous = Some(next);
    }
    let used = all.len().saturating_sub(reader.rest().len());
    Ok(all.get(..used).unwrap_or_default())
}

pub(crate) fn one<'a>(reader: &mut PartReader<'a>) -> Result<(u32, &'a [u8]), Error> {
    let head: raw::ExtensionHead = reader.record()?;
    let kind = head.kind.get();
    let flags = head.flags.get();
    if kind == 0 {
        return Err(Error::ExtensionZero); // bundle-format.md 9.2
    }
    if flags & !CRITICAL != 0 {
        return Err(Error::ExtensionFlags { kind, flags }); // bundle-format.md 9.3
    }
    if head.reserved.get() != 0 {
        return Err(Error::ExtensionReserved { kind }); // bundle-format.md 9.3
    }
    if let Some(kind) = Reserved::from_kind(kind) {
        return Err(Error::ExtensionNotSupported { kind }); // bundle-format.md 9.5
    }
    let critical = flags & CRITICAL != 0;
    if kind != SbomDigest::KIND {
        if critical {
            return Err(Error::ExtensionUnknown { kind }); // bundle-format.md 9.4
        }
        return Ok((kind, reader.padded(head.length.get())?));
    }
    if critical {
        return Err(Error::SbomCritical); // bundle-format.md 9.7
    }
    let value = reader.padded(head.length.get())?;
    SbomDigest::parse(value)?;
    Ok((kind, value))
}

pub(crate) const CRITICAL: u32 = 1;
