//! What was built into this TA: the platform file and the pinned roots, checked again.

use alloc::boxed::Box;
use alloc::vec::Vec;

use certificate_chain::{Checker, Role};
use platform::Platform;
use ta_core::{Device, Slot, Storage};
use ta_protocol::Root;

use crate::parties::Parties;

/// What one instance of the TA is made of.
pub(crate) struct Parts {
    pub(crate) device: Device<'static>,
    pub(crate) signatures: Checker,
    pub(crate) storage: Storage<'static, Parties>,
}

/// Unpacks what the build checked. `None` if it is not what the build wrote.
pub(crate) fn unpack() -> Option<Parts> {
    let file: platform::File = postcard::from_bytes(PLATFORM).ok()?;
    let platform: &'static Platform = Box::leak(Box::new(Platform::try_from(file).ok()?));
    let mut pinned = Vec::new();
    for (slot, der) in ROOTS {
        let root = certificate_chain::Root::parse(*slot, der).ok()?;
        if platform.role() == platform::Role::Release && root.role() == Role::Development {
            return None;
        }
        pinned.push(root);
    }
    let roots: Vec<Root> = pinned.iter().map(told).collect();

    let mut slots = Vec::with_capacity(platform.cores().len());
    slots.resize_with(platform.cores().len(), Slot::new);
    // Straight to the heap: the stack could not hold it.
    let trailer = alloc::vec![0_u8; firmware_bundle::MAX_TRAILER].leak();
    Some(Parts {
        device: Device {
            platform,
            roots: roots.leak(),
            test_build: cfg!(corewarden_test),
        },
        signatures: Checker::new(pinned).ok()?,
        storage: Storage {
            slots: slots.leak(),
            trailer: trailer.try_into().ok()?,
        },
    })
}

/// A pinned root as TRUSTED_ROOTS tells it.
fn told(root: &certificate_chain::Root) -> Root {
    Root {
        key_id: *root.certificate().key_id(),
        algorithm: root.certificate().algorithm().id(),
        slot: root.slot(),
        role: match root.role() {
            Role::Development => 0,
            Role::Release => 1,
        },
    }
}

include!(concat!(env!("OUT_DIR"), "/device.rs"));
