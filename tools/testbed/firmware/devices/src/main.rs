#![no_std]
#![no_main]
//! Serves lines, an I2C bus and an SPI device that are not really there.

mod devices;
mod services;

use corewarden_firmware::echo::Image;

corewarden_firmware::image!(
    services::serve,
    Image {
        version: 1,
        prefix: b"",
        dies_after_ms: None,
        poisons_table: false,
    }
);
