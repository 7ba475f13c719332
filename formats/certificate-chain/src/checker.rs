//! The judge behind a bundle's signatures: pinned roots and ring.

use alloc::vec::Vec;

use firmware_bundle::{MESSAGE_SIZE, SignatureCheck, Slot};
use ring::digest::{Context, SHA256, SHA384};

use crate::{Certificate, Error, Kind, Role, Scope, Validity, verify};

/// Roots of one device.
pub const MAX_ROOTS: usize = 8;

/// A root certificate, pinned whole for one slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    certificate: Certificate,
    slot: u8,
}

impl Root {
    /// A root for signature slot `slot`.
    ///
    /// # Errors
    /// The rule of bundle-format.md 11 which the certificate breaks, its signature by its own key included.
    pub fn parse(slot: u8, der: &[u8]) -> Result<Root, Error> {
        if usize::from(slot) >= firmware_bundle::MAX_SLOTS {
            return Err(Error::RootSlot { slot }); // bundle-format.md 11.16
        }
        let certificate = Certificate::parse(Kind::Root, der)?;
        certificate.issued_by(&certificate)?;
        Ok(Root { certificate, slot })
    }

    /// The certificate.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The slot it stands for.
    #[must_use]
    pub fn slot(&self) -> u8 {
        self.slot
    }

    /// Development or release; a root that does not say is one for development (bundle-format.md 11.13).
    #[must_use]
    pub fn role(&self) -> Role {
        self.certificate
            .scope()
            .map_or(Role::Development, Scope::role)
    }
}

/// Who signed a bundle, and what that key may sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signer {
    /// SHA-256 of the leaf's SubjectPublicKeyInfo.
    pub key_id: [u8; 32],
    /// The leaf's scope, which lies within its product CA's and root's.
    pub scope: Scope,
    /// The leaf's dates.
    pub leaf_validity: Validity,
    /// The product CA's dates.
    pub product_ca_validity: Validity,
}

/// Holding a `Checker` tells you that its roots keep the profile. It judges chains and signatures against them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checker {
    roots: Vec<Root>,
}

impl Checker {
    /// A checker that trusts these roots.
    ///
    /// # Errors
    /// `RootCount` for none or more than eight (bundle-format.md 11.16).
    pub fn new(roots: Vec<Root>) -> Result<Checker, Error> {
        if roots.is_empty() || roots.len() > MAX_ROOTS {
            return Err(Error::RootCount {
                found: roots.len() as u64,
            });
        }
        Ok(Checker { roots })
    }

    /// The pinned roots.
    #[must_use]
    pub fn roots(&self) -> &[Root] {
        &self.roots
    }

    /// Judges a leaf and its product CA against the roots of a slot, and gives both back (bundle-format.md 11).
    ///
    /// # Errors
    /// The first rule that is broken, from the root downwards.
    pub fn chain(&self, slot: u8, chain: &[&[u8]]) -> Result<[Certificate; 2], Error> {
        let [leaf, product_ca] = *chain else {
            return Err(Error::ChainLength {
                found: chain.len() as u64,
            }); // bundle-format.md 11.1
        };
        // One after the other: a leaf is not even parsed where nobody vouches for its product CA, and what parsing
        // takes of memory is taken for one certificate at a time.
        let product_ca = Certificate::parse(Kind::ProductCa, product_ca)?;
        let root = self.issuer(slot, &product_ca)?;
        match (root.certificate.scope(), product_ca.scope()) {
            (Some(parent), Some(scope)) => scope.within(Kind::ProductCa, parent)?,
            // bundle-format.md 11.13: a root that does not say what it is for is one for development.
            (None, Some(scope)) if scope.role() != root.role() => {
                return Err(Error::RoleDiffers {
                    certificate: Kind::ProductCa,
                });
            }
            (_, _) => {}
        }
        let leaf = Certificate::parse(Kind::Leaf, leaf)?;
        leaf.issued_by(&product_ca)?;
        if let (Some(parent), Some(scope)) = (product_ca.scope(), leaf.scope()) {
            scope.within(Kind::Leaf, parent)?;
        }
        Ok([leaf, product_ca])
    }

    /// The pinned root that issued `product_ca`: several may bear the same name while one replaces the other.
    fn issuer(&self, slot: u8, product_ca: &Certificate) -> Result<&Root, Error> {
        let mut refused = Error::UnknownRoot;
        for root in &self.roots {
            if root.slot == slot && product_ca.points_to(&root.certificate) {
                match product_ca.issued_by(&root.certificate) {
                    Ok(()) => return Ok(root),
                    Err(error) => refused = error,
                }
            }
        }
        Err(refused)
    }
}

impl SignatureCheck for Checker {
    type Signer = Signer;
    type Error = Error;

    fn sha384(&self, parts: [&[u8]; 3]) -> [u8; 48] {
        sha384(&parts)
    }

    fn check(&self, slot: &Slot<'_>, message: &[u8; MESSAGE_SIZE]) -> Result<Signer, Error> {
        let chain: Vec<&[u8]> = slot.chain().collect();
        let [leaf, product_ca] = self.chain(slot.number(), &chain)?;
        let certificate = Kind::Leaf;
        if slot.algorithm() != leaf.algorithm() {
            // bundle-format.md 4.5
            return Err(Error::SlotAlgorithm {
                named: slot.algorithm(),
                key: leaf.algorithm(),
            });
        }
        // bundle-format.md 4.4 and 4.5
        verify(
            leaf.algorithm(),
            leaf.public_key(),
            message,
            slot.signature(),
        )?;
        Ok(Signer {
            key_id: *leaf.key_id(),
            scope: *leaf.scope().ok_or(Error::Missing {
                certificate,
                field: crate::Field::Scope,
            })?,
            leaf_validity: leaf.validity(),
            product_ca_validity: product_ca.validity(),
        })
    }
}

/// SHA-256 over parts, one after the other.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    digest(Context::new(&SHA256), parts)
}

/// SHA-384 over parts, one after the other.
#[must_use]
pub fn sha384(parts: &[&[u8]]) -> [u8; 48] {
    digest(Context::new(&SHA384), parts)
}

fn digest<const SIZE: usize>(mut context: Context, parts: &[&[u8]]) -> [u8; SIZE] {
    for part in parts {
        context.update(part);
    }
    let mut digest = [0; SIZE];
    for (to, from) in digest.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    digest
}
