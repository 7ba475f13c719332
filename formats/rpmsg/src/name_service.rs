//! The name service: who announces which service at which address.

use crate::error::Error;
use crate::raw;

/// The name of a service: 1 to 31 printable characters without blanks.
#[derive(Clone, Copy)]
pub struct ServiceName {
    bytes: [u8; raw::NAME_SIZE],
    len: usize,
}

impl ServiceName {
    /// Checks a name.
    pub const fn new(name: &str) -> Result<Self, Error> {
        let mut bytes = [0; raw::NAME_SIZE];
        copy(&mut bytes, name.as_bytes());
        if name.len() >= raw::NAME_SIZE {
            return Err(Error::NameCharacter { at: raw::NAME_SIZE });
        }
        match Self::parse(bytes) {
            // A zero inside the name would have cut it short.
            Ok(parsed) if parsed.len != name.len() => Err(Error::NameCharacter { at: parsed.len }),
            parsed => parsed,
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        let text = self.bytes.get(..self.len).unwrap_or_default();
        core::str::from_utf8(text).unwrap_or_default()
    }

    /// The instance of `service` this names: empty for the service's own name, the rest of `service-instance` otherwise.
    pub fn instance_of(&self, service: &str) -> Option<&str> {
        let rest = self.as_str().strip_prefix(service)?;
        if rest.is_empty() {
            return Some(rest);
        }
        rest.strip_prefix('-')
    }

    const fn parse(bytes: [u8; raw::NAME_SIZE]) -> Result<Self, Error> {
        let mut rest: &[u8] = &bytes;
        let mut at: usize = 0;
        while let Some((byte, behind)) = rest.split_first() {
            if *byte == 0 && at > 0 {
                return Ok(Self { bytes, len: at });
            }
            if !byte.is_ascii_graphic() {
                return Err(Error::NameCharacter { at });
            }
            rest = behind;
            at = at.wrapping_add(1);
        }
        Err(Error::NameCharacter { at: raw::NAME_SIZE })
    }
}

/// What a peer left behind the end of a name is no part of it.
impl PartialEq for ServiceName {
    fn eq(&self, other: &Self) -> bool {
        self.bytes.get(..self.len) == other.bytes.get(..other.len)
    }
}

impl Eq for ServiceName {}

impl core::fmt::Debug for ServiceName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Debug::fmt(self.as_str(), f)
    }
}

impl core::fmt::Display for ServiceName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a service comes or goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It can be talked to from now on.
    Created,
    /// It is gone.
    Destroyed,
}

/// One message of the name service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The service.
    pub name: ServiceName,
    /// Where the announcing side serves it.
    pub address: u32,
    /// Comes or goes.
    pub change: Change,
}

impl Announcement {
    /// The message's bytes.
    pub const fn to_bytes(&self) -> [u8; raw::ANNOUNCEMENT_SIZE] {
        let flags = match self.change {
            Change::Created => raw::ANNOUNCEMENT_CREATE,
            Change::Destroyed => raw::ANNOUNCEMENT_DESTROY,
        };
        let mut bytes = [0; raw::ANNOUNCEMENT_SIZE];
        // What the peer had behind the zero of a name is not passed on.
        if let Some((name, _)) = self.name.bytes.split_at_checked(self.name.len) {
            copy(&mut bytes, name);
        }
        if let Some((_, numbers)) = bytes.split_first_chunk_mut::<{ raw::NAME_SIZE }>() {
            copy(numbers, &self.address.to_le_bytes());
            if let Some((_, last)) = numbers.split_first_chunk_mut::<4>() {
                copy(last, &flags.to_le_bytes());
            }
        }
        bytes
    }

    /// Reads a message received at the name service's address.
    pub fn parse(message: &[u8]) -> Result<Self, Error> {
        let length = Error::AnnouncementLength {
            len: u32::try_from(message.len()).unwrap_or(u32::MAX),
        };
        if message.len() != raw::ANNOUNCEMENT_SIZE {
            return Err(length);
        }
        let (name, rest) = message.split_first_chunk().ok_or(length)?;
        let (address, rest) = rest.split_first_chunk().ok_or(length)?;
        let flags = u32::from_le_bytes(*rest.first_chunk().ok_or(length)?);
        let change = match flags {
            raw::ANNOUNCEMENT_CREATE => Change::Created,
            raw::ANNOUNCEMENT_DESTROY => Change::Destroyed,
            flags => return Err(Error::AnnouncementFlags { flags }),
        };
        let address = u32::from_le_bytes(*address);
        if address == raw::ANY_ADDRESS {
            return Err(Error::NoSuchEndpoint { address });
        }
        Ok(Self {
            name: ServiceName::parse(*name)?,
            address,
            change,
        })
    }
}

/// The services the peer has announced, at most `N`.
#[derive(Clone, Debug)]
pub struct Services<const N: usize> {
    known: [Option<(ServiceName, u32)>; N],
}

impl<const N: usize> Services<N> {
    /// None yet.
    pub const fn new() -> Self {
        Self { known: [None; N] }
    }

    /// Takes an announcement into account.
    pub fn apply(&mut self, announcement: &Announcement) -> Result<(), Error> {
        let Announcement {
            name,
            address,
            change,
        } = *announcement;
        match change {
            Change::Created => {
                if self.iter().any(|(_, at)| at == address) {
                    return Err(Error::ServiceRepeated { address });
                }
                let place = self
                    .known
                    .iter_mut()
                    .find(|place| place.is_none())
                    .ok_or(Error::ServicesExhausted { limit: N })?;
                *place = Some((name, address));
            }
            Change::Destroyed => {
                let place = self
                    .known
                    .iter_mut()
                    .find(|place| **place == Some((name, address)))
                    .ok_or(Error::ServiceUnknown { address })?;
                *place = None;
            }
        }
        Ok(())
    }

    /// The address of a service.
    pub fn address_of(&self, name: &ServiceName) -> Option<u32> {
        self.iter()
            .find(|(known, _)| known == name)
            .map(|(_, address)| address)
    }

    /// All services with their addresses.
    pub fn iter(&self) -> impl Iterator<Item = (ServiceName, u32)> + '_ {
        self.known.iter().flatten().copied()
    }
}

impl<const N: usize> Default for Services<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// Copies as many bytes as both have.
const fn copy(mut into: &mut [u8], mut from: &[u8]) {
    while let (Some((place, room)), Some((byte, rest))) =
        (into.split_first_mut(), from.split_first())
    {
        *place = *byte;
        into = room;
        from = rest;
    }
}
