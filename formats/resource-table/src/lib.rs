#![no_std]
#![forbid(unsafe_code)]
//! The remoteproc resource table: read, sanitise, write.
