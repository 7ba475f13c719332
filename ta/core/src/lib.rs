#![no_std]
#![forbid(unsafe_code)]
//! The decisions of the TA: load, start, stop and wipe as a state machine.
