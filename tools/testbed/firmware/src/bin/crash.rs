#![no_std]
#![no_main]
//! Answers until it dies, `COREWARDEN_CRASH_MS` milliseconds after start.

use corewarden_firmware::echo::Image;

corewarden_firmware::image!(Image {
    dies_after_ms: Some(CRASH_MS),
    ..Image::PLAIN
});

const CRASH_MS: u32 = include!(concat!(env!("OUT_DIR"), "/crash_ms.rs"));
