//! `cargo fuzz run --fuzz-dir tools/fuzz/libfuzzer bundle`
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::bundle(input));
