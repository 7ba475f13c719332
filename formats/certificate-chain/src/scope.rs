//! The scope extension: what the holder of a certificate may sign.

use alloc::vec::Vec;

use x509_cert::der::asn1::{OctetStringRef, UintRef};
use x509_cert::der::{Decode, Encode, Header, Reader, SliceReader, Tag};

use crate::{Error, Kind};

/// Cores of one scope.
pub const MAX_CORES: usize = 32;
/// Device classes of one scope.
pub const MAX_CLASSES: usize = 16;

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Keys that lie on desks: refused by devices of role release.
    Development,
    /// Keys that are kept.
    Release,
}

/// Holding a `Scope` tells you that its lists are sorted, without duplicates and not too long (bundle-format.md 11.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    cores: List<u32, MAX_CORES>,
    classes: List<[u8; 16], MAX_CLASSES>,
    ceiling: u32,
    generation: u32,
    role: Role,
}

impl Scope {
    /// A scope of these cores and device classes, both ascending.
    ///
    /// # Errors
    /// `ScopeOrder`, `ScopeLimit` or `ScopeEmpty`, as for a certificate that held it.
    pub fn new(
        certificate: Kind,
        cores: &[u32],
        classes: &[[u8; 16]],
        ceiling: u32,
        generation: u32,
        role: Role,
    ) -> Result<Scope, Error> {
        let scope = Scope {
            cores: List::of(certificate, cores, 0)?,
            classes: List::of(certificate, classes, [0; 16])?,
            ceiling,
            generation,
            role,
        };
        // bundle-format.md 11.13: only a root may leave a list empty.
        if certificate != Kind::Root && (cores.is_empty() || classes.is_empty()) {
            return Err(Error::ScopeEmpty { certificate });
        }
        Ok(scope)
    }

    /// Core ids, ascending.
    #[must_use]
    pub fn cores(&self) -> &[u32] {
        self.cores.items()
    }

    /// Device classes, ascending.
    #[must_use]
    pub fn classes(&self) -> &[[u8; 16]] {
        self.classes.items()
    }

    /// The highest security version that may be signed.
    #[must_use]
    pub fn ceiling(&self) -> u32 {
        self.ceiling
    }

    /// Counts up when keys of this signer are replaced.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Development or release.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// The value of the extension as DER (bundle-format.md 11.12).
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut cores = Vec::new();
        for core in self.cores() {
            cores.extend(integer(*core));
        }
        let mut classes = Vec::new();
        for class in self.classes() {
            classes.extend(element(Tag::OctetString, class));
        }
        let mut fields = integer(VERSION);
        fields.extend(element(Tag::Sequence, &cores));
        fields.extend(element(Tag::Sequence, &classes));
        fields.extend(integer(self.ceiling));
        fields.extend(integer(self.generation));
        let role = match self.role {
            Role::Development => 0,
            Role::Release => 1,
        };
        fields.extend(element(Tag::Enumerated, &[role]));
        element(Tag::Sequence, &fields)
    }

    /// Reads the value of the extension in `certificate`.
    ///
    /// # Errors
    /// The rule of bundle-format.md 11.12 to 11.14 which it breaks.
    pub fn decode(certificate: Kind, der: &[u8]) -> Result<Scope, Error> {
        let form = Error::ScopeForm { certificate };
        let (version, fields) = fields(der).map_err(|_| form)?;
        if version != VERSION {
            // bundle-format.md 11.12
            return Err(Error::ScopeVersion {
                certificate,
                found: version,
            });
        }
        let fields = fields.map_err(|_| form)?;
        let role = match fields.role {
            [0] => Role::Development,
            [1] => Role::Release,
            _ => return Err(form),
        };
        let scope = Scope::new(
            certificate,
            &fields.cores,
            &fields.classes,
            fields.ceiling,
            fields.generation,
            role,
        )?;
        if scope.encode() != der {
            return Err(form);
        }
        Ok(scope)
    }

    /// Judges that `self`, of `certificate`, is within `parent` (bundle-format.md 11.15).
    ///
    /// # Errors
    /// The first thing that the issuer may not give.
    pub fn within(&self, certificate: Kind, parent: &Scope) -> Result<(), Error> {
        if self.role != parent.role {
            return Err(Error::RoleDiffers { certificate });
        }
        if self.ceiling > parent.ceiling {
            return Err(Error::CeilingAboveParent {
                certificate,
                ceiling: self.ceiling,
                parent: parent.ceiling,
            });
        }
        // An empty list is a root's, and leaves the matter to the product CA (bundle-format.md 11.13).
        if !parent.cores().is_empty() {
            for &core in self.cores() {
                if !parent.cores().contains(&core) {
                    return Err(Error::CoreOutsideParent { certificate, core });
                }
            }
        }
        if !parent.classes().is_empty() {
            for (index, class) in (0..=u8::MAX).zip(self.classes()) {
                if !parent.classes().contains(class) {
                    return Err(Error::ClassOutsideParent { certificate, index });
                }
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct List<T, const MAX: usize> {
    items: [T; MAX],
    count: usize,
}

impl<T: Copy + Ord, const MAX: usize> List<T, MAX> {
    fn of(certificate: Kind, from: &[T], unused: T) -> Result<List<T, MAX>, Error> {
        if from.len() > MAX {
            return Err(Error::ScopeLimit { certificate }); // bundle-format.md 11.14
        }
        if !from.is_sorted_by(|a, b| a < b) {
            return Err(Error::ScopeOrder { certificate }); // bundle-format.md 11.14
        }
        let mut items = [unused; MAX];
        for (to, from) in items.iter_mut().zip(from) {
            *to = *from;
        }
        Ok(List {
            items,
            count: from.len(),
        })
    }

    fn items(&self) -> &[T] {
        self.items.get(..self.count).unwrap_or_default()
    }
}

struct Fields {
    cores: Vec<u32>,
    classes: Vec<[u8; 16]>,
    ceiling: u32,
    generation: u32,
    role: [u8; 1],
}

type Der<T> = Result<T, x509_cert::der::Error>;

/// The version first, on its own: the fields of another one are not ours to judge.
fn fields(der: &[u8]) -> Der<(u32, Der<Fields>)> {
    let mut outer = SliceReader::new(der)?;
    let content = sequence(&mut outer)?;
    outer.finish()?;
    let mut reader = SliceReader::new(content)?;
    let version = u32::decode(&mut reader)?;
    Ok((version, rest(&mut reader)))
}

fn rest(reader: &mut SliceReader<'_>) -> Der<Fields> {
    let mut cores = Vec::new();
    let mut list = SliceReader::new(sequence(reader)?)?;
    while !list.is_finished() {
        cores.push(u32::decode(&mut list)?);
    }
    let mut classes = Vec::new();
    let mut list = SliceReader::new(sequence(reader)?)?;
    while !list.is_finished() {
        let class = <&OctetStringRef>::decode(&mut list)?;
        let class = <[u8; 16]>::try_from(class.as_bytes());
        classes.push(class.map_err(|_| Tag::OctetString.value_error())?);
    }
    let ceiling = u32::decode(reader)?;
    let generation = u32::decode(reader)?;
    let header = Header::decode(reader)?;
    header.tag().assert_eq(Tag::Enumerated)?;
    let role = reader.read_slice(header.length())?;
    let role = <[u8; 1]>::try_from(role).map_err(|_| Tag::Enumerated.value_error())?;
    if !reader.is_finished() {
        return Err(Tag::Sequence.value_error().into());
    }
    Ok(Fields {
        cores,
        classes,
        ceiling,
        generation,
        role,
    })
}

fn sequence<'a>(reader: &mut SliceReader<'a>) -> Der<&'a [u8]> {
    let header = Header::decode(reader)?;
    header.tag().assert_eq(Tag::Sequence)?;
    reader.read_slice(header.length())
}

fn integer(value: u32) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    // A u32 always is a valid INTEGER; an error here would be one of the encoder's.
    UintRef::new(&bytes)
        .and_then(|value| value.to_der())
        .unwrap_or_default()
}

fn element(tag: Tag, content: &[u8]) -> Vec<u8> {
    let mut encoded = x509_cert::der::Length::try_from(content.len())
        .and_then(|length| Header::new(tag, length).to_der())
        .unwrap_or_default();
    encoded.extend(content);
    encoded
}

const VERSION: u32 = 1;
