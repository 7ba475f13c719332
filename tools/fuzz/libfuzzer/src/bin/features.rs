//! `cargo fuzz run --fuzz-dir tools/fuzz/libfuzzer features`
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::features(input));
