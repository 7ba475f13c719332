//! The Trusted Application: entry points, GlobalPlatform API and PTA calls.
#![no_std]
#![no_main]
