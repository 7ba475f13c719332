//! `cargo fuzz run --fuzz-dir tools/fuzz/libfuzzer protocol`
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::protocol(input));
