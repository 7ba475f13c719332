#![no_std]
//! What the test bed's firmware images have in common.
//!
//! The image runs from the private memory that the secure world filled; the first page of the shared window holds the resource
//! table. `startup` and `memory` are the only modules that touch hardware; everything else is safe code over them.

pub mod board;
pub mod echo;
pub mod memory;
pub mod startup;
pub mod table;
pub mod trace;
