//! Who signs: the key of each slot, opened, with the certificates above it.

use std::ffi::OsString;
use std::path::Path;

use clap::Args;

use super::options::{Chain, KeyAccess};
use super::second::Second;
use crate::key::{Key, Reference, Secrets, Signer, key_id};
use crate::pki::{self, Certificate};
use crate::sign::Slot;
use crate::{Error, Failure, hex, release};

/// The keys, their certificates, and what opens them.
#[derive(Debug, Args)]
pub(super) struct Signing {
    /// The signer's private key: a file, a pkcs11: URI, or exec:PROGRAM
    #[arg(long, env = "COREWARDEN_KEY", hide_env_values = true)]
    key: OsString,
    #[command(flatten)]
    pub(super) chain: Chain,
    /// Refuse what does not sign a release: published test keys, development certificates and roots, unencrypted key files
    #[arg(long)]
    release: bool,
    #[command(flatten)]
    access: KeyAccess,
    #[command(flatten)]
    second: Second,
}

/// Where the keys are.
pub(super) struct References {
    first: Reference,
    second: Option<Reference>,
}

/// Who signs which slot.
pub(super) struct Signers {
    /// Slot 0's.
    pub(super) first: SlotSigner,
    /// Slot 1's, if it is signed.
    pub(super) second: Option<SlotSigner>,
}

/// A signer, ready to sign.
pub(super) struct SlotSigner {
    /// The name of the key as it may be shown.
    place: String,
    /// The key.
    pub(super) key: Key,
    /// Leaf and product CA.
    pub(super) chain: Vec<Certificate>,
}

impl Signing {
    /// Reads the names of the keys; nothing is opened yet.
    pub(super) fn references(&self) -> Result<References, Failure> {
        Ok(References {
            first: Reference::parse(&self.key)?,
            second: self.second.reference()?,
        })
    }

    /// Opens the keys, each with the certificates that were named for its slot, and judges them where a release is signed.
    pub(super) fn open(
        &self,
        references: &References,
        [given, second_given]: [&[Certificate]; 2],
        pinned: &[(u8, Certificate)],
    ) -> Result<Signers, Failure> {
        if references.second.is_none() && !second_given.is_empty() {
            return Err(Error::SecondKeyMissing.into());
        }
        let first = references.first.open(&self.access, given)?;
        let first = SlotSigner::new(&references.first, first)?;
        let limit = Secrets::time_limit(&self.access);
        let second = match &references.second {
            Some(reference) => {
                let key = self.second.access().open(reference, second_given, limit)?;
                Some(SlotSigner::new(reference, key)?)
            }
            None => None,
        };
        let signers = Signers { first, second };
        if self.release {
            let roots: Vec<Certificate> = pinned.iter().map(|(_, root)| root.clone()).collect();
            for signer in signers.all() {
                release::check(&signer.key, &signer.chain, &roots)
                    .map_err(Failure::at(Path::new(&signer.place)))?;
            }
        }
        Ok(signers)
    }
}

impl References {
    /// Those of the keys that are files.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        let all = [Some(&self.first), self.second.as_ref()].into_iter();
        all.flatten().filter_map(Reference::file)
    }
}

impl Signers {
    /// In the order of their slots.
    fn all(&self) -> impl Iterator<Item = &SlotSigner> {
        [Some(&self.first), self.second.as_ref()]
            .into_iter()
            .flatten()
    }

    /// For those who sign.
    pub(super) fn slots(&self) -> Vec<Slot<'_>> {
        (0..)
            .zip(self.all())
            .map(|(number, signer)| Slot {
                number,
                signer: &signer.key,
                certificates: &signer.chain,
            })
            .collect()
    }
}

impl SlotSigner {
    fn new(reference: &Reference, key: Key) -> Result<Self, Failure> {
        Ok(Self {
            place: reference.to_string(),
            chain: pki::order_chain(key.public_key(), key.certificates())?,
            key,
        })
    }

    /// What names the key in reports.
    pub(super) fn key_id(&self) -> String {
        hex(&key_id(self.key.public_key()))
    }

    /// Whom the certificate names.
    pub(super) fn subject(&self) -> String {
        self.chain
            .first()
            .map(Certificate::subject)
            .unwrap_or_default()
    }
}
