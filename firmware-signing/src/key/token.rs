//! Keys on tokens, through PKCS#11: smart cards, hardware security modules, SoftHSM.

use std::path::{Path, PathBuf};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::RvError;
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;
use der::Decode;
use der::asn1::OctetStringRef;

use super::file::normal_public;
use super::modules;
use super::reference::{Custody, Key};
use super::{Algorithm, Secrets, Signer, TokenUri};
use crate::pki::Certificate;
use crate::{Error, Failure};

/// Opens the one key that `uri` names; its certificates are the given ones, or else those on the token.
pub(super) fn open(
    uri: &TokenUri,
    secrets: &dyn Secrets,
    given: &[Certificate],
) -> Result<Key, Failure> {
    let place = PathBuf::from(uri.shown());
    let at = |failure: Failure| failure.in_place(&place);
    let (module, slot, token) = find_token(uri).map_err(at)?;
    let session = module
        .open_ro_session(slot)
        .map_err(|error| at(told(error)))?;
    let pin = log_in(&session, &token, uri, secrets).map_err(at)?;
    let handle = find_key(&session, uri).map_err(at)?;
    let each_time = match asks_each_time(&session, handle).map_err(at)? {
        true => Some(each_pin(pin, &token, uri, secrets).map_err(at)?),
        false => None,
    };
    let id = id_of(&session, handle).map_err(at)?;
    let found = certificates(&session).map_err(at)?;
    let (algorithm, public_key) =
        public_half(&session, handle, id.as_deref(), &found).map_err(at)?;
    let certificates = match given {
        [] => found.into_iter().map(|(_, one)| one).collect(),
        given => given.to_vec(),
    };
    let signer = TokenKey {
        session,
        handle,
        each_time,
        algorithm,
        public_key,
    };
    Ok(Key::new(Box::new(signer), certificates, Custody::Token))
}

struct TokenKey {
    session: Session,
    handle: ObjectHandle,
    /// What the key wants to be told before each signature, if it does.
    each_time: Option<Pin>,
    algorithm: Algorithm,
    public_key: Vec<u8>,
}

/// A PIN, or none where it is typed on the token itself.
type Pin = Option<AuthPin>;

impl TokenKey {
    fn ask(&self, mechanism: &Mechanism<'_>, data: &[u8]) -> Result<Vec<u8>, Error> {
        let Some(pin) = &self.each_time else {
            let signature = self.session.sign(mechanism, self.handle, data);
            return signature.map_err(|error| told(error).error);
        };
        // PKCS#11 3.1, 5.6.8: logged in anew after the operation has begun. A signature in one step begins and ends in one call here, so it
        // is made in parts, of which there is one.
        let begun = self.session.sign_init(mechanism, self.handle);
        let begun =
            begun.and_then(|()| self.session.login(UserType::ContextSpecific, pin.as_ref()));
        begun.map_err(|error| told(error).error)?;
        let signature = self.session.sign_update(data);
        let signature = signature.and_then(|()| self.session.sign_final());
        signature.map_err(|error| match error {
            cryptoki::error::Error::NullFunctionPointer
            | cryptoki::error::Error::Pkcs11(
                RvError::FunctionNotSupported | RvError::OperationNotInitialized,
                _,
            ) => Error::TokenInOneStep,
            error => told(error).error,
        })
    }
}

impl Signer for TokenKey {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        // Not every token hashes; every one signs a hash.
        let digest = |hash| ring::digest::digest(hash, message);
        let signature = match self.algorithm {
            Algorithm::EcdsaP256 => {
                self.ask(&Mechanism::Ecdsa, digest(&ring::digest::SHA256).as_ref())
            }
            Algorithm::EcdsaP384 => {
                self.ask(&Mechanism::Ecdsa, digest(&ring::digest::SHA384).as_ref())
            }
            Algorithm::Ed25519 => {
                let pure = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure));
                self.ask(&pure, message)
            }
        };
        let signature = signature?;
        // PKCS#11 leaves s as the token found it.
        self.algorithm.normalise(&signature)
    }
}

/// The only token that the URI fits, in the module it names or in the usual ones.
fn find_token(uri: &TokenUri) -> Result<(Pkcs11, Slot, TokenInfo), Failure> {
    let (candidates, chosen) = modules_for(Some(uri))?;
    if candidates.is_empty() {
        return Err(Failure::from(Error::ModuleMissing));
    }
    let mut seen = Vec::new();
    for path in candidates {
        let tokens = load(&path).and_then(|module| Ok((tokens_of(&module)?, module)));
        let (tokens, module) = match tokens {
            Ok(tokens) => tokens,
            // One of the usual modules may be there without its service; another one may have the token.
            Err(_) if !chosen => continue,
            Err(failure) => return Err(failure),
        };
        let mut fitting = Vec::new();
        for (slot, token) in tokens {
            if fits(uri, slot, &token) {
                fitting.push((slot, token));
            } else {
                seen.push(named(&token));
            }
        }
        match fitting.len() {
            0 => {}
            1 => {
                if let Some((slot, token)) = fitting.pop() {
                    return Ok((module, slot, token));
                }
            }
            count => {
                let names: Vec<String> = fitting.iter().map(|(_, token)| named(token)).collect();
                return Err(
                    Failure::from(Error::TokenAmbiguous { count }).with_detail(names.join(", "))
                );
            }
        }
    }
    let failure = Failure::from(Error::TokenMissing);
    Err(match seen.as_slice() {
        [] => failure.with_detail("there is no token at all"),
        seen => failure.with_detail(format!("there is {}", seen.join(", "))),
    })
}

/// The modules that are asked for a URI's token, and whether somebody chose them.
pub(crate) fn modules_for(uri: Option<&TokenUri>) -> Result<(Vec<PathBuf>, bool), Failure> {
    let path = uri.and_then(|uri| uri.module_path.as_deref());
    let name = uri.and_then(|uri| uri.module_name.as_deref());
    Ok(match modules::chosen(path, name)? {
        Some(path) => (vec![path], true),
        None => (modules::usual(), false),
    })
}

/// A token that is there, and what its flags tell about its PIN.
pub(crate) struct Seen {
    pub(crate) name: String,
    pub(crate) locked: bool,
    pub(crate) warning: Option<&'static str>,
}

/// The tokens of a module.
pub(crate) fn survey(module: &Path) -> Result<Vec<Seen>, Failure> {
    let tokens = tokens_of(&load(module)?)?;
    let seen = tokens.iter().map(|(_, token)| {
        let trouble = trouble_of(token);
        Seen {
            name: named(token),
            locked: trouble == Some(PinTrouble::Locked),
            warning: match trouble {
                Some(PinTrouble::Warning(text)) => Some(text),
                _ => None,
            },
        }
    });
    Ok(seen.collect())
}

/// Loads a module and begins. It is never unloaded: not every one survives that.
fn load(path: &Path) -> Result<Pkcs11, Failure> {
    let unusable = |error: cryptoki::error::Error| {
        Failure::at(path)(Error::ModuleUnusable).with_detail(one_line(&error))
    };
    let module = Pkcs11::new(path).map_err(unusable)?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        // A second key of the same module.
        Ok(()) | Err(cryptoki::error::Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
        Err(error) => return Err(unusable(error)),
    }
    core::mem::forget(module.clone());
    Ok(module)
}

/// The tokens that are there and in use.
fn tokens_of(module: &Pkcs11) -> Result<Vec<(Slot, TokenInfo)>, Failure> {
    let mut tokens = Vec::new();
    for slot in module.get_slots_with_token().map_err(told)? {
        // A card may be pulled out while we look.
        if let Ok(token) = module.get_token_info(slot)
            && token.token_initialized()
        {
            tokens.push((slot, token));
        }
    }
    Ok(tokens)
}

fn fits(uri: &TokenUri, slot: Slot, token: &TokenInfo) -> bool {
    let same =
        |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
    same(&uri.token, token.label())
        && same(&uri.serial, token.serial_number())
        && same(&uri.manufacturer, token.manufacturer_id())
        && same(&uri.model, token.model())
        && uri.slot.is_none_or(|wanted| wanted == slot.id())
}

fn named(token: &TokenInfo) -> String {
    format!(
        "token {:?} with serial {}",
        token.label(),
        token.serial_number()
    )
}

/// Logs in where the token wants it, and gives the PIN that did.
fn log_in(
    session: &Session,
    token: &TokenInfo,
    uri: &TokenUri,
    secrets: &dyn Secrets,
) -> Result<Pin, Failure> {
    if !token.login_required() {
        return Ok(None);
    }
    if let Some(trouble) = trouble_of(token) {
        match trouble {
            PinTrouble::Locked => return Err(Failure::from(Error::PinLocked)),
            PinTrouble::Warning(text) => secrets.warn(&format!("{}: {text}", named(token))),
        }
    }
    let pin = pin_of(token, uri, secrets)?;
    match session.login(UserType::User, pin.as_ref()) {
        // A second key of the same token.
        Ok(()) | Err(cryptoki::error::Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(pin),
        Err(error) => Err(told(error)),
    }
}

fn pin_of(token: &TokenInfo, uri: &TokenUri, secrets: &dyn Secrets) -> Result<Pin, Failure> {
    if token.protected_authentication_path() {
        return Ok(None);
    }
    let pin = secrets.pin(token.label(), uri.pin_source.as_deref())?;
    Ok(Some(AuthPin::from(pin.as_str())))
}

/// Whether the key has to be told the PIN before each signature (CKA_ALWAYS_AUTHENTICATE).
fn asks_each_time(session: &Session, key: ObjectHandle) -> Result<bool, Failure> {
    let attributes = session
        .get_attributes(key, &[AttributeType::AlwaysAuthenticate])
        .map_err(told)?;
    Ok(attributes.contains(&Attribute::AlwaysAuthenticate(true)))
}

/// The PIN for each signature: the one that logged in, or one that is asked for now, where nobody had to log in.
fn each_pin(
    pin: Pin,
    token: &TokenInfo,
    uri: &TokenUri,
    secrets: &dyn Secrets,
) -> Result<Pin, Failure> {
    match pin {
        Some(pin) => Ok(Some(pin)),
        None => pin_of(token, uri, secrets),
    }
}

/// What the token's flags tell about the tries that are left.
#[derive(Debug, PartialEq, Eq)]
enum PinTrouble {
    Locked,
    Warning(&'static str),
}

fn trouble_of(token: &TokenInfo) -> Option<PinTrouble> {
    pin_trouble(
        token.user_pin_locked(),
        token.user_pin_final_try(),
        token.user_pin_count_low(),
    )
}

fn pin_trouble(locked: bool, last_try: bool, low: bool) -> Option<PinTrouble> {
    match (locked, last_try, low) {
        (true, _, _) => Some(PinTrouble::Locked),
        (_, true, _) => Some(PinTrouble::Warning(
            "this is the last try: a wrong PIN now locks the token",
        )),
        (_, _, true) => Some(PinTrouble::Warning(
            "a wrong PIN was given before; the token counts them and locks itself",
        )),
        _ => None,
    }
}

/// The only private key that the URI fits.
fn find_key(session: &Session, uri: &TokenUri) -> Result<ObjectHandle, Failure> {
    let mut template = vec![Attribute::Class(ObjectClass::PRIVATE_KEY)];
    template.extend(uri.id.clone().map(Attribute::Id));
    let label = uri.object.as_ref().map(|label| label.as_bytes().to_vec());
    template.extend(label.map(Attribute::Label));
    let found = session.find_objects(&template).map_err(told)?;
    match found.as_slice() {
        [key] => Ok(*key),
        [] => {
            let all = vec![Attribute::Class(ObjectClass::PRIVATE_KEY)];
            let all = session.find_objects(&all).map_err(told)?;
            let failure = Failure::from(Error::KeyMissing);
            Err(match all.as_slice() {
                [] => failure.with_detail("the token has no private key"),
                all => failure.with_detail(format!("it has {}", describe(session, all))),
            })
        }
        several => Err(Failure::from(Error::KeyAmbiguous {
            count: several.len(),
        })
        .with_detail(describe(session, several))),
    }
}

/// Labels and ids, as they would stand in a URI.
fn describe(session: &Session, keys: &[ObjectHandle]) -> String {
    let mut names: Vec<String> = keys
        .iter()
        .map(|key| {
            let wanted = [AttributeType::Label, AttributeType::Id];
            let (mut label, mut id) = (String::new(), String::new());
            // A key that tells nothing of itself is shown without a name.
            for attribute in session.get_attributes(*key, &wanted).unwrap_or_default() {
                match attribute {
                    Attribute::Label(bytes) => label = String::from_utf8_lossy(&bytes).into_owned(),
                    Attribute::Id(bytes) => {
                        id = bytes.iter().map(|byte| format!("%{byte:02x}")).collect();
                    }
                    _ => {}
                }
            }
            format!("object={label};id={id}")
        })
        .collect();
    // Tokens list in no order of their own.
    names.sort();
    names.join(", ")
}

fn id_of(session: &Session, key: ObjectHandle) -> Result<Option<Vec<u8>>, Failure> {
    let attributes = session
        .get_attributes(key, &[AttributeType::Id])
        .map_err(told)?;
    Ok(attributes
        .into_iter()
        .find_map(|attribute| match attribute {
            Attribute::Id(id) if !id.is_empty() => Some(id),
            _ => None,
        }))
}

/// A certificate on the token, with its id there.
type Kept = (Vec<u8>, Certificate);

/// Every readable X.509 certificate on the token.
fn certificates(session: &Session) -> Result<Vec<Kept>, Failure> {
    let template = [Attribute::Class(ObjectClass::CERTIFICATE)];
    let mut found = Vec::new();
    for object in session.find_objects(&template).map_err(told)? {
        let wanted = [AttributeType::Value, AttributeType::Id];
        let (mut der, mut id) = (Vec::new(), Vec::new());
        for attribute in session.get_attributes(object, &wanted).map_err(told)? {
            match attribute {
                Attribute::Value(bytes) => der = bytes,
                Attribute::Id(bytes) => id = bytes,
                _ => {}
            }
        }
        // Other certificates on a token are no concern of ours.
        if let Ok(certificate) = Certificate::from_der(&der) {
            found.push((id, certificate));
        }
    }
    found.sort_by(|(_, one), (_, other)| one.der().cmp(other.der()));
    Ok(found)
}

/// The public half: from the public key object of the same id, the private key itself, or the certificate of the same id.
fn public_half(
    session: &Session,
    key: ObjectHandle,
    id: Option<&[u8]>,
    certificates: &[Kept],
) -> Result<(Algorithm, Vec<u8>), Failure> {
    let mut objects = Vec::new();
    if let Some(id) = id {
        let template = [
            Attribute::Class(ObjectClass::PUBLIC_KEY),
            Attribute::Id(id.to_vec()),
        ];
        objects.extend(session.find_objects(&template).map_err(told)?);
    }
    objects.push(key);
    let mut named = None;
    for object in objects {
        let wanted = [
            AttributeType::KeyType,
            AttributeType::EcParams,
            AttributeType::EcPoint,
        ];
        let (mut kind, mut curve, mut point) = (None, None, None);
        for attribute in session.get_attributes(object, &wanted).map_err(told)? {
            match attribute {
                Attribute::KeyType(found) => kind = Some(found),
                Attribute::EcParams(found) => curve = Some(found),
                Attribute::EcPoint(found) => point = Some(found),
                _ => {}
            }
        }
        let algorithm = algorithm_of(kind, curve.as_deref());
        if object == key {
            named = Some(algorithm);
        }
        if let (Ok(algorithm), Some(point)) = (algorithm, point.filter(|point| !point.is_empty())) {
            let public = normal_public(&algorithm.public_key(unwrapped(algorithm, &point))?)?;
            return Ok((algorithm, public));
        }
    }
    // A key of another kind is said to be one; a fitting one may still have its certificate.
    if let Some(Err(error)) = named {
        return Err(error.into());
    }
    let certificate = certificates
        .iter()
        .find(|(found, _)| id.is_some_and(|id| id == found));
    let (_, certificate) = certificate.ok_or(Error::KeyWithoutPublicHalf)?;
    let public = certificate.public_key()?;
    Ok((Algorithm::of_public_key(&public)?, public))
}

fn algorithm_of(kind: Option<KeyType>, curve: Option<&[u8]>) -> Result<Algorithm, Error> {
    match (kind, curve) {
        (Some(KeyType::EC), Some(P256_PARAMETERS)) => Ok(Algorithm::EcdsaP256),
        (Some(KeyType::EC), Some(P384_PARAMETERS)) => Ok(Algorithm::EcdsaP384),
        (Some(KeyType::EC_EDWARDS), Some(ED25519_NAME | ED25519_OID)) => Ok(Algorithm::Ed25519),
        _ => Err(Error::KeyAlgorithm),
    }
}

/// PKCS#11 wraps a point in an OCTET STRING; some modules give it bare.
fn unwrapped(algorithm: Algorithm, point: &[u8]) -> &[u8] {
    let size = match algorithm {
        Algorithm::EcdsaP256 => 65,
        Algorithm::EcdsaP384 => 97,
        Algorithm::Ed25519 => 32,
    };
    if point.len() == size {
        return point;
    }
    <&OctetStringRef>::from_der(point).map_or(point, |inner| inner.as_bytes())
}

/// What a token's answer means to the user.
fn told(error: cryptoki::error::Error) -> Failure {
    use cryptoki::error::Error as Token;
    let Token::Pkcs11(code, _) = error else {
        return Failure::from(Error::TokenUnusable).with_detail(one_line(&error));
    };
    Failure::from(match code {
        RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange => Error::PinWrong,
        RvError::PinLocked => Error::PinLocked,
        RvError::PinExpired | RvError::UserPinNotInitialized => Error::PinNotSet,
        RvError::TokenNotPresent | RvError::TokenNotRecognized | RvError::DeviceRemoved => {
            Error::TokenGone
        }
        code => Error::TokenRefused { code },
    })
}

fn one_line(error: &cryptoki::error::Error) -> String {
    error.to_string().replace('\n', " ")
}

/// DER of the object identifier of the curve.
const P256_PARAMETERS: &[u8] = &[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const P384_PARAMETERS: &[u8] = &[0x06, 5, 0x2b, 0x81, 0x04, 0, 0x22];
/// PKCS#11 3.0 has the name of this curve as a PrintableString, PKCS#11 3.1 also its object identifier.
const ED25519_NAME: &[u8] = b"\x13\x0cedwards25519";
const ED25519_OID: &[u8] = &[0x06, 3, 0x2b, 0x65, 0x70];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_comes_before_the_last_try_and_a_locked_token_is_not_tried() {
        assert_eq!(pin_trouble(false, false, false), None);
        assert_eq!(pin_trouble(true, true, true), Some(PinTrouble::Locked));
        let Some(PinTrouble::Warning(last)) = pin_trouble(false, true, true) else {
            panic!("no warning");
        };
        assert!(last.contains("last try"), "{last}");
        let Some(PinTrouble::Warning(low)) = pin_trouble(false, false, true) else {
            panic!("no warning");
        };
        assert!(low.contains("wrong PIN was given before"), "{low}");
    }

    #[test]
    fn points_are_taken_wrapped_and_bare() {
        let point: Vec<u8> = [4].into_iter().chain(0..64).collect();
        let wrapped = [&[4, 65][..], &point].concat();
        assert_eq!(unwrapped(Algorithm::EcdsaP256, &point), point);
        assert_eq!(unwrapped(Algorithm::EcdsaP256, &wrapped), point);
        // A bare Ed25519 key may begin like an OCTET STRING of its own.
        let mut bare = [7; 32];
        (bare[0], bare[1]) = (4, 30);
        assert_eq!(unwrapped(Algorithm::Ed25519, &bare), bare);
        let wrapped = [&[4, 32][..], &bare].concat();
        assert_eq!(unwrapped(Algorithm::Ed25519, &wrapped), bare);
    }

    #[test]
    fn curves_are_told_by_their_parameters() {
        let of = |kind, curve| algorithm_of(Some(kind), Some(curve));
        assert_eq!(of(KeyType::EC, P256_PARAMETERS), Ok(Algorithm::EcdsaP256));
        assert_eq!(of(KeyType::EC, P384_PARAMETERS), Ok(Algorithm::EcdsaP384));
        for curve in [ED25519_NAME, ED25519_OID] {
            assert_eq!(of(KeyType::EC_EDWARDS, curve), Ok(Algorithm::Ed25519));
            assert_eq!(of(KeyType::EC, curve), Err(Error::KeyAlgorithm));
        }
        assert_eq!(of(KeyType::RSA, P256_PARAMETERS), Err(Error::KeyAlgorithm));
        assert_eq!(algorithm_of(None, None), Err(Error::KeyAlgorithm));
    }
}
