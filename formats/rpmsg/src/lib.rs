#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::panic
    )
)]
//! Virtio rings and RPMsg for both roles, correct against a lying peer.
//!
//! A [`Link`] moves messages over two split rings in a [`SharedMemory`]: as [`Driver`] it owns the buffers (Linux' role), as
//! [`Device`] it borrows them (the core's role). Both run the same code. What one side wrote it remembers privately and never
//! reads back; what the peer wrote is read once, judged, and only then used, so a lie becomes an [`Error`] that names the broken
//! rule. Nothing is published and no kick is asked for before [`Link::flush`], so batches cost one index write and one kick.
//!
//! Above it, [`Session`] gives endpoints, addresses and the name service; [`DriverLife`] and [`DeviceLife`] say when rings may be
//! touched at all (`rpmsg-lifecycle.md`).

mod endpoint;
mod error;
mod layout;
mod lifecycle;
mod link;
mod memory;
mod name_service;
mod raw;
mod ring;

pub use endpoint::{Endpoint, Event, Session};
pub use error::Error;
pub use layout::{LinkLayout, Ring, VringLayout, Window};
pub use lifecycle::{
    DeviceLife, DeviceStep, DriverLife, DriverStep, RestartSign, Status, StatusWord,
};
pub use link::{Device, Driver, Link, RxBuffer, TxBuffer};
pub use memory::{Coherence, SharedMemory};
pub use name_service::{Announcement, Change, ServiceName, Services};
pub use raw::{
    ANY_ADDRESS, DEVICE_LINE, DRIVER_LINE, DYNAMIC_ADDRESSES, FEATURE_NAME_SERVICE, HEADER_SIZE,
    Header, NAME_SERVICE_ADDRESS, VIRTIO_ID_RPMSG,
};
pub use ring::{DeviceQueue, DriverQueue, Kick, Queue, Quirks};
