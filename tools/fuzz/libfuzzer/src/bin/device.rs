//! `cargo fuzz run --fuzz-dir tools/fuzz/libfuzzer device`
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::device(input));
