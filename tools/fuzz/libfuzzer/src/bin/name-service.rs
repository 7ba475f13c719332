//! `cargo fuzz run --fuzz-dir tools/fuzz/libfuzzer name-service`
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::name_service(input));
