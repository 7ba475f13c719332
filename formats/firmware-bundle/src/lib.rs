#![no_std]
#![forbid(unsafe_code)]
//! The firmware bundle: read and write a signed ELF image.
