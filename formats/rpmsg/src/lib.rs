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
//! A [`Link`] moves messages over two rings in a [`SharedMemory`]: as [`Driver`] it owns the buffers (Linux' role), as
//! [`Device`] it borrows them (the core's role). Both run the same code, over split rings and over packed ones ([`PackedDriver`],
//! [`PackedDevice`]), or, between two of our own sides, as [`Symmetric`] with each side's buffers its own; what of rings is used and what is refused stands in rpmsg-rings.md. What one side wrote it remembers privately and never
//! reads back; what the peer wrote is read once, judged, and only then used, so a lie becomes an [`Error`] that names the broken
//! rule. Nothing is published and no kick is asked for before [`Link::flush`], so batches cost one index write and one kick.
//!
//! Above it, [`Session`] gives endpoints, addresses and the name service; [`DriverLife`] and [`DeviceLife`] say when rings may be
//! touched at all (`rpmsg-lifecycle.md`), and an [`Agreement`] what both sides do on them (`rpmsg-features.md`).
//!
//! ```
//! # use std::{cell::RefCell, sync::atomic::Ordering};
//! # struct Bytes(RefCell<Vec<u8>>);
//! # impl Bytes {
//! #     fn get<const N: usize>(&self, at: u32) -> [u8; N] {
//! #         self.0.borrow()[at as usize..][..N].try_into().unwrap()
//! #     }
//! # }
//! # impl rpmsg::Coherence for Bytes {}
//! # impl rpmsg::SharedMemory for Bytes {
//! #     fn load_u16(&self, at: u32, _: Ordering) -> u16 { u16::from_le_bytes(self.get(at)) }
//! #     fn load_u32(&self, at: u32, _: Ordering) -> u32 { u32::from_le_bytes(self.get(at)) }
//! #     fn store_u16(&self, at: u32, value: u16, _: Ordering) { self.copy_in(at, &value.to_le_bytes()) }
//! #     fn store_u32(&self, at: u32, value: u32, _: Ordering) { self.copy_in(at, &value.to_le_bytes()) }
//! #     fn copy_in(&self, at: u32, from: &[u8]) {
//! #         self.0.borrow_mut()[at as usize..][..from.len()].copy_from_slice(from);
//! #     }
//! #     fn copy_out(&self, at: u32, into: &mut [u8]) {
//! #         into.copy_from_slice(&self.0.borrow()[at as usize..][..into.len()]);
//! #     }
//! # }
//! # let memory = Bytes(RefCell::new(vec![0; 0x4000]));
//! use rpmsg::{Change, Device, Driver, Event, LinkLayout, Quirks, ServiceName, Session, VringLayout, Window};
//!
//! // Two rings of 8 descriptors and 16 buffers of 256 bytes, in a window which the core sees at 0x2120_0000.
//! let window = Window::new(0x2120_0000, 0x4000)?;
//! let to_driver = VringLayout::new(&window, 0x2120_1000, 8, 64)?;
//! let to_device = VringLayout::new(&window, 0x2120_2000, 8, 64)?;
//! let layout = LinkLayout::new(window, to_driver, to_device, 0x2120_3000, 0x1000)?;
//!
//! // Linux prepares the rings, the core joins them; `memory` stands for the window on either side.
//! let mut linux = Session::<_, _, 4>::new(Driver::<_, 8>::attach(&memory, layout, 256, 1, Quirks::default())?);
//! let mut core = Session::<_, _, 4>::new(Device::<_, 8>::attach(&memory, layout, 1, Quirks::default())?);
//!
//! let served = core.open(None)?;
//! core.announce(&served, ServiceName::new("greeter")?, Change::Created)?;
//! assert!(core.flush().is_needed()); // ring the doorbell
//!
//! let mut bytes = [0; 256];
//! let Some(Event::Service(service)) = linux.poll(&mut bytes)? else { panic!() };
//! let client = linux.open(None)?;
//! linux.send(&client, service.address, b"hello")?;
//! assert!(linux.flush().is_needed());
//!
//! let Some(Event::Message { header, copied }) = core.poll(&mut bytes)? else { panic!() };
//! assert_eq!(header.source, client.address());
//! assert_eq!(&bytes[..copied], b"hello");
//! # Ok::<(), rpmsg::Error>(())
//! ```

mod endpoint;
mod error;
mod features;
mod layout;
mod lifecycle;
mod link;
mod memory;
mod name_service;
mod raw;
mod ring;

pub use endpoint::{Endpoint, Event, Session};
pub use error::Error;
pub use features::{Agreement, Features};
pub use layout::{BufferSizes, LinkLayout, Ring, VringLayout, Window};
pub use lifecycle::{
    DeviceLife, DeviceStep, DriverLife, DriverStep, RestartSign, Status, StatusWord,
};
pub use link::{Device, Driver, Link, PackedDevice, PackedDriver, RxBuffer, Symmetric, TxBuffer};
pub use memory::{Coherence, SharedMemory};
pub use name_service::{Announcement, Change, ServiceName, Services};
pub use raw::{
    ANY_ADDRESS, DEVICE_LINE, DRIVER_LINE, DYNAMIC_ADDRESSES, HEADER_SIZE, Header,
    NAME_SERVICE_ADDRESS, VIRTIO_ID_RPMSG,
};
pub use ring::{DeviceQueue, DriverQueue, Kick, Packed, Queue, Quirks, RingKind, Split};
