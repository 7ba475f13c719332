#![no_std]
#![no_main]
//! Answers until it dies, `COREWARDEN_CRASH_MS` milliseconds after start.

use corewarden_firmware::echo::Image;

corewarden_firmware::image!(Image {
    version: 1,
    prefix: b"",
    dies_after_ms: Some(CRASH_MS),
    poisons_table: false,
    asks_for: None,
    packed: false,
});

const CRASH_MS: u32 = include!(concat!(env!("OUT_DIR"), "/crash_ms.rs"));
