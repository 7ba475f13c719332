//! `cargo fuzz run --fuzz-dir tools/fuzz/libfuzzer symmetric`
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::symmetric(input));
