//! `cargo fuzz run --fuzz-dir tools/fuzz/libfuzzer packed-device`
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::packed_device(input));
