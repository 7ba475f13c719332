#![no_std]
#![no_main]
//! Answers, and overwrites the published resource table whenever the driver lets go.

use corewarden_firmware::echo::Image;

corewarden_firmware::image!(Image {
    poisons_table: true,
    ..Image::PLAIN
});
