#![no_std]
#![forbid(unsafe_code)]
//! May this bundle run on this core of this device, and if not, why.
