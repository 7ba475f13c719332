//! `cargo fuzz run --fuzz-dir tools/fuzz/libfuzzer driver`
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::driver(input));
