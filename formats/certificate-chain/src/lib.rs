#![no_std]
#![forbid(unsafe_code)]
//! Our X.509 profile and the signature checks behind a bundle.
