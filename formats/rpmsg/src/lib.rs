#![no_std]
#![forbid(unsafe_code)]
//! Virtio rings and RPMsg for both roles, correct against a lying peer.
