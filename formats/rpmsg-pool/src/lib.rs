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
//! Payloads beyond an RPMsg buffer: slots of a pool in the shared window, lent by message and given back.
//!
//! The format is `docs/rpmsg-pool.md`, whose rules are cited by number here. One side is the [`Lender`] of a pool, the other one its
//! [`Borrower`]; for both directions there are two pools. Notices of 12 bytes go over any endpoint, in order. As in the ring engine,
//! what one side wrote it remembers privately and never reads back, and what the peer said is judged before it is used: a lie becomes
//! an [`Error`] that names the broken rule, and no access leaves the pool.
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
//! # let memory = Bytes(RefCell::new(vec![0; 0x10_0000]));
//! use rpmsg::Window;
//! use rpmsg_pool::{Borrower, Lender, Notice, PoolLayout};
//!
//! // Four slots of 128 KiB, half a MiB into a window which the core sees at 0x2120_0000; `memory` stands for it on either side.
//! let window = Window::new(0x2120_0000, 0x10_0000)?;
//! let layout = PoolLayout::new(&window, 0x2128_0000, 4, 0x2_0000)?;
//! let mut linux = Lender::<_, 4>::new(&memory, layout, 1)?;
//! let mut core = Borrower::<_, 4>::new(&memory, layout, 1)?;
//!
//! let slot = linux.reserve()?;
//! linux.write(&slot, 0, &[7; 100_000])?;
//! let lent = Notice::from(linux.lend(slot, 100_000)?).to_bytes(); // send it as a message
//!
//! let Notice::Lent(lent) = Notice::parse(&lent)? else { panic!() };
//! let loan = core.take(lent)?;
//! let mut picture = vec![0; 100_000];
//! assert_eq!(core.read(&loan, 0, &mut picture)?, 100_000);
//! let returned = Notice::from(core.give_back(loan)?).to_bytes(); // and so is this
//!
//! let Notice::Returned(returned) = Notice::parse(&returned)? else { panic!() };
//! linux.take_back(returned)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod borrower;
mod error;
mod layout;
mod lender;
mod notice;

pub use borrower::{Borrower, Loan};
pub use error::{Error, Refused};
pub use layout::PoolLayout;
pub use lender::{Lender, Slot};
pub use notice::{Lent, Notice, Returned};
