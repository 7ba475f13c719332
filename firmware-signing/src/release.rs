//! What a release is not signed with: keys that anybody has, certificates for development, key files that lie open.

use crate::Error;
use crate::key::{Custody, Key, Signer, key_id, published};
use crate::pki::{Certificate, Role, Scope};

/// Refuses a key, its certificates and the roots that judge it where they are none for a release.
pub fn check(key: &Key, chain: &[Certificate], roots: &[Certificate]) -> Result<(), Error> {
    refuse_published(key.public_key())?;
    check_certificates(chain, roots)?;
    if key.custody() == Custody::PlainFile {
        return Err(Error::ReleaseByPlainFile);
    }
    Ok(())
}

/// The same where the key is somewhere else: all that its certificates and the roots tell.
pub fn check_certificates(chain: &[Certificate], roots: &[Certificate]) -> Result<(), Error> {
    let all = || chain.iter().chain(roots);
    for certificate in all() {
        refuse_published(&certificate.public_key()?)?;
    }
    for certificate in all() {
        // bundle-format.md 11.13: what does not say its role is for development.
        let profile = certificate.profile()?;
        if profile.scope().map(Scope::role) != Some(Role::Release) {
            return Err(Error::ReleaseByDevelopment);
        }
    }
    Ok(())
}

fn refuse_published(public_key: &[u8]) -> Result<(), Error> {
    match published(&key_id(public_key)) {
        Some(name) => Err(Error::KeyPublished { name }),
        None => Ok(()),
    }
}
