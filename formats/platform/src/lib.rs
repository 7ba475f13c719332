#![no_std]
#![forbid(unsafe_code)]
//! The types of a platform file: cores, regions, windows, policy.
