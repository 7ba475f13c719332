//! `pkcs11:` URIs as RFC 7512 has them: which token, which key, which module.

use std::path::PathBuf;

use crate::{Error, Failure};

/// Holding a `TokenUri` tells you that every attribute in it is understood, and that it holds no PIN.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenUri {
    /// The path part as it was given: it names the key in messages and holds nothing secret.
    text: String,
    pub(super) token: Option<String>,
    pub(super) serial: Option<String>,
    pub(super) manufacturer: Option<String>,
    pub(super) model: Option<String>,
    pub(super) slot: Option<u64>,
    pub(super) object: Option<String>,
    pub(super) id: Option<Vec<u8>>,
    pub(super) module_path: Option<PathBuf>,
    pub(super) module_name: Option<String>,
    pub(super) pin_source: Option<PathBuf>,
}

impl TokenUri {
    /// Reads a URI with its `pkcs11:` in front.
    pub fn parse(uri: &str) -> Result<Self, Failure> {
        let rest = uri
            .strip_prefix(SCHEME)
            .ok_or_else(|| malformed("it does not begin with pkcs11:"))?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut this = Self::default();
        for (name, value) in attributes(path, ';') {
            this.path_attribute(name, &decode(name, value)?)?;
        }
        for (name, value) in attributes(query, '&') {
            // Nothing of it may be repeated in a message.
            if name == "pin-value" {
                return Err(Failure::from(Error::PinInUri));
            }
            this.query_attribute(name, &decode(name, value)?)?;
        }
        // Only now: a PIN that was put into the wrong part has been refused above.
        this.text = format!("{SCHEME}{path}");
        Ok(this)
    }

    /// The URI without its query: what may be shown to anybody.
    pub fn shown(&self) -> &str {
        &self.text
    }

    fn path_attribute(&mut self, name: &str, value: &[u8]) -> Result<(), Failure> {
        match name {
            "token" => set(&mut self.token, name, text(name, value)?),
            "serial" => set(&mut self.serial, name, text(name, value)?),
            "manufacturer" => set(&mut self.manufacturer, name, text(name, value)?),
            "model" => set(&mut self.model, name, text(name, value)?),
            "object" => set(&mut self.object, name, text(name, value)?),
            "id" => set(&mut self.id, name, value.to_vec()),
            "slot-id" => {
                let number = text(name, value)?.parse();
                let number = number.map_err(|_| malformed("slot-id is not a number"))?;
                set(&mut self.slot, name, number)
            }
            "type" if value == b"private" => Ok(()),
            "type" => Err(malformed("the type of a key that signs is private")),
            "pin-value" => Err(Failure::from(Error::PinInUri)),
            _ => Err(malformed(format!("the attribute {name:?} is not known"))),
        }
    }

    fn query_attribute(&mut self, name: &str, value: &[u8]) -> Result<(), Failure> {
        match name {
            "module-path" => {
                let path = PathBuf::from(text(name, value)?);
                if !path.is_absolute() {
                    return Err(malformed("module-path is not an absolute path"));
                }
                set(&mut self.module_path, name, path)
            }
            "module-name" => {
                let found = text(name, value)?;
                if found.contains('/') {
                    return Err(malformed("module-name is a path; write module-path"));
                }
                set(&mut self.module_name, name, found)
            }
            "pin-source" => {
                let source = text(name, value)?;
                let path = source.strip_prefix("file:").unwrap_or(&source);
                // RFC 8089 writes an absolute path with or without an empty authority.
                let path = path.strip_prefix("//").unwrap_or(path);
                if path.starts_with('|') {
                    return Err(malformed("pin-source is a program; name a file"));
                }
                set(&mut self.pin_source, name, PathBuf::from(path))
            }
            _ => Err(malformed(format!("the attribute {name:?} is not known"))),
        }
    }
}

fn attributes(part: &str, separator: char) -> impl Iterator<Item = (&str, &str)> {
    part.split(separator)
        .filter(|attribute| !attribute.is_empty())
        .map(|attribute| attribute.split_once('=').unwrap_or((attribute, "")))
}

fn set<T>(place: &mut Option<T>, name: &str, value: T) -> Result<(), Failure> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(malformed(format!("the attribute {name} stands twice"))),
    }
}

/// Percent-encoding: RFC 7512 lets any octet be written as `%` and two digits.
fn decode(name: &str, value: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = value.bytes();
    let mut decoded = Vec::with_capacity(value.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let digits = [bytes.next(), bytes.next()].map(|digit| {
            let digit = char::from(digit.unwrap_or_default()).to_digit(16);
            digit.and_then(|digit| u8::try_from(digit).ok())
        });
        let [Some(high), Some(low)] = digits else {
            return Err(malformed(format!(
                "in {name}, a % is not followed by two hexadecimal digits"
            )));
        };
        decoded.push(high << 4 | low);
    }
    Ok(decoded)
}

fn text(name: &str, value: &[u8]) -> Result<String, Failure> {
    String::from_utf8(value.to_vec()).map_err(|_| malformed(format!("{name} is not UTF-8")))
}

fn malformed(detail: impl Into<String>) -> Failure {
    Failure::from(Error::UriMalformed).with_detail(detail)
}

pub(super) const SCHEME: &str = "pkcs11:";

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(uri: &str) -> String {
        let failure = TokenUri::parse(uri).unwrap_err();
        assert_eq!(failure.error, Error::UriMalformed, "{uri}");
        failure.detail().unwrap_or_default().to_owned()
    }

    #[test]
    fn every_attribute_of_a_uri_is_read() {
        let uri = TokenUri::parse(
            "pkcs11:token=my%20token;serial=0a1b;manufacturer=SoftHSM%20project;model=SoftHSM%20v2;slot-id=7;object=k%C3%A9y;id=%01%ff;type=private\
             ?module-path=/usr/lib/m.so&pin-source=file:/run/pin",
        )
        .unwrap();
        assert_eq!(uri.token.as_deref(), Some("my token"));
        assert_eq!(uri.serial.as_deref(), Some("0a1b"));
        assert_eq!(uri.manufacturer.as_deref(), Some("SoftHSM project"));
        assert_eq!(uri.model.as_deref(), Some("SoftHSM v2"));
        assert_eq!(uri.slot, Some(7));
        assert_eq!(uri.object.as_deref(), Some("kéy"));
        assert_eq!(uri.id.as_deref(), Some(&[1, 0xff][..]));
        assert_eq!(uri.module_path, Some("/usr/lib/m.so".into()));
        assert_eq!(uri.pin_source, Some("/run/pin".into()));
        let uri = TokenUri::parse("pkcs11:?module-name=softhsm2&pin-source=/run/pin").unwrap();
        assert_eq!(uri.module_name.as_deref(), Some("softhsm2"));
        assert_eq!(uri.pin_source, Some("/run/pin".into()));
        let uri = TokenUri::parse("pkcs11:?pin-source=file:///run/pin").unwrap();
        assert_eq!(uri.pin_source, Some("/run/pin".into()));
    }

    #[test]
    fn what_a_uri_shows_is_its_path_alone() {
        let uri = TokenUri::parse("pkcs11:token=a;object=b?pin-source=/secret/place").unwrap();
        assert_eq!(uri.shown(), "pkcs11:token=a;object=b");
    }

    #[test]
    fn a_pin_in_a_uri_is_refused_without_being_repeated() {
        for uri in [
            "pkcs11:token=a?pin-value=987654",
            "pkcs11:token=a;pin-value=987654",
            "pkcs11:?pin-source=/x&pin-value=987654",
            "pkcs11:?pin-value=%39",
        ] {
            let failure = TokenUri::parse(uri).unwrap_err();
            assert_eq!(failure.error, Error::PinInUri, "{uri}");
            assert!(!failure.to_string().contains("987654"), "{failure}");
        }
    }

    #[test]
    fn a_uri_that_is_not_understood_is_refused() {
        assert_eq!(detail("pkcs12:"), "it does not begin with pkcs11:");
        assert_eq!(
            detail("pkcs11:color=red"),
            "the attribute \"color\" is not known"
        );
        assert_eq!(
            detail("pkcs11:?color=red"),
            "the attribute \"color\" is not known"
        );
        assert_eq!(
            detail("pkcs11:token=a;token=b"),
            "the attribute token stands twice"
        );
        for uri in ["pkcs11:id=%4", "pkcs11:id=%", "pkcs11:id=%zz"] {
            assert_eq!(
                detail(uri),
                "in id, a % is not followed by two hexadecimal digits"
            );
        }
        assert_eq!(detail("pkcs11:token=%ff"), "token is not UTF-8");
        assert_eq!(detail("pkcs11:slot-id=x"), "slot-id is not a number");
        assert_eq!(
            detail("pkcs11:type=public"),
            "the type of a key that signs is private"
        );
        assert_eq!(
            detail("pkcs11:?module-path=m.so"),
            "module-path is not an absolute path"
        );
        assert_eq!(
            detail("pkcs11:?module-name=../m"),
            "module-name is a path; write module-path"
        );
        assert_eq!(
            detail("pkcs11:?pin-source=|cat"),
            "pin-source is a program; name a file"
        );
    }
}
