//! What a release is not signed with: keys that anybody has, certificates for development, key files that lie open.

use crate::Error;
use crate::key::{Custody, Key, Signer, key_id, published};
use crate::pki::{Certificate, Role, Scope};

/// Refuses a key and its certificates where they are none for a release. `above` are all certificates that the signature rests on,
/// the roots included.
pub fn check(key: &Key, chain: &[Certificate], roots: &[Certificate]) -> Result<(), Error> {
    refuse_published(key.public_key())?;
    for certificate in chain.iter().chain(roots) {
        refuse_published(&certificate.public_key()?)?;
    }
    for certificate in chain {
        let profile = certificate.profile()?;
        if profile.scope().map(Scope::role) != Some(Role::Release) {
            return Err(Error::ReleaseByDevelopment);
        }
    }
    if key.custody() == Custody::PlainFile {
        return Err(Error::ReleaseByPlainFile);
    }
    Ok(())
}

fn refuse_published(public_key: &[u8]) -> Result<(), Error> {
    match published(&key_id(public_key)) {
        Some(name) => Err(Error::KeyPublished { name }),
        None => Ok(()),
    }
}
