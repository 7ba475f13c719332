//! Extensions: what later versions of the format will add, and what is refused until then.

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
    /// 10
    SbomDigest,
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
            10 => Some(Reserved::SbomDigest),
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
            Reserved::SbomDigest => 10,
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
            Reserved::SbomDigest => "SBOM digest",
            Reserved::TrustUpdate => "trust update",
        })
    }
}

/// An extension which version 1 carries but does not understand, so it is not critical (bundle-format.md 9).
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
    if flags & CRITICAL != 0 {
        return Err(Error::ExtensionUnknown { kind }); // bundle-format.md 9.4
    }
    Ok((kind, reader.padded(head.length.get())?))
}

pub(crate) const CRITICAL: u32 = 1;
