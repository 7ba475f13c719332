//! `cargo fuzz run --fuzz-dir tools/fuzz/libfuzzer resource-table`
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::resource_table(input));
