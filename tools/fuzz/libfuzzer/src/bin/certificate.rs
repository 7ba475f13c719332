//! `cargo fuzz run --fuzz-dir tools/fuzz/libfuzzer certificate`
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::certificate(input));
