//! `cargo fuzz run --fuzz-dir tools/fuzz/libfuzzer trust-update`
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::trust_update(input));
