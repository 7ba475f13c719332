#![no_std]
#![forbid(unsafe_code)]
//! What clients and the TA agree on: UUIDs, command numbers, parameter layouts, status codes.
