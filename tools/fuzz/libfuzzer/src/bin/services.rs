//! `cargo fuzz run --fuzz-dir tools/fuzz/libfuzzer services`
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::services(input));
