//! Limits in front of the certificate parser, and the one raw piece it does not keep.

use crate::{Error, Kind, MAX_CERTIFICATE};

/// Walks the whole encoding within its limits (bundle-format.md 11.2), whatever it means.
pub(crate) fn within_limits(certificate: Kind, der: &[u8]) -> Result<(), Error> {
    if der.len() > MAX_CERTIFICATE {
        return Err(Error::TooLong {
            certificate,
            size: der.len() as u64,
            limit: MAX_CERTIFICATE as u64,
        });
    }
    let mut elements = MAX_ELEMENTS;
    match walk(der, MAX_DEPTH, &mut elements) {
        Walk::Whole => Ok(()),
        Walk::Malformed => Err(Error::NotCanonical { certificate }),
        Walk::TooMuch => Err(Error::TooManyElements { certificate }),
    }
}

/// The same for what an extension holds, which the walk over the certificate sees as one element. A malformed one is
/// named by who parses it.
pub(crate) fn value_within_limits(certificate: Kind, value: &[u8]) -> Result<(), Error> {
    let mut elements = MAX_VALUE_ELEMENTS;
    match walk(value, MAX_DEPTH, &mut elements) {
        Walk::Whole | Walk::Malformed => Ok(()),
        Walk::TooMuch => Err(Error::TooManyElements { certificate }),
    }
}

/// The signed part of a certificate as it was encoded: the first element of the outermost one.
pub(crate) fn signed_part(der: &[u8]) -> Option<&[u8]> {
    let outer = element(der)?;
    let first = element(outer.content)?;
    outer.content.get(..first.size)
}

/// The key identifier in a subject key identifier's value.
pub(crate) fn subject_key(value: &[u8]) -> Option<&[u8]> {
    let found = element(value)?;
    (found.tag == OCTET_STRING && found.size == value.len()).then_some(found.content)
}

/// The key identifier in an authority key identifier's value, which may be without one. Read by hand: what else may
/// stand there is of no use to us, and its parser is large.
pub(crate) fn authority_key(value: &[u8]) -> Option<Option<&[u8]>> {
    let found = element(value)?;
    if found.tag != SEQUENCE || found.size != value.len() {
        return None;
    }
    if found.content.is_empty() {
        return Some(None);
    }
    let first = element(found.content)?;
    Some((first.tag == KEY_IDENTIFIER).then_some(first.content))
}

enum Walk {
    Whole,
    Malformed,
    TooMuch,
}

fn walk(mut rest: &[u8], depth: usize, elements: &mut usize) -> Walk {
    while !rest.is_empty() {
        if depth == 0 || *elements == 0 {
            return Walk::TooMuch;
        }
        *elements -= 1;
        let Some(found) = element(rest) else {
            return Walk::Malformed;
        };
        if found.tag & 0x20 != 0 {
            match walk(found.content, depth - 1, elements) {
                Walk::Whole => {}
                failed => return failed,
            }
        }
        rest = rest.get(found.size..).unwrap_or_default();
    }
    Walk::Whole
}

struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    size: usize,
}

/// One element: a tag of one byte, a definite length in its shortest form, the content.
fn element(bytes: &[u8]) -> Option<Element<'_>> {
    let (&tag, rest) = bytes.split_first()?;
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => {
            let (&byte, rest) = rest.split_first()?;
            (usize::from(byte), rest)
        }
        0x82 => {
            let (bytes, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*bytes)), rest)
        }
        _ => return None,
    };
    let shortest = match first {
        0x81 => length > 0x7f,
        0x82 => length > 0xff,
        _ => true,
    };
    let content = rest.get(..length).filter(|_| shortest)?;
    Some(Element {
        tag,
        content,
        size: bytes.len() - rest.len() + length,
    })
}

const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;
const KEY_IDENTIFIER: u8 = 0x80;
const MAX_DEPTH: usize = 12;
/// A certificate in use has about a hundred. What is parsed takes up to eighty times its length in memory.
const MAX_ELEMENTS: usize = 192;
/// The longest scope has 55.
const MAX_VALUE_ELEMENTS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoding_within_the_limits_is_walked() {
        // bundle-format.md 11.2
        let der = [0x30, 0x05, 0x02, 0x01, 0x05, 0x05, 0x00];
        assert_eq!(within_limits(Kind::Leaf, &der), Ok(()));
        assert_eq!(signed_part(&der), Some(&der[2..5]));
    }

    #[test]
    fn a_deep_or_long_encoding_is_refused_before_it_is_parsed() {
        // bundle-format.md 11.2
        let certificate = Kind::Leaf;
        let mut deep = alloc::vec![0x05, 0x00];
        for _ in 0..MAX_DEPTH {
            let mut outer = alloc::vec![0x30, deep.len() as u8];
            outer.extend(deep);
            deep = outer;
        }
        assert_eq!(
            within_limits(certificate, &deep),
            Err(Error::TooManyElements { certificate })
        );
        let many = [0x05, 0x00].repeat(MAX_ELEMENTS + 1);
        assert_eq!(
            within_limits(certificate, &many),
            Err(Error::TooManyElements { certificate })
        );
        let long = alloc::vec![0; MAX_CERTIFICATE + 1];
        assert_eq!(
            within_limits(certificate, &long),
            Err(Error::TooLong {
                certificate,
                size: 0x1001,
                limit: 0x1000
            })
        );
    }

    #[test]
    fn key_identifiers_are_read_from_their_extensions() {
        // bundle-format.md 11.3
        assert_eq!(subject_key(&[0x04, 2, 7, 8]), Some(&[7, 8][..]));
        assert_eq!(subject_key(&[0x04, 2, 7, 8, 9]), None);
        assert_eq!(subject_key(&[0x05, 0]), None);
        let all = [0x30, 7, 0x80, 2, 7, 8, 0x82, 1, 1];
        assert_eq!(authority_key(&all), Some(Some(&[7, 8][..])));
        assert_eq!(authority_key(&[0x30, 3, 0x82, 1, 1]), Some(None));
        assert_eq!(authority_key(&[0x30, 0]), Some(None));
        assert_eq!(authority_key(&[0x30, 1, 0x80]), None);
        assert_eq!(authority_key(&[0x30, 0, 0]), None);
        assert_eq!(authority_key(&[]), None);
    }

    #[test]
    fn lengths_that_are_cut_off_indefinite_or_not_the_shortest_are_refused() {
        // bundle-format.md 11.6
        let certificate = Kind::ProductCa;
        for der in [
            &[0x30][..],
            &[0x30, 0x80, 0x00, 0x00],
            &[0x30, 0x02, 0x05],
            &[0x04, 0x81, 0x01, 0x00],
            &[0x04, 0x82, 0x00, 0x01, 0x00],
            &[0x1f, 0x81, 0x01, 0x00],
        ] {
            assert_eq!(
                within_limits(certificate, der),
                Err(Error::NotCanonical { certificate }),
                "{der:x?}"
            );
        }
    }
}
