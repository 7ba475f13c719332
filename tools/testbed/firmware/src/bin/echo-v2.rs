#![no_std]
#![no_main]
//! Answers every message with `v2 ` in front, so that a test can tell the two apart.

use corewarden_firmware::echo::Image;

corewarden_firmware::image!(Image {
    version: 2,
    prefix: b"v2 ",
    ..Image::PLAIN
});
